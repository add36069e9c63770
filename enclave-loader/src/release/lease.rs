//! The lease: for how long, and for whom, released keys may be used.

use std::fmt;

use strongroom_attestation::UnixTime;
use strongroom_channel::cbor::Value;
use strongroom_channel::cose::{SigningKey, VerifyingKey, media};
use strongroom_channel::deployment::DeploymentId;

use super::MAX_MODELS;
use super::error::ReleaseError;
use super::wire::{Defect, Malformed, Message, at_most};

/// A lease's random name, kept when the lease is renewed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId([u8; 16]);

impl LeaseId {
    /// The id with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its sixteen bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the 32 hexadecimal digits that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LeaseId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LeaseId({self})")
    }
}

/// What the broker grants, signed by it (key-release.md section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Field 1.
    pub lease_id: LeaseId,
    /// Field 2.
    pub deployment: DeploymentId,
    /// Field 3.
    pub instance_id: [u8; 16],
    /// Field 4: SHA-256 of the instance's verifying key.
    pub instance_key: [u8; 32],
    /// Field 5: the model ids that may be used.
    pub models: Vec<[u8; 32]>,
    /// Field 6, broker time.
    pub not_before: UnixTime,
    /// Field 7, broker time: from here on nothing may be served.
    pub expires: UnixTime,
    /// Field 8, broker time: from here on a renewal is welcome.
    pub renew_after: UnixTime,
    /// Field 9: SHA-256 of the policy that granted it.
    pub policy_hash: [u8; 32],
    /// Field 10: the platform it was granted to, unless policy allows an unidentified one.
    pub platform_identity: Option<Vec<u8>>,
    /// Field 11: how many seconds the instance may go on without an answer, at least
    /// [`super::LEAST_OFFLINE`] whatever this says.
    pub offline_grant: u64,
}

impl Lease {
    /// The lease as the broker signs it: COSE_Sign1 with media type `LEASE`.
    pub fn sign(&self, broker: &SigningKey) -> Vec<u8> {
        broker.sign1(media::LEASE, &self.encode())
    }

    /// Reads a lease signed by `broker`.
    ///
    /// # Errors
    /// [`ReleaseError::Authentication`] for a wrong signature, [`ReleaseError::Malformed`] for
    /// signed bytes that are no lease.
    pub fn verify(signed: &[u8], broker: &VerifyingKey) -> Result<Self, ReleaseError> {
        let payload =
            broker.verify1(media::LEASE, signed).map_err(|_| ReleaseError::Authentication("the lease's signature"))?;
        Ok(Self::decode(&payload)?)
    }

    /// The lease's payload, unsigned, as stored by the broker.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode()
    }

    /// Reads a payload that the caller holds to be authentic.
    ///
    /// # Errors
    /// [`Malformed`] for anything but the one deterministic encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::decode(bytes)
    }
}

impl Message for Lease {
    const NAME: &'static str = "lease";
    const LIMIT: usize = 8 * 1024;

    fn value(&self) -> Value<'_> {
        Value::map([
            (1, Value::Bytes(self.lease_id.as_bytes())),
            (2, Value::Text(self.deployment.as_str())),
            (3, Value::Bytes(&self.instance_id)),
            (4, Value::Bytes(&self.instance_key)),
            (5, Value::byte_strings(&self.models)),
            (6, Value::Uint(self.not_before.as_secs())),
            (7, Value::Uint(self.expires.as_secs())),
            (8, Value::Uint(self.renew_after.as_secs())),
            (9, Value::Bytes(&self.policy_hash)),
            (10, Value::bytes_or_null(self.platform_identity.as_deref())),
            (11, Value::Uint(self.offline_grant)),
        ])
    }

    fn read(value: Value<'_>) -> Result<Self, Defect> {
        let mut fields = value.fields()?;
        let lease = Self {
            lease_id: LeaseId(fields.require(1)?.fixed()?),
            deployment: DeploymentId::parse(fields.require(2)?.text()?)
                .map_err(|_| Defect::Rule("field 2 is not a deployment id"))?,
            instance_id: fields.require(3)?.fixed()?,
            instance_key: fields.require(4)?.fixed()?,
            models: at_most(fields.require(5)?, MAX_MODELS)?.into_iter().map(Value::fixed).collect::<Result<_, _>>()?,
            not_before: UnixTime::from_secs(fields.require(6)?.uint()?),
            expires: UnixTime::from_secs(fields.require(7)?.uint()?),
            renew_after: UnixTime::from_secs(fields.require(8)?.uint()?),
            policy_hash: fields.require(9)?.fixed()?,
            platform_identity: match fields.require(10)?.nullable() {
                Some(identity) => Some(identity.bytes()?.to_vec()),
                None => None,
            },
            offline_grant: fields.require(11)?.uint()?,
        };
        fields.finish()?;
        if lease.not_before > lease.renew_after || lease.renew_after > lease.expires {
            return Err(Defect::Rule("its times are out of order"));
        }
        Ok(lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> Lease {
        Lease {
            lease_id: LeaseId([1; 16]),
            deployment: DeploymentId::parse("bank-prod").unwrap(),
            instance_id: [2; 16],
            instance_key: [3; 32],
            models: vec![[4; 32]],
            not_before: UnixTime::from_secs(100),
            expires: UnixTime::from_secs(3700),
            renew_after: UnixTime::from_secs(1900),
            policy_hash: [5; 32],
            platform_identity: Some(vec![6; 64]),
            offline_grant: 0,
        }
    }

    #[test]
    fn a_lease_is_read_back_only_under_the_brokers_key() {
        let broker = SigningKey::generate();
        let signed = lease().sign(&broker);
        assert_eq!(Lease::verify(&signed, &broker.verifying_key()), Ok(lease()));
        let other = SigningKey::generate().verifying_key();
        assert_eq!(Lease::verify(&signed, &other), Err(ReleaseError::Authentication("the lease's signature")));
    }

    #[test]
    fn a_lease_with_another_messages_media_type_is_refused() {
        let broker = SigningKey::generate();
        let signed = broker.sign1(media::HEARTBEAT_ANSWER, &lease().to_bytes());
        assert!(Lease::verify(&signed, &broker.verifying_key()).is_err());
    }

    #[test]
    fn a_lease_that_ends_before_it_begins_is_refused() {
        let mut backwards = lease();
        backwards.expires = UnixTime::from_secs(50);
        assert!(Lease::from_bytes(&backwards.to_bytes()).is_err());
    }

    #[test]
    fn a_lease_id_is_read_back_from_its_text() {
        let id = LeaseId([0xab; 16]);
        assert_eq!(LeaseId::parse(&id.to_string()), Some(id));
        assert_eq!(LeaseId::parse("ab"), None);
    }
}
