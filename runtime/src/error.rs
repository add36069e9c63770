//! Why the server did not start, or ended. By cause, with the exit code that follows.

use strongroom_enclave_loader::LoadError;
use strongroom_enclave_loader::release::{End, ReleaseError};
use strongroom_engine::EngineError;
use strongroom_plugins::PluginError;

use crate::config::ConfigError;
use crate::evidence::EvidenceError;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not what is wanted.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The platform gave no evidence.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The simulated platform was asked for on a machine that has a real one (A18).
    #[error(
        "this program can simulate a platform and this machine has a real one: build it for production with \
         `--no-default-features --features serve`"
    )]
    SimulatedOnHardware,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another `listen` address or stop what uses it")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The broker refused, or could not be reached, or is not the pinned one.
    #[error("the broker did not release the model's key: {0}")]
    Release(#[from] ReleaseError),
    /// A sealed model could not be opened.
    #[error("sealed model `{model}`: {source}")]
    Model {
        /// The configured name.
        model: String,
        /// What is wrong with it.
        source: LoadError,
    },
    /// A sealed model is an update where a model is wanted, or of another model.
    #[error("model `{model}`: {problem}")]
    Update {
        /// The configured name.
        model: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The model inside could not be loaded.
    #[error("model `{model}`: {source}")]
    Engine {
        /// The configured name.
        model: String,
        /// What is wrong with it.
        source: EngineError,
    },
    /// The model is in memory and does not compute.
    #[error("model `{model}` does not compute a short text: {reason}")]
    Cold {
        /// The configured name.
        model: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The socket for the operator's commands cannot be made.
    #[error("`admin` socket {}: {problem}", .path.display())]
    Admin {
        /// The socket.
        path: std::path::PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A plugin's file could not be read.
    #[error("plugin `{name}`: {} cannot be read: {source}", .path.display())]
    PluginFile {
        /// The configured name.
        name: String,
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A plugin's file is not the configured one.
    #[error("plugin `{name}` has digest {found}, the configuration wants {wanted}")]
    PluginDigest {
        /// The configured name.
        name: String,
        /// Hex, as configured.
        wanted: String,
        /// Hex, as found.
        found: String,
    },
    /// A plugin is not acceptable to the sandbox.
    #[error("plugin `{name}`: {source}")]
    Plugin {
        /// The configured name.
        name: String,
        /// What is wrong with it.
        source: PluginError,
    },
    /// The weights could not be locked into memory, which `strict` wants.
    #[error(
        "model `{0}`: the system does not let {1} MiB of weights be locked into memory: raise the memory-lock limit \
         (`ulimit -l`, systemd's LimitMEMLOCK=infinity, or CAP_IPC_LOCK), or leave out `strict`"
    )]
    NotLocked(String, usize),
    /// The lease ended while the models were loaded.
    #[error("the broker ended the lease ({0:?}) before anything was served")]
    LeaseEnded(End),
    /// A bug.
    #[error("{0} stopped on a bug; please report it")]
    Crashed(&'static str),
    /// The broker released other models than were asked for.
    #[error("the broker's answer has no key for model `{0}`")]
    MissingKey(String),
}

impl StartError {
    /// A stable code for programs.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Self::Config(_) => "CONFIG".into(),
            Self::Evidence(
                EvidenceError::NoPlatform { .. } | EvidenceError::Unsupported { .. } | EvidenceError::NoReportData,
            ) => "NO_PLATFORM".into(),
            Self::Evidence(EvidenceError::DevicesNotConfigured { .. }) => "DEVICES".into(),
            Self::Evidence(EvidenceError::Devices(refusal)) => refusal.code.to_string(),
            Self::Evidence(EvidenceError::Failed(_)) => "EVIDENCE".into(),
            Self::SimulatedOnHardware => "SIMULATED_ON_HARDWARE".into(),
            Self::Listen { .. } => "LISTEN".into(),
            Self::Release(error) => error.code().to_string(),
            Self::Model { source, .. } => source.code().into(),
            Self::Update { .. } => "MODEL_UPDATE".into(),
            Self::Engine { .. } | Self::Cold { .. } => "MODEL".into(),
            Self::Admin { .. } => "ADMIN_SOCKET".into(),
            Self::PluginFile { .. } => "PLUGIN_FILE".into(),
            Self::PluginDigest { .. } => "PLUGIN_DIGEST".into(),
            Self::Plugin { .. } => "PLUGIN".into(),
            Self::MissingKey(_) => "MODEL_NOT_RELEASED".into(),
            Self::NotLocked(..) => "UNPROTECTED_MEMORY".into(),
            Self::LeaseEnded(_) => "LEASE_ENDED".into(),
            Self::Crashed(_) => "BUG".into(),
        }
    }

    /// The process's exit code: 1 I/O, 2 usage, 3 refused, 4 malformed, 5 unavailable.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            Self::Listen { .. }
            | Self::Admin { .. }
            | Self::PluginFile { .. }
            | Self::Crashed(_)
            | Self::Evidence(EvidenceError::Failed(_)) => 1,
            Self::Release(error) => error.exit_code(),
            Self::Model { source, .. } => source.exit_code(),
            Self::Engine { .. } | Self::Cold { .. } => 4,
            Self::Evidence(_)
            | Self::SimulatedOnHardware
            | Self::PluginDigest { .. }
            | Self::Plugin { .. }
            | Self::LeaseEnded(_)
            | Self::NotLocked(..)
            | Self::Update { .. }
            | Self::MissingKey(_) => 3,
        }
    }
}
