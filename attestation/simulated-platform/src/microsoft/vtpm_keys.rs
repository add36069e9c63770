//! The keys of a virtual TPM.

use crate::{
    error::SimulationError,
    keys::rsa::{RsaKey, Size},
};

/// A virtual TPM's keys, RSA-2048: the one that signs quotes, and the endorsement key, which
/// only stands in the runtime data.
pub struct VtpmKeys {
    pub(crate) attestation: RsaKey,
    pub(crate) endorsement: RsaKey,
}

impl VtpmKeys {
    /// Fresh keys that nobody else has.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails.
    pub fn generate() -> Result<Self, SimulationError> {
        Ok(Self { attestation: RsaKey::generate(Size::Rsa2048)?, endorsement: RsaKey::generate(Size::Rsa2048)? })
    }

    /// The keys published in `development-root/`: for tests, examples and vectors only.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn published() -> Result<Self, SimulationError> {
        let attestation = include_bytes!("../../development-root/vtpm-ak-key.der");
        let endorsement = include_bytes!("../../development-root/vtpm-ek-key.der");
        Ok(Self {
            attestation: RsaKey::from_pkcs8(Size::Rsa2048, attestation, "the published attestation key")?,
            endorsement: RsaKey::from_pkcs8(Size::Rsa2048, endorsement, "the published endorsement key")?,
        })
    }
}

/// The attestation key of another machine.
pub(crate) fn stranger() -> Result<RsaKey, SimulationError> {
    let key = include_bytes!("../../development-root/vtpm-stranger-key.der");
    RsaKey::from_pkcs8(Size::Rsa2048, key, "the published stranger's attestation key")
}
