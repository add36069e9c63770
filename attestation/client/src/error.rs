//! Why the client did not get, or does not believe, an answer.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use strongroom_attestation::Refusal;
use strongroom_channel::deny_list::DenyListError;
use strongroom_channel::ohttp::OhttpError;
use strongroom_channel::trust_file::TrustFileError;
use thiserror::Error;

/// An error by cause. [`ClientError::code`] is stable; programs decide on it, people read the message.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The verification said no; the refusal holds every check.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The trust file cannot be used.
    #[error(transparent)]
    TrustFile(TrustFileError),
    /// The deny list cannot be used.
    #[error(transparent)]
    DenyList(DenyListError),
    /// The trust file's root is not pinned yet, so anybody could have made it.
    #[error(
        "the trust file's root key sha256:{} is not known here; compare it with what the tenant told you, then pass --trust-root sha256:{}",
        hex::encode(.found), hex::encode(.found)
    )]
    NotPinned {
        /// SHA-256 of the root key in the file.
        found: [u8; 32],
    },
    /// The answer broke off before its final chunk, or what came last does not belong to it.
    #[error("the answer was cut off after {received} bytes; what was shown may be a part only")]
    Truncated {
        /// Bytes that were delivered before.
        received: u64,
    },
    /// The receipt is missing or does not fit the answer.
    #[error("the answer's receipt does not hold: {0}")]
    Receipt(ReceiptFault),
    /// Nobody answered, or the one that did cannot serve now: worth another try.
    #[error("unavailable: {what}")]
    Unavailable {
        /// What was tried and what came of it.
        what: String,
        /// Seconds after which to try again, where the server said so.
        retry_after: Option<u64>,
    },
    /// Bytes that are not what the protocol says at this place.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The caller asked for something that cannot be done.
    #[error("{0}")]
    Misuse(String),
    /// The local port cannot be had.
    #[error("cannot listen on {address}: {detail}; choose another --listen or stop what uses it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        detail: String,
    },
    /// A file in the state directory could not be read or written.
    #[error("{}: {kind}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        kind: io::ErrorKind,
    },
}

/// What is wrong with a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReceiptFault {
    /// A completed answer of a model came without one.
    #[error("there is none")]
    Missing,
    /// Not one base64url value, or not a receipt.
    #[error("it is malformed")]
    Malformed,
    /// Not signed by the key in the verified statement.
    #[error("its signature is not the verified instance's")]
    Signature,
    /// It names another request.
    #[error("it is for another request")]
    RequestId,
    /// It names another statement.
    #[error("it names another epoch statement")]
    Statement,
    /// Its hashes are not those of the bytes sent and received.
    #[error("its hashes are not those of the bytes sent and received")]
    Bytes,
    /// It says a time at which an answer to the verified statement cannot have ended.
    #[error("it says a time at which an answer under its evidence cannot have ended")]
    Time,
    /// It names a model that the verified statement does not list.
    #[error("it names a model that the verified statement does not list")]
    Model,
}

impl ClientError {
    /// The stable code: a verification's own code, or one of `TRUST_FILE`, `DENY_LIST`, `STALE` (a deny list
    /// that is older than one seen, or has ended), `TRUNCATED`, `RECEIPT`, `UNAVAILABLE`,
    /// `MALFORMED`, `MISUSE`, `LISTEN`, `IO`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ClientError::Refused(refusal) => refusal.code.as_str(),
            ClientError::TrustFile(_) | ClientError::NotPinned { .. } => "TRUST_FILE",
            ClientError::DenyList(
                DenyListError::Older { .. } | DenyListError::TwoOfOneSequence { .. } | DenyListError::Expired { .. },
            ) => "STALE",
            ClientError::DenyList(_) => "DENY_LIST",
            ClientError::Truncated { .. } => "TRUNCATED",
            ClientError::Receipt(_) => "RECEIPT",
            ClientError::Unavailable { .. } => "UNAVAILABLE",
            ClientError::Malformed(_) => "MALFORMED",
            ClientError::Misuse(_) => "MISUSE",
            ClientError::Listen { .. } => "LISTEN",
            ClientError::Io { .. } => "IO",
        }
    }

    /// The exit status of a command that ends with this: 1 input/output, 2 usage, 3 refused, 4 malformed,
    /// 5 unavailable.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            ClientError::Refused(refusal) => refusal.code.exit_code(),
            ClientError::TrustFile(TrustFileError::Malformed(_))
            | ClientError::DenyList(DenyListError::Malformed(_))
            | ClientError::Malformed(_) => 4,
            ClientError::TrustFile(_)
            | ClientError::DenyList(_)
            | ClientError::NotPinned { .. }
            | ClientError::Receipt(_) => 3,
            ClientError::Truncated { .. } | ClientError::Unavailable { .. } => 5,
            ClientError::Misuse(_) => 2,
            ClientError::Listen { .. } | ClientError::Io { .. } => 1,
        }
    }

    /// The checks that were done, where there were any.
    #[must_use]
    pub fn checks(&self) -> &[strongroom_attestation::Check] {
        match self {
            ClientError::Refused(refusal) => &refusal.checks,
            _ => &[],
        }
    }

    pub(crate) fn unavailable(what: impl Into<String>) -> Self {
        ClientError::Unavailable { what: what.into(), retry_after: None }
    }

    /// A failure of the transport, its chain of causes in one line, without the URL.
    pub(crate) fn transport(doing: &str, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut what = format!("{doing}: {error}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            what.push_str(": ");
            what.push_str(&cause.to_string());
            source = cause.source();
        }
        ClientError::unavailable(what)
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        ClientError::Refused(refusal)
    }
}

impl From<TrustFileError> for ClientError {
    fn from(error: TrustFileError) -> Self {
        ClientError::TrustFile(error)
    }
}

impl From<DenyListError> for ClientError {
    fn from(error: DenyListError) -> Self {
        ClientError::DenyList(error)
    }
}

impl From<OhttpError> for ClientError {
    fn from(error: OhttpError) -> Self {
        ClientError::Malformed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use strongroom_attestation::Code;

    use super::*;

    #[test]
    fn codes_and_exit_codes_are_those_of_the_documentation() {
        for (error, code, exit) in [
            (ClientError::Refused(Refusal::new(Code::InstanceCert, "")), "INSTANCE_CERT", 3),
            (ClientError::Refused(Refusal::new(Code::Parse, "")), "PARSE", 4),
            (ClientError::NotPinned { found: [0; 32] }, "TRUST_FILE", 3),
            (DenyListError::Older { seen: 2, found: 1 }.into(), "STALE", 3),
            (DenyListError::Signature.into(), "DENY_LIST", 3),
            (ClientError::Truncated { received: 1 }, "TRUNCATED", 5),
            (ClientError::Receipt(ReceiptFault::Missing), "RECEIPT", 3),
            (ClientError::unavailable("x"), "UNAVAILABLE", 5),
            (ClientError::Malformed(String::new()), "MALFORMED", 4),
            (ClientError::Misuse(String::new()), "MISUSE", 2),
            (ClientError::Io { path: "a".into(), kind: io::ErrorKind::NotFound }, "IO", 1),
        ] {
            assert_eq!((error.code(), error.exit_code()), (code, exit));
        }
    }
}
