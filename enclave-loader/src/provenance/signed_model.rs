//! What a signature says of a model, and whether the files here are those.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_attestation::HexBytes;

use super::dsse::{Subject, digest};
use super::files::{FileDigest, is_below, root};
use super::limits::{MAX_IGNORED, MAX_RESOURCES};
use super::{ProvenanceError, Signer, json};
use crate::format::private::valid_path;

pub(super) const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";
pub(super) const METHOD_FILES: &str = "files";
pub(super) const SHA256: &str = "sha256";

/// The predicate. Members besides these two are to be ignored: its version 1.0 says so.
#[derive(Serialize, Deserialize)]
pub(super) struct Predicate {
    pub(super) serialization: Serialization,
    pub(super) resources: Vec<Resource>,
}

/// How the model was turned into digests. A member that is not known could change that.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Serialization {
    pub(super) method: String,
    pub(super) hash_type: String,
    pub(super) allow_symlinks: bool,
    #[serde(default)]
    pub(super) ignore_paths: Vec<String>,
    #[serde(default, skip_serializing)]
    pub(super) shard_size: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) algorithm: String,
    pub(super) digest: String,
}

/// A model that somebody trusted has signed: which files it has, and what is in them.
///
/// Only a verified signature makes one. It is about the files that were signed, not yet about those
/// that are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedModel {
    signer: Signer,
    name: String,
    root: HexBytes<32>,
    files: BTreeMap<String, [u8; 32]>,
    ignored: Vec<String>,
}

impl SignedModel {
    pub(super) fn read(signer: Signer, subject: Subject, predicate: Value) -> Result<Self, ProvenanceError> {
        let predicate: Predicate = json::typed(predicate, "the predicate of a model's signature")?;
        let ignored = predicate.serialization.check()?;
        if predicate.resources.len() > MAX_RESOURCES {
            return Err(ProvenanceError::TooLarge { what: "the files that are signed", limit: MAX_RESOURCES });
        }
        let mut files = BTreeMap::new();
        let mut digests = Vec::with_capacity(predicate.resources.len());
        for resource in predicate.resources {
            if resource.algorithm != SHA256 {
                return Err(ProvenanceError::unsupported("hash", &resource.algorithm));
            }
            if !valid_path(&resource.name) {
                return Err(ProvenanceError::Malformed("a signed path is relative, of plain names"));
            }
            if ignored.iter().any(|ignored| is_below(&resource.name, ignored)) {
                return Err(ProvenanceError::Malformed("a path is both signed and left out"));
            }
            let sha256 = digest(&resource.digest)?;
            digests.push(sha256);
            if files.insert(resource.name, sha256).is_some() {
                return Err(ProvenanceError::Malformed("a path is signed twice"));
            }
        }
        if files.is_empty() {
            return Err(ProvenanceError::Malformed("no file is signed"));
        }
        // The digests count in the order in which they are listed.
        if root(&digests) != subject.sha256 {
            return Err(ProvenanceError::RootDigest);
        }
        Ok(Self { signer, name: subject.name, root: HexBytes(subject.sha256), files, ignored })
    }

    /// Who signed.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// What the signer called the model: the name of a directory, for people only. Decide on the
    /// name of the sealed model instead.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest over the digests of all files.
    #[must_use]
    pub fn root(&self) -> HexBytes<32> {
        self.root
    }

    /// The files that are signed, sorted by the bytes of their paths.
    pub fn files(&self) -> impl ExactSizeIterator<Item = FileDigest> + '_ {
        self.files.iter().map(|(path, sha256)| FileDigest { path: path.clone(), sha256: HexBytes(*sha256) })
    }

    /// Paths that the signer left out, with all that is below them.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Whether one file is what was signed: for a loader that hashes `manifest.cbor` and leaves the
    /// rest to the manifest. It says nothing of other files.
    ///
    /// # Errors
    /// `Extra` for a path that is not signed, `Digest` for another content.
    pub fn check_file(&self, path: &str, sha256: &HexBytes<32>) -> Result<(), ProvenanceError> {
        let path_text = || super::error::shown(path);
        match self.files.get(path) {
            None => Err(ProvenanceError::Extra { path: path_text() }),
            Some(signed) if *signed != sha256.0 => Err(ProvenanceError::Digest { path: path_text() }),
            Some(_) => Ok(()),
        }
    }

    /// Compares with all files that are here: none is altered, none is missing, and none is there
    /// besides, but for those that the signer left out.
    ///
    /// `files` are all files of the model, in any order.
    ///
    /// # Errors
    /// `Digest`, `Extra`, `Missing`; `Options` where a path is given twice.
    pub fn check_files(self, files: &[FileDigest]) -> Result<VerifiedSignature, ProvenanceError> {
        let mut here = BTreeMap::new();
        let mut unsigned = Vec::new();
        for file in files {
            if here.insert(file.path.as_str(), ()).is_some() {
                return Err(ProvenanceError::Options { option: "files", problem: "name a path twice" });
            }
            if self.ignored.iter().any(|ignored| is_below(&file.path, ignored)) {
                unsigned.push(file.path.clone());
                continue;
            }
            self.check_file(&file.path, &file.sha256)?;
        }
        match self.files.keys().find(|path| !here.contains_key(path.as_str())) {
            Some(missing) => Err(ProvenanceError::Missing { path: super::error::shown(missing) }),
            None => Ok(VerifiedSignature { model: self, unsigned }),
        }
    }
}

impl Serialization {
    /// Only whole files under SHA-256, links not followed. Returns the paths that are left out.
    fn check(self) -> Result<Vec<String>, ProvenanceError> {
        if self.method != METHOD_FILES || self.shard_size.is_some() {
            return Err(ProvenanceError::unsupported("serialization", &self.method));
        }
        if self.hash_type != SHA256 {
            return Err(ProvenanceError::unsupported("hash", &self.hash_type));
        }
        if self.allow_symlinks {
            return Err(ProvenanceError::Unsupported { what: "a model signed through symbolic links".to_owned() });
        }
        if self.ignore_paths.len() > MAX_IGNORED {
            return Err(ProvenanceError::TooLarge { what: "the paths left out", limit: MAX_IGNORED });
        }
        // Others, as absolute ones, can match no file: older writers list them.
        Ok(self.ignore_paths.into_iter().filter(|path| valid_path(path)).collect())
    }
}

/// A signature by somebody trusted, over exactly the files that are here.
///
/// Only [`SignedModel::check_files`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSignature {
    model: SignedModel,
    unsigned: Vec<String>,
}

impl VerifiedSignature {
    /// What was signed, and by whom.
    #[must_use]
    pub fn model(&self) -> &SignedModel {
        &self.model
    }

    /// Who signed.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        self.model.signer()
    }

    /// That nothing but the signature itself is here unsigned.
    ///
    /// # Errors
    /// `Extra` for any other file that the signer left out.
    pub fn check_complete(&self) -> Result<(), ProvenanceError> {
        match self.unsigned.iter().find(|path| path.as_str() != super::SIGNATURE_FILE) {
            None => Ok(()),
            Some(path) => Err(ProvenanceError::Extra { path: super::error::shown(path) }),
        }
    }

    /// Files that are here although the signer left them out: nobody vouches for their content.
    #[must_use]
    pub fn unsigned(&self) -> &[String] {
        &self.unsigned
    }
}
