//! By what right models are served.

use strongroom_enclave_loader::release::Standing;

use super::Leased;

/// The right to serve what was released.
pub(crate) enum Tenure {
    /// A lease, which the tenant's broker can end.
    Leased(Box<Leased>),
    /// A KBS gave the keys and never asks for them back: until the server is stopped. No client takes
    /// this for a lease, since no certificate comes with it.
    Unleased,
}

impl Tenure {
    /// Asks what is due and takes what was answered; with `wait` at once, and to the end.
    pub(super) async fn talk(&mut self, wait: bool) {
        match self {
            Self::Leased(leased) => leased.talk(wait).await,
            Self::Unleased => {}
        }
    }

    /// Whether requests may be served.
    pub(super) fn standing(&self) -> Standing {
        match self {
            Self::Leased(leased) => leased.standing(),
            Self::Unleased => Standing::Serving,
        }
    }

    /// The policy that granted it, where one did.
    pub(super) fn policy_hash(&self) -> Option<[u8; 32]> {
        match self {
            Self::Leased(leased) => Some(leased.policy_hash()),
            Self::Unleased => None,
        }
    }
}
