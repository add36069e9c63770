//! What can go wrong while simulating.

use std::path::PathBuf;

/// A failure of the development vendor or device itself. A fault that was asked for is not
/// an error: it is evidence that a verifier must refuse.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// The cryptographic provider failed.
    #[error("{operation} failed in the cryptographic provider")]
    Crypto {
        /// What was being done.
        operation: &'static str,
    },
    /// A private key could not be read.
    #[error("{what} is not a usable PKCS#8 private key of the wanted kind")]
    Key {
        /// Which key.
        what: &'static str,
    },
    /// DER encoding failed (a date out of range, for example).
    #[error("encoding {what} as DER failed")]
    Encoding {
        /// What was being encoded.
        what: &'static str,
        /// The encoder's reason.
        #[source]
        source: x509_cert::der::Error,
    },
    /// A file or folder could not be read or written.
    #[error("{} could not be {action}", path.display())]
    Io {
        /// "read", "written" or "created".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A directory does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Directory {
        /// The file or folder.
        path: PathBuf,
        /// What was wanted and what was found.
        problem: String,
    },
    /// Something is longer than its length field can say.
    #[error("{what} is too long to be written down")]
    TooLong {
        /// What.
        what: &'static str,
    },
    /// A JSON document could not be written.
    #[error("writing {what} as JSON failed")]
    Json {
        /// Which document.
        what: &'static str,
        /// The writer's reason.
        #[source]
        source: serde_json::Error,
    },
    /// Certificates could not be written as PEM.
    #[error("writing certificates as PEM failed")]
    Pem,
    /// A form that needs every part was asked for, and a fault left one out.
    #[error("{what} is missing")]
    Incomplete {
        /// The part.
        what: &'static str,
    },
    /// The machine's hardware cannot have the fault.
    #[error("fault `{fault}` is of another kind of hardware than this machine's")]
    OtherHardware {
        /// The fault's name.
        fault: &'static str,
    },
    /// The fault needs a certificate that only the vendor can sign.
    #[error("fault `{fault}` needs the vendor's keys, which a device does not hold: ask the vendor for it")]
    NeedsVendor {
        /// The fault's name.
        fault: &'static str,
    },
}
