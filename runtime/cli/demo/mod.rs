//! `strongroom demo`: the whole story on one machine, then every attack on it.
//!
//! Each role is this same program in a process and a directory of its own; each line that
//! is printed is the outcome of that work. Nothing here is a second implementation, but
//! for the enemy's gateway.

mod ask;
mod attacks;
mod fetch;
mod gateway;
mod gpus;
mod processes;
mod stage;
mod steps;

use std::path::{Path, PathBuf};

use crate::arguments::Demo;
use crate::exit_code::Exit;
use crate::output::{Failure, Output, check_line};
use crate::signals::Asked;

use self::stage::{Proxy, Server, Stage};
use self::steps::Steps;

/// What the demo asks the model.
const QUESTION: &str = "Write a Python function that returns the n-th Fibonacci number. Only the code, please.";
/// What only the plugin, never the model, may see.
const PRIVATE: &str = "Repeat this sentence word for word: Please write to jane.doe@example.com and charge the card \
                       4111 1111 1111 1111 today.";
/// What must not come back.
const SECRETS: [&str; 2] = ["jane.doe@example.com", "4111 1111 1111 1111"];

pub(crate) async fn run(arguments: Demo, output: Output) -> Result<Exit, Failure> {
    let mut steps = Steps::new(output);
    let mut asked = Asked::listen();
    let told = tokio::select! {
        told = story(&arguments, &mut steps, output) => told,
        // Dropping the story kills its processes and removes its directory.
        () = asked.next() => {
            Err(Failure::new(Exit::Failed, "STOPPED", "stopped on request; no process and no plaintext is left behind"))
        }
    };
    let play = match told {
        Ok(play) => play,
        Err(failure) => {
            output.failure(&failure);
            steps.summary();
            return Ok(failure.exit);
        }
    };
    let exit = steps.summary();
    if arguments.keep {
        keep(&play, output);
        asked.next().await;
    } else {
        next(&play.stage, output);
    }
    play.stop().await;
    Ok(exit)
}

/// All that runs at the end of the story.
struct Play {
    proxy: Proxy,
    server: Server,
    stage: Stage,
}

impl Play {
    async fn stop(mut self) {
        self.proxy.stop().await;
        self.server.process.stop().await;
        self.stage.stop().await;
    }
}

async fn story(arguments: &Demo, steps: &mut Steps, output: Output) -> Result<Play, Failure> {
    output.note(
        "Strongroom demo: a tenant's private model on somebody else's machine.\n\
         The platform is SIMULATED: the evidence has the genuine shape under a development root that no\n\
         verifier takes for hardware. Everything else is what production runs.",
    );

    steps.heading("The model");
    let model = steps.pass("get the model", model(arguments, output)).await?;

    steps.heading("The tenant: broker, sealed model, policy, trust file");
    let mut stage =
        steps.pass("make a development vendor, a machine and a broker", Stage::build(arguments.gpus)).await?;
    steps.pass("seal the model to the broker's key", stage.seal(&model)).await?;
    steps.pass("deposit the key under a policy, export the trust file", stage.deposit()).await?;
    steps.pass("start the broker", stage.start_broker()).await?;

    steps.heading("The operator's node: no proof, no key");
    let server = steps.pass("evidence, release, weights into memory, ready", stage.start_server(output)).await?;

    steps.heading("The client: no proof, no prompt");
    let proxy = steps.pass("verify before the first byte", stage.start_proxy("the proxy", &server.url)).await?;
    for (number, check) in proxy.checks.iter().enumerate() {
        output.note(format!("     {}", check_line(number + 1, check)));
    }
    let ask = ask::Client::new(&proxy.url, &stage.api_key).await?;
    let answer = steps.pass("ask through plain OpenAI HTTP, streamed", ask.stream(QUESTION, output)).await?;
    steps.pass("the answer's receipt", stage.receipt(&proxy.url, &answer.request_id)).await?;
    steps.pass("the plugin redacts what the model must not see", redacted(&ask, &stage, &proxy.url, output)).await?;

    steps.heading("Attacks: each must be refused, by its own code");
    attacks::run(steps, &stage, &server).await;
    Ok(Play { proxy, server, stage })
}

/// The file at hand, the tiny generated one, or the pinned download.
async fn model(arguments: &Demo, output: Output) -> Result<Model, Failure> {
    if let Some(path) = &arguments.model {
        let path = path.canonicalize().map_err(|e| Failure::file(path, &e))?;
        let name = path.file_stem().map_or_else(|| "model".into(), |name| name.to_string_lossy().to_lowercase());
        return Ok(Model {
            name: name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.', "-"),
            source: Source::File(path),
        });
    }
    if arguments.offline {
        output.note("a tiny generated model: this proves the path, not the language");
        return Ok(Model { name: "tiny-random".into(), source: Source::Generated });
    }
    let wanted = fetch::Wanted::built_in()?;
    let cache = match &arguments.cache {
        Some(cache) => cache.clone(),
        None => cache_directory()?,
    };
    Ok(Model { name: wanted.name.clone(), source: Source::File(wanted.get(&cache, output).await?) })
}

/// The demo's model.
struct Model {
    name: String,
    source: Source,
}

enum Source {
    File(PathBuf),
    Generated,
}

async fn redacted(ask: &ask::Client, stage: &Stage, proxy: &str, output: Output) -> Result<(), Failure> {
    output.note(format!("     we type: {PRIVATE}"));
    let answer = ask.whole(PRIVATE).await?;
    output.note(format!("     the model, which saw no more than this, says: {}", answer.text.trim()));
    if let Some(secret) = SECRETS.iter().find(|secret| answer.text.contains(**secret)) {
        return Err(Failure::new(Exit::Refused, "NOT_REDACTED", format!("the model knows {secret}")));
    }
    let receipt = stage.receipt(proxy, &answer.request_id).await?;
    let named = receipt["plugins"].as_array().is_some_and(|plugins| plugins.iter().any(|p| p == &stage.plugin_digest));
    if !named {
        let message = format!("the receipt does not name plugin {}", stage.plugin_digest);
        return Err(Failure::new(Exit::Refused, "RECEIPT", message));
    }
    output.note(format!("     the receipt names plugin {}", stage.plugin_digest));
    Ok(())
}

fn keep(play: &Play, output: Output) {
    let Play { proxy, server, stage } = play;
    let program = std::env::current_exe().map_or_else(|_| "strongroom".into(), |path| path.display().to_string());
    let (trust, state) = (stage.trust_file().display().to_string(), stage.state().display().to_string());
    let key = stage.api_key_file().display().to_string();
    let known = format!("--trust {trust} --state {state} --accept-simulated");
    output.note(format!(
        "\nEverything stays up until Ctrl-C. Type next:\n\
         \n  any OpenAI SDK   base_url={proxy}/v1  api_key=$(cat {key})\
         \n  {program} verify {server} {known} --explain\
         \n  {program} chat {server} {known} --api-key-file {key}\n",
        proxy = proxy.url,
        server = server.url,
    ));
}

fn next(stage: &Stage, output: Output) {
    output.note(format!(
        "\nType next:\n\
         \n  strongroom demo --keep   the same, and stays up: the proxy for any OpenAI SDK, `verify`, `chat`\
         \n  strongroom --help        the roles one by one\n\
         \nThe demo's directory {} is removed.",
        stage.root().display()
    ));
}

/// Where users keep what can be fetched again.
fn cache_directory() -> Result<PathBuf, Failure> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"))?;
        Some(Path::new(&home).join(".cache"))
    });
    let base = base.ok_or_else(|| Failure::usage("no home directory is known: say `--cache DIR`"))?;
    Ok(base.join("strongroom"))
}
