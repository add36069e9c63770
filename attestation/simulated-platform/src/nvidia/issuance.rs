//! Everything that the vendor issues for a set of devices: their chains, the manifests of what
//! they run, and what it says about revocation.

use super::{
    authority::Authority,
    device::{Device, Running},
    device_issuance::{DeviceAuthorities, DeviceIssuance},
    fault::NvidiaFault,
    fault_in_device_certificates::{Strangers, alter_device_issuance},
    fault_in_manifests::{alter_manifest_issuance, further_issue},
    fault_in_revocation::{alter_answer, revoked_by_list},
    manifest::NvidiaManifest,
    manifest_issuance::{ManifestAuthorities, ManifestIssuance, ManifestOf, Version},
    ocsp::{Answer, OcspDigest, Question, Responder, Status, fresh},
    vendor::SimulatedNvidia,
};
use crate::{
    certificate::Validity,
    crl::{ExtensionOrder, RevocationList},
    der::Der,
    error::SimulationError,
    keys::Issuer,
};

/// What was issued.
pub(crate) struct Issued {
    /// DER, one chain a device, each with the leaf first.
    pub(crate) chains: Vec<Vec<Der>>,
    pub(crate) manifests: Vec<NvidiaManifest>,
    /// The first is about the first device's boot ROM.
    pub(crate) ocsp_responses: Vec<Der>,
    pub(crate) revocation_lists: Vec<Der>,
}

/// What to issue, and when.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    pub(crate) ocsp_digest: OcspDigest,
    pub(crate) fault: Option<NvidiaFault>,
    pub(crate) now: u64,
}

/// Issues everything for those devices. A fault is in what belongs to the first of them.
pub(crate) fn issue(vendor: &SimulatedNvidia, devices: &[&Device], order: Order) -> Result<Issued, SimulationError> {
    let mut questions = Vec::new();
    let chains = issue_chains(vendor, devices, order, &mut questions)?;
    let manifests = issue_manifests(vendor, devices, order, &mut questions)?;
    let mut asked: Vec<Question> = Vec::new();
    for question in questions {
        if !asked.contains(&question) {
            asked.push(question);
        }
    }
    // With a fault, it is about the first device's boot ROM or the first manifest's signer.
    let mut ocsp_responses = Vec::new();
    for (number, question) in asked.into_iter().enumerate() {
        ocsp_responses.push(answer(vendor, question, number == 0, order)?);
    }
    Ok(Issued { chains, manifests, ocsp_responses, revocation_lists: issue_lists(vendor, devices, order)? })
}

fn issue_chains(
    vendor: &SimulatedNvidia,
    devices: &[&Device],
    order: Order,
    questions: &mut Vec<Question>,
) -> Result<Vec<Vec<Der>>, SimulationError> {
    let mut chains: Vec<Vec<Der>> = Vec::new();
    // Authorities have one certificate, however many devices are below them.
    let mut shared: Vec<(Authority, Der)> = Vec::new();
    for (number, device) in devices.iter().enumerate() {
        let keys = DeviceAuthorities::above(device, &vendor.seed)?;
        let strangers = Strangers::of(device, &vendor.seed)?;
        let forger = strangers.in_the_name_of(&keys.provisioner);
        let root = vendor.device_root_certificate_der().to_vec();
        let mut issuance = DeviceIssuance::sound(device, &keys, root, Validity::around(order.now));
        let fault = order.fault.filter(|_| number == 0);
        if let Some(fault) = fault {
            alter_device_issuance(fault, &mut issuance, &strangers, &forger, order.now)?;
        }
        questions.extend(issuance.questions());
        let authorities = [issuance.provisioner.authority, issuance.identity.authority];
        let mut chain = issuance.issue()?;
        if fault.is_none() {
            for (certificate, authority) in chain.iter_mut().skip(2).zip(authorities) {
                match shared.iter().find(|(of, _)| *of == authority) {
                    Some((_, earlier)) => certificate.clone_from(earlier),
                    None => shared.push((authority, certificate.clone())),
                }
            }
        }
        chains.push(chain);
    }
    Ok(chains)
}

fn issue_manifests(
    vendor: &SimulatedNvidia,
    devices: &[&Device],
    order: Order,
    questions: &mut Vec<Question>,
) -> Result<Vec<NvidiaManifest>, SimulationError> {
    let mut wanted: Vec<ManifestOf> = Vec::new();
    for manifest in devices.iter().flat_map(|device| manifests_of(device)) {
        if !wanted.contains(&manifest) {
            wanted.push(manifest);
        }
    }
    let mut manifests = Vec::new();
    for (number, manifest) in wanted.iter().enumerate() {
        let keys = ManifestAuthorities::of(manifest, &vendor.seed)?;
        let strangers = Strangers::keys(&vendor.seed)?;
        let forger = strangers.in_the_name_of(&keys.intermediate);
        let root = vendor.manifest_root_certificate_der().to_vec();
        let mut issuance = ManifestIssuance::sound(manifest, &keys, root, Validity::around(order.now));
        if let Some(fault) = order.fault {
            alter_manifest_issuance(fault, number, &wanted, &mut issuance, &strangers, &forger, order.now)?;
        }
        let mut of_this = issuance.questions();
        if order.fault == Some(NvidiaFault::RevokedManifestSigner) && number == 0 {
            // It is the one that is answered otherwise, and so comes first.
            questions.insert(0, of_this.remove(0));
        }
        questions.extend(of_this);
        manifests.push(issuance.issue()?);
        if order.fault.is_some_and(|fault| further_issue(fault, number, &mut issuance)) {
            manifests.push(issuance.issue()?);
        }
    }
    Ok(manifests)
}

/// What a verifier compares the device with.
fn manifests_of(device: &Device) -> Vec<ManifestOf> {
    let of = |version| ManifestOf { architecture: device.architecture, version };
    match &device.running {
        Running::Gpu { firmware, .. } => {
            vec![of(Version::Driver(firmware.driver.clone())), of(Version::Bios(firmware.vbios))]
        }
        Running::Switch { bios, .. } => vec![of(Version::Bios(*bios))],
    }
}

fn answer(vendor: &SimulatedNvidia, question: Question, is_first: bool, order: Order) -> Result<Der, SimulationError> {
    let Order { ocsp_digest, fault, now } = order;
    let issuer = question.issuer;
    let (issuer_key, responder_key) = (issuer.key(&vendor.seed)?, issuer.responder_key(&vendor.seed)?);
    let above_key = issuer.issuer().key(&vendor.seed)?;
    let strangers = Strangers::keys(&vendor.seed)?;
    let forger = strangers.in_the_name_of(&issuer_key);
    let mut answer = Answer {
        question,
        issuer_key: &issuer_key,
        digest: ocsp_digest,
        status: Status::Good,
        validity: fresh(now),
        responder: Responder {
            key: &responder_key,
            delegate_of: issuer,
            issuer: &issuer_key,
            validity: Validity::around(now),
            may_answer: true,
            says_development: true,
        },
        signer: &responder_key,
    };
    if let Some(fault) = fault.filter(|_| is_first) {
        alter_answer(fault, &mut answer, &forger, &above_key, &strangers, now);
    } else if fault == Some(NvidiaFault::RevokedProvisioner) && matches!(issuer, Authority::Identity(_)) {
        answer.status = Status::Revoked(super::ocsp::KEY_COMPROMISE);
    }
    answer.sign()
}

/// The lists of the roots and identity authorities above the devices and their manifests.
fn issue_lists(vendor: &SimulatedNvidia, devices: &[&Device], order: Order) -> Result<Vec<Der>, SimulationError> {
    let mut authorities = vec![Authority::DeviceRoot, Authority::ManifestRoot];
    for device in devices {
        let identity = Authority::Provisioner(device.architecture).issuer();
        if !authorities.contains(&identity) {
            authorities.push(identity);
        }
    }
    let mut lists = Vec::new();
    for authority in authorities {
        let key = authority.key(&vendor.seed)?;
        let revoked = match devices.first() {
            Some(device) => revoked_by_list(order.fault, authority, device, &vendor.seed)?,
            None => Vec::new(),
        };
        lists.push(list(authority, &key, revoked, order.now)?);
    }
    Ok(lists)
}

fn list(authority: Authority, key: &dyn Issuer, revoked: Vec<Vec<u8>>, now: u64) -> Result<Der, SimulationError> {
    RevocationList {
        issuer: authority.name()?,
        validity: Validity::around(now),
        revoked,
        gives_reasons: true,
        order: ExtensionOrder::AuthorityFirst,
    }
    .sign(key)
}
