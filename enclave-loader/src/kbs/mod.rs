//! The CoCo KBS protocol 0.4.0: its messages, for both roles, and the instance's side of it.
//!
//! ```text
//!  instance                                        any KBS (Trustee, or our broker)
//!     │ POST auth ─────────────────────────────────► │
//!     │ ◄──────────────────── nonce, session cookie  │
//!     │ devices answer SHA-384({nonce, key})[..32]   │
//!     │ quote over SHA-384({devices, nonce, key})    │
//!     │ POST attest: evidence of both ─────────────► │ verify
//!     │ ◄───────────────────────────── EAR token     │
//!     │ GET resource/… ────────────────────────────► │ policy
//!     │ ◄──── JWE to the one-use key: a model's keys │
//! ```
//!
//! [`KbsSession`] is pure; [`KbsClient`] drives it over HTTP. What the protocol lacks (a lease, a
//! heartbeat, an instance certificate, a signature on answers) is lacking for who uses it:
//! docs/specs/key-release.md section 9, which also lists the traps of the wire format.

mod client;
mod jwe;
mod messages;
mod problem;
mod resource_path;
mod session;
mod snp_evidence;

pub use client::KbsClient;
pub use jwe::{TeeKeyPair, encrypt};
pub use messages::{Attest, Auth, Challenge, InitData, NvidiaDevice, RuntimeData, TeeEvidence, TeeKey, Token};
pub use problem::{ERROR_TYPES, Problem};
pub use resource_path::{MODEL_KEY, ResourcePath};
pub use session::{KbsSession, PrimaryEvidence};
pub use snp_evidence::SnpEvidence;

/// The only version that is spoken.
pub const VERSION: &str = "0.4.0";

/// The name of the session's cookie.
pub const COOKIE_NAME: &str = "kbs-session-id";
