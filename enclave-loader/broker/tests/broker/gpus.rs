//! Machines with GPUs: the key goes to those whose devices hold, and the certificate names them.

use strongroom_attestation::{Architecture, UnixTime};
use strongroom_channel::attest::{Collection, CollectionKind, Record, indicator};
use strongroom_channel::devices::{self, DeviceAnswer};
use strongroom_channel::instance_certificate;
use strongroom_enclave_loader::release::{ReleaseRequest, ReleaseSession, interpret};
use strongroom_simulated_platform::{
    GpuTopology, NvidiaArchitecture, NvidiaEvidence, NvidiaFault, SimulatedGpuSet, SimulatedNvidia,
};

use crate::world::{Instance, NOW, World, gpu_vendor, policy};

const RANDOM: [u8; 32] = [0x77; 32];

pub(crate) fn set() -> SimulatedGpuSet {
    gpu_vendor().gpu_set(SimulatedNvidia::PUBLISHED_SET_SECRET, GpuTopology::Hopper(2), NOW).unwrap()
}

pub(crate) fn world_with(gpus: &SimulatedGpuSet, more: &str) -> World {
    let world = World::new();
    let rules = gpus.requirements().replace("[nvidia]", "[attestation.nvidia]");
    world.broker.activate_policy(&format!("{more}{}{rules}", policy())).unwrap();
    world
}

fn answers(evidence: &NvidiaEvidence) -> Vec<DeviceAnswer> {
    let answer = |device: &strongroom_simulated_platform::NvidiaDeviceEvidence| DeviceAnswer {
        architecture: match device.architecture {
            NvidiaArchitecture::Hopper => Architecture::Hopper,
            NvidiaArchitecture::Blackwell => Architecture::Blackwell,
            NvidiaArchitecture::Ls10 => Architecture::Ls10,
        },
        report: device.report.clone(),
        certificates: device.certificate_chain_pem().unwrap().into_bytes(),
    };
    evidence.devices.iter().map(answer).collect()
}

/// The challenge that follows from the instance's statement.
fn challenge(instance: &Instance) -> [u8; 32] {
    let statement = &instance.statement;
    let key = statement.signing_key.to_cose_key();
    devices::challenge(&statement.instance_id, statement.epoch, &statement.key_configs, &key, &RANDOM)
}

/// The request of an instance that shows these devices.
async fn prepare(
    world: &World,
    instance: &mut Instance,
    shown: &NvidiaEvidence,
    leave_out: Option<&str>,
) -> (ReleaseSession, ReleaseRequest) {
    let mut records = Collection::new(CollectionKind::Evidence);
    devices::insert(&mut records, &answers(shown), &RANDOM).unwrap();
    instance.statement.device_digest = records.device_digest();
    let (session, mut request) = world.prepare(instance, None).await;
    for (label, record) in records.iter().filter(|(label, _)| Some(*label) != leave_out) {
        request.evidence.insert(label, record.clone()).unwrap();
    }
    let manifests = shown.manifests.iter().map(|manifest| manifest.xml.clone().into_bytes());
    for (number, value) in manifests.chain(shown.ocsp_responses.iter().cloned()).enumerate() {
        let record = Record { media_type: "application/x".into(), value, indicator: indicator::ENDORSEMENTS };
        request.endorsements.insert(&format!("nvidia{number}"), record).unwrap();
    }
    (session, request)
}

#[tokio::test]
async fn the_certificate_names_the_devices_that_the_evidence_showed() {
    let gpus = set();
    let world = world_with(&gpus, "");
    let mut instance = Instance::new(&world);
    let evidence = gpus.evidence(&challenge(&instance)).unwrap();
    let (session, request) = prepare(&world, &mut instance, &evidence, None).await;
    let (status, answer) = world.post("release", request.to_json()).await;
    let released = session.finish(interpret(status, &answer).unwrap()).unwrap();
    let [leaf, issuer] = released.certificate.as_slice() else { panic!("two certificates") };
    let certificate = instance_certificate::verify(leaf, issuer, UnixTime::from_secs(NOW)).unwrap();
    let mut ueids: Vec<Vec<u8>> = gpus.gpus().iter().map(|gpu| gpu.ueid().into_bytes()).collect();
    ueids.sort();
    assert_eq!(certificate.claims().gpu_ueids, ueids);
}

#[tokio::test]
async fn a_machine_without_its_gpus_gets_no_key() {
    let gpus = set();
    let world = world_with(&gpus, "");
    let instance = Instance::new(&world);
    let (_, request) = world.prepare(&instance, None).await;
    assert_eq!(world.refusal_of("release", &request.to_json()).await.0, "PLATFORM_NOT_ALLOWED");
}

#[tokio::test]
async fn devices_that_do_not_hold_get_no_key() {
    let gpus = set();
    for (fault, code) in [
        (NvidiaFault::ForeignGpu, "PLATFORM_NOT_ALLOWED"),
        (NvidiaFault::MissingGpu, "PLATFORM_NOT_ALLOWED"),
        (NvidiaFault::WrongNonce, "NONCE"),
        (NvidiaFault::FlippedReport, "SIGNATURE"),
        (NvidiaFault::RevokedBrom, "REVOKED"),
        (NvidiaFault::DriverMeasurement, "MEASUREMENT"),
    ] {
        let world = world_with(&gpus, "");
        let mut instance = Instance::new(&world);
        let evidence = gpu_vendor().evidence_with_fault(&gpus, &challenge(&instance), fault, NOW).unwrap();
        let (_, request) = prepare(&world, &mut instance, &evidence, None).await;
        assert_eq!(world.refusal_of("release", &request.to_json()).await.0, code, "{}", fault.name());
    }
}

#[tokio::test]
async fn devices_of_another_epoch_or_that_the_statement_does_not_name_get_no_key() {
    let gpus = set();
    let world = world_with(&gpus, "");
    let mut instance = Instance::new(&world);
    let evidence = gpus.evidence(&challenge(&instance)).unwrap();
    let (_, request) = prepare(&world, &mut instance, &evidence, Some("gpu1")).await;
    assert_eq!(world.refusal_of("release", &request.to_json()).await.0, "REPORT_DATA", "one left out");

    let other = Instance::new(&world);
    let of_other = gpus.evidence(&challenge(&other)).unwrap();
    let (_, request) = prepare(&world, &mut instance, &of_other, None).await;
    assert_eq!(world.refusal_of("release", &request.to_json()).await.0, "NONCE", "another instance's devices");
}
