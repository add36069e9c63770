//! What can go wrong with a sealed model, by cause.

use std::io;
use std::path::Path;

use thiserror::Error;

use crate::provenance::ProvenanceError;
use crate::seal::OnnxError;

/// Why a sealed model was not opened, or not read on.
///
/// Everything that a wrong or altered ciphertext can cause looks the same from
/// outside ([`LoadError::Tampered`]): which of the two checks, leaf or
/// authentication tag, noticed it is nobody's business.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file of the sealed model is not in the format of docs/specs/sealed-model.md.
    #[error("the sealed model is malformed: {0}. Fetch it again, or seal it again with this version")]
    Format(&'static str),
    /// The format is known, but this version cannot read it.
    #[error("the sealed model needs {what}, which this version does not have. Update the loader")]
    Unsupported {
        /// What is needed, for example a format version.
        what: &'static str,
    },
    /// The signature over the core is not by the publisher key given.
    #[error(
        "the sealed model is not signed by the publisher key that was asked for. Compare the configured publisher key with the tenant's"
    )]
    Signature,
    /// The keys are not those of this artifact, or not all of them.
    #[error(
        "the keys are not those of this sealed model. Seal it to this broker's deposit key, and release the keys of this very artifact"
    )]
    WrongKey,
    /// A chunk is not what the publisher sealed.
    #[error("chunk {chunk} of blob {blob} is not what the publisher sealed. Fetch blobs/{blob:04}.bin again")]
    Tampered {
        /// Number of the blob, from 0.
        blob: u32,
        /// Number of the chunk in the blob, from 0.
        chunk: u64,
    },
    /// The list of leaf hashes at the end of a blob does not lead to the signed root.
    #[error("the leaf list of blob {blob} is not what the publisher sealed. Fetch blobs/{blob:04}.bin again")]
    TamperedLeaves {
        /// Number of the blob, from 0.
        blob: u32,
    },
    /// The private part of the manifest is not what the publisher sealed.
    #[error("the private part of the manifest is not what the publisher sealed. Fetch it again")]
    TamperedPrivate,
    /// A file inside does not have the SHA-256 that the publisher wrote down for it.
    #[error("{path}: its SHA-256 is not the one in the manifest. Seal the model again")]
    FileHash {
        /// Path of the file inside the model.
        path: String,
    },
    /// A blob is missing or shorter than the core says.
    #[error("blob {blob} has {found} bytes and should have {wanted}. Fetch blobs/{blob:04}.bin again")]
    Truncated {
        /// Number of the blob, from 0.
        blob: u32,
        /// Length in bytes that follows from the core.
        wanted: u64,
        /// Length in bytes of what is there; 0 for a missing blob.
        found: u64,
    },
    /// A blob is longer than the core says.
    #[error("blob {blob} has {found} bytes and should have {wanted}. Fetch blobs/{blob:04}.bin again")]
    ExtraBytes {
        /// Number of the blob, from 0.
        blob: u32,
        /// Length in bytes that follows from the core.
        wanted: u64,
        /// Length in bytes of what is there.
        found: u64,
    },
    /// There is no such file in the model.
    #[error("the sealed model holds no file {path}")]
    NoSuchFile {
        /// Path that was asked for.
        path: String,
    },
    /// The operating system could not read.
    #[error("cannot {action} {path}: {detail}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file.
        path: String,
        /// Kind of the operating system's error.
        kind: io::ErrorKind,
        /// Its text.
        detail: String,
    },
}

impl LoadError {
    /// The stable code of this error, for logs, `--json` and tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Format(_) | Self::ExtraBytes { .. } => "SEALED_FORMAT",
            Self::Unsupported { .. } => "SEALED_UNSUPPORTED",
            Self::Signature => "SEALED_SIGNATURE",
            Self::WrongKey => "SEALED_WRONG_KEY",
            Self::Tampered { .. } | Self::TamperedLeaves { .. } | Self::TamperedPrivate | Self::FileHash { .. } => {
                "SEALED_TAMPERED"
            }
            Self::Truncated { .. } => "SEALED_TRUNCATED",
            Self::NoSuchFile { .. } => "SEALED_NO_SUCH_FILE",
            Self::Io { .. } => "SEALED_IO",
        }
    }

    /// The process's exit code that follows (docs/architecture.md): 1 I/O, 3 refused,
    /// 4 malformed, 5 unavailable.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Signature
            | Self::WrongKey
            | Self::Tampered { .. }
            | Self::TamperedLeaves { .. }
            | Self::TamperedPrivate
            | Self::FileHash { .. } => 3,
            Self::Format(_)
            | Self::ExtraBytes { .. }
            | Self::Unsupported { .. }
            | Self::Truncated { .. }
            | Self::NoSuchFile { .. } => 4,
            // A server that does not answer now may do so later.
            Self::Io {
                kind: io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::TimedOut,
                ..
            } => 5,
            Self::Io { .. } => 1,
        }
    }

    pub(crate) fn io(action: &'static str, file: &str, error: &io::Error) -> Self {
        Self::Io { action, path: shown(Path::new(file)), kind: error.kind(), detail: error.to_string() }
    }
}

impl From<LoadError> for io::Error {
    fn from(error: LoadError) -> Self {
        let kind = match &error {
            LoadError::Io { kind, .. } => *kind,
            LoadError::NoSuchFile { .. } => io::ErrorKind::NotFound,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// Why a model was not sealed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// An option is out of range.
    #[error("{option} {problem}")]
    Options {
        /// Name of the option.
        option: &'static str,
        /// What is wrong with it and what is allowed.
        problem: &'static str,
    },
    /// There is something at the destination already.
    #[error("{path} exists already. Choose another destination: nothing is overwritten")]
    DestinationExists {
        /// The destination.
        path: String,
    },
    /// Another process is sealing to the same destination.
    #[error("another process is sealing to {path}. Wait for it to end")]
    Busy {
        /// The unfinished directory.
        path: String,
    },
    /// The source holds a symbolic link.
    #[error(
        "{path} is a symbolic link, which could lead outside the model. Copy the files with `cp -rL` and seal the copy"
    )]
    Symlink {
        /// Path of the link.
        path: String,
    },
    /// The source holds something that is neither file nor directory.
    #[error("{path} is neither a file nor a directory. Remove it from the model")]
    NotAFile {
        /// Its path.
        path: String,
    },
    /// The source holds a Python pickle, which runs code when it is read.
    #[error(
        "{path} is a Python pickle ({sign}), which runs code when it is read. Convert the weights to safetensors and remove it"
    )]
    Pickle {
        /// Its path.
        path: String,
        /// What gave it away.
        sign: &'static str,
    },
    /// The source holds an ONNX file that is malformed, or that leads outside the model.
    #[error(
        "{path} is no ONNX model that can be sealed: {why}. Write it again with `onnx.save`, its tensors in files beside it in the folder to seal, or leave it out"
    )]
    Onnx {
        /// Its path.
        path: String,
        /// What is wrong with it.
        why: OnnxError,
    },
    /// A file name cannot be kept.
    #[error("{path}: {problem}. Rename it")]
    FileName {
        /// Its path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is nothing to seal.
    #[error("{path} holds no files. Give a GGUF file or a directory with a model")]
    Empty {
        /// The source.
        path: String,
    },
    /// The model is beyond a limit of the format.
    #[error("the model has more than {limit} {what}, the limit of the format")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A source file changed while it was being sealed.
    #[error("{path} changed while it was being sealed. Let it rest, then seal again")]
    SourceChanged {
        /// Its path.
        path: String,
    },
    /// A cryptographic operation failed that cannot fail with correct inputs.
    #[error("{what} failed: this is a bug, or the system gives no random bytes")]
    Crypto {
        /// The operation.
        what: &'static str,
    },
    /// The operating system could not read or write.
    #[error("cannot {action} {path}: {detail}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file.
        path: String,
        /// Kind of the operating system's error.
        kind: io::ErrorKind,
        /// Its text.
        detail: String,
    },
    /// The files are not those that their producer signed.
    #[error(transparent)]
    Provenance(Box<ProvenanceError>),
    /// An existing sealed model could not be opened (for a new recipient).
    #[error("the sealed model could not be opened")]
    Open(#[from] LoadError),
}

impl SealError {
    /// The stable code of this error, for logs, `--json` and tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Options { .. } => "SEAL_OPTIONS",
            Self::DestinationExists { .. } => "SEAL_DESTINATION_EXISTS",
            Self::Busy { .. } => "SEAL_BUSY",
            Self::Symlink { .. } => "SEAL_SYMLINK",
            Self::NotAFile { .. } => "SEAL_NOT_A_FILE",
            Self::Pickle { .. } => "SEAL_PICKLE",
            Self::Onnx { .. } => "SEAL_ONNX",
            Self::FileName { .. } => "SEAL_FILE_NAME",
            Self::Empty { .. } => "SEAL_EMPTY",
            Self::TooLarge { .. } => "SEAL_TOO_LARGE",
            Self::SourceChanged { .. } => "SEAL_SOURCE_CHANGED",
            Self::Crypto { .. } => "SEAL_CRYPTO",
            Self::Io { .. } => "SEAL_IO",
            Self::Provenance(error) => error.code(),
            Self::Open(error) => error.code(),
        }
    }

    /// The process's exit code that follows: 1 I/O, 2 usage, 3 refused, 4 malformed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Options { .. } | Self::DestinationExists { .. } => 2,
            Self::Symlink { .. } | Self::NotAFile { .. } | Self::Pickle { .. } => 3,
            Self::Onnx { .. } | Self::FileName { .. } | Self::Empty { .. } | Self::TooLarge { .. } => 4,
            Self::Busy { .. } | Self::SourceChanged { .. } | Self::Crypto { .. } | Self::Io { .. } => 1,
            Self::Provenance(error) => error.exit_code(),
            Self::Open(error) => error.exit_code(),
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { action, path: shown(path), kind: error.kind(), detail: error.to_string() }
    }
}

/// A path as an error shows it: whoever named a file must not command the reader's terminal.
pub(crate) fn shown(path: &Path) -> String {
    let visible = |character: char| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
    path.display().to_string().chars().map(visible).collect()
}
