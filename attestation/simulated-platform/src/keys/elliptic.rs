//! ECDSA keys: P-384 of AMD's chips, P-256 of everything that Intel signs.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    },
};
use sha2::{Digest, Sha256, Sha384};
use x509_cert::der::Error;
use zeroize::Zeroizing;

use super::{Issuer, crypto, key_identifier};
use crate::{
    certificate::encoding,
    der::{Der, object_identifier, sequence, unsigned_integer},
    error::SimulationError,
};

/// A curve with the digest that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    /// With SHA-256.
    P256,
    /// With SHA-384.
    P384,
}

impl Curve {
    /// Bytes of a scalar or coordinate.
    pub(crate) const fn scalar_length(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        }
    }

    /// RFC 5915 ECPrivateKey: the version and the scalar's header, then the scalar, then the
    /// curve's name; no public key.
    fn private_key(self, scalar: &[u8]) -> Zeroizing<Vec<u8>> {
        let (before, after): (&[u8], &[u8]) = match self {
            Self::P256 => (
                &[0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20],
                &[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            ),
            Self::P384 => {
                (&[0x30, 0x3e, 0x02, 0x01, 0x01, 0x04, 0x30], &[0xa0, 0x07, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22])
            }
        };
        Zeroizing::new([before, scalar, after].concat())
    }

    /// The digest of a label and a secret, as long as a scalar.
    fn digest(self, label: &[u8], secret: &[u8; 32]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::P256 => Sha256::new().chain_update(label).chain_update(secret).finalize().to_vec(),
            Self::P384 => Sha384::new().chain_update(label).chain_update(secret).finalize().to_vec(),
        })
    }
}

/// A private key.
pub(crate) struct EllipticKey {
    curve: Curve,
    pair: EcdsaKeyPair,
}

impl EllipticKey {
    /// A key that nobody else has.
    pub(crate) fn generate(curve: Curve) -> Result<Self, SimulationError> {
        let pair = EcdsaKeyPair::generate(curve.signing()).map_err(|_| crypto("generating an elliptic curve key"))?;
        Ok(Self { curve, pair })
    }

    /// The key that follows from a secret, always the same one. The label separates it from
    /// everything else that is derived from that secret.
    pub(crate) fn derive(curve: Curve, label: &[u8], secret: &[u8; 32]) -> Result<Self, SimulationError> {
        let mut scalar = curve.digest(label, secret);
        // Below half of the group's order. The lost bit does not matter here.
        if let Some(first) = scalar.first_mut() {
            *first &= 0x7f;
        }
        let pair = EcdsaKeyPair::from_private_key_der(curve.signing(), &curve.private_key(&scalar))
            .map_err(|_| crypto("deriving an elliptic curve key"))?;
        Ok(Self { curve, pair })
    }

    pub(crate) fn from_pkcs8(curve: Curve, pkcs8: &[u8], what: &'static str) -> Result<Self, SimulationError> {
        let pair = EcdsaKeyPair::from_pkcs8(curve.signing(), pkcs8).map_err(|_| SimulationError::Key { what })?;
        Ok(Self { curve, pair })
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SimulationError> {
        let document = self.pair.to_pkcs8v1().map_err(|_| crypto("encoding an elliptic curve key"))?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// SubjectPublicKeyInfo, DER.
    pub(crate) fn public_key_info(&self) -> Result<Vec<u8>, SimulationError> {
        let info: PublicKeyX509Der =
            self.pair.public_key().as_der().map_err(|_| crypto("encoding an elliptic curve public key"))?;
        Ok(info.as_ref().to_vec())
    }

    /// The coordinates x and y, big-endian, without the byte that says "uncompressed".
    pub(crate) fn coordinates(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().get(1..).unwrap_or_default().to_vec()
    }

    /// `r` then `s`, each as long as a scalar, big-endian.
    pub(crate) fn sign_fixed(&self, message: &[u8]) -> Result<Vec<u8>, SimulationError> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| crypto("signing with ECDSA"))?;
        Ok(signature.as_ref().to_vec())
    }
}

impl Issuer for EllipticKey {
    fn algorithm(&self) -> Result<Der, Error> {
        let name = match self.curve {
            Curve::P256 => "1.2.840.10045.4.3.2",
            Curve::P384 => "1.2.840.10045.4.3.3",
        };
        sequence(&[&object_identifier(name)?])
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SimulationError> {
        let signature = self.sign_fixed(message)?;
        let (r, s) = signature.split_at(self.curve.scalar_length());
        let assemble = || sequence(&[&unsigned_integer(r)?, &unsigned_integer(s)?]);
        assemble().map_err(encoding)
    }

    fn identifier(&self) -> Vec<u8> {
        key_identifier(self.pair.public_key().as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_and_a_label_give_one_key() {
        for curve in [Curve::P256, Curve::P384] {
            let key = |label: &[u8], secret| {
                EllipticKey::derive(curve, label, &[secret; 32]).unwrap().public_key_info().unwrap()
            };
            assert_eq!(key(b"a", 1), key(b"a", 1));
            assert_ne!(key(b"a", 1), key(b"a", 2));
            assert_ne!(key(b"a", 1), key(b"b", 1));
        }
    }

    #[test]
    fn a_key_survives_pkcs8_and_is_of_one_curve() {
        let key = EllipticKey::generate(Curve::P256).unwrap();
        let pkcs8 = key.to_pkcs8().unwrap();
        let read = EllipticKey::from_pkcs8(Curve::P256, &pkcs8, "a key").unwrap();
        assert_eq!(key.public_key_info().unwrap(), read.public_key_info().unwrap());
        assert!(EllipticKey::from_pkcs8(Curve::P384, &pkcs8, "a key").is_err());
        assert!(EllipticKey::from_pkcs8(Curve::P256, b"not a key", "a key").is_err());
    }

    #[test]
    fn coordinates_and_signatures_have_their_lengths() {
        for curve in [Curve::P256, Curve::P384] {
            let key = EllipticKey::generate(curve).unwrap();
            assert_eq!(key.coordinates().len(), 2 * curve.scalar_length());
            assert_eq!(key.sign_fixed(b"message").unwrap().len(), 2 * curve.scalar_length());
        }
    }
}
