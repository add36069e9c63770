//! The tenant's key broker: it gives the keys of a sealed model to code that proved itself,
//! for a while, and writes down why.
//!
//! ```text
//!  sealed model ─► deposit ─┐                            ┌─► decision log (hash-chained)
//!  policy ──────► activate ─┤                            │
//!                           ▼                            │
//!  request ─► desk (evidence) ─► decide (pure) ─► issue ─┴─► lease, certificate, keys ─► sealed answer
//!                                                 └ one transaction ┘
//! ```
//!
//! * [`Broker`]: made once ([`Broker::init`]), production or development for ever; opened by the
//!   offline commands and by [`serve`], one process at a time.
//! * `desk` verifies evidence of the one class that this broker takes; `decide` holds it against
//!   the policy and answers every requirement; `issue` needs what only `decide` makes.
//! * `kbs` is the same broker for clients of the CoCo KBS protocol 0.4.0.
//! * `store` keeps everything sealed under a key-encryption key; `log` keeps every decision.
//!
//! The protocol is docs/specs/key-release.md.

mod api;
mod api_keys;
mod broker;
mod budget;
mod challenge;
mod clock;
mod contents;
mod decide;
mod deposit;
mod desk;
mod error;
mod heartbeat;
mod identity;
mod issue;
mod kbs;
mod kek;
mod leases;
mod ledger;
mod log;
mod policy;
mod records;
mod release;
mod sealed;
mod staging;
mod store;
mod trust;

// The public interface.
pub use api::{router, serve};
pub use api_keys::{API_KEY_PREFIX, NewApiKey};
pub use broker::{Broker, InitOptions};
pub use clock::{Clock, ManualClock, SystemClock};
pub use deposit::Deposited;
pub use error::BrokerError;
pub use kek::KekError;
pub use leases::{LeaseSummary, Revoke};
pub use log::{Decided, Decision, Event, LOG_FILE, LogError, LogHead, LogReport, Record, verify_log};
pub use policy::{ActivePolicy, Digest, PolicyError, ReleasePolicy};
pub use records::{ApiKeyRecord, LeaseState, ModelRecord};
pub use store::StoreError;
pub use strongroom_channel::trust_file::Environment;
pub use trust::TrustOptions;
