//! The verifier: evidence, endorsements, policy and a time in; a verdict out.
//!
//! ```text
//! Evidence (bytes, bounded) ──┐
//! Endorsements (untrusted) ───┤
//! anchors (compiled in) ──────┼─► verify ─► Appraisal ─► Verdict<Hardware | Simulated>
//! Policy, Expected, now ──────┘             (checks)      or Refusal (code, checks)
//! ```
//!
//! Pure: no file, socket, clock or global state. The words are those of RFC 9334; the formats, the
//! checks in order and the codes are specified in `docs/specs/evidence.md`.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod claims;
mod class;
pub mod crypto;
mod der;
mod endorsements;
mod error;
mod evidence;
mod hex_bytes;
pub mod measure;
mod policy;
mod snp;
mod trail;
mod trust_anchors;
mod unix_time;
mod verdict;
mod verify;
mod x509;

pub use claims::{AuthenticatedClaims, Platform};
pub use class::{Class, Hardware, Simulated};
pub use endorsements::Endorsements;
pub use error::{Check, Code, Refusal, State};
pub use evidence::Evidence;
pub use hex_bytes::HexBytes;
pub use policy::{AbiVersion, MinimumTcb, PlatformIdentity, Policy, PolicyError, SnpPolicy};
pub use snp::{
    Cpuid, EndorsementKey, FirmwareVersion, GuestPolicy, PlatformInfo, Product, SigningKey, SnpClaims, SnpReport, Tcb,
};
pub use trust_anchors::{DevelopmentAnchors, HardwareAnchors};
pub use unix_time::UnixTime;
pub use verdict::Verdict;
pub use verify::{Appraisal, Expected, verify};
