//! Private keys and what they sign. None can be printed or cloned; they leave the process
//! only as files that the caller asks for.

pub(crate) mod elliptic;
pub(crate) mod rsa;

use sha2::{Digest, Sha256};
use x509_cert::der::Error;

use crate::{der::Der, error::SimulationError};

/// A key, with the algorithm that it uses, as the issuer of a certificate or revocation list.
pub(crate) trait Issuer {
    /// AlgorithmIdentifier, DER.
    fn algorithm(&self) -> Result<Der, Error>;
    /// The signature of a message, as a certificate's bit string holds it.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SimulationError>;
    /// The key's identifier, as its own and other certificates repeat it.
    fn identifier(&self) -> Vec<u8>;
}

/// A key that signs in another's name: what it issues claims the other's identifier.
pub(crate) struct Forger<'a> {
    pub(crate) key: &'a dyn Issuer,
    pub(crate) claims: &'a dyn Issuer,
}

impl Issuer for Forger<'_> {
    fn algorithm(&self) -> Result<Der, Error> {
        self.key.algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SimulationError> {
        self.key.sign(message)
    }

    fn identifier(&self) -> Vec<u8> {
        self.claims.identifier()
    }
}

/// RFC 7093, method 1: the first 160 bits of SHA-256 of the public key.
fn key_identifier(public_key: &[u8]) -> Vec<u8> {
    let mut digest = Sha256::digest(public_key).to_vec();
    digest.truncate(20);
    digest
}

fn crypto(operation: &'static str) -> SimulationError {
    SimulationError::Crypto { operation }
}
