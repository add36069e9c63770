//! Sealing: a GGUF file or a directory in, a sealed model out.

use std::path::{Path, PathBuf};

use serde_json::json;
use strongroom_channel::cose::SigningKey;
use strongroom_channel::trust_file::Environment;
use strongroom_enclave_loader::{DepositPublicKey, SealError, SealOptions, Suite};

use super::progress::Bar;
use super::read_deposit_key;
use crate::exit_code::Exit;
use crate::key_file;
use crate::output::{Failure, Output};

/// What to seal, and how.
pub(super) struct Order {
    pub(super) source: PathBuf,
    pub(super) destination: PathBuf,
    pub(super) to: PathBuf,
    pub(super) publisher: PathBuf,
    pub(super) name: String,
    pub(super) version: u64,
    pub(super) previous: Option<String>,
    pub(super) base: Option<String>,
    pub(super) fips: bool,
    pub(super) development: bool,
}

pub(super) fn run(order: Order, output: Output) -> Result<Exit, Failure> {
    let Order { source, destination, to, publisher, name, version, previous, base, fips, development } = order;
    let environment = if development { Environment::Development } else { Environment::Production };
    let (publisher, to): (SigningKey, DepositPublicKey) = (read_signing_key(&publisher)?, read_deposit_key(&to)?);
    let mut options = SealOptions::new(name, version, environment, &publisher, &to);
    options.previous = previous.as_deref().map(model_id).transpose()?;
    options.base = base.as_deref().map(model_id).transpose()?;
    if fips {
        options.suite = Suite::Sha256;
    }

    let bar = Bar::new(output);
    let summary = strongroom_enclave_loader::seal(&source, &destination, &options, &|progress| bar.show(progress))
        .map_err(|error| failure(&error, &destination))?;
    bar.done();
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

fn read_signing_key(file: &Path) -> Result<SigningKey, Failure> {
    key_file::read(file)?.ok_or_else(|| {
        let message =
            format!("{} is no publisher's key; make one with `strongroom model publisher-key`", file.display());
        Failure::new(Exit::Malformed, "PUBLISHER_KEY", message)
    })
}

fn model_id(text: &str) -> Result<[u8; 32], Failure> {
    let mut id = [0; 32];
    hex::decode_to_slice(text, &mut id)
        .map_err(|_| Failure::usage(format!("`{text}` is no model id: 64 hexadecimal digits are wanted")))?;
    Ok(id)
}

fn failure(error: &SealError, destination: &Path) -> Failure {
    let mut failure = Failure::caused(Exit::from_code(error.exit_code()), error.code(), error);
    // The one failure that leaves work behind: a full disk, or one that failed.
    if matches!(error, SealError::Io { action: "write" | "flush", .. }) {
        let again = "make room, then run the same command again and it goes on";
        failure.message = format!("{}; {}.partial keeps what is done: {again}", failure.message, destination.display());
    }
    failure
}
