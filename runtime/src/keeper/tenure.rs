//! By what right models are served.

use strongroom_enclave_loader::release::{End, LeaseId, ReleaseError, Standing};

use super::Leased;
use crate::release::Grant;

/// The right to serve what was released.
pub(crate) enum Tenure {
    /// Leases, which the tenant's broker can end.
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

    /// Takes another grant, and says under which lease its models are served.
    pub(super) fn join(&mut self, grant: Option<Grant>) -> Result<Option<LeaseId>, ReleaseError> {
        match (self, grant) {
            (Self::Leased(leased), Some(grant)) => {
                let id = grant.lease.lease_id;
                leased.join(grant)?;
                Ok(Some(id))
            }
            (Self::Unleased, None) => Ok(None),
            _ => Err(ReleaseError::Misuse("a lease and none do not go together")),
        }
    }

    /// Lets a lease run out that nothing is served under.
    pub(super) fn let_run_out(&mut self, lease: Option<LeaseId>) {
        if let (Self::Leased(leased), Some(id)) = (self, lease) {
            leased.let_run_out(id);
        }
    }

    /// Whether requests may be served under this lease.
    pub(super) fn standing(&self, lease: Option<LeaseId>) -> Standing {
        match (self, lease) {
            (Self::Leased(leased), Some(id)) => leased.standing(id),
            (Self::Unleased, None) => Standing::Serving,
            _ => Standing::Ended(End::Expired),
        }
    }

    /// The policy that granted it, where one did.
    pub(super) fn policy_hash(&self, lease: Option<LeaseId>) -> Option<[u8; 32]> {
        match self {
            Self::Leased(leased) => leased.policy_hash(lease?),
            Self::Unleased => None,
        }
    }
}
