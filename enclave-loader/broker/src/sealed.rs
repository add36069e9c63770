//! What a broker does with a sealed model that is its own: open it, and pass it on to another.

use strongroom_channel::cose::VerifyingKey;
use strongroom_enclave_loader::{
    ArtifactKey, DepositPublicKey, Place, SignedManifest, open_manifest, read_wrapped_keys,
};

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::log::Event;

impl Broker {
    /// The keys of the sealed model at `place`, signed by `publisher`, which was sealed to this broker.
    /// For the tenant's own eyes: the log says that it was opened.
    ///
    /// # Errors
    /// [`BrokerError::Load`] where it is not by that publisher or not for this broker, and others.
    pub fn open_sealed(
        &self,
        place: &Place,
        publisher: &VerifyingKey,
    ) -> Result<(SignedManifest, Vec<ArtifactKey>), BrokerError> {
        let manifest = open_manifest(place.clone(), publisher)?;
        let keys = self.keys.deposit.unwrap_keys(&read_wrapped_keys(place.clone())?)?;
        manifest.check_keys(&keys)?;
        let event = Event::ModelOpened { model: hex::encode(manifest.model_id()) };
        self.ledger.note(self.now(), event)?;
        Ok((manifest, keys))
    }

    /// Passes a sealed model of this broker on to another recipient: only its keys file changes.
    ///
    /// # Errors
    /// As for [`open_sealed`](Self::open_sealed), and where the file cannot be written.
    pub fn rewrap(
        &self,
        directory: &std::path::Path,
        publisher: &VerifyingKey,
        to: &DepositPublicKey,
    ) -> Result<SignedManifest, BrokerError> {
        let manifest = open_manifest(directory, publisher)?;
        strongroom_enclave_loader::rewrap(directory, publisher, &self.keys.deposit, to)?;
        let (model, recipient) = (hex::encode(manifest.model_id()), hex::encode(to.fingerprint()));
        self.ledger.note(self.now(), Event::ModelRewrapped { model, recipient })?;
        Ok(manifest)
    }
}
