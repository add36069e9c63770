//! A genuine instance answers, and it is somebody else's.

use serde_json::Value;
use strongroom_channel::attest::{self, AttestRequest};
use strongroom_engine::Script;

use super::change;
use crate::support::gateway::{Cheat, Gateway};
use crate::support::system::{Blueprint, http};

#[tokio::test]
async fn another_deployment_answers() {
    let ours = Blueprint::scripted(|| Script::says("ours")).start().await;
    let theirs = Blueprint::scripted(|| Script::says("theirs")).deployment("bank-test").start().await;
    let question = AttestRequest::new([0; 32], ours.trust.deployment.clone()).to_bytes();
    let answer = http().post(format!("{}{}", theirs.url, attest::PATH)).body(question).send().await.unwrap();
    assert_eq!(answer.status(), 421);
    let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(problem["type"], "urn:strongroom:error:wrong-instance");
    assert_eq!(ours.client_at(&theirs.url).refusal("Say good morning.").await, "UNAVAILABLE");
    // The enemy asks under the other name: then the answer is to another question.
    let gateway = Gateway::before(&theirs.url).await;
    let name = theirs.trust.deployment.clone();
    gateway.cheat(Cheat::Question(change(move |question| {
        let mut question = AttestRequest::from_bytes(&question).unwrap();
        question.deployment = name.clone();
        question.to_bytes()
    })));
    assert_eq!(ours.client_at(&gateway.url).refusal("Say good morning.").await, "NONCE");
}

/// Another tenant's deployment of the same name, on the same machine with the same image.
#[tokio::test]
async fn another_tenant_answers_under_the_same_name() {
    let ours = Blueprint::scripted(|| Script::says("ours")).start().await;
    let theirs = Blueprint::scripted(|| Script::says("theirs")).start().await;
    assert_eq!(ours.client_at(&theirs.url).refusal("Say good morning.").await, "HOST_DATA");
}
