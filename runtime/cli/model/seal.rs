//! Sealing: a GGUF file or a directory in, a sealed model out.

use std::fs;
use std::path::Path;

use serde_json::json;
use strongroom_channel::cose::SigningKey;
use strongroom_channel::trust_file::Environment;
use strongroom_enclave_loader::provenance::{
    EcSigningKey, Licence, ModelSignature, SIGNATURE_FILE, SignedModel, Told, write_beside,
};
use strongroom_enclave_loader::{DepositPublicKey, SealError, SealOptions, Suite};

use super::progress::Bar;
use super::read_deposit_key;
use super::trusted::{self, Trusted, now};
use crate::arguments::Seal;
use crate::exit_code::Exit;
use crate::key_file;
use crate::output::{Failure, Output};

pub(super) fn run(order: Seal, output: Output) -> Result<Exit, Failure> {
    let signed = verified(&order)?;
    let Seal { source, destination, to, publisher, name, version, previous, base, fips, development, .. } = order;
    let environment = if development { Environment::Development } else { Environment::Production };
    let (publisher, to): (SigningKey, DepositPublicKey) = (read_signing_key(&publisher)?, read_deposit_key(&to)?);
    let mut options = SealOptions::new(name, version, environment, &publisher, &to);
    options.previous = previous.as_deref().map(model_id).transpose()?;
    options.base = base.as_deref().map(model_id).transpose()?;
    if fips {
        options.suite = Suite::Sha256;
    }

    // Before hours of sealing: the signature holds, and there is a key to sign with.
    options.signed = signed;
    let signing_key = order.signing_key.as_deref().map(signing_key).transpose()?;
    let started = now();

    let bar = Bar::new(output);
    let summary = strongroom_enclave_loader::seal(&source, &destination, &options, &|progress| bar.show(progress))
        .map_err(|error| failure(&error, &destination))?;
    bar.done();
    for name in &summary.skipped {
        output.note(format!("left out the hidden file {name}"));
    }
    if let Some(key) = &signing_key {
        let licences: Vec<Licence> = order.licence.into_iter().map(Licence::Spdx).collect();
        let sealer_version = env!("CARGO_PKG_VERSION");
        let told = Told { licences: &licences, sealer_version, started, finished: now() };
        let publisher = options.publisher.verifying_key();
        let salt = write_beside(&destination, &publisher, &summary, &told, key).map_err(|e| trusted::failure(&e))?;
        let file = destination.with_added_extension("salt");
        key_file::write_secret(&file, salt.to_text().as_bytes())?;
        output.note(format!("{}: keep it with the keys; it opens the digest of the sources", file.display()));
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

/// What the producer signed, where somebody is asked for. Whether the files are those shows while they are
/// sealed.
fn verified(order: &Seal) -> Result<Option<SignedModel>, Failure> {
    let Some(trusted) = Trusted::read(&order.signer)? else { return Ok(None) };
    let file = order.model_signature.clone().unwrap_or_else(|| order.source.join(SIGNATURE_FILE));
    let bytes = fs::read(&file).map_err(|e| Failure::file(&file, &e))?;
    let signed = ModelSignature::read(&bytes).and_then(|signature| signature.verify(&trusted.trust()));
    signed.map(Some).map_err(|e| trusted::failure(&e))
}

fn signing_key(file: &Path) -> Result<EcSigningKey, Failure> {
    let text = zeroize::Zeroizing::new(fs::read_to_string(file).map_err(|e| Failure::file(file, &e))?);
    EcSigningKey::from_pem(&text).map_err(|e| trusted::failure(&e))
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
