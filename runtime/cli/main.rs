//! The one command. Parse, run, exit code; what each role does is in its crate.

#[cfg(feature = "serve")]
mod admin;
mod arguments;
#[cfg(feature = "broker")]
mod broker;
#[cfg(feature = "client")]
mod chat;
#[cfg(feature = "client")]
mod collateral;
#[cfg(all(feature = "serve", feature = "broker", feature = "client", feature = "simulated"))]
mod demo;
#[cfg(feature = "client")]
mod deny_list;
#[cfg(feature = "client")]
mod evidence;
mod exit_code;
#[cfg(feature = "client")]
mod file;
mod key_file;
#[cfg(feature = "client")]
mod measure;
#[cfg(any(feature = "broker", feature = "serve"))]
mod model;
mod output;
#[cfg(feature = "client")]
mod proxy;
#[cfg(feature = "client")]
mod receipt;
#[cfg(feature = "serve")]
mod serve;
mod signals;
#[cfg(all(feature = "serve", feature = "simulated"))]
mod simulated;
#[cfg(feature = "client")]
mod trust;
#[cfg(feature = "client")]
mod verify;
mod version;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::exit_code::Exit;
use crate::output::{Failure, Output};

fn main() -> ExitCode {
    // A panic says where, never what: its message could hold a prompt.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        // A standard error that is closed must not turn one panic into two.
        let _ = writeln!(std::io::stderr(), "error[BUG]: Strongroom stopped on a bug{place}; please report it");
    }));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Programs read standard output, whatever is wrong.
        Err(error) if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") => {
            Output { json: true }.failure(&Failure::usage(error.render().to_string().trim_end()));
            return Exit::Usage.into();
        }
        Err(error) => error.exit(),
    };
    let output = Output { json: arguments.json };
    // Said, so that the runtime does not look for it in the environment.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.failure(&Failure::new(Exit::Failed, "IO", format!("no threads: {error}")));
            return Exit::Failed.into();
        }
    };
    let outcome = runtime.block_on(run(arguments.command, output));
    // Whatever still runs beside (a load that was interrupted) does not hold up the end.
    runtime.shutdown_background();
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

async fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        #[cfg(all(feature = "serve", feature = "broker", feature = "client", feature = "simulated"))]
        Command::Demo(arguments) => demo::run(arguments, output).await,
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::run(arguments, output).await,
        #[cfg(feature = "serve")]
        Command::Admin(arguments) => admin::run(arguments, output).await,
        #[cfg(feature = "client")]
        Command::Proxy(arguments) => proxy::run(arguments, output).await,
        #[cfg(feature = "client")]
        Command::Chat(arguments) => chat::run(arguments, output).await,
        #[cfg(feature = "client")]
        Command::Verify(arguments) => verify::run(*arguments, output).await,
        #[cfg(feature = "client")]
        Command::Evidence(command) => evidence::run(command, output),
        #[cfg(feature = "client")]
        Command::Receipt(command) => receipt::run(command, output),
        #[cfg(feature = "client")]
        Command::Measure(command) => measure::run(command, output),
        #[cfg(feature = "client")]
        Command::Collateral(command) => collateral::run(command, output).await,
        #[cfg(feature = "client")]
        Command::DenyList(command) => deny_list::run(command, output),
        #[cfg(any(feature = "broker", feature = "serve"))]
        Command::Model(command) => model::run(command, output).await,
        #[cfg(feature = "broker")]
        Command::Broker(command) => broker::run(command, output).await,
    }
}
