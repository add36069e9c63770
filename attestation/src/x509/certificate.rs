//! One X.509 v3 certificate.

mod fingerprints;
mod purpose;

use crate::crypto::{self, BadSignature};
use crate::der::{DerError, Reader, tag};
use crate::remembered::Remembered;
use crate::unix_time::UnixTime;
use crate::x509::{Name, oid, signature_algorithm};

/// Extensions a certificate may have; a VCEK has eleven.
const MAX_EXTENSIONS: usize = 64;

/// A certificate read once; `der` are the bytes as received, and the signed part is a slice of
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    der: Vec<u8>,
    to_be_signed: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) issuer: Name,
    pub(crate) subject: Name,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    pub(crate) public_key: PublicKey,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) signature_algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    pub(crate) oid: Vec<u8>,
    pub(crate) critical: bool,
    pub(crate) value: Vec<u8>,
}

/// The keys that vendors' chains use here. Others may stand in a bag, and verify nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// A DER `RSAPublicKey`, and its modulus' length in bits rounded up to whole bytes.
    Rsa {
        key: Vec<u8>,
        modulus_bits: usize,
    },
    /// An uncompressed point of 97 bytes.
    P384(Vec<u8>),
    /// An uncompressed point of 65 bytes.
    P256(Vec<u8>),
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    RsaPssSha384,
    EcdsaP256Sha256,
    EcdsaP384Sha384,
    RsaPkcs1Sha256,
    RsaPkcs1Sha384,
    RsaPkcs1Sha512,
    Other,
}

impl PublicKey {
    /// The key as the certificate has it; nothing for one that verifies nothing.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            PublicKey::Rsa { key: bytes, .. } | PublicKey::P384(bytes) | PublicKey::P256(bytes) => bytes,
            PublicKey::Other => &[],
        }
    }
}

impl SignatureAlgorithm {
    /// A name that no other has.
    pub(crate) fn name(self) -> &'static [u8] {
        match self {
            SignatureAlgorithm::RsaPssSha384 => b"RSASSA-PSS, SHA-384",
            SignatureAlgorithm::EcdsaP256Sha256 => b"ECDSA P-256, SHA-256, DER",
            SignatureAlgorithm::EcdsaP384Sha384 => b"ECDSA P-384, SHA-384, DER",
            SignatureAlgorithm::RsaPkcs1Sha256 => b"RSASSA-PKCS1-v1_5, SHA-256",
            SignatureAlgorithm::RsaPkcs1Sha384 => b"RSASSA-PKCS1-v1_5, SHA-384",
            SignatureAlgorithm::RsaPkcs1Sha512 => b"RSASSA-PKCS1-v1_5, SHA-512",
            SignatureAlgorithm::Other => b"other",
        }
    }
}

impl Certificate {
    /// Reads the certificate at the front of `bytes`, and says what follows it.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Certificate, &[u8]), DerError> {
        let mut input = Reader::new(bytes);
        let whole = input.expect(tag::SEQUENCE)?;
        let mut parts = whole.reader();
        let to_be_signed = parts.expect(tag::SEQUENCE)?;
        let outer_algorithm = parts.expect(tag::SEQUENCE)?;
        let signature = parts.whole_bits()?.to_vec();
        parts.finish()?;

        let mut fields = to_be_signed.reader();
        let mut version = fields.expect(tag::context(0))?.reader();
        if version.small()? != 2 {
            return Err(DerError::Value("certificate version"));
        }
        version.finish()?;
        let serial = fields.unsigned()?.to_vec();
        let inner_algorithm = fields.expect(tag::SEQUENCE)?;
        // RFC 5280 4.1.1.2: both must be the same, or the unsigned one could be swapped.
        if inner_algorithm.raw != outer_algorithm.raw {
            return Err(DerError::Value("signature algorithm"));
        }
        let issuer = Name::read(&mut fields)?;
        let mut validity = fields.sequence()?;
        let not_before = validity.time()?;
        let not_after = validity.time()?;
        validity.finish()?;
        let subject = Name::read(&mut fields)?;
        let public_key = public_key(fields.sequence()?)?;
        let extensions = match fields.optional(tag::context(3))? {
            Some(element) => extensions(element.reader())?,
            None => Vec::new(),
        };
        fields.finish()?;

        let certificate = Certificate {
            der: whole.raw.to_vec(),
            to_be_signed: to_be_signed.raw.to_vec(),
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            public_key,
            extensions,
            signature_algorithm: signature_algorithm(inner_algorithm.raw)?,
            signature,
        };
        Ok((certificate, input.rest()))
    }

    /// Reads exactly one certificate.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Certificate, DerError> {
        match Certificate::read(bytes)? {
            (certificate, []) => Ok(certificate),
            _ => Err(DerError::Trailing),
        }
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn extension(&self, oid: &[u8]) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.oid == oid)
    }

    /// Whether `issuer` is named as the issuer and its key made the signature. It does not ask
    /// whether `issuer` may issue.
    pub(crate) fn is_signed_by(&self, issuer: &Certificate) -> bool {
        self.issuer == issuer.subject
            && issuer.verify(self.signature_algorithm, &self.to_be_signed, &self.signature).is_ok()
    }

    /// The same, without verifying again what is remembered.
    pub(crate) fn is_signed_by_remembering(&self, issuer: &Certificate, remembered: &Remembered) -> bool {
        let parts = [self.signature_algorithm.name(), issuer.public_key.bytes(), &self.to_be_signed, &self.signature];
        self.issuer == issuer.subject && remembered.holds(parts, || self.is_signed_by(issuer))
    }

    /// Verifies a signature that this certificate's key made over `message`.
    pub(crate) fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        match (algorithm, &self.public_key) {
            (SignatureAlgorithm::RsaPssSha384, PublicKey::Rsa { key, .. }) => {
                crypto::verify_rsa_pss_sha384(key, message, signature)
            }
            (SignatureAlgorithm::EcdsaP256Sha256, PublicKey::P256(point)) => {
                crypto::verify_ecdsa_p256_sha256_asn1(point, message, signature)
            }
            (SignatureAlgorithm::EcdsaP384Sha384, PublicKey::P384(point)) => {
                crypto::verify_ecdsa_p384_sha384_asn1(point, message, signature)
            }
            (SignatureAlgorithm::RsaPkcs1Sha256, PublicKey::Rsa { key, .. }) => {
                crypto::verify_rsa_pkcs1_sha256(key, message, signature)
            }
            (SignatureAlgorithm::RsaPkcs1Sha384, PublicKey::Rsa { key, .. }) => {
                crypto::verify_rsa_pkcs1_sha384(key, message, signature)
            }
            (SignatureAlgorithm::RsaPkcs1Sha512, PublicKey::Rsa { key, .. }) => {
                crypto::verify_rsa_pkcs1_sha512(key, message, signature)
            }
            _ => Err(BadSignature),
        }
    }

    /// Basic constraints say CA, and the key usage allows signing certificates.
    pub(crate) fn may_issue(&self) -> bool {
        self.is_ca() == Some(true) && self.key_usage_byte().is_some_and(|byte| byte & 0x04 != 0)
    }

    /// The key usage allows signing revocation lists.
    pub(crate) fn may_sign_revocation_lists(&self) -> bool {
        self.key_usage_byte().is_some_and(|byte| byte & 0x02 != 0)
    }

    /// The key usage allows signing data that are neither certificates nor lists (RFC 5280 4.2.1.3,
    /// digitalSignature).
    pub(crate) fn may_sign_data(&self) -> bool {
        self.key_usage_byte().is_some_and(|byte| byte & 0x80 != 0)
    }

    /// The basic constraints' CA flag; `None` when the extension cannot be read. Absent is "no".
    pub(crate) fn is_ca(&self) -> Option<bool> {
        self.basic_constraints().map(|(is_ca, _)| is_ca)
    }

    /// How many authorities may stand below this one (RFC 5280 4.2.1.9); `None` for any number.
    /// More than 255 is any number here.
    pub(crate) fn path_length(&self) -> Option<u8> {
        self.basic_constraints().and_then(|(_, most)| most)
    }

    /// CA flag and path length; `None` when the extension cannot be read.
    fn basic_constraints(&self) -> Option<(bool, Option<u8>)> {
        let Some(extension) = self.extension(oid::BASIC_CONSTRAINTS) else {
            return Some((false, None));
        };
        let mut outer = Reader::new(&extension.value);
        let mut fields = outer.sequence().ok()?;
        outer.finish().ok()?;
        let is_ca = fields.optional_true().ok()?;
        let most = match fields.is_empty() {
            true => None,
            false => match fields.unsigned().ok()? {
                [most] => Some(*most),
                _ => None,
            },
        };
        fields.finish().ok()?;
        Some((is_ca, most))
    }

    /// The first byte of the key usage: 80h signs data, 04h certificates, 02h revocation lists.
    fn key_usage_byte(&self) -> Option<u8> {
        let extension = self.extension(oid::KEY_USAGE)?;
        let mut outer = Reader::new(&extension.value);
        let value = outer.expect(tag::BIT_STRING).ok()?.value;
        outer.finish().ok()?;
        match value {
            [0..=7, first, ..] => Some(*first),
            _ => None,
        }
    }
}

fn public_key(mut fields: Reader<'_>) -> Result<PublicKey, DerError> {
    let mut algorithm = fields.sequence()?;
    let kind = algorithm.oid()?;
    let key = fields.whole_bits()?;
    fields.finish()?;
    if kind == oid::RSA_ENCRYPTION {
        let mut outer = Reader::new(key);
        let mut numbers = outer.sequence()?;
        let modulus_bits = numbers.unsigned()?.len().saturating_mul(8);
        numbers.unsigned()?;
        numbers.finish()?;
        outer.finish()?;
        return Ok(PublicKey::Rsa { key: key.to_vec(), modulus_bits });
    }
    if kind == oid::EC_PUBLIC_KEY {
        let curve = algorithm.oid()?;
        algorithm.finish()?;
        return match (curve, key) {
            (oid::SECP384R1, [0x04, ..]) if key.len() == 97 => Ok(PublicKey::P384(key.to_vec())),
            (oid::PRIME256V1, [0x04, ..]) if key.len() == 65 => Ok(PublicKey::P256(key.to_vec())),
            (oid::SECP384R1 | oid::PRIME256V1, _) => Err(DerError::Value("point on the curve")),
            _ => Ok(PublicKey::Other),
        };
    }
    Ok(PublicKey::Other)
}

pub(super) fn extensions(mut wrapper: Reader<'_>) -> Result<Vec<Extension>, DerError> {
    let mut list = wrapper.sequence()?;
    wrapper.finish()?;
    let mut extensions: Vec<Extension> = Vec::new();
    while !list.is_empty() {
        let mut fields = list.sequence()?;
        let oid = fields.oid()?.to_vec();
        let critical = fields.optional_true()?;
        let value = fields.expect(tag::OCTET_STRING)?.value.to_vec();
        fields.finish()?;
        // RFC 5280 4.2: no extension twice. A second one could hide from a first-match reader.
        if extensions.len() >= MAX_EXTENSIONS || extensions.iter().any(|known| known.oid == oid) {
            return Err(DerError::Value("extension list"));
        }
        extensions.push(Extension { oid, critical, value });
    }
    Ok(extensions)
}
