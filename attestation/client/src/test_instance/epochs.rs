//! The instance's epochs: how one follows another, and how it should not.

use std::sync::atomic::Ordering;

use strongroom_channel::ohttp::KeyPair;
use strongroom_channel::statement;

use super::Instance;
use crate::clock::Clock as _;

impl Instance {
    /// A new epoch with new keys; the old key is gone.
    pub(crate) fn next_epoch(&self) {
        let mut epoch = self.epoch();
        let previous = statement::hash(&epoch.statement.encode());
        let key = KeyPair::generate(epoch.key.key_id() + 1);
        epoch.statement.epoch += 1;
        epoch.statement.issued_at = self.0.clock.now().as_secs();
        epoch.statement.previous = previous;
        epoch.statement.key_configs = key.config_list();
        epoch.key = key;
    }

    /// The same, as soon as evidence for the present epoch has been given once more.
    pub(crate) fn next_epoch_once_attested(&self) {
        self.0.epoch_ends.store(true, Ordering::SeqCst);
    }

    /// Back to the first epoch's number, with other content: a clone, or a snapshot restored.
    pub(crate) fn fork(&self) {
        let mut epoch = self.epoch();
        epoch.statement.issued_at += 1;
    }
}
