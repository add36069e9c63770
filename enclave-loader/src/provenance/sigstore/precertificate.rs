//! Whether a public log has seen a certificate: the timestamp inside it (RFC 6962 3.2, 3.3).

use strongroom_attestation::{UnixTime, crypto};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use x509_cert::der::{self, Decode, Reader, SliceReader};

use super::TrustedRoot;
use crate::provenance::ProvenanceError;
use crate::provenance::certificate::Certificate;

const TIMESTAMPS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
/// Timestamps of one certificate that are looked at.
const MAX_TIMESTAMPS: usize = 8;

const SEQUENCE: u8 = 0x30;
/// `[3] EXPLICIT`, where the extensions of a certificate are.
const EXTENSIONS: u8 = 0xA3;

/// Requires a timestamp by a certificate log of the trusted root.
///
/// # Errors
/// `Certificate`, `Malformed`.
pub(super) fn require_seen(
    certificate: &Certificate,
    issuer: &Certificate,
    root: &TrustedRoot,
) -> Result<(), ProvenanceError> {
    let refused = |why: &str| ProvenanceError::Certificate(why.to_owned());
    let malformed = ProvenanceError::Malformed("the timestamps in a certificate");
    let extension = certificate.raw_extension(TIMESTAMPS).ok_or_else(|| refused("no certificate log has seen it"))?;
    let list = <&OctetStringRef>::from_der(extension).map_err(|_| malformed.clone())?;
    let timestamps = read_list(list.as_bytes()).ok_or_else(|| malformed.clone())?;
    let tbs = certificate.tbs_without(TIMESTAMPS).ok_or(malformed)?;
    let issuer_key = crypto::sha256(&issuer.spki()?);
    let seen = timestamps.iter().take(MAX_TIMESTAMPS).any(|timestamp| timestamp.verifies(&tbs, &issuer_key, root));
    if seen { Ok(()) } else { Err(refused("no certificate log of the trusted root has seen it")) }
}

struct Timestamp<'a> {
    log_id: &'a [u8],
    milliseconds: u64,
    extensions: &'a [u8],
    signature: &'a [u8],
}

impl Timestamp<'_> {
    fn verifies(&self, tbs: &[u8], issuer_key: &[u8; 32], root: &TrustedRoot) -> bool {
        let at = UnixTime::from_secs(self.milliseconds.checked_div(1000).unwrap_or_default());
        let Some(log) = root.certificate_log(self.log_id, at) else { return false };
        self.signed(tbs, issuer_key).is_some_and(|signed| log.key.verify(&signed, self.signature).is_ok())
    }

    /// RFC 6962 3.2: version 1, a certificate's timestamp, of a precertificate.
    fn signed(&self, tbs: &[u8], issuer_key: &[u8; 32]) -> Option<Vec<u8>> {
        let [0, tbs_length @ ..] = u32::try_from(tbs.len()).ok()?.to_be_bytes() else { return None };
        let extensions_length = u16::try_from(self.extensions.len()).ok()?.to_be_bytes();
        let milliseconds = self.milliseconds.to_be_bytes();
        let parts: [&[u8]; 8] =
            [&[0, 0], &milliseconds, &[0, 1], issuer_key, &tbs_length, tbs, &extensions_length, self.extensions];
        Some(parts.concat())
    }
}

/// A SignedCertificateTimestampList, whole. Timestamps of other versions or algorithms than version
/// 1 with ECDSA and SHA-256 are passed over.
fn read_list(bytes: &[u8]) -> Option<Vec<Timestamp<'_>>> {
    let (mut rest, after) = short(bytes)?;
    let mut timestamps = Vec::new();
    while !rest.is_empty() {
        let (one, next) = short(rest)?;
        rest = next;
        if let Some((0, one)) = one.split_first().map(|(version, one)| (*version, one)) {
            timestamps.extend(read_one(one)?);
        }
    }
    after.is_empty().then_some(timestamps)
}

fn read_one(bytes: &[u8]) -> Option<Option<Timestamp<'_>>> {
    let (log_id, rest) = bytes.split_at_checked(32)?;
    let (milliseconds, rest) = rest.split_first_chunk::<8>()?;
    let (extensions, rest) = short(rest)?;
    let (algorithm, rest) = rest.split_first_chunk::<2>()?;
    let (signature, rest) = short(rest)?;
    if !rest.is_empty() {
        return None;
    }
    let milliseconds = u64::from_be_bytes(*milliseconds);
    Some((*algorithm == [4, 3]).then_some(Timestamp { log_id, milliseconds, extensions, signature }))
}

/// A vector of at most 2^16 - 1 bytes, and what follows it.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// A TBSCertificate without one of its extensions, the rest as received. `None` where it is not
/// there, or the bytes are no such structure.
pub(in crate::provenance) fn without_extension(tbs: &[u8], oid: ObjectIdentifier) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(tbs.len());
    for field in elements(AnyRef::from_der(tbs).ok()?.value()).ok()? {
        if field.first() != Some(&EXTENSIONS) {
            kept.extend(field);
            continue;
        }
        let list = AnyRef::from_der(AnyRef::from_der(field).ok()?.value()).ok()?;
        let all = elements(list.value()).ok()?;
        let is_it = |extension: &&[u8]| {
            let inside = AnyRef::from_der(extension).ok().and_then(|inside| elements(inside.value()).ok());
            let first = inside.and_then(|inside| inside.first().copied());
            first.is_some_and(|first| ObjectIdentifier::from_der(first) == Ok(oid))
        };
        let others: Vec<&[u8]> = all.iter().copied().filter(|extension| !is_it(extension)).collect();
        if others.len() == all.len() {
            return None;
        }
        kept.extend(element(EXTENSIONS, &element(SEQUENCE, &others.concat())));
    }
    Some(element(SEQUENCE, &kept))
}

/// The elements of a sequence's inside, each with tag and length.
fn elements(bytes: &[u8]) -> der::Result<Vec<&[u8]>> {
    let mut reader = SliceReader::new(bytes)?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(reader.tlv_bytes()?);
    }
    Ok(elements)
}

/// An element with its length in DER's shortest form (X.690 8.1.3).
fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let header = match significant.as_slice() {
        [] => vec![tag, 0],
        [short @ ..=0x7F] => vec![tag, *short],
        // At most eight bytes: the count fits beside the mark.
        long => [&[tag, 0x80 | u8::try_from(long.len()).unwrap_or(0x7F)], long].concat(),
    };
    [header.as_slice(), value].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_in_their_shortest_form() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let bytes = element(4, &vec![7; length]);
            assert_eq!(<&OctetStringRef>::from_der(&bytes).expect("DER").as_bytes().len(), length);
        }
    }

    /// The certificate of the captured signature with its last extension twice: readers that take the
    /// first and readers that take the last would see two certificates.
    #[test]
    fn a_certificate_has_no_extension_twice() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/model-signing/sigstore/model.sig");
        let bundle: serde_json::Value = serde_json::from_slice(&std::fs::read(path).expect("read")).expect("JSON");
        let der = bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str().expect("text");
        let der = crate::provenance::dsse::base64(der).expect("base64");
        let inside = |bytes| elements(AnyRef::from_der(bytes).expect("DER").value()).expect("elements");
        let (parts, fields) = (inside(&der), inside(inside(&der)[0]));
        let (others, extensions) = (&fields[..fields.len() - 1], inside(inside(fields[fields.len() - 1])[0]));
        let rebuilt = |more: &[&[u8]]| {
            let list = element(SEQUENCE, &[extensions.concat(), more.concat()].concat());
            let tbs = element(SEQUENCE, &[others.concat(), element(EXTENSIONS, &list)].concat());
            element(SEQUENCE, &[tbs.as_slice(), parts[1], parts[2]].concat())
        };
        assert_eq!(rebuilt(&[]), der);
        assert!(Certificate::read(&rebuilt(&[])).is_ok());
        let twice = Certificate::read(&rebuilt(&[extensions[extensions.len() - 1]]));
        assert_eq!(twice.err(), Some(ProvenanceError::Malformed("a certificate")));
    }

    #[test]
    fn lists_are_read_whole_or_not_at_all() {
        let one = [&[0][..], &[9; 32], &[0; 8], &[0, 0], &[4, 3], &[0, 1, 5]].concat();
        let sized = |bytes: &[u8]| [&u16::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat();
        let list = sized(&sized(&one));
        assert_eq!(read_list(&list).map(|list| list.len()), Some(1));
        assert_eq!(read_list(&[0, 0]).map(|list| list.len()), Some(0));
        let trailing = [&list[..], &[0]].concat();
        for wrong in [&list[..list.len() - 1], &trailing, &[], &sized(&sized(&one[..20]))] {
            assert!(read_list(wrong).is_none());
        }
    }
}
