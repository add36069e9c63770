//! What is remembered changes no answer.

use strongroom_attestation::{Evidence, Hardware, HardwareAnchors, Remembered, verify_remembering};

use crate::vector::Vector;

/// Checks and refusal of a vector under a memory, in words.
fn answer(vector: &Vector, remembered: &Remembered) -> String {
    let (evidence, bag) = match (Evidence::parse(&vector.report), vector.bag()) {
        (Ok(evidence), Ok(bag)) => (evidence, bag),
        (Err(refusal), _) | (_, Err(refusal)) => return refusal.to_string(),
    };
    let anchors = HardwareAnchors::compiled_in();
    let (policy, expected, now) = (&vector.policy, &vector.bound_to, vector.now);
    let appraisal = verify_remembering::<Hardware>(&evidence, &bag, &anchors, policy, expected, now, remembered);
    let checks = format!("{:?}", appraisal.checks());
    format!("{checks} {:?}", appraisal.into_verdict().map(|verdict| verdict.claims().clone()))
}

#[test]
fn every_vector_has_the_same_answer_whatever_was_seen_before() {
    let shared = Remembered::new(1000);
    for _ in 0..2 {
        for vector in Vector::all() {
            let fresh = answer(&vector, &Remembered::new(1000));
            assert_eq!(answer(&vector, &shared), fresh, "{}", vector.name);
        }
    }
}

#[test]
fn the_evidences_own_signature_is_not_remembered() {
    let remembered = Remembered::new(1000);
    let vector = Vector::named("021-genoa-revocation-list");
    answer(&vector, &remembered);
    assert_eq!(remembered.len(), 2, "VCEK and the list; the ASK is compiled in");
    answer(&vector, &remembered);
    answer(&Vector::named("012-genoa-v5"), &remembered);
    assert!(remembered.len() <= 3, "the same chain, and a VCEK at most: {}", remembered.len());
}
