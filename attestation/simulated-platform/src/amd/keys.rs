//! The private keys: RSA-4096 of AMD's authorities, P-384 of a device.

use zeroize::Zeroizing;

use crate::{
    error::SimulationError,
    keys::{
        elliptic::{Curve, EllipticKey},
        rsa::{Algorithm, PssParameters, RsaIssuer, RsaKey, Size},
    },
};

/// Separates the device key from everything else that is derived from a chip secret.
const DEVICE_KEY_LABEL: &[u8] = b"strongroom/simulated-platform/vcek/v1\0";

/// The key of an ARK, ASK or ASVK: RSA-4096, signs with RSASSA-PSS, SHA-384, salt 48.
pub(crate) struct AuthorityKey(RsaKey);

impl AuthorityKey {
    pub(crate) fn generate() -> Result<Self, SimulationError> {
        RsaKey::generate(Size::Rsa4096).map(Self)
    }

    pub(crate) fn from_pkcs8(pkcs8: &[u8], what: &'static str) -> Result<Self, SimulationError> {
        RsaKey::from_pkcs8(Size::Rsa4096, pkcs8, what).map(Self)
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SimulationError> {
        self.0.to_pkcs8()
    }

    /// SubjectPublicKeyInfo, DER.
    pub(crate) fn public_key_info(&self) -> Result<Vec<u8>, SimulationError> {
        self.0.public_key_info()
    }

    pub(crate) fn identifier(&self) -> Vec<u8> {
        self.0.identifier()
    }

    /// Issues certificates of devices, and revocation lists.
    pub(crate) fn issuing(&self) -> RsaIssuer<'_> {
        self.0.issuing(Algorithm::Pss(PssParameters::WithoutTrailerField))
    }

    /// Issues certificates of authorities.
    pub(crate) fn issuing_authorities(&self) -> RsaIssuer<'_> {
        self.0.issuing(Algorithm::Pss(PssParameters::WithTrailerField))
    }
}

/// The key that follows from a chip's secret, always the same one: its VCEK or VLEK
/// certifies it.
pub(crate) fn device_key(chip_secret: &[u8; 32]) -> Result<EllipticKey, SimulationError> {
    EllipticKey::derive(Curve::P384, DEVICE_KEY_LABEL, chip_secret)
}

pub(crate) fn device_key_from_pkcs8(pkcs8: &[u8]) -> Result<EllipticKey, SimulationError> {
    EllipticKey::from_pkcs8(Curve::P384, pkcs8, "the device key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amd::vendor::SimulatedAmd;

    #[test]
    fn the_published_device_key_is_that_of_the_published_chip() {
        let key = device_key(&SimulatedAmd::PUBLISHED_CHIP_SECRET).unwrap();
        let published = include_bytes!("../../development-root/vcek-key.der");
        assert_eq!(key.to_pkcs8().unwrap().as_slice(), published);
    }

    #[test]
    fn a_device_key_is_no_authority_key() {
        let key = device_key(&[1; 32]).unwrap();
        assert!(AuthorityKey::from_pkcs8(&key.to_pkcs8().unwrap(), "the ARK").is_err());
        assert!(device_key_from_pkcs8(b"not a key").is_err());
    }
}
