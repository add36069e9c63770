//! What was typed. The commands say what it means.

#[cfg(feature = "serve")]
mod admin;
mod model;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[cfg(feature = "serve")]
pub(crate) use admin::{Admin, AdminCommand};
pub(crate) use model::Signer;
#[cfg(any(feature = "broker", feature = "serve"))]
pub(crate) use model::{Model, Opener, Seal, Sealed};

/// Strongroom: a confidential model server.
///
/// It proves to a remote party what it is, gets a model's key from the tenant's broker
/// only after that proof, decrypts the weights into memory, and serves inference.
///
/// Exit codes: 0 accepted or done, 1 bug or I/O, 2 usage, 3 refused, 4 malformed,
/// 5 unavailable (try again).
#[derive(Parser)]
#[command(name = "strongroom", version = crate::version::text(), max_term_width = 100)]
pub(crate) struct Arguments {
    /// Print one JSON object a line on standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// The whole story on one machine, attacks included.
    #[cfg(all(feature = "serve", feature = "broker", feature = "client", feature = "simulated"))]
    Demo(Demo),
    /// The server in the confidential VM.
    #[cfg(feature = "serve")]
    Serve(Serve),
    /// Ask a server that runs on this node: what is loaded, load, unload, end.
    #[cfg(feature = "serve")]
    Admin(Admin),
    /// A local OpenAI-compatible port; nothing is sent before a verdict.
    #[cfg(feature = "client")]
    Proxy(Proxy),
    /// A terminal chat over a verified channel.
    #[cfg(feature = "client")]
    Chat(Chat),
    /// Verify a server, or evidence in files: numbered checks, PASS, FAIL or SKIP.
    #[cfg(feature = "client")]
    Verify(Box<crate::verify::Verify>),
    /// Look at evidence, certificates, collateral and event logs without judging them.
    #[cfg(feature = "client")]
    #[command(subcommand)]
    Evidence(crate::evidence::Evidence),
    /// Check a saved receipt: who answered this, with what.
    #[cfg(feature = "client")]
    #[command(subcommand)]
    Receipt(Receipt),
    /// Expected launch measurements, for policies.
    #[cfg(feature = "client")]
    #[command(subcommand)]
    Measure(crate::measure::Measure),
    /// What vendors publish: fetch it ahead, carry it to sites without a network.
    #[cfg(feature = "client")]
    #[command(subcommand)]
    Collateral(crate::collateral::Collateral),
    /// What is no longer trusted, as a signed list that verifiers ask.
    #[cfg(feature = "client")]
    #[command(subcommand)]
    DenyList(crate::deny_list::DenyListCommand),
    /// Seal models, and look at sealed ones.
    #[cfg(any(feature = "broker", feature = "serve"))]
    #[command(subcommand)]
    Model(Model),
    /// The tenant's key broker.
    #[cfg(feature = "broker")]
    #[command(subcommand)]
    Broker(Broker),
}

/// Runs broker, server and proxy on this machine with a real model on a simulated
/// platform, asks a question, and then attacks each part.
#[derive(Args)]
pub(crate) struct Demo {
    /// Use a tiny generated model: proves the path, not the language.
    #[arg(long, conflicts_with = "model")]
    pub(crate) offline: bool,
    /// Use this model: a GGUF file, or a directory with safetensors, of a family that the engine knows.
    #[arg(long, value_name = "PATH")]
    pub(crate) model: Option<PathBuf>,
    /// Stay up afterwards, until Ctrl-C.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Give the machine so many simulated GPUs in confidential mode: they join the evidence, and two more
    /// attacks are refused. Eight are a protected-PCIe board with its four switches.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=8))]
    pub(crate) gpus: u8,
    /// Where downloaded models are kept [default: the user's cache directory].
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Serve {
    /// The configuration (TOML).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Listen here instead; part of the measured configuration like everything else.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// Print the digest of the configuration as meant, and end.
    #[arg(long)]
    pub(crate) print_config_digest: bool,
    /// Refuse to start where memory can be swapped or dumped, instead of warning.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Run on a simulated platform (development only): its evidence cannot pass for real.
    #[cfg(feature = "simulated")]
    #[arg(long, value_name = "PLATFORM", value_parser = ["snp", "tdx", "azure"], requires = "device")]
    pub(crate) simulated: Option<String>,
    /// The simulated device's directory.
    #[cfg(feature = "simulated")]
    #[arg(long, value_name = "DIR", requires = "simulated")]
    pub(crate) device: Option<PathBuf>,
    /// The simulated machine has so many GPUs, which are in the folder `gpus` of its device; part of the measured
    /// configuration like everything else.
    #[cfg(feature = "simulated")]
    #[arg(long, value_name = "N", requires = "simulated", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) gpus: Option<u8>,
    /// What the simulated platform measures instead of this program.
    #[cfg(feature = "simulated")]
    #[arg(long, value_name = "FILE", requires = "simulated")]
    pub(crate) simulated_image: Option<PathBuf>,
}

/// Which deployment is meant, and what is accepted as such.
#[derive(Args)]
pub(crate) struct Trust {
    /// The trust file that the tenant's broker exported.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// The digest of the tenant's root key, wanted the first time: sha256:…
    #[arg(long, value_name = "sha256:HEX")]
    pub(crate) trust_root: Option<String>,
    /// Accept evidence of a simulated platform, which proves nothing about real hardware.
    #[arg(long)]
    pub(crate) accept_simulated: bool,
    /// Where pinned roots, seen trust files and seen deny lists are remembered [default: the user's state directory].
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    #[cfg(feature = "client")]
    #[command(flatten)]
    pub(crate) denied: crate::deny_list::DenyListArguments,
}

#[derive(Args)]
pub(crate) struct Proxy {
    /// The server.
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// Where applications find the proxy.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8788")]
    pub(crate) listen: String,
}

#[derive(Args)]
pub(crate) struct Chat {
    /// The server.
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// A file that holds the API key.
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: PathBuf,
    /// The model's name [default: the first that is served].
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Ask this one thing and end.
    #[arg(long, value_name = "TEXT")]
    pub(crate) ask: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Receipt {
    /// Check a bundle that the proxy wrote.
    Verify {
        /// The bundle (JSON).
        file: PathBuf,
        /// The tenant's trust file.
        #[arg(long, value_name = "FILE")]
        trust: PathBuf,
        /// The digest of the tenant's root key: sha256:…
        #[arg(long, value_name = "sha256:HEX")]
        trust_root: String,
        /// Accept a receipt of a simulated platform.
        #[arg(long)]
        accept_simulated: bool,
        /// The request's body as the application sent it, to compare.
        #[arg(long, value_name = "FILE")]
        request: Option<PathBuf>,
        /// The answer's body as the application got it, to compare.
        #[arg(long, value_name = "FILE")]
        response: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Broker {
    /// Make a broker: keys, certificate authority, store. Production or development for ever.
    Init {
        #[command(flatten)]
        place: BrokerPlace,
        /// The tenant's name: 1 to 63 of a-z, 0-9, '.', '-' and '_'.
        #[arg(long)]
        tenant: String,
        /// The deployment's name, a lower-case DNS label.
        #[arg(long)]
        deployment: String,
        /// Where the key-encryption key goes, better on another volume [default: kek.key in DIR].
        #[arg(long, value_name = "FILE")]
        kek: Option<PathBuf>,
        /// A development broker: it releases to simulated platforms only.
        #[arg(long, requires = "development_root")]
        development: bool,
        /// The development vendor's root certificate (DER); once for each vendor of a platform.
        #[arg(long, value_name = "FILE", requires = "development")]
        development_root: Vec<PathBuf>,
    },
    /// Answer instances.
    Serve {
        #[command(flatten)]
        place: BrokerPlace,
        /// Where to listen.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
        listen: String,
    },
    /// Take a sealed model's key into the store.
    Deposit {
        #[command(flatten)]
        place: BrokerPlace,
        /// The sealed model's directory.
        sealed: PathBuf,
        /// The publisher's public key (hex).
        #[arg(long, value_name = "HEX")]
        publisher: String,
        #[command(flatten)]
        signer: Signer,
    },
    /// Put a release policy in force.
    Policy {
        #[command(flatten)]
        place: BrokerPlace,
        /// The policy (TOML).
        file: PathBuf,
    },
    /// Hand a model's keys to another KBS (Trustee), which from then on decides who gets them.
    KbsPublish(KbsPublish),
    /// End leases: running servers stop within seconds.
    Revoke {
        #[command(flatten)]
        place: BrokerPlace,
        /// The lease (hex).
        #[arg(long, value_name = "HEX", required_unless_present = "all")]
        lease: Option<String>,
        /// Every lease.
        #[arg(long, conflicts_with = "lease")]
        all: bool,
        /// The running broker; without it the store is opened, which a running broker holds.
        #[arg(long)]
        url: Option<String>,
    },
    /// Clients' API keys.
    #[command(subcommand)]
    ApiKey(ApiKey),
    /// The trust file that clients use.
    #[command(subcommand)]
    Trust(TrustCommand),
    /// The decision log.
    #[command(subcommand)]
    Log(LogCommand),
}

/// Where a broker lives.
#[derive(Args)]
pub(crate) struct BrokerPlace {
    /// The broker's directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

#[derive(Args)]
pub(crate) struct KbsPublish {
    #[command(flatten)]
    pub(crate) place: BrokerPlace,
    /// The model's name.
    #[arg(long)]
    pub(crate) model: String,
    /// Its version.
    #[arg(long)]
    pub(crate) version: u64,
    /// The KBS: https://, or http:// on this machine, since the keys cross in the clear.
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// A file with the bearer token of the KBS's administrator.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// Where it goes there, repository/type/tag [default: MODEL/model-key/VERSION].
    #[arg(long, value_name = "PATH")]
    pub(crate) resource: Option<String>,
    /// The certificate authority of the KBS (PEM), where it is none that this system knows.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum ApiKey {
    /// Make a key for a client; it is shown once.
    Create {
        #[command(flatten)]
        place: BrokerPlace,
        /// Who it is for.
        #[arg(long)]
        tenant: String,
        /// The running broker; without it the store is opened, which a running broker holds.
        #[arg(long)]
        url: Option<String>,
    },
    /// Take a key back; instances hear of it with their next heartbeat.
    Revoke {
        #[command(flatten)]
        place: BrokerPlace,
        /// The key's id (ak-…).
        id: String,
        /// The running broker; without it the store is opened, which a running broker holds.
        #[arg(long)]
        url: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum TrustCommand {
    /// Sign and write the trust file.
    Export {
        #[command(flatten)]
        place: BrokerPlace,
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// For servers that get their keys over the KBS protocol: clients then take them without
        /// instance certificate and lease.
        #[arg(long)]
        kbs: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum LogCommand {
    /// Check that no record was changed, removed or moved.
    Verify {
        #[command(flatten)]
        place: BrokerPlace,
    },
}
