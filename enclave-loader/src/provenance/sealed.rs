//! Provenance and a sealed model together: the producer's signature that travels inside, and ours that
//! lies beside.

use std::fs;
use std::io::Read;
use std::path::Path;

use strongroom_attestation::UnixTime;
use strongroom_channel::cose::VerifyingKey;

use super::limits::{MAX_BUNDLE_BYTES, MAX_PROVENANCE_BYTES};
use super::{
    BOM_FILE, EcPublicKey, EcSigningKey, FileDigest, Licence, ModelBom, ModelSignature, PROVENANCE_FILE,
    ProvenanceError, SEALED_IGNORED, SIGNATURE_FILE, Sealing, SourceSalt, Trust, VerifiedSealing, VerifiedSignature,
    hash_directory, sign_model, sign_sealing, verify_sealing,
};
use crate::{LoadError, SealedModel, SealedSummary, open_manifest};

/// Verifies the producer's signature that was sealed with the model, `model.sig`: it is by somebody who is
/// trusted, over exactly the files inside, by the digests that the publisher sealed with them
/// ([`SealedModel::verify_files`] compares those with the content).
///
/// # Errors
/// `Missing` where there is none; those of [`ModelSignature::verify`] and of the comparison.
pub fn verify_inside(model: &SealedModel, trust: &Trust<'_>) -> Result<VerifiedSignature, ProvenanceError> {
    let unreadable = |error: &LoadError| ProvenanceError::Io {
        action: "read",
        path: SIGNATURE_FILE.to_owned(),
        detail: error.to_string(),
    };
    let mut reader = match model.reader(SIGNATURE_FILE) {
        Ok(reader) => reader.take(limit(MAX_BUNDLE_BYTES)),
        Err(_) => return Err(ProvenanceError::Missing { path: SIGNATURE_FILE.to_owned() }),
    };
    let mut bytes = Vec::new();
    if let Err(error) = reader.read_to_end(&mut bytes) {
        let cause = model.take_failure();
        return Err(cause.map_or_else(|| io(Path::new(SIGNATURE_FILE), &error), |cause| unreadable(&cause)));
    }
    let files: Vec<FileDigest> = model.files().iter().map(FileDigest::from).collect();
    let verified = ModelSignature::read(&bytes)?.verify(trust)?.check_files(&files)?;
    verified.check_complete()?;
    Ok(verified)
}

/// Whose word is beside a sealed model.
#[derive(Debug)]
pub struct Beside {
    /// Over all that is public.
    pub signature: VerifiedSignature,
    /// Who sealed it, when, with what.
    pub sealing: VerifiedSealing,
}

/// Verifies what lies beside the sealed model in `directory`: `model.sig` over all its files but the
/// replaceable keys, and the provenance of the sealing, both by `key`. `publisher` signed the manifest.
///
/// # Errors
/// Those of the two verifications; `Io`, and `Malformed` for a manifest that is not the publisher's.
pub fn verify_beside(directory: &Path, publisher: &VerifyingKey, key: &EcPublicKey) -> Result<Beside, ProvenanceError> {
    let manifest = open_manifest(directory, publisher);
    let manifest = manifest.map_err(|_| ProvenanceError::Malformed("the manifest is not the publisher's"))?;
    let signature = ModelSignature::read(&read(directory, SIGNATURE_FILE, MAX_BUNDLE_BYTES)?)?;
    let files = hash_directory(directory, &SEALED_IGNORED)?;
    let signature = signature.verify(&Trust::Key(key))?.check_files(&files)?;
    let sealing = read(directory, PROVENANCE_FILE, MAX_PROVENANCE_BYTES)?;
    let sealing = verify_sealing(&sealing, key, &manifest.model_id())?;
    Ok(Beside { signature, sealing })
}

/// What a sealer says about a sealing, besides what the sealing itself says.
#[derive(Debug)]
pub struct Told<'a> {
    /// Licences of the model.
    pub licences: &'a [Licence],
    /// Version of the sealer.
    pub sealer_version: &'a str,
    /// When sealing began.
    pub started: UnixTime,
    /// When it was done.
    pub finished: UnixTime,
}

/// Writes beside the sealed model in `directory` its bill of materials, the provenance of its sealing,
/// and a signature over all of it, by `key`. Returns the salt that opens the digest of the sources: for
/// the tenant alone.
///
/// # Errors
/// Those of making them; `Io`.
pub fn write_beside(
    directory: &Path,
    publisher: &VerifyingKey,
    summary: &SealedSummary,
    told: &Told<'_>,
    key: &EcSigningKey,
) -> Result<SourceSalt, ProvenanceError> {
    let manifest = open_manifest(directory, publisher);
    let manifest = manifest.map_err(|_| ProvenanceError::Malformed("the manifest is not the publisher's"))?;
    let bom = ModelBom {
        name: manifest.name(),
        version: manifest.version(),
        model_id: summary.model_id,
        licences: told.licences,
        task: None,
        architecture_family: None,
        architecture: None,
        tool_version: told.sealer_version,
        timestamp: told.finished,
    };
    write(directory, BOM_FILE, &bom.to_json()?)?;
    let sources: Vec<FileDigest> = summary.entries.iter().map(FileDigest::from).collect();
    let sealing = Sealing {
        name: manifest.name(),
        version: manifest.version(),
        suite: manifest.suite(),
        environment: manifest.environment(),
        model_id: summary.model_id,
        sources: &sources,
        sealer_version: told.sealer_version,
        started: told.started,
        finished: told.finished,
    };
    let (provenance, salt) = sign_sealing(&sealing, key)?;
    write(directory, PROVENANCE_FILE, &provenance)?;
    // Last, so that it covers the rest.
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or("model");
    let files = hash_directory(directory, &SEALED_IGNORED)?;
    write(directory, SIGNATURE_FILE, &sign_model(name, &files, &SEALED_IGNORED, key)?)?;
    Ok(salt)
}

fn read(directory: &Path, file: &str, most: usize) -> Result<Vec<u8>, ProvenanceError> {
    let path = directory.join(file);
    let mut bytes = Vec::new();
    let read = fs::File::open(&path).and_then(|file| file.take(limit(most)).read_to_end(&mut bytes));
    read.map_err(|error| io(&path, &error))?;
    Ok(bytes)
}

/// One byte more than may be there, so that too much is seen.
fn limit(most: usize) -> u64 {
    u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1)
}

fn write(directory: &Path, file: &str, bytes: &[u8]) -> Result<(), ProvenanceError> {
    let path = directory.join(file);
    fs::write(&path, bytes).map_err(|error| ProvenanceError::io("write", &path, &error))
}

fn io(path: &Path, error: &std::io::Error) -> ProvenanceError {
    ProvenanceError::io("read", path, error)
}
