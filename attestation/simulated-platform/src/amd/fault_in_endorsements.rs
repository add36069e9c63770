//! Faults in the certificates and the revocation list: the vendor signs what it should not.

use super::{
    device::{KeyKind, SimulatedDevice, hardware_id},
    fault::Fault,
    issuance::{Intermediate, intermediate_certificate, root_certificate},
    keys::{AuthorityKey, device_key},
    leaf::{Leaf, Subject},
    vendor::{SimulatedAmd, revocation_list},
};
use crate::{certificate::Validity, der::Der, error::SimulationError};

/// The provider that the fault `loaded-key` signs for.
const CSP_ID: &str = "CN=development-csp.invalid";

/// The endorsements of `device`, issued anew at `now` with one thing wrong.
pub(crate) fn faulty_endorsements(
    vendor: &SimulatedAmd,
    device: &SimulatedDevice,
    fault: Fault,
    now: u64,
) -> Result<Vec<Der>, SimulationError> {
    let stranger = stranger()?;
    let mut leaf = device.leaf(Validity::around(now))?;
    alter_leaf(fault, &mut leaf, device, now)?;

    let issuer_key = match (fault, &leaf.subject) {
        (Fault::WrongIssuer, _) => &stranger,
        (_, Subject::Vcek { .. }) => &vendor.keys.ask,
        (_, Subject::Vlek { .. }) => &vendor.keys.asvk,
    };
    let certificate = leaf.sign(issuer_key)?;
    let issuer = issuer_certificate(vendor, &leaf.subject, fault, &stranger, now)?;
    let root = match fault {
        Fault::ForeignRoot => root_certificate(vendor.product, &stranger, Validity::around(now))?,
        _ => vendor.documents.ark.clone(),
    };
    let list = faulty_list(vendor, fault, &stranger, now)?;

    Ok(match fault {
        Fault::MissingVcek => vec![issuer, root, list],
        Fault::MissingAsk => vec![certificate, root, list],
        Fault::MissingCrl => vec![certificate, issuer, root],
        _ => vec![certificate, issuer, root, list],
    })
}

fn alter_leaf(fault: Fault, leaf: &mut Leaf, device: &SimulatedDevice, now: u64) -> Result<(), SimulationError> {
    let vcek_of = |id: Option<[u8; 64]>| Subject::Vcek { hardware_id: id.map(|id| hardware_id(device.product, &id)) };
    match fault {
        Fault::OldReportedTcb => leaf.tcb = device.tcb.older(),
        Fault::SplMismatch => leaf.tcb = device.tcb.newer(),
        Fault::HwidMismatch | Fault::OtherChip => {
            leaf.subject = vcek_of(Some(device.other_chip_id()));
        }
        Fault::MissingHwid => leaf.subject = vcek_of(None),
        Fault::ProductMismatch => {
            leaf.product_name = device.product.another().vcek_product_name().to_owned();
        }
        Fault::LoadedKey => {
            leaf.product_name = device.product.name().to_owned();
            leaf.subject = Subject::Vlek {
                csp_id: match &device.key_kind {
                    KeyKind::Vcek => CSP_ID.to_owned(),
                    KeyKind::Vlek { csp_id } => csp_id.clone(),
                },
            };
        }
        Fault::OtherDeviceKey => {
            leaf.public_key_info = device_key(&[0; 32])?.public_key_info()?;
        }
        Fault::ExpiredVcek => leaf.validity = Validity::past(now),
        Fault::NotYetValidVcek => leaf.validity = Validity::future(now),
        Fault::MissingDevelopmentExtension => leaf.says_development = false,
        Fault::UnknownCriticalExtension => leaf.unknown_critical_extension = true,
        _ => {}
    }
    Ok(())
}

fn issuer_certificate(
    vendor: &SimulatedAmd,
    subject: &Subject,
    fault: Fault,
    stranger: &AuthorityKey,
    now: u64,
) -> Result<Der, SimulationError> {
    let VendorAsk { kind, root } = match fault {
        Fault::ForeignRoot => VendorAsk { kind: Intermediate::Ask, root: stranger },
        Fault::AskIsNoAuthority => VendorAsk { kind: Intermediate::AskWithoutAuthority, root: &vendor.keys.ark },
        _ => {
            return Ok(match subject {
                Subject::Vcek { .. } => vendor.documents.ask.clone(),
                Subject::Vlek { .. } => vendor.documents.asvk.clone(),
            });
        }
    };
    intermediate_certificate(vendor.product, kind, &vendor.keys.ask, root, Validity::around(now))
}

/// An ASK certificate that has to be signed anew, and by whom.
struct VendorAsk<'a> {
    kind: Intermediate,
    root: &'a AuthorityKey,
}

fn faulty_list(vendor: &SimulatedAmd, fault: Fault, stranger: &AuthorityKey, now: u64) -> Result<Der, SimulationError> {
    let [_, ask_serial, _] = vendor.product.authority_serials();
    let (validity, revoked, key) = match fault {
        Fault::RevokedAsk => (Validity::around(now), vec![ask_serial.to_be_bytes().to_vec()], &vendor.keys.ark),
        Fault::ExpiredCrl => (Validity::past(now), Vec::new(), &vendor.keys.ark),
        Fault::CrlByOtherKey | Fault::ForeignRoot => (Validity::around(now), Vec::new(), stranger),
        _ => return Ok(vendor.documents.crl.clone()),
    };
    revocation_list(vendor.product, validity, revoked)?.sign(&key.issuing())
}

/// A key that belongs to no vendor: another development vendor's root, a forger.
fn stranger() -> Result<AuthorityKey, SimulationError> {
    AuthorityKey::from_pkcs8(include_bytes!("../../development-root/stranger-key.der"), "the published stranger's key")
}
