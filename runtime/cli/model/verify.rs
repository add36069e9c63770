//! Whether a sealed model is whole, and whose word there is on it.

use std::path::PathBuf;

use serde_json::json;
use strongroom_enclave_loader::provenance::{verify_beside, verify_inside};

use super::opened::{Opened, loading};
use super::progress::Bar;
use super::trusted::{Trusted, failure, public_key};
use crate::arguments::{Opener, Sealed, Signer};
use crate::exit_code::Exit;
use crate::key_file;
use crate::output::{Failure, Output};

/// What must hold besides.
pub(super) struct Wanted {
    /// Each file is the one that was sealed.
    pub(super) deep: bool,
    /// Who signed the files before they were sealed.
    pub(super) signer: Signer,
    /// Who sealed them.
    pub(super) sealer_key: Option<PathBuf>,
}

pub(super) fn run(which: &Sealed, opener: &Opener, wanted: &Wanted, output: Output) -> Result<Exit, Failure> {
    let signer = Trusted::read(&wanted.signer)?;
    let Opened { manifest, inside } = Opened::new(&which.sealed, &which.publisher, opener)?;
    if signer.is_some() && inside.is_none() {
        let message = "the producer's signature is inside: give the broker that has the keys with --broker";
        return Err(Failure::usage(message));
    }
    let description = manifest.description();
    let bar = Bar::new(output);
    let mut said = vec!["every byte is what the publisher signed".to_owned()];
    let mut verified = "ciphertext";
    match &inside {
        None => manifest.verify_ciphertext(&|progress| bar.show(progress)).map_err(|e| loading(&e))?,
        Some(model) => {
            model.verify_all(&|progress| bar.show(progress)).map_err(|e| loading(&e))?;
            verified = "content";
            said.push("it opens with the keys".to_owned());
            if wanted.deep {
                model.verify_files(&|progress| bar.show(progress)).map_err(|e| loading(&e))?;
                verified = "files";
                said.push("each file is the one that was sealed".to_owned());
            }
        }
    }
    bar.done();
    let mut value = json!({
        "result": "accepted", "verified": verified, "model_id": description.model_id, "bytes": description.bytes,
    });
    if let (Some(signer), Some(model)) = (&signer, &inside) {
        let signature = verify_inside(model, &signer.trust()).map_err(|e| failure(&e))?;
        value["signer"] = signature.signer().to_string().into();
        said.push(format!("its files were signed by {}", signature.signer()));
    }
    if let Some(file) = &wanted.sealer_key {
        let (publisher, key) = (key_file::parse_public(&which.publisher)?, public_key(file)?);
        let beside = verify_beside(&which.sealed, &publisher, &key).map_err(|e| failure(&e))?;
        let sealing = &beside.sealing;
        value["sealing"] = json!({
            "signer": sealing.signer, "sealer_version": sealing.sealer_version, "started": sealing.started,
            "finished": sealing.finished,
        });
        said.push(format!("it was sealed by key {} until {}", sealing.signer, sealing.finished));
    }
    let text = format!(
        "{} version {}\n  {}\nmodel id   {}",
        description.name,
        description.version,
        said.join("\n  "),
        description.model_id
    );
    output.result(&value, text);
    Ok(Exit::Done)
}
