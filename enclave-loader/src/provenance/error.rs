//! What can be wrong with a signature, a provenance, or the policy that judges them.

use std::path::Path;

use strongroom_attestation::UnixTime;
use thiserror::Error;

/// Longest piece of a stranger's text in a message.
const SHOWN: usize = 100;

/// Why a signature or a provenance was not taken, or not made.
///
/// Texts that come from what was read are cut and freed of control characters before they get here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProvenanceError {
    /// Bytes are not in the format that they should have.
    #[error("malformed: {0}. Fetch it again, or sign again")]
    Malformed(&'static str),
    /// There is more than is read of an unverified file.
    #[error("{what}: more than {limit}, the most that is read")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The format is known, but this version does not check it.
    #[error("{what} is not checked by this version. Sign with what docs/specs/provenance.md lists")]
    Unsupported {
        /// What is not checked.
        what: String,
    },
    /// A key is not one that can sign or verify here.
    #[error("not a key that is used here: {0}")]
    Key(&'static str),
    /// The signature names another key than the one that is trusted.
    #[error("signed by another key than the one given (the signature says {found}). Compare the keys' fingerprints")]
    OtherKey {
        /// What the signature says of its key.
        found: String,
    },
    /// The signature does not verify.
    #[error("the signature does not verify with the key of the signer. What was signed is not what is here")]
    Signature,
    /// The signature is of another kind than the trust that was given.
    #[error("signed with {found}, and {wanted} was asked for")]
    Method {
        /// What the trust is in.
        wanted: &'static str,
        /// What the signature has.
        found: &'static str,
    },
    /// The certificates do not vouch for the signer.
    #[error("the signer's certificate is not taken: {0}")]
    Certificate(String),
    /// A certificate is outside its dates.
    #[error("a certificate of the signer is valid from {from} to {until}, not at {at}")]
    CertificateDates {
        /// Its first second.
        from: UnixTime,
        /// Its last second.
        until: UnixTime,
        /// When it was asked about.
        at: UnixTime,
    },
    /// The certificate is somebody else's.
    #[error("signed by {found}, and {wanted} was asked for")]
    Identity {
        /// Who was asked for.
        wanted: String,
        /// Who the certificate names.
        found: String,
    },
    /// The transparency log does not vouch for the signature.
    #[error("the transparency log does not vouch for this signature: {0}")]
    Log(&'static str),
    /// The root digest in the subject is not that of the files that are listed.
    #[error("the root digest is not that of the files that are listed. The signer's tool is broken; sign again")]
    RootDigest,
    /// A signed file is not there.
    #[error("{path} is signed and not there. Fetch the model again")]
    Missing {
        /// Its path.
        path: String,
    },
    /// A file that is there is not signed.
    #[error("{path} is there and not signed. Remove it, or have the model signed with it")]
    Extra {
        /// Its path.
        path: String,
    },
    /// A file is not what was signed.
    #[error("{path} is not what was signed. Fetch it again")]
    Digest {
        /// Its path.
        path: String,
    },
    /// The provenance is of something else.
    #[error("the provenance is of another model: {found}")]
    Subject {
        /// What its subject is.
        found: String,
    },
    /// The sources are not those that were sealed.
    #[error("the sources are not those that were sealed, or the salt is another sealing's")]
    Sources,
    /// The policy names nobody for this model.
    #[error("the policy names nobody who may sign {model}. Add its signers, or seal under the name in the policy")]
    NoRule {
        /// The model.
        model: String,
    },
    /// The policy names others for this model.
    #[error("{signer} may not sign {model}: the policy names others")]
    NotAccepted {
        /// The model.
        model: String,
        /// Who signed.
        signer: String,
    },
    /// What is to be written does not fit into the format.
    #[error("{option} {problem}")]
    Options {
        /// What was given.
        option: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A cryptographic operation failed that cannot fail with correct inputs.
    #[error("{what} failed: this is a bug, or the system gives no random bytes")]
    Crypto {
        /// The operation.
        what: &'static str,
    },
    /// A path of a directory that is to be hashed cannot be in a model.
    #[error("{path}: {problem}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The operating system could not read.
    #[error("cannot {action} {path}: {detail}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file.
        path: String,
        /// The operating system's text.
        detail: String,
    },
}

impl ProvenanceError {
    /// The stable code of this error, for logs, `--json` and tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "PROVENANCE_FORMAT",
            Self::TooLarge { .. } => "PROVENANCE_TOO_LARGE",
            Self::Unsupported { .. } => "PROVENANCE_UNSUPPORTED",
            Self::Key(_) => "PROVENANCE_KEY",
            Self::OtherKey { .. } => "PROVENANCE_OTHER_KEY",
            Self::Signature => "PROVENANCE_SIGNATURE",
            Self::Method { .. } => "PROVENANCE_METHOD",
            Self::Certificate(_) => "PROVENANCE_CERTIFICATE",
            Self::CertificateDates { .. } => "PROVENANCE_CERTIFICATE_DATES",
            Self::Identity { .. } => "PROVENANCE_IDENTITY",
            Self::Log(_) => "PROVENANCE_LOG",
            Self::RootDigest => "PROVENANCE_ROOT_DIGEST",
            Self::Missing { .. } => "PROVENANCE_FILE_MISSING",
            Self::Extra { .. } => "PROVENANCE_FILE_EXTRA",
            Self::Digest { .. } => "PROVENANCE_FILE_DIGEST",
            Self::Subject { .. } => "PROVENANCE_SUBJECT",
            Self::Sources => "PROVENANCE_SOURCES",
            Self::NoRule { .. } => "PROVENANCE_NO_RULE",
            Self::NotAccepted { .. } => "PROVENANCE_SIGNER",
            Self::Options { .. } => "PROVENANCE_OPTIONS",
            Self::Crypto { .. } => "PROVENANCE_CRYPTO",
            Self::Path { .. } => "PROVENANCE_PATH",
            Self::Io { .. } => "PROVENANCE_IO",
        }
    }

    /// The process's exit code that follows (docs/architecture.md): 1 bug or I/O, 2 usage,
    /// 3 refused, 4 malformed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Crypto { .. } | Self::Io { .. } => 1,
            Self::Options { .. } => 2,
            Self::Malformed(_)
            | Self::TooLarge { .. }
            | Self::Unsupported { .. }
            | Self::Key(_)
            | Self::Path { .. } => 4,
            Self::OtherKey { .. }
            | Self::Signature
            | Self::Method { .. }
            | Self::Certificate(_)
            | Self::CertificateDates { .. }
            | Self::Identity { .. }
            | Self::Log(_)
            | Self::RootDigest
            | Self::Missing { .. }
            | Self::Extra { .. }
            | Self::Digest { .. }
            | Self::Subject { .. }
            | Self::Sources
            | Self::NoRule { .. }
            | Self::NotAccepted { .. } => 3,
        }
    }

    pub(super) fn unsupported(what: &str, which: &str) -> Self {
        Self::Unsupported { what: format!("{what} {}", shown(which)) }
    }

    pub(super) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io { action, path: path.display().to_string(), detail: error.to_string() }
    }
}

/// A stranger's text as it may stand in a message: cut, control characters replaced.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).map(|c| if c.is_control() { '?' } else { c }).collect()
}
