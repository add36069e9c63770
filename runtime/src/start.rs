//! The composition root and the order of start: configuration, evidence, release, sealed
//! model, engine, plugins, epoch 2, ready.

use std::sync::Arc;
use std::time::Duration;

use strongroom_channel::padding::Profile;
use strongroom_channel::statement::Workload;
use strongroom_enclave_loader::SignedManifest;
use strongroom_enclave_loader::release::{End, ReleasedModel, WantedModel};
use strongroom_engine::{EngineHandle, Script};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::api::App;
use crate::attest::{Attester, Parts};
use crate::budgets::Budgets;
use crate::clock::InstanceClock;
use crate::config::{Config, ModelConfig};
use crate::epochs::Epochs;
use crate::error::StartError;
use crate::events::{Event, EventSink};
use crate::evidence::devices::Devices;
use crate::evidence::{EvidenceError, EvidenceSource};
use crate::gateway;
use crate::instance::Instance;
use crate::keeper::{Keeper, KeeperHandle, UnderWay};
use crate::metrics::Metrics;
use crate::model::{self, Engine, Manifests, ServedModel};
use crate::plugins::Pipeline;
use crate::release::{Asking, Granted, Releaser};
use crate::serving::{Served, Serving};

/// How long to wait before a silent broker is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What a server is made of.
pub struct Setup {
    /// The measured configuration, checked.
    pub config: Config,
    /// The platform.
    pub source: Arc<dyn EvidenceSource>,
    /// Its GPUs, where the configuration names some.
    pub devices: Option<Devices>,
    /// The clocks.
    pub clock: InstanceClock,
    /// Where the operator reads what happens.
    pub events: EventSink,
    /// What computes.
    pub engine: EngineChoice,
}

/// What computes the answers.
pub enum EngineChoice {
    /// The engine, on the released models.
    Model,
    /// A script, once the released models were opened; tests of everything but the engine.
    Scripted(ScriptedEngine),
}

/// Makes the script of each model.
pub type ScriptedEngine = Arc<dyn Fn() -> Script + Send + Sync>;

/// A server that serves. Dropping it stops the listener; the lease runs out by itself.
pub struct Running {
    /// Where it listens, `address:port`.
    pub address: String,
    keeper: KeeperHandle,
    serving: Serving,
    served: Arc<Served>,
    stop: watch::Sender<bool>,
    events: EventSink,
}

impl Running {
    /// Waits until the lease has ended: the process then exits with code 3.
    pub async fn lease_ended(&self) -> End {
        self.keeper.ended().await
    }

    /// Sends a heartbeat now and waits for what follows; otherwise one goes every 3 s.
    pub async fn heartbeat(&self) {
        self.keeper.heartbeat().await;
    }

    /// Ends running answers, unloads the models, stops listening.
    pub async fn stop(self) {
        (self.events)(&Event::Stopping);
        self.serving.close();
        self.served.unload().await;
        // The listener may be gone already.
        let _ = self.stop.send(true);
    }
}

/// Starts a server and returns once it is ready.
///
/// # Errors
/// `StartError`, by cause. Nothing stays behind: keys and plaintext are memory only.
pub async fn start(setup: Setup) -> Result<Running, StartError> {
    let Setup { config, source, devices, clock, events, engine } = setup;
    let digest = config.digest();
    events(&Event::Configured { config_digest: hex::encode(digest) });

    // Plugins, signatures and the address are checked before a key is asked for.
    let plugins = Pipeline::load(&config.plugins)?;
    let models = config.models.clone();
    let read = move || models.iter().map(Manifests::read).collect::<Result<Vec<_>, _>>();
    let manifests = tokio::task::spawn_blocking(read).await.map_err(|_| StartError::Crashed("the loader"))??;
    let releaser = Releaser::new(&config, &manifests)?;
    let listener = TcpListener::bind(&config.listen).await.map_err(|e| listen(&config, e))?;
    let address = listener.local_addr().map_err(|e| listen(&config, e))?.to_string();

    let random = |_| StartError::Evidence(EvidenceError::Failed("the system gives no randomness".into()));
    let instance = Arc::new(Instance::boot(config.deployment_id()?).map_err(random)?);
    instance.admit(config.credentials()?);
    let boot = Workload {
        image_id: None,
        config_digest: digest,
        models: Vec::new(),
        plugins: plugins.entries(),
        policy_hash: None,
        sbom: None,
        padding: config.padding.clone(),
        logging: config.logging.clone(),
        lease_id: None,
    };
    as_configured(&config, devices.as_ref())?;
    let devices = devices.map(Arc::new);
    let epochs = Epochs::boot(instance.clone(), devices.clone(), boot, config.epoch_seconds, clock.now()).await?;
    let epochs = Arc::new(epochs);
    let attester = Attester::spawn(Parts {
        instance: instance.clone(),
        epochs: epochs.clone(),
        source: source.clone(),
        clock: clock.clone(),
    });
    let app = App {
        instance: instance.clone(),
        epochs: epochs.clone(),
        attester,
        clock: clock.clone(),
        metrics: Arc::new(Metrics::new()),
        budgets: Budgets::new(config.budget_limits()?, clock.clone()),
        padding: Profile::from_id(&config.padding).unwrap_or(Profile::Bucket),
        default_max_tokens: config.default_max_tokens,
        max_top_logprobs: config.max_top_logprobs,
        answer_time: config.answer_seconds.map(Duration::from_secs),
        serving: Serving::default(),
        uploads: Arc::new(Semaphore::new(gateway::UPLOADS)),
    };
    let (stop, stopped) = watch::channel(false);
    listen_on(listener, &app, stopped);
    events(&Event::Listening { address: address.clone() });

    events(&Event::AskingForKey { broker: config.broker.url.clone() });
    let wanted = manifests.iter().flat_map(Manifests::all).map(wanted).collect();
    let asking =
        Asking { app: app.clone(), events: events.clone(), source, devices, lease_seconds: config.lease_seconds };
    let Granted { keys, tenure, policy_hash, lease_id } = releaser.ask(asking, wanted).await?;
    let models = load(&config, manifests, keys, engine, &events).await?;
    let workload = Workload {
        models: models.iter().flat_map(ServedModel::ids).collect(),
        policy_hash,
        lease_id,
        ..epochs.workload()
    };
    let epoch = epochs.install(epochs.prepare(Some(workload), clock.now()).await?, clock.now());
    events(&Event::Epoch { epoch: epoch.number });
    let served = Arc::new(Served { models, plugins });

    // Loading takes minutes: the lease is looked at, and the broker asked, before a client is.
    let keeper = Keeper {
        app: app.clone(),
        tenure,
        events: events.clone(),
        served: Some(served.clone()),
        under_way: UnderWay::default(),
    }
    .spawn();
    keeper.heartbeat().await;
    while app.serving.now().is_none() {
        tokio::select! {
            end = keeper.ended() => return Err(StartError::LeaseEnded(end)),
            () = tokio::time::sleep(AGAIN) => keeper.heartbeat().await,
        }
    }
    events(&Event::Ready { address: address.clone() });
    Ok(Running { address, keeper, serving: app.serving, served, stop, events })
}

/// Devices that nobody named would compute for whoever put them there; those that are named and not there
/// would be missed by every client.
fn as_configured(config: &Config, devices: Option<&Devices>) -> Result<(), EvidenceError> {
    let words = |there: bool| if there { "GPUs" } else { "no GPUs" };
    let (found, wanted) = (devices.is_some(), config.gpus.is_some());
    match found == wanted {
        true => Ok(()),
        false => Err(EvidenceError::DevicesNotConfigured { found: words(found).into(), wanted: words(wanted).into() }),
    }
}

/// Opens each model with its keys; the keys are dropped, and wiped, with this call.
async fn load(
    config: &Config,
    manifests: Vec<Manifests>,
    keys: Vec<ReleasedModel>,
    engine: EngineChoice,
    events: &EventSink,
) -> Result<Vec<ServedModel>, StartError> {
    let script = match engine {
        EngineChoice::Model => None,
        EngineChoice::Scripted(script) => Some(script),
    };
    let (config, events) = (config.clone(), events.clone());
    let work = move || {
        let mut models = Vec::new();
        for (configured, manifests) in config.models.iter().zip(manifests) {
            models.push(match &script {
                None => model::load(&config, &configured.name, manifests, &keys, &events)?,
                Some(script) => scripted(configured, manifests, &keys, script)?,
            });
        }
        Ok(models)
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| StartError::Crashed("the loader"))?
}

fn scripted(
    configured: &ModelConfig,
    manifests: Manifests,
    keys: &[ReleasedModel],
    script: &ScriptedEngine,
) -> Result<ServedModel, StartError> {
    let (id, version, name) = (manifests.model.model_id(), manifests.model.version(), configured.name.clone());
    let updates = manifests.updates.iter().map(SignedManifest::model_id).collect();
    manifests.unlock(&name, keys)?;
    let engine =
        EngineHandle::scripted(script()).map_err(|source| StartError::Engine { model: name.clone(), source })?;
    Ok(ServedModel { name, id, version, updates, engine: Engine::Writes(engine) })
}

fn wanted(manifest: &SignedManifest) -> WantedModel {
    WantedModel { model_id: manifest.model_id(), version: manifest.version() }
}

fn listen(config: &Config, source: std::io::Error) -> StartError {
    StartError::Listen { address: config.listen.clone(), source }
}

fn listen_on(listener: TcpListener, app: &App, mut stopped: watch::Receiver<bool>) {
    let router = app.public();
    tokio::spawn(async move {
        let stop = async move {
            // An error means that the server was dropped, which stops it too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        // Accept errors are retried inside; the future ends when it is told to.
        let _ = axum::serve(listener, router).with_graceful_shutdown(stop).await;
    });
}
