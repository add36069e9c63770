//! One row a defect: what is changed of a response that is accepted, and what is said of it.

use super::made::{Key, basic_constraints, extension, key_usage, name, octets, purposes, revocation_list, tlv};
use super::world::{DAY, ISSUER, NOW, UNKNOWN, World, mark, revoked};
use super::*;
use crate::class::{Class, Hardware};
use crate::crypto::{sha1, sha256, sha384, sha512};
use crate::der::tag;
use crate::endorsements::Endorsements;
use crate::remembered::Remembered;
use crate::trust_anchors::HardwareAnchors;
use crate::x509::oid;

const NONCE_OID: &[u8] = &[0x2B, 6, 1, 5, 5, 7, 48, 1, 2];
const ANY_PURPOSE: &[u8] = &[0x55, 0x1D, 37, 0];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];

type Row = (&'static str, fn(&mut World), &'static str);

/// `until …` are seconds after now; else a code, and words of what was found.
const ROWS: &[Row] = &[
    ("as it is", |_| {}, "until 86400"),
    ("identified by SHA-1", |w| w.hash = (oid::SHA1, |bytes| sha1(bytes).to_vec()), "until 86400"),
    ("identified by SHA-384", |w| w.hash = (oid::SHA384, |bytes| sha384(bytes).to_vec()), "until 86400"),
    ("hash without parameters", |w| w.null = &[], "until 86400"),
    ("responder by name", |w| w.responder_id = Some(tlv(tag::context(1), &name("Responder"))), "until 86400"),
    ("signed by the issuer", World::by_issuer, "until 86400"),
    (
        "signed by the issuer, which is inside",
        |w| {
            w.by_issuer();
            w.certificates = Some(vec![w.issuer.clone()]);
        },
        "until 86400",
    ),
    ("a nonce", |w| w.extensions = extension(NONCE_OID, false, &[4, 1, 7]), "until 86400"),
    ("responder of other key usage", |w| w.responder.extensions[1] = key_usage(0x40), "REVOKED is not for signing"),
    ("responder without key usage", |w| drop(w.responder.extensions.remove(1)), "until 86400"),
    (
        "responder that asks not to be checked",
        |w| {
            w.responder.extensions.push(extension(oid::OCSP_NO_CHECK, false, &[5, 0]));
        },
        "until 86400",
    ),
    (
        "the same among its purposes",
        |w| {
            w.responder.extensions[2] = purposes(&[oid::OCSP_SIGNING, oid::OCSP_NO_CHECK]);
        },
        "until 86400",
    ),
    // What is said of the certificate.
    ("revoked", |w| w.status = revoked(Some(1)), "REVOKED keyCompromise"),
    ("revoked without a reason", |w| w.status = revoked(None), "REVOKED unspecified"),
    (
        "revoked by a response out of date",
        |w| {
            (w.status, w.next_update) = (revoked(Some(1)), Some(NOW - 1));
        },
        "REVOKED keyCompromise",
    ),
    ("held", |w| w.status = revoked(Some(6)), "REVOKED certificateHold"),
    ("held and allowed", |w| (w.status, w.allow_hold) = (revoked(Some(6)), true), "until 86400"),
    ("revoked where holds are allowed", |w| (w.status, w.allow_hold) = (revoked(Some(1)), true), "REVOKED keyComp"),
    ("removeFromCRL", |w| (w.status, w.allow_hold) = (revoked(Some(8)), true), "REVOKED removeFromCRL"),
    ("a reason that nobody knows", |w| (w.status, w.allow_hold) = (revoked(Some(99)), true), "REVOKED reason 99"),
    ("unknown", |w| w.status = UNKNOWN.to_vec(), "REVOKED unknown to the responder"),
    // Dates.
    ("stale", |w| w.next_update = Some(NOW - 1), "COLLATERAL_EXPIRED about Device"),
    ("at its last second", |w| w.next_update = Some(NOW), "until 0"),
    ("not yet valid", |w| w.this_update = NOW + 1, "COLLATERAL_EXPIRED about Device"),
    ("ends before it begins", |w| (w.this_update, w.next_update) = (NOW, Some(NOW - 9)), "COLLATERAL_EXPIRED"),
    ("no nextUpdate", |w| w.next_update = None, "until 3000"),
    ("no nextUpdate for an hour", |w| (w.next_update, w.this_update) = (None, NOW - 3601), "COLLATERAL_EXPIRED"),
    ("expired responder", |w| w.responder.dates[1] = NOW - 1, "COLLATERAL_EXPIRED about Device"),
    ("responder not yet valid", |w| w.responder.dates[0] = NOW + 1, "COLLATERAL_EXPIRED about Device"),
    ("responder that ends first", |w| w.responder.dates[1] = NOW + 60, "until 60"),
    // Another certificate's.
    ("other serial", |w| w.serial = 9, "REVOKED none was supplied"),
    ("other issuer key hash", |w| w.point = Key::new().point(), "REVOKED none was supplied"),
    ("other issuer name hash", |w| w.name = name("Another"), "REVOKED none was supplied"),
    ("other hash algorithm", |w| w.hash = (SHA512, |bytes| sha512(bytes).to_vec()), "REVOKED none was supplied"),
    ("another hash's name", |w| w.hash = (oid::SHA384, |bytes| sha256(bytes).to_vec()), "REVOKED none was supplied"),
    // Who signed.
    ("foreign responder", |w| w.responder.signer = Key::new(), "REVOKED did not issue"),
    ("responder of an authority above", |w| w.responder.issuer = "Root", "REVOKED did not issue"),
    ("responder without its purpose", |w| drop(w.responder.extensions.remove(2)), "REVOKED is not for signing"),
    (
        "responder for any purpose",
        |w| w.responder.extensions[2] = purposes(&[ANY_PURPOSE]),
        "REVOKED is not for signing",
    ),
    ("responder that is a CA", |w| w.responder.extensions[0] = basic_constraints(true), "REVOKED an authority"),
    (
        "responder with a critical extension",
        |w| {
            w.responder.extensions.push(extension(&[0x2A, 3], true, &[5, 0]));
        },
        "REVOKED unknown critical extension",
    ),
    (
        "wrong responder key",
        |w| w.responder_id = Some(tlv(tag::context(2), &octets(&[7; 20]))),
        "REVOKED in the name of key",
    ),
    ("wrong responder name", |w| w.responder_id = Some(tlv(tag::context(1), &name("X"))), "REVOKED in the name of X"),
    ("signed by the certificate itself", |w| w.signer = Some(w.leaf.key.clone()), "REVOKED did not sign"),
    (
        "signed by the certificate itself, which is inside",
        |w| {
            (w.responder, w.responder_id) = (w.leaf.clone(), None);
        },
        "REVOKED is not for signing",
    ),
    ("signed by anybody", |w| w.signer = Some(Key::new()), "REVOKED did not sign"),
    ("signed by the issuer with a responder inside", |w| w.signer = Some(w.issuer.key.clone()), "REVOKED did not sign"),
    ("without the responder's certificate", |w| w.certificates = Some(Vec::new()), "REVOKED in the name of key"),
    (
        "extra certificate",
        |w| w.certificates = Some(vec![w.responder.clone(), w.issuer.clone()]),
        "REVOKED 2 certificates",
    ),
    ("the responder twice", |w| w.certificates = Some(vec![w.responder.clone(); 2]), "REVOKED 2 certificates"),
    ("critical extension", |w| w.extensions = extension(NONCE_OID, true, &[4, 1, 7]), "REVOKED critical extension"),
    (
        "critical extension of the status",
        |w| {
            w.single_extensions = extension(&[0x2A, 3], true, &[5, 0]);
        },
        "REVOKED critical extension",
    ),
    // Several.
    (
        "two, of which one is revoked",
        |w| {
            w.beside = vec![World { status: revoked(Some(4)), ..w.clone() }.response()];
        },
        "REVOKED superseded",
    ),
    (
        "two, of which one is unknown",
        |w| {
            w.beside = vec![World { status: UNKNOWN.to_vec(), ..w.clone() }.response()];
        },
        "REVOKED unknown",
    ),
    (
        "two, of which one ends earlier",
        |w| {
            w.beside = vec![World { next_update: Some(NOW + 5), ..w.clone() }.response()];
        },
        "until 5",
    ),
    (
        "two, of which one is stale",
        |w| {
            w.beside = vec![World { next_update: Some(NOW - 5), ..w.clone() }.response()];
        },
        "until 86400",
    ),
    (
        "two, of which one was unknown once",
        |w| {
            w.beside = vec![World { status: UNKNOWN.to_vec(), next_update: Some(NOW - 5), ..w.clone() }.response()];
        },
        "until 86400",
    ),
    (
        "two, of which one is foreign",
        |w| {
            w.beside = vec![World { signer: Some(Key::new()), ..w.clone() }.response()];
        },
        "REVOKED did not sign",
    ),
    (
        "two, of which one had a responder that expired",
        |w| {
            let mut earlier = w.clone();
            (earlier.next_update, earlier.responder.dates[1]) = (Some(NOW - 9), NOW - 5);
            w.beside = vec![earlier.response()];
        },
        "until 86400",
    ),
    // Revocation lists.
    ("a list alone", |w| (w.silent, w.beside) = (true, vec![w.list([NOW - 5, NOW + 7], &[9])]), "until 7"),
    ("a list beside", |w| w.beside = vec![w.list([NOW - 5, NOW + 7], &[])], "until 7"),
    (
        "a list beside a stale response",
        |w| {
            (w.next_update, w.beside) = (Some(NOW - 1), vec![w.list([NOW - 5, NOW + 7], &[])]);
        },
        "until 7",
    ),
    ("a list that is stale", |w| w.beside = vec![w.list([NOW - 5, NOW - 1], &[])], "until 86400"),
    (
        "a stale list alone",
        |w| {
            (w.silent, w.beside) = (true, vec![w.list([NOW - 5, NOW - 1], &[])]);
        },
        "COLLATERAL_EXPIRED about Device",
    ),
    (
        "a list that names the certificate",
        |w| w.beside = vec![w.list([NOW - 5, NOW + 7], &[2])],
        "REVOKED Device (serial 02)",
    ),
    (
        "a list that names the responder",
        |w| w.beside = vec![w.list([NOW - 5, NOW - 1], &[3])],
        "REVOKED Responder (serial 03)",
    ),
    (
        "a foreign list",
        |w| {
            w.beside = vec![revocation_list(ISSUER, &Key::new(), [NOW - 5, NOW + 7], &[])];
        },
        "REVOKED did not sign",
    ),
    // Nothing.
    ("nothing, and required", |w| w.silent = true, "REVOKED none was supplied"),
    ("nothing, and not required", |w| (w.silent, w.required) = (true, false), "nothing"),
    ("stale, and not required", |w| (w.next_update, w.required) = (Some(NOW - 1), false), "COLLATERAL_EXPIRED"),
    ("revoked, and not required", |w| (w.status, w.required) = (revoked(None), false), "REVOKED unspecified"),
    // Development.
    (
        "a marked responder under a development root",
        |w| {
            w.development = true;
            w.responder.extensions.push(mark());
        },
        "until 86400",
    ),
    ("an unmarked one", |w| w.development = true, "REVOKED without the development mark"),
    (
        "one that lives long",
        |w| {
            (w.development, w.responder.dates[1]) = (true, NOW + 9 * DAY);
            w.responder.extensions.push(mark());
        },
        "REVOKED over seven days",
    ),
    ("a marked responder under a hardware root", |w| w.responder.extensions.push(mark()), "REVOKED for development"),
    (
        "a responder named for development",
        |w| {
            w.responder.subject = "Responder DEVELOPMENT - NOT A TEE";
        },
        "REVOKED for development",
    ),
];

#[test]
fn one_defect_each() {
    let world = World::new();
    for (defect, change, wanted) in ROWS {
        let mut changed = world.clone();
        change(&mut changed);
        let (found, detail) = match changed.outcome() {
            Ok(Some(until)) => (format!("until {}", until.as_secs() - NOW), String::new()),
            Ok(None) => ("nothing".to_owned(), String::new()),
            Err(check) => (check.code.to_string(), check.found),
        };
        let (code, words) = match wanted.split_once(' ') {
            Some((code, words)) if code != "until" => (code, words),
            _ => (*wanted, ""),
        };
        assert!(found == code && detail.contains(words), "{defect}: wanted {wanted}, found {found} {detail}");
    }
}

#[test]
fn responders_are_among_what_a_verdict_rests_on() {
    let world = World::new();
    let bag = {
        let mut bag = Endorsements::default();
        bag.add(&world.response()).unwrap();
        bag
    };
    let (remembered, anchors) = (Remembered::new(8), HardwareAnchors::compiled_in());
    let rules = StatusRules {
        title: "revocation",
        answers: bag.ocsp_responses(),
        lists: &[],
        required: true,
        allow_hold: false,
        anchored: Hardware::anchored(&anchors, &remembered),
        now: UnixTime::from_secs(NOW),
    };
    let mut trail = Trail::default();
    let pair = (&world.leaf.certificate(), &world.issuer.certificate());
    check_status(&mut trail, &rules, &[pair]).unwrap();
    assert_eq!(remembered.len(), 2, "the responder's certificate and its response");
    let parts = trail.into_parts();
    let inside = &bag.ocsp_responses()[0].certificates[0];
    assert!(inside.fingerprints().iter().all(|digest| parts.fingerprints.contains(digest)));
    assert_eq!(parts.expiries[0].until, UnixTime::from_secs(NOW + DAY));
    assert!(parts.checks[0].found.contains("not revoked: Device;"), "{:?}", parts.checks);
}

#[test]
fn what_is_not_strict_der_is_no_response() {
    let world = World::new();
    let whole = world.response();
    let refused = |bytes: &[u8]| Endorsements::default().add(bytes).unwrap_err().to_string();
    for (status, name) in [(1, "malformedRequest"), (2, "internalError"), (3, "tryLater"), (5, "sigRequired")] {
        assert!(refused(&[0x30, 3, 0x0A, 1, status]).contains(name));
    }
    for status in [4, 7, 0x80] {
        assert!(refused(&[0x30, 3, 0x0A, 1, status]).contains("PARSE"));
    }
    assert!(refused(&[0x30, 3, 0x0A, 1, 0]).contains("too early"), "successful and empty");
    assert!(refused(&[&whole[..], &[5, 0]].concat()).contains("PARSE"), "trailing bytes");
    assert!(Endorsements::default().add(&[&whole[..], &[0; 4]].concat()).is_ok(), "zero padding");
    for (what, status) in [
        ("good with content", &[0x80, 1, 0][..]),
        ("good, constructed", &[0xA0, 0]),
        ("a status of no kind", &[0x83, 0]),
        ("revoked at no time", &[0xA1, 0]),
    ] {
        let changed = World { status: status.to_vec(), ..world.clone() };
        assert!(refused(&changed.response()).contains("PARSE"), "{what}");
    }
    for (what, id) in [
        ("the default version", [tlv(tag::context(0), &[2, 1, 0]), tlv(tag::context(1), &name("Responder"))].concat()),
        ("a short key hash", tlv(tag::context(2), &octets(&[7; 19]))),
        ("nobody", tlv(tag::context(3), &octets(&[7; 20]))),
    ] {
        let changed = World { responder_id: Some(id), ..world.clone() };
        assert!(refused(&changed.response()).contains("PARSE"), "{what}");
    }
    let twice = extension(NONCE_OID, false, &[4, 1, 7]).repeat(2);
    assert!(refused(&World { extensions: twice, ..world.clone() }.response()).contains("extension list"));
    let odd = World { null: &[5, 1, 0], ..world };
    assert!(refused(&odd.response()).contains("NULL"));
}

#[test]
fn a_bag_holds_some_and_each_once() {
    let world = World::new();
    let made = |serial| World { serial, ..world.clone() }.response();
    let mut bag = Endorsements::default();
    let refusal = (0..65).find_map(|serial| bag.add(&made(serial)).err()).unwrap();
    assert!(refusal.to_string().contains("more than 64 OCSP responses"), "{refusal}");
    assert_eq!((bag.ocsp_responses().len(), bag.objects().count()), (64, 64));

    use base64::Engine;
    let response = world.response();
    let text = base64::engine::general_purpose::STANDARD.encode(&response);
    let pem = format!("-----BEGIN OCSP RESPONSE-----\n{text}\n-----END OCSP RESPONSE-----\n");
    let mut bag = Endorsements::default();
    for bytes in [pem.as_bytes(), &response, &response.repeat(2)] {
        bag.add(bytes).unwrap();
    }
    assert_eq!(bag.ocsp_responses().len(), 1);
    assert!(!bag.is_empty());
}
