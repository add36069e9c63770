//! The server inside the confidential VM.
//!
//! It proves what it is to the tenant's broker, gets the model's key, decrypts the
//! weights into memory, and serves inference over an attested channel.
//!
//! ```text
//! start:   config (digest) ─► evidence ─► release ─► sealed model ─► engine, plugins ─► epoch 2 ─► ready
//!
//! request: client ─► gateway (decapsulate, replay set, statement) ─► api (who asks, JSON)
//!            ─► plugins on-request ─► budgets ─► engine (one thread owns the device) ─► plugins on-response
//!            ─► api (event stream) ─► gateway (filler, encapsulate, receipt) ─► client
//!
//! admin:   strongroom admin ─► Unix socket ─► operator (load, unload, drain) ─► keeper ─► epoch
//! ```
//!
//! The modules follow that path. `start` is the one place that knows them all.

mod admin;
mod api;
mod attest;
mod budgets;
mod clock;
mod config;
mod epochs;
mod error;
mod events;
mod evidence;
mod gateway;
mod instance;
mod keeper;
mod loading;
mod metrics;
mod model;
mod operator;
mod plugins;
mod release;
mod replay;
mod roster;
mod serving;
mod start;

pub use clock::{Clock, InstanceClock};
pub use config::{
    BrokerConfig, ClientConfig, Config, ConfigError, GpusConfig, LimitsConfig, Load, ModelConfig, PluginConfig,
    ReleaseProtocol, UpdateConfig,
};
pub use error::StartError;
pub use events::{Event, EventSink};
pub use evidence::devices::Devices;
pub use evidence::nvidia::{Address, CallFailure, DeviceReport, Gpu, GpuError, GpuSource, Inventory, NvmlSource};
#[cfg(feature = "simulated")]
pub use evidence::simulated::{SimulatedMachine, SimulatedSource};
#[cfg(feature = "simulated")]
pub use evidence::simulated_devices::SimulatedGpus;
pub use evidence::{Collected, EvidenceError, EvidenceSource, Form, detect, hardware_present};
pub use loading::{EngineChoice, ScriptedEngine};
pub use start::{Running, Setup, start};
