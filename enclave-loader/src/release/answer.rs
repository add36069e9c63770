//! The broker's answer to a release or a renewal: signed by the broker, then sealed to the
//! one-use key of the request.

use strongroom_attestation::UnixTime;
use strongroom_channel::cbor::Value;
use strongroom_channel::cose::{SigningKey, VerifyingKey, media};
use zeroize::Zeroizing;

use super::error::ReleaseError;
use super::wire::{Defect, Malformed, Message, at_most, byte_strings};
use super::{MAX_CERTIFICATES, MAX_CREDENTIALS, MAX_MODELS, MAX_RUNS, MAX_SIGNED_BYTES};

/// What the broker signs. Not `Debug`: it holds keys.
#[derive(PartialEq, Eq)]
pub struct ReleaseAnswer {
    /// Field 1: SHA-256 of the release body.
    pub body: [u8; 32],
    /// Field 2: SHA-256 of the epoch statement.
    pub statement: [u8; 32],
    /// Field 3.
    pub broker_time: UnixTime,
    /// Field 4: the keys; empty in the answer to a renewal.
    pub models: Vec<AnsweredModel>,
    /// Field 5: the signed lease.
    pub lease: Vec<u8>,
    /// Field 6: the instance certificate and its issuer, DER.
    pub certificate: Vec<Vec<u8>>,
    /// Field 7: every client credential in force.
    pub credentials: Vec<Credential>,
}

/// One model with its keys. Not `Debug`: it holds keys.
#[derive(PartialEq, Eq)]
pub struct AnsweredModel {
    /// SHA-256 of the sealed manifest's core.
    pub model_id: [u8; 32],
    /// The artifact that the keys open.
    pub artifact_id: [u8; 16],
    /// The version that the broker released.
    pub version: u64,
    /// One key for each sealing run, in the order of the runs.
    pub keys: Vec<Zeroizing<[u8; 32]>>,
}

/// A client's API key as an instance may know it: by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The broker's name for it, shown in lists and logs.
    pub id: String,
    /// SHA-256 of the key as the client presents it.
    pub hash: [u8; 32],
    /// Whose requests these are; tenancy, budgets and cache isolation follow it.
    pub tenant: String,
}

impl ReleaseAnswer {
    /// The answer as it is sealed: COSE_Sign1 by the broker, media type `RELEASE_ANSWER`.
    /// The result holds keys in the clear.
    pub fn sign(&self, broker: &SigningKey) -> Zeroizing<Vec<u8>> {
        let payload = Zeroizing::new(self.encode());
        Zeroizing::new(broker.sign1(media::RELEASE_ANSWER, &payload))
    }

    /// Reads an answer of the broker that owns `key`.
    ///
    /// # Errors
    /// [`ReleaseError::Authentication`] or [`ReleaseError::Malformed`].
    pub fn verify(signed: &[u8], key: &VerifyingKey) -> Result<Self, ReleaseError> {
        let payload = key
            .verify1(media::RELEASE_ANSWER, signed)
            .map_err(|_| ReleaseError::Authentication("the release answer's signature"))?;
        let payload = Zeroizing::new(payload);
        Ok(Self::decode(&payload)?)
    }
}

impl Credential {
    pub(super) fn values(credentials: &[Self]) -> Value<'_> {
        Value::array(credentials.iter().map(|credential| {
            Value::array([Value::Text(&credential.id), Value::Bytes(&credential.hash), Value::Text(&credential.tenant)])
        }))
    }

    pub(super) fn read_all(value: Value<'_>) -> Result<Vec<Self>, Defect> {
        at_most(value, MAX_CREDENTIALS)?
            .into_iter()
            .map(|item| {
                let [id, hash, tenant] = item.items_exactly()?;
                Ok(Self { id: id.text()?.to_owned(), hash: hash.fixed()?, tenant: tenant.text()?.to_owned() })
            })
            .collect()
    }
}

impl Message for ReleaseAnswer {
    const NAME: &'static str = "release answer";
    const LIMIT: usize = MAX_SIGNED_BYTES;

    fn value(&self) -> Value<'_> {
        Value::map([
            (1, Value::Bytes(&self.body)),
            (2, Value::Bytes(&self.statement)),
            (3, Value::Uint(self.broker_time.as_secs())),
            (4, Value::array(self.models.iter().map(Message::value))),
            (5, Value::Bytes(&self.lease)),
            (6, Value::byte_strings(&self.certificate)),
            (7, Credential::values(&self.credentials)),
        ])
    }

    fn read(value: Value<'_>) -> Result<Self, Defect> {
        let mut fields = value.fields()?;
        let answer = Self {
            body: fields.require(1)?.fixed()?,
            statement: fields.require(2)?.fixed()?,
            broker_time: UnixTime::from_secs(fields.require(3)?.uint()?),
            models: at_most(fields.require(4)?, MAX_MODELS)?
                .into_iter()
                .map(Message::read)
                .collect::<Result<_, _>>()?,
            lease: fields.require(5)?.bytes()?.to_vec(),
            certificate: byte_strings(fields.require(6)?, MAX_CERTIFICATES)?,
            credentials: Credential::read_all(fields.require(7)?)?,
        };
        fields.finish()?;
        Ok(answer)
    }
}

impl AnsweredModel {
    /// The keys of one model alone, as a broker serves them over the CoCo KBS protocol
    /// (key-release.md section 9). The result holds keys in the clear.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.encode())
    }

    /// Reads [`AnsweredModel::to_bytes`] back.
    ///
    /// # Errors
    /// [`Malformed`] for anything but the one deterministic encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::decode(bytes)
    }
}

impl Message for AnsweredModel {
    const NAME: &'static str = "model keys";
    const LIMIT: usize = 4 * 1024;

    fn value(&self) -> Value<'_> {
        Value::array([
            Value::Bytes(&self.model_id),
            Value::Bytes(&self.artifact_id),
            Value::Uint(self.version),
            Value::array(self.keys.iter().map(|key| Value::Bytes(key.as_slice()))),
        ])
    }

    fn read(value: Value<'_>) -> Result<Self, Defect> {
        let [model_id, artifact_id, version, keys] = value.items_exactly()?;
        Ok(Self {
            model_id: model_id.fixed()?,
            artifact_id: artifact_id.fixed()?,
            version: version.uint()?,
            keys: at_most(keys, MAX_RUNS)?
                .into_iter()
                .map(|key| Ok(Zeroizing::new(key.fixed()?)))
                .collect::<Result<_, Defect>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_back_only_under_the_brokers_key() {
        let broker = SigningKey::generate();
        let answer = ReleaseAnswer {
            body: [1; 32],
            statement: [2; 32],
            broker_time: UnixTime::from_secs(9),
            models: vec![AnsweredModel {
                model_id: [3; 32],
                artifact_id: [4; 16],
                version: 5,
                keys: vec![Zeroizing::new([6; 32]), Zeroizing::new([7; 32])],
            }],
            lease: vec![8],
            certificate: vec![vec![9], vec![10]],
            credentials: vec![],
        };
        let signed = answer.sign(&broker);
        let read = ReleaseAnswer::verify(&signed, &broker.verifying_key());
        assert!(read.is_ok_and(|read| read == answer));
        let other = SigningKey::generate().verifying_key();
        assert!(ReleaseAnswer::verify(&signed, &other).is_err());
    }
}
