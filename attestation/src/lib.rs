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

// Everything here reads what an enemy may have written: no panic can be reached, no number wraps, no
// conversion loses a bit. Tests may.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::integer_division,
        clippy::panic,
        clippy::panic_in_result_fn,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_in_result,
        clippy::unwrap_used
    )
)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod artefacts;
mod azure;
mod claims;
mod class;
pub mod crypto;
mod cursor;
mod deny;
mod der;
mod ear;
mod endorsements;
mod error;
mod event_log;
mod evidence;
mod examine;
mod expected;
mod hex_bytes;
pub mod measure;
mod nvidia;
mod pinned;
mod pki;
mod policy;
mod remembered;
mod snp;
mod tdx;
mod trail;
mod trust_anchors;
pub mod unique_json;
mod unix_time;
mod verdict;
mod verify;
mod x509;

pub use artefacts::{ArtefactKind, Artefacts, Submission, describe};
pub use azure::{
    AzureClaims, AzureEvidence, AzurePolicy, HardwareClaims, HclReport, PcrValues, TpmQuote, TpmQuoteClaims,
};
pub use claims::{AuthenticatedClaims, Platform};
pub use class::{Class, Hardware, Simulated};
pub use deny::{Denied, DeniedSubject, DenyList};
pub use endorsements::{Endorsement, Endorsements};
pub use error::{Check, Code, Refusal, State};
pub use event_log::EventLog;
pub use evidence::{Evidence, TdxEvidence};
pub use examine::{AttestationResult, Examination, Status, examine};
pub use expected::Expected;
pub use hex_bytes::HexBytes;
pub use nvidia::{
    Architecture, Device, DeviceAppraisal, DeviceClaims, DeviceEvidence, DeviceHint, DeviceMode, DeviceSetClaims,
    DeviceVerdict, LinkedDevice, ManifestClaims, Measurement, NvidiaPolicy, RemoteServicePolicy, SpdmReport,
    StatusHint, authenticate_manifest, verify_devices, verify_devices_remembering, verify_without_devices,
};
pub use policy::{PlatformIdentity, Policy, PolicyError};
pub use remembered::Remembered;
pub use snp::{
    AbiVersion, Cpuid, EndorsementKey, FirmwareVersion, GuestPolicy, MinimumTcb, PlatformInfo, Product, SigningKey,
    SnpCertificateKind, SnpClaims, SnpPolicy, SnpReport, Tcb,
};
pub use tdx::{Pck, PckCa, PlatformHint, TcbStatus, TdAttributes, TdBody, TdxClaims, TdxPolicy, TdxQuote, TdxTcb};
pub use trail::Expiry;
pub use trust_anchors::{DevelopmentAnchors, HardwareAnchors};
pub use unix_time::UnixTime;
pub use verdict::Verdict;
pub use verify::{Appraisal, verify, verify_remembering};
pub use x509::OcspRequest;
