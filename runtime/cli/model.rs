//! `strongroom model …`: what a tenant does with a model before it is deployed.

use std::fs;
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use strongroom_channel::cose::SigningKey;
use strongroom_channel::trust_file::Environment;
use strongroom_enclave_loader::{DepositPublicKey, LoadError, Progress, SealError, SealOptions};

use crate::arguments::Model;
use crate::exit_code::Exit;
use crate::key_file;
use crate::output::{Failure, Output};

pub(crate) fn run(command: Model, output: Output) -> Result<Exit, Failure> {
    // The publisher's key, a model's key and its weights pass through: no core, undumpable. No --strict:
    // this runs where the tenant trusts the machine.
    let _ = strongroom_enclave_loader::protect_process();
    match command {
        Model::PublisherKey { file } => publisher_key(&file, output),
        Model::Seal { source, destination, to, publisher, name, version, development } => {
            let environment = if development { Environment::Development } else { Environment::Production };
            let (publisher, to) = (read_signing_key(&publisher)?, read_deposit_key(&to)?);
            let options = SealOptions::new(name, version, environment, &publisher, &to);
            seal(&source, &destination, &options, output)
        }
        Model::Inspect { sealed, publisher } => inspect(&sealed, &publisher, output),
    }
}

fn publisher_key(file: &Path, output: Output) -> Result<Exit, Failure> {
    let public = hex::encode(key_file::generate(file)?.to_bytes());
    output.result(&json!({ "publisher": public }), &public);
    Ok(Exit::Done)
}

fn seal(source: &Path, destination: &Path, options: &SealOptions<'_>, output: Output) -> Result<Exit, Failure> {
    let bar = progress_bar(output);
    let progress = |progress: Progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    };
    let summary = strongroom_enclave_loader::seal(source, destination, options, &progress)
        .map_err(|error| sealing(&error, destination))?;
    bar.finish_and_clear();
    for name in &summary.skipped {
        output.note(format!("left out the hidden file {name}"));
    }
    let publisher = hex::encode(options.publisher.verifying_key().to_bytes());
    let id = hex::encode(summary.model_id);
    let value = json!({
        "model_id": id, "artifact_id": hex::encode(summary.artifact_id), "bytes": summary.bytes,
        "files": summary.files, "publisher": publisher, "sealed": destination,
    });
    output.result(
        &value,
        format!("files      {}\nbytes      {}\nmodel id   {id}\npublisher  {publisher}", summary.files, summary.bytes),
    );
    Ok(Exit::Done)
}

fn inspect(sealed: &Path, publisher: &str, output: Output) -> Result<Exit, Failure> {
    let manifest = strongroom_enclave_loader::open_manifest(sealed, &key_file::parse_public(publisher)?)
        .map_err(|e| loading(&e))?;
    let description = manifest.description();
    let text = serde_json::to_string_pretty(&description).unwrap_or_default();
    output.result(&description, text);
    Ok(Exit::Done)
}

/// What the simulated platform measures: the image that it would have launched.
#[cfg(feature = "simulated")]
pub(crate) fn measured_image(image: &Path) -> Result<[u8; 48], Failure> {
    let bytes = fs::read(image).map_err(|e| Failure::file(image, &e))?;
    Ok(strongroom_simulated_platform::launch_measurement(&bytes))
}

fn read_signing_key(file: &Path) -> Result<SigningKey, Failure> {
    key_file::read(file)?.ok_or_else(|| {
        let message =
            format!("{} is no publisher's key; make one with `strongroom model publisher-key`", file.display());
        Failure::new(Exit::Malformed, "PUBLISHER_KEY", message)
    })
}

fn read_deposit_key(file: &Path) -> Result<DepositPublicKey, Failure> {
    let bytes = fs::read(file).map_err(|e| Failure::file(file, &e))?;
    std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        let message = format!(
            "{} is no broker's deposit key; give the deposit.pub that `strongroom broker init` wrote",
            file.display()
        );
        Failure::new(Exit::Malformed, "DEPOSIT_KEY", message)
    })
}

fn progress_bar(output: Output) -> ProgressBar {
    let target = if output.interactive() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn sealing(error: &SealError, destination: &Path) -> Failure {
    let mut failure = Failure::caused(Exit::from_code(error.exit_code()), error.code(), error);
    // The one failure that leaves work behind: a full disk, or one that failed.
    if matches!(error, SealError::Io { action: "write" | "flush", .. }) {
        let again = "make room, then run the same command again and it goes on";
        failure.message = format!("{}; {}.partial keeps what is done: {again}", failure.message, destination.display());
    }
    failure
}

fn loading(error: &LoadError) -> Failure {
    Failure::caused(Exit::from_code(error.exit_code()), error.code(), error)
}
