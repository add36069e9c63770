//! The Sigstore bundle, version 0.3 (sigstore/protobuf-specs, `sigstore_bundle.proto`), as JSON.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dsse::{Envelope, EnvelopeText, base64};
use super::limits::{MAX_BUNDLE_BYTES, MAX_CERTIFICATES};
use super::{ProvenanceError, json};

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct BundleText {
    media_type: String,
    verification_material: MaterialText,
    #[serde(skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<EnvelopeText>,
    #[serde(skip_serializing)]
    message_signature: Option<IgnoredAny>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MaterialText {
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKeyText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509_certificate_chain: Option<ChainText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateText>,
    // The package's reader wants this list, even where it is empty.
    #[serde(default)]
    tlog_entries: Vec<Value>,
    // Timestamps are not looked at: the time comes from the caller, or from the log.
    #[serde(rename = "timestampVerificationData", skip_serializing)]
    _timestamps: Option<IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PublicKeyText {
    hint: Option<String>,
    // Early versions of the package wrote the key itself, which proves nothing.
    #[serde(rename = "rawBytes", skip_serializing)]
    _key: Option<IgnoredAny>,
    #[serde(rename = "keyDetails", skip_serializing)]
    _details: Option<IgnoredAny>,
}

impl BundleText {
    /// A bundle around an envelope that the key of this hint signed.
    pub(super) fn by_key(hint: String, envelope: EnvelopeText) -> Self {
        Self {
            media_type: MEDIA_TYPE.to_owned(),
            verification_material: MaterialText {
                public_key: Some(PublicKeyText { hint: Some(hint), _key: None, _details: None }),
                ..MaterialText::default()
            },
            dsse_envelope: Some(envelope),
            message_signature: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainText {
    certificates: Vec<CertificateText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CertificateText {
    raw_bytes: String,
}

/// A bundle that nobody has verified.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) material: Material,
    pub(super) envelope: Envelope,
}

/// What the bundle says of the signer's key.
#[derive(Debug)]
pub(super) enum Material {
    /// A hint at a key.
    Key { hint: Option<String> },
    /// Certificates in DER, the signer's first.
    Chain(Vec<Vec<u8>>),
    /// A certificate in DER of an hour's life, and what the transparency log says.
    Keyless { certificate: Vec<u8>, entries: Vec<Value> },
}

impl Bundle {
    /// Takes a bundle apart.
    ///
    /// # Errors
    /// `TooLarge`, `Malformed`, and `Unsupported` for another version and for a signature over a
    /// file instead of a statement.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ProvenanceError> {
        let text: BundleText = json::read(bytes, MAX_BUNDLE_BYTES, "the bundle")?;
        if text.media_type != MEDIA_TYPE {
            return Err(ProvenanceError::unsupported("bundle type", &text.media_type));
        }
        let envelope = match (text.dsse_envelope, text.message_signature) {
            (Some(envelope), None) => Envelope::read(&envelope)?,
            (None, Some(_)) => {
                return Err(ProvenanceError::Unsupported { what: "a signature over a file".to_owned() });
            }
            _ => return Err(ProvenanceError::Malformed("a bundle has one content")),
        };
        Ok(Self { material: Material::read(text.verification_material)?, envelope })
    }
}

impl Material {
    fn read(text: MaterialText) -> Result<Self, ProvenanceError> {
        match (text.public_key, text.x509_certificate_chain, text.certificate) {
            // Older writers leave the hint empty.
            (Some(key), None, None) => Ok(Self::Key { hint: key.hint.filter(|hint| !hint.is_empty()) }),
            (None, Some(chain), None) => {
                if chain.certificates.len() > MAX_CERTIFICATES {
                    return Err(ProvenanceError::TooLarge { what: "the chain", limit: MAX_CERTIFICATES });
                }
                chain.certificates.iter().map(|one| base64(&one.raw_bytes)).collect::<Result<_, _>>().map(Self::Chain)
            }
            (None, None, Some(one)) => {
                Ok(Self::Keyless { certificate: base64(&one.raw_bytes)?, entries: text.tlog_entries })
            }
            _ => Err(ProvenanceError::Malformed("a bundle has one kind of verification material")),
        }
    }

    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::Key { .. } => "a key",
            Self::Chain(_) => "a certificate",
            Self::Keyless { .. } => "a Sigstore identity",
        }
    }
}
