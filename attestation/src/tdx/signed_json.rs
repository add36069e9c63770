//! Intel's signed JSON: `{"<name>": {…}, "signature": "<hex r‖s>"}`. The signature covers the exact
//! bytes of the inner object as received, so they are kept and never written again.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::crypto;
use crate::error::{Code, Refusal};
use crate::remembered::Remembered;
use crate::tdx::{QeIdentity, TcbInfo};
use crate::x509::{Certificate, PublicKey};

/// The inner object and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedBytes {
    bytes: Vec<u8>,
    signature: [u8; 64],
}

/// One of Intel's two signed objects, read and not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignedJson {
    TcbInfo(Box<TcbInfo>),
    QeIdentity(Box<QeIdentity>),
}

/// The two shapes in which Intel's service answers. A field of another name is no error: mirrors
/// add their own, and nothing outside the inner object is believed.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, rename = "tcbInfo")]
    tcb_info: Option<&'a RawValue>,
    #[serde(borrow, rename = "enclaveIdentity")]
    enclave_identity: Option<&'a RawValue>,
    signature: Option<String>,
}

impl SignedJson {
    /// Reads the answer of Intel's service; `None` when the text is JSON of another kind.
    pub(crate) fn read(text: &str) -> Option<Result<SignedJson, Refusal>> {
        let answer: Answer<'_> = serde_json::from_str(text).ok()?;
        let signature = || answer.signature.as_deref().ok_or_else(|| malformed("a signed object without signature"));
        match (answer.tcb_info, answer.enclave_identity) {
            (Some(inner), None) => Some(signature().and_then(|hex| SignedJson::tcb_info(inner.get(), hex))),
            (None, Some(inner)) => Some(signature().and_then(|hex| SignedJson::qe_identity(inner.get(), hex))),
            (Some(_), Some(_)) => Some(Err(malformed("TCB info and QE identity under one signature"))),
            (None, None) => None,
        }
    }

    /// TCB info whose inner object and signature came apart.
    pub(crate) fn tcb_info(inner: &str, signature_hex: &str) -> Result<SignedJson, Refusal> {
        let signed = SignedBytes::new(inner, signature_hex)?;
        Ok(SignedJson::TcbInfo(Box::new(TcbInfo::read(inner, signed)?)))
    }

    /// QE identity whose inner object and signature came apart.
    pub(crate) fn qe_identity(inner: &str, signature_hex: &str) -> Result<SignedJson, Refusal> {
        let signed = SignedBytes::new(inner, signature_hex)?;
        Ok(SignedJson::QeIdentity(Box::new(QeIdentity::read(inner, signed)?)))
    }
}

impl SignedBytes {
    fn new(inner: &str, signature_hex: &str) -> Result<SignedBytes, Refusal> {
        let mut signature = [0; 64];
        hex::decode_to_slice(signature_hex.trim(), &mut signature)
            .map_err(|_| malformed("a signature that is not 64 bytes in hexadecimal"))?;
        Ok(SignedBytes { bytes: inner.as_bytes().to_vec(), signature })
    }

    /// Whether `signer`'s key made the signature, now or as it is remembered.
    pub(crate) fn is_signed_by(&self, signer: &Certificate, remembered: &Remembered) -> bool {
        let PublicKey::P256(point) = &signer.public_key else { return false };
        let parts: [&[u8]; 4] = [b"ECDSA P-256, SHA-256", point, &self.bytes, &self.signature];
        remembered.holds(parts, || crypto::verify_ecdsa_p256_sha256(point, &self.bytes, &self.signature).is_ok())
    }
}

pub(super) fn malformed(detail: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Parse, format!("Intel collateral: {detail}"))
}
