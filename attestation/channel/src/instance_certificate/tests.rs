use proptest::prelude::*;

use super::*;
use crate::cose::SigningKey;
use crate::deployment::DeploymentId;
use crate::trust_file::Environment;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

fn at(offset: i64) -> UnixTime {
    UnixTime::from_secs(NOW.as_secs().checked_add_signed(offset).unwrap())
}

fn ca_key() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn ca() -> Vec<u8> {
    make_ca(&ca_key(), "bank", Environment::Production, at(-1000), at(100_000)).unwrap()
}

fn instance_key() -> VerifyingKey {
    SigningKey::from_seed([2; 32]).verifying_key()
}

fn claims() -> InstanceClaims {
    InstanceClaims {
        deployment: DeploymentId::parse("bank-prod").unwrap(),
        instance_id: [3; 16],
        launch_measurement: vec![4; 48],
        platform_identity: Some(vec![5; 64]),
        gpu_ueids: vec![vec![6; 8], vec![7; 8]],
    }
}

fn leaf() -> Vec<u8> {
    issue(&ca_key(), &ca(), &claims(), &instance_key(), at(-60), at(900), "bank").unwrap()
}

#[test]
fn an_issued_certificate_verifies() {
    let certificate = verify(&leaf(), &ca(), NOW).unwrap();
    assert_eq!(
        (certificate.claims(), certificate.key(), certificate.not_after()),
        (&claims(), &instance_key(), at(900))
    );
}

#[test]
fn absent_identities_come_back_absent() {
    let claims = InstanceClaims { platform_identity: None, gpu_ueids: Vec::new(), ..claims() };
    let leaf = issue(&ca_key(), &ca(), &claims, &instance_key(), at(-60), at(900), "bank").unwrap();
    assert_eq!(verify(&leaf, &ca(), NOW).unwrap().claims(), &claims);
}

#[test]
fn outside_its_time_it_is_refused() {
    assert!(matches!(verify(&leaf(), &ca(), at(-61)), Err(CertificateError::NotYetValid { .. })));
    assert!(verify(&leaf(), &ca(), at(-60)).is_ok());
    assert!(verify(&leaf(), &ca(), at(900)).is_ok());
    assert!(matches!(verify(&leaf(), &ca(), at(901)), Err(CertificateError::Expired { .. })));
    assert!(matches!(
        verify(&leaf(), &ca(), at(100_001)),
        Err(CertificateError::Expired { what: "the instance CA's certificate", .. })
    ));
}

#[test]
fn another_ca_of_another_or_the_same_name_is_refused() {
    let other = SigningKey::from_seed([9; 32]);
    let other_name = make_ca(&other, "thief", Environment::Production, at(-1000), at(100_000)).unwrap();
    assert_eq!(verify(&leaf(), &other_name, NOW), Err(CertificateError::WrongIssuer));
    let same_name = make_ca(&other, "bank", Environment::Production, at(-1000), at(100_000)).unwrap();
    assert_eq!(verify(&leaf(), &same_name, NOW), Err(CertificateError::Signature));
}

#[test]
fn a_leaf_is_no_ca_and_a_ca_no_instance() {
    assert_eq!(verify(&leaf(), &leaf(), NOW), Err(CertificateError::NotACa));
    assert!(matches!(verify(&ca(), &ca(), NOW), Err(CertificateError::Extensions { .. })));
    let key = SigningKey::from_seed([2; 32]);
    assert_eq!(
        issue(&key, &leaf(), &claims(), &instance_key(), at(-60), at(800), "bank"),
        Err(CertificateError::NotACa)
    );
}

#[test]
fn a_development_ca_says_so() {
    let ca = make_ca(&ca_key(), "bank", Environment::Development, at(-1000), at(100_000)).unwrap();
    assert!(ca.windows(25).any(|window| window == b"DEVELOPMENT - NOT A TEE\x31\x0d".as_slice()
        || window.starts_with(b"DEVELOPMENT - NOT A TEE")));
    assert_eq!(verify(&leaf(), &ca, NOW), Err(CertificateError::WrongIssuer));
}

#[test]
fn what_cannot_stand_in_a_certificate_is_not_issued() {
    let issue_with = |claims: &InstanceClaims, from, to, tenant: &str| {
        issue(&ca_key(), &ca(), claims, &instance_key(), from, to, tenant)
    };
    assert!(issue_with(&claims(), at(-60), at(100_001), "bank").is_err(), "outlives the CA");
    assert!(issue_with(&claims(), at(5), at(5), "bank").is_err(), "no time at all");
    for tenant in ["", "Bank", "a/b", "a,CN=x", &"x".repeat(64)] {
        assert!(issue_with(&claims(), at(-60), at(900), tenant).is_err(), "{tenant}");
    }
    let unsorted = InstanceClaims { gpu_ueids: vec![vec![2], vec![1]], ..claims() };
    assert!(issue_with(&unsorted, at(-60), at(900), "bank").is_err());
    let empty = InstanceClaims { launch_measurement: Vec::new(), ..claims() };
    assert!(issue_with(&empty, at(-60), at(900), "bank").is_err());
    let stranger = SigningKey::from_seed([9; 32]);
    assert!(issue(&stranger, &ca(), &claims(), &instance_key(), at(-60), at(900), "bank").is_err(), "not the CA's key");
}

#[test]
fn dates_past_2049_are_written_as_generalized_time() {
    let late = UnixTime::from_secs(4_000_000_000);
    let ca = make_ca(&ca_key(), "bank", Environment::Production, at(-1000), late).unwrap();
    assert!(ca.windows(15).any(|window| window == b"20961002070640Z"));
    assert!(verify(&leaf(), &ca, NOW).is_ok());
    assert!(make_ca(&ca_key(), "bank", Environment::Production, at(0), UnixTime::from_secs(u64::MAX)).is_err());
}

#[test]
fn serial_numbers_differ_between_renewals() {
    let renewed = issue(&ca_key(), &ca(), &claims(), &instance_key(), at(0), at(960), "bank").unwrap();
    let serial = |der: &[u8]| {
        use x509_cert::der::Decode as _;
        x509_cert::Certificate::from_der(der).unwrap().tbs_certificate().serial_number().clone()
    };
    assert_ne!(serial(&renewed), serial(&leaf()));
}

#[test]
fn garbage_is_malformed() {
    for bytes in [&[][..], &[0x30], &[0x30, 0x80, 0, 0], &[0; 20_000]] {
        assert!(matches!(
            verify(bytes, &ca(), NOW),
            Err(CertificateError::Malformed { what: "the instance certificate" })
        ));
    }
    let trailing = [leaf(), vec![0]].concat();
    assert!(verify(&trailing, &ca(), NOW).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_flipped_bit_is_refused(position in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = leaf();
        let at = position.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(verify(&bytes, &ca(), NOW).is_err());
    }
}
