//! Freshness, one attempt at a time, and what happens when an instance moves on.

use strongroom_attestation::Code;

use super::*;
use crate::test_instance::{Behaviour, Instance, WHOLE, plain_trust_file, question};

async fn kept() -> (Instance, Keeper) {
    let instance = Instance::new();
    let keeper = Keeper::new(instance.connector().await);
    (instance, keeper)
}

async fn ask(keeper: &Keeper) -> Result<Vec<u8>, ClientError> {
    keeper.send(&question(false)).await?.collect().await
}

fn refused_with<T>(result: Result<T, ClientError>) -> Option<Code> {
    match result.err()? {
        ClientError::Refused(refusal) => Some(refusal.code),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_verdict_serves_many_requests() {
    let (instance, keeper) = kept().await;
    assert!(matches!(keeper.verdict(), Verdict::None));
    for _ in 0..3 {
        assert_eq!(ask(&keeper).await.unwrap(), WHOLE.as_bytes());
    }
    assert_eq!(instance.attested(), 1);
    let Verdict::Accepted { checks, simulated } = keeper.verdict() else { panic!("accepted") };
    assert!(simulated && checks.len() > 10);
}

#[tokio::test]
async fn many_that_start_at_once_ask_once() {
    let (instance, keeper) = kept().await;
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let keeper = keeper.clone();
                async move { ask(&keeper).await }
            })
        })
        .collect();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    assert_eq!(instance.attested(), 1);
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_wait_for_it() {
    let (instance, keeper) = kept().await;
    instance.attest_down(true);
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let keeper = keeper.clone();
                async move { ask(&keeper).await }
            })
        })
        .collect();
    for one in waiting {
        let error = one.await.unwrap().unwrap_err();
        assert!(matches!(error, ClientError::Unavailable { retry_after: Some(7), .. }));
    }
    assert_eq!(instance.attested(), 1);
    assert!(matches!(keeper.verdict(), Verdict::Refused(_)));
    instance.attest_down(false);
    instance.clock().advance(1);
    assert!(ask(&keeper).await.is_ok());
}

#[tokio::test]
async fn the_verdict_is_renewed_before_it_ends() {
    let (instance, keeper) = kept().await;
    let first = keeper.session().await.unwrap();
    instance.clock().advance(239);
    assert!(Arc::ptr_eq(&first, &keeper.session().await.unwrap()));
    assert_eq!(instance.attested(), 1);
    instance.clock().advance(1);
    // 80 % of 300 s: this call still gets the old one, and starts the renewal.
    assert!(Arc::ptr_eq(&first, &keeper.session().await.unwrap()));
    while Arc::ptr_eq(&first, &keeper.session().await.unwrap()) {
        tokio::task::yield_now().await;
    }
    assert_eq!(instance.attested(), 2);
}

#[tokio::test]
async fn a_stale_verdict_is_never_used() {
    let (instance, keeper) = kept().await;
    let first = keeper.session().await.unwrap();
    instance.clock().advance(300);
    assert!(!first.is_fresh());
    assert_eq!(refused_with(first.send(&question(false)).await), Some(Code::Stale));
    instance.attest_down(true);
    assert!(ask(&keeper).await.is_err());
    assert!(instance.outer_bytes().is_empty(), "nothing was sent");
    instance.attest_down(false);
    instance.clock().advance(1);
    assert!(ask(&keeper).await.is_ok());
}

#[tokio::test]
async fn setting_the_clock_back_makes_nothing_younger() {
    let (instance, keeper) = kept().await;
    let first = keeper.session().await.unwrap();
    instance.clock().advance(300);
    instance.clock().set_back(200);
    assert!(!first.is_fresh());
}

#[tokio::test]
async fn a_new_epoch_is_found_by_asking_once_more() {
    let (instance, keeper) = kept().await;
    ask(&keeper).await.unwrap();
    instance.next_epoch();
    // The old key is gone: an outer 400, evidence again, and the answer.
    assert_eq!(ask(&keeper).await.unwrap(), WHOLE.as_bytes());
    assert_eq!(instance.attested(), 2);
}

#[tokio::test]
async fn evidence_from_an_epochs_last_seconds_is_asked_for_once_more() {
    // The first epoch lasts 3600 s.
    for (left, asked) in [(3, 1), (2, 2), (0, 2)] {
        let (instance, keeper) = kept().await;
        instance.clock().advance(3600 - left);
        if asked == 2 {
            instance.next_epoch_once_attested();
        }
        assert_eq!(ask(&keeper).await.as_deref(), Ok(WHOLE.as_bytes()), "{left}");
        assert_eq!(instance.attested(), asked, "{left}");
    }
}

#[tokio::test]
async fn an_epoch_that_just_ends_is_stale_after_two_questions() {
    let (instance, keeper) = kept().await;
    instance.clock().advance(3600);
    assert_eq!(refused_with(ask(&keeper).await), Some(Code::Stale));
    assert_eq!(instance.attested(), 2);
}

#[tokio::test]
async fn hints_from_outside_cost_one_more_question_and_no_more() {
    for status in [400, 421] {
        let (instance, keeper) = kept().await;
        ask(&keeper).await.unwrap();
        instance.behave(Behaviour::Outer(status));
        assert!(matches!(ask(&keeper).await, Err(ClientError::Unavailable { .. })));
        assert_eq!(instance.attested(), 2);
    }
    let (instance, keeper) = kept().await;
    instance.behave(Behaviour::Inner(409, "statement-superseded"));
    assert!(matches!(ask(&keeper).await, Err(ClientError::Unavailable { .. })));
    assert_eq!(instance.attested(), 2);
}

#[tokio::test]
async fn a_forked_instance_is_refused() {
    let (instance, keeper) = kept().await;
    ask(&keeper).await.unwrap();
    instance.fork();
    assert_eq!(refused_with(ask(&keeper).await), Some(Code::Fork));
    assert!(matches!(keeper.verdict(), Verdict::Accepted { .. }), "the verdict of the instance that was asked first");
}

#[tokio::test]
async fn simulation_is_refused_unless_accepted() {
    let instance = Instance::new();
    let connector = Connector::new(&instance.serve().await, plain_trust_file(), false)
        .unwrap()
        .with_clock(instance.clock())
        .with_http(reqwest::Client::builder().no_proxy().build().unwrap());
    let keeper = Keeper::new(connector);
    assert_eq!(refused_with(ask(&keeper).await), Some(Code::Simulated));
    assert!(instance.outer_bytes().is_empty(), "nothing was sent");
    let Verdict::Refused(error) = keeper.verdict() else { panic!("refused") };
    assert!(error.checks().len() > 10);
    assert_eq!(error.exit_code(), 3);
}

#[tokio::test]
async fn another_deployments_instance_is_refused() {
    let instance = Instance::new();
    let mut trust = plain_trust_file();
    trust.config_digests = vec![[40; 32]];
    let connector = Connector::new(&instance.serve().await, trust, true)
        .unwrap()
        .with_clock(instance.clock())
        .with_http(reqwest::Client::builder().no_proxy().build().unwrap());
    assert_eq!(refused_with(Keeper::new(connector).session().await), Some(Code::Policy));
}
