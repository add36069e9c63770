//! From a sealed model and its keys to an engine. Weights go to the engine tensor by
//! tensor; nothing is written anywhere.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use strongroom_enclave_loader::release::ReleasedModel;
use strongroom_enclave_loader::{SealedModel, SignedManifest, open_manifest};
use strongroom_engine::{
    CacheFormat, EmbedError, EncoderHandle, EngineError, EngineHandle, Event as Computed, FinishReason,
    GenerationRequest, Limits, LoadOptions, Machine, ModelFile, ModelFiles, ReadSeek,
};
use tokio::sync::watch;

use crate::config::{Config, ModelConfig};
use crate::error::StartError;
use crate::events::{Event, EventSink};

/// What a model computes before it is served.
const WARM_TEXT: &str = "The first request finds everything in its place, since this text came before it.";

/// A model that answers.
pub(crate) struct ServedModel {
    /// The name that requests use.
    pub(crate) name: String,
    /// SHA-256 of the sealed manifest's core.
    pub(crate) id: [u8; 32],
    /// The sealed version.
    pub(crate) version: u64,
    /// The ids of the updates that were applied to it.
    pub(crate) updates: Vec<[u8; 32]>,
    /// The engine that holds it.
    pub(crate) engine: Engine,
    /// Whether there is a right to answer. What runs ends as truncated when that changes.
    allowed: watch::Sender<bool>,
}

/// What a model does.
pub(crate) enum Engine {
    /// It goes on with a text, token by token.
    Writes(EngineHandle),
    /// It makes a vector of a text.
    Embeds(EncoderHandle),
}

impl Engine {
    /// Requests that run or wait.
    fn in_flight(&self) -> usize {
        match self {
            Self::Writes(engine) => engine.in_flight(),
            Self::Embeds(engine) => engine.in_flight(),
        }
    }

    /// Computes a short text and two tokens more: the pages of the weights are touched and the threads have run
    /// before a client waits for them.
    fn warm(&self) -> Result<(), String> {
        match self {
            Self::Writes(engine) => {
                let mut tokens = engine.text().encode_completion(WARM_TEXT).map_err(|error| error.to_string())?;
                tokens.truncate((engine.text().context_length() / 2).max(1));
                let request = GenerationRequest { ignores_end: true, ..GenerationRequest::greedy(tokens, 2) };
                let mut generation = engine.submit(request).map_err(|error| error.to_string())?;
                loop {
                    match generation.next_blocking() {
                        Some(Computed::Text { .. }) => {}
                        Some(Computed::Done { reason: FinishReason::Stop | FinishReason::Length, .. }) => return Ok(()),
                        Some(Computed::Done { .. }) | None => return Err("the model fails".into()),
                    }
                }
            }
            Self::Embeds(engine) => {
                let mut text = WARM_TEXT;
                let tokens = loop {
                    match engine.text().encode(text) {
                        Err(EmbedError::TooLong { .. }) if text.len() > 1 => text = text.split_at(text.len() / 2).0,
                        encoded => break encoded.map_err(|error| error.to_string())?,
                    }
                };
                engine.embed_blocking(vec![tokens]).map(|_| ()).map_err(|error| error.to_string())
            }
        }
    }

    /// Ends all work and waits until the memory was given back.
    pub(crate) async fn stop(&self) {
        match self {
            Self::Writes(engine) => {
                engine.stop();
                engine.stopped().await;
            }
            Self::Embeds(engine) => {
                engine.stop();
                engine.stopped().await;
            }
        }
    }
}

impl ServedModel {
    /// A model that has no right to answer yet.
    pub(crate) fn new(name: String, (id, version): ([u8; 32], u64), updates: Vec<[u8; 32]>, engine: Engine) -> Self {
        Self { name, id, version, updates, engine, allowed: watch::Sender::new(false) }
    }

    /// Says whether there is a right to answer.
    pub(crate) fn allow(&self, allowed: bool) {
        self.allowed.send_if_modified(|known| std::mem::replace(known, allowed) != allowed);
    }

    /// Changes when an answer that runs now must end as truncated; `None` where none may begin.
    pub(crate) fn breaks(&self) -> Option<watch::Receiver<bool>> {
        let mut breaks = self.allowed.subscribe();
        let allowed = *breaks.borrow_and_update();
        allowed.then_some(breaks)
    }

    /// Requests that run or wait, and answers that are computed and not yet handed over: to take the model away would
    /// break those off, too.
    pub(crate) fn running(&self) -> usize {
        self.engine.in_flight().max(self.allowed.receiver_count())
    }

    /// Ends running answers as truncated and waits until the memory was given back to the system; the KV caches,
    /// which hold what clients said, are zeroed before.
    pub(crate) async fn unload(&self) {
        self.allow(false);
        self.engine.stop().await;
    }

    /// What the statement names: the model, then the updates.
    pub(crate) fn ids(&self) -> impl Iterator<Item = [u8; 32]> {
        std::iter::once(self.id).chain(self.updates.iter().copied())
    }
}

/// The signed manifests of a configured model and its updates, which name it as their base.
pub(crate) struct Manifests {
    pub(crate) model: SignedManifest,
    pub(crate) updates: Vec<SignedManifest>,
}

impl Manifests {
    /// Reads them; the signatures hold.
    pub(crate) fn read(model: &ModelConfig) -> Result<Self, StartError> {
        let failed = |source| StartError::Model { model: model.name.clone(), source };
        let mut manifests = Vec::new();
        for part in model.parts() {
            manifests.push(open_manifest(part.path, &part.publisher_key()?).map_err(failed)?);
        }
        let updates = manifests.split_off(1);
        let problem = |problem| StartError::Update { model: model.name.clone(), problem };
        let sealed = manifests.pop().ok_or_else(|| problem("it has no path".to_owned()))?;
        if let Some(base) = sealed.base() {
            let base = hex::encode(base);
            return Err(problem(format!(
                "it is an update of model {base}: name it under [[model.update]] of that one"
            )));
        }
        let id = sealed.model_id();
        if let Some(other) = updates.iter().find(|update| update.base() != Some(id)) {
            let base = other.base().map_or_else(|| "no model".to_owned(), hex::encode);
            let name = other.name();
            return Err(problem(format!("`{name}` is an update of {base}, and this model is {}", hex::encode(id))));
        }
        Ok(Self { model: sealed, updates })
    }

    /// The model's, then the updates'.
    pub(crate) fn all(&self) -> impl Iterator<Item = &SignedManifest> {
        std::iter::once(&self.model).chain(&self.updates)
    }

    /// Opens all of them, each with the keys that were released for it.
    pub(crate) fn unlock(self, name: &str, released: &[ReleasedModel]) -> Result<Vec<SealedModel>, StartError> {
        let unlock = |manifest: SignedManifest| {
            let keys = released.iter().find(|released| released.model_id == manifest.model_id());
            let keys = keys.ok_or_else(|| StartError::MissingKey(name.to_owned()))?;
            manifest.unlock(&keys.keys).map_err(|source| StartError::Model { model: name.to_owned(), source })
        };
        std::iter::once(self.model).chain(self.updates).map(unlock).collect()
    }
}

/// Unlocks and loads; takes seconds, so callers keep it off the executor.
pub(crate) fn load(
    config: &Config,
    name: &str,
    manifests: Manifests,
    released: &[ReleasedModel],
    events: &EventSink,
) -> Result<ServedModel, StartError> {
    let begun = Instant::now();
    let (id, version) = (manifests.model.model_id(), manifests.model.version());
    let updates = manifests.updates.iter().map(SignedManifest::model_id).collect();
    let files = SealedFiles(manifests.unlock(name, released)?);
    let options = options(config);
    let progress = |done, total| events(&Event::Loading { model: name.to_owned(), done, total });
    let limits = Limits { max_streams: config.max_streams, queue: config.queue };
    let (engine, machine) = spawn(&files, &options, limits, &progress).map_err(|source| {
        // A chunk that does not authenticate reaches the engine as a read error; its
        // cause is the sealed model, not the model inside.
        match files.0.iter().find_map(SealedModel::take_failure) {
            Some(failure) => StartError::Model { model: name.to_owned(), source: failure },
            None => StartError::Engine { model: name.to_owned(), source },
        }
    })?;
    if config.strict && !machine.is_locked {
        return Err(StartError::NotLocked(name.to_owned(), machine.weight_bytes >> 20));
    }
    events(&Event::Loaded {
        model: name.to_owned(),
        model_id: hex::encode(id),
        milliseconds: milliseconds(begun),
        weight_bytes: machine.weight_bytes as u64,
        is_locked: machine.is_locked,
        instructions: machine.instructions,
        threads: machine.threads,
    });
    let begun = Instant::now();
    engine.warm().map_err(|reason| StartError::Cold { model: name.to_owned(), reason })?;
    events(&Event::Warm { model: name.to_owned(), milliseconds: milliseconds(begun) });
    Ok(ServedModel::new(name.to_owned(), (id, version), updates, engine))
}

fn milliseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Loads a model of either kind, and starts its engine.
fn spawn(
    files: &dyn ModelFiles,
    options: &LoadOptions,
    limits: Limits,
    progress: &dyn Fn(u64, u64),
) -> Result<(Engine, Machine), EngineError> {
    if strongroom_engine::is_encoder(files)? {
        let loaded = strongroom_engine::load_encoder(files, options, progress)?;
        let machine = loaded.machine();
        return Ok((Engine::Embeds(EncoderHandle::spawn(loaded, limits)?), machine));
    }
    let loaded = strongroom_engine::load(files, options, progress)?;
    let machine = loaded.machine();
    Ok((Engine::Writes(EngineHandle::spawn(loaded, limits)?), machine))
}

/// How the configuration wants a model loaded.
fn options(config: &Config) -> LoadOptions {
    let usual = LoadOptions::default();
    LoadOptions {
        threads: config.threads,
        max_context: config.context.unwrap_or(usual.max_context),
        cache_bytes: config.cache_mib.map_or(usual.cache_bytes, |mebibytes| mebibytes << 20),
        cache: if config.cache.as_deref() == Some("int8") { CacheFormat::Int8 } else { CacheFormat::F16 },
        ..usual
    }
}

/// The files inside a sealed model and its updates, as the engine reads them: of several with one path,
/// that of the last update.
struct SealedFiles(Vec<SealedModel>);

impl ModelFiles for SealedFiles {
    fn files(&self) -> Vec<ModelFile> {
        let all = self.0.iter().flat_map(|sealed| sealed.files().iter());
        let lengths: BTreeMap<&str, u64> = all.map(|file| (file.path.as_str(), file.len)).collect();
        lengths.into_iter().map(|(path, len)| ModelFile { path: path.to_owned(), len }).collect()
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn ReadSeek>> {
        let holds = |sealed: &&SealedModel| sealed.files().iter().any(|file| file.path == path);
        let sealed = self.0.iter().rev().find(holds).or(self.0.first()).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(sealed.reader(path).map_err(io::Error::other)?))
    }
}

#[cfg(test)]
mod tests {
    use strongroom_engine::Script;

    use super::*;

    #[test]
    fn an_answer_runs_until_it_was_handed_over() {
        let engine = EngineHandle::scripted(Script::says("Good morning.")).unwrap();
        let model = ServedModel::new("tiny".into(), ([0; 32], 1), Vec::new(), Engine::Writes(engine.clone()));
        assert!(model.breaks().is_none() && model.running() == 0, "nothing runs without a right to answer");
        model.allow(true);
        let breaks = model.breaks().unwrap();
        let mut generation = engine.submit(GenerationRequest::greedy(vec![1], 8)).unwrap();
        while !matches!(generation.next_blocking(), Some(Computed::Done { .. })) {}
        assert_eq!((engine.in_flight(), model.running()), (0, 1));
        drop(breaks);
        assert_eq!(model.running(), 0);
    }
}
