//! Faults in a device's chain: the vendor signs what it should not.

use super::{
    authority::Authority,
    device::Device,
    device_issuance::{DeviceIssuance, root_certificate},
    fault::NvidiaFault,
};
use crate::{
    certificate::{DAY, HOUR, Validity},
    error::SimulationError,
    keys::{
        Forger, Issuer,
        elliptic::{Curve, EllipticKey},
    },
};

/// A key that belongs to no vendor.
const STRANGER_LABEL: &[u8] = b"strongroom/simulated-platform/nvidia-stranger/v1\0";

/// Keys that should not sign what they sign, for faults.
pub(crate) struct Strangers {
    pub(crate) key: EllipticKey,
    /// The identity authority of another line, where it is about a device.
    other_identity: Option<(Authority, EllipticKey)>,
}

impl Strangers {
    /// For the chain of a device.
    pub(crate) fn of(device: &Device, seed: &[u8; 32]) -> Result<Self, SimulationError> {
        let other = Authority::Identity(device.architecture.of_another_identity());
        Ok(Self { other_identity: Some((other, other.key(seed)?)), ..Self::keys(seed)? })
    }

    /// For everything else.
    pub(crate) fn keys(seed: &[u8; 32]) -> Result<Self, SimulationError> {
        let key = EllipticKey::derive(Curve::P384, STRANGER_LABEL, seed)?;
        Ok(Self { key, other_identity: None })
    }

    /// The stranger's key, which says that it is another's.
    pub(crate) fn in_the_name_of<'a>(&'a self, claims: &'a dyn Issuer) -> Forger<'a> {
        Forger { key: &self.key, claims }
    }
}

/// One thing wrong in the chain that is about to be issued. `forger` signs in the provisioning
/// authority's name and is not it.
pub(crate) fn alter_device_issuance<'a>(
    fault: NvidiaFault,
    issuance: &mut DeviceIssuance<'a>,
    strangers: &'a Strangers,
    forger: &'a dyn Issuer,
    now: u64,
) -> Result<(), SimulationError> {
    match fault {
        NvidiaFault::ForeignRoot => {
            issuance.root = root_certificate(Authority::DeviceRoot, &strangers.key, Validity::around(now))?;
            issuance.identity_issuer = &strangers.key;
        }
        NvidiaFault::WrongBromIssuer => issuance.brom_issuer = forger,
        NvidiaFault::BromIsNoAuthority => issuance.brom.may_issue = false,
        NvidiaFault::OtherIdentity => {
            if let Some((authority, key)) = &strangers.other_identity {
                issuance.identity.authority = *authority;
                issuance.identity.key = key;
                issuance.provisioner.issuer = *authority;
                issuance.provisioner_issuer = key;
            }
        }
        NvidiaFault::LongLivedDevelopment => {
            let not_before = now.saturating_sub(HOUR);
            issuance.brom.validity = Validity { not_before, not_after: not_before.saturating_add(8 * DAY) };
        }
        NvidiaFault::NotYetValidBrom => issuance.brom.validity = Validity::future(now),
        NvidiaFault::LeafIsAuthority => issuance.leaf.may_issue = true,
        NvidiaFault::MissingDevelopmentExtension => issuance.leaf.says_development = false,
        NvidiaFault::UnknownCriticalExtension => issuance.leaf.unknown_critical_extension = true,
        NvidiaFault::ExpiredLeaf => issuance.leaf.validity = Validity::past(now),
        NvidiaFault::FwidMismatch => issuance.leaf.fwid[0] ^= 1,
        NvidiaFault::FwidMissingFromLeaf => issuance.leaf.has_fwid = false,
        _ => {}
    }
    Ok(())
}
