//! Signatures with certificates that the package made: each vector's name is its defect.

use strongroom_attestation::UnixTime;

use super::world::*;
use crate::provenance::*;

/// Inside the dates of every certificate that has the usual ones.
const AT: &str = "2026-03-01T00:00:00Z";

const ROWS: &[(&str, &str)] = &[
    ("sound", "accepted"),
    ("sound-chain-in-any-order", "accepted"),
    ("sound-rsa-root", "accepted"),
    ("sound-without-extended-usage", "accepted"),
    ("sound-without-names", "accepted"),
    ("signer-expired", "PROVENANCE_CERTIFICATE_DATES"),
    ("signer-not-yet-valid", "PROVENANCE_CERTIFICATE_DATES"),
    ("middle-expired", "PROVENANCE_CERTIFICATE_DATES"),
    ("signer-for-servers", "PROVENANCE_CERTIFICATE"),
    ("signer-without-usage", "PROVENANCE_CERTIFICATE"),
    ("signer-that-only-agrees", "PROVENANCE_CERTIFICATE"),
    ("signer-is-authority", "PROVENANCE_CERTIFICATE"),
    ("signer-unknown-critical", "PROVENANCE_CERTIFICATE"),
    ("middle-is-no-authority", "PROVENANCE_CERTIFICATE"),
    ("middle-may-not-sign", "PROVENANCE_CERTIFICATE"),
    ("middle-for-servers", "PROVENANCE_CERTIFICATE"),
    ("middle-name-constraints", "PROVENANCE_CERTIFICATE"),
    ("path-too-long", "PROVENANCE_CERTIFICATE"),
    ("middle-missing", "PROVENANCE_CERTIFICATE"),
    ("middle-signed-by-another", "PROVENANCE_CERTIFICATE"),
    ("signer-signed-by-another", "PROVENANCE_CERTIFICATE"),
];

fn at(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).expect("a time")
}

fn roots() -> CertificateRoots {
    CertificateRoots::from_pem(&text("certificate/roots.pem")).expect("roots")
}

#[test]
fn each_certificate_is_taken_or_refused_for_its_defect() {
    let roots = roots();
    for (vector_name, wanted) in ROWS {
        let signature = vector(&format!("certificate/{vector_name}.sig"));
        let found = verify(&signature, &Trust::Certificates { roots: &roots, at: at(AT) });
        assert_eq!(code(&found), *wanted, "{vector_name}: {found:?}");
        if let Ok(model) = found {
            let Signer::Certificate { identities, .. } = model.signer() else { panic!("a certificate") };
            let name = if *vector_name == "sound-without-names" { "CN=signer" } else { "release@vendor.example" };
            assert_eq!(identities, &[name]);
            assert!(model.check_files(&vector_files()).is_ok());
        }
    }
    let files = std::fs::read_dir(vectors().join("certificate")).expect("listed").filter(|entry| {
        entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "sig"))
    });
    assert_eq!(files.count(), ROWS.len(), "a vector without a row");
}

#[test]
fn the_reason_is_told() {
    let roots = roots();
    for (vector_name, reason) in [
        ("signer-for-servers", "no codeSigning"),
        ("signer-that-only-agrees", "no digitalSignature"),
        ("signer-without-usage", "neither"),
        ("signer-is-authority", "an authority's"),
        ("signer-unknown-critical", "critical extension"),
        ("middle-is-no-authority", "no authority"),
        ("middle-may-not-sign", "may not sign"),
        ("middle-for-servers", "not for code signing"),
        ("middle-name-constraints", "name constraints"),
        ("path-too-long", "that many"),
        ("middle-missing", "CN=middle"),
    ] {
        let signature = vector(&format!("certificate/{vector_name}.sig"));
        let error = verify(&signature, &Trust::Certificates { roots: &roots, at: at(AT) }).expect_err(vector_name);
        assert!(error.to_string().contains(reason), "{vector_name}: {error}");
    }
}

#[test]
fn dates_are_those_of_the_caller_with_both_ends() {
    let (roots, signature) = (roots(), vector("certificate/sound.sig"));
    for (time, wanted) in [
        ("2025-12-31T23:59:59Z", "PROVENANCE_CERTIFICATE_DATES"),
        ("2026-01-01T00:00:00Z", "accepted"),
        ("2027-01-01T00:00:00Z", "accepted"),
        ("2027-01-01T00:00:01Z", "PROVENANCE_CERTIFICATE_DATES"),
    ] {
        assert_eq!(code(&verify(&signature, &Trust::Certificates { roots: &roots, at: at(time) })), wanted, "{time}");
    }
}

#[test]
fn a_root_of_the_same_name_is_not_the_root() {
    let other = CertificateRoots::from_pem(&text("certificate/other-root.pem")).expect("a root");
    let found = verify(&vector("certificate/sound.sig"), &Trust::Certificates { roots: &other, at: at(AT) });
    assert_eq!(code(&found), "PROVENANCE_CERTIFICATE");
    // The chain brings the genuine root along, which makes it no more trusted.
    let found =
        verify(&vector("certificate/sound-chain-in-any-order.sig"), &Trust::Certificates { roots: &other, at: at(AT) });
    assert_eq!(code(&found), "PROVENANCE_CERTIFICATE");
    assert_eq!(code(&CertificateRoots::from_pem("no roots")), "PROVENANCE_CERTIFICATE");
}

#[test]
fn every_byte_of_a_signature_counts() {
    let roots = roots();
    every_flip_refuses_or_says_the_same(
        &vector("certificate/sound.sig"),
        &Trust::Certificates { roots: &roots, at: at(AT) },
    );
}
