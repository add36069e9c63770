//! One set of cases for all providers. Run them with each:
//! `cargo test -p strongroom-attestation --no-default-features --features ring --lib crypto`.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::*;

/// A case of `tests/vectors/signatures/cases.json`; bytes in hexadecimal.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    scheme: String,
    key: String,
    message: String,
    signature: String,
    accepted: bool,
}

impl Case {
    fn all() -> Vec<Case> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/signatures/cases.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn verify(&self) -> Result<(), BadSignature> {
        let bytes = |text: &str| hex::decode(text).unwrap();
        verify(&self.scheme, &bytes(&self.key), &bytes(&self.message), &bytes(&self.signature))
    }
}

fn verify(scheme: &str, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    match scheme {
        "ecdsa-p384-sha384" => verify_ecdsa_p384_sha384(key, message, signature.try_into().unwrap()),
        "ecdsa-p256-sha256" => verify_ecdsa_p256_sha256(key, message, signature.try_into().unwrap()),
        "ecdsa-p256-sha256-asn1" => verify_ecdsa_p256_sha256_asn1(key, message, signature),
        "rsa-pss-sha384" => verify_rsa_pss_sha384(key, message, signature),
        "rsa-pkcs1-sha256" => verify_rsa_pkcs1_sha256(key, message, signature),
        "rsa-pkcs1-sha384" => verify_rsa_pkcs1_sha384(key, message, signature),
        "rsa-pkcs1-sha512" => verify_rsa_pkcs1_sha512(key, message, signature),
        other => panic!("no scheme {other}"),
    }
}

#[test]
fn digests_of_the_empty_string() {
    assert_eq!(hex::encode(sha1(b"")), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert!(hex::encode(sha256(b"")).starts_with("e3b0c44298fc1c14"));
    assert!(hex::encode(sha384(b"")).starts_with("38b060a751ac9638"));
    assert!(hex::encode(sha512(b"")).starts_with("cf83e1357eefb8bd"));
}

#[test]
fn nonsense_keys_are_refused() {
    assert_eq!(verify_ecdsa_p384_sha384(&[4; 97], b"m", &[1; 96]), Err(BadSignature));
    assert_eq!(verify_ecdsa_p256_sha256(&[4; 65], b"m", &[1; 64]), Err(BadSignature));
    assert_eq!(verify_rsa_pss_sha384(&[0x30, 0], b"m", &[1; 512]), Err(BadSignature));
}

#[test]
fn every_case_is_judged_as_it_says() {
    let cases = Case::all();
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| case.verify().is_ok() != case.accepted)
        .map(|case| format!("{}: {}: accepted must be {}", case.scheme, case.name, case.accepted))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let schemes: BTreeSet<&str> = cases.iter().map(|case| case.scheme.as_str()).collect();
    assert_eq!(schemes.len(), 7);
    for scheme in schemes {
        let of_scheme = || cases.iter().filter(|case| case.scheme == scheme);
        assert!(of_scheme().filter(|case| case.accepted).count() >= 5, "{scheme}: few cases are accepted");
        assert!(of_scheme().filter(|case| !case.accepted).count() >= 30, "{scheme}: few cases are refused");
    }
}

#[test]
fn a_signature_with_any_bit_changed_is_refused() {
    let made = ["as made", "neither number with a sign byte", "both numbers with a sign byte"];
    let cases = Case::all();
    let mut bits = 0;
    for case in cases.iter().filter(|case| made.contains(&case.name.as_str())) {
        let [key, message, signature] =
            [&case.key, &case.message, &case.signature].map(|text| hex::decode(text).unwrap());
        // RSA costs more and has no structure inside: a sample of its bits.
        let step = if case.scheme.starts_with("rsa") { 61 } else { 1 };
        for bit in (0..signature.len() * 8).step_by(step) {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let verified = verify(&case.scheme, &key, &message, &changed);
            assert_eq!(verified, Err(BadSignature), "{}: {}: bit {bit}", case.scheme, case.name);
            bits += 1;
        }
    }
    assert!(bits > 2000, "{bits} bits tried");
}

#[test]
fn a_key_with_any_bit_changed_verifies_nothing() {
    for case in Case::all().iter().filter(|case| case.name == "as made") {
        let [key, message, signature] =
            [&case.key, &case.message, &case.signature].map(|text| hex::decode(text).unwrap());
        for bit in (0..key.len() * 8).step_by(7) {
            let mut changed = key.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let verified = verify(&case.scheme, &changed, &message, &signature);
            assert_eq!(verified, Err(BadSignature), "{}: bit {bit}", case.scheme);
        }
    }
}
