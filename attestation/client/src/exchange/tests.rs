//! Sending through a session: what the instance sees, what the host sees, and every way to cheat.

use super::*;
use crate::connect::Session;
use crate::test_instance::{Behaviour, EVENTS, Instance, WHOLE, question};

async fn session() -> (Instance, Session) {
    let instance = Instance::new();
    let session = instance.connector().await.connect().await.unwrap();
    (instance, session)
}

/// The outcome of one request under a behaviour.
async fn outcome(behaviour: Behaviour, stream: bool) -> Result<Vec<u8>, ClientError> {
    let (instance, session) = session().await;
    instance.behave(behaviour);
    session.send(&question(stream)).await?.collect().await
}

#[tokio::test]
async fn the_instance_sees_the_request_and_the_host_nothing_of_it() {
    let (instance, session) = session().await;
    let mut answer = session.send(&question(false)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.collect().await.unwrap(), WHOLE.as_bytes());

    let [seen] = &instance.requests()[..] else { panic!("one request") };
    assert_eq!(seen.body, question(false).body);
    assert_eq!(seen.head.method, "POST");
    assert_eq!(seen.head.scheme, "https");
    assert_eq!(seen.head.authority, "bank-prod.strongroom.invalid");
    assert_eq!(seen.head.path, "/v1/chat/completions");
    let header = |name| bhttp::field(&seen.head.headers, name).unwrap();
    assert_eq!(header("authorization"), "Bearer sk-canary");
    assert_eq!(header("strongroom-statement"), URL_SAFE_NO_PAD.encode(instance.statement_hash()));
    assert_eq!(header("strongroom-request-id"), hex::encode(answer.request_id()));
    assert_eq!(header("strongroom-expires"), (crate::test_instance::NOW.as_secs() + 60).to_string());

    let outer = instance.outer_bytes();
    for canary in ["canary", "chat", "bank-prod", "authorization"] {
        assert!(!outer.windows(canary.len()).any(|window| window == canary.as_bytes()), "{canary}");
    }
}

#[tokio::test]
async fn request_lengths_are_those_of_buckets() {
    let (instance, session) = session().await;
    session.send(&question(false)).await.unwrap();
    let before = instance.outer_bytes().len();
    let mut longer = question(false);
    longer.body.extend([b' '; 40]);
    session.send(&longer).await.unwrap();
    assert_eq!(instance.outer_bytes().len(), 2 * before);
}

#[tokio::test]
async fn a_stream_comes_without_filler_and_with_a_receipt() {
    let (_instance, session) = session().await;
    let mut answer = session.send(&question(true)).await.unwrap();
    assert!(answer.is_event_stream() && answer.is_simulated());
    assert!(answer.receipt().is_none(), "not before the end");
    assert_eq!(answer.collect().await.unwrap(), EVENTS.concat().as_bytes());
    let receipt = &answer.receipt().unwrap().receipt;
    assert_eq!(receipt.request_id, answer.request_id());
    assert_eq!((receipt.model_name.as_str(), receipt.prompt_tokens), ("qwen", 3));
    assert_eq!(answer.next().await, Ok(None), "the end stays the end");
}

#[tokio::test]
async fn a_listing_needs_no_receipt() {
    let (_instance, session) = session().await;
    let request = OutgoingRequest { method: "GET".into(), path: "/v1/models".into(), headers: vec![], body: vec![] };
    let mut answer = session.send(&request).await.unwrap();
    assert_eq!(answer.collect().await.unwrap(), WHOLE.as_bytes());
    assert!(answer.receipt_bundle().is_none());
}

#[tokio::test]
async fn an_inner_refusal_is_an_answer() {
    let (instance, session) = session().await;
    for (status, code) in [(401, "unauthorized"), (409, "replayed"), (429, "budget")] {
        instance.behave(Behaviour::Inner(status, code));
        let mut answer = session.send(&question(false)).await.unwrap();
        assert_eq!(answer.status(), status);
        assert!(String::from_utf8(answer.collect().await.unwrap()).unwrap().contains(code));
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_truncated() {
    for behaviour in [Behaviour::StripFinalChunk, Behaviour::CutFinalChunk, Behaviour::BreakConnection] {
        for stream in [false, true] {
            let found = outcome(behaviour, stream).await;
            assert!(matches!(found, Err(ClientError::Truncated { .. })), "{behaviour:?}: {found:?}");
        }
    }
}

#[tokio::test]
async fn a_failed_answer_stays_failed() {
    let (instance, session) = session().await;
    instance.behave(Behaviour::StripFinalChunk);
    let mut answer = session.send(&question(true)).await.unwrap();
    let error = answer.collect().await.unwrap_err();
    assert_eq!(answer.next().await, Err(error));
    assert!(answer.receipt().is_none());
}

#[tokio::test]
async fn an_altered_answer_is_malformed() {
    let found = outcome(Behaviour::FlipBit, true).await;
    assert!(matches!(found, Err(ClientError::Malformed(_))), "{found:?}");
}

#[tokio::test]
async fn a_receipt_that_does_not_hold_refuses_the_answer() {
    for (behaviour, fault) in [
        (Behaviour::NoReceipt, ReceiptFault::Missing),
        (Behaviour::ReceiptMalformed, ReceiptFault::Malformed),
        (Behaviour::ReceiptByAnotherKey, ReceiptFault::Signature),
        (Behaviour::ReceiptForAnotherRequest, ReceiptFault::RequestId),
        (Behaviour::ReceiptForAnotherStatement, ReceiptFault::Statement),
        (Behaviour::ReceiptForOtherBytes, ReceiptFault::Bytes),
        (Behaviour::ReceiptForAnotherModel, ReceiptFault::Model),
    ] {
        assert_eq!(outcome(behaviour, false).await, Err(ClientError::Receipt(fault)), "{behaviour:?}");
    }
}

#[tokio::test]
async fn what_the_host_says_itself_is_no_answer() {
    let found = outcome(Behaviour::PlainAnswer, false).await;
    assert!(matches!(found, Err(ClientError::Malformed(_))));
    let found = outcome(Behaviour::Outer(503), false).await;
    assert!(matches!(found, Err(ClientError::Unavailable { retry_after: Some(3), .. })));
    let found = outcome(Behaviour::Outer(302), false).await;
    assert!(matches!(found, Err(ClientError::Unavailable { .. })), "a redirect is not followed");
}

#[tokio::test]
async fn reserved_headers_are_not_the_applications() {
    let (instance, session) = session().await;
    for name in ["strongroom-statement", "host", "content-length"] {
        let mut request = question(false);
        request.headers.push((name.to_owned(), "1".to_owned()));
        assert!(matches!(session.send(&request).await.err(), Some(ClientError::Misuse(_))), "{name}");
    }
    let request = OutgoingRequest { path: "no-slash".to_owned(), ..question(false) };
    assert!(matches!(session.send(&request).await.err(), Some(ClientError::Misuse(_))));
    assert!(instance.outer_bytes().is_empty());
}

#[test]
fn event_streams_are_known_by_their_type() {
    let with = |value: &str| is_event_stream(&vec![("content-type".to_owned(), value.to_owned())]);
    assert!(with("text/event-stream") && with("Text/Event-Stream; charset=utf-8"));
    assert!(!with("application/json") && !with("text/event-stream-2") && !is_event_stream(&Fields::new()));
}
