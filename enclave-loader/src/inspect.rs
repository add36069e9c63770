//! What can be said about a sealed model without its keys.

use serde::Serialize;
use strongroom_channel::cbor::{self, Value};

use crate::error::LoadError;
use crate::format::core::{Core, Hash, sha256};
use crate::format::manifest;
use crate::open::read_manifest;
use crate::store::Place;

/// The public part of a sealed model, for people and for `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// SHA-256 of the core, in hex.
    pub model_id: String,
    /// The artifact id, in hex.
    pub artifact_id: String,
    /// The model's name.
    pub name: String,
    /// The model's version.
    pub version: u64,
    /// "prod" or "dev".
    pub environment: &'static str,
    /// The number of the suite of algorithms.
    pub suite: u8,
    /// Seconds since 1970 at the beginning of sealing.
    pub created: u64,
    /// Bytes of plaintext in a full chunk.
    pub chunk_bytes: u32,
    /// The number of blobs.
    pub blobs: usize,
    /// Bytes of plaintext, padding included.
    pub bytes: u64,
    /// The number of sealing runs, each with its own key.
    pub runs: usize,
    /// Model id of the version before this one, in hex.
    pub previous: Option<String>,
    /// Model id of the model that this is an adapter or an update of, in hex.
    pub base: Option<String>,
}

impl Description {
    pub(crate) fn new(model_id: Hash, core: &Core) -> Self {
        let header = &core.header;
        Self {
            model_id: hex::encode(model_id),
            artifact_id: hex::encode(header.artifact_id),
            name: header.name.clone(),
            version: header.version,
            environment: header.environment.as_str(),
            suite: header.suite.number(),
            created: header.created,
            chunk_bytes: header.chunk_bytes(),
            blobs: core.blobs.len(),
            bytes: core.total_len(),
            runs: core.commitments.len(),
            previous: header.previous.map(hex::encode),
            base: header.base.map(hex::encode),
        }
    }
}

/// Describes the sealed model at `directory` without checking who signed it: good for looking,
/// not for deciding. [`open_manifest`](crate::open_manifest) checks.
///
/// # Errors
/// `Format`, `Unsupported` or `Io`.
pub fn inspect_unverified(place: impl Into<Place>) -> Result<Description, LoadError> {
    let bytes = read_manifest(&place.into())?;
    let (signed_core, _) = manifest::decode(&bytes)?;
    let payload = cbor::decode(signed_core)
        .and_then(Value::items_exactly::<4>)
        .and_then(|[_protected, _unprotected, payload, _signature]| payload.bytes())
        .map_err(|_| LoadError::Format("the signed core"))?;
    Ok(Description::new(sha256(payload), &Core::decode(payload)?))
}
