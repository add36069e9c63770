//! RSA keys: AMD's authorities sign with RSASSA-PSS, Microsoft's and the virtual TPM with
//! RSASSA-PKCS1-v1_5.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA384, RsaEncoding, RsaKeyPair},
};
use x509_cert::der::{Decode, Error, asn1::Uint};
use zeroize::Zeroizing;

use super::{Issuer, crypto, key_identifier};
use crate::{
    certificate::encoding,
    der::{Der, explicit, integer, null, object_identifier, sequence},
    error::SimulationError,
};

/// How many bits the modulus has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Rsa2048,
    Rsa4096,
}

impl Size {
    fn bytes(self) -> usize {
        match self {
            Self::Rsa2048 => 256,
            Self::Rsa4096 => 512,
        }
    }

    fn generating(self) -> KeySize {
        match self {
            Self::Rsa2048 => KeySize::Rsa2048,
            Self::Rsa4096 => KeySize::Rsa4096,
        }
    }
}

/// How a message is encoded before the key is applied to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384, salt 48 (RFC 4055).
    Pss(PssParameters),
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Pkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Pkcs1Sha384,
}

/// AMD writes the default trailer field in the certificates of authorities, and leaves it
/// out in those of chips and in revocation lists. A verifier must accept both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PssParameters {
    WithTrailerField,
    WithoutTrailerField,
}

impl Algorithm {
    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            // The salt of this algorithm is as long as its digest: 48 bytes, as AMD's.
            Self::Pss(_) => &RSA_PSS_SHA384,
            Self::Pkcs1Sha256 => &RSA_PKCS1_SHA256,
            Self::Pkcs1Sha384 => &RSA_PKCS1_SHA384,
        }
    }

    fn identifier(self) -> Result<Der, Error> {
        match self {
            Self::Pss(parameters) => pss_identifier(parameters),
            Self::Pkcs1Sha256 => sequence(&[&object_identifier("1.2.840.113549.1.1.11")?, &null()?]),
            Self::Pkcs1Sha384 => sequence(&[&object_identifier("1.2.840.113549.1.1.12")?, &null()?]),
        }
    }
}

/// A private key.
pub(crate) struct RsaKey(RsaKeyPair);

impl RsaKey {
    pub(crate) fn generate(size: Size) -> Result<Self, SimulationError> {
        RsaKeyPair::generate(size.generating()).map(Self).map_err(|_| crypto("generating an RSA key"))
    }

    pub(crate) fn from_pkcs8(size: Size, pkcs8: &[u8], what: &'static str) -> Result<Self, SimulationError> {
        let key = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| SimulationError::Key { what })?;
        if key.public_modulus_len() != size.bytes() {
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

    /// The modulus, big-endian, without leading zeros.
    pub(crate) fn modulus(&self) -> Result<Vec<u8>, SimulationError> {
        // RSAPublicKey (RFC 8017 A.1.1).
        let numbers = Vec::<Uint>::from_der(self.0.public_key().as_ref()).map_err(encoding)?;
        let modulus = numbers.first().ok_or(crypto("reading an RSA public key"))?;
        Ok(modulus.as_bytes().to_vec())
    }

    pub(crate) fn identifier(&self) -> Vec<u8> {
        key_identifier(self.0.public_key().as_ref())
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, SimulationError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(algorithm.encoding(), &SystemRandom::new(), message, &mut signature)
            .map_err(|_| crypto("signing with RSA"))?;
        Ok(signature)
    }

    /// This key as an issuer that uses that algorithm.
    pub(crate) fn issuing(&self, algorithm: Algorithm) -> RsaIssuer<'_> {
        RsaIssuer { key: self, algorithm }
    }
}

/// An RSA key and the algorithm that it signs certificates with.
pub(crate) struct RsaIssuer<'a> {
    key: &'a RsaKey,
    algorithm: Algorithm,
}

impl Issuer for RsaIssuer<'_> {
    fn algorithm(&self) -> Result<Der, Error> {
        self.algorithm.identifier()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SimulationError> {
        self.key.sign(self.algorithm, message)
    }

    fn identifier(&self) -> Vec<u8> {
        self.key.identifier()
    }
}

fn pss_identifier(parameters: PssParameters) -> Result<Der, Error> {
    let sha384 = sequence(&[&object_identifier("2.16.840.1.101.3.4.2.2")?, &null()?])?;
    let mgf1 = sequence(&[&object_identifier("1.2.840.113549.1.1.8")?, &sha384])?;
    let trailer = match parameters {
        PssParameters::WithTrailerField => explicit(3, &integer(1)?)?,
        PssParameters::WithoutTrailerField => Vec::new(),
    };
    let values = sequence(&[&explicit(0, &sha384)?, &explicit(1, &mgf1)?, &explicit(2, &integer(48)?)?, &trailer])?;
    sequence(&[&object_identifier("1.2.840.113549.1.1.10")?, &values])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pss_parameters_are_byte_for_byte_those_of_amd() {
        // From the genuine Genoa ASK and from a genuine Genoa VCEK.
        let with = "304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a\
                    06092a864886f70d010108300d06096086480165030402020500a203020130a303020101";
        let without = "304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a\
                       06092a864886f70d010108300d06096086480165030402020500a203020130";
        let found = |parameters| hex::encode(Algorithm::Pss(parameters).identifier().unwrap());
        assert_eq!(found(PssParameters::WithTrailerField), with);
        assert_eq!(found(PssParameters::WithoutTrailerField), without);
    }

    #[test]
    fn a_key_has_the_size_that_was_asked_for() {
        let key = RsaKey::generate(Size::Rsa2048).unwrap();
        assert_eq!(key.modulus().unwrap().len(), 256);
        let pkcs8 = key.to_pkcs8().unwrap();
        assert!(RsaKey::from_pkcs8(Size::Rsa2048, &pkcs8, "a key").is_ok());
        assert!(RsaKey::from_pkcs8(Size::Rsa4096, &pkcs8, "a key").is_err());
    }
}
