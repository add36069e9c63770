//! Who may have signed which model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strongroom_attestation::HexBytes;

use super::error::shown;
use super::{ProvenanceError, Signer, VerifiedSignature};

/// For each model, whose signatures are accepted. Where there is a policy, a model that it does not
/// name has no signer at all.
///
/// ```toml
/// [[models.llama]]
/// method = "key"
/// fingerprint = "…"   # SHA-256 of the key's SubjectPublicKeyInfo
///
/// [[models.llama]]
/// method = "certificate"
/// root = "…"          # SHA-256 of the root's certificate
/// identity = "release@vendor.example"
///
/// [[models.llama]]
/// method = "sigstore"
/// identity = "https://github.com/vendor/llama/.github/workflows/release.yml@refs/heads/main"
/// issuer = "https://token.actions.githubusercontent.com"
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerPolicy {
    /// Accepted signers, by the name of the sealed model.
    pub models: BTreeMap<String, Vec<AcceptedSigner>>,
}

/// A signer that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
#[non_exhaustive]
pub enum AcceptedSigner {
    /// The owner of a key.
    Key(AcceptedKey),
    /// An identity under a root.
    Certificate(AcceptedCertificate),
    /// An identity of an issuer, through Sigstore.
    Sigstore(AcceptedIdentity),
}

/// A key by its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedKey {
    /// SHA-256 of the key's SubjectPublicKeyInfo.
    pub fingerprint: HexBytes<32>,
}

/// A name that an authority vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedCertificate {
    /// SHA-256 of the root's certificate.
    pub root: HexBytes<32>,
    /// One of the names in the signer's certificate, as it stands there.
    pub identity: String,
}

/// An identity that an OpenID Connect issuer vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedIdentity {
    /// The e-mail address or URI.
    pub identity: String,
    /// The issuer.
    pub issuer: String,
}

impl SignerPolicy {
    /// Decides whether whoever signed may have signed the model of this name: the name under which
    /// it is sealed, not the one in the signature.
    ///
    /// # Errors
    /// `NoRule` where the policy does not name the model, `NotAccepted` where it names others.
    pub fn decide(&self, model: &str, signature: &VerifiedSignature) -> Result<(), ProvenanceError> {
        self.accepts(model, signature.signer())
    }

    /// The same for who was verified to have signed a model, at another time.
    ///
    /// # Errors
    /// As for [`decide`](Self::decide).
    pub fn accepts(&self, model: &str, signer: &Signer) -> Result<(), ProvenanceError> {
        let Some(accepted) = self.models.get(model) else {
            return Err(ProvenanceError::NoRule { model: shown(model) });
        };
        if accepted.iter().any(|accepted| accepted.is(signer)) {
            return Ok(());
        }
        Err(ProvenanceError::NotAccepted { model: shown(model), signer: signer.to_string() })
    }
}

impl AcceptedSigner {
    fn is(&self, signer: &Signer) -> bool {
        match (self, signer) {
            (Self::Key(wanted), Signer::Key { fingerprint }) => wanted.fingerprint == *fingerprint,
            (Self::Certificate(wanted), Signer::Certificate { identities, root, .. }) => {
                wanted.root == *root && identities.contains(&wanted.identity)
            }
            (Self::Sigstore(wanted), Signer::Sigstore { identity, issuer, .. }) => {
                wanted.identity == *identity && wanted.issuer == *issuer
            }
            _ => false,
        }
    }
}
