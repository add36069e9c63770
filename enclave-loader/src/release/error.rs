//! What can go wrong for an instance that asks for keys, by whose word it is.

use strongroom_attestation::Check;

use super::wire::Malformed;

/// Why there are no keys, or no more time.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The broker looked and said no. `checks` lists every requirement with what was wanted
    /// and found. Asking again changes nothing until the cause is gone.
    #[error("the broker refused: {code}: {detail}")]
    RefusedByBroker {
        /// The stable code, such as `MEASUREMENT` (key-release.md section 8).
        code: String,
        /// One sentence for the operator.
        detail: String,
        /// Every requirement that the broker checked.
        checks: Vec<Check>,
    },
    /// Nobody decided anything: the broker could not be reached, is busy, or is starting. Retry.
    #[error("the broker is unavailable: {detail}; check its address, and try again")]
    Unavailable {
        /// What was tried and what happened.
        detail: String,
    },
    /// Something answers at the address, but not the broker that the configuration pins.
    #[error(
        "this is another broker: the configuration pins {wanted}, {found} answered; \
         check the address and the pinned key"
    )]
    WrongBroker {
        /// SHA-256 of the pinned key, hexadecimal.
        wanted: String,
        /// What the answer claimed, hexadecimal.
        found: String,
    },
    /// An answer that the pinned broker did not make, or that was changed on the way.
    #[error("the broker's answer is not authentic: {0} does not hold")]
    Authentication(&'static str),
    /// The broker's genuine word, but not about what was asked: a replay or a mix-up.
    #[error("the broker's answer belongs to another request: {0} differs")]
    Mismatch(&'static str),
    /// Bytes that are no message of this protocol.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// JSON that is no message of this protocol.
    #[error("malformed {message}: {detail}")]
    MalformedJson {
        /// Which message.
        message: &'static str,
        /// Where and why, without any content.
        detail: String,
    },
    /// The caller's own mistake, found before anything was sent.
    #[error("misuse: {0}")]
    Misuse(&'static str),
    /// The evidence could not be collected on this machine.
    #[error("evidence could not be collected: {0}")]
    Evidence(String),
}

impl ReleaseError {
    /// A stable word for logs and programs; the broker's own where the broker refused.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::RefusedByBroker { code, .. } => code,
            Self::Unavailable { .. } => "UNAVAILABLE",
            Self::WrongBroker { .. } => "WRONG_BROKER",
            Self::Authentication(_) => "BROKER_SIGNATURE",
            Self::Mismatch(_) => "BROKER_MISMATCH",
            Self::Malformed(_) | Self::MalformedJson { .. } => "PARSE",
            Self::Misuse(_) => "MISUSE",
            Self::Evidence(_) => "EVIDENCE",
        }
    }

    /// The command's exit status (architecture.md section 4): 3 refused, 4 malformed,
    /// 5 retry, 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::RefusedByBroker { .. } | Self::WrongBroker { .. } | Self::Authentication(_) | Self::Mismatch(_) => 3,
            Self::Malformed(_) | Self::MalformedJson { .. } => 4,
            Self::Unavailable { .. } => 5,
            Self::Misuse(_) | Self::Evidence(_) => 1,
        }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
