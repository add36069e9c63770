//! The instance's side of one release or renewal, as a pure state machine.
//!
//! challenge → [`ReleaseSession::begin`] → report data to quote → [`ReleaseSession::request`]
//! → the broker's answer → [`ReleaseSession::finish`] → [`Released`].

use strongroom_attestation::{UnixTime, crypto};
use strongroom_channel::attest::Collection;
use strongroom_channel::binding::{self, Class, Purpose};
use strongroom_channel::cose::{SigningKey, VerifyingKey, media};
use strongroom_channel::statement::{self, EpochStatement};
use strongroom_channel::{freshness, instance_certificate};

use super::answer::{AnsweredModel, Credential, ReleaseAnswer};
use super::body::{ReleaseBody, WantedModel};
use super::challenge::Challenge;
use super::error::ReleaseError;
use super::lease::{Lease, LeaseId};
use super::reply_key::{ReplyKeyPair, SealedReply};
use super::request::ReleaseRequest;
use super::{MAX_LEASE_SECONDS, MAX_MODELS};
use crate::ArtifactKey;

/// What an instance asks for, and of whom.
#[derive(Debug, Clone)]
pub struct ReleaseParams {
    /// The broker's key, pinned in the measured configuration.
    pub broker_key: VerifyingKey,
    /// Whether this instance's evidence is of hardware or simulated.
    pub class: Class,
    /// The current epoch statement's bytes: the boot epoch's for a release.
    pub statement: Vec<u8>,
    /// The models wanted.
    pub models: Vec<WantedModel>,
    /// The lease wanted, in seconds.
    pub lease_seconds: u64,
    /// For a renewal, the lease to extend; no keys come then.
    pub renews: Option<LeaseId>,
}

/// One request under way. Holds the one-use key that its answer is sealed to, so it cannot be
/// cloned, and finishing consumes it.
pub struct ReleaseSession {
    params: ReleaseParams,
    statement: EpochStatement,
    body: Vec<u8>,
    reply_key: ReplyKeyPair,
}

/// What the broker granted.
pub struct Released {
    /// The keys; empty after a renewal.
    pub keys: Vec<ReleasedModel>,
    /// The lease under which they may be used.
    pub lease: Lease,
    /// The instance certificate and its issuer, DER.
    pub certificate: Vec<Vec<u8>>,
    /// The client credentials in force.
    pub credentials: Vec<Credential>,
    /// The broker's time when it answered.
    pub broker_time: UnixTime,
}

/// The keys of one model.
pub struct ReleasedModel {
    /// The model id, as asked for.
    pub model_id: [u8; 32],
    /// The artifact that the keys open.
    pub artifact_id: [u8; 16],
    /// The version, as asked for.
    pub version: u64,
    /// One key for each sealing run, in the order of the runs.
    pub keys: Vec<ArtifactKey>,
}

impl ReleaseSession {
    /// Begins a request in answer to `challenge`, under a new one-use key.
    ///
    /// # Errors
    /// [`ReleaseError::WrongBroker`] when the challenge is another broker's,
    /// [`ReleaseError::Misuse`] when the parameters cannot be meant.
    pub fn begin(params: ReleaseParams, challenge: &Challenge) -> Result<Self, ReleaseError> {
        let broker = params.broker_key.thumbprint();
        if challenge.broker != broker {
            return Err(ReleaseError::WrongBroker {
                wanted: hex::encode(broker),
                found: hex::encode(challenge.broker),
            });
        }
        if params.models.is_empty() || params.models.len() > MAX_MODELS {
            return Err(ReleaseError::Misuse("ask for 1 to 16 models"));
        }
        if params.lease_seconds == 0 || params.lease_seconds > MAX_LEASE_SECONDS {
            return Err(ReleaseError::Misuse("ask for a lease of 1 second to 24 hours"));
        }
        let statement = EpochStatement::decode(&params.statement)
            .map_err(|_| ReleaseError::Misuse("the epoch statement cannot be read"))?;
        let reply_key = ReplyKeyPair::generate();
        let body = ReleaseBody {
            broker,
            nonce: challenge.nonce,
            reply_key: reply_key.public().to_vec(),
            models: params.models.clone(),
            lease_seconds: params.lease_seconds,
            deployment: statement.deployment.clone(),
            renews: params.renews,
        }
        .to_bytes();
        // What would be refused at the other end is refused here, with a better message.
        ReleaseBody::from_bytes(&body)?;
        Ok(Self { params, statement, body, reply_key })
    }

    /// The release body: what the quote's freshness leaf covers.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What the instance key signs and the quote proves (protocol.md A1).
    #[must_use]
    pub fn preimage(&self) -> Vec<u8> {
        let purpose = match self.params.renews {
            None => Purpose::Release,
            Some(_) => Purpose::Renewal,
        };
        let statement_hash = statement::hash(&self.params.statement);
        let root = freshness::leaf(&self.body);
        binding::preimage(self.params.class, purpose, &statement_hash, &root, 1)
    }

    /// The report data to collect evidence for.
    #[must_use]
    pub fn report_data(&self) -> [u8; 64] {
        binding::report_data(&self.preimage())
    }

    /// The request to post, with the evidence for [`ReleaseSession::report_data`].
    ///
    /// # Errors
    /// [`ReleaseError::Misuse`] when `instance_key` is not the statement's key.
    pub fn request(
        &self,
        instance_key: &SigningKey,
        evidence: Collection,
        endorsements: Collection,
    ) -> Result<ReleaseRequest, ReleaseError> {
        if instance_key.verifying_key() != self.statement.signing_key {
            return Err(ReleaseError::Misuse("this is not the key in the epoch statement"));
        }
        Ok(ReleaseRequest {
            body: self.body.clone(),
            statement: self.params.statement.clone(),
            instance_signature: instance_key.sign1(media::PROOF, &self.preimage()),
            evidence,
            endorsements,
        })
    }

    /// Opens and checks the broker's answer (the body of a 200). The steps:
    ///
    /// 1. it opens with this request's one-use key and body;
    /// 2. the pinned broker signed it;
    /// 3. it names this request's body and statement;
    /// 4. its lease is signed by the broker, for this deployment, instance, key and models,
    ///    and in force by the broker's own time;
    /// 5. its certificate chains to the issuer beside it and is for this instance's key;
    /// 6. its models are the ones asked for, in number, id and version.
    ///
    /// # Errors
    /// [`ReleaseError::Authentication`], [`ReleaseError::Mismatch`] or a malformed answer.
    pub fn finish(self, answer: &[u8]) -> Result<Released, ReleaseError> {
        let reply = SealedReply::from_json(answer)?;
        let signed = self.reply_key.open(&reply, &self.body)?;
        let answer = ReleaseAnswer::verify(&signed, &self.params.broker_key)?;
        if answer.body != crypto::sha256(&self.body) {
            return Err(ReleaseError::Mismatch("the release body"));
        }
        if answer.statement != statement::hash(&self.params.statement) {
            return Err(ReleaseError::Mismatch("the epoch statement"));
        }
        let lease = self.check_lease(&answer)?;
        self.check_certificate(&answer)?;
        self.check_models(&answer.models)?;
        Ok(Released {
            keys: answer.models.into_iter().map(released).collect(),
            lease,
            certificate: answer.certificate,
            credentials: answer.credentials,
            broker_time: answer.broker_time,
        })
    }

    fn check_lease(&self, answer: &ReleaseAnswer) -> Result<Lease, ReleaseError> {
        let lease = Lease::verify(&answer.lease, &self.params.broker_key)?;
        if lease.deployment != self.statement.deployment {
            return Err(ReleaseError::Mismatch("the lease's deployment"));
        }
        if lease.instance_id != self.statement.instance_id
            || lease.instance_key != self.statement.signing_key.thumbprint()
        {
            return Err(ReleaseError::Mismatch("the lease's instance"));
        }
        if self.params.renews.is_some_and(|renewed| renewed != lease.lease_id) {
            return Err(ReleaseError::Mismatch("the lease's id"));
        }
        let wanted = self.params.models.iter().map(|model| &model.model_id);
        if !wanted.eq(lease.models.iter()) {
            return Err(ReleaseError::Mismatch("the lease's models"));
        }
        if answer.broker_time < lease.not_before || answer.broker_time >= lease.expires {
            return Err(ReleaseError::Mismatch("the lease's time"));
        }
        Ok(lease)
    }

    fn check_certificate(&self, answer: &ReleaseAnswer) -> Result<(), ReleaseError> {
        let [leaf, issuer] = answer.certificate.as_slice() else {
            return Err(ReleaseError::Mismatch("the number of certificates"));
        };
        let certificate = instance_certificate::verify(leaf, issuer, answer.broker_time)
            .map_err(|_| ReleaseError::Authentication("the instance certificate"))?;
        if *certificate.key() != self.statement.signing_key
            || certificate.claims().deployment != self.statement.deployment
            || certificate.claims().instance_id != self.statement.instance_id
        {
            return Err(ReleaseError::Mismatch("the instance certificate"));
        }
        Ok(())
    }

    fn check_models(&self, models: &[AnsweredModel]) -> Result<(), ReleaseError> {
        if self.params.renews.is_some() {
            return match models {
                [] => Ok(()),
                _ => Err(ReleaseError::Mismatch("a renewal's list of keys")),
            };
        }
        let same = |(wanted, found): (&WantedModel, &AnsweredModel)| {
            wanted.model_id == found.model_id && wanted.version == found.version && !found.keys.is_empty()
        };
        if models.len() != self.params.models.len() || !self.params.models.iter().zip(models).all(same) {
            return Err(ReleaseError::Mismatch("the released models"));
        }
        Ok(())
    }
}

fn released(model: AnsweredModel) -> ReleasedModel {
    ReleasedModel {
        model_id: model.model_id,
        artifact_id: model.artifact_id,
        version: model.version,
        keys: model.keys.into_iter().map(ArtifactKey::from_bytes).collect(),
    }
}

#[cfg(test)]
mod tests;
