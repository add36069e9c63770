//! From a sealed model and its keys to an engine. Weights go to the engine tensor by
//! tensor; nothing is written anywhere.

use std::io;
use std::time::Instant;

use strongroom_enclave_loader::{ArtifactKey, SealedModel, SignedManifest, open_manifest};
use strongroom_engine::{EngineHandle, LoadOptions, ModelFile, ModelFiles, ReadSeek};

use crate::config::{Config, ModelConfig};
use crate::error::StartError;
use crate::events::{Event, EventSink};

/// A model that answers.
pub(crate) struct ServedModel {
    /// The name that requests use.
    pub(crate) name: String,
    /// SHA-256 of the sealed manifest's core.
    pub(crate) id: [u8; 32],
    /// The sealed version.
    pub(crate) version: u64,
    /// The engine that holds it.
    pub(crate) engine: EngineHandle,
}

/// The signed manifest of a configured model; its signature holds.
pub(crate) fn manifest(model: &ModelConfig) -> Result<SignedManifest, StartError> {
    let publisher = model.publisher_key()?;
    open_manifest(&model.path, &publisher).map_err(|source| StartError::Model { model: model.name.clone(), source })
}

/// Unlocks and loads; takes seconds, so callers keep it off the executor.
pub(crate) fn load(
    config: &Config,
    name: &str,
    manifest: SignedManifest,
    keys: &[ArtifactKey],
    events: &EventSink,
) -> Result<ServedModel, StartError> {
    let begun = Instant::now();
    let (id, version) = (manifest.model_id(), manifest.version());
    let sealed = manifest.unlock(keys).map_err(|source| StartError::Model { model: name.to_owned(), source })?;
    let files = SealedFiles(sealed);
    let options = LoadOptions { threads: config.threads, ..LoadOptions::default() };
    let progress = |done, total| events(&Event::Loading { model: name.to_owned(), done, total });
    let loaded = strongroom_engine::load(&files, &options, &progress).map_err(|source| {
        // A chunk that does not authenticate reaches the engine as a read error; its
        // cause is the sealed model, not the model inside.
        match files.0.take_failure() {
            Some(failure) => StartError::Model { model: name.to_owned(), source: failure },
            None => StartError::Engine { model: name.to_owned(), source },
        }
    })?;
    let limits = strongroom_engine::Limits { max_streams: config.max_streams, queue: config.queue };
    let engine =
        EngineHandle::spawn(loaded, limits).map_err(|source| StartError::Engine { model: name.to_owned(), source })?;
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    events(&Event::Loaded { model: name.to_owned(), model_id: hex::encode(id), milliseconds });
    Ok(ServedModel { name: name.to_owned(), id, version, engine })
}

/// The files inside a sealed model, as the engine reads them.
struct SealedFiles(SealedModel);

impl ModelFiles for SealedFiles {
    fn files(&self) -> Vec<ModelFile> {
        self.0.files().iter().map(|file| ModelFile { path: file.path.clone(), len: file.len }).collect()
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn ReadSeek>> {
        let reader = self.0.reader(path).map_err(io::Error::other)?;
        Ok(Box::new(reader))
    }
}
