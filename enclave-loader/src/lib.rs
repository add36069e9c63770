//! The sealed model, the release of its key, and its way into memory.
//!
//! ```text
//!  tenant                                  confidential VM
//!  seal ─► manifest.cbor, blobs/, keys.cbor ─► open_manifest ─► SignedManifest
//!             │ keys wrapped to the broker        ▲ keys            │ unlock
//!             └────────► broker ──── release ─────┘                 ▼
//!                                              ModelReader ◄── SealedModel
//! ```
//!
//! * `format`: the sealed model as bytes (docs/specs/sealed-model.md), pure.
//! * `seal`: files in, sealed model out; taken up again after an interruption.
//! * `open`: the signature, then the keys, then verified plaintext, chunk by chunk.
//! * `store`: where its bytes are: a directory, or HTTP with byte ranges.
//! * [`release`]: how a key leaves the broker.
//! * [`provenance`]: who signed a model, who sealed it from what, and whether they may have.
//! * [`kbs`]: the same over the protocol of Confidential Containers, with less to hold on to.

#[cfg(not(unix))]
compile_error!("sealing and loading read at positions in files, which this crate does on Unix only");

pub mod kbs;
pub mod provenance;
pub mod release;

mod deposit;
mod error;
mod format;
mod inspect;
mod open;
mod parallel;
mod rewrap;
mod seal;
mod secret;
mod secret_memory;
mod store;

// The public interface.
pub use deposit::{DepositKeyError, DepositKeyPair, DepositPublicKey};
pub use error::{LoadError, SealError};
pub use format::core::Suite;
pub use format::keys::WrappedKeys;
pub use format::private::{FileEntry, FileKind};
pub use inspect::{Description, inspect_unverified};
pub use open::{ModelReader, SealedModel, SignedManifest, open_manifest, read_wrapped_keys};
pub use rewrap::rewrap;
pub use seal::{OnnxDefect, OnnxError, Progress, SealOptions, SealedSummary, check_onnx, seal};
pub use secret::ArtifactKey;
pub use secret_memory::{ProtectionReport, protect_process};
pub use store::Place;
