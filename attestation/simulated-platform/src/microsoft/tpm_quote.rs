//! What a TPM signs for a quote (TPM 2.0 part 2, TPMS_ATTEST), big-endian.

use sha2::{Digest, Sha256};

use crate::{
    error::SimulationError,
    keys::rsa::{Algorithm, RsaKey},
};

/// Registers of a bank.
pub(crate) const PCR_COUNT: usize = 24;
const SIGNER_LABEL: &[u8] = b"strongroom/simulated-platform/vtpm-signer/v1\0";
/// TPM_ALG_SHA256, and TPM_ALG_SHA1 for a fault.
const SHA256: u16 = 0x000b;
pub(crate) const SHA1: u16 = 0x0004;
const FIRMWARE_VERSION: u64 = 0x2020_0312_0012_0003;

/// A quote of a virtual TPM, as it is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmQuote {
    /// TPMS_ATTEST.
    pub message: Vec<u8>,
    /// RSASSA-PKCS1-v1_5 with SHA-256 over the message, 256 bytes.
    pub signature: Vec<u8>,
    /// The values of the SHA-256 bank, register 0 first.
    pub pcrs: Vec<[u8; 32]>,
}

/// What is about to be signed. A fault changes one field.
pub(crate) struct Attest {
    pub(crate) magic: u32,
    pub(crate) kind: u16,
    pub(crate) extra_data: Vec<u8>,
    pub(crate) bank: u16,
    /// Bit n of byte n/8 is register n.
    pub(crate) selection: [u8; 3],
    pub(crate) pcrs: [[u8; 32]; PCR_COUNT],
    /// Bytes after the end, signed too; more than none only for a fault.
    pub(crate) bytes_after: usize,
}

impl Attest {
    /// A quote of all registers with that qualifying data.
    pub(crate) fn new(nonce: &[u8], pcrs: [[u8; 32]; PCR_COUNT]) -> Self {
        Self {
            magic: 0xff54_4347, // TPM_GENERATED_VALUE
            kind: 0x8018,       // TPM_ST_ATTEST_QUOTE
            extra_data: nonce.to_vec(),
            bank: SHA256,
            selection: [0xff; 3],
            pcrs,
            bytes_after: 0,
        }
    }

    /// The quote with its signature and all values.
    pub(crate) fn sign(&self, key: &RsaKey) -> Result<TpmQuote, SimulationError> {
        let message = self.message()?;
        let signature = key.sign(Algorithm::Pkcs1Sha256, &message)?;
        Ok(TpmQuote { message, signature, pcrs: self.pcrs.to_vec() })
    }

    fn message(&self) -> Result<Vec<u8>, SimulationError> {
        let signer = Sha256::digest(SIGNER_LABEL);
        let mut message = self.magic.to_be_bytes().to_vec();
        message.extend_from_slice(&self.kind.to_be_bytes());
        // The signer's name: a digest and its algorithm in front.
        message.extend_from_slice(&sized(&[SHA256.to_be_bytes().as_slice(), &signer].concat())?);
        message.extend_from_slice(&sized(&self.extra_data)?);
        // Clock in milliseconds, resets, restarts, whether the clock is safe.
        message.extend_from_slice(&1_800_000_u64.to_be_bytes());
        message.extend_from_slice(&2_u32.to_be_bytes());
        message.extend_from_slice(&0_u32.to_be_bytes());
        message.push(1);
        message.extend_from_slice(&FIRMWARE_VERSION.to_be_bytes());
        // One selection of three bytes.
        message.extend_from_slice(&1_u32.to_be_bytes());
        message.extend_from_slice(&self.bank.to_be_bytes());
        message.push(3);
        message.extend_from_slice(&self.selection);
        message.extend_from_slice(&sized(&self.digest())?);
        message.resize(message.len() + self.bytes_after, 0);
        Ok(message)
    }

    /// SHA-256 of the selected values in the order of their registers.
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let selected = |register: usize| self.selection[register / 8] & (1 << (register % 8)) != 0;
        for (_, value) in self.pcrs.iter().enumerate().filter(|(register, _)| selected(*register)) {
            digest.update(value);
        }
        digest.finalize().into()
    }
}

/// TPM2B: a length and as many bytes.
fn sized(bytes: &[u8]) -> Result<Vec<u8>, SimulationError> {
    let length = u16::try_from(bytes.len()).map_err(|_| SimulationError::TooLong { what: "a TPM's buffer" })?;
    Ok([length.to_be_bytes().as_slice(), bytes].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_the_layout_of_a_genuine_one() {
        // A genuine message, without signer's digest, clock and PCR digest.
        let message = Attest::new(b"challenge", [[0; 32]; PCR_COUNT]).message().unwrap();
        assert_eq!(message.len(), 122);
        assert_eq!(hex::encode(&message[..10]), "ff54434780180022000b");
        assert_eq!(hex::encode(&message[42..53]), "00096368616c6c656e6765");
        let rest = "20200312001200030000000100 0b03ffffff0020".replace(' ', "");
        assert_eq!(hex::encode(&message[70..90]), rest);
    }
}
