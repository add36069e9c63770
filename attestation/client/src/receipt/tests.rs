//! Bundles of real answers, checked offline.

use strongroom_attestation::Code;

use super::*;
use crate::keeper::Keeper;
use crate::test_instance::{Instance, NOW, WHOLE, plain_trust_file, question};

async fn bundle() -> (Instance, ReceiptBundle) {
    let instance = Instance::new();
    let keeper = Keeper::new(instance.connector().await);
    let mut answer = keeper.send(&question(false)).await.unwrap();
    answer.collect().await.unwrap();
    (instance, answer.receipt_bundle().unwrap())
}

/// The bundle as another machine reads it.
fn reread(bundle: &ReceiptBundle) -> ReceiptBundle {
    ReceiptBundle::from_json(&serde_json::to_vec(&bundle.to_json()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_bundle_holds_long_after_the_answer() {
    let (_instance, bundle) = bundle().await;
    let request = question(false).body;
    let checked = reread(&bundle).check(&plain_trust_file(), true, Some(&request), Some(WHOLE.as_bytes())).unwrap();
    assert_eq!(checked.receipt.model_name, "qwen");
    assert!(checked.simulated && checked.request_compared && checked.response_compared);
    let checked = bundle.check(&plain_trust_file(), true, None, None).unwrap();
    assert!(!checked.request_compared && !checked.response_compared);
}

/// An answer that ends `seconds` after the evidence was given.
async fn answered_after(instance: &Instance, seconds: u64) -> ReceiptBundle {
    let keeper = Keeper::new(instance.connector().await);
    keeper.session().await.unwrap();
    instance.answer_takes(seconds);
    let mut answer = keeper.send(&question(false)).await.unwrap();
    answer.collect().await.unwrap();
    answer.receipt_bundle().unwrap()
}

#[tokio::test]
async fn an_answer_that_outlives_the_statement_or_certificate_still_has_its_receipt() {
    // The statement has 200 s to live, and the certificate 300 s, when the evidence is given.
    for before_the_end in [3400, 4700] {
        let instance = Instance::new();
        instance.clock().advance(before_the_end);
        if before_the_end > 3600 {
            instance.next_epoch();
        }
        let bundle = answered_after(&instance, 600).await;
        assert_eq!(bundle.time().unwrap(), NOW.saturating_add_secs(before_the_end));
        let checked = bundle.check(&plain_trust_file(), true, None, None).unwrap();
        assert_eq!(checked.receipt.time, NOW.as_secs() + before_the_end + 600);
    }
}

#[tokio::test]
async fn a_receipt_of_another_time_is_refused() {
    let (instance, longest) = (Instance::new(), MAX_AGE + LONGEST_ANSWER);
    let check = |bundle: &ReceiptBundle| bundle.check(&plain_trust_file(), true, None, None).err();
    assert_eq!(check(&answered_after(&instance, longest).await), None);
    let later = answered_after(&Instance::new(), longest + 1).await;
    assert_eq!(check(&later), Some(ClientError::Receipt(ReceiptFault::Time)));
    // Evidence that claims to be given later than the answer ended.
    let (_instance, bundle) = bundle().await;
    let at = |time: u64| {
        let mut response = AttestResponse::from_bytes(&bundle.proof.response).unwrap();
        response.time = time;
        let proof = SessionProof { request: bundle.proof.request.clone(), response: response.to_bytes() };
        ReceiptBundle::new(bundle.message.clone(), Arc::new(proof))
    };
    assert_eq!(check(&at(NOW.as_secs() + CLOCK_SKEW)), None);
    assert_eq!(check(&at(NOW.as_secs() + CLOCK_SKEW + 1)), Some(ClientError::Receipt(ReceiptFault::Time)));
    // And a time at which the evidence was not valid.
    let never = check(&at(NOW.as_secs() + 100_000));
    assert!(matches!(never, Some(ClientError::Refused(_))), "{never:?}");
}

#[tokio::test]
async fn a_bundle_says_neither_prompt_nor_answer() {
    let (_instance, bundle) = bundle().await;
    let text = bundle.to_json().to_string();
    assert!(!text.contains("canary") && !text.contains("choices"));
    assert_eq!(bundle.to_json()["decoded"]["finish"], "stop");
}

#[tokio::test]
async fn other_bytes_are_refused() {
    let (_instance, bundle) = bundle().await;
    for (request, response) in [(Some(&b"other"[..]), None), (None, Some(&b"other"[..]))] {
        let found = bundle.check(&plain_trust_file(), true, request, response);
        assert_eq!(found.err(), Some(ClientError::Receipt(ReceiptFault::Bytes)));
    }
}

#[tokio::test]
async fn the_evidence_is_verified_again() {
    let (_instance, bundle) = bundle().await;
    let refused = |trust, accept| match bundle.check(&trust, accept, None, None).err() {
        Some(ClientError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(plain_trust_file(), false), Code::Simulated);
    let mut other = plain_trust_file();
    other.models[0].model_id = [50; 32];
    assert_eq!(refused(other, true), Code::Policy);
}

#[tokio::test]
async fn a_receipt_under_anothers_evidence_is_refused() {
    let (_instance, mine) = bundle().await;
    let (_other_instance, theirs) = bundle().await;
    // Same instance key in both, other statements: their key configurations differ.
    let mixed = ReceiptBundle::new(mine.message.clone(), Arc::clone(&theirs.proof));
    let found = mixed.check(&plain_trust_file(), true, None, None).err();
    assert_eq!(found, Some(ClientError::Receipt(ReceiptFault::Statement)));
}

#[tokio::test]
async fn an_altered_receipt_is_refused() {
    let (_instance, bundle) = bundle().await;
    for at in [0, 10, bundle.message.len() / 2, bundle.message.len() - 1] {
        let mut message = bundle.message.clone();
        message[at] ^= 1;
        let altered = ReceiptBundle::new(message, Arc::clone(&bundle.proof));
        assert!(altered.check(&plain_trust_file(), true, None, None).is_err(), "{at}");
    }
}

#[tokio::test]
async fn files_that_are_no_bundles_are_malformed() {
    let (_instance, bundle) = bundle().await;
    let good = bundle.to_json();
    let mut other_format = good.clone();
    other_format["format"] = "strongroom-receipt-bundle-v2".into();
    let mut unknown_field = good.clone();
    unknown_field["more"] = 1.into();
    let mut bad_text = good.clone();
    bad_text["receipt"] = "a+b=".into();
    for bad in [serde_json::json!({}), other_format, unknown_field, bad_text] {
        let found = ReceiptBundle::from_json(&serde_json::to_vec(&bad).unwrap());
        assert!(matches!(found, Err(ClientError::Malformed(_))));
    }
    assert!(ReceiptBundle::from_json(&vec![b' '; BUNDLE_MOST + 1]).is_err());
}
