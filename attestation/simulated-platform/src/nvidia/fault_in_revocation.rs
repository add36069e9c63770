//! Faults in what is said about revocation.

use super::{
    authority::Authority,
    device::Device,
    fault::NvidiaFault,
    fault_in_device_certificates::Strangers,
    ocsp::{Answer, HOLD, KEY_COMPROMISE, Status, early, stale},
};
use crate::{
    error::SimulationError,
    keys::{Issuer, elliptic::EllipticKey},
};

/// One thing wrong in the answer that is about to be given. `forger` signs in the issuer's name
/// and is not it; `above` is the authority over the issuer.
pub(crate) fn alter_answer<'a>(
    fault: NvidiaFault,
    answer: &mut Answer<'a>,
    forger: &'a dyn Issuer,
    above: &'a EllipticKey,
    strangers: &'a Strangers,
    now: u64,
) {
    match fault {
        NvidiaFault::RevokedBrom | NvidiaFault::RevokedManifestSigner => {
            answer.status = Status::Revoked(KEY_COMPROMISE);
        }
        NvidiaFault::BromOnHold => answer.status = Status::Revoked(HOLD),
        NvidiaFault::UnknownBrom => answer.status = Status::Unknown,
        NvidiaFault::StaleOcsp => answer.validity = stale(now),
        NvidiaFault::FutureOcsp => answer.validity = early(now),
        NvidiaFault::OcspOfAnotherCertificate => {
            if let Some(last) = answer.question.serial.last_mut() {
                *last ^= 1;
            }
        }
        NvidiaFault::OcspByOtherKey => answer.signer = &strangers.key,
        NvidiaFault::ForeignResponder => answer.responder.issuer = forger,
        NvidiaFault::ResponderOfAnotherAuthority => {
            answer.responder.delegate_of = answer.question.issuer.issuer();
            answer.responder.issuer = above;
        }
        NvidiaFault::ResponderWithoutPurpose => answer.responder.may_answer = false,
        NvidiaFault::UnmarkedResponder => answer.responder.says_development = false,
        _ => {}
    }
}

/// The serial numbers on that authority's list.
pub(crate) fn revoked_by_list(
    fault: Option<NvidiaFault>,
    authority: Authority,
    device: &Device,
    seed: &[u8; 32],
) -> Result<Vec<Vec<u8>>, SimulationError> {
    if fault != Some(NvidiaFault::RevokedByList) || authority != Authority::DeviceRoot {
        return Ok(Vec::new());
    }
    let identity = Authority::Provisioner(device.architecture).issuer();
    Ok(vec![identity.serial(&identity.key(seed)?)])
}
