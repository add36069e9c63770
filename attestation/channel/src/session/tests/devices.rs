//! Step 8 with GPUs: accepted as they are, and refused where one is missing, foreign, stale or not named.

use std::sync::OnceLock;

use strongroom_attestation::{Architecture, Code, Policy};
use strongroom_simulated_platform::{
    GpuTopology, NvidiaArchitecture, NvidiaEvidence, NvidiaFault, SimulatedGpuSet, SimulatedNvidia,
};

use super::scene::{NOW, Scene, record};
use crate::attest::{AttestResponse, Collection, CollectionKind, indicator};
use crate::devices::{self, DeviceAnswer};
use crate::statement::EpochStatement;

const RANDOM: [u8; 32] = [0x77; 32];

fn vendor() -> &'static SimulatedNvidia {
    static VENDOR: OnceLock<SimulatedNvidia> = OnceLock::new();
    VENDOR.get_or_init(|| SimulatedNvidia::published(NOW.as_secs()).unwrap())
}

fn set() -> SimulatedGpuSet {
    vendor().gpu_set([5; 32], GpuTopology::Hopper(2), NOW.as_secs()).unwrap()
}

fn challenge(statement: &EpochStatement) -> [u8; 32] {
    let key = statement.signing_key.to_cose_key();
    devices::challenge(&statement.instance_id, statement.epoch, &statement.key_configs, &key, &RANDOM)
}

fn records(evidence: &NvidiaEvidence, random: &[u8; 32]) -> Collection {
    let answers: Vec<DeviceAnswer> = evidence
        .devices
        .iter()
        .map(|device| DeviceAnswer {
            architecture: match device.architecture {
                NvidiaArchitecture::Hopper => Architecture::Hopper,
                NvidiaArchitecture::Blackwell => Architecture::Blackwell,
                NvidiaArchitecture::Ls10 => Architecture::Ls10,
            },
            report: device.report.clone(),
            certificates: device.certificate_chain_pem().unwrap().into_bytes(),
        })
        .collect();
    let mut records = Collection::new(CollectionKind::Evidence);
    devices::insert(&mut records, &answers, random).unwrap();
    records
}

/// An instance on a machine with two GPUs, which the tenant knows.
fn scene() -> Scene {
    let (mut scene, gpus) = (Scene::new(), set());
    let roots = [vendor().device_root_certificate_der(), vendor().manifest_root_certificate_der()];
    scene.trust.development_anchors.extend(roots.map(<[u8]>::to_vec));
    let policy = format!("{}{}", scene.device.strict_policy(), gpus.requirements());
    scene.trust.policy = Policy::from_toml(&policy).unwrap();
    scene.claims.gpu_ueids = gpus.gpus().iter().map(|gpu| gpu.ueid().into_bytes()).collect();
    scene.claims.gpu_ueids.sort();
    scene
}

/// The instance's answer with these devices, which its statement names.
fn response(scene: &mut Scene, evidence: &NvidiaEvidence, records: &Collection) -> AttestResponse {
    scene.statement.device_digest = records.device_digest();
    let mut response = scene.response();
    for (label, record) in records.iter() {
        response.evidence.insert(label, record.clone()).unwrap();
    }
    let manifests = evidence.manifests.iter().map(|manifest| manifest.xml.clone().into_bytes());
    for (number, value) in manifests.chain(evidence.ocsp_responses.clone()).enumerate() {
        let endorsement = record("application/x", value, indicator::ENDORSEMENTS);
        response.endorsements.insert(&format!("nvidia{number}"), endorsement).unwrap();
    }
    response
}

fn honest(scene: &mut Scene) -> AttestResponse {
    let evidence = set().evidence(&challenge(&scene.statement)).unwrap();
    response(scene, &evidence, &records(&evidence, &RANDOM))
}

#[test]
fn gpus_join_the_verdict_and_bound_it_in_time() {
    let mut scene = scene();
    let response = honest(&mut scene);
    let session = scene.appraise(&response).result.unwrap();
    let devices = session.devices().unwrap();
    assert_eq!(devices.devices.len(), 2);
    assert_eq!(devices.nonce.0, challenge(&scene.statement));
    assert!(session.valid_until() <= devices.valid_until);
    assert!(devices.co_location.starts_with("not proven"));
}

#[test]
fn a_gpu_missing_extra_repeated_or_exchanged_on_the_way() {
    let mut scene = scene();
    let genuine = honest(&mut scene);
    let without = |label: &str| {
        let mut changed = genuine.clone();
        changed.evidence = Collection::new(CollectionKind::Evidence);
        for (name, record) in genuine.evidence.iter().filter(|(name, _)| *name != label) {
            changed.evidence.insert(name, record.clone()).unwrap();
        }
        changed
    };
    scene.refuses(&without("gpu1"), Code::ReportData);
    let mut extra = genuine.clone();
    extra.evidence.insert("gpu2", genuine.evidence.get("gpu0").unwrap().clone()).unwrap();
    scene.refuses(&extra, Code::ReportData);
    let mut exchanged = without("gpu1");
    exchanged.evidence.insert("gpu1", genuine.evidence.get("gpu0").unwrap().clone()).unwrap();
    scene.refuses(&exchanged, Code::ReportData);
}

#[test]
fn an_instance_that_names_fewer_or_other_devices_than_the_tenant_wants() {
    // None at all, and it says so.
    let mut none = scene();
    none.claims.gpu_ueids.clear();
    none.refused(Code::PlatformNotAllowed);
    for (fault, code) in [
        (NvidiaFault::MissingGpu, Code::PlatformNotAllowed),
        (NvidiaFault::ExtraGpu, Code::PlatformNotAllowed),
        (NvidiaFault::ForeignGpu, Code::PlatformNotAllowed),
        (NvidiaFault::WrongNonce, Code::Nonce),
        (NvidiaFault::FlippedReport, Code::Signature),
        (NvidiaFault::RevokedBrom, Code::Revoked),
        (NvidiaFault::StaleOcsp, Code::CollateralExpired),
        (NvidiaFault::DriverMeasurement, Code::Measurement),
    ] {
        let (mut scene, gpus) = (scene(), set());
        let nonce = challenge(&scene.statement);
        let evidence = vendor().evidence_with_fault(&gpus, &nonce, fault, NOW.as_secs()).unwrap();
        let response = response(&mut scene, &evidence, &records(&evidence, &RANDOM));
        scene.refuses(&response, code);
    }
}

#[test]
fn one_record_twice_under_two_names_is_no_second_device() {
    let mut scene = scene();
    let evidence = set().evidence(&challenge(&scene.statement)).unwrap();
    let genuine = records(&evidence, &RANDOM);
    let mut twice = Collection::new(CollectionKind::Evidence);
    for label in ["gpu0", "gpu1"] {
        twice.insert(label, genuine.get("gpu0").unwrap().clone()).unwrap();
    }
    let response = response(&mut scene, &evidence, &twice);
    scene.refuses(&response, Code::Parse);
}

#[test]
fn devices_of_another_epoch_instance_key_or_collection() {
    let change: [fn(&mut EpochStatement); 3] = [
        |statement| statement.epoch += 1,
        |statement| statement.instance_id[0] ^= 1,
        |statement| statement.key_configs[0] ^= 0x80,
    ];
    for change in change {
        let mut scene = scene();
        let mut other = scene.statement.clone();
        change(&mut other);
        let evidence = set().evidence(&challenge(&other)).unwrap();
        let response = response(&mut scene, &evidence, &records(&evidence, &RANDOM));
        scene.refuses(&response, Code::Nonce);
    }
    let mut scene = scene();
    let evidence = set().evidence(&challenge(&scene.statement)).unwrap();
    let response = response(&mut scene, &evidence, &records(&evidence, &[0x78; 32]));
    scene.refuses(&response, Code::Nonce);
}

#[test]
fn a_certificate_that_does_not_name_the_devices() {
    for ueids in [Vec::new(), vec![b"1".to_vec()]] {
        let mut scene = scene();
        scene.claims.gpu_ueids = ueids;
        let response = honest(&mut scene);
        scene.refuses(&response, Code::InstanceCert);
    }
}

#[test]
fn devices_without_the_roots_of_their_vendor() {
    let mut scene = scene();
    scene.trust.development_anchors.truncate(1);
    let response = honest(&mut scene);
    scene.refuses(&response, Code::Chain);
}

#[test]
fn the_challenge_is_as_specified() {
    use sha2::{Digest as _, Sha256};
    let parts: [&[u8]; 6] = [
        b"strongroom/gpu-nonce/v1\0",
        &[3; 16],
        &5u64.to_be_bytes(),
        &Sha256::digest(b"configs"),
        &Sha256::digest(b"key"),
        &[9; 32],
    ];
    let wanted: [u8; 32] = Sha256::digest(parts.concat()).into();
    assert_eq!(devices::challenge(&[3; 16], 5, b"configs", b"key", &[9; 32]), wanted);
}
