//! The key of a sealed model.

use zeroize::Zeroizing;

use crate::error::SealError;

/// One root key RK of a sealed model: the key of one sealing run.
///
/// Wiped when dropped; cannot be cloned, compared or printed. It lives on the heap so
/// that moving the value leaves no copy behind.
pub struct ArtifactKey(Box<Zeroizing<[u8; 32]>>);

impl ArtifactKey {
    /// Takes over the 32 bytes of a key that was released.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the caller's copy is to be wiped here")]
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        key.copy_from_slice(bytes.as_slice());
        Self(key)
    }

    /// Draws a new key.
    pub(crate) fn generate() -> Result<Self, SealError> {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        fill_random(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// The bytes of the key, for the broker, which stores and releases them.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Fills `bytes` from the operating system.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), SealError> {
    getrandom::fill(bytes).map_err(|_| SealError::Crypto { what: "drawing random bytes" })
}

/// Random bytes that are not secret: an artifact id, a salt.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    fill_random(&mut bytes)?;
    Ok(bytes)
}
