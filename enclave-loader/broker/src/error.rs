//! What can go wrong for the tenant who runs a broker, and for whoever asks it.

use std::path::PathBuf;

use strongroom_attestation::{Refusal, UnixTime};
use strongroom_channel::instance_certificate::CertificateError;
use strongroom_enclave_loader::provenance::ProvenanceError;
use strongroom_enclave_loader::release::ReleaseError;
use strongroom_enclave_loader::{LoadError, SealError};

use crate::kek::KekError;
use crate::log::LogError;
use crate::policy::PolicyError;
use crate::store::StoreError;

/// Why a command of the tenant was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The store: missing, in use, or failing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key-encryption key.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// The decision log: changed, cut, or not writable.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The policy text.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The sealed model.
    #[error("the sealed model cannot be used")]
    Model(#[from] LoadError),
    /// The files inside are not signed by whoever must have signed them.
    #[error("the model's files are not signed as they must be")]
    Provenance(#[source] Box<ProvenanceError>),
    /// A sealed model's keys file could not be replaced.
    #[error("the sealed model cannot be passed on")]
    Rewrap(#[source] Box<SealError>),
    /// A version that is not newer than what the broker knows under this name.
    #[error(
        "version {known} of {name} is known, and version {found} does not follow it: it is older, or another artifact of the same version; seal a higher version"
    )]
    Rollback {
        /// The model's name.
        name: String,
        /// The highest version known.
        known: u64,
        /// The version to be deposited.
        found: u64,
    },
    /// A prod model for a dev broker, or the other way round.
    #[error("the model is sealed for {found:?} and this broker is {wanted:?} for ever; seal it for the right one")]
    Environment {
        /// The broker's mark.
        wanted: &'static str,
        /// The model's mark.
        found: &'static str,
    },
    /// A certificate of the instance CA could not be made.
    #[error("the certificate cannot be issued")]
    Certificate(#[from] CertificateError),
    /// A vendor root or other evidence was refused.
    #[error("{}", .0.detail)]
    Refused(#[from] Refusal),
    /// A file beside the store.
    #[error("{path} cannot be used")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is no such lease, credential or model.
    #[error("there is no {what} {id}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// A value that cannot be meant.
    #[error("{what}: wanted {wanted}")]
    Value {
        /// Which value.
        what: &'static str,
        /// What would be right.
        wanted: &'static str,
    },
    /// The clock shows much less than when the broker last wrote to its log.
    #[error(
        "the clock was set back: it shows {now}, and the decision log ends at {last}; set the clock right, then start again"
    )]
    ClockSetBack {
        /// The time of the last record.
        last: UnixTime,
        /// What the clock shows.
        now: UnixTime,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Randomness,
}

impl From<ProvenanceError> for BrokerError {
    fn from(error: ProvenanceError) -> Self {
        Self::Provenance(Box::new(error))
    }
}

impl From<SealError> for BrokerError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Open(error) => Self::Model(error),
            other => Self::Rewrap(Box::new(other)),
        }
    }
}

impl BrokerError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(StoreError::Missing { .. }) => "BROKER_MISSING",
            Self::Store(StoreError::Exists { .. }) => "BROKER_EXISTS",
            Self::Store(_) => "BROKER_STORE",
            Self::Kek(_) => "BROKER_KEK",
            Self::Log(_) => "BROKER_LOG",
            Self::Policy(_) => "BROKER_POLICY",
            Self::Model(error) => error.code(),
            Self::Provenance(error) => error.code(),
            Self::Rewrap(error) => error.code(),
            Self::Rollback { .. } => "ROLLBACK",
            Self::Environment { .. } => "ENVIRONMENT",
            Self::Certificate(_) => "CERTIFICATE",
            Self::Refused(refusal) => refusal.code.as_str(),
            Self::File { .. } => "IO",
            Self::Unknown { .. } => "UNKNOWN",
            Self::Value { .. } => "USAGE",
            Self::ClockSetBack { .. } => "CLOCK",
            Self::Randomness => "RANDOMNESS",
        }
    }

    /// The command's exit code: 1 I/O, 2 usage, 3 refused, 4 malformed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(StoreError::Missing { .. } | StoreError::Exists { .. })
            | Self::Unknown { .. }
            | Self::Value { .. }
            | Self::Policy(_) => 2,
            Self::Log(LogError::File { .. }) | Self::Store(_) | Self::Kek(_) | Self::File { .. } | Self::Randomness => {
                1
            }
            Self::Log(_)
            | Self::ClockSetBack { .. }
            | Self::Rollback { .. }
            | Self::Environment { .. }
            | Self::Certificate(_) => 3,
            Self::Model(error) => error.exit_code(),
            Self::Provenance(error) => error.exit_code(),
            Self::Rewrap(error) => error.exit_code(),
            Self::Refused(refusal) => refusal.code.exit_code(),
        }
    }
}

/// Why a request to the running broker was not granted; each kind has one HTTP answer.
#[derive(Debug)]
pub(crate) enum Denial {
    /// No message of the protocol: 400 `PARSE`, with what is wrong.
    Malformed(String),
    /// Looked at and refused: 403 with the code, the reason and every check.
    Refused(Refusal),
    /// A signature or a decapsulation failed: 403 `REFUSED`, the same bytes for every cause.
    Unauthenticated,
    /// Too much at once: 503, retry.
    Busy(&'static str),
    /// The broker itself failed: 503 without a reason outside, which stands in its own output.
    Failed(BrokerError),
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Denial {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<LogError> for Denial {
    fn from(error: LogError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<BrokerError> for Denial {
    fn from(error: BrokerError) -> Self {
        Self::Failed(error)
    }
}

impl From<ReleaseError> for Denial {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::Authentication(_) => Self::Unauthenticated,
            malformed => Self::Malformed(malformed.to_string()),
        }
    }
}
