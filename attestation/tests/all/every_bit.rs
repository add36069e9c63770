//! No bit of a report or of its certificate is ignored.

use strongroom_attestation::{Endorsements, Evidence, Expected, Hardware, HardwareAnchors, verify};

use crate::vector::Vector;

/// Flips every `step`th bit of the report and returns those that were accepted all the same.
fn ignored_bits(name: &str, step: usize) -> Vec<usize> {
    let vector = Vector::named(name);
    assert!(vector.verdict().is_ok(), "{name} itself is accepted");
    let bag = vector.bag().unwrap();
    let anchors = HardwareAnchors::compiled_in();
    (0..vector.report.len() * 8)
        .step_by(step)
        .filter(|bit| {
            let mut report = vector.report.clone();
            report[bit / 8] ^= 1 << (bit % 8);
            is_accepted(&vector, &report, &bag, &anchors)
        })
        .collect()
}

fn is_accepted(vector: &Vector, report: &[u8], bag: &Endorsements, anchors: &HardwareAnchors) -> bool {
    let Ok(evidence) = Evidence::parse(report) else {
        return false;
    };
    let expected = Expected::unbound_for_inspection();
    verify::<Hardware>(&evidence, bag, anchors, &vector.policy, &expected, vector.now).into_verdict().is_ok()
}

#[test]
fn every_bit_of_a_turin_report_counts() {
    assert!(ignored_bits("013-turin-v5", 1).is_empty());
}

#[test]
fn bits_of_reports_of_the_other_generations_and_versions_count() {
    for name in ["001-milan-v2", "006-milan-v3", "010-milan-v3-vlek", "012-genoa-v5"] {
        assert!(ignored_bits(name, 7).is_empty(), "{name}");
    }
}

#[test]
fn every_bit_of_the_certificate_counts() {
    let vector = Vector::named("012-genoa-v5");
    let vcek = &vector.endorsements[0];
    let anchors = HardwareAnchors::compiled_in();
    let accepted: Vec<usize> = (0..vcek.len() * 8)
        .filter(|bit| {
            let mut changed = vcek.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut bag = Endorsements::default();
            bag.add(&changed).is_ok() && is_accepted(&vector, &vector.report, &bag, &anchors)
        })
        .collect();
    assert!(accepted.is_empty(), "{accepted:?}");
}
