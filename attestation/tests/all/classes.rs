//! Hardware and simulated never meet.

use strongroom_attestation::{
    Class, Code, DevelopmentAnchors, Endorsements, Evidence, Expected, Hardware, HardwareAnchors, Policy, Refusal,
    Simulated, UnixTime, Verdict, verify,
};
use strongroom_simulated_platform::{Product, SimulatedAmd, SimulatedEvidence};

use crate::vector::Vector;

const NOW: u64 = 1_800_000_000;
const REPORT_DATA: [u8; 64] = [7; 64];

fn vendor() -> SimulatedAmd {
    SimulatedAmd::published(Product::Genoa, NOW).unwrap()
}

fn evidence(vendor: &SimulatedAmd) -> SimulatedEvidence {
    let device = vendor.device([1; 32], [2; 48], [3; 32], NOW).unwrap();
    device.report(&REPORT_DATA).unwrap()
}

fn appraise<K: Class>(
    report: &[u8],
    endorsements: &[Vec<u8>],
    anchors: &K::Anchors,
    now: UnixTime,
) -> Result<Verdict<K>, Refusal> {
    let mut bag = Endorsements::default();
    for bytes in endorsements {
        bag.add(bytes)?;
    }
    let expected = Expected::unbound_for_inspection();
    let evidence = Evidence::parse(report)?;
    verify::<K>(&evidence, &bag, anchors, &Policy::authentic(), &expected, now).into_verdict()
}

#[test]
fn a_simulated_platform_is_simulated_and_never_good_enough() {
    let vendor = vendor();
    let evidence = evidence(&vendor);
    let anchors = DevelopmentAnchors::new(vendor.root_certificate_der()).unwrap();
    let now = UnixTime::from_secs(NOW);
    let verdict = appraise::<Simulated>(&evidence.report, &evidence.endorsements, &anchors, now).unwrap();
    let json = verdict.to_json();
    assert_eq!(json["class"], "sim");
    assert_eq!(json["simulated"], true);
    assert_eq!(json["status"], "contraindicated");
}

#[test]
fn a_simulated_platform_is_named_as_such_under_hardware_roots() {
    let evidence = evidence(&vendor());
    let anchors = HardwareAnchors::compiled_in();
    let now = UnixTime::from_secs(NOW);
    let refusal = appraise::<Hardware>(&evidence.report, &evidence.endorsements, &anchors, now).unwrap_err();
    assert_eq!(refusal.code, Code::Simulated);
}

#[test]
fn real_evidence_does_not_lead_to_a_development_root() {
    let anchors = DevelopmentAnchors::new(vendor().root_certificate_der()).unwrap();
    let real = Vector::named("012-genoa-v5");
    let refusal = appraise::<Simulated>(&real.report, &real.endorsements, &anchors, real.now).unwrap_err();
    assert_eq!(refusal.code, Code::Chain);
}

#[test]
fn evidence_of_another_product_line_has_no_development_root() {
    let milan = SimulatedAmd::published(Product::Milan, NOW).unwrap();
    let anchors = DevelopmentAnchors::new(milan.root_certificate_der()).unwrap();
    let evidence = evidence(&vendor());
    let now = UnixTime::from_secs(NOW);
    let refusal = appraise::<Simulated>(&evidence.report, &evidence.endorsements, &anchors, now).unwrap_err();
    assert_eq!(refusal.code, Code::Chain);
}

#[test]
fn only_a_root_of_its_own_kind_is_a_development_anchor() {
    let vendor = vendor();
    let evidence = evidence(&vendor);
    let root = vendor.root_certificate_der();
    for der in evidence.endorsements.iter().filter(|der| der.as_slice() != root) {
        assert!(DevelopmentAnchors::new(der).is_err(), "a VCEK, an ASK, a list");
    }
    // Every changed bit is noticed: the root signs itself.
    for bit in (0..root.len() * 8).step_by(31) {
        let mut changed = root.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(DevelopmentAnchors::new(&changed).is_err(), "bit {bit}");
    }
}
