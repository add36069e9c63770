//! What the operator is told: a closed list, none of which can hold a prompt, an answer
//! or a key.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The configuration's digest, which the evidence will carry.
    Configured {
        /// Hex.
        config_digest: String,
    },
    /// The server listens; it is not ready yet.
    Listening {
        /// Where.
        address: String,
    },
    /// The platform's evidence goes to the broker.
    AskingForKey {
        /// The broker's address.
        broker: String,
    },
    /// The broker released the key to this instance.
    Released {
        /// Hex, of the lease.
        lease: String,
        /// Hex, of this instance.
        instance: String,
    },
    /// A KBS released the keys to this instance: without a lease.
    ReleasedByKbs {
        /// Hex, of this instance.
        instance: String,
    },
    /// Weights are being decrypted into memory.
    Loading {
        /// The model's name.
        model: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A model is in memory.
    Loaded {
        /// The model's name.
        model: String,
        /// Hex, its id.
        model_id: String,
        /// How long it took.
        milliseconds: u64,
        /// What the packed weights take.
        weight_bytes: u64,
        /// Whether they can never be swapped out.
        is_locked: bool,
        /// The processor's instructions that it is computed with.
        instructions: &'static str,
        /// Threads that compute.
        threads: usize,
    },
    /// A model computed a first short text, so that no client waits for what happens once.
    Warm {
        /// The model's name.
        model: String,
        /// How long it took.
        milliseconds: u64,
    },
    /// A model is no longer in memory.
    Unloaded {
        /// The model's name.
        model: String,
    },
    /// The operator asked for something.
    Admin {
        /// What: `status`, `load`, `unload`, `drain`, or `unknown`.
        action: &'static str,
        /// The model, if it is a configured one.
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// The user id of whoever asked, as the system says it.
        #[serde(skip_serializing_if = "Option::is_none")]
        uid: Option<u32>,
        /// `done`, or the code of the refusal.
        outcome: String,
    },
    /// No new request is taken; those that run go on for a while.
    Draining {
        /// How many run.
        running: usize,
    },
    /// Clients are served.
    Ready {
        /// Where.
        address: String,
    },
    /// A new epoch began.
    Epoch {
        /// Its number.
        epoch: u64,
    },
    /// The next epoch could not begin: the devices do not answer as they must.
    EpochMissed {
        /// Why, for the operator.
        reason: String,
    },
    /// The broker does not answer; the lease runs on for a while.
    HeartbeatMissed {
        /// A stable code.
        code: String,
    },
    /// A lease ended; its models are unloaded.
    LeaseEnded {
        /// Why.
        reason: String,
    },
    /// The server stops.
    Stopping,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured { config_digest } => write!(f, "configuration {config_digest}"),
            Self::Listening { address } => write!(f, "listening on {address}; not ready yet"),
            Self::AskingForKey { broker } => write!(f, "evidence goes to the broker at {broker}"),
            Self::Released { lease, instance } => write!(f, "key released to instance {instance}, lease {lease}"),
            Self::ReleasedByKbs { instance } => {
                write!(f, "key released by a KBS to instance {instance}: no lease, so nobody can revoke it")
            }
            Self::Loading { model, done, total } => {
                write!(f, "loading {model}: {} of {} MiB", done >> 20, total >> 20)
            }
            Self::Loaded { model, model_id, milliseconds, weight_bytes, is_locked, instructions, threads } => {
                let mebibytes = weight_bytes >> 20;
                let locked = if *is_locked { ", locked" } else { "" };
                write!(f, "{model} is in memory ({milliseconds} ms, {mebibytes} MiB{locked}, ")?;
                write!(f, "{threads} threads of {instructions}), model id {model_id}")
            }
            Self::Warm { model, milliseconds } => write!(f, "{model} is warm ({milliseconds} ms)"),
            Self::Unloaded { model } => write!(f, "{model} is unloaded"),
            Self::Admin { action, model, uid, outcome } => {
                write!(f, "operator")?;
                uid.map_or(Ok(()), |uid| write!(f, " (uid {uid})"))?;
                write!(f, ": {action}")?;
                model.as_ref().map_or(Ok(()), |model| write!(f, " {model}"))?;
                write!(f, ": {outcome}")
            }
            Self::Draining { running } => write!(f, "draining: no new request is taken, {running} run"),
            Self::Ready { address } => write!(f, "ready on {address}"),
            Self::Epoch { epoch } => write!(f, "epoch {epoch}"),
            Self::EpochMissed { reason } => write!(f, "the next epoch could not begin: {reason}"),
            Self::HeartbeatMissed { code } => write!(f, "the broker did not answer a heartbeat ({code})"),
            Self::LeaseEnded { reason } => write!(f, "the lease ended ({reason}): the models are unloaded"),
            Self::Stopping => write!(f, "stopping"),
        }
    }
}

/// Where events go.
pub type EventSink = Arc<dyn Fn(&Event) + Send + Sync>;
