//! Whom the user trusts to have signed a model, read from the files that he gave.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use strongroom_attestation::UnixTime;
use strongroom_enclave_loader::provenance::{CertificateRoots, EcPublicKey, ProvenanceError, Trust, TrustedRoot};

use crate::arguments::Signer;
use crate::exit_code::Exit;
use crate::output::Failure;

/// The files' contents; [`Trust`] borrows of it.
pub(crate) enum Trusted {
    Key(EcPublicKey),
    Certificates(CertificateRoots),
    Sigstore { root: Box<TrustedRoot>, identity: String, issuer: String },
}

impl Trusted {
    /// What the arguments name; `None` where nobody is asked for.
    pub(crate) fn read(signer: &Signer) -> Result<Option<Self>, Failure> {
        Ok(match signer {
            Signer { signer_key: Some(file), .. } => Some(Self::Key(public_key(file)?)),
            Signer { signer_roots: Some(file), .. } => {
                Some(Self::Certificates(CertificateRoots::from_pem(&text(file)?).map_err(|e| in_file(file, &e))?))
            }
            Signer {
                trusted_root: Some(file), signer_identity: Some(identity), signer_issuer: Some(issuer), ..
            } => {
                let root = TrustedRoot::from_json(text(file)?.as_bytes()).map_err(|e| in_file(file, &e))?;
                Some(Self::Sigstore { root: Box::new(root), identity: identity.clone(), issuer: issuer.clone() })
            }
            _ => None,
        })
    }

    /// The same for the verifier. Certificates have to be valid now: a signature has no time of its own.
    pub(crate) fn trust(&self) -> Trust<'_> {
        match self {
            Self::Key(key) => Trust::Key(key),
            Self::Certificates(roots) => Trust::Certificates { roots, at: now() },
            Self::Sigstore { root, identity, issuer } => Trust::Sigstore { root, identity, issuer },
        }
    }
}

/// A public key in PEM.
pub(super) fn public_key(file: &Path) -> Result<EcPublicKey, Failure> {
    EcPublicKey::from_pem(&text(file)?).map_err(|e| in_file(file, &e))
}

/// This machine's time.
pub(super) fn now() -> UnixTime {
    UnixTime::from_secs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()))
}

pub(super) fn failure(error: &ProvenanceError) -> Failure {
    Failure::new(Exit::from_code(error.exit_code()), error.code(), error)
}

fn in_file(file: &Path, error: &ProvenanceError) -> Failure {
    Failure::new(Exit::from_code(error.exit_code()), error.code(), format!("{}: {error}", file.display()))
}

fn text(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|e| Failure::file(file, &e))
}
