//! Key release: how an instance gets the keys of a sealed model, and keeps the right to them.
//!
//! ```text
//!  instance                                             broker
//!     │ POST challenge                                     │
//!     │ ◄──────────────── nonce, broker id ─────────────── │
//!     │ body = {broker, nonce, one-use key, models, lease} │
//!     │ quote over SHA-256(statement) and leaf(body)       │
//!     │ POST release: body, statement, evidence ─────────► │ verify, decide, log
//!     │ ◄── sealed to the one-use key: keys, lease, certificate, credentials
//!     │ POST heartbeat every 3 s ────────────────────────► │
//!     │ ◄── time; new certificate or credentials; revoked leases
//!     │ POST renewal, before the lease ends ─────────────► │
//! ```
//!
//! [`ReleaseSession`] and [`LeaseKeeper`] are pure: bytes and a time in, bytes and decisions
//! out. [`ReleaseClient`] drives them over HTTP. The messages are shared with the broker.
//! The specification is docs/specs/key-release.md.

mod answer;
mod body;
mod challenge;
mod error;
mod heartbeat;
mod http;
mod keeper;
mod lease;
mod refusal;
mod reply_key;
mod request;
mod session;
mod transport;
mod wire;

pub use answer::{AnsweredModel, Credential, ReleaseAnswer};
pub use body::{ReleaseBody, WantedModel};
pub use challenge::Challenge;
pub use error::ReleaseError;
pub use heartbeat::{Heartbeat, HeartbeatAnswer};
pub use http::ReleaseClient;
pub use keeper::{End, HeartbeatOutcome, LeaseKeeper, Monotonic, Standing};
pub use lease::{Lease, LeaseId};
pub(crate) use refusal::shown;
pub use refusal::{Refused, RefusedBody, interpret};
pub use reply_key::{ReplyKeyPair, SealedReply, seal_reply};
pub use request::ReleaseRequest;
pub use session::{ReleaseParams, ReleaseSession, Released, ReleasedModel};
pub(crate) use transport::{Answer, Transport};
pub use wire::{Defect, Malformed};

use std::time::Duration;

/// An instance sends a heartbeat this often (protocol.md A10).
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);

/// However small the lease's offline grant, an instance goes on this long without an answer:
/// three lost heartbeats are a network's hiccup, not a broker's decision.
pub const LEAST_OFFLINE: Duration = Duration::from_secs(10);

/// The longest lease that a broker grants: 24 hours (protocol.md 2.3).
pub const MAX_LEASE_SECONDS: u64 = 24 * 60 * 60;

/// Models in one request. One instance serves one or a few; a list of these is cheap to check.
pub const MAX_MODELS: usize = 16;

/// Leases of one instance that have not run out, at most.
pub const MAX_LEASES: usize = 64;

/// Sealing runs of one artifact. Each interrupted and resumed sealing adds one.
pub const MAX_RUNS: usize = 64;

/// Certificates in a chain: the instance's and its issuer's, with room for one between.
pub const MAX_CERTIFICATES: usize = 3;

/// Client credentials of one deployment, about 100 bytes each in an answer.
pub const MAX_CREDENTIALS: usize = 4096;

/// The largest signed message: an answer with every list full fits; it is also the most
/// that the channel's COSE reader takes.
pub const MAX_SIGNED_BYTES: usize = 1 << 20;

/// The largest request as JSON: CPU evidence, device evidence and endorsements with room.
pub const MAX_REQUEST_BYTES: usize = 4 << 20;

/// The largest answer as JSON: a sealed signed message in base64, with room.
pub const MAX_ANSWER_BYTES: usize = 2 << 20;

/// An X-Wing public key (draft-connolly-cfrg-xwing-kem): ML-KEM-768's 1184 bytes and X25519's 32.
pub const REPLY_KEY_BYTES: usize = 1216;
