//! Provenance of models: what a stranger wrote, and what a signer whom somebody trusts wrote.

use std::hint::black_box;
use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use strongroom_attestation::UnixTime;
use strongroom_enclave_loader::provenance::{
    CertificateRoots, EcPublicKey, ModelSignature, ProvenanceError, Trust, TrustedRoot, verify_sealing,
};

use crate::Target;

const MIB: usize = 1 << 20;
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// When the certificates of the vectors are valid: 2026-03-01.
const AT: UnixTime = UnixTime::from_secs(1_772_323_200);

/// A bundle, or a line of provenance, of whoever it is.
pub const MODEL_SIGNATURE: Target = Target {
    name: "model_signature",
    body: |input| {
        if let Ok(signature) = ModelSignature::read(input) {
            let sigstore =
                Trust::Sigstore { root: &SIGSTORE, identity: "a@example.com", issuer: "https://example.com" };
            for trust in [Trust::Key(&SIGNER.public), Trust::Certificates { roots: &ROOTS, at: AT }, sigstore] {
                match signature.verify(&trust) {
                    Ok(model) => drop(black_box(model)),
                    Err(error) => short(&error),
                }
            }
        }
        if let Err(error) = verify_sealing(input, &SIGNER.public, &[0; 32]) {
            short(&error);
        }
    },
    // Certificates, their names among them, and the log's entries; JSON in memory: an element of two
    // bytes has dozens.
    constant: MIB,
    factor: 128,
};

/// A statement under a signature that verifies: of a model's files, or of a sealing.
pub const MODEL_STATEMENT: Target = Target {
    name: "model_statement",
    body: |input| {
        let envelope = SIGNER.envelope(input);
        let bundle = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": { "publicKey": {} },
            "dsseEnvelope": envelope,
        });
        let bundle = ModelSignature::read(bundle.to_string().as_bytes()).expect("a bundle");
        match bundle.verify(&Trust::Key(&SIGNER.public)) {
            Ok(model) => {
                let files: Vec<_> = model.files().collect();
                black_box(model.check_files(&files)).expect("the files that it names");
            }
            Err(error) => after_the_signature(&error),
        }
        if let Err(error) = verify_sealing(envelope.to_string().as_bytes(), &SIGNER.public, &[0; 32]) {
            after_the_signature(&error);
        }
    },
    constant: MIB,
    factor: 128,
};

/// The vectors' authorities.
static ROOTS: LazyLock<CertificateRoots> = LazyLock::new(|| {
    CertificateRoots::from_pem(include_str!("../../vectors/model-signing/certificate/roots.pem")).expect("roots")
});

/// Sigstore's keys.
static SIGSTORE: LazyLock<TrustedRoot> = LazyLock::new(|| {
    TrustedRoot::from_json(include_bytes!("../../vectors/model-signing/sigstore/trusted_root.json")).expect("a root")
});

/// Who signs statements. The key is new each time: nothing depends on which it is.
static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("encodes");
    Signer { public: EcPublicKey::from_spki(spki.as_ref()).expect("a key"), pair }
});

struct Signer {
    pair: EcdsaKeyPair,
    public: EcPublicKey,
}

impl Signer {
    /// A DSSE envelope.
    fn envelope(&self, payload: &[u8]) -> serde_json::Value {
        let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
        let message = [head.as_bytes(), payload].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &message).expect("signs");
        json!({
            "payload": STANDARD.encode(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{ "sig": STANDARD.encode(signature) }],
        })
    }
}

/// An error does not repeat what an enemy wrote at length.
fn short(error: &ProvenanceError) {
    let said = error.to_string();
    assert!(said.len() < 4096, "an error of {} bytes", said.len());
}

fn after_the_signature(error: &ProvenanceError) {
    assert!(!matches!(error, ProvenanceError::Signature), "the signature is right");
    short(error);
}
