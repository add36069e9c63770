//! Who may have signed which model.

use serde_json::json;
use strongroom_attestation::UnixTime;

use super::world::*;
use crate::provenance::*;

fn by_key(key: &EcSigningKey) -> VerifiedSignature {
    let signature = sign_model("m", &files(), &[], key).expect("signed");
    verify(&signature, &Trust::Key(key.public())).expect("verifies").check_files(&files()).expect("the files")
}

fn by_certificate() -> VerifiedSignature {
    let roots = CertificateRoots::from_pem(&text("certificate/roots.pem")).expect("roots");
    let at = UnixTime::parse_rfc3339("2026-03-01T00:00:00Z").expect("a time");
    let model = verify(&vector("certificate/sound.sig"), &Trust::Certificates { roots: &roots, at });
    model.expect("verifies").check_files(&vector_files()).expect("the files")
}

fn policy(value: serde_json::Value) -> SignerPolicy {
    serde_json::from_value(value).expect("a policy")
}

#[test]
fn a_key_signs_the_models_that_name_it_and_no_others() {
    let (key, other) = (EcSigningKey::generate().expect("a key"), EcSigningKey::generate().expect("a key"));
    let rule = |key: &EcSigningKey| json!({"method": "key", "fingerprint": key.public().fingerprint()});
    let policy = policy(json!({"models": {"llama": [rule(&other), rule(&key)], "qwen": [rule(&other)], "none": []}}));
    let signature = by_key(&key);
    for (model, wanted) in [
        ("llama", "accepted"),
        ("qwen", "PROVENANCE_SIGNER"),
        ("none", "PROVENANCE_SIGNER"),
        ("unknown", "PROVENANCE_NO_RULE"),
        // What the signature calls the model does not count.
        ("m", "PROVENANCE_NO_RULE"),
    ] {
        assert_eq!(code(&policy.decide(model, &signature)), wanted, "{model}");
    }
    assert_eq!(code(&SignerPolicy::default().decide("llama", &signature)), "PROVENANCE_NO_RULE");
    assert_eq!(code(&policy.decide("llama", &by_certificate())), "PROVENANCE_SIGNER");
}

#[test]
fn a_certificate_counts_by_root_and_name_together() {
    let signature = by_certificate();
    let Signer::Certificate { root, .. } = signature.signer() else { panic!("a certificate") };
    let elsewhere = "00".repeat(32);
    for (root, identity, wanted) in [
        (root.to_string(), "release@vendor.example", "accepted"),
        (root.to_string(), "RELEASE@vendor.example", "PROVENANCE_SIGNER"),
        (root.to_string(), "vendor.example", "PROVENANCE_SIGNER"),
        (elsewhere, "release@vendor.example", "PROVENANCE_SIGNER"),
    ] {
        let rule = json!({"method": "certificate", "root": root, "identity": identity});
        assert_eq!(code(&policy(json!({"models": {"m": [rule]}})).decide("m", &signature)), wanted, "{identity}");
    }
    let rule = json!({"method": "sigstore", "identity": "release@vendor.example", "issuer": "i"});
    assert_eq!(code(&policy(json!({"models": {"m": [rule]}})).decide("m", &signature)), "PROVENANCE_SIGNER");
}

#[test]
fn a_policy_with_a_word_that_is_not_known_is_none() {
    let print = "00".repeat(32);
    for wrong in [
        json!({}),
        json!({"models": {}, "default": "allow"}),
        json!({"models": {"m": [{"method": "anyone"}]}}),
        json!({"models": {"m": [{"method": "key"}]}}),
        json!({"models": {"m": [{"method": "key", "fingerprint": "00"}]}}),
        json!({"models": {"m": [{"method": "key", "fingerprint": print, "until": "x"}]}}),
        json!({"models": {"m": [{"method": "certificate", "root": print}]}}),
        json!({"models": {"m": [{"method": "sigstore", "identity": "x"}]}}),
    ] {
        assert!(serde_json::from_value::<SignerPolicy>(wrong.clone()).is_err(), "{wrong}");
    }
}
