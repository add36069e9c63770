//! What the operator of the node may ask of a server that runs: to load and unload models that the measured
//! configuration names, and to end without breaking answers off. Nothing here sees a prompt, an answer or a key.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use strongroom_enclave_loader::release::Monotonic;
use tokio::sync::{Mutex, watch};

use crate::config::{Config, DRAIN_SECONDS, Load};
use crate::error::StartError;
use crate::events::Event;
use crate::keeper::KeeperHandle;
use crate::loading::{self, EngineChoice};
use crate::release::{Asking, Granted, Releaser};
use crate::roster::{Phase, Roster};
use crate::serving::Refused;

/// How often running answers are looked at while they are waited for.
const LOOK: Duration = Duration::from_millis(20);

/// Carries out what is asked, one change at a time.
pub(crate) struct Operator {
    pub(crate) config: Config,
    pub(crate) asking: Asking,
    pub(crate) engine: EngineChoice,
    pub(crate) keeper: KeeperHandle,
    pub(crate) roster: Arc<Roster>,
    /// Held while a model comes or goes.
    pub(crate) turn: Mutex<()>,
    /// Whether the server has drained.
    pub(crate) drained: watch::Sender<bool>,
}

/// Why something that was asked was not done. Nothing changed then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperatorError {
    #[error("no model of this name is configured; configured: {0}")]
    UnknownModel(String),
    #[error("model `{0}` is loaded already")]
    Loaded(String),
    #[error("model `{0}` is not loaded")]
    NotLoaded(String),
    #[error("model `{0}` is the last that is loaded: load another one first, or end the server with `drain`")]
    LastModel(String),
    #[error("another model is coming or going; try again when it has")]
    Changing,
    #[error("the server drains and takes no more changes")]
    Draining,
    #[error("no request of this interface: {0}")]
    Malformed(String),
    #[error(transparent)]
    Load(#[from] StartError),
}

/// What is there.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    deployment: String,
    epoch: u64,
    /// `ready`, `not-ready` (the broker is silent) or `draining`.
    state: &'static str,
    /// Requests that are being answered.
    running: usize,
    models: Vec<ModelStatus>,
}

#[derive(Debug, Serialize)]
struct ModelStatus {
    name: String,
    load: Load,
    state: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// Requests that it computes or that wait for it.
    running: usize,
}

impl Operator {
    pub(crate) fn status(&self) -> Status {
        let app = &self.asking.app;
        let served = app.serving.now();
        let models = self.config.models.iter().map(|model| {
            let found = served.as_ref().and_then(|served| served.models.iter().find(|other| other.name == model.name));
            ModelStatus {
                name: model.name.clone(),
                load: model.load,
                state: self.roster.phase(&model.name).unwrap_or(Phase::Unloaded),
                model_id: found.map(|model| hex::encode(model.id)),
                version: found.map(|model| model.version),
                running: found.map_or(0, |model| model.running()),
            }
        });
        Status {
            deployment: self.config.deployment.clone(),
            epoch: app.epochs.current().number,
            state: match app.serving.is_open() {
                Ok(()) => "ready",
                Err(Refused::NotReady) => "not-ready",
                Err(Refused::Draining) => "draining",
            },
            running: app.serving.running(),
            models: models.collect(),
        }
    }

    /// Asks the broker for a configured model with fresh evidence, loads it and warms it up; it is visible with the
    /// epoch that names it, which is the live one on return.
    pub(crate) async fn load(&self, name: &str) -> Result<(), OperatorError> {
        let _turn = self.change(name)?;
        if self.roster.phase(name) != Some(Phase::Unloaded) {
            return Err(OperatorError::Loaded(name.to_owned()));
        }
        self.roster.set(name, Phase::Loading);
        // The keeper says when it is loaded.
        self.bring(name).await.inspect_err(|_| self.roster.set(name, Phase::Unloaded))?;
        Ok(())
    }

    async fn bring(&self, name: &str) -> Result<(), StartError> {
        let Asking { events, .. } = &self.asking;
        let config = self.config.only(|model| model.name == name);
        let manifests = loading::manifests(&config).await?;
        let releaser = Releaser::new(&config, &manifests)?;
        events(&Event::AskingForKey { broker: config.broker.url.clone() });
        let Granted { keys, grant } = releaser.ask(&self.asking, loading::wanted(&manifests)).await?;
        let models = loading::load(&config, manifests, keys, &self.engine, events).await?;
        if let Err(error) = self.keeper.join(grant, models.clone()).await {
            for model in models {
                model.unload().await;
            }
            return Err(error.into());
        }
        Ok(())
    }

    /// Takes no new request for a model, lets those that run end (for a while), gives its memory back, and returns
    /// with the epoch that does not name it.
    pub(crate) async fn unload(&self, name: &str) -> Result<(), OperatorError> {
        let _turn = self.change(name)?;
        if self.roster.phase(name) != Some(Phase::Loaded) {
            return Err(OperatorError::NotLoaded(name.to_owned()));
        }
        if self.roster.loaded() == 1 {
            return Err(OperatorError::LastModel(name.to_owned()));
        }
        self.roster.set(name, Phase::Unloading);
        // Its lease may have ended in this moment, and the model with it.
        if let Some(model) = self.keeper.hide(name).await {
            self.wait_until(self.asking.app.now(), || model.running() == 0).await;
            model.unload().await;
            (self.asking.events)(&Event::Unloaded { model: name.to_owned() });
            self.keeper.leave(name).await;
        }
        self.roster.set(name, Phase::Unloaded);
        Ok(())
    }

    /// Takes no new request; [`Self::drained`] comes when those that run have ended, or had their time.
    pub(crate) async fn drain(self: &Arc<Self>) {
        if self.asking.app.serving.is_open() == Err(Refused::Draining) {
            return;
        }
        self.keeper.drain().await;
        let (operator, begun) = (self.clone(), self.asking.app.now());
        tokio::spawn(async move {
            operator.wait_until(begun, || operator.asking.app.serving.running() == 0).await;
            operator.drained.send_replace(true);
        });
    }

    /// Waits until the server has drained.
    pub(crate) async fn drained(&self) {
        // The sender is ours.
        let _ = self.drained.subscribe().wait_for(|drained| *drained).await;
    }

    /// What a change of the model of this name needs.
    fn change(&self, name: &str) -> Result<tokio::sync::MutexGuard<'_, ()>, OperatorError> {
        if self.roster.phase(name).is_none() {
            let known: Vec<&str> = self.config.models.iter().map(|model| model.name.as_str()).collect();
            return Err(OperatorError::UnknownModel(known.join(", ")));
        }
        if self.asking.app.serving.is_open() == Err(Refused::Draining) {
            return Err(OperatorError::Draining);
        }
        self.turn.try_lock().map_err(|_| OperatorError::Changing)
    }

    /// Waits until this is so, no longer than running answers may go on.
    async fn wait_until(&self, begun: Monotonic, holds: impl Fn() -> bool) {
        let most = Duration::from_secs(self.config.drain_seconds.unwrap_or(DRAIN_SECONDS));
        while !holds() && self.asking.app.now().since(begun) < most {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl OperatorError {
    /// A stable code for programs.
    pub(crate) fn code(&self) -> String {
        match self {
            Self::UnknownModel(_) => "UNKNOWN_MODEL".into(),
            Self::Loaded(_) => "MODEL_LOADED".into(),
            Self::NotLoaded(_) => "MODEL_NOT_LOADED".into(),
            Self::LastModel(_) => "LAST_MODEL".into(),
            Self::Changing => "CHANGING".into(),
            Self::Draining => "DRAINING".into(),
            Self::Malformed(_) => "PARSE".into(),
            Self::Load(error) => error.code(),
        }
    }

    /// The exit code of the command that asked.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownModel(_) => 2,
            Self::Loaded(_) | Self::NotLoaded(_) | Self::LastModel(_) | Self::Draining => 3,
            Self::Malformed(_) => 4,
            Self::Changing => 5,
            Self::Load(error) => error.exit_code(),
        }
    }
}
