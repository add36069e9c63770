//! From released keys to models that can answer. The keys are dropped, and wiped, here.

use std::sync::Arc;

use strongroom_enclave_loader::SignedManifest;
use strongroom_enclave_loader::release::{ReleasedModel, WantedModel};
use strongroom_engine::{EngineHandle, Script};

use crate::config::{Config, ModelConfig};
use crate::error::StartError;
use crate::events::EventSink;
use crate::model::{self, Engine, Manifests, ServedModel};

/// What computes the answers.
#[derive(Clone)]
pub enum EngineChoice {
    /// The engine, on the released models.
    Model,
    /// A script, once the released models were opened; tests of everything but the engine.
    Scripted(ScriptedEngine),
}

/// Makes the script of each model.
pub type ScriptedEngine = Arc<dyn Fn() -> Script + Send + Sync>;

/// The signed manifests of the configuration's models, in their order.
pub(crate) async fn manifests(config: &Config) -> Result<Vec<Manifests>, StartError> {
    let models = config.models.clone();
    let read = move || models.iter().map(Manifests::read).collect::<Result<Vec<_>, _>>();
    tokio::task::spawn_blocking(read).await.map_err(|_| crashed())?
}

/// What a release asks for: each model and its updates.
pub(crate) fn wanted(manifests: &[Manifests]) -> Vec<WantedModel> {
    let wanted = |manifest: &SignedManifest| WantedModel { model_id: manifest.model_id(), version: manifest.version() };
    manifests.iter().flat_map(Manifests::all).map(wanted).collect()
}

/// Opens each model of the configuration with its keys, and computes a first text with it.
pub(crate) async fn load(
    config: &Config,
    manifests: Vec<Manifests>,
    keys: Vec<ReleasedModel>,
    engine: &EngineChoice,
    events: &EventSink,
) -> Result<Vec<Arc<ServedModel>>, StartError> {
    let (config, engine, events) = (config.clone(), engine.clone(), events.clone());
    let work = move || {
        let mut models = Vec::new();
        for (configured, manifests) in config.models.iter().zip(manifests) {
            models.push(Arc::new(match &engine {
                EngineChoice::Model => model::load(&config, &configured.name, manifests, &keys, &events)?,
                EngineChoice::Scripted(script) => scripted(configured, manifests, &keys, script)?,
            }));
        }
        Ok(models)
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| crashed())?
}

fn scripted(
    configured: &ModelConfig,
    manifests: Manifests,
    keys: &[ReleasedModel],
    script: &ScriptedEngine,
) -> Result<ServedModel, StartError> {
    let (sealed, name) = ((manifests.model.model_id(), manifests.model.version()), configured.name.clone());
    let updates = manifests.updates.iter().map(SignedManifest::model_id).collect();
    manifests.unlock(&name, keys)?;
    let engine =
        EngineHandle::scripted(script()).map_err(|source| StartError::Engine { model: name.clone(), source })?;
    Ok(ServedModel::new(name, sealed, updates, Engine::Writes(engine)))
}

fn crashed() -> StartError {
    StartError::Crashed("the loader")
}
