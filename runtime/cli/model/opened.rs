//! A sealed model as far as somebody here can open it.

use std::path::Path;

use strongroom_enclave_loader::{LoadError, SealedModel, SignedManifest, open_manifest};

use crate::arguments::Opener;
use crate::exit_code::Exit;
use crate::key_file;
use crate::output::Failure;

/// A manifest whose signature holds, and what is inside if the keys are here.
pub(super) struct Opened {
    pub(super) manifest: SignedManifest,
    pub(super) inside: Option<SealedModel>,
}

impl Opened {
    /// The sealed model at `sealed`, signed by `publisher`, with the keys of `opener`.
    pub(super) fn new(sealed: &Path, publisher: &str, opener: &Opener) -> Result<Self, Failure> {
        let publisher = key_file::parse_public(publisher)?;
        #[cfg(feature = "broker")]
        if let Some(directory) = &opener.broker {
            let broker = super::broker(directory)?;
            let (manifest, keys) = broker.open_sealed(&sealed.into(), &publisher).map_err(|e| super::brokers(&e))?;
            let inside = open_manifest(sealed, &publisher).and_then(|manifest| manifest.unlock(&keys));
            return Ok(Self { manifest, inside: Some(inside.map_err(|e| loading(&e))?) });
        }
        #[cfg(not(feature = "broker"))]
        let Opener {} = opener;
        Ok(Self { manifest: open_manifest(sealed, &publisher).map_err(|e| loading(&e))?, inside: None })
    }
}

pub(super) fn loading(error: &LoadError) -> Failure {
    Failure::caused(Exit::from_code(error.exit_code()), error.code(), error)
}
