//! Seeds of the targets of provenance: the captured signatures, what they are over, and a sealing.

use std::error::Error;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use strongroom_attestation::{HexBytes, UnixTime};
use strongroom_channel::trust_file::Environment;
use strongroom_enclave_loader::Suite;
use strongroom_enclave_loader::provenance::{EcSigningKey, FileDigest, Sealing, sign_sealing};

pub(super) fn write(
    vectors: &Path,
    mut write: impl FnMut(&str, &str, &[u8]) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    for folder in ["key", "certificate", "sigstore"] {
        let Ok(entries) = fs::read_dir(vectors.join("model-signing").join(folder)) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "sig") {
                let name = format!("{folder}-{}", path.file_stem().unwrap_or_default().to_string_lossy());
                let bytes = fs::read(&path)?;
                write("model_signature", &name, &bytes)?;
                let bundle: Value = serde_json::from_slice(&bytes)?;
                if let Some(payload) = bundle["dsseEnvelope"]["payload"].as_str() {
                    write("model_statement", &name, &STANDARD.decode(payload)?)?;
                }
            }
        }
    }
    let sources = [FileDigest { path: "model.gguf".to_owned(), sha256: HexBytes([1; 32]) }];
    let sealing = Sealing {
        name: "m",
        version: 1,
        suite: Suite::Blake3,
        environment: Environment::Development,
        model_id: [0; 32],
        sources: &sources,
        sealer_version: "0.1.0",
        started: UnixTime::from_secs(1_772_323_200),
        finished: UnixTime::from_secs(1_772_323_260),
    };
    let (line, _) = sign_sealing(&sealing, &EcSigningKey::generate()?)?;
    write("model_signature", "sealing", &line)?;
    let envelope: Value = serde_json::from_slice(&line)?;
    write("model_statement", "sealing", &STANDARD.decode(envelope["payload"].as_str().unwrap_or_default())?)
}
