//! Provenance of sealing: made, read, and refused.

use serde_json::{Value, json};
use strongroom_attestation::UnixTime;
use strongroom_channel::trust_file::Environment;

use super::world::*;
use crate::Suite;
use crate::provenance::dsse::pre_authentication_encoding;
use crate::provenance::*;

const MODEL_ID: [u8; 32] = [7; 32];

fn sealing(sources: &[FileDigest]) -> Sealing<'_> {
    Sealing {
        name: "llama",
        version: 3,
        suite: Suite::Blake3,
        environment: Environment::Production,
        model_id: MODEL_ID,
        sources,
        sealer_version: "0.1.0",
        started: UnixTime::from_secs(1_790_000_000),
        finished: UnixTime::from_secs(1_790_000_060),
    }
}

#[test]
fn says_who_sealed_what_and_when_and_no_guess_is_confirmed_without_the_salt() {
    let (key, sources) = (EcSigningKey::generate().expect("a key"), files());
    let (bytes, salt) = sign_sealing(&sealing(&sources), &key).expect("signed");
    let verified = verify_sealing(&bytes, key.public(), &MODEL_ID).expect("verifies");
    assert_eq!((verified.name.as_str(), verified.version, verified.suite), ("llama", 3, 1));
    assert_eq!((verified.environment, verified.sealer_version.as_str()), (Environment::Production, "0.1.0"));
    assert_eq!(verified.signer, key.public().fingerprint());
    assert_eq!(verified.started.to_string(), "2026-09-21T14:13:20Z");

    let salt = SourceSalt::from_text(&format!("{}\n", *salt.to_text())).expect("the salt");
    let mut any_order = files();
    any_order.reverse();
    assert_eq!(verified.check_sources(&salt, &any_order), Ok(()));
    assert_eq!(code(&verified.check_sources(&salt, &sources[1..])), "PROVENANCE_SOURCES");
    let (again, other) = sign_sealing(&sealing(&sources), &key).expect("signed");
    assert_eq!(code(&verified.check_sources(&other, &sources)), "PROVENANCE_SOURCES");
    assert_ne!(payload(&bytes), payload(&again), "each sealing has its own salt");

    // Neither digests nor paths, nor how many there are.
    let text = payload(&bytes).to_string();
    for file in &sources {
        assert!(!text.contains(&file.path) && !text.contains(&file.sha256.to_string()));
    }
    let (one, _) = sign_sealing(&sealing(&sources[..1]), &key).expect("signed");
    assert_eq!(payload(&one).to_string().len(), text.len());
}

#[test]
fn each_defect_has_its_code() {
    let (key, sources) = (EcSigningKey::generate().expect("a key"), files());
    let (bytes, _) = sign_sealing(&sealing(&sources), &key).expect("signed");
    let sound = String::from_utf8(bytes.clone()).expect("UTF-8");
    let other = EcSigningKey::generate().expect("a key");
    assert_eq!(code(&verify_sealing(&bytes, other.public(), &MODEL_ID)), "PROVENANCE_SIGNATURE");
    assert_eq!(code(&verify_sealing(&bytes, key.public(), &[8; 32])), "PROVENANCE_SUBJECT");
    for (defect, text, wanted) in [
        ("two lines", sound.repeat(2), "PROVENANCE_FORMAT"),
        ("trailing data", format!("{}x", sound.trim_end()), "PROVENANCE_FORMAT"),
        ("oversized", format!("{}{}", sound.trim_end(), " ".repeat(70_000)), "PROVENANCE_TOO_LARGE"),
        ("empty", String::new(), "PROVENANCE_FORMAT"),
    ] {
        assert_eq!(code(&verify_sealing(text.as_bytes(), key.public(), &MODEL_ID)), wanted, "{defect}");
    }

    type Edit = fn(&mut Value);
    #[rustfmt::skip]
    let rows: &[(&str, &str, Edit)] = &[
        ("nothing", "accepted", |_| ()),
        ("another predicate", "PROVENANCE_UNSUPPORTED", |s| s["predicateType"] = json!("https://slsa.dev/provenance/v0.2")),
        ("another build", "PROVENANCE_UNSUPPORTED", |s| s["predicate"]["buildDefinition"]["buildType"] = json!("x")),
        ("another builder", "PROVENANCE_UNSUPPORTED", |s| s["predicate"]["runDetails"]["builder"]["id"] = json!("x")),
        ("another environment", "PROVENANCE_FORMAT", |s| s["predicate"]["buildDefinition"]["externalParameters"]["environment"] = json!("x")),
        ("another name of the subject", "PROVENANCE_FORMAT", |s| s["subject"][0]["name"] = json!("x")),
        ("no source", "PROVENANCE_FORMAT", |s| s["predicate"]["buildDefinition"]["resolvedDependencies"] = json!([])),
        ("a source without salt", "PROVENANCE_FORMAT", |s| s["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"] = json!({"sha256": "00".repeat(32)})),
        ("a time that is none", "PROVENANCE_FORMAT", |s| s["predicate"]["runDetails"]["metadata"]["startedOn"] = json!("yesterday")),
        ("unknown parameter", "PROVENANCE_FORMAT", |s| s["predicate"]["buildDefinition"]["externalParameters"]["more"] = json!(1)),
    ];
    for (defect, wanted, edit) in rows {
        let mut statement = payload(&bytes);
        edit(&mut statement);
        let text = statement.to_string();
        let mut envelope = bundle(text.as_bytes(), &key)["dsseEnvelope"].clone();
        let signature = key.sign(&pre_authentication_encoding(text.as_bytes())).expect("signs");
        envelope["signatures"] = bundle_signed(text.as_bytes(), &signature, &key)["dsseEnvelope"]["signatures"].clone();
        let found = verify_sealing(envelope.to_string().as_bytes(), key.public(), &MODEL_ID);
        assert_eq!(code(&found), *wanted, "{defect}");
    }
}

#[test]
fn what_makes_no_sense_is_not_signed() {
    let (key, sources) = (EcSigningKey::generate().expect("a key"), files());
    let backwards = Sealing { finished: UnixTime::from_secs(1), ..sealing(&sources) };
    for sealing in [sealing(&[]), backwards, Sealing { name: "", ..sealing(&sources) }] {
        assert_eq!(code(&sign_sealing(&sealing, &key)), "PROVENANCE_OPTIONS");
    }
    assert_eq!(code(&SourceSalt::from_text("00")), "PROVENANCE_FORMAT");
}

fn payload(bytes: &[u8]) -> Value {
    use base64::Engine as _;
    let envelope: Value = serde_json::from_slice(bytes).expect("JSON");
    let payload = envelope["payload"].as_str().expect("text");
    serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(payload).expect("base64")).expect("JSON")
}
