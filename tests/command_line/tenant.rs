//! A tenant with a development broker, a sealed model, a machine and a configuration, made
//! once with the program's own commands and copied for each test.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use strongroom_simulated_platform::{Product, SimulatedAmd, SimulatedDevice, launch_measurement};

use super::scene::Scene;

/// What the simulated machine measures.
const IMAGE: &[u8] = b"the image of these tests";
/// Seed of the generated model.
const TINY: u64 = 7;
/// The chip's secret.
const CHIP: [u8; 32] = [1; 32];

/// A tenant's directory: `broker/`, `publisher.key`, `model.gguf`, `model.sealed/`, `device/`,
/// `image`, `root.der`, `policy.toml`, `bank.trust`.
pub(super) struct Tenant {
    pub(super) scene: Scene,
    pub(super) publisher: String,
    pub(super) trust_root: String,
    pub(super) broker_key: String,
}

struct Template {
    files: Vec<(String, fs::Permissions, Vec<u8>)>,
    publisher: String,
    trust_root: String,
    broker_key: String,
}

impl Tenant {
    pub(super) fn new() -> Self {
        static TEMPLATE: OnceLock<Template> = OnceLock::new();
        let template = TEMPLATE.get_or_init(Template::build);
        let scene = Scene::new();
        for (name, permissions, bytes) in &template.files {
            let path = scene.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, permissions.clone()).unwrap();
        }
        Self {
            scene,
            publisher: template.publisher.clone(),
            trust_root: template.trust_root.clone(),
            broker_key: template.broker_key.clone(),
        }
    }

    /// One whose model is the generated one with a change: sealed and deposited anew, as a version of its
    /// own.
    pub(super) fn with(change: fn(Vec<u8>) -> Vec<u8>) -> Self {
        let tenant = Self::new();
        let scene = &tenant.scene;
        scene.write("model.gguf", change(scene.read("model.gguf")));
        fs::remove_dir_all(scene.path("model.sealed")).unwrap();
        scene.done(&Self::seal("model.sealed", &["--name", "tiny", "--development", "--version", "2"]));
        scene.done(&["broker", "deposit", "--dir", "broker", "model.sealed", "--publisher", &tenant.publisher]);
        tenant
    }

    /// The arguments that seal `model.gguf`; an option given twice is an error, so `more` says
    /// name, version and mark.
    pub(super) fn seal<'a>(destination: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let common = ["model", "seal", "model.gguf", destination, "--to", "broker/deposit.pub", "--publisher"];
        [&common[..], &["publisher.key"], more].concat()
    }

    /// Writes `server.toml`, for a broker at `url`.
    pub(super) fn configure(&self, url: &str) {
        self.scene.write("server.toml", self.config(url));
    }

    pub(super) fn config(&self, url: &str) -> String {
        format!(
            "deployment = \"bank\"\nlisten = \"127.0.0.1:0\"\n\n[broker]\nurl = \"{url}\"\nkey = \"{}\"\n\n\
             [[model]]\nname = \"tiny\"\npath = \"model.sealed\"\npublisher = \"{}\"\n",
            self.broker_key, self.publisher
        )
    }
}

/// The arguments of a server on the simulated machine.
pub(super) const SERVE: [&str; 9] =
    ["serve", "--config", "server.toml", "--simulated", "snp", "--device", "device", "--simulated-image", "image"];

/// The machine, as of `now`.
pub(super) fn machine(now: u64) -> SimulatedDevice {
    let vendor = SimulatedAmd::published(Product::Genoa, now).unwrap();
    vendor.device(CHIP, launch_measurement(IMAGE), [0; 32], now).unwrap()
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The policy of the machine and of servers with this configuration.
pub(super) fn policy(config_digest: &str) -> String {
    let machine = machine(now());
    format!(
        "name = \"bank\"\nconfig_digests = [\"{config_digest}\"]\n\n[models]\ntiny = 1\n\n[attestation]\n\
         name = \"bank\"\nmeasurements = [\"{}\"]\nhost_data = [\"{config_digest}\"]\n\
         platform_identities = [\"{}\"]\nrequire_platform_identity = true\nrequire_revocation = true\n\n\
         [attestation.snp]\nproducts = [\"Genoa\"]\nvmpl = [0]\n",
        hex::encode(machine.measurement()),
        hex::encode(machine.chip_id()),
    )
}

impl Template {
    fn build() -> Self {
        let scene = Scene::new();
        let vendor = SimulatedAmd::published(Product::Genoa, now()).unwrap();
        machine(now()).to_directory(&scene.path("device")).unwrap();
        scene.write("root.der", vendor.root_certificate_der());
        scene.write("image", IMAGE);
        scene.write("model.gguf", strongroom_engine::tiny_model(TINY));
        scene.write("policy.toml", policy(&"00".repeat(32)));
        let init = ["broker", "init", "--dir", "broker", "--tenant", "bank", "--deployment", "bank"];
        let made = scene.done(&[&init[..], &["--development", "--development-root", "root.der"]].concat());
        let publisher = text(&scene.done(&["model", "publisher-key", "publisher.key"]), "publisher");
        scene.done(&Tenant::seal("model.sealed", &["--name", "tiny", "--development"]));
        scene.done(&["broker", "deposit", "--dir", "broker", "model.sealed", "--publisher", &publisher]);
        scene.done(&["broker", "policy", "--dir", "broker", "policy.toml"]);
        scene.done(&["broker", "trust", "export", "--dir", "broker", "--out", "bank.trust"]);
        let mut files = Vec::new();
        collect(&scene.path(""), "", &mut files);
        let (trust_root, broker_key) = (text(&made, "trust_root"), text(&made, "broker_key"));
        Self { files, publisher, trust_root, broker_key }
    }
}

fn text(value: &serde_json::Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

fn collect(directory: &Path, prefix: &str, files: &mut Vec<(String, fs::Permissions, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.push((name, entry.metadata().unwrap().permissions(), fs::read(entry.path()).unwrap()));
        }
    }
}
