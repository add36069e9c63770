//! Signatures with keys: the package's, and ours.

use super::world::*;
use crate::provenance::*;

#[test]
fn the_packages_signatures_verify_over_its_files() {
    for curve in ["secp256r1", "secp384r1"] {
        let key = EcPublicKey::from_pem(&text(&format!("key/{curve}.pub"))).expect("a key");
        let signature = vector(&format!("key/{curve}.sig"));
        let model = verify(&signature, &Trust::Key(&key)).expect(curve);
        assert_eq!(model.signer(), &Signer::Key { fingerprint: key.fingerprint() });
        assert_eq!((model.name(), model.files().len()), ("tiny", 5));
        assert!(model.ignored().iter().any(|path| path == ".gitignore"));
        let verified = model.check_files(&vector_files()).expect("the files");
        assert_eq!(verified.unsigned(), [".gitignore"]);
    }
}

#[test]
fn the_key_is_the_one_that_was_given_and_of_a_curve_that_is_checked() {
    let other = EcPublicKey::from_pem(&text("key/refused.pub")).expect("a key");
    assert_eq!(code(&verify(&vector("key/secp256r1.sig"), &Trust::Key(&other))), "PROVENANCE_OTHER_KEY");
    assert_eq!(code(&EcPublicKey::from_pem(&text("key/secp521r1.pub"))), "PROVENANCE_UNSUPPORTED");
}

#[test]
fn what_the_package_can_and_this_version_does_not_is_refused_by_name() {
    let key = EcPublicKey::from_pem(&text("key/refused.pub")).expect("a key");
    for (signature, name) in
        [("blake2", "blake2b"), ("blake3", "blake3"), ("shards", "shards"), ("symlinks", "symbolic links")]
    {
        let error = verify(&vector(&format!("key/{signature}.sig")), &Trust::Key(&key)).expect_err(signature);
        assert_eq!((error.code(), error.exit_code()), ("PROVENANCE_UNSUPPORTED", 4), "{signature}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn one_kind_of_trust_does_not_stand_for_another() {
    let key = EcPublicKey::from_pem(&text("key/secp256r1.pub")).expect("a key");
    let roots = CertificateRoots::from_pem(&text("certificate/roots.pem")).expect("roots");
    let at = strongroom_attestation::UnixTime::parse_rfc3339("2026-03-01T00:00:00Z").expect("a time");
    let root = TrustedRoot::from_json(&vector("sigstore/trusted_root.json")).expect("a root");
    let trusts = [
        ("key/secp256r1.sig", Trust::Key(&key)),
        ("certificate/sound.sig", Trust::Certificates { roots: &roots, at }),
        ("sigstore/model.sig", Trust::Sigstore { root: &root, identity: "a", issuer: "b" }),
    ];
    for (place, (_, trust)) in trusts.iter().enumerate() {
        for (other, (signature, _)) in trusts.iter().enumerate() {
            let refused = code(&verify(&vector(signature), trust)) == "PROVENANCE_METHOD";
            assert_eq!(refused, place != other, "{signature}");
        }
    }
}

#[test]
fn our_signature_verifies_and_covers_all_but_what_it_leaves_out() {
    let key = EcSigningKey::generate().expect("a key");
    let mut sealed = vec![file("manifest.cbor", b"m"), file("blobs/0001.bin", b"1"), file("blobs/0000.bin", b"0")];
    let signature = sign_model("llama.sealed", &sealed, &SEALED_IGNORED, &key).expect("signed");
    let model = verify(&signature, &Trust::Key(key.public())).expect("verifies");
    assert_eq!(model.name(), "llama.sealed");
    assert_eq!(model.check_file("manifest.cbor", &sealed[0].sha256), Ok(()));
    assert_eq!(code(&model.check_file("manifest.cbor", &sealed[1].sha256)), "PROVENANCE_FILE_DIGEST");
    assert_eq!(code(&model.check_file("keys.cbor", &sealed[1].sha256)), "PROVENANCE_FILE_EXTRA");
    sealed.push(file("keys.cbor", b"k"));
    sealed.push(file(SIGNATURE_FILE, &signature));
    let verified = model.check_files(&sealed).expect("the files");
    assert_eq!(verified.unsigned(), ["keys.cbor", "model.sig"]);
}

#[test]
fn what_cannot_be_signed_is_not() {
    let key = EcSigningKey::generate().expect("a key");
    let one = || vec![file("a", b"")];
    let two = |other: &str| vec![file("a", b""), file(other, b"")];
    for (why, name, files, ignored) in [
        ("no name", "", one(), vec![]),
        ("a name over lines", "a\nb", one(), vec![]),
        ("no files", "m", vec![], vec![]),
        ("a path twice", "m", two("a"), vec![]),
        ("a path that climbs", "m", two("../b"), vec![]),
        ("a path that is absolute", "m", two("/b"), vec![]),
        ("a path left out that climbs", "m", one(), vec!["../b"]),
        ("a file that is left out", "m", two("b/c"), vec!["b"]),
    ] {
        let error = sign_model(name, &files, &ignored, &key).expect_err(why);
        assert_eq!((error.code(), error.exit_code()), ("PROVENANCE_OPTIONS", 2), "{why}");
    }
}

#[test]
fn every_byte_of_a_signature_counts() {
    let key = EcPublicKey::from_pem(&text("key/secp256r1.pub")).expect("a key");
    every_flip_refuses_or_says_the_same(&vector("key/secp256r1.sig"), &Trust::Key(&key));
}
