//! Steps 9 to 11, and the simulation: one test per way to be refused, named for the defect.

use strongroom_attestation::{Code, HexBytes, State};

use super::scene::{NOW, Scene, device, earlier, later};
use crate::attest::{AttestRequest, AttestResponse};
use crate::cose::{SigningKey, media};
use crate::deployment::DeploymentId;
use crate::instance_certificate;
use crate::session::Seen;
use crate::statement;
use crate::trust_file::Environment;

// 9. The statement.

#[test]
fn another_deployments_statement() {
    let mut scene = Scene::new();
    scene.statement.deployment = DeploymentId::parse("other").unwrap();
    scene.claims.deployment = DeploymentId::parse("other").unwrap();
    scene.refused(Code::Deployment);
}

#[test]
fn a_question_about_another_deployment() {
    let mut scene = Scene::new();
    scene.request_body = AttestRequest::new([12; 32], DeploymentId::parse("other").unwrap()).to_bytes();
    scene.refused(Code::Deployment);
}

#[test]
fn an_expired_statement() {
    let mut scene = Scene::new();
    scene.statement.issued_at = NOW.as_secs() - 901;
    scene.refused(Code::Stale);
}

#[test]
fn a_statement_from_the_future() {
    let mut scene = Scene::new();
    scene.statement.issued_at = NOW.as_secs() + 121;
    scene.refused(Code::Stale);
}

#[test]
fn an_expired_trust_file() {
    let mut scene = Scene::new();
    scene.trust.not_after = earlier(1);
    scene.refused(Code::Stale);
}

#[test]
fn a_fork_of_one_epoch() {
    let mut scene = Scene::new();
    scene.seen = Some(Seen { instance_id: [3; 16], epoch: 5, statement_hash: [1; 32] });
    scene.refused(Code::Fork);
}

#[test]
fn a_lower_epoch() {
    let mut scene = Scene::new();
    let statement_hash = statement::hash(&scene.statement.encode());
    scene.seen = Some(Seen { instance_id: [3; 16], epoch: 6, statement_hash });
    scene.refused(Code::Fork);
}

#[test]
fn a_next_epoch_with_another_predecessor() {
    let mut scene = Scene::new();
    scene.seen = Some(Seen { instance_id: [3; 16], epoch: 4, statement_hash: [1; 32] });
    scene.refused(Code::Fork);
}

// 10. The instance certificate.

#[test]
fn no_instance_certificate() {
    let scene = Scene::new();
    let response = AttestResponse { instance_certificate: Vec::new(), ..scene.response() };
    scene.refuses(&response, Code::InstanceCert);
}

/// The attack of A2: the thief's own machine runs the same image with its own key, and shows
/// the certificate of a genuine instance.
#[test]
fn a_borrowed_instance_certificate() {
    let genuine = Scene::new();
    let mut thief = Scene::new();
    thief.instance_key = SigningKey::from_seed([66; 32]);
    thief.statement.signing_key = thief.instance_key.verifying_key();
    let response = AttestResponse { instance_certificate: vec![genuine.certificate()], ..thief.response() };
    let refusal = thief.refuses(&response, Code::InstanceCert);
    assert!(refusal.detail.contains("key"), "{refusal}");
}

/// Diversion: a second machine of the same make; the tenant certified the first.
#[test]
fn a_certificate_of_another_platform() {
    let mut scene = Scene::new();
    scene.device = device(2);
    scene.trust.policy.platform_identities = None;
    let refusal = scene.refused(Code::InstanceCert);
    assert!(refusal.detail.contains("platform"), "{refusal}");
}

#[test]
fn a_certificate_without_a_platform() {
    let mut scene = Scene::new();
    scene.claims.platform_identity = None;
    scene.refused(Code::InstanceCert);
    scene.claims.platform_identity = Some(vec![0; 64]);
    scene.refused(Code::InstanceCert);
}

/// A provider's loaded key proves no chip, so "hidden" equals "hidden" and still is refused.
#[test]
fn a_platform_that_hides_its_identity() {
    let mut scene = Scene::new();
    let measurement = *scene.device.measurement();
    scene.device = super::scene::vendor()
        .device_with_loaded_key([1; 32], "CN=cloud", measurement, [0; 32], NOW.as_secs())
        .unwrap();
    scene.trust.policy = strongroom_attestation::Policy::from_toml(&scene.device.strict_policy()).unwrap();
    scene.claims.platform_identity = None;
    let refusal = scene.refused(Code::InstanceCert);
    assert!(refusal.detail.contains("platform"), "{refusal}");
}

#[test]
fn a_certificate_of_another_measurement() {
    let mut scene = Scene::new();
    scene.claims.launch_measurement = vec![78; 48];
    scene.trust.policy.measurements.as_mut().unwrap().push(HexBytes([78; 48]));
    scene.refused(Code::InstanceCert);
}

#[test]
fn a_certificate_of_another_instance_or_deployment() {
    let mut scene = Scene::new();
    scene.claims.instance_id = [33; 16];
    scene.refused(Code::InstanceCert);
    let mut scene = Scene::new();
    scene.claims.deployment = DeploymentId::parse("other").unwrap();
    scene.refused(Code::InstanceCert);
}

#[test]
fn a_certificate_that_names_gpus_without_their_evidence() {
    let mut scene = Scene::new();
    scene.claims.gpu_ueids = vec![vec![1; 16]];
    scene.refused(Code::InstanceCert);
}

#[test]
fn a_certificate_of_another_ca() {
    let mut scene = Scene::new();
    scene.ca_key = SigningKey::from_seed([66; 32]);
    scene.ca =
        instance_certificate::make_ca(&scene.ca_key, "bank", Environment::Development, earlier(1000), later(100_000))
            .unwrap();
    scene.refused(Code::InstanceCert);
    // With the trust file's CA beside it, it does no better.
    let mut response = scene.response();
    response.instance_certificate[1] = scene.ca.clone();
    scene.refuses(&response, Code::InstanceCert);
}

#[test]
fn an_expired_certificate() {
    let mut scene = Scene::new();
    scene.certificate_times = (earlier(900), earlier(1));
    scene.refused(Code::InstanceCert);
}

#[test]
fn a_certificate_that_is_none() {
    let scene = Scene::new();
    scene
        .refuses(&AttestResponse { instance_certificate: vec![vec![0x30, 0]], ..scene.response() }, Code::InstanceCert);
}

/// Without a certificate the statement names the key, and its owner must still have signed.
#[test]
fn no_certificate_wanted_and_an_instance_signature_by_another_key() {
    let mut scene = Scene::new();
    scene.trust.instance_ca = None;
    let signed = scene.response();
    let other = SigningKey::from_seed([66; 32]);
    let payload = scene.instance_key.verifying_key().verify1(media::PROOF, &signed.instance_signature).unwrap();
    let response = AttestResponse { instance_signature: other.sign1(media::PROOF, &payload), ..signed };
    scene.refuses(&response, Code::InstanceCert);
}

/// A leaked attestation key can make the evidence, not the instance key's signature.
#[test]
fn an_instance_signature_by_another_key() {
    let mut scene = Scene::new();
    scene.instance_key = SigningKey::from_seed([66; 32]);
    scene.refused(Code::InstanceCert);
}

#[test]
fn an_instance_signature_over_something_else() {
    let scene = Scene::new();
    let mut response = scene.response();
    response.instance_signature = scene.instance_key.sign1(media::PROOF, b"something else");
    scene.refuses(&response, Code::InstanceCert);
}

#[test]
fn an_instance_signature_of_another_kind() {
    let scene = Scene::new();
    let mut response = scene.response();
    let payload = scene.instance_key.verifying_key().verify1(media::PROOF, &response.instance_signature).unwrap();
    response.instance_signature = scene.instance_key.sign1(media::HEARTBEAT, &payload);
    scene.refuses(&response, Code::InstanceCert);
}

// 11. The workload.

#[test]
fn another_configuration() {
    let mut scene = Scene::new();
    scene.statement.workload.config_digest = [44; 32];
    scene.refused(Code::Policy);
}

#[test]
fn a_model_that_is_not_listed() {
    let mut scene = Scene::new();
    scene.statement.workload.models.push([55; 32]);
    let refusal = scene.refused(Code::Policy);
    assert!(refusal.detail.contains(&hex::encode([55; 32])), "{refusal}");
}

/// The trust file moved on to version 3, whose id is another; the instance still serves 2.
#[test]
fn an_older_version_of_a_model() {
    let mut scene = Scene::new();
    scene.trust.models[0].model_id = [56; 32];
    scene.trust.models[0].least_version = 3;
    scene.refused(Code::Policy);
}

#[test]
fn no_model_at_all() {
    let mut scene = Scene::new();
    scene.statement.workload.models.clear();
    scene.refused(Code::Policy);
}

#[test]
fn a_plugin_that_is_not_listed() {
    let mut scene = Scene::new();
    scene.statement.workload.plugins[0].digest = [66; 32];
    scene.refused(Code::Policy);
}

#[test]
fn less_padding_than_the_trust_file_asks_for() {
    let mut scene = Scene::new();
    scene.statement.workload.padding = "off".to_owned();
    scene.refused(Code::Policy);
}

#[test]
fn a_padding_profile_that_nobody_knows() {
    let mut scene = Scene::new();
    scene.statement.workload.padding = "unheard-of".to_owned();
    scene.refused(Code::Policy);
    scene.trust.padding = "unheard-of".to_owned();
    scene.refused(Code::Policy);
}

#[test]
fn a_logging_profile_that_is_not_allowed() {
    let mut scene = Scene::new();
    scene.statement.workload.logging = "metadata".to_owned();
    scene.refused(Code::Policy);
}

#[test]
fn every_answer_about_the_workload_is_shown() {
    let mut scene = Scene::new();
    scene.statement.workload.logging = "metadata".to_owned();
    scene.statement.workload.config_digest = [44; 32];
    let refusal = scene.refused(Code::Policy);
    assert_eq!(refusal.checks.iter().filter(|check| check.state == State::Fail).count(), 2);
}

// Last.

#[test]
fn a_simulation_that_was_not_asked_for() {
    let mut scene = Scene::new();
    let shown = scene.appraise(&scene.response()).checks.len();
    scene.accept_simulated = false;
    let refusal = scene.refused(Code::Simulated);
    assert_eq!(refusal.checks.len(), shown, "all other checks can be read");
    assert_eq!(refusal.checks.iter().filter(|check| check.state == State::Fail).count(), 1);
}
