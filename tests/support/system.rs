//! The whole system in one process: a development vendor and a machine of its make, a sealed
//! model, the tenant's broker, the server, and clients. Loopback ports are chosen by the
//! system; time is [`Time`].

use std::net::Ipv4Addr;
use std::ops::Deref;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::middleware::from_fn_with_state;
use strongroom_attestation::crypto::sha256;
use strongroom_broker::{Broker, InitOptions, TrustOptions};
use strongroom_channel::cose::SigningKey;
use strongroom_channel::deployment::DeploymentId;
use strongroom_channel::trust_file::{self, Environment, TrustFile};
use strongroom_client::{Connector, Keeper};
use strongroom_enclave_loader::SealOptions;
use strongroom_engine::Script;
use strongroom_runtime::{
    Config, Devices, EngineChoice, EventSink, InstanceClock, Running, ScriptedEngine, Setup, SimulatedMachine,
    StartError, start,
};
use strongroom_simulated_platform::SimulatedDevice;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) use super::clients::{Application, CHAT, Client, chat, http, said, streamed};
use super::clock::Time;
use super::files;
use super::gpus::Gpus;
use super::line::Line;
use super::machines::{Platform, Vendors};
use super::source::CountedSource;

/// The name that requests use.
pub(crate) const MODEL: &str = "tiny";
/// The name that an update is sealed with.
pub(crate) const UPDATE: &str = "tiny-update";

/// The model that is loaded on demand.
pub(crate) const SECOND: &str = "second";
/// The operator's socket, in the site's folder.
pub(crate) const SOCKET: &str = "run/admin.sock";

/// What the encoder of [`Blueprint::encoder`] is made from.
pub(crate) const ENCODER: u64 = 5;

/// How a system is to be.
pub(crate) struct Blueprint {
    deployment: &'static str,
    platform: Platform,
    gpus: u8,
    kbs: bool,
    remote: bool,
    update: Option<Vec<(&'static str, Vec<u8>)>>,
    engine: Option<ScriptedEngine>,
    plugins: Vec<(&'static str, Vec<u8>)>,
    files: Vec<(&'static str, Vec<u8>)>,
    /// Lines at the head of the configuration.
    configured: &'static str,
    /// Whether there is a second model, which is loaded on demand.
    second: bool,
    /// Whether there is a socket for the operator.
    operated: bool,
}

impl Blueprint {
    /// With these lines in its configuration.
    pub(crate) fn configured(mut self, lines: &'static str) -> Self {
        self.configured = lines;
        self
    }

    /// With a second model of the same files, called [`SECOND`], which is loaded on demand of the operator.
    pub(crate) fn operated(mut self) -> Self {
        (self.second, self.operated) = (true, true);
        self
    }

    /// The sealed model lies behind an address, not in a directory of the server's.
    pub(crate) fn remote(mut self) -> Self {
        self.remote = true;
        self
    }

    /// With an update of these files.
    pub(crate) fn update(mut self, files: Vec<(&'static str, Vec<u8>)>) -> Self {
        self.update = Some(files);
        self
    }

    /// With this engine.
    pub(crate) fn scripted(script: impl Fn() -> Script + Send + Sync + 'static) -> Self {
        let files = vec![("model.gguf", b"what the scripted engine does not read".to_vec())];
        let engine: Option<ScriptedEngine> = Some(Arc::new(script));
        Self { files, engine, ..Self::plain() }
    }

    /// With the real engine on a small model made here.
    pub(crate) fn real() -> Self {
        let files = vec![("tiny.gguf", strongroom_engine::tiny_model(7))];
        Self { files, ..Self::plain() }
    }

    /// With the real engine on a small encoder made here.
    pub(crate) fn encoder() -> Self {
        Self { files: strongroom_engine::tiny_encoder(ENCODER), ..Self::plain() }
    }

    /// With the same encoder, as a GGUF file.
    pub(crate) fn encoder_gguf() -> Self {
        Self { files: vec![("encoder.gguf", strongroom_engine::tiny_encoder_gguf(ENCODER))], ..Self::plain() }
    }

    fn plain() -> Self {
        Self {
            deployment: "bank-prod",
            platform: Platform::Snp,
            gpus: 0,
            kbs: false,
            remote: false,
            update: None,
            engine: None,
            plugins: Vec::new(),
            files: Vec::new(),
            configured: "",
            second: false,
            operated: false,
        }
    }

    /// Keys come over the CoCo KBS protocol; the broker speaks it too.
    pub(crate) fn over_kbs(mut self) -> Self {
        self.kbs = true;
        self
    }

    /// On a machine of this kind; SNP otherwise.
    pub(crate) fn on(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// With so many GPUs; none otherwise.
    pub(crate) fn gpus(mut self, count: u8) -> Self {
        self.gpus = count;
        self
    }

    pub(crate) fn plugin(mut self, name: &'static str, wasm: Vec<u8>) -> Self {
        self.plugins.push((name, wasm));
        self
    }

    /// Seals this file instead.
    pub(crate) fn file(mut self, name: &'static str, content: Vec<u8>) -> Self {
        self.files = vec![(name, content)];
        self
    }

    pub(crate) fn deployment(mut self, name: &'static str) -> Self {
        self.deployment = name;
        self
    }

    /// All but the server: sealed, deposited, under a policy that pins everything.
    pub(crate) async fn prepare(self) -> Site {
        let (dir, time) = (tempfile::tempdir().unwrap(), Time::new());
        let vendors = Vendors::of(self.platform, time.now().as_secs()).with_gpus(self.gpus);
        let options = InitOptions {
            tenant: "the-bank".into(),
            deployment: DeploymentId::parse(self.deployment).unwrap(),
            environment: Environment::Development,
            kek_file: None,
            development_anchors: vendors.roots(),
        };
        let broker = Broker::init_with_clock(&dir.path().join("broker"), options, time.for_broker()).unwrap();
        let broker = Arc::new(broker);
        let line = Line::default();
        let routes = strongroom_broker::router(broker.clone()).layer(from_fn_with_state(line.clone(), Line::pass));
        let broker_url = serve(routes).await;

        let publisher = SigningKey::generate();
        if self.operated {
            std::fs::DirBuilder::new().mode(0o700).create(dir.path().join("run")).unwrap();
        }
        let sealed = dir.path().join("model.sealed");
        seal(MODEL, &self.files, &sealed, &publisher, &broker);
        let place = match self.remote {
            true => files::serve(sealed.clone()).await,
            false => sealed.display().to_string(),
        };
        let plugin_digests: Vec<[u8; 32]> = self.plugins.iter().map(|(_, wasm)| sha256(wasm)).collect();
        let api_key = broker.create_api_key("an-application").unwrap().secret.to_string();
        let pinned = format!("key = \"{}\"\n", hex::encode(broker.broker_key().to_bytes()));
        let mut text = format!(
            "deployment = \"{}\"\nlisten = \"127.0.0.1:0\"\n{}{}{}[broker]\nurl = \"{broker_url}\"\n{}\
             [[model]]\nname = \"{MODEL}\"\npath = {:?}\npublisher = \"{}\"\n",
            self.deployment,
            self.configured,
            match self.operated {
                true => format!("admin = {:?}\n", dir.path().join(SOCKET)),
                false => String::new(),
            },
            if self.kbs { "release = \"kbs\"\n" } else { "" },
            if self.kbs { "" } else { &pinned },
            place,
            hex::encode(publisher.verifying_key().to_bytes()),
        );
        if self.second {
            let (sealed, publisher_key) = (dir.path().join("second.sealed"), publisher.verifying_key());
            seal(SECOND, &self.files, &sealed, &publisher, &broker);
            let publisher = hex::encode(publisher_key.to_bytes());
            text.push_str(&format!("[[model]]\nname = \"{SECOND}\"\npath = {sealed:?}\npublisher = \"{publisher}\"\n"));
            text.push_str("load = \"on demand\"\n");
        }
        if self.kbs {
            let hash = hex::encode(sha256(api_key.as_bytes()));
            text.push_str(&format!("[[client]]\nid = \"app\"\nkey_sha256 = \"{hash}\"\ntenant = \"an-application\"\n"));
        }
        if let Some(files) = &self.update {
            let base = strongroom_enclave_loader::inspect_unverified(&sealed).unwrap().model_id;
            let sealed = dir.path().join("update.sealed");
            seal_update(files, &sealed, &publisher, &broker, &base);
            let publisher = hex::encode(publisher.verifying_key().to_bytes());
            text.push_str(&format!("[[model.update]]\npath = {sealed:?}\npublisher = \"{publisher}\"\n"));
        }
        for ((name, wasm), digest) in self.plugins.iter().zip(&plugin_digests) {
            let path = dir.path().join(format!("{name}.wasm"));
            std::fs::write(&path, wasm).unwrap();
            let digest = hex::encode(digest);
            text.push_str(&format!("[[plugin]]\nname = \"{name}\"\npath = {path:?}\ndigest = \"{digest}\"\n"));
        }
        text.push_str(&vendors.gpus().map(Gpus::configuration).unwrap_or_default());
        let config = Config::from_toml(&text).unwrap();
        let mut policy = policy(&config, &plugin_digests, vendors.policy(&config));
        if self.kbs {
            policy = format!("kbs = true\n{policy}");
            // What vendors say about GPUs is the tenant's to keep beside the store.
            let folder = dir.path().join("broker/endorsements");
            std::fs::create_dir(&folder).unwrap();
            for (number, value) in vendors.gpus().map(Gpus::endorsements).unwrap_or_default().iter().enumerate() {
                std::fs::write(folder.join(number.to_string()), value).unwrap();
            }
        }
        let deposited = broker.deposit(&sealed, &publisher.verifying_key(), Some(&policy)).unwrap();
        if self.second {
            broker.deposit(&dir.path().join("second.sealed"), &publisher.verifying_key(), None).unwrap();
        }
        if self.update.is_some() {
            broker.deposit(&dir.path().join("update.sealed"), &publisher.verifying_key(), None).unwrap();
        }
        let exported = broker.export_trust(&TrustOptions { kbs: self.kbs, ..TrustOptions::default() }).unwrap();
        let trust = trust_file::verify(&exported, &broker.trust_root(), 0, time.now()).unwrap();
        let engine = self.engine;
        let model_id = deposited.model.model_id;
        Site { dir, time, vendors, broker, line, config, engine, trust, api_key, model_id, plugin_digests, policy }
    }

    /// The whole system, ready.
    pub(crate) async fn start(self) -> System {
        let site = self.prepare().await;
        let source = Arc::new(CountedSource::new(site.vendors.machine(&site.config)));
        let (running, events) = site.start(source.clone()).await;
        System {
            url: format!("http://{}", running.as_ref().unwrap().address),
            running: running.unwrap(),
            site,
            source,
            events,
        }
    }
}

/// All but the server.
pub(crate) struct Site {
    /// Everything that anybody writes lies here.
    pub(crate) dir: TempDir,
    pub(crate) time: Time,
    pub(crate) broker: Arc<Broker>,
    /// Between instances and broker.
    pub(crate) line: Line,
    pub(crate) config: Config,
    /// What clients go by.
    pub(crate) trust: TrustFile,
    pub(crate) api_key: String,
    pub(crate) model_id: [u8; 32],
    pub(crate) plugin_digests: Vec<[u8; 32]>,
    /// The policy in force.
    pub(crate) policy: String,
    vendors: Vendors,
    engine: Option<ScriptedEngine>,
}

/// What the operator was told.
pub(crate) type Events = Arc<Mutex<Vec<String>>>;

impl Site {
    /// The machine that the policy names, running the approved image. It is a chip with SNP.
    pub(crate) fn machine(&self) -> SimulatedDevice {
        self.vendors.chip(&self.config)
    }

    /// The machine that the policy names, of whichever kind.
    pub(crate) fn machine_of_any_kind(&self) -> SimulatedMachine {
        self.vendors.machine(&self.config)
    }

    /// The vendor of the machine's GPUs, if it has any.
    pub(crate) fn gpus(&self) -> Option<&Gpus> {
        self.vendors.gpus()
    }

    /// Starts a server on this machine, with the GPUs that the policy names.
    pub(crate) async fn start(&self, source: Arc<CountedSource>) -> (Result<Running, StartError>, Events) {
        self.start_with(source, self.gpus().map(|gpus| gpus.devices(&self.config))).await
    }

    /// The same with these devices.
    pub(crate) async fn start_with(
        &self,
        source: Arc<CountedSource>,
        devices: Option<Devices>,
    ) -> (Result<Running, StartError>, Events) {
        self.start_configured(self.config.clone(), source, devices).await
    }

    /// The same with another configuration.
    pub(crate) async fn start_configured(
        &self,
        config: Config,
        source: Arc<CountedSource>,
        devices: Option<Devices>,
    ) -> (Result<Running, StartError>, Events) {
        let events = Events::default();
        let sink: EventSink = {
            let events = events.clone();
            Arc::new(move |event| {
                let json = serde_json::to_string(event).unwrap();
                events.lock().unwrap().push(format!("{event} {event:?} {json}"));
            })
        };
        let setup = Setup {
            config,
            source,
            devices,
            clock: InstanceClock::on(Arc::new(self.time.clone())),
            events: sink,
            engine: self.engine.clone().map_or(EngineChoice::Model, EngineChoice::Scripted),
        };
        (start(setup).await, events)
    }

    /// A connector that accepts simulated evidence.
    pub(crate) fn connector(&self, url: &str) -> Connector {
        self.connector_that(url, true)
    }

    pub(crate) fn connector_that(&self, url: &str, accepts_simulated: bool) -> Connector {
        self.connector_trusting(url, self.trust.clone(), accepts_simulated)
    }

    pub(crate) fn connector_trusting(&self, url: &str, trust: TrustFile, accepts_simulated: bool) -> Connector {
        let connector = Connector::new(url, trust, accepts_simulated).unwrap();
        connector.with_clock(Arc::new(self.time.clone())).with_http(http())
    }

    /// A client that finds its instance at `url`.
    pub(crate) fn client_at(&self, url: &str) -> Client {
        Client { keeper: Keeper::new(self.connector(url)), api_key: self.api_key.clone() }
    }
}

/// Everything, running.
pub(crate) struct System {
    pub(crate) url: String,
    pub(crate) running: Running,
    pub(crate) source: Arc<CountedSource>,
    pub(crate) events: Events,
    site: Site,
}

impl Deref for System {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl System {
    pub(crate) fn client(&self) -> Client {
        self.client_at(&self.url)
    }

    /// A proxy on this machine, and an application that uses it.
    pub(crate) async fn application(&self) -> Application {
        Application::over(self.client()).await
    }

    /// Lets time pass in steps, as it does: the instance and the broker speak in between.
    pub(crate) async fn wait(&self, seconds: u64) {
        let mut left = seconds;
        while left > 0 {
            let step = left.min(150);
            self.time.advance(step);
            self.running.heartbeat().await;
            left -= step;
        }
    }

    /// Status and body of one of the operator's pages.
    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        let response = http().get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The value of one counter in `/metrics`.
    pub(crate) async fn counter(&self, name: &str) -> u64 {
        let (_, text) = self.page("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("strongroom_{name}_total ")));
        line.unwrap_or_else(|| panic!("no counter {name} in {text}")).parse().unwrap()
    }
}

/// Serves on a free loopback port until the test ends.
pub(crate) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// An update of the model with the id `base`.
fn seal_update(files: &[(&str, Vec<u8>)], sealed: &Path, publisher: &SigningKey, broker: &Broker, base: &str) {
    let plain = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(plain.path().join(name), content).unwrap();
    }
    let mut options = SealOptions::new(UPDATE, 1, Environment::Development, publisher, broker.deposit_key());
    let mut id = [0; 32];
    hex::decode_to_slice(base, &mut id).unwrap();
    options.base = Some(id);
    strongroom_enclave_loader::seal(plain.path(), sealed, &options, &|_| {}).unwrap();
}

/// The plaintext is gone when this returns.
fn seal(name: &str, files: &[(&str, Vec<u8>)], sealed: &Path, publisher: &SigningKey, broker: &Broker) {
    let plain = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = plain.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let options = SealOptions::new(name, 1, Environment::Development, publisher, broker.deposit_key());
    strongroom_enclave_loader::seal(plain.path(), sealed, &options, &|_| {}).unwrap();
}

fn policy(config: &Config, plugins: &[[u8; 32]], attestation: toml::Table) -> String {
    let digest = hex::encode(config.digest());
    let plugins: Vec<String> = plugins.iter().map(hex::encode).collect();
    let text = format!(
        "name = \"bank\"\nconfig_digests = [\"{digest}\"]\nplugins = {plugins:?}\nlease_seconds = 3600\n\
         [models]\n{MODEL} = 1\n{UPDATE} = 1\n{SECOND} = 1\n",
    );
    let mut policy: toml::Table = toml::from_str(&text).unwrap();
    policy.insert("attestation".into(), attestation.into());
    toml::to_string(&policy).unwrap()
}
