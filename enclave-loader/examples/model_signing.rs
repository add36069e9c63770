//! Signs and verifies a directory in the format of OpenSSF Model Signing, and writes what lies beside
//! a sealed model: for `.ci/model-signing-interop.sh`, and as the shortest use of the interface.
//!
//! ```text
//! model_signing keygen KEY PUB
//! model_signing sign KEY DIR                              writes DIR/model.sig
//! model_signing verify-key PUB DIR                        exit 0 verified, 3 refused, 4 malformed
//! model_signing verify-certificate ROOTS TIME DIR
//! model_signing verify-sigstore TRUSTED_ROOT IDENTITY ISSUER DIR
//! model_signing provenance KEY MODEL_ID DIR               writes DIR/provenance.intoto.jsonl
//! model_signing bom MODEL_ID DIR                          writes DIR/bom.cdx.json
//! ```

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use strongroom_attestation::{HexBytes, UnixTime};
use strongroom_channel::trust_file::Environment;
use strongroom_enclave_loader::Suite;
use strongroom_enclave_loader::provenance::{
    BOM_FILE, CertificateRoots, EcPublicKey, EcSigningKey, Licence, ModelBom, ModelSignature, PROVENANCE_FILE,
    ProvenanceError, SEALED_IGNORED, SIGNATURE_FILE, Sealing, Trust, TrustedRoot, hash_directory, sign_model,
    sign_sealing, verify_sealing,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let refusal = error.downcast_ref::<ProvenanceError>();
            eprintln!("{}: {error}", refusal.map_or("ERROR", ProvenanceError::code));
            ExitCode::from(refusal.map_or(1, ProvenanceError::exit_code))
        }
    }
}

fn run(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    match arguments {
        ["keygen", key, public] => {
            let pair = EcSigningKey::generate()?;
            fs::write(key, pair.to_pem()?.as_bytes())?;
            fs::write(public, pair.public().to_pem())?;
            Ok(format!("key sha256:{}", pair.public().fingerprint()))
        }
        ["sign", key, directory] => {
            let path = Path::new(directory);
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("model");
            let files = hash_directory(path, &SEALED_IGNORED)?;
            let signature = sign_model(name, &files, &SEALED_IGNORED, &signing_key(key)?)?;
            fs::write(path.join(SIGNATURE_FILE), signature)?;
            Ok(format!("signed {} files", files.len()))
        }
        ["verify-key", public, directory] => {
            let key = EcPublicKey::from_pem(&fs::read_to_string(public)?)?;
            verify(directory, &Trust::Key(&key))
        }
        ["verify-certificate", roots, time, directory] => {
            let roots = CertificateRoots::from_pem(&fs::read_to_string(roots)?)?;
            let at = UnixTime::parse_rfc3339(time).ok_or("TIME is RFC 3339, as 2026-03-01T00:00:00Z")?;
            verify(directory, &Trust::Certificates { roots: &roots, at })
        }
        ["verify-sigstore", root, identity, issuer, directory] => {
            let root = TrustedRoot::from_json(&fs::read(root)?)?;
            verify(directory, &Trust::Sigstore { root: &root, identity, issuer })
        }
        ["provenance", key, model_id, directory] => provenance(&signing_key(key)?, model_id, Path::new(directory)),
        ["bom", model_id, directory] => bom(model_id, Path::new(directory)),
        _ => Err("see the first lines of this example for what it can do".into()),
    }
}

fn verify(directory: &str, trust: &Trust<'_>) -> Result<String, Box<dyn Error>> {
    let path = Path::new(directory);
    let signature = ModelSignature::read(&fs::read(path.join(SIGNATURE_FILE))?)?;
    let verified = signature.verify(trust)?.check_files(&hash_directory(path, &[])?)?;
    let signed = verified.model().files().len();
    let mut said = format!("{signed} files signed by {}", verified.signer());
    for path in verified.unsigned() {
        said.push_str(&format!("\n  not signed: {path}"));
    }
    Ok(said)
}

fn provenance(key: &EcSigningKey, model_id: &str, directory: &Path) -> Result<String, Box<dyn Error>> {
    let sources = hash_directory(directory, &[PROVENANCE_FILE])?;
    let model_id = HexBytes::<32>::from_hex(model_id).ok_or("MODEL_ID is 64 hexadecimal digits")?.0;
    let sealing = Sealing {
        name: "example",
        version: 1,
        suite: Suite::Blake3,
        environment: Environment::Development,
        model_id,
        sources: &sources,
        sealer_version: env!("CARGO_PKG_VERSION"),
        started: UnixTime::from_secs(1_790_000_000),
        finished: UnixTime::from_secs(1_790_000_060),
    };
    let (bytes, salt) = sign_sealing(&sealing, key)?;
    verify_sealing(&bytes, key.public(), &model_id)?.check_sources(&salt, &sources)?;
    fs::write(directory.join(PROVENANCE_FILE), bytes)?;
    Ok("provenance signed, and read again".to_owned())
}

fn bom(model_id: &str, directory: &Path) -> Result<String, Box<dyn Error>> {
    let bom = ModelBom {
        name: "example",
        version: 1,
        model_id: HexBytes::<32>::from_hex(model_id).ok_or("MODEL_ID is 64 hexadecimal digits")?.0,
        licences: &[Licence::Spdx("Apache-2.0".to_owned()), Licence::Named("Acceptable Use".to_owned())],
        task: Some("text-generation"),
        architecture_family: Some("qwen2"),
        architecture: Some("Qwen2ForCausalLM"),
        tool_version: env!("CARGO_PKG_VERSION"),
        timestamp: UnixTime::from_secs(1_790_000_000),
    };
    fs::write(directory.join(BOM_FILE), bom.to_json()?)?;
    Ok(bom.serial_number())
}

fn signing_key(path: &str) -> Result<EcSigningKey, Box<dyn Error>> {
    Ok(EcSigningKey::from_pem(&fs::read_to_string(path)?)?)
}
