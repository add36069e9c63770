//! Steps 1 to 8: one test per way to be refused, named for the defect.

use strongroom_attestation::Code;
use strongroom_simulated_platform::Fault;

use super::scene::{Scene, device, record};
use crate::attest::{AttestRequest, AttestResponse, Collection, CollectionKind, indicator};
use crate::binding::{Class, Purpose};
use crate::cose::SigningKey;
use crate::deployment::DeploymentId;
use crate::freshness;
use crate::trust_file::Environment;

/// The response with other evidence for the CPU.
fn with_cpu_evidence(response: &AttestResponse, value: Vec<u8>, media_type: &str, bits: u8) -> AttestResponse {
    let mut evidence = Collection::new(CollectionKind::Evidence);
    evidence.insert("cpu0", record(media_type, value, bits)).unwrap();
    AttestResponse { evidence, ..response.clone() }
}

// 1. Parse.

#[test]
fn not_json() {
    let refusal = Scene::new().appraise_bytes(b"<html>").result.unwrap_err();
    assert_eq!(refusal.code, Code::Parse);
}

#[test]
fn a_request_that_was_never_one() {
    let mut scene = Scene::new();
    let response = scene.response();
    scene.request_body = b"{}".to_vec();
    scene.refuses(&response, Code::Parse);
}

#[test]
fn a_statement_that_is_none() {
    let scene = Scene::new();
    let mut response = scene.response();
    response.statement = vec![0xa0];
    scene.refuses(&response, Code::Parse);
}

#[test]
fn no_evidence_of_the_cpu() {
    let scene = Scene::new();
    let response = AttestResponse { evidence: Collection::new(CollectionKind::Evidence), ..scene.response() };
    scene.refuses(&response, Code::Parse);
}

#[test]
fn evidence_under_another_media_type_or_indicator() {
    let scene = Scene::new();
    let response = scene.response();
    let report = response.evidence.get("cpu0").unwrap().value.clone();
    scene.refuses(
        &with_cpu_evidence(&response, report.clone(), "application/octet-stream", indicator::EVIDENCE),
        Code::Parse,
    );
    let media_type = "application/vnd.strongroom.snp-report";
    scene.refuses(&with_cpu_evidence(&response, report, media_type, indicator::ENDORSEMENTS), Code::Parse);
}

#[test]
fn endorsements_that_are_none() {
    let scene = Scene::new();
    let mut response = scene.response();
    response
        .endorsements
        .insert("junk", record("application/pkix-cert", vec![1, 2, 3], indicator::ENDORSEMENTS))
        .unwrap();
    scene.refuses(&response, Code::Parse);
}

#[test]
fn key_configurations_that_are_none() {
    let mut scene = Scene::new();
    scene.statement.key_configs = vec![0, 5, 1];
    scene.refused(Code::Parse);
}

// 2. Downgrade.

#[test]
fn no_common_suite() {
    let mut scene = Scene::new();
    scene.suites.clear();
    scene.refused(Code::Downgrade);
}

#[test]
fn no_key_configuration_at_all() {
    let mut scene = Scene::new();
    scene.statement.key_configs.clear();
    assert!(matches!(scene.appraise(&scene.response()).result.unwrap_err().code, Code::Downgrade | Code::Parse));
}

#[test]
fn a_profile_that_was_not_asked_for() {
    let mut scene = Scene::new();
    let mut request = AttestRequest::new([12; 32], DeploymentId::parse("bank-prod").unwrap());
    request.profiles = vec!["tls".to_owned()];
    scene.request_body = request.to_bytes();
    scene.refused(Code::Downgrade);
}

// 3. Nonce.

#[test]
fn a_proof_of_the_wrong_length() {
    let scene = Scene::new();
    let mut response = scene.response();
    response.proof.pop();
    scene.refuses(&response, Code::Nonce);
}

#[test]
fn a_leaf_index_outside_the_tree() {
    let scene = Scene::new();
    let mut response = scene.response();
    response.leaf_index = 3;
    scene.refuses(&response, Code::Nonce);
}

#[test]
fn no_tree_or_too_large_a_tree() {
    let scene = Scene::new();
    for tree_size in [0, freshness::MAX_LEAVES + 1, u64::MAX] {
        scene.refuses(&AttestResponse { tree_size, ..scene.response() }, Code::Nonce);
    }
}

// 3. A proof of the right shape that leads to another root than the one signed.

#[test]
fn the_answer_to_another_nonce() {
    let mut scene = Scene::new();
    let response = scene.response();
    scene.request_body = AttestRequest::new([13; 32], DeploymentId::parse("bank-prod").unwrap()).to_bytes();
    scene.refuses(&response, Code::Nonce);
}

#[test]
fn the_answer_to_another_question_with_the_same_nonce() {
    let mut scene = Scene::new();
    let response = scene.response();
    let mut request = AttestRequest::new([12; 32], DeploymentId::parse("bank-prod").unwrap());
    request.suites.pop();
    scene.request_body = request.to_bytes();
    scene.refuses(&response, Code::Nonce);
}

#[test]
fn a_false_hash_in_the_proof() {
    let scene = Scene::new();
    let mut response = scene.response();
    response.proof[0][0] ^= 1;
    scene.refuses(&response, Code::Nonce);
}

#[test]
fn another_index_or_tree_size_of_the_same_shape() {
    let scene = Scene::new();
    scene.refuses(&AttestResponse { leaf_index: 0, ..scene.response() }, Code::Nonce);
    scene.refuses(&AttestResponse { tree_size: 4, ..scene.response() }, Code::Nonce);
}

#[test]
fn evidence_made_for_another_purpose() {
    for purpose in [Purpose::Release, Purpose::Renewal] {
        let mut scene = Scene::new();
        scene.purpose = purpose;
        scene.refused(Code::ReportData);
    }
}

#[test]
fn evidence_that_claims_the_other_class() {
    let mut scene = Scene::new();
    scene.class = Class::Hardware;
    scene.refused(Code::ReportData);
}

#[test]
fn a_statement_with_another_encryption_key_swapped_in() {
    let scene = Scene::new();
    let mut thief = Scene::new();
    thief.statement.key_configs = crate::ohttp::KeyPair::generate(1).config_list();
    let response = AttestResponse { statement: thief.statement.encode(), ..scene.response() };
    scene.refuses(&response, Code::ReportData);
}

#[test]
fn a_statement_with_another_signing_key_swapped_in() {
    let scene = Scene::new();
    let mut thief = Scene::new();
    thief.statement.signing_key = SigningKey::from_seed([66; 32]).verifying_key();
    let response = AttestResponse { statement: thief.statement.encode(), ..scene.response() };
    scene.refuses(&response, Code::ReportData);
}

// 4, 6, 7. The platform: the catalogue's own tests are in the attestation crate; these show
// that its codes come through.

#[test]
fn faults_of_the_evidence_keep_their_codes() {
    for fault in Fault::ALL.iter().copied().filter(|fault| !fault.needs_vendor()) {
        let scene = Scene::new();
        let response = scene.response();
        let report = response.evidence.get("cpu0").unwrap().value.clone();
        let quoted: [u8; 64] = report[0x50..0x90].try_into().unwrap();
        let faulty = scene.device.report_with_fault(&quoted, fault).unwrap();
        let mut response =
            with_cpu_evidence(&response, faulty.report, "application/vnd.strongroom.snp-report", indicator::EVIDENCE);
        response.endorsements = Collection::new(CollectionKind::Endorsements);
        for (n, endorsement) in faulty.endorsements.into_iter().enumerate() {
            response
                .endorsements
                .insert(&format!("e{n}"), record("application/pkix-cert", endorsement, indicator::ENDORSEMENTS))
                .unwrap();
        }
        let refusal = scene.appraise(&response).result.unwrap_err();
        assert_eq!(refusal.code.as_str(), fault.expected_code(), "{}: {refusal}", fault.name());
    }
}

#[test]
fn evidence_without_endorsements() {
    let scene = Scene::new();
    let response = AttestResponse { endorsements: Collection::new(CollectionKind::Endorsements), ..scene.response() };
    scene.refuses(&response, Code::NoEndorsement);
}

#[test]
fn a_measurement_that_is_not_in_the_trust_file() {
    let mut scene = Scene::new();
    scene.device = scene.device.with_measurement([77; 48]);
    scene.claims.launch_measurement = vec![77; 48];
    scene.refused(Code::Measurement);
}

#[test]
fn a_trust_file_that_pins_no_measurement() {
    let mut scene = Scene::new();
    scene.trust.policy.measurements = None;
    scene.refused(Code::Measurement);
    scene.trust.policy.measurements = Some(Vec::new());
    scene.refused(Code::Measurement);
}

#[test]
fn a_platform_that_is_not_on_the_list() {
    let mut scene = Scene::new();
    scene.device = device(2);
    scene.claims.platform_identity = Some(scene.device.chip_id().to_vec());
    scene.refused(Code::PlatformNotAllowed);
}

#[test]
fn simulated_evidence_under_a_production_trust_file() {
    let mut scene = Scene::new();
    scene.trust.environment = Environment::Production;
    scene.trust.development_anchors.clear();
    scene.refused(Code::Simulated);
    scene.class = Class::Hardware;
    scene.refused(Code::Simulated);
}

#[test]
fn a_development_trust_file_without_a_root() {
    let mut scene = Scene::new();
    scene.trust.development_anchors.clear();
    scene.refused(Code::Chain);
}

// 8. Devices.

#[test]
fn device_evidence_that_the_statement_does_not_name() {
    let scene = Scene::new();
    let mut response = scene.response();
    response
        .evidence
        .insert("gpu0", record("application/vnd.strongroom.nv-spdm", vec![1], indicator::EVIDENCE))
        .unwrap();
    scene.refuses(&response, Code::ReportData);
}

#[test]
fn device_evidence_left_out() {
    let mut scene = Scene::new();
    scene.statement.device_digest = crate::device_digest::digest([("gpu0", "application/x", [1].as_slice())]);
    scene.refused(Code::ReportData);
}
