//! The private keys: RSA-4096 of the vendor's authorities, P-384 of a device. Neither can
//! be printed or cloned; both leave the process only as files that the caller asks for.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PSS_SHA384, RsaKeyPair},
};
use sha2::{Digest, Sha256, Sha384};
use zeroize::Zeroizing;

use crate::error::SimulationError;

/// Bytes of an authority's signature: the modulus of RSA-4096.
const AUTHORITY_SIGNATURE_LENGTH: usize = 512;
/// Bytes of one P-384 coordinate or scalar.
pub(crate) const SCALAR_LENGTH: usize = 48;
/// Separates the device key from everything else that is derived from a chip secret.
const DEVICE_KEY_LABEL: &[u8] = b"strongroom/simulated-platform/vcek/v1\0";
/// RFC 5915 ECPrivateKey of P-384 up to the scalar, and after it: a curve name, no public key.
const EC_PRIVATE_KEY_PREFIX: [u8; 7] = [0x30, 0x3e, 0x02, 0x01, 0x01, 0x04, 0x30];
const EC_PRIVATE_KEY_SUFFIX: [u8; 9] = [0xa0, 0x07, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// The key of an ARK, ASK or ASVK: RSA-4096, signs with RSASSA-PSS, SHA-384, salt 48.
pub(crate) struct AuthorityKey(RsaKeyPair);

impl AuthorityKey {
    pub(crate) fn generate() -> Result<Self, SimulationError> {
        RsaKeyPair::generate(KeySize::Rsa4096).map(Self).map_err(|_| crypto("generating an RSA-4096 key"))
    }

    pub(crate) fn from_pkcs8(pkcs8: &[u8], what: &'static str) -> Result<Self, SimulationError> {
        let key = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| SimulationError::Key { what })?;
        if key.public_modulus_len() != AUTHORITY_SIGNATURE_LENGTH {
            return Err(SimulationError::Key { what });
        }
        Ok(Self(key))
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SimulationError> {
        let document: Pkcs8V1Der = self.0.as_der().map_err(|_| crypto("encoding an RSA key"))?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// SubjectPublicKeyInfo, DER.
    pub(crate) fn public_key_info(&self) -> Result<Vec<u8>, SimulationError> {
        let info: PublicKeyX509Der = self.0.public_key().as_der().map_err(|_| crypto("encoding an RSA public key"))?;
        Ok(info.as_ref().to_vec())
    }

    /// RFC 7093, method 1: the first 160 bits of SHA-256 of the public key.
    pub(crate) fn identifier(&self) -> Vec<u8> {
        let mut digest = Sha256::digest(self.0.public_key().as_ref()).to_vec();
        digest.truncate(20);
        digest
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SimulationError> {
        // The salt of this algorithm is as long as its digest: 48 bytes, as AMD's.
        let mut signature = vec![0; AUTHORITY_SIGNATURE_LENGTH];
        self.0
            .sign(&RSA_PSS_SHA384, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| crypto("signing with RSASSA-PSS"))?;
        Ok(signature)
    }
}

/// The key of a device, which its VCEK or VLEK certifies: ECDSA P-384 with SHA-384.
pub(crate) struct DeviceKey(EcdsaKeyPair);

impl DeviceKey {
    /// The key that follows from a chip's secret, always the same one.
    pub(crate) fn from_chip_secret(secret: &[u8; 32]) -> Result<Self, SimulationError> {
        let mut scalar = Zeroizing::new([0; SCALAR_LENGTH]);
        scalar.copy_from_slice(&Sha384::new().chain_update(DEVICE_KEY_LABEL).chain_update(secret).finalize());
        // Below 2^383, so below the order of the group. The lost bit does not matter here.
        scalar[0] &= 0x7f;
        let document =
            Zeroizing::new([EC_PRIVATE_KEY_PREFIX.as_slice(), scalar.as_slice(), &EC_PRIVATE_KEY_SUFFIX].concat());
        EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_FIXED_SIGNING, &document)
            .map(Self)
            .map_err(|_| crypto("deriving a device key"))
    }

    pub(crate) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, SimulationError> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8)
            .map(Self)
            .map_err(|_| SimulationError::Key { what: "the device key" })
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SimulationError> {
        let document = self.0.to_pkcs8v1().map_err(|_| crypto("encoding a device key"))?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// SubjectPublicKeyInfo, DER.
    pub(crate) fn public_key_info(&self) -> Result<Vec<u8>, SimulationError> {
        let info: PublicKeyX509Der =
            self.0.public_key().as_der().map_err(|_| crypto("encoding a device public key"))?;
        Ok(info.as_ref().to_vec())
    }

    /// `r` then `s`, each 48 bytes, big-endian.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; 2 * SCALAR_LENGTH], SimulationError> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| crypto("signing with ECDSA P-384"))?;
        signature.as_ref().try_into().map_err(|_| crypto("signing with ECDSA P-384"))
    }
}

fn crypto(operation: &'static str) -> SimulationError {
    SimulationError::Crypto { operation }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::SimulatedAmd;

    #[test]
    fn a_chip_secret_gives_one_key() {
        let one = DeviceKey::from_chip_secret(&[1; 32]).unwrap();
        let same = DeviceKey::from_chip_secret(&[1; 32]).unwrap();
        let other = DeviceKey::from_chip_secret(&[2; 32]).unwrap();
        assert_eq!(one.public_key_info().unwrap(), same.public_key_info().unwrap());
        assert_ne!(one.public_key_info().unwrap(), other.public_key_info().unwrap());
    }

    #[test]
    fn a_device_key_survives_pkcs8() {
        let key = DeviceKey::from_chip_secret(&[1; 32]).unwrap();
        let read = DeviceKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(key.public_key_info().unwrap(), read.public_key_info().unwrap());
    }

    #[test]
    fn the_published_device_key_is_that_of_the_published_chip() {
        let key = DeviceKey::from_chip_secret(&SimulatedAmd::PUBLISHED_CHIP_SECRET).unwrap();
        let published = include_bytes!("../development-root/vcek-key.der");
        assert_eq!(key.to_pkcs8().unwrap().as_slice(), published);
    }

    #[test]
    fn a_device_key_is_no_authority_key() {
        let key = DeviceKey::from_chip_secret(&[1; 32]).unwrap();
        assert!(AuthorityKey::from_pkcs8(&key.to_pkcs8().unwrap(), "the ARK").is_err());
        assert!(DeviceKey::from_pkcs8(b"not a key").is_err());
    }
}
