//! What keys and signatures may look like, before a provider sees them.
//!
//! Providers differ at the edges: which exponents they take, whether a modulus may have 2047 bits,
//! how loosely they read DER. Asking here makes the answer one and the same for all of them.

use crate::crypto::BadSignature;
use crate::der::{DerError, Reader};

/// Bytes of the smallest and the largest modulus: 2048 and 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// The bound that the providers share, so that a key cannot make one verification arbitrarily long.
const EXPONENT_MAX: u64 = (1 << 33) - 1;

/// A DER `RSAPublicKey` (RFC 8017 A.1.1) with a modulus and an exponent that are taken.
pub(super) struct RsaPublicKey<'a> {
    /// Big-endian, without leading zeros.
    pub(super) modulus: &'a [u8],
    /// Big-endian, without leading zeros.
    pub(super) exponent: &'a [u8],
}

impl<'a> RsaPublicKey<'a> {
    /// Reads the key, and refuses a signature of another length than the modulus.
    pub(super) fn for_signature(der: &'a [u8], signature: &[u8]) -> Result<RsaPublicKey<'a>, BadSignature> {
        let key = RsaPublicKey::read(der).map_err(|_| BadSignature)?;
        if key.is_taken() && signature.len() == key.modulus.len() { Ok(key) } else { Err(BadSignature) }
    }

    fn read(der: &'a [u8]) -> Result<RsaPublicKey<'a>, DerError> {
        let mut outer = Reader::new(der);
        let mut numbers = outer.sequence()?;
        let (modulus, exponent) = (numbers.unsigned()?, numbers.unsigned()?);
        numbers.finish()?;
        outer.finish()?;
        Ok(RsaPublicKey { modulus, exponent })
    }

    /// The top bit of the modulus is set: with whole bytes, the encoded message is as long as the
    /// signature in every provider's reading of RFC 8017.
    fn is_taken(&self) -> bool {
        let fills_bytes = self.modulus.first().is_some_and(|byte| byte & 0x80 != 0);
        let modulus_is_odd = self.modulus.last().is_some_and(|byte| byte & 1 == 1);
        MODULUS_BYTES.contains(&self.modulus.len()) && fills_bytes && modulus_is_odd && self.exponent_is_taken()
    }

    fn exponent_is_taken(&self) -> bool {
        if self.exponent.len() > 5 {
            return false;
        }
        let exponent = self.exponent.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
        (3..=EXPONENT_MAX).contains(&exponent) && exponent & 1 == 1
    }
}

/// A point of `N` bytes in SEC 1's uncompressed form. Whether it is on the curve is the provider's
/// to say.
pub(super) fn uncompressed<const N: usize>(point: &[u8]) -> Result<&[u8; N], BadSignature> {
    match point {
        [0x04, ..] => point.try_into().map_err(|_| BadSignature),
        _ => Err(BadSignature),
    }
}

/// r and s of a DER `Ecdsa-Sig-Value` as `N` big-endian bytes each, `BOTH` in all. Their range is not
/// looked at.
pub(super) fn fixed_from_asn1<const N: usize, const BOTH: usize>(signature: &[u8]) -> Result<[u8; BOTH], BadSignature> {
    const { assert!(N + N == BOTH) };
    let read = || {
        let mut outer = Reader::new(signature);
        let mut numbers = outer.sequence()?;
        let pair = (numbers.unsigned()?, numbers.unsigned()?);
        numbers.finish()?;
        outer.finish()?;
        Ok::<_, DerError>(pair)
    };
    let (r, s) = read().map_err(|_| BadSignature)?;
    let mut fixed = [0; BOTH];
    let (left, right) = fixed.split_at_mut(N);
    for (place, number) in [(left, r), (right, s)] {
        let start = place.len().checked_sub(number.len()).ok_or(BadSignature)?;
        place.get_mut(start..).ok_or(BadSignature)?.copy_from_slice(number);
    }
    Ok(fixed)
}
