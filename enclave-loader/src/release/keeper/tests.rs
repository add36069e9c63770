//! The clock, the word of the broker, and what follows for each lease.

use strongroom_channel::deployment::DeploymentId;

use super::*;

struct Pair {
    broker: SigningKey,
    instance: SigningKey,
    keeper: LeaseKeeper,
}

fn at(seconds: u64) -> Monotonic {
    Monotonic::from_duration(Duration::from_secs(seconds))
}

fn time(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

/// A lease of an hour from broker time 1000, granted at monotonic second 100.
fn pair(offline_grant: u64) -> Pair {
    let broker = SigningKey::from_seed([1; 32]);
    let instance = SigningKey::from_seed([2; 32]);
    let lease = Lease {
        lease_id: LeaseId::from_bytes([3; 16]),
        deployment: DeploymentId::parse("bank").unwrap(),
        instance_id: [4; 16],
        instance_key: instance.verifying_key().thumbprint(),
        models: vec![[5; 32]],
        not_before: time(1000),
        expires: time(4600),
        renew_after: time(2800),
        policy_hash: [6; 32],
        platform_identity: None,
        offline_grant,
    };
    let keeper = LeaseKeeper::new(broker.verifying_key(), lease, time(1000), at(100));
    Pair { broker, instance, keeper }
}

impl Pair {
    fn beat(&mut self, seconds: u64) -> Vec<u8> {
        self.keeper.next(at(seconds), &self.instance).unwrap()
    }

    fn reply(&self, heartbeat: &[u8], broker_time: u64) -> HeartbeatAnswer {
        HeartbeatAnswer {
            nonce: Heartbeat::peek(heartbeat).unwrap().nonce,
            broker_time: time(broker_time),
            certificate: None,
            credentials: None,
            revoked: vec![],
            heartbeat: crypto::sha256(heartbeat),
        }
    }
}

#[test]
fn an_unanswered_heartbeat_is_repeated_byte_for_byte_and_an_answered_one_is_not() {
    let mut pair = pair(0);
    assert_eq!(pair.keeper.due(), at(103));
    let first = pair.beat(103);
    assert_eq!(pair.keeper.due(), at(106));
    assert_eq!(pair.beat(106), first);
    let answer = pair.reply(&first, 1006).sign(&pair.broker);
    let outcome = pair.keeper.answer(&answer, at(106)).unwrap();
    assert_eq!(outcome.standing, Standing::Serving);
    let second = pair.beat(109);
    assert_ne!(second, first);
    let said = Heartbeat::verify(&second, &pair.instance.verifying_key()).unwrap();
    assert_eq!(said.last_answer, crypto::sha256(&answer));
}

#[test]
fn silence_is_counted_from_the_sending_of_the_last_answered_heartbeat() {
    let mut pair = pair(0);
    let beat = pair.beat(103);
    let answer = pair.reply(&beat, 1008).sign(&pair.broker);
    // It arrives late; the grace still ends ten seconds after it was sent.
    pair.keeper.answer(&answer, at(109)).unwrap();
    assert_eq!(pair.keeper.standing(at(112)), Standing::Serving);
    assert_eq!(pair.keeper.standing(at(113)), Standing::Offline);
    // A retry does not move the start either: it is the same heartbeat.
    let beat = pair.beat(114);
    pair.beat(120);
    let answer = pair.reply(&beat, 1018).sign(&pair.broker);
    let outcome = pair.keeper.answer(&answer, at(123)).unwrap();
    assert_eq!(outcome.standing, Standing::Serving);
    assert_eq!(pair.keeper.standing(at(124)), Standing::Offline);
}

#[test]
fn the_policys_offline_grant_lengthens_the_grace_and_never_shortens_it() {
    assert_eq!(pair(1).keeper.standing(at(109)), Standing::Serving);
    assert_eq!(pair(60).keeper.standing(at(159)), Standing::Serving);
    assert_eq!(pair(60).keeper.standing(at(160)), Standing::Offline);
}

#[test]
fn a_lease_ends_by_the_latest_time_that_the_broker_can_have() {
    let mut pair = pair(86_400);
    assert_eq!(pair.keeper.standing(at(100 + 3599)), Standing::Serving);
    let end = Standing::Ended(End::Expired);
    assert_eq!(pair.keeper.standing(at(100 + 3600)), end);
    // The broker's clock runs ahead of ours: the lease ends with the broker's.
    let beat = pair.beat(103);
    let answer = pair.reply(&beat, 4599).sign(&pair.broker);
    pair.keeper.answer(&answer, at(103)).unwrap();
    assert_eq!(pair.keeper.standing(at(103)), Standing::Serving);
    assert_eq!(pair.keeper.standing(at(104)), end);
}

#[test]
fn a_revoked_lease_stays_ended() {
    let mut pair = pair(0);
    let beat = pair.beat(103);
    let mut answer = pair.reply(&beat, 1003);
    answer.revoked = vec![LeaseId::from_bytes([3; 16])];
    let signed = answer.sign(&pair.broker);
    let end = Standing::Ended(End::Revoked);
    assert_eq!(pair.keeper.answer(&signed, at(103)).unwrap().standing, end);
    let beat = pair.beat(106);
    let signed = pair.reply(&beat, 1006).sign(&pair.broker);
    assert_eq!(pair.keeper.answer(&signed, at(106)).unwrap().standing, end);
}

#[test]
fn answers_by_another_key_or_to_another_heartbeat_change_nothing() {
    let mut pair = pair(0);
    let beat = pair.beat(103);
    let good = pair.reply(&beat, 1003);
    let stranger = SigningKey::from_seed([9; 32]);
    let mut other_nonce = good.clone();
    other_nonce.nonce = [0; 16];
    let mut other_hash = good.clone();
    other_hash.heartbeat = [0; 32];
    for (defect, signed) in [
        ("key", good.sign(&stranger)),
        ("nonce", other_nonce.sign(&pair.broker)),
        ("hash", other_hash.sign(&pair.broker)),
    ] {
        assert!(pair.keeper.answer(&signed, at(104)).is_err(), "{defect}");
        assert_eq!(pair.beat(104), beat, "{defect}");
    }
    let signed = good.sign(&pair.broker);
    pair.keeper.answer(&signed, at(105)).unwrap();
    assert_eq!(pair.keeper.answer(&signed, at(106)), Err(ReleaseError::Mismatch("the heartbeat (none is pending)")));
}

#[test]
fn an_answer_that_was_stored_before_a_renewal_is_accepted_and_sets_nothing_back() {
    let mut pair = pair(86_400);
    let beat = pair.beat(103);
    // Its answer is made at 1003 and lost; a renewal goes through meanwhile.
    let stored = pair.reply(&beat, 1003).sign(&pair.broker);
    let mut longer = pair.keeper.lease().clone();
    longer.expires = time(8000);
    pair.keeper.renewed(longer, time(2800), at(1900)).unwrap();
    let before = pair.keeper.broker_time(at(2000));
    assert_eq!(pair.beat(1903), beat, "the heartbeat is repeated");
    pair.keeper.answer(&stored, at(1904)).unwrap();
    assert_eq!(pair.keeper.broker_time(at(2000)), before);
    assert_ne!(pair.beat(1906), beat, "the chain goes on");
}

#[test]
fn of_two_words_on_the_time_the_later_bound_is_kept() {
    // The heartbeat was sent before the renewal, and answered by a clock that was ahead.
    let mut pair = pair(86_400);
    let beat = pair.beat(103);
    let lease = pair.keeper.lease().clone();
    pair.keeper.renewed(lease, time(1010), at(110)).unwrap();
    let signed = pair.reply(&beat, 1500).sign(&pair.broker);
    pair.keeper.answer(&signed, at(111)).unwrap();
    assert_eq!(pair.keeper.broker_time(at(120)), time(1510));
}

#[test]
fn a_renewal_extends_the_same_lease_only() {
    let mut pair = pair(86_400);
    assert!(pair.keeper.renewals_due(at(100 + 1799)).is_empty());
    assert_eq!(pair.keeper.renewals_due(at(100 + 1800)).len(), 1);
    let mut longer = pair.keeper.lease().clone();
    longer.expires = time(8000);
    let mut foreign = longer.clone();
    foreign.instance_id = [0; 16];
    assert!(pair.keeper.renewed(foreign, time(2800), at(1900)).is_err());
    pair.keeper.renewed(longer, time(2800), at(1900)).unwrap();
    assert_eq!(pair.keeper.standing(at(1900 + 5199)), Standing::Serving);
    assert_eq!(pair.keeper.standing(at(1900 + 5200)), Standing::Ended(End::Expired));
}

#[test]
fn one_chain_of_heartbeats_keeps_several_leases_and_goes_on_when_the_first_is_over() {
    let mut pair = pair(0);
    let (first, second) = (LeaseId::from_bytes([3; 16]), LeaseId::from_bytes([7; 16]));
    let further = Lease { lease_id: second, models: vec![[8; 32]], ..pair.keeper.lease().clone() };
    let foreign = Lease { instance_key: [0; 32], ..further.clone() };
    assert!(pair.keeper.join(foreign, time(1001), at(101)).is_err());
    pair.keeper.join(further, time(1001), at(101)).unwrap();
    assert_eq!(pair.keeper.renewals_due(at(100 + 1800)), [first, second]);

    let beat = pair.beat(103);
    assert_eq!(Heartbeat::peek(&beat).unwrap().lease_id, first);
    let mut answer = pair.reply(&beat, 1003);
    answer.revoked = vec![first];
    let signed = answer.sign(&pair.broker);
    pair.keeper.answer(&signed, at(103)).unwrap();
    assert_eq!(pair.keeper.standing_of(first, at(104)), Standing::Ended(End::Revoked));
    assert_eq!(pair.keeper.standing_of(second, at(104)), Standing::Serving);
    assert_eq!(pair.keeper.standing_of(LeaseId::from_bytes([1; 16]), at(104)), Standing::Ended(End::Expired));
    assert_eq!(pair.keeper.renewals_due(at(100 + 1800)), [second], "what is over is not renewed");

    let beat = pair.beat(106);
    assert_eq!(Heartbeat::peek(&beat).unwrap().lease_id, first, "its name stays that of the chain");
    assert_eq!(pair.keeper.standing_of(second, at(113)), Standing::Offline, "silence is every lease's");
    pair.keeper.let_run_out(second);
    assert!(pair.keeper.renewals_due(at(100 + 1800)).is_empty());
}
