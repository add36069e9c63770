//! `strongroom serve`: the server in the confidential VM.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use strongroom_attestation::Code;
use strongroom_enclave_loader::release::ReleaseError;
use strongroom_enclave_loader::{ProtectionReport, protect_process};
use strongroom_runtime::{
    Config, Devices, EngineChoice, Event, EventSink, EvidenceSource, GpusConfig, InstanceClock, NvmlSource, Running,
    Setup, StartError,
};

use crate::arguments::Serve;
use crate::exit_code::Exit;
use crate::output::{Failure, Output};
use crate::signals::Asked;
#[cfg(feature = "simulated")]
use crate::simulated::Launched;

pub(crate) async fn run(arguments: Serve, output: Output) -> Result<Exit, Failure> {
    let config = config(&arguments)?;
    if arguments.print_config_digest {
        let digest = hex::encode(config.digest());
        output.result(&json!({ "config_digest": digest }), &digest);
        return Ok(Exit::Done);
    }
    protect(config.strict, output)?;
    let source = source(&arguments, &config, Path::new("/"))?;
    let devices = devices(&arguments, &config)?;
    let setup = Setup {
        config,
        source,
        devices,
        clock: InstanceClock::system(),
        events: sink(output),
        engine: EngineChoice::Model,
    };
    let mut asked = Asked::listen();
    let running = tokio::select! {
        started = strongroom_runtime::start(setup) => started.map_err(|error| failure(&error))?,
        () = asked.next() => {
            return Err(Failure::new(Exit::Failed, "STOPPED", "stopped on request before anything was served"));
        }
    };
    tokio::select! {
        end = running.lease_ended() => {
            let message = format!("the broker ended the lease ({end:?}): no model is left to serve");
            Err(Failure::new(Exit::Refused, "LEASE_ENDED", message))
        }
        () = drained(&running, &mut asked) => {
            running.stop().await;
            Ok(Exit::Done)
        }
    }
}

/// Waits until the server has drained, since the operator or the process's manager asked it to. Whoever asks the
/// process again does not wait.
async fn drained(running: &Running, asked: &mut Asked) {
    tokio::select! {
        () = running.drained() => return,
        () = asked.next() => running.drain().await,
    }
    tokio::select! {
        () = running.drained() => {}
        () = asked.next() => {}
    }
}

/// File and flags together are the configuration as meant.
fn config(arguments: &Serve) -> Result<Config, Failure> {
    let text = fs::read_to_string(&arguments.config).map_err(|e| Failure::file(&arguments.config, &e))?;
    let wrong = |error: strongroom_runtime::ConfigError| {
        let message = format!("{}: {error}", arguments.config.display());
        Failure::new(Exit::Usage, "CONFIG", message)
    };
    let mut config = Config::from_toml(&text).map_err(wrong)?;
    if let Some(listen) = &arguments.listen {
        config.listen.clone_from(listen);
    }
    config.strict |= arguments.strict;
    #[cfg(feature = "simulated")]
    if let Some(count) = arguments.gpus {
        let written = config.gpus.take();
        let none = GpusConfig { count, switches: 0, endorsements: None, require_manifests: false };
        config.gpus = Some(GpusConfig { count, ..written.unwrap_or(none) });
    }
    config.checked().map_err(wrong)
}

/// Plaintext memory is a property of the process (decision 9): no core, undumpable.
fn protect(strict: bool, output: Output) -> Result<(), Failure> {
    let report = protect_process();
    if report.is_complete() {
        return Ok(());
    }
    let lacking = lacking(&report);
    let lacking = lacking.join("; ");
    if strict {
        let message = format!("this system cannot keep plaintext off disk: {lacking}; mend it, or leave out --strict");
        return Err(Failure::new(Exit::Refused, "UNPROTECTED_MEMORY", message));
    }
    output.note(format!("warning: {lacking}"));
    Ok(())
}

fn lacking(report: &ProtectionReport) -> Vec<&'static str> {
    let mut lacking = Vec::new();
    if report.dumpable != Some(false) {
        lacking.push("other processes of this user can read this one's memory");
    }
    if report.core_limit != Some(0) {
        lacking.push("a crash would write a core file");
    }
    if report.swap != Some(false) {
        lacking.push("memory can be swapped out: turn swap off");
    }
    lacking
}

/// `root` is where the machine's file system begins.
#[cfg(feature = "simulated")]
fn source(arguments: &Serve, config: &Config, root: &Path) -> Result<Arc<dyn EvidenceSource>, Failure> {
    use strongroom_runtime::hardware_present;

    // A program that can simulate does not run where it could be mistaken (protocol.md A18).
    if hardware_present(root) {
        return Err(failure(&StartError::SimulatedOnHardware));
    }
    let (Some(platform), Some(directory)) = (&arguments.simulated, &arguments.device) else {
        return strongroom_runtime::detect().map_err(|error| failure(&error.into()));
    };
    let image = match &arguments.simulated_image {
        Some(image) => image.clone(),
        None => std::env::current_exe().map_err(|e| Failure::new(Exit::Failed, "IO", e))?,
    };
    let launched = Launched { image: crate::model::measured_image(&image)?, configuration: config.digest() };
    let machine =
        launched.on(platform, directory).map_err(|error| Failure::caused(Exit::Failed, "SIMULATED_DEVICE", &error))?;
    Ok(Arc::new(strongroom_runtime::SimulatedSource::new(machine)))
}

#[cfg(not(feature = "simulated"))]
fn source(_: &Serve, _: &Config, _: &Path) -> Result<Arc<dyn EvidenceSource>, Failure> {
    strongroom_runtime::detect().map_err(|error| failure(&error.into()))
}

/// The machine's GPUs, simulated ones where the platform is.
fn devices(arguments: &Serve, config: &Config) -> Result<Option<Devices>, Failure> {
    #[cfg(feature = "simulated")]
    if let Some(device) = arguments.simulated.as_ref().and(arguments.device.as_ref()) {
        return config.gpus.as_ref().map(|gpus| simulated_devices(&device.join(GPUS), gpus)).transpose();
    }
    #[cfg(not(feature = "simulated"))]
    let _ = arguments;
    let gpus = NvmlSource::detect().map_err(|error| Failure::new(Exit::Refused, "DEVICES", error))?;
    match (gpus, &config.gpus) {
        (Some(gpus), Some(config)) => Ok(Some(Devices::of_hardware(Arc::new(gpus), config))),
        // What nobody named is not used, and not passed over either.
        (Some(_), None) => Err(Failure::new(
            Exit::Refused,
            "DEVICES",
            "this machine has NVIDIA GPUs that the configuration does not name: add [gpus] with their count",
        )),
        (None, _) => Ok(None),
    }
}

/// The folder of a simulated machine's GPUs, in that of its CPU.
#[cfg(feature = "simulated")]
pub(crate) const GPUS: &str = "gpus";

#[cfg(feature = "simulated")]
fn simulated_devices(folder: &Path, config: &GpusConfig) -> Result<Devices, Failure> {
    use strongroom_runtime::SimulatedGpus;
    use strongroom_simulated_platform::{SimulatedNvidia, SimulationError};

    let failed = |error: SimulationError| Failure::caused(Exit::Failed, "SIMULATED_DEVICE", &error);
    let now = InstanceClock::system().now();
    let (vendor, set) = SimulatedNvidia::from_directory(folder, now).map_err(failed)?;
    let gpus = SimulatedGpus::new(set);
    let endorsements = gpus.endorsements().map_err(failed)?;
    let roots = SimulatedGpus::roots(&vendor);
    let roots = roots.map_err(|refusal| Failure::new(Exit::Failed, "SIMULATED_DEVICE", refusal))?;
    Ok(Devices::simulated(Arc::new(gpus), config, endorsements, roots))
}

fn sink(output: Output) -> EventSink {
    Arc::new(move |event: &Event| {
        if output.json {
            output.result(event, "");
        } else {
            output.note(event);
        }
    })
}

fn failure(error: &StartError) -> Failure {
    let mut failure = Failure::caused(Exit::from_code(error.exit_code()), error.code(), error);
    if let StartError::Release(ReleaseError::RefusedByBroker { code, checks, .. }) = error {
        failure.checks.clone_from(checks);
        if let Some(code) = Code::from_text(code) {
            failure.message = format!("{}. {}", failure.message, code.advice());
        }
    }
    failure
}

#[cfg(all(test, feature = "simulated"))]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn refused_on_hardware(root: &Path, simulated: &[&str]) -> bool {
        let arguments = [&["strongroom", "serve", "--config", "server.toml"], simulated].concat();
        let Command::Serve(arguments) = Arguments::parse_from(arguments).command else { panic!("another command") };
        let config = include_str!("../../examples/deployment/server.toml");
        let found = source(&arguments, &Config::from_toml(config).unwrap(), root);
        found.err().is_some_and(|failure| failure.code == "SIMULATED_ON_HARDWARE" && failure.exit == Exit::Refused)
    }

    #[test]
    fn a_program_that_can_simulate_does_not_serve_where_a_real_platform_is() {
        for device in ["dev/sev-guest", "dev/tdx_guest", "sys/kernel/config/tsm/report"] {
            let root = tempfile::tempdir().unwrap();
            let simulated = ["--simulated", "snp", "--device", "none"];
            assert!(!refused_on_hardware(root.path(), &simulated), "nothing real is there");
            fs::create_dir_all(root.path().join(device)).unwrap();
            assert!(refused_on_hardware(root.path(), &simulated), "{device}");
            assert!(refused_on_hardware(root.path(), &[]), "{device}: nor without the flag");
        }
    }
}
