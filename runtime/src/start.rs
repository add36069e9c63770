//! The composition root and the order of start: configuration, evidence, release, sealed
//! model, engine, plugins, epoch 2, ready.

use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use strongroom_channel::padding::Profile;
use strongroom_channel::statement::Workload;
use strongroom_enclave_loader::release::End;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::admin::{self, Socket};
use crate::api::App;
use crate::attest::{Attester, Parts};
use crate::budgets::Budgets;
use crate::clock::InstanceClock;
use crate::config::{Config, Load};
use crate::epochs::Epochs;
use crate::error::StartError;
use crate::events::{Event, EventSink};
use crate::evidence::devices::Devices;
use crate::evidence::{EvidenceError, EvidenceSource};
use crate::gateway;
use crate::instance::Instance;
use crate::keeper::{Holding, Keeper, KeeperHandle, UnderWay};
use crate::loading::{self, EngineChoice};
use crate::metrics::Metrics;
use crate::operator::Operator;
use crate::plugins::Pipeline;
use crate::release::{Asking, Granted, Releaser};
use crate::roster::{Phase, Roster};
use crate::serving::Serving;

/// How long a client may take for the last bytes of its answer when the server stops.
const LAST_BYTES: Duration = Duration::from_secs(5);
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

/// A server that serves. Dropping it stops the listener; the lease runs out by itself.
pub struct Running {
    /// Where it listens, `address:port`.
    pub address: String,
    keeper: KeeperHandle,
    operator: Arc<Operator>,
    /// What listens: to clients, and to the operator.
    listeners: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    events: EventSink,
}

impl Running {
    /// Waits until the last lease has ended: the process then exits with code 3.
    pub async fn lease_ended(&self) -> End {
        self.keeper.ended().await
    }

    /// Sends a heartbeat now and waits for what follows; otherwise one goes every 3 s.
    pub async fn heartbeat(&self) {
        self.keeper.heartbeat().await;
    }

    /// Takes no new request from now on; [`drained`](Self::drained) comes when those that run have ended, or had
    /// the time that the configuration gives them.
    pub async fn drain(&self) {
        self.operator.drain().await;
    }

    /// Waits until the server has drained, whoever asked for it: it can be stopped without breaking answers off.
    pub async fn drained(&self) {
        self.operator.drained().await;
    }

    /// Ends running answers, unloads the models, stops listening.
    pub async fn stop(self) {
        (self.events)(&Event::Stopping);
        self.keeper.stop().await;
        // The listener may be gone already.
        let _ = self.stop.send(true);
        // The last bytes of answers are on their way; whoever does not read them is not waited for.
        let ended = async {
            for listener in self.listeners {
                let _ = listener.await;
            }
        };
        let _ = tokio::time::timeout(LAST_BYTES, ended).await;
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

    // Plugins, signatures, the address and the socket's folder are checked before a key is asked for.
    let plugins = Pipeline::load(&config.plugins)?;
    let at_start = config.only(|model| model.load == Load::AtStart);
    let manifests = loading::manifests(&at_start).await?;
    config.admin.as_deref().map_or(Ok(()), Socket::check)?;
    let releaser = Releaser::new(&at_start, &manifests)?;
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
        epochs,
        attester,
        clock: clock.clone(),
        metrics: Arc::new(Metrics::new()),
        budgets: Budgets::new(config.budget_limits()?, clock),
        padding: Profile::from_id(&config.padding).unwrap_or(Profile::Bucket),
        default_max_tokens: config.default_max_tokens,
        max_top_logprobs: config.max_top_logprobs,
        answer_time: config.answer_seconds.map(Duration::from_secs),
        serving: Serving::default(),
        uploads: Arc::new(Semaphore::new(gateway::UPLOADS)),
    };
    let (stop, stopped) = watch::channel(false);
    let mut listeners = vec![listen_on(listener, &app, told_to_stop(stopped.clone()))];
    events(&Event::Listening { address: address.clone() });

    events(&Event::AskingForKey { broker: config.broker.url.clone() });
    let asking =
        Asking { app: app.clone(), events: events.clone(), source, devices, lease_seconds: config.lease_seconds };
    let Granted { keys, grant } = releaser.ask(&asking, loading::wanted(&manifests)).await?;
    let models = loading::load(&at_start, manifests, keys, &engine, &events).await?;
    let roster = Arc::new(Roster::new(&config.models));
    models.iter().for_each(|model| roster.set(&model.name, Phase::Loaded));

    let lease = grant.as_ref().map(|grant| grant.lease.lease_id);
    let keeper = Keeper {
        app: app.clone(),
        tenure: releaser.tenure(&asking, grant),
        events: events.clone(),
        plugins,
        roster: roster.clone(),
        holdings: vec![Holding { lease, models }],
        under_way: UnderWay::default(),
    }
    .begin()
    .await?;
    // Loading takes minutes: the lease is looked at, and the broker asked, before a client is.
    keeper.heartbeat().await;
    while app.serving.now().is_none() {
        tokio::select! {
            end = keeper.ended() => return Err(StartError::LeaseEnded(end)),
            () = tokio::time::sleep(AGAIN) => keeper.heartbeat().await,
        }
    }
    let socket = config.admin.as_deref().map(Socket::bind).transpose()?;
    let operator = Arc::new(Operator {
        config,
        asking,
        engine,
        keeper: keeper.clone(),
        roster,
        turn: Mutex::default(),
        drained: watch::Sender::new(false),
    });
    if let Some(socket) = socket {
        listeners.push(admin::serve(socket, operator.clone(), told_to_stop(stopped)));
    }
    events(&Event::Ready { address: address.clone() });
    Ok(Running { address, keeper, operator, listeners, stop, events })
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

fn listen(config: &Config, source: std::io::Error) -> StartError {
    StartError::Listen { address: config.listen.clone(), source }
}

async fn told_to_stop(mut stopped: watch::Receiver<bool>) {
    // An error means that the server was dropped, which stops it too.
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn listen_on(listener: TcpListener, app: &App, stop: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let router = app.public();
    tokio::spawn(async move {
        // Pieces of answers are small, and each would wait until the one before was acknowledged (RFC 896): up
        // to 40 ms. A connection that cannot do without is slower, not wrong.
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        // Accept errors are retried inside; the future ends when it is told to.
        let _ = axum::serve(listener, router).with_graceful_shutdown(stop).await;
    })
}
