//! Any single flipped bit refuses.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::scene::Scene;
use crate::attest::{AttestResponse, Collection, CollectionKind};

/// The parts of a response that are signed, hashed, or themselves signatures.
#[derive(Clone, Copy, Debug)]
enum Part {
    Statement,
    Proof,
    Signature,
    Evidence,
    Certificate,
}

fn answered() -> &'static (Scene, AttestResponse) {
    static ANSWERED: OnceLock<(Scene, AttestResponse)> = OnceLock::new();
    ANSWERED.get_or_init(|| {
        let scene = Scene::new();
        let response = scene.response();
        assert!(scene.appraise(&response).result.is_ok());
        (scene, response)
    })
}

fn flipped(response: &AttestResponse, part: Part, position: prop::sample::Index, bit: u8) -> AttestResponse {
    let mut response = response.clone();
    let flip = |bytes: &mut [u8]| bytes[position.index(bytes.len())] ^= 1 << bit;
    match part {
        Part::Statement => flip(&mut response.statement),
        Part::Proof => flip(response.proof.as_flattened_mut()),
        Part::Signature => flip(&mut response.instance_signature),
        Part::Certificate => flip(&mut response.instance_certificate[0]),
        Part::Evidence => {
            let mut record = response.evidence.get("cpu0").unwrap().clone();
            flip(&mut record.value);
            response.evidence = Collection::new(CollectionKind::Evidence);
            response.evidence.insert("cpu0", record).unwrap();
        }
    }
    response
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn any_flipped_bit_is_refused(
        part in prop::sample::select(vec![Part::Statement, Part::Proof, Part::Signature, Part::Evidence, Part::Certificate]),
        position in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let (scene, response) = answered();
        prop_assert!(scene.appraise(&flipped(response, part, position, bit)).result.is_err(), "{:?}", part);
    }

    #[test]
    fn any_flipped_bit_of_the_text_is_refused_or_changes_nothing_signed(position in any::<prop::sample::Index>(), bit in 0u8..8) {
        let (scene, response) = answered();
        let mut text = response.to_bytes();
        let at = position.index(text.len());
        text[at] ^= 1 << bit;
        if scene.appraise_bytes(&text).result.is_ok() {
            // Only the time is a hint, and endorsements may hold what is not used; media types
            // and labels of endorsements are not read.
            let other = AttestResponse::from_bytes(&text).unwrap();
            let same = AttestResponse { time: response.time, endorsements: response.endorsements.clone(), ..other };
            prop_assert_eq!(&same, response);
        }
    }
}
