//! The heartbeat and its answer (protocol.md A10): the thread by which a lease hangs.

use strongroom_attestation::UnixTime;
use strongroom_channel::cbor::{self, CborError, Value};
use strongroom_channel::cose::{SigningKey, VerifyingKey, media};

use super::answer::Credential;
use super::error::ReleaseError;
use super::lease::LeaseId;
use super::wire::{Defect, Malformed, Message, at_most, byte_strings};
use super::{MAX_CERTIFICATES, MAX_LEASES, MAX_SIGNED_BYTES};

/// What the instance says every three seconds, signed by its own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Field 1.
    pub instance_id: [u8; 16],
    /// Field 2: random, new for each heartbeat, the same for its retries.
    pub nonce: [u8; 16],
    /// Field 3: SHA-256 of the last answer as received, zeros before the first. Two different
    /// heartbeats with one predecessor show that the instance was copied.
    pub last_answer: [u8; 32],
    /// Field 4.
    pub lease_id: LeaseId,
}

impl Heartbeat {
    /// The heartbeat as sent: COSE_Sign1 by the instance key, media type `HEARTBEAT`.
    pub fn sign(&self, instance: &SigningKey) -> Vec<u8> {
        instance.sign1(media::HEARTBEAT, &self.encode())
    }

    /// Reads a heartbeat of the instance that owns `key`.
    ///
    /// # Errors
    /// [`ReleaseError::Authentication`] or [`ReleaseError::Malformed`].
    pub fn verify(signed: &[u8], key: &VerifyingKey) -> Result<Self, ReleaseError> {
        let payload = key
            .verify1(media::HEARTBEAT, signed)
            .map_err(|_| ReleaseError::Authentication("the heartbeat's signature"))?;
        Ok(Self::decode(&payload)?)
    }

    /// Reads what a heartbeat says *without* checking who signed it, to learn whose key must
    /// have. Nothing may be done with the result but that look-up.
    ///
    /// # Errors
    /// [`Malformed`] for anything but a COSE_Sign1 around the one deterministic encoding.
    pub fn peek(signed: &[u8]) -> Result<Self, Malformed> {
        let payload = || -> Result<&[u8], CborError> {
            let [_, _, payload, _] = cbor::decode(signed)?.items_exactly()?;
            payload.bytes()
        };
        Self::decode(payload().map_err(|error| Malformed { message: Self::NAME, defect: error.into() })?)
    }
}

impl Message for Heartbeat {
    const NAME: &'static str = "heartbeat";
    const LIMIT: usize = 256;

    fn value(&self) -> Value<'_> {
        Value::map([
            (1, Value::Bytes(&self.instance_id)),
            (2, Value::Bytes(&self.nonce)),
            (3, Value::Bytes(&self.last_answer)),
            (4, Value::Bytes(self.lease_id.as_bytes())),
        ])
    }

    fn read(value: Value<'_>) -> Result<Self, Defect> {
        let mut fields = value.fields()?;
        let heartbeat = Self {
            instance_id: fields.require(1)?.fixed()?,
            nonce: fields.require(2)?.fixed()?,
            last_answer: fields.require(3)?.fixed()?,
            lease_id: LeaseId::from_bytes(fields.require(4)?.fixed()?),
        };
        fields.finish()?;
        Ok(heartbeat)
    }
}

/// The broker's signed word on one heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// Field 1: the heartbeat's nonce.
    pub nonce: [u8; 16],
    /// Field 2.
    pub broker_time: UnixTime,
    /// Field 3: a new instance certificate and its issuer, DER, when one is due.
    pub certificate: Option<Vec<Vec<u8>>>,
    /// Field 4: every client credential, when any changed.
    pub credentials: Option<Vec<Credential>>,
    /// Field 5: leases that are over: revoked, expired or forked.
    pub revoked: Vec<LeaseId>,
    /// Field 6: SHA-256 of the heartbeat as received.
    pub heartbeat: [u8; 32],
}

impl HeartbeatAnswer {
    /// The answer as sent: COSE_Sign1 by the broker, media type `HEARTBEAT_ANSWER`.
    pub fn sign(&self, broker: &SigningKey) -> Vec<u8> {
        broker.sign1(media::HEARTBEAT_ANSWER, &self.encode())
    }

    /// Reads an answer of the broker that owns `key`.
    ///
    /// # Errors
    /// [`ReleaseError::Authentication`] or [`ReleaseError::Malformed`].
    pub fn verify(signed: &[u8], key: &VerifyingKey) -> Result<Self, ReleaseError> {
        let payload = key
            .verify1(media::HEARTBEAT_ANSWER, signed)
            .map_err(|_| ReleaseError::Authentication("the heartbeat answer's signature"))?;
        Ok(Self::decode(&payload)?)
    }
}

impl Message for HeartbeatAnswer {
    const NAME: &'static str = "heartbeat answer";
    const LIMIT: usize = MAX_SIGNED_BYTES;

    fn value(&self) -> Value<'_> {
        let certificate = self.certificate.as_ref().map(Value::byte_strings);
        let credentials = self.credentials.as_deref().map(Credential::values);
        let revoked = self.revoked.iter().map(|lease| Value::Bytes(lease.as_bytes()));
        Value::map([
            (1, Value::Bytes(&self.nonce)),
            (2, Value::Uint(self.broker_time.as_secs())),
            (3, certificate.unwrap_or(Value::Null)),
            (4, credentials.unwrap_or(Value::Null)),
            (5, Value::array(revoked)),
            (6, Value::Bytes(&self.heartbeat)),
        ])
    }

    fn read(value: Value<'_>) -> Result<Self, Defect> {
        let mut fields = value.fields()?;
        let answer = Self {
            nonce: fields.require(1)?.fixed()?,
            broker_time: UnixTime::from_secs(fields.require(2)?.uint()?),
            certificate: match fields.require(3)?.nullable() {
                Some(chain) => Some(byte_strings(chain, MAX_CERTIFICATES)?),
                None => None,
            },
            credentials: match fields.require(4)?.nullable() {
                Some(credentials) => Some(Credential::read_all(credentials)?),
                None => None,
            },
            revoked: at_most(fields.require(5)?, MAX_LEASES)?
                .into_iter()
                .map(|lease| Ok(LeaseId::from_bytes(lease.fixed()?)))
                .collect::<Result<_, Defect>>()?,
            heartbeat: fields.require(6)?.fixed()?,
        };
        fields.finish()?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_messages_round_trip_under_their_own_keys_and_media_types() {
        let key = SigningKey::generate();
        let heartbeat = Heartbeat {
            instance_id: [1; 16],
            nonce: [2; 16],
            last_answer: [0; 32],
            lease_id: LeaseId::from_bytes([3; 16]),
        };
        let signed = heartbeat.sign(&key);
        assert_eq!(Heartbeat::verify(&signed, &key.verifying_key()), Ok(heartbeat));
        assert!(HeartbeatAnswer::verify(&signed, &key.verifying_key()).is_err());
        assert_eq!(Heartbeat::peek(&signed).unwrap().nonce, [2; 16]);

        for (certificate, credentials) in [
            (None, None),
            (
                Some(vec![vec![1, 2], vec![3]]),
                Some(vec![Credential { id: "ak-1".into(), hash: [8; 32], tenant: "bank".into() }]),
            ),
        ] {
            let answer = HeartbeatAnswer {
                nonce: [2; 16],
                broker_time: UnixTime::from_secs(5),
                certificate,
                credentials,
                revoked: vec![LeaseId::from_bytes([3; 16])],
                heartbeat: [4; 32],
            };
            let signed = answer.sign(&key);
            assert_eq!(HeartbeatAnswer::verify(&signed, &key.verifying_key()), Ok(answer));
        }
    }
}
