//! A signature through the public Sigstore, made by others, and what is one edit away from it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use strongroom_attestation::HexBytes;

use super::world::*;
use crate::provenance::*;

const IDENTITY: &str = "stefanb@us.ibm.com";
const ISSUER: &str = "https://sigstore.verify.ibm.com/oauth2";

type Edit = fn(&mut Value);

fn check(bundle: &Value, root: &Value, identity: &str, issuer: &str) -> Result<SignedModel, ProvenanceError> {
    let root = TrustedRoot::from_json(root.to_string().as_bytes())?;
    verify(bundle.to_string().as_bytes(), &Trust::Sigstore { root: &root, identity, issuer })
}

fn sound() -> (Value, Value) {
    let read = |path| serde_json::from_slice(&vector(path)).expect("JSON");
    (read("sigstore/model.sig"), read("sigstore/trusted_root.json"))
}

#[test]
fn the_public_services_signature_verifies() {
    let (bundle, root) = sound();
    let model = check(&bundle, &root, IDENTITY, ISSUER).expect("verifies");
    let Signer::Sigstore { identity, issuer, logged } = model.signer() else { panic!("Sigstore's") };
    assert_eq!((identity.as_str(), issuer.as_str()), (IDENTITY, ISSUER));
    assert_eq!(logged.to_string(), "2025-10-10T02:12:20Z");
    let digest = |text| HexBytes::from_hex(text).expect("hexadecimal");
    let files = [
        FileDigest {
            path: "signme-1".to_owned(),
            sha256: digest("f6310066c7320497ea554260c32c43660bff648cb2a61194832cc086077085e1"),
        },
        FileDigest {
            path: "signme-2".to_owned(),
            sha256: digest("32dcb1f8e1ae52d5963e56a6ba06ab58b424c15ed2a6b70d2feca1d089370028"),
        },
    ];
    assert!(model.check_files(&files).is_ok());
}

#[test]
fn whose_signature_it_is_matters() {
    let (bundle, root) = sound();
    for (identity, issuer) in
        [("someone@us.ibm.com", ISSUER), (IDENTITY, "https://accounts.google.com"), ("", ISSUER), (IDENTITY, "")]
    {
        assert_eq!(code(&check(&bundle, &root, identity, issuer)), "PROVENANCE_IDENTITY", "{identity} {issuer}");
    }
}

fn entry(bundle: &mut Value) -> &mut Value {
    &mut bundle["verificationMaterial"]["tlogEntries"][0]
}

#[rustfmt::skip]
const BUNDLE: &[(&str, &str, Edit)] = &[
    ("no entry", "PROVENANCE_LOG", |b| b["verificationMaterial"]["tlogEntries"] = json!([])),
    ("two entries", "PROVENANCE_LOG", |b| { let one = entry(b).clone(); b["verificationMaterial"]["tlogEntries"] = json!([one, one]); }),
    ("another kind of entry", "PROVENANCE_UNSUPPORTED", |b| entry(b)["kindVersion"]["kind"] = json!("intoto")),
    ("an entry of the second generation", "PROVENANCE_UNSUPPORTED", |b| entry(b)["kindVersion"]["version"] = json!("0.0.2")),
    ("no promise", "PROVENANCE_LOG", |b| entry(b)["inclusionPromise"] = Value::Null),
    ("no proof", "PROVENANCE_LOG", |b| entry(b)["inclusionProof"] = Value::Null),
    ("another time", "PROVENANCE_LOG", |b| entry(b)["integratedTime"] = json!("1760062341")),
    ("another place in the log", "PROVENANCE_LOG", |b| entry(b)["logIndex"] = json!("598151087")),
    ("another log", "PROVENANCE_LOG", |b| entry(b)["logId"]["keyId"] = json!(STANDARD.encode([7; 32]))),
    ("another promise", "PROVENANCE_LOG", |b| entry(b)["inclusionPromise"]["signedEntryTimestamp"] = json!("MAYCAQECAQE=")),
    ("another body", "PROVENANCE_LOG", |b| entry(b)["canonicalizedBody"] = json!("e30=")),
    ("another place in the tree", "PROVENANCE_LOG", |b| entry(b)["inclusionProof"]["logIndex"] = json!("476246823")),
    ("another size of the tree", "PROVENANCE_LOG", |b| entry(b)["inclusionProof"]["treeSize"] = json!("476246826")),
    ("a place that is no number", "PROVENANCE_FORMAT", |b| entry(b)["logIndex"] = json!("-1")),
    ("a place beyond 64 bits", "PROVENANCE_FORMAT", |b| entry(b)["logIndex"] = json!("99999999999999999999")),
    ("another root", "PROVENANCE_LOG", |b| entry(b)["inclusionProof"]["rootHash"] = json!(STANDARD.encode([7; 32]))),
    ("a hash less", "PROVENANCE_LOG", |b| drop(entry(b)["inclusionProof"]["hashes"].as_array_mut().expect("a list").pop())),
    ("too many hashes", "PROVENANCE_TOO_LARGE", |b| entry(b)["inclusionProof"]["hashes"] = json!(vec![STANDARD.encode([7; 32]); 65])),
    ("a short hash", "PROVENANCE_FORMAT", |b| entry(b)["inclusionProof"]["hashes"][0] = json!("AAAA")),
    ("no checkpoint", "PROVENANCE_LOG", |b| entry(b)["inclusionProof"]["checkpoint"]["envelope"] = json!("")),
    ("edited statement", "PROVENANCE_SIGNATURE", |b| b["dsseEnvelope"]["payload"] = json!("e30=")),
    ("the same signature in its other form", "PROVENANCE_LOG", |b| b["dsseEnvelope"]["signatures"][0]["sig"] = json!(negated(&b["dsseEnvelope"]["signatures"][0]["sig"]))),
    ("flipped certificate", "PROVENANCE_CERTIFICATE", |b| {
        let certificate = &mut b["verificationMaterial"]["certificate"]["rawBytes"];
        let mut der = STANDARD.decode(certificate.as_str().expect("text")).expect("base64");
        *der.last_mut().expect("bytes") ^= 1;
        *certificate = json!(STANDARD.encode(der));
    }),
];

#[rustfmt::skip]
const ROOT: &[(&str, &str, Edit)] = &[
    ("nothing", "accepted", |_| ()),
    ("no transparency log", "PROVENANCE_LOG", |r| r["tlogs"] = json!([])),
    ("a transparency log of later", "PROVENANCE_LOG", |r| r["tlogs"][0]["publicKey"]["validFor"]["start"] = json!("2025-10-10T02:12:21Z")),
    ("a transparency log of before", "PROVENANCE_LOG", |r| r["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2025-10-10T02:12:19Z")),
    ("another key of the transparency log", "PROVENANCE_LOG", |r| r["tlogs"][0]["publicKey"]["rawBytes"] = r["ctlogs"][1]["publicKey"]["rawBytes"].clone()),
    ("no authority", "PROVENANCE_CERTIFICATE", |r| r["certificateAuthorities"] = json!([])),
    ("the authority of before", "PROVENANCE_CERTIFICATE", |r| r["certificateAuthorities"][1]["validFor"]["end"] = json!("2025-10-10T02:12:19Z")),
    ("no intermediate", "PROVENANCE_CERTIFICATE", |r| drop(r["certificateAuthorities"][1]["certChain"]["certificates"].as_array_mut().expect("a list").remove(0))),
    ("no certificate log", "PROVENANCE_CERTIFICATE", |r| r["ctlogs"] = json!([])),
    ("a certificate log of before", "PROVENANCE_CERTIFICATE", |r| r["ctlogs"][1]["publicKey"]["validFor"]["end"] = json!("2025-10-10T00:00:00Z")),
    ("another key of the certificate log", "PROVENANCE_CERTIFICATE", |r| r["ctlogs"][1]["publicKey"]["rawBytes"] = r["tlogs"][0]["publicKey"]["rawBytes"].clone()),
    ("another version", "PROVENANCE_UNSUPPORTED", |r| r["mediaType"] = json!("application/json")),
];

#[test]
fn each_edit_of_the_bundle_is_refused() {
    for (defect, wanted, edit) in BUNDLE {
        let (mut bundle, root) = sound();
        edit(&mut bundle);
        assert_eq!(code(&check(&bundle, &root, IDENTITY, ISSUER)), *wanted, "{defect}");
    }
}

#[test]
fn each_part_of_the_trusted_root_is_needed() {
    for (defect, wanted, edit) in ROOT {
        let (bundle, mut root) = sound();
        edit(&mut root);
        assert_eq!(code(&check(&bundle, &root, IDENTITY, ISSUER)), *wanted, "{defect}");
    }
}

#[test]
fn every_byte_of_a_signature_counts() {
    let root = TrustedRoot::from_json(&vector("sigstore/trusted_root.json")).expect("a root");
    let trust = Trust::Sigstore { root: &root, identity: IDENTITY, issuer: ISSUER };
    every_flip_refuses_or_says_the_same(&vector("sigstore/model.sig"), &trust);
}

/// An ECDSA signature on P-256 with s negated, which verifies as well.
fn negated(signature: &Value) -> String {
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").expect("hexadecimal");
    let der = STANDARD.decode(signature.as_str().expect("text")).expect("base64");
    let r_length = usize::from(der[3]);
    let (r, s) = (&der[4..4 + r_length], &der[6 + r_length..]);
    let s = &s[s.len() - 32..];
    let mut negative = vec![0; 32];
    let mut borrow = 0;
    for place in (0..32).rev() {
        let difference = i32::from(order[place]) - i32::from(s[place]) - borrow;
        borrow = i32::from(difference < 0);
        negative[place] = u8::try_from(difference.rem_euclid(256)).expect("a byte");
    }
    if negative[0] >= 0x80 {
        negative.insert(0, 0);
    }
    let integer = |bytes: &[u8]| [&[2, u8::try_from(bytes.len()).expect("short")], bytes].concat();
    let both = [integer(r), integer(&negative)].concat();
    STANDARD.encode([&[0x30, u8::try_from(both.len()).expect("short")], both.as_slice()].concat())
}
