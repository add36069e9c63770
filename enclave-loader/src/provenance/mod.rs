//! Provenance of models: who signed the files, who sealed them from what, and whether they may have.
//!
//! ```text
//! producer's model.sig ─► ModelSignature ─verify(Trust)─► SignedModel ─check_files─► VerifiedSignature
//!                                                                                         │
//! SignerPolicy ──────────────────────────────────────────────────────────► decide ◄───────┘
//!
//! sealed directory ─► sign_model    ─► model.sig                 (OpenSSF Model Signing 1.0)
//! sealing          ─► sign_sealing  ─► provenance.intoto.jsonl   (SLSA 1.0), and a salt for the tenant
//! model id         ─► ModelBom      ─► bom.cdx.json              (CycloneDX 1.6)
//! ```
//!
//! Pure but for [`hash_directory`]: no clock, no network. The formats, the order of the checks and
//! the codes are specified in docs/specs/provenance.md.

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

mod bom;
mod bundle;
mod certificate;
mod chain;
mod dsse;
mod ec_key;
mod error;
mod files;
mod json;
mod limits;
mod pem;
mod policy;
mod sealed;
mod sealing;
mod sign;
mod signature;
mod signed_model;
mod sigstore;
#[cfg(test)]
mod tests;

pub use bom::{BOM_FILE, Licence, ModelBom};
pub use chain::CertificateRoots;
pub use ec_key::{EcPublicKey, EcSigningKey};
pub use error::ProvenanceError;
pub use files::{FileDigest, GIT_IGNORED, hash_directory};
pub use policy::{AcceptedCertificate, AcceptedIdentity, AcceptedKey, AcceptedSigner, SignerPolicy};
pub use sealed::{Beside, Told, verify_beside, verify_inside, write_beside};
pub use sealing::{PROVENANCE_FILE, Sealing, SourceSalt, VerifiedSealing, sign_sealing, verify_sealing};
pub use sign::{SEALED_IGNORED, SIGNATURE_FILE, sign_model};
pub use signature::{ModelSignature, Signer, Trust};
pub use signed_model::{SignedModel, VerifiedSignature};
pub use sigstore::TrustedRoot;
