//! A TPM's quote: its signed message, the signature, and the values of the registers that it is over
//! (TCG TPM 2.0 Library, part 2, TPMS_ATTEST and TPMS_QUOTE_INFO; big-endian).

use crate::cursor::{Cursor, EndsEarly};
use crate::error::{Code, Refusal};

/// Largest message that is read; real ones have about 150 bytes.
const MAX_MESSAGE: usize = 1024;
/// Largest signature: RSA-4096.
const MAX_SIGNATURE: usize = 512;
/// TPM_GENERATED_VALUE, then TPM_ST_ATTEST_QUOTE.
const QUOTE: [u8; 6] = *b"\xff\x54\x43\x47\x80\x18";
/// TPM_GENERATED_VALUE alone.
const GENERATED: [u8; 4] = *b"\xff\x54\x43\x47";
/// TPM_ALG_SHA256.
pub(crate) const SHA256: u16 = 0x000B;
/// TPM_ALG_RSASSA.
const RSASSA: u16 = 0x0014;
/// Platform configuration registers.
pub(crate) const PCRS: usize = 24;
/// A bit for each of them.
pub(crate) const ALL_PCRS: [u8; 3] = [0xFF; 3];
const _: () = assert!(ALL_PCRS.len() * 8 == PCRS);

/// The values of the 24 registers of the SHA-256 bank.
pub type PcrValues = [[u8; 32]; PCRS];

/// A quote, read and not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmQuote {
    message: Vec<u8>,
    signature: Vec<u8>,
    extra_data: Vec<u8>,
    selection: Vec<Selection>,
    pcr_digest: Vec<u8>,
    clock: Clock,
    firmware_version: u64,
}

/// Registers of one bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) algorithm: u16,
    pub(crate) bitmap: Vec<u8>,
}

/// The TPM's clock when it made the quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) milliseconds: u64,
    pub(crate) reset_count: u32,
    pub(crate) restart_count: u32,
    pub(crate) is_safe: bool,
}

impl TpmQuote {
    /// Whether `bytes` begin like a message that a TPM made, with or without a length before it.
    pub(crate) fn looks_like_message(bytes: &[u8]) -> bool {
        bytes.starts_with(&GENERATED) || bytes.get(2..6) == Some(GENERATED.as_slice())
    }

    /// Reads a message (TPMS_ATTEST, or TPM2B_ATTEST with its length) and a signature (raw
    /// RSASSA, or TPMT_SIGNATURE around it). Refuses with `PARSE` what is not a quote.
    pub fn parse(message: &[u8], signature: &[u8]) -> Result<TpmQuote, Refusal> {
        TpmQuote::read(without_length(message), signature).map_err(|refusal| refusal.about("TPM quote"))
    }

    /// The signed message as received.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The data that the guest had signed: the nonce.
    pub fn extra_data(&self) -> &[u8] {
        &self.extra_data
    }

    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }

    pub(crate) fn selection(&self) -> &[Selection] {
        &self.selection
    }

    pub(crate) fn pcr_digest(&self) -> &[u8] {
        &self.pcr_digest
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn firmware_version(&self) -> u64 {
        self.firmware_version
    }

    fn read(message: &[u8], signature: &[u8]) -> Result<TpmQuote, Refusal> {
        if message.len() > MAX_MESSAGE {
            return Err(malformed(format!("a message of {} bytes, wanted at most {MAX_MESSAGE}", message.len())));
        }
        let signature = raw_signature(signature)?.to_vec();
        let mut cursor = Cursor::new(message);
        if cursor.array()? != QUOTE {
            return Err(malformed("the message is no quote that a TPM made".to_owned()));
        }
        sized(&mut cursor)?; // qualifiedSigner: a name under the TPM's own keys
        let extra_data = sized(&mut cursor)?.to_vec();
        let (milliseconds, reset_count, restart_count) = (cursor.u64_be()?, cursor.u32_be()?, cursor.u32_be()?);
        let safe = cursor.u8()?;
        let firmware_version = cursor.u64_be()?;
        let banks = cursor.u32_be()?;
        if banks > 8 || safe > 1 {
            return Err(malformed(format!("{banks} banks, and a clock that is safe: {safe}")));
        }
        let mut selection = Vec::new();
        for _ in 0..banks {
            let algorithm = cursor.u16_be()?;
            let length = cursor.u8()?;
            selection.push(Selection { algorithm, bitmap: cursor.slice(usize::from(length))?.to_vec() });
        }
        let pcr_digest = sized(&mut cursor)?.to_vec();
        if !cursor.is_empty() {
            return Err(malformed("bytes after the message's end".to_owned()));
        }
        let clock = Clock { milliseconds, reset_count, restart_count, is_safe: safe == 1 };
        let message = message.to_vec();
        Ok(TpmQuote { message, signature, extra_data, selection, pcr_digest, clock, firmware_version })
    }
}

/// A TPM2B: its length in two bytes, then that many.
fn sized<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], EndsEarly> {
    let length = cursor.u16_be()?;
    cursor.slice(usize::from(length))
}

/// The content of a TPM2B_ATTEST, or the message itself.
fn without_length(bytes: &[u8]) -> &[u8] {
    match bytes {
        [high, low, message @ ..]
            if message.starts_with(&GENERATED) && usize::from(u16::from_be_bytes([*high, *low])) == message.len() =>
        {
            message
        }
        _ => bytes,
    }
}

/// The content of a TPMT_SIGNATURE of RSASSA with SHA-256, or the raw signature itself.
fn raw_signature(bytes: &[u8]) -> Result<&[u8], Refusal> {
    let raw = match bytes.split_first_chunk::<6>() {
        Some(([s1, s2, h1, h2, l1, l2], signature))
            if u16::from_be_bytes([*s1, *s2]) == RSASSA
                && u16::from_be_bytes([*h1, *h2]) == SHA256
                && usize::from(u16::from_be_bytes([*l1, *l2])) == signature.len() =>
        {
            signature
        }
        _ => bytes,
    };
    if matches!(raw.len(), 256..=MAX_SIGNATURE) {
        return Ok(raw);
    }
    Err(malformed(format!("a signature of {} bytes, wanted 256 to {MAX_SIGNATURE}", raw.len())))
}

fn malformed(detail: String) -> Refusal {
    Refusal::new(Code::Parse, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(extra: &[u8], tail: &[u8]) -> Vec<u8> {
        let mut bytes = QUOTE.to_vec();
        bytes.extend_from_slice(&[0, 2, 0xAA, 0xBB, 0, extra.len() as u8]);
        bytes.extend_from_slice(extra);
        bytes.extend_from_slice(&[0; 16]);
        bytes.push(1);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0x0B, 3, 0xFF, 0xFF, 0xFF, 0, 32]);
        bytes.extend_from_slice(&[7; 32]);
        bytes.extend_from_slice(tail);
        bytes
    }

    #[test]
    fn both_framings_of_message_and_signature_are_read() {
        let plain = message(b"nonce", b"");
        let framed = [&(plain.len() as u16).to_be_bytes(), plain.as_slice()].concat();
        let signature = [9; 256];
        let framed_signature = [&[0, 0x14, 0, 0x0B, 1, 0], signature.as_slice()].concat();
        let quote = TpmQuote::parse(&plain, &signature).unwrap();
        assert_eq!(quote.extra_data(), b"nonce");
        assert_eq!(TpmQuote::parse(&framed, &framed_signature).unwrap(), quote);
    }

    #[test]
    fn what_is_no_quote_is_refused() {
        let code = |message: &[u8], signature: &[u8]| TpmQuote::parse(message, signature).unwrap_err().code;
        let mut certify = message(b"", b"");
        certify[5] = 0x17; // TPM_ST_ATTEST_CERTIFY
        let mut unsafe_clock = message(b"", b"");
        unsafe_clock[6 + 4 + 2 + 16] = 2;
        for wrong in [certify, unsafe_clock, message(b"", b"x"), message(b"", b"")[..40].to_vec(), Vec::new()] {
            assert_eq!(code(&wrong, &[9; 256]), Code::Parse);
        }
        assert_eq!(code(&message(b"", b""), &[9; 255]), Code::Parse);
    }
}
