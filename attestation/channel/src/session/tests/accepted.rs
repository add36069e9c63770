//! What an accepted response gives, and when it ends.

use strongroom_attestation::{Code, State, UnixTime};

use super::scene::{NOW, Scene, key_configs, later};
use crate::attest::AttestResponse;
use crate::ohttp::{KeyConfig, Suite};
use crate::session::{MAX_AGE, Seen, SessionVerdict, VerifiedSession};
use crate::statement;

#[track_caller]
fn accepted(scene: &Scene) -> VerifiedSession {
    let appraisal = scene.appraise(&scene.response());
    assert!(appraisal.checks.iter().all(|check| check.state != State::Fail));
    appraisal.result.expect("accepted")
}

#[test]
fn a_valid_response_gives_the_session_it_describes() {
    let scene = Scene::new();
    let session = accepted(&scene);
    assert_eq!(session.statement(), &scene.statement);
    assert_eq!(session.statement_hash(), &statement::hash(&scene.statement.encode()));
    assert_eq!(session.instance_key(), &scene.instance_key.verifying_key());
    assert_eq!(vec![session.key_config().clone()], KeyConfig::parse_list(&key_configs()).unwrap());
    assert_eq!(session.suite(), Suite::Aes256Gcm);
    assert_eq!(session.instance_time(), NOW);
    assert!(session.is_simulated());
    assert!(matches!(session.verdict(), SessionVerdict::Simulated(_)));
    assert_eq!(session.verdict().claims().launch_measurement(), scene.device.measurement());
}

/// Where a KBS released the keys: no certificate and no lease, and the checks say what that leaves open.
#[test]
fn a_trust_file_without_a_ca_needs_neither_certificate_nor_lease_and_says_so() {
    let mut scene = Scene::new();
    scene.trust.instance_ca = None;
    scene.statement.workload.lease_id = None;
    let response = AttestResponse { instance_certificate: Vec::new(), ..scene.response() };
    let appraisal = scene.appraise(&response);
    let skipped = |title: &str| {
        let check = appraisal.checks.iter().find(|check| check.title == title).unwrap();
        assert_eq!(check.state, State::Skip, "{title}");
        check.found.clone()
    };
    assert!(skipped("instance certificate").contains("diversion to another machine is not prevented"));
    assert!(skipped("lease").contains("not revocable"));
    let session = appraisal.result.unwrap();
    assert!(!session.is_certified());
    assert!(accepted(&Scene::new()).is_certified());
}

#[test]
fn every_step_leaves_a_check_to_read() {
    let scene = Scene::new();
    let appraisal = scene.appraise(&scene.response());
    let codes = [
        Code::Parse,
        Code::Downgrade,
        Code::Nonce,
        Code::ReportData,
        Code::Measurement,
        Code::Deployment,
        Code::Stale,
        Code::Fork,
        Code::InstanceCert,
        Code::Policy,
        Code::Transparency,
        Code::Simulated,
    ];
    for code in codes {
        assert!(appraisal.checks.iter().any(|check| check.code == code), "{code}");
    }
    assert!(
        appraisal
            .checks
            .iter()
            .all(|check| !check.title.is_empty() && !check.wanted.is_empty() && !check.found.is_empty())
    );
}

#[test]
fn the_clients_preferred_suite_is_chosen() {
    let mut scene = Scene::new();
    scene.suites = vec![Suite::Aes128Gcm, Suite::Aes256Gcm];
    assert_eq!(accepted(&scene).suite(), Suite::Aes128Gcm);
}

#[test]
fn the_verdict_ends_with_its_greatest_age() {
    assert_eq!(accepted(&Scene::new()).valid_until(), later(MAX_AGE));
}

#[test]
fn the_verdict_ends_with_the_statement() {
    let mut scene = Scene::new();
    scene.statement.lifetime = 100;
    assert_eq!(accepted(&scene).valid_until(), UnixTime::from_secs(scene.statement.issued_at + 100));
}

#[test]
fn the_verdict_ends_with_the_certificate() {
    let mut scene = Scene::new();
    scene.certificate_times.1 = later(50);
    assert_eq!(accepted(&scene).valid_until(), later(50));
}

#[test]
fn the_verdict_ends_with_the_trust_file() {
    let mut scene = Scene::new();
    scene.trust.not_after = later(40);
    assert_eq!(accepted(&scene).valid_until(), later(40));
}

#[test]
fn the_verdict_ends_with_the_evidences_certificates() {
    let scene = Scene::new();
    let until = accepted(&scene).verdict().claims().valid_until();
    let mut close_to_the_end = Scene::new();
    close_to_the_end.now = UnixTime::from_secs(until.as_secs() - 5);
    close_to_the_end.statement.issued_at = close_to_the_end.now.as_secs();
    close_to_the_end.trust.not_after = close_to_the_end.now.saturating_add_secs(1000);
    close_to_the_end.ca = crate::instance_certificate::make_ca(
        &close_to_the_end.ca_key,
        "bank",
        crate::trust_file::Environment::Development,
        NOW,
        until.saturating_add_secs(1000),
    )
    .unwrap();
    close_to_the_end.trust.instance_ca = Some(close_to_the_end.ca.clone());
    close_to_the_end.certificate_times = (NOW, until.saturating_add_secs(900));
    assert_eq!(accepted(&close_to_the_end).valid_until(), until);
}

#[test]
fn the_same_statement_again_and_any_later_epoch_are_accepted() {
    let mut scene = Scene::new();
    scene.seen = Some(accepted(&scene).seen());
    accepted(&scene);
    scene.statement.epoch += 2;
    accepted(&scene);
}

#[test]
fn the_next_epoch_that_names_its_predecessor_is_accepted() {
    let mut scene = Scene::new();
    let seen = accepted(&scene).seen();
    scene.statement.epoch += 1;
    scene.statement.previous = seen.statement_hash;
    scene.seen = Some(seen);
    accepted(&scene);
}

#[test]
fn another_instances_history_does_not_matter() {
    let mut scene = Scene::new();
    scene.seen = Some(Seen { instance_id: [99; 16], epoch: 1000, statement_hash: [1; 32] });
    accepted(&scene);
}

#[test]
fn a_certificate_without_its_ca_is_enough() {
    let scene = Scene::new();
    let mut response = scene.response();
    response.instance_certificate.truncate(1);
    assert!(scene.appraise(&response).result.is_ok());
}

#[test]
fn the_right_one_of_several_development_roots_is_found() {
    let mut scene = Scene::new();
    scene.trust.development_anchors.insert(0, b"not a certificate".to_vec());
    accepted(&scene);
}

#[test]
fn several_listed_models_and_no_plugin_are_accepted() {
    let mut scene = Scene::new();
    let mut second = scene.trust.models[0].clone();
    second.model_id = [55; 32];
    scene.trust.models.push(second);
    scene.statement.workload.models.push([55; 32]);
    scene.statement.workload.plugins.clear();
    accepted(&scene);
}
