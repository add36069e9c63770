//! A deny list as a feed: signed by whoever keeps it, each edition with a higher sequence
//! (docs/specs/deny-list.md).

use sha2::{Digest as _, Sha256};
use strongroom_attestation::{Denied, DeniedSubject, DenyList, HexBytes, PlatformIdentity, PolicyError, UnixTime};

use crate::cbor::{self, CborError, Value};
use crate::cose::{CoseError, SigningKey, VerifyingKey, media};
use crate::key_and_message::{self, EnvelopeError, KeyAndMessage};

/// Largest file that is read or written.
pub const MAX_DENY_LIST: usize = 1 << 20;
/// The only version.
const VERSION: u64 = 1;
/// Numbers of the kinds of entries, in the order of the entries.
const PLATFORM: u64 = 1;
const FMSPC: u64 = 2;
const MEASUREMENT: u64 = 3;
const CERTIFICATE: u64 = 4;
const ADVISORY: u64 = 5;

/// One edition, whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDenyList {
    /// SHA-256 of the key that signed it.
    pub key: [u8; 32],
    /// When it was signed.
    pub created: UnixTime,
    /// Its last second.
    pub not_after: UnixTime,
    /// What it denies; its end is `not_after`.
    pub list: DenyList,
    /// SHA-256 of what was signed: two editions of one sequence differ in it.
    pub digest: [u8; 32],
}

/// Why a deny list is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DenyListError {
    /// Not the form described in docs/specs/deny-list.md.
    #[error("not a signed deny list: {0}; get it again from whoever keeps it")]
    Malformed(#[from] MalformedDenyList),
    /// Signed by another key than the pinned one.
    #[error("the deny list is by key sha256:{}, pinned is sha256:{}; ask whoever keeps it which one is right", hex::encode(.found), hex::encode(.pinned))]
    WrongKey {
        /// The thumbprint that was pinned.
        pinned: [u8; 32],
        /// The thumbprint of the key in the file.
        found: [u8; 32],
    },
    /// The signature does not hold.
    #[error("the deny list's signature does not hold; get it again from whoever keeps it")]
    Signature,
    /// Older than one that was seen before.
    #[error("the deny list has sequence {found}, and {seen} was seen before; get the current one")]
    Older {
        /// The highest sequence seen.
        seen: u64,
        /// The sequence in the file.
        found: u64,
    },
    /// Another edition under the sequence of one that was seen before.
    #[error("another deny list with sequence {sequence} was seen before; get the one with the next sequence")]
    TwoOfOneSequence {
        /// The sequence of both.
        sequence: u64,
    },
    /// Past its end.
    #[error("the deny list ended at {at}; get the current one")]
    Expired {
        /// Its last second.
        at: UnixTime,
    },
}

/// What is wrong with a list's form.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedDenyList {
    /// Longer than [`MAX_DENY_LIST`].
    #[error("longer than {MAX_DENY_LIST} bytes")]
    TooLong,
    /// Not the deterministic CBOR of its fields.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// The key or the envelope of the signature.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// An entry, or the list as a whole.
    #[error("{0}")]
    List(#[from] PolicyError),
    /// A field has a value that no list has.
    #[error("field {field}: wanted {wanted}")]
    Value {
        /// The field's key.
        field: u64,
        /// What was wanted.
        wanted: &'static str,
    },
}

/// Signs an edition. It must have an end, and that after `created`.
pub fn sign(list: &DenyList, created: UnixTime, key: &SigningKey) -> Result<Vec<u8>, MalformedDenyList> {
    let not_after = list.not_after().filter(|end| *end > created);
    let not_after = not_after.ok_or(value(5, "not_after, later than the creation"))?;
    let bytes = key_and_message::sign(key, media::DENY_LIST, &encode(list, created, not_after));
    if bytes.len() > MAX_DENY_LIST { Err(MalformedDenyList::TooLong) } else { Ok(bytes) }
}

/// Reads and checks a list.
///
/// `pinned` is the thumbprint of the key that its keeper told (SHA-256 of the 32 bytes);
/// `least_sequence` the highest sequence seen, or 0.
pub fn verify(
    bytes: &[u8],
    pinned: &[u8; 32],
    least_sequence: u64,
    now: UnixTime,
) -> Result<SignedDenyList, DenyListError> {
    let found = envelope(bytes)?.thumbprint();
    if found != *pinned {
        return Err(DenyListError::WrongKey { pinned: *pinned, found });
    }
    let signed = read(bytes)?;
    let found = signed.list.sequence();
    if found < least_sequence {
        return Err(DenyListError::Older { seen: least_sequence, found });
    }
    if now > signed.not_after {
        return Err(DenyListError::Expired { at: signed.not_after });
    }
    Ok(signed)
}

/// Reads a list whose signature holds under the key that it names itself: whose that is, and
/// whether the list is current, the caller asks.
pub fn read(bytes: &[u8]) -> Result<SignedDenyList, DenyListError> {
    let envelope = envelope(bytes)?;
    let key = VerifyingKey::from_bytes(&envelope.key).map_err(MalformedDenyList::Cose)?;
    let payload = key.verify1(media::DENY_LIST, envelope.message).map_err(|error| match error {
        CoseError::Signature => DenyListError::Signature,
        other => MalformedDenyList::Cose(other).into(),
    })?;
    let (list, created, not_after) = decode(&payload)?;
    let digest = Sha256::digest(&payload).into();
    Ok(SignedDenyList { key: envelope.thumbprint(), created, not_after, list, digest })
}

fn envelope(bytes: &[u8]) -> Result<KeyAndMessage<'_>, MalformedDenyList> {
    if bytes.len() > MAX_DENY_LIST {
        return Err(MalformedDenyList::TooLong);
    }
    Ok(KeyAndMessage::read(bytes)?)
}

fn encode(list: &DenyList, created: UnixTime, not_after: UnixTime) -> Vec<u8> {
    let entries = list.entries().iter().map(|Denied { subject, reason }| {
        let (kind, subject) = match subject {
            DeniedSubject::Platform(identity) => (PLATFORM, Value::Bytes(&identity.0)),
            DeniedSubject::Fmspc(fmspc) => (FMSPC, Value::Bytes(&fmspc.0)),
            DeniedSubject::Measurement(measurement) => (MEASUREMENT, Value::Bytes(&measurement.0)),
            DeniedSubject::Certificate(digest) => (CERTIFICATE, Value::Bytes(&digest.0)),
            DeniedSubject::Advisory(name) => (ADVISORY, Value::Text(name)),
        };
        Value::array([Value::Uint(kind), subject, Value::Text(reason)])
    });
    Value::map([
        (1, Value::Uint(VERSION)),
        (2, Value::Text(list.issuer())),
        (3, Value::Uint(list.sequence())),
        (4, Value::Uint(created.as_secs())),
        (5, Value::Uint(not_after.as_secs())),
        (6, Value::array(entries)),
    ])
    .encode()
}

fn decode(payload: &[u8]) -> Result<(DenyList, UnixTime, UnixTime), MalformedDenyList> {
    let mut fields = cbor::decode(payload)?.fields()?;
    if fields.require(1)?.uint()? != VERSION {
        return Err(value(1, "version 1"));
    }
    let issuer = fields.require(2)?.text()?.to_owned();
    let sequence = fields.require(3)?.uint()?;
    let created = UnixTime::from_secs(fields.require(4)?.uint()?);
    let not_after = UnixTime::from_secs(fields.require(5)?.uint()?);
    let entries = fields.require(6)?.items()?.into_iter().map(entry).collect::<Result<Vec<Denied>, _>>()?;
    fields.finish()?;
    if created >= not_after {
        return Err(value(5, "not_after, later than the creation"));
    }
    let list = DenyList::new(issuer, sequence, Some(not_after), entries.clone())?;
    // One list has one encoding.
    if list.entries() != entries {
        return Err(value(6, "entries in order of kind and value"));
    }
    Ok((list, created, not_after))
}

fn entry(item: Value<'_>) -> Result<Denied, MalformedDenyList> {
    let [kind, subject, reason] = item.items_exactly()?;
    let subject = match kind.uint()? {
        PLATFORM => DeniedSubject::Platform(PlatformIdentity(subject.bytes()?.to_vec())),
        FMSPC => DeniedSubject::Fmspc(HexBytes(subject.fixed()?)),
        MEASUREMENT => DeniedSubject::Measurement(HexBytes(subject.fixed()?)),
        CERTIFICATE => DeniedSubject::Certificate(HexBytes(subject.fixed()?)),
        ADVISORY => DeniedSubject::Advisory(subject.text()?.to_owned()),
        // What it denies would be let through.
        _ => return Err(value(6, "kinds of entries that this version knows")),
    };
    Ok(Denied { subject, reason: reason.text()?.to_owned() })
}

fn value(field: u64, wanted: &'static str) -> MalformedDenyList {
    MalformedDenyList::Value { field, wanted }
}

impl From<EnvelopeError> for MalformedDenyList {
    fn from(error: EnvelopeError) -> MalformedDenyList {
        match error {
            EnvelopeError::Cbor(error) => MalformedDenyList::Cbor(error),
            EnvelopeError::Field { field, wanted } => value(field, wanted),
        }
    }
}

#[cfg(test)]
mod tests;
