//! What vendors of processors and GPUs publish about their chips: fetched, cached, carried to sites without a network.
//!
//! ```text
//! Want ──► CollateralSource ──► cache: a file an item ──► Answer { artefacts, Fresh | Cached | Stale }
//!                │  ▲                    ▲  │
//!                ▼  │ backoff, pace      │  ▼
//!             vendor or mirrors       bundle file (export, import)
//! ```
//!
//! Nothing here is believed: what an answer holds is of the kind that was asked for and within limits, and that
//! is all. Signatures, dates and revocation are the verifier's, which takes these bytes as
//! [`Endorsements`](strongroom_attestation::Endorsements).

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod age;
mod backoff;
mod bundle;
mod cache;
mod clock;
mod content;
mod error;
mod evidence;
mod exchange;
mod item;
mod judgement;
mod mirror;
mod nvidia;
mod snp;
mod source;
mod want;
mod x509;

pub use bundle::{Bundle, Merged};
pub use cache::{Cache, Kept};
pub use clock::{Clock, SystemClock};
pub use content::Description;
pub use error::{BundleError, FetchError, MirrorError, WantError};
pub use evidence::{Alternative, Collateral, evidence_wants, not_given};
pub use item::{Artefact, Item, Role};
pub use mirror::{Mirror, Mirrors, Pace};
pub use nvidia::{DeviceWants, ManifestId, NvidiaList, Purpose, StatusWant, device_wants, manifest_wants};
pub use source::{Answer, CollateralSource, Freshness, Settings};
pub use want::{Evaluation, KeyKind, PckCa, Vcek, Want};
