//! Sets the demo up as a tenant and an operator would: with this program's own commands,
//! each role in its own directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use strongroom_attestation::Check;
use strongroom_simulated_platform::{Product, SimulatedAmd, SimulatedDevice};

use super::gpus::{self, Gpus};
use super::processes::{Process, tool};
use super::{Model, Source};
use crate::exit_code::Exit;
use crate::output::{Failure, Output};

/// The `redact` plugin, built from `examples/plugin-redact`.
const REDACT: &[u8] = include_bytes!("../../../examples/plugin-redact/redact.wasm");
const DEPLOYMENT: &str = "demo";
/// Seed of the generated model: the same one each time.
const TINY: u64 = 7;

/// All that the demo made. Dropping it ends its processes and removes its directory.
pub(super) struct Stage {
    /// First, so that it is killed before its directory goes.
    broker: Option<Process>,
    root: tempfile::TempDir,
    vendor: SimulatedAmd,
    now: u64,
    /// Of the machine.
    gpus: Option<Gpus>,
    model: String,
    publisher: String,
    trust_root: String,
    broker_key: String,
    broker_url: String,
    /// The client's key, as the tenant gave it to the client.
    pub(super) api_key: String,
    /// Hex.
    pub(super) plugin_digest: String,
}

/// A server that runs.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) process: Process,
}

/// A proxy that verified its server.
pub(super) struct Proxy {
    pub(super) url: String,
    pub(super) checks: Vec<Check>,
    process: Process,
}

impl Proxy {
    pub(super) async fn stop(&mut self) {
        self.process.stop().await;
    }
}

impl Stage {
    /// A development vendor, a machine of its make, and a broker that believes in them.
    pub(super) async fn build(gpus: u8) -> Result<Self, Failure> {
        let root = tempfile::Builder::new().prefix("strongroom-demo-").tempdir().map_err(|e| io(&e))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| Failure::new(Exit::Failed, "CLOCK", e))?;
        let now = now.as_secs();
        let vendor = tokio::task::spawn_blocking(move || SimulatedAmd::generate(Product::Genoa, now))
            .await
            .map_err(|e| Failure::new(Exit::Failed, "BUG", e))?
            .map_err(|e| simulation(&e))?;
        for folder in ["broker-home", "server", "second-server", "client", "machine"] {
            fs::create_dir(root.path().join(folder)).map_err(|e| io(&e))?;
        }
        let mut stage = Self {
            root,
            vendor,
            now,
            gpus: None,
            model: String::new(),
            publisher: String::new(),
            trust_root: String::new(),
            broker_key: String::new(),
            broker_url: String::new(),
            broker: None,
            api_key: String::new(),
            plugin_digest: hex::encode(strongroom_attestation::crypto::sha256(REDACT)),
        };
        stage.machine(1)?.to_directory(&stage.path("machine/device")).map_err(|e| simulation(&e))?;
        write(&stage.path("broker-home/development-root.der"), stage.vendor.root_certificate_der())?;
        if gpus > 0 {
            let gpus = Gpus::make(&stage.path("machine/device"), gpus, now)?;
            gpus.write_roots(&stage.path("broker-home"))?;
            stage.gpus = Some(gpus);
        }
        write(&stage.path("server/redact.wasm"), REDACT)?;
        let mut roots = vec!["--development", "--development-root", "development-root.der"];
        if stage.gpus.is_some() {
            roots.extend(gpus::ROOTS.iter().flat_map(|root| ["--development-root", root]));
        }
        let init = ["init", "--dir", "broker", "--tenant", "demo-tenant", "--deployment", DEPLOYMENT];
        let made = stage.broker_tool(&init, &roots).await?;
        stage.trust_root = text(&made, "trust_root")?;
        stage.broker_key = text(&made, "broker_key")?;
        Ok(stage)
    }

    /// A machine of the development vendor, the `chip`-th.
    pub(super) fn machine(&self, chip: u8) -> Result<SimulatedDevice, Failure> {
        let image = strongroom_simulated_platform::launch_measurement(&own_image()?);
        self.vendor.device([chip; 32], image, [0; 32], self.now).map_err(|e| simulation(&e))
    }

    /// Seals the model to the broker's deposit key under a new publisher's key.
    pub(super) async fn seal(&mut self, model: &Model) -> Result<(), Failure> {
        self.model.clone_from(&model.name);
        let source = match &model.source {
            Source::File(path) => path.clone(),
            Source::Generated => {
                let path = self.path("broker-home/tiny.gguf");
                write(&path, &strongroom_engine::tiny_model(TINY))?;
                path
            }
        };
        let made = self.tenant_tool(&["model", "publisher-key", "publisher.key"]).await?;
        self.publisher = text(&made, "publisher")?;
        let (source, sealed) = (source.display().to_string(), self.path("server/model.sealed").display().to_string());
        let arguments = ["model", "seal", &source, &sealed, "--to", "broker/deposit.pub", "--publisher"];
        let more = ["publisher.key", "--name", &self.model, "--development"];
        self.tenant_tool(&[&arguments[..], &more[..]].concat()).await?;
        Ok(())
    }

    /// The key goes to the broker, under a policy that pins image, configuration and
    /// machine; the trust file says the same to clients.
    pub(super) async fn deposit(&mut self) -> Result<(), Failure> {
        let sealed = self.path("server/model.sealed").display().to_string();
        self.broker_tool(&["deposit", "--dir", "broker", &sealed], &["--publisher", &self.publisher]).await?;
        let made = self.broker_tool(&["api-key", "create", "--dir", "broker"], &["--tenant", "demo-client"]).await?;
        self.api_key = text(&made, "api_key")?;
        write(&self.api_key_file(), self.api_key.as_bytes())?;

        // The broker's address is part of the measured configuration, so it is chosen now.
        let address = free_address()?;
        self.broker_url = format!("http://{address}");
        write(&self.path("server/server.toml"), self.server_config("model.sealed").as_bytes())?;
        let digest = self.config_digest("server").await?;
        write(&self.path("broker-home/policy.toml"), self.policy(&digest)?.as_bytes())?;
        self.broker_tool(&["policy", "--dir", "broker", "policy.toml"], &[]).await?;
        let trust = self.trust_file().display().to_string();
        self.broker_tool(&["trust", "export", "--dir", "broker"], &["--out", &trust]).await?;
        Ok(())
    }

    pub(super) async fn start_broker(&mut self) -> Result<(), Failure> {
        let address = self.broker_url.trim_start_matches("http://").to_owned();
        let arguments = ["broker", "serve", "--dir", "broker", "--listen", &address];
        let mut broker = Process::start("the broker", &self.path("broker-home"), &arguments)?;
        broker.event("listening").await?;
        self.broker = Some(broker);
        Ok(())
    }

    /// A server in the operator's directory.
    pub(super) async fn start_server(&self, output: Output) -> Result<Server, Failure> {
        let mut process = self.spawn_server("server", &[])?;
        let released = process.event("released").await?;
        output.note(format!("     the broker released the key to instance {}", text(&released, "instance")?));
        let loaded = process.event("loaded").await?;
        output.note(format!("     weights are in memory after {} ms", loaded["milliseconds"]));
        let ready = process.event("ready").await?;
        let url = format!("http://{}", text(&ready, "address")?);
        if let Some(memory) = process.id().and_then(resident_mib) {
            output.note(format!("     the server has {memory} MiB in memory"));
        }
        Ok(Server { url, process })
    }

    /// A server that may be refused.
    pub(super) fn spawn_server(&self, directory: &str, more: &[&str]) -> Result<Process, Failure> {
        self.spawn_server_on("machine/device", directory, more)
    }

    /// The same on the machine of that folder.
    pub(super) fn spawn_server_on(&self, machine: &str, directory: &str, more: &[&str]) -> Result<Process, Failure> {
        let device = self.path(machine).display().to_string();
        let arguments = ["serve", "--config", "server.toml", "--simulated", "snp", "--device", &device];
        Process::start("the server", &self.path(directory), &[&arguments[..], more].concat())
    }

    /// A proxy on a free port, whose trust root is pinned at first use.
    pub(super) async fn start_proxy(&self, name: &'static str, server: &str) -> Result<Proxy, Failure> {
        let (trust, state) = (self.trust_file().display().to_string(), self.state().display().to_string());
        let arguments = ["proxy", server, "--listen", "127.0.0.1:0", "--accept-simulated", "--trust", &trust];
        let more = ["--state", &state, "--trust-root", &self.trust_root];
        let mut process = Process::start(name, &self.path("client"), &[&arguments[..], &more[..]].concat())?;
        let verified = process.event("verified").await?;
        let checks: Vec<Check> =
            serde_json::from_value(verified["checks"].clone()).map_err(|e| Failure::new(Exit::Failed, "BUG", e))?;
        let listening = process.event("listening").await?;
        Ok(Proxy { url: format!("http://{}", text(&listening, "address")?), checks, process })
    }

    /// `strongroom verify`, as a client would type it.
    pub(super) async fn verify(&self, server: &str, accept_simulated: bool) -> Result<(u8, Value), Failure> {
        let (trust, state) = (self.trust_file().display().to_string(), self.state().display().to_string());
        let mut arguments =
            vec!["verify", server, "--trust", &trust, "--state", &state, "--trust-root", &self.trust_root];
        if accept_simulated {
            arguments.push("--accept-simulated");
        }
        tool(&self.path("client"), &arguments).await
    }

    /// Fetches the receipt from the proxy and checks it with `strongroom receipt verify`.
    pub(super) async fn receipt(&self, proxy: &str, request_id: &str) -> Result<Value, Failure> {
        let url = format!("{proxy}/receipts/{request_id}");
        let http = reqwest::Client::builder().no_proxy().build().map_err(|e| Failure::new(Exit::Failed, "IO", e))?;
        let unavailable = |e: reqwest::Error| Failure::new(Exit::Unavailable, "PROXY", e);
        let bundle = http.get(&url).send().await.map_err(unavailable)?.error_for_status().map_err(unavailable)?;
        let file = self.path("client/receipt.json");
        write(&file, &bundle.bytes().await.map_err(unavailable)?)?;
        let (trust, file) = (self.trust_file().display().to_string(), file.display().to_string());
        let arguments =
            ["receipt", "verify", &file, "--accept-simulated", "--trust", &trust, "--trust-root", &self.trust_root];
        let (exit, said) = tool(&self.path("client"), &arguments).await?;
        accepted(exit, said)
    }

    /// `strongroom broker revoke`.
    pub(super) async fn revoke(&self, lease: &str) -> Result<(), Failure> {
        self.broker_tool(&["revoke", "--dir", "broker"], &["--lease", lease, "--url", &self.broker_url])
            .await
            .map(|_| ())
    }

    pub(super) fn server_config(&self, sealed: &str) -> String {
        format!(
            "deployment = \"{DEPLOYMENT}\"\nlisten = \"127.0.0.1:0\"\n\n[broker]\nurl = \"{}\"\nkey = \"{}\"\n\n\
             [[model]]\nname = \"{}\"\npath = \"{sealed}\"\npublisher = \"{}\"\n\n\
             [[plugin]]\nname = \"redact\"\npath = \"redact.wasm\"\ndigest = \"{}\"\n",
            self.broker_url, self.broker_key, self.model, self.publisher, self.plugin_digest
        ) + &self.gpus.as_ref().map(Gpus::configuration).unwrap_or_default()
    }

    fn policy(&self, config_digest: &str) -> Result<String, Failure> {
        let machine = self.machine(1)?;
        Ok(format!(
            "name = \"demo\"\nconfig_digests = [\"{config_digest}\"]\nplugins = [\"{}\"]\nlease_seconds = 3600\n\n\
             [models]\n\"{}\" = 1\n\n[attestation]\nname = \"demo\"\nmeasurements = [\"{}\"]\nhost_data = [\"{config_digest}\"]\n\
             platform_identities = [\"{}\"]\nrequire_platform_identity = true\nrequire_revocation = true\n\n\
             [attestation.snp]\nproducts = [\"Genoa\"]\nvmpl = [0]\nrequire_alias_check = true\n\
             require_ecc = true\n\n[attestation.snp.minimum_tcb.Genoa]\nbootloader = 10\ntee = 0\nsnp = 25\nmicrocode = 84\n",
            self.plugin_digest,
            self.model,
            hex::encode(machine.measurement()),
            hex::encode(machine.chip_id()),
        ) + &self.gpus.as_ref().map(Gpus::policy).unwrap_or_default())
    }

    /// The machine's GPUs, where it has some.
    pub(super) fn gpus(&self) -> Option<&Gpus> {
        self.gpus.as_ref()
    }

    async fn config_digest(&self, directory: &str) -> Result<String, Failure> {
        let arguments = ["serve", "--config", "server.toml", "--print-config-digest"];
        let (exit, said) = tool(&self.path(directory), &arguments).await?;
        text(&accepted(exit, said)?, "config_digest")
    }

    /// When all of it was made, Unix seconds.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn trust_file(&self) -> PathBuf {
        self.path("client/demo.trust")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.path("client/state")
    }

    pub(super) fn api_key_file(&self) -> PathBuf {
        self.path("client/api-key")
    }

    pub(super) async fn stop(&mut self) {
        if let Some(broker) = &mut self.broker {
            broker.stop().await;
        }
    }

    async fn tenant_tool(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let (exit, said) = tool(&self.path("broker-home"), arguments).await?;
        accepted(exit, said)
    }

    async fn broker_tool(&self, arguments: &[&str], more: &[&str]) -> Result<Value, Failure> {
        self.tenant_tool(&[&["broker"][..], arguments, more].concat()).await
    }
}

fn accepted(exit: u8, said: Value) -> Result<Value, Failure> {
    if exit == 0 {
        return Ok(said);
    }
    let code = said["error"]["code"].as_str().unwrap_or("NO_ERROR").to_owned();
    Err(Failure::new(Exit::from_code(exit), code, said["error"]["message"].as_str().unwrap_or("it said nothing")))
}

fn own_image() -> Result<Vec<u8>, Failure> {
    let program = std::env::current_exe().map_err(|e| io(&e))?;
    fs::read(&program).map_err(|e| Failure::file(&program, &e))
}

/// A port that is free at the moment.
fn free_address() -> Result<String, Failure> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| io(&e))?;
    listener.local_addr().map(|address| address.to_string()).map_err(|e| io(&e))
}

/// Resident memory of a process, where the system tells.
fn resident_mib(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib / 1024)
}

fn text(value: &Value, field: &str) -> Result<String, Failure> {
    let missing = || Failure::new(Exit::Failed, "BUG", format!("`{field}` is missing in {value}"));
    value[field].as_str().map(str::to_owned).ok_or_else(missing)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|e| Failure::file(path, &e))
}

fn io(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "IO", error)
}

pub(super) fn simulation(error: &strongroom_simulated_platform::SimulationError) -> Failure {
    Failure::new(Exit::Failed, "SIMULATED_PLATFORM", error)
}
