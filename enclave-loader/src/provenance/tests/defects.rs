//! One row for each way in which a signature with a key, or the files under it, can be wrong.

use serde_json::{Value, json};

use super::world::*;
use crate::provenance::limits::{MAX_BUNDLE_BYTES, MAX_IGNORED};
use crate::provenance::*;

type Edit = fn(&mut Value);

/// The statement is edited, then signed: the signer's doing.
#[rustfmt::skip]
const SIGNED: &[(&str, &str, Edit)] = &[
    ("nothing", "accepted", |_| ()),
    ("a member of the predicate that is to be ignored", "accepted", |s| s["predicate"]["card"] = json!({})),
    ("no ignored paths", "accepted", |s| { members(&mut s["predicate"]["serialization"]).remove("ignore_paths"); }),
    ("an ignored path that is absolute", "accepted", |s| s["predicate"]["serialization"]["ignore_paths"] = json!(["/home/model.sig", "../x"])),
    ("unknown predicate", "PROVENANCE_UNSUPPORTED", |s| s["predicateType"] = json!("https://model_signing/Digests/v0.1")),
    ("unknown statement", "PROVENANCE_UNSUPPORTED", |s| s["_type"] = json!("https://in-toto.io/Statement/v0.1")),
    ("unknown member of the statement", "PROVENANCE_FORMAT", |s| s["more"] = json!(1)),
    ("two subjects", "PROVENANCE_FORMAT", |s| { let one = s["subject"][0].clone(); list(&mut s["subject"]).push(one); }),
    ("no subject", "PROVENANCE_FORMAT", |s| s["subject"] = json!([])),
    ("second digest of the subject", "PROVENANCE_FORMAT", |s| s["subject"][0]["digest"]["sha512"] = json!("00")),
    ("name over lines", "PROVENANCE_FORMAT", |s| s["subject"][0]["name"] = json!("a\nb")),
    ("overlong name", "PROVENANCE_TOO_LARGE", |s| s["subject"][0]["name"] = json!("a".repeat(1025))),
    ("wrong root digest", "PROVENANCE_ROOT_DIGEST", |s| s["subject"][0]["digest"]["sha256"] = json!("00".repeat(32))),
    ("changed digest under the old root", "PROVENANCE_ROOT_DIGEST", |s| s["predicate"]["resources"][0]["digest"] = json!("00".repeat(32))),
    ("resources in another order", "PROVENANCE_ROOT_DIGEST", |s| list(&mut s["predicate"]["resources"]).swap(0, 1)),
    ("unknown hash of the model", "PROVENANCE_UNSUPPORTED", |s| s["predicate"]["serialization"]["hash_type"] = json!("md5")),
    ("unknown hash of a file", "PROVENANCE_UNSUPPORTED", |s| s["predicate"]["resources"][1]["algorithm"] = json!("blake3")),
    ("shards", "PROVENANCE_UNSUPPORTED", |s| s["predicate"]["serialization"]["method"] = json!("shards")),
    ("whole files that have a shard size", "PROVENANCE_UNSUPPORTED", |s| s["predicate"]["serialization"]["shard_size"] = json!(1)),
    ("symlink flag", "PROVENANCE_UNSUPPORTED", |s| s["predicate"]["serialization"]["allow_symlinks"] = json!(true)),
    ("no symlink flag", "PROVENANCE_FORMAT", |s| { members(&mut s["predicate"]["serialization"]).remove("allow_symlinks"); }),
    ("unknown way to serialize", "PROVENANCE_FORMAT", |s| s["predicate"]["serialization"]["follow"] = json!(true)),
    ("no resources", "PROVENANCE_FORMAT", |s| { s["predicate"]["resources"] = json!([]); with_root(s); }),
    ("duplicated resource", "PROVENANCE_FORMAT", |s| { s["predicate"]["resources"][1]["name"] = json!("config.json"); }),
    ("resource with a second digest", "PROVENANCE_FORMAT", |s| s["predicate"]["resources"][0]["digests"] = json!([])),
    ("path that climbs", "PROVENANCE_FORMAT", |s| s["predicate"]["resources"][0]["name"] = json!("../config.json")),
    ("path that is absolute", "PROVENANCE_FORMAT", |s| s["predicate"]["resources"][0]["name"] = json!("/config.json")),
    ("path with a backslash", "PROVENANCE_FORMAT", |s| s["predicate"]["resources"][0]["name"] = json!("a\\b")),
    ("path that is empty", "PROVENANCE_FORMAT", |s| s["predicate"]["resources"][0]["name"] = json!("")),
    ("signed and left out", "PROVENANCE_FORMAT", |s| s["predicate"]["serialization"]["ignore_paths"] = json!(["sub"])),
    ("too many ignored paths", "PROVENANCE_TOO_LARGE", |s| s["predicate"]["serialization"]["ignore_paths"] = json!(vec!["x"; MAX_IGNORED + 1])),
    ("short digest", "PROVENANCE_FORMAT", |s| s["predicate"]["resources"][0]["digest"] = json!("00")),
    ("digest in capitals", "PROVENANCE_FORMAT", |s| s["predicate"]["resources"][0]["digest"] = json!("AA".repeat(32))),
];

/// The bundle is edited after it was signed: anybody's doing.
#[rustfmt::skip]
const EDITED: &[(&str, &str, Edit)] = &[
    ("nothing", "accepted", |_| ()),
    ("no hint, as before version 1.1", "accepted", |b| b["verificationMaterial"]["publicKey"] = json!({})),
    ("the key beside the hint, as before 1.0", "accepted", |b| b["verificationMaterial"]["publicKey"]["rawBytes"] = json!("AA==")),
    ("another key id", "accepted", |b| b["dsseEnvelope"]["signatures"][0]["keyid"] = json!("x")),
    ("another hint", "PROVENANCE_OTHER_KEY", |b| b["verificationMaterial"]["publicKey"]["hint"] = json!("00")),
    ("edited statement", "PROVENANCE_SIGNATURE", |b| b["dsseEnvelope"]["payload"] = json!("e30=")),
    ("another signature", "PROVENANCE_SIGNATURE", |b| b["dsseEnvelope"]["signatures"][0]["sig"] = json!("MAYCAQECAQE=")),
    ("no DER in the signature", "PROVENANCE_SIGNATURE", |b| b["dsseEnvelope"]["signatures"][0]["sig"] = json!("AAAA")),
    ("other payload type", "PROVENANCE_UNSUPPORTED", |b| b["dsseEnvelope"]["payloadType"] = json!("application/json")),
    ("two signatures", "PROVENANCE_FORMAT", |b| { let one = b["dsseEnvelope"]["signatures"][0].clone(); list(&mut b["dsseEnvelope"]["signatures"]).push(one); }),
    ("no signature", "PROVENANCE_FORMAT", |b| b["dsseEnvelope"]["signatures"] = json!([])),
    ("no base64", "PROVENANCE_FORMAT", |b| b["dsseEnvelope"]["payload"] = json!("*")),
    ("base64 for URLs", "PROVENANCE_FORMAT", |b| b["dsseEnvelope"]["payload"] = json!("_-_-")),
    ("base64 with bits that are not used", "PROVENANCE_FORMAT", |b| b["dsseEnvelope"]["payload"] = json!("e31=")),
    ("another version of the bundle", "PROVENANCE_UNSUPPORTED", |b| b["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.2")),
    ("unknown member", "PROVENANCE_FORMAT", |b| b["more"] = json!(1)),
    ("unknown member of the envelope", "PROVENANCE_FORMAT", |b| b["dsseEnvelope"]["more"] = json!(1)),
    ("key and certificate", "PROVENANCE_FORMAT", |b| b["verificationMaterial"]["certificate"] = json!({"rawBytes": "AA=="})),
    ("neither key nor certificate", "PROVENANCE_FORMAT", |b| b["verificationMaterial"] = json!({})),
    ("a certificate instead", "PROVENANCE_METHOD", |b| b["verificationMaterial"] = json!({"certificate": {"rawBytes": "AA=="}})),
    ("two contents", "PROVENANCE_FORMAT", |b| b["messageSignature"] = json!({})),
    ("a signature over a file", "PROVENANCE_UNSUPPORTED", |b| { members(b).remove("dsseEnvelope"); b["messageSignature"] = json!({}); }),
    ("too many certificates", "PROVENANCE_TOO_LARGE", |b| b["verificationMaterial"] = json!({"x509CertificateChain": {"certificates": vec![json!({"rawBytes": "AA=="}); 17]}})),
];

#[test]
fn what_a_signer_signs_is_held_to_the_format() {
    let key = EcSigningKey::generate().expect("a key");
    for (defect, wanted, edit) in SIGNED {
        let mut statement = statement();
        edit(&mut statement);
        let bundle = bundle(statement.to_string().as_bytes(), &key);
        assert_eq!(code(&verify(bundle.to_string().as_bytes(), &Trust::Key(key.public()))), *wanted, "{defect}");
    }
}

#[test]
fn what_anybody_edits_is_refused() {
    let key = EcSigningKey::generate().expect("a key");
    for (defect, wanted, edit) in EDITED {
        let mut bundle = bundle(statement().to_string().as_bytes(), &key);
        edit(&mut bundle);
        assert_eq!(code(&verify(bundle.to_string().as_bytes(), &Trust::Key(key.public()))), *wanted, "{defect}");
    }
}

#[test]
fn what_is_signed_is_the_envelope_and_nothing_like_it() {
    let key = EcSigningKey::generate().expect("a key");
    let other = EcSigningKey::generate().expect("a key");
    let payload = statement().to_string();
    let pae = |head: String| [head.as_bytes(), payload.as_bytes()].concat();
    let length = payload.len();
    for (defect, signed) in [
        ("the statement alone", pae(String::new())),
        ("no version", pae(format!("28 application/vnd.in-toto+json {length} "))),
        ("the version of early releases", pae(format!("DSSEV1 28 application/vnd.in-toto+json {length} "))),
        ("another type", pae(format!("DSSEv1 16 application/json {length} "))),
        ("another length", pae(format!("DSSEv1 28 application/vnd.in-toto+json {} ", length + 1))),
    ] {
        let bundle = bundle_signed(payload.as_bytes(), &key.sign(&signed).expect("signs"), &key);
        let found = verify(bundle.to_string().as_bytes(), &Trust::Key(key.public()));
        assert_eq!(code(&found), "PROVENANCE_SIGNATURE", "{defect}");
    }
    let mut by_other = bundle(payload.as_bytes(), &other);
    by_other["verificationMaterial"]["publicKey"]["hint"] = json!(key.public().hint());
    let found = verify(by_other.to_string().as_bytes(), &Trust::Key(key.public()));
    assert_eq!(code(&found), "PROVENANCE_SIGNATURE", "another key under this key's hint");
}

#[test]
fn bytes_around_and_beyond_are_refused() {
    let key = EcSigningKey::generate().expect("a key");
    let sound = bundle(statement().to_string().as_bytes(), &key).to_string();
    let twice = sound.replacen('{', r#"{"mediaType":"x","#, 1);
    let padded = format!("{sound}{}", " ".repeat(MAX_BUNDLE_BYTES));
    for (defect, text, wanted) in [
        ("trailing data", format!("{sound}x"), "PROVENANCE_FORMAT"),
        ("a second bundle", format!("{sound}{sound}"), "PROVENANCE_FORMAT"),
        ("a member twice", twice, "PROVENANCE_FORMAT"),
        ("cut", sound[..sound.len() - 1].to_owned(), "PROVENANCE_FORMAT"),
        ("nothing", String::new(), "PROVENANCE_FORMAT"),
        ("oversized", padded, "PROVENANCE_TOO_LARGE"),
        ("deep", "[".repeat(100_000), "PROVENANCE_FORMAT"),
    ] {
        assert_eq!(code(&ModelSignature::read(text.as_bytes())), wanted, "{defect}");
    }
    // The same inside the signature: a signer may not say two things at once.
    let statement = statement().to_string();
    for payload in [statement.replacen('{', r#"{"_type":"x","#, 1), format!("{statement}{{}}")] {
        let bundle = bundle(payload.as_bytes(), &key);
        let found = verify(bundle.to_string().as_bytes(), &Trust::Key(key.public()));
        assert_eq!(code(&found), "PROVENANCE_FORMAT");
    }
}

#[test]
fn the_files_are_those_that_were_signed() {
    let key = EcSigningKey::generate().expect("a key");
    let bundle = bundle(statement().to_string().as_bytes(), &key).to_string();
    let check = |edit: fn(&mut Vec<FileDigest>)| {
        let mut here = files();
        edit(&mut here);
        verify(bundle.as_bytes(), &Trust::Key(key.public())).expect("verifies").check_files(&here)
    };
    type Change = fn(&mut Vec<FileDigest>);
    let rows: &[(&str, &str, Change)] = &[
        ("nothing", "accepted", |_| ()),
        ("another order", "accepted", |files| files.reverse()),
        ("missing file", "PROVENANCE_FILE_MISSING", |files| drop(files.pop())),
        ("extra file", "PROVENANCE_FILE_EXTRA", |files| files.push(file("more", b""))),
        ("changed digest", "PROVENANCE_FILE_DIGEST", |files| files[1] = file("sub/b", b"c")),
        ("renamed file", "PROVENANCE_FILE_EXTRA", |files| files[1].path = "sub/c".to_owned()),
        ("contents exchanged", "PROVENANCE_FILE_DIGEST", |files| files[0].sha256 = files[1].sha256),
        ("a file twice", "PROVENANCE_OPTIONS", |files| files.push(file("sub/b", b"b"))),
        ("a name like one that is left out", "PROVENANCE_FILE_EXTRA", |files| files.push(file(".gitmodules", b""))),
        ("no files", "PROVENANCE_FILE_MISSING", Vec::clear),
    ];
    for (defect, wanted, edit) in rows {
        let found = check(*edit);
        assert_eq!(code(&found), *wanted, "{defect}");
        assert!(found.is_err() || found.is_ok_and(|verified| verified.unsigned().is_empty()), "{defect}");
    }
    let left_out = check(|files| files.push(file(".git/config", b""))).expect("left out");
    assert_eq!(left_out.unsigned(), [".git/config"]);
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().expect("a list")
}

fn members(value: &mut Value) -> &mut serde_json::Map<String, Value> {
    value.as_object_mut().expect("an object")
}
