//! A broker that holds the right key and lies: each lie is found, and no key comes out.

use strongroom_channel::deployment::DeploymentId;
use strongroom_channel::device_digest;
use strongroom_channel::instance_certificate::InstanceClaims;
use strongroom_channel::statement::Workload;
use strongroom_channel::trust_file::Environment;
use zeroize::Zeroizing;

use super::super::reply_key::seal_reply;
use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_000_000);

struct Pair {
    broker: SigningKey,
    ca: SigningKey,
    ca_certificate: Vec<u8>,
    instance: SigningKey,
    session: ReleaseSession,
}

/// What a lying broker may change.
struct Lie {
    answer: ReleaseAnswer,
    lease: Lease,
    signer: SigningKey,
    reply_body: Vec<u8>,
}

fn pair(renews: Option<LeaseId>) -> Pair {
    let broker = SigningKey::from_seed([1; 32]);
    let ca = SigningKey::from_seed([2; 32]);
    let instance = SigningKey::from_seed([3; 32]);
    let end = NOW.saturating_add_secs(100_000);
    let ca_certificate = instance_certificate::make_ca(&ca, "bank", Environment::Development, NOW, end).unwrap();
    let params = ReleaseParams {
        broker_key: broker.verifying_key(),
        class: Class::Simulated,
        statement: statement_of(&instance).encode(),
        models: vec![WantedModel { model_id: [5; 32], version: 6 }],
        lease_seconds: 600,
        renews,
    };
    let challenge = Challenge { nonce: [4; 32], broker: broker.verifying_key().thumbprint() };
    let session = ReleaseSession::begin(params, &challenge).unwrap();
    Pair { broker, ca, ca_certificate, instance, session }
}

fn statement_of(instance: &SigningKey) -> EpochStatement {
    EpochStatement {
        deployment: DeploymentId::parse("bank-prod").unwrap(),
        instance_id: [7; 16],
        epoch: 1,
        issued_at: 0,
        lifetime: 900,
        key_configs: vec![],
        tls_spki: None,
        signing_key: instance.verifying_key(),
        workload: Workload {
            image_id: None,
            config_digest: [0; 32],
            models: vec![],
            plugins: vec![],
            policy_hash: None,
            sbom: None,
            padding: "bucket".into(),
            logging: "none".into(),
            lease_id: None,
        },
        device_digest: device_digest::digest([]),
        previous: [0; 32],
    }
}

impl Pair {
    fn certificate(&self, key: &VerifyingKey, instance_id: [u8; 16]) -> Vec<Vec<u8>> {
        let claims = InstanceClaims {
            deployment: DeploymentId::parse("bank-prod").unwrap(),
            instance_id,
            launch_measurement: vec![8; 48],
            platform_identity: None,
            gpu_ueids: vec![],
        };
        let end = NOW.saturating_add_secs(900);
        let leaf = instance_certificate::issue(&self.ca, &self.ca_certificate, &claims, key, NOW, end, "bank").unwrap();
        vec![leaf, self.ca_certificate.clone()]
    }

    /// The honest answer, changed by `lie`.
    fn finish(self, lie: impl FnOnce(&Pair, &mut Lie)) -> Result<Released, ReleaseError> {
        let key = self.instance.verifying_key();
        let lease = Lease {
            lease_id: self.session.params.renews.unwrap_or(LeaseId::from_bytes([9; 16])),
            deployment: DeploymentId::parse("bank-prod").unwrap(),
            instance_id: [7; 16],
            instance_key: key.thumbprint(),
            models: vec![[5; 32]],
            not_before: NOW,
            expires: NOW.saturating_add_secs(600),
            renew_after: NOW.saturating_add_secs(300),
            policy_hash: [0; 32],
            platform_identity: None,
            offline_grant: 0,
        };
        let model = AnsweredModel {
            model_id: [5; 32],
            artifact_id: [10; 16],
            version: 6,
            keys: vec![Zeroizing::new([11; 32])],
        };
        let answer = ReleaseAnswer {
            body: crypto::sha256(self.session.body()),
            statement: statement::hash(&self.session.params.statement),
            broker_time: NOW,
            models: if self.session.params.renews.is_some() { vec![] } else { vec![model] },
            lease: vec![],
            certificate: self.certificate(&key, [7; 16]),
            credentials: vec![],
        };
        let signer = SigningKey::from_seed(*self.broker.seed());
        let mut told = Lie { answer, lease, signer, reply_body: self.session.body().to_vec() };
        lie(&self, &mut told);
        if told.answer.lease.is_empty() {
            told.answer.lease = told.lease.sign(&self.broker);
        }
        let signed = told.answer.sign(&told.signer);
        let reply = seal_reply(self.session.reply_key.public(), &told.reply_body, &signed).unwrap();
        self.session.finish(reply.to_json().as_bytes())
    }
}

/// One lie about a release, and what it must be refused as.
fn refused(wanted: &ReleaseError, lie: impl FnOnce(&Pair, &mut Lie)) {
    match pair(None).finish(lie) {
        Err(found) => assert_eq!(found, *wanted),
        Ok(_) => panic!("accepted, wanted: {wanted}"),
    }
}

#[test]
fn the_honest_answer_is_accepted() {
    let released = pair(None).finish(|_, _| {}).ok().unwrap();
    assert_eq!(released.keys[0].keys[0].expose_secret(), &[11; 32]);
    assert_eq!(released.keys[0].artifact_id, [10; 16]);
    assert_eq!(released.broker_time, NOW);
    let renewed = pair(Some(LeaseId::from_bytes([1; 16]))).finish(|_, _| {}).ok().unwrap();
    assert!(renewed.keys.is_empty());
}

#[test]
fn an_answer_signed_by_another_key_is_refused() {
    let signature = ReleaseError::Authentication("the release answer's signature");
    refused(&signature, |_, lie| lie.signer = SigningKey::from_seed([9; 32]));
    let signature = ReleaseError::Authentication("the lease's signature");
    refused(&signature, |_, lie| lie.answer.lease = lie.lease.sign(&SigningKey::from_seed([9; 32])));
}

#[test]
fn an_answer_to_another_request_is_refused() {
    refused(&ReleaseError::Authentication("the sealed answer's encryption"), |_, lie| lie.reply_body.push(0));
    refused(&ReleaseError::Mismatch("the release body"), |_, lie| lie.answer.body = [0; 32]);
    refused(&ReleaseError::Mismatch("the epoch statement"), |_, lie| lie.answer.statement = [0; 32]);
}

#[test]
fn a_lease_of_somebody_else_or_another_time_is_refused() {
    refused(&ReleaseError::Mismatch("the lease's deployment"), |_, lie| {
        lie.lease.deployment = DeploymentId::parse("shop").unwrap();
    });
    refused(&ReleaseError::Mismatch("the lease's instance"), |_, lie| lie.lease.instance_id = [0; 16]);
    refused(&ReleaseError::Mismatch("the lease's instance"), |_, lie| lie.lease.instance_key = [0; 32]);
    refused(&ReleaseError::Mismatch("the lease's models"), |_, lie| lie.lease.models.push([0; 32]));
    refused(&ReleaseError::Mismatch("the lease's time"), |_, lie| {
        lie.answer.broker_time = NOW.saturating_add_secs(600);
    });
}

#[test]
fn a_certificate_for_another_key_or_instance_or_without_its_issuer_is_refused() {
    refused(&ReleaseError::Mismatch("the instance certificate"), |pair, lie| {
        lie.answer.certificate = pair.certificate(&pair.broker.verifying_key(), [7; 16]);
    });
    refused(&ReleaseError::Mismatch("the instance certificate"), |pair, lie| {
        lie.answer.certificate = pair.certificate(&pair.instance.verifying_key(), [0; 16]);
    });
    refused(&ReleaseError::Mismatch("the number of certificates"), |_, lie| {
        lie.answer.certificate.pop();
    });
    refused(&ReleaseError::Authentication("the instance certificate"), |_, lie| {
        lie.answer.certificate.swap(0, 1);
    });
}

#[test]
fn models_other_than_asked_for_are_refused() {
    let wrong = || ReleaseError::Mismatch("the released models");
    refused(&wrong(), |_, lie| lie.answer.models[0].version = 5);
    refused(&wrong(), |_, lie| lie.answer.models[0].model_id = [0; 32]);
    refused(&wrong(), |_, lie| lie.answer.models[0].keys.clear());
    refused(&wrong(), |_, lie| lie.answer.models.clear());
}

#[test]
fn a_renewal_with_keys_or_of_another_lease_is_refused() {
    let renews = Some(LeaseId::from_bytes([1; 16]));
    let error = pair(renews).finish(|_, lie| lie.lease.lease_id = LeaseId::from_bytes([2; 16])).err().unwrap();
    assert_eq!(error, ReleaseError::Mismatch("the lease's id"));
    let error = pair(renews)
        .finish(|_, lie| {
            let keys = vec![Zeroizing::new([0; 32])];
            lie.answer.models.push(AnsweredModel { model_id: [5; 32], artifact_id: [0; 16], version: 6, keys });
        })
        .err()
        .unwrap();
    assert_eq!(error, ReleaseError::Mismatch("a renewal's list of keys"));
}

#[test]
fn purposes_classes_and_requests_give_different_report_data() {
    let release = pair(None).session;
    let renewal = pair(Some(LeaseId::from_bytes([1; 16]))).session;
    assert_ne!(release.report_data(), renewal.report_data());
    assert_ne!(release.report_data(), pair(None).session.report_data(), "each request has its own key");
    let mut hardware = pair(None).session;
    hardware.params.class = Class::Hardware;
    let before = hardware.report_data();
    hardware.params.class = Class::Simulated;
    assert_ne!(before, hardware.report_data());
}

#[test]
fn what_cannot_be_meant_is_found_before_anything_is_sent() {
    let Pair { broker, instance, session, .. } = pair(None);
    let challenge = Challenge { nonce: [0; 32], broker: broker.verifying_key().thumbprint() };
    let begin = |change: fn(&mut ReleaseParams)| {
        let mut params = session.params.clone();
        change(&mut params);
        ReleaseSession::begin(params, &challenge).err().unwrap()
    };
    for change in [
        (|params| params.models.clear()) as fn(&mut ReleaseParams),
        |params| params.lease_seconds = 0,
        |params| params.lease_seconds = MAX_LEASE_SECONDS + 1,
        |params| params.statement = vec![0],
    ] {
        assert_eq!(begin(change).code(), "MISUSE");
    }
    let stranger = Challenge { nonce: [0; 32], broker: [0; 32] };
    let error = ReleaseSession::begin(session.params.clone(), &stranger).err().unwrap();
    assert_eq!(error.code(), "WRONG_BROKER");
    let empty = || Collection::new(strongroom_channel::attest::CollectionKind::Evidence);
    assert!(session.request(&instance, empty(), empty()).is_ok());
    let error = session.request(&broker, empty(), empty()).unwrap_err();
    assert_eq!(error.code(), "MISUSE");
}
