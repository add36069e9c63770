//! A reader of evidence for tests, written from the formats' descriptions and sharing nothing
//! with the code that writes it.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, UnparsedPublicKey,
};
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _, Reader as _, SliceReader, asn1::AnyRef, oid::ObjectIdentifier},
};

/// Cuts little-endian fields off the front.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, length: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(length);
        self.0 = rest;
        front
    }

    #[allow(dead_code, reason = "each test binary uses a part of this file")]
    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take(2).try_into().unwrap())
    }

    #[allow(dead_code, reason = "each test binary uses a part of this file")]
    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    /// Big-endian length and as many bytes, as a TPM writes them.
    #[allow(dead_code, reason = "each test binary uses a part of this file")]
    pub(crate) fn sized(&mut self) -> &'a [u8] {
        let length = u16::from_be_bytes(self.take(2).try_into().unwrap());
        self.take(usize::from(length))
    }
}

/// Whether a certificate's signature is by the key of another.
pub(crate) fn is_signed_by(certificate: &[u8], issuer: &[u8]) -> bool {
    let message = to_be_signed(certificate);
    let (certificate, issuer) = (parse(certificate), parse(issuer));
    assert_eq!(certificate.tbs_certificate().issuer(), issuer.tbs_certificate().subject());
    verifies(certificate.signature_algorithm().oid, &public_key(&issuer), message, certificate.signature().raw_bytes())
}

/// The first value in a certificate, as its bytes are: written anew, dates could change their form.
fn to_be_signed(certificate: &[u8]) -> &[u8] {
    let inner = AnyRef::from_der(certificate).unwrap().value();
    let mut reader = SliceReader::new(inner).unwrap();
    reader.tlv_bytes().unwrap()
}

pub(crate) fn parse(certificate: &[u8]) -> Certificate {
    Certificate::from_der(certificate).unwrap()
}

/// The point or RSAPublicKey.
pub(crate) fn public_key(certificate: &Certificate) -> Vec<u8> {
    certificate.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes().to_vec()
}

pub(crate) fn verifies(algorithm: ObjectIdentifier, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match algorithm.to_string().as_str() {
        "1.2.840.10045.4.3.2" => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(message, signature),
        "1.2.840.10045.4.3.3" => UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, key).verify(message, signature),
        "1.2.840.113549.1.1.11" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(message, signature),
        "1.2.840.113549.1.1.12" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA384, key).verify(message, signature),
        other => panic!("{other}"),
    }
    .is_ok()
}

/// ECDSA P-256, `r` and `s` side by side.
#[allow(dead_code, reason = "each test binary uses a part of this file")]
pub(crate) fn verifies_fixed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature).is_ok()
}

pub(crate) fn extension(certificate: &Certificate, oid: &str) -> Option<(bool, Vec<u8>)> {
    let extensions = certificate.tbs_certificate().extensions()?;
    let found = extensions.iter().find(|extension| extension.extn_id.to_string() == oid)?;
    Some((found.critical, found.extn_value.as_bytes().to_vec()))
}

/// Every development certificate keeps these rules, of whatever vendor.
pub(crate) fn assert_says_development(der: &[u8], now: u64) {
    use strongroom_simulated_platform::{DEVELOPMENT_EXTENSION_OID, DEVELOPMENT_NAME_SUFFIX, LONGEST_VALIDITY_SECONDS};
    let certificate = parse(der);
    let fields = certificate.tbs_certificate();
    let (critical, value) = extension(&certificate, DEVELOPMENT_EXTENSION_OID).unwrap();
    assert!(critical);
    assert_eq!(value, b"\x0c\x17DEVELOPMENT - NOT A TEE");
    for name in [fields.subject(), fields.issuer()] {
        let text = name.to_string();
        let (_, rest) = text.split_once("CN=").unwrap();
        assert!(rest.split(',').next().unwrap().ends_with(DEVELOPMENT_NAME_SUFFIX), "{text}");
        for vendor in ["Intel", "Microsoft", "NVIDIA"] {
            assert!(!text.contains(&format!("O={vendor}")), "{text}");
        }
    }
    let from = fields.validity().not_before.to_unix_duration().as_secs();
    let until = fields.validity().not_after.to_unix_duration().as_secs();
    assert!(from < now && now < until && until - from <= LONGEST_VALIDITY_SECONDS);
    // Some of NVIDIA's dates have a form that `x509-cert` reads and does not write.
    let unusual = der.windows(4).any(|window| window == b"\x18\x0f20");
    assert!(unusual || certificate.to_der().unwrap() == der, "not DER");
}

/// The certificates of a PEM text.
#[allow(dead_code, reason = "each test binary uses a part of this file")]
pub(crate) fn from_pem(text: &str) -> Vec<Vec<u8>> {
    let chain = Certificate::load_pem_chain(text.as_bytes()).unwrap();
    chain.iter().map(|certificate| certificate.to_der().unwrap()).collect()
}
