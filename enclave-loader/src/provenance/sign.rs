//! Our own signature over a sealed model, for the readers of the model-signing package.

use super::bundle::BundleText;
use super::dsse::{Envelope, Statement, Subject};
use super::files::{is_below, root, sort};
use super::limits::{MAX_IGNORED, MAX_NAME_BYTES, MAX_RESOURCES};
use super::signed_model::{METHOD_FILES, PREDICATE_TYPE, Predicate, Resource, SHA256, Serialization};
use super::{EcSigningKey, FileDigest, ProvenanceError};
use crate::format::private::valid_path;

/// Where the signature lies beside a sealed model.
pub const SIGNATURE_FILE: &str = "model.sig";

/// What a signature over a sealed model leaves out: itself, and the wrapped keys, which are replaced
/// without a new signature (docs/specs/sealed-model.md, "Wrapped keys").
pub const SEALED_IGNORED: [&str; 2] = ["keys.cbor", SIGNATURE_FILE];

/// Signs `files` under the name of a directory, leaving out `ignored` and what is below it. Returns
/// the bytes of a Sigstore bundle 0.3 that the model-signing package verifies with the public key.
///
/// For a sealed model: `sign_model("llama.sealed", &hash_directory(dir, &SEALED_IGNORED)?, &SEALED_IGNORED, &key)`.
///
/// # Errors
/// `Options` for files that no model can hold, that repeat, that are left out as well, or for none;
/// `TooLarge`; `Crypto`.
pub fn sign_model(
    name: &str,
    files: &[FileDigest],
    ignored: &[&str],
    key: &EcSigningKey,
) -> Result<Vec<u8>, ProvenanceError> {
    let mut files = files.to_vec();
    sort(&mut files);
    check(name, &files, ignored)?;
    let subject = Subject { name: name.to_owned(), sha256: root(files.iter().map(|file| &file.sha256.0)) };
    let resource = |file: &FileDigest| Resource {
        name: file.path.clone(),
        algorithm: SHA256.to_owned(),
        digest: file.sha256.to_string(),
    };
    let predicate = Predicate {
        serialization: Serialization {
            method: METHOD_FILES.to_owned(),
            hash_type: SHA256.to_owned(),
            allow_symlinks: false,
            ignore_paths: ignored.iter().map(|&path| path.to_owned()).collect(),
            shard_size: None,
        },
        resources: files.iter().map(resource).collect(),
    };
    let statement = Statement::about(&subject, PREDICATE_TYPE, predicate);
    let bundle = BundleText::by_key(key.public().hint(), Envelope::sign(&statement, key, "")?);
    serde_json::to_vec(&bundle).map_err(|_| ProvenanceError::Crypto { what: "writing a bundle" })
}

fn check(name: &str, sorted: &[FileDigest], ignored: &[&str]) -> Result<(), ProvenanceError> {
    let wrong = |option, problem| Err(ProvenanceError::Options { option, problem });
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        return wrong("name", "has 1 to 1,024 bytes, without control characters");
    }
    if sorted.is_empty() {
        return wrong("files", "are none: there is nothing to sign");
    }
    if sorted.len() > MAX_RESOURCES || ignored.len() > MAX_IGNORED {
        return Err(ProvenanceError::TooLarge { what: "the files to sign", limit: MAX_RESOURCES });
    }
    if sorted.iter().map(|file| file.path.as_str()).chain(ignored.iter().copied()).any(|path| !valid_path(path)) {
        return wrong("files", "have a path that is not relative, of plain names");
    }
    if sorted.windows(2).any(|pair| matches!(pair, [one, other] if one.path == other.path)) {
        return wrong("files", "name a path twice");
    }
    if sorted.iter().any(|file| ignored.iter().any(|ignored| is_below(&file.path, ignored))) {
        return wrong("files", "hold one that is left out");
    }
    Ok(())
}
