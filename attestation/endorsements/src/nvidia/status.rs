//! OCSP answers (RFC 6960): how one is asked for, and which certificate it is about. Signatures are not looked at.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_attestation::{OcspRequest, UnixTime};
use x509_cert::der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier};
use x509_cert::der::{Decode, Encode, Reader, SliceReader, Tag, TagNumber, Tagged};

use crate::content::Description;
use crate::x509;

/// id-pkix-ocsp-basic.
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
/// How long an answer without an end is good; the verifier says the same.
const WITHOUT_END: Duration = Duration::from_secs(60 * 60);
/// Why nothing more can be said of an answer that is not as the RFC has it.
const NOT_ONE: &str = "not an OCSP answer about one certificate";

/// A responder's word that it has no status for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is out of order now.
    Later(&'static str),
    /// It does not know the certificate, or takes no such question.
    Never,
}

/// The path of the request (RFC 6960 A.1): base64, with what has a meaning in a path as % codes.
pub(crate) fn path(request: &OcspRequest) -> String {
    let base64 = STANDARD.encode(request.to_der());
    format!("/{}", base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"))
}

/// The responder's error in `body`, if it is one: a SEQUENCE of only an ENUMERATED that is not 0 (RFC 6960 4.2.1).
pub(crate) fn refusal(body: &[u8]) -> Option<Refusal> {
    match body {
        [0x30, 3, 0x0A, 1, 2] => Some(Refusal::Later("internalError")),
        [0x30, 3, 0x0A, 1, 3] => Some(Refusal::Later("tryLater")),
        [0x30, 3, 0x0A, 1, 1 | 5 | 6] => Some(Refusal::Never),
        _ => None,
    }
}

/// What an answer says of itself, if it is about the certificate of `request` and of no other.
///
/// # Errors
/// A sentence that says what was wanted and found.
pub(crate) fn describe(request: &OcspRequest, bytes: &[u8]) -> Result<Description, String> {
    if refusal(bytes).is_some() {
        return Err("a responder's error, which is no status of anything".to_owned());
    }
    let basic = basic_response(bytes).ok_or("not an OCSP answer")?;
    let answer = Answer::read(basic.as_ref()).ok_or(NOT_ONE)?;
    if answer.request.as_ref() != Some(request) {
        return Err("an OCSP answer about another certificate".to_owned());
    }
    x509::readable_by_the_verifier(bytes)?;
    let serial = hex::encode(request.serial());
    let by = answer.authority.map_or_else(String::new, |name| format!(" of {name}"));
    let expires = answer.next_update.unwrap_or(answer.this_update.saturating_add_secs(WITHOUT_END.as_secs()));
    let mut description = Description::of(format!("certificate {serial}{by}"), answer.this_update, Some(expires));
    description.status = Some(answer.status);
    Ok(description)
}

/// The octets of BasicOCSPResponse in a successful OCSPResponse.
fn basic_response(bytes: &[u8]) -> Option<Vec<u8>> {
    let response = Parts::whole(bytes)?;
    let [status, wrapped] = response.0.as_slice() else { return None };
    let typed = Parts::of(Parts::of(*wrapped)?.0.first().copied()?)?;
    let [kind, octets] = typed.0.as_slice() else { return None };
    let successful = status.tag() == Tag::Enumerated && status.value() == [0];
    (successful && is(*kind, BASIC) && octets.tag() == Tag::OctetString).then(|| octets.value().to_vec())
}

/// The one status of an answer.
struct Answer {
    request: Option<OcspRequest>,
    status: String,
    this_update: UnixTime,
    next_update: Option<UnixTime>,
    /// The issuer of the responder's certificate, which is that of the certificate in question.
    authority: Option<String>,
}

impl Answer {
    /// BasicOCSPResponse; `None` unless it has exactly one SingleResponse.
    fn read(basic: &[u8]) -> Option<Answer> {
        let outer = Parts::whole(basic)?;
        let data = Parts::of(*outer.0.first()?)?;
        let responses = data.0.iter().find(|part| part.tag() == Tag::Sequence)?;
        let [single] = Parts::of(*responses)?.0[..] else { return None };
        let single = Parts::of(single)?;
        let [certificate, status, this_update, more @ ..] = single.0.as_slice() else { return None };
        let next_update = match more.iter().find(|part| part.tag() == context(0)) {
            Some(end) => Some(time(*Parts::of(*end)?.0.first()?)?),
            None => None,
        };
        Some(Answer {
            request: request(*certificate),
            status: status_text(*status)?,
            this_update: time(*this_update)?,
            next_update,
            authority: outer.0.get(3).and_then(|certificates| authority(*certificates)),
        })
    }
}

/// CertID as a request; `None` for another digest than the one that was asked with.
fn request(certificate: AnyRef<'_>) -> Option<OcspRequest> {
    let parts = Parts::of(certificate)?;
    let [algorithm, name, key, serial] = parts.0.as_slice() else { return None };
    if !is(*Parts::of(*algorithm)?.0.first()?, SHA384) || serial.tag() != Tag::Integer {
        return None;
    }
    let digest = |part: &AnyRef<'_>| <[u8; 48]>::try_from(part.value()).ok();
    let serial = match serial.value() {
        [0, rest @ ..] if !rest.is_empty() => rest,
        value => value,
    };
    OcspRequest::new(digest(name)?.into(), digest(key)?.into(), serial)
}

/// CertStatus: [0] good, [1] revoked since, [2] unknown.
fn status_text(status: AnyRef<'_>) -> Option<String> {
    let Tag::ContextSpecific { number, .. } = status.tag() else { return None };
    Some(match number.value() {
        0 => "good".to_owned(),
        1 => format!("revoked since {}", time(*Parts::of(status)?.0.first()?)?),
        2 => "unknown to the responder".to_owned(),
        _ => return None,
    })
}

/// The issuer of the first certificate among those of the answer.
fn authority(certificates: AnyRef<'_>) -> Option<String> {
    let list = Parts::of(*Parts::of(certificates)?.0.first()?)?;
    x509::issuer_name(&list.0.first()?.to_der().ok()?)
}

/// The elements inside a constructed one.
struct Parts<'a>(Vec<AnyRef<'a>>);

impl<'a> Parts<'a> {
    /// Of `bytes`, which are one element and no more.
    fn whole(bytes: &'a [u8]) -> Option<Parts<'a>> {
        Parts::of(AnyRef::from_der(bytes).ok()?)
    }

    fn of(element: AnyRef<'a>) -> Option<Parts<'a>> {
        if !element.tag().is_constructed() {
            return None;
        }
        let mut reader = SliceReader::new(element.value()).ok()?;
        let mut parts = Vec::new();
        while !reader.is_finished() {
            parts.push(AnyRef::decode(&mut reader).ok()?);
        }
        Some(Parts(parts))
    }
}

fn context(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

fn is(element: AnyRef<'_>, wanted: ObjectIdentifier) -> bool {
    element.decode_as::<ObjectIdentifier>().is_ok_and(|found| found == wanted)
}

fn time(element: AnyRef<'_>) -> Option<UnixTime> {
    let time = element.decode_as::<GeneralizedTime>().ok()?;
    Some(UnixTime::from_secs(time.to_unix_duration().as_secs()))
}
