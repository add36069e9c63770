//! A model's signature: read, then verified against what the caller trusts.

use std::fmt;

use serde::{Deserialize, Serialize};
use strongroom_attestation::{HexBytes, UnixTime};

use super::bundle::{Bundle, Material};
use super::certificate::Certificate;
use super::chain::{CertificateRoots, find_path};
use super::dsse::read_statement;
use super::error::shown;
use super::signed_model::{PREDICATE_TYPE, SignedModel};
use super::sigstore::{self, TrustedRoot};
use super::{EcPublicKey, ProvenanceError};

/// A signature in the format of OpenSSF Model Signing 1.0, of which nothing is verified.
#[derive(Debug)]
pub struct ModelSignature {
    bundle: Bundle,
}

/// Whom the caller trusts to have signed. There is no way to trust nobody in particular.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Trust<'a> {
    /// The owner of this key.
    Key(&'a EcPublicKey),
    /// Whoever these authorities gave a certificate for signing code to.
    Certificates {
        /// The authorities.
        roots: &'a CertificateRoots,
        /// When all certificates have to be valid. A signature has no trustworthy time of its own:
        /// give the time now, or one at which the signature is known to have been there.
        at: UnixTime,
    },
    /// The owner of an identity, as Sigstore's authority and log vouch for it.
    Sigstore {
        /// Sigstore's keys, from a `trusted_root.json` that the caller chose.
        root: &'a TrustedRoot,
        /// The e-mail address or URI that must be in the certificate.
        identity: &'a str,
        /// The OpenID Connect issuer that must have vouched for it.
        issuer: &'a str,
    },
}

/// Who signed, as far as a verified signature proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Signer {
    /// The owner of a key.
    Key {
        /// SHA-256 of its SubjectPublicKeyInfo.
        fingerprint: HexBytes<32>,
    },
    /// The owner of a certificate.
    Certificate {
        /// The names that the authority vouches for.
        identities: Vec<String>,
        /// SHA-256 of the certificate.
        certificate: HexBytes<32>,
        /// SHA-256 of the root's certificate.
        root: HexBytes<32>,
    },
    /// The owner of an identity at an OpenID Connect issuer, through Sigstore.
    Sigstore {
        /// The e-mail address or URI.
        identity: String,
        /// The issuer.
        issuer: String,
        /// When the transparency log took the signature.
        logged: UnixTime,
    },
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { fingerprint } => write!(f, "key sha256:{fingerprint}"),
            Self::Certificate { identities, root, .. } => {
                write!(f, "{} under root sha256:{root}", shown(&identities.join(", ")))
            }
            Self::Sigstore { identity, issuer, .. } => write!(f, "{} of {}", shown(identity), shown(issuer)),
        }
    }
}

impl ModelSignature {
    /// Reads a signature: a Sigstore bundle 0.3 with a DSSE envelope, as the model-signing package
    /// writes it (docs/specs/provenance.md, "Signature").
    ///
    /// # Errors
    /// `TooLarge`, `Malformed`, `Unsupported`.
    pub fn read(bytes: &[u8]) -> Result<Self, ProvenanceError> {
        Ok(Self { bundle: Bundle::read(bytes)? })
    }

    /// How it is signed, for people: "a key", "a certificate" or "a Sigstore identity".
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.bundle.material.method()
    }

    /// Verifies the signature, in this order:
    ///
    /// 1. It is of the kind that is trusted.
    /// 2. The key is the trusted one, or a trusted authority vouches for it.
    /// 3. The signature over the statement verifies with that key. Nothing of the statement is
    ///    looked at before.
    /// 4. The statement is one about a model, in a form that is checked here, and its root digest is
    ///    that of the files that it lists.
    ///
    /// Whether the files are those that are here is not known yet: that is
    /// [`SignedModel::check_files`].
    ///
    /// # Errors
    /// `Method`, `OtherKey`, `Certificate`, `CertificateDates`, `Identity`, `Log`, `Signature`,
    /// `RootDigest`, and `Malformed`, `TooLarge` or `Unsupported` for the statement.
    pub fn verify(&self, trust: &Trust<'_>) -> Result<SignedModel, ProvenanceError> {
        let (signer, payload) = match (trust, &self.bundle.material) {
            (Trust::Key(key), Material::Key { hint }) => self.by_key(key, hint.as_deref())?,
            (Trust::Certificates { roots, at }, Material::Chain(ders)) => self.by_certificate(roots, *at, ders)?,
            (Trust::Sigstore { root, identity, issuer }, Material::Keyless { certificate, entries }) => {
                let envelope = &self.bundle.envelope;
                let material = sigstore::Material { certificate, entries };
                sigstore::verify(root, &sigstore::Wanted { identity, issuer }, &material, envelope)?
            }
            (trust, material) => {
                return Err(ProvenanceError::Method { wanted: trust.method(), found: material.method() });
            }
        };
        let (subject, predicate) = read_statement(payload, PREDICATE_TYPE)?;
        SignedModel::read(signer, subject, predicate)
    }

    fn by_key(&self, key: &EcPublicKey, hint: Option<&str>) -> Result<(Signer, &[u8]), ProvenanceError> {
        if let Some(found) = hint.filter(|hint| *hint != key.hint()) {
            return Err(ProvenanceError::OtherKey { found: shown(found) });
        }
        let payload = self.bundle.envelope.verified(key)?;
        Ok((Signer::Key { fingerprint: key.fingerprint() }, payload))
    }

    fn by_certificate(
        &self,
        roots: &CertificateRoots,
        at: UnixTime,
        ders: &[Vec<u8>],
    ) -> Result<(Signer, &[u8]), ProvenanceError> {
        let chain: Vec<Certificate> = ders.iter().map(|der| Certificate::read(der)).collect::<Result<_, _>>()?;
        let Some((certificate, bag)) = chain.split_first() else {
            return Err(ProvenanceError::Malformed("a chain has a certificate"));
        };
        let path = find_path(certificate, bag, roots, at)?;
        let signer = Signer::Certificate {
            identities: certificate.identities()?,
            certificate: certificate.fingerprint(),
            root: path.root.fingerprint(),
        };
        Ok((signer, self.bundle.envelope.verified(&certificate.key()?)?))
    }
}

impl Trust<'_> {
    fn method(&self) -> &'static str {
        match self {
            Self::Key(_) => "a key",
            Self::Certificates { .. } => "a certificate",
            Self::Sigstore { .. } => "a Sigstore identity",
        }
    }
}
