//! Whatever a stranger sends: an answer, and never a panic.

use proptest::prelude::*;
use strongroom_attestation::UnixTime;

use super::world::*;
use crate::provenance::certificate::Certificate;
use crate::provenance::*;

/// Replaces a stretch of `sound` by other bytes.
fn altered(sound: &[u8], at: usize, cut: usize, bytes: &[u8]) -> Vec<u8> {
    let start = at % (sound.len() + 1);
    let end = (start + cut).min(sound.len());
    [&sound[..start], bytes, &sound[end..]].concat()
}

proptest! {
    #[test]
    fn bytes_of_any_kind(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(ModelSignature::read(&bytes).is_err());
        prop_assert!(TrustedRoot::from_json(&bytes).is_err());
        prop_assert!(Certificate::read(&bytes).is_err());
        prop_assert!(EcPublicKey::from_spki(&bytes).is_err());
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(EcSigningKey::from_pem(&text).is_err());
        prop_assert!(CertificateRoots::from_pem(&text).is_err());
    }

    #[test]
    fn stretches_of_a_signature_replaced(
        at in any::<usize>(), cut in 0..40_usize, bytes in proptest::collection::vec(32..127_u8, 0..40),
    ) {
        let root = TrustedRoot::from_json(&vector("sigstore/trusted_root.json")).expect("a root");
        let roots = CertificateRoots::from_pem(&text("certificate/roots.pem")).expect("roots");
        let time = UnixTime::parse_rfc3339("2026-03-01T00:00:00Z").expect("a time");
        let identity = "stefanb@us.ibm.com";
        let issuer = "https://sigstore.verify.ibm.com/oauth2";
        for (path, trust) in [
            ("sigstore/model.sig", Trust::Sigstore { root: &root, identity, issuer }),
            ("certificate/sound.sig", Trust::Certificates { roots: &roots, at: time }),
        ] {
            let sound = vector(path);
            let wanted = verify(&sound, &trust).expect("sound");
            if let Ok(found) = verify(&altered(&sound, at, cut, &bytes), &trust) {
                prop_assert_eq!(found, wanted);
            }
        }
    }

    #[test]
    fn stretches_of_a_certificate_replaced(
        at in any::<usize>(), cut in 0..8_usize, bytes in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let bundle: serde_json::Value = serde_json::from_slice(&vector("sigstore/model.sig")).expect("JSON");
        let der = bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str().expect("text");
        let der = crate::provenance::dsse::base64(der).expect("base64");
        if let Ok(certificate) = Certificate::read(&altered(&der, at, cut, &bytes)) {
            let _ = (certificate.unfit_to_sign(), certificate.unfit_to_issue(0), certificate.identities());
            let timestamps = x509_cert::der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
            prop_assert!(certificate.tbs_without(timestamps).is_none_or(|tbs| tbs.len() < der.len()));
            prop_assert!(!certificate.is_signed_by(&certificate));
        }
    }
}
