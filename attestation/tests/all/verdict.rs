//! What a verdict says.

use strongroom_attestation::{Expected, HexBytes, Platform};

use crate::vector::Vector;

#[test]
fn a_verdict_has_the_fields_of_the_report() {
    let verdict = Vector::named("013-turin-v5").verdict().unwrap();
    let claims = verdict.claims();
    assert_eq!((claims.platform(), claims.product()), (Platform::Snp, "Turin"));
    let snp = claims.snp().unwrap();
    assert_eq!(snp.version, 5);
    assert_eq!(snp.reported_tcb.to_string(), "fmc 0, bootloader 1, tee 0, snp 2, microcode 71");
    assert_eq!(snp.chip_id[8..], [0; 56]);
    assert!(snp.platform_info.alias_check_complete() && snp.launch_mitigations.is_some());
    let report = Vector::named("013-turin-v5").report;
    assert_eq!(claims.launch_measurement(), &report[0x90..0xC0]);
    assert_eq!(claims.host_data(), &report[0xC0..0xE0]);
    assert_eq!(claims.report_data(), &report[0x50..0x90]);
    assert_eq!(claims.platform_identity(), Some(&report[0x1A0..0x1E0]));

    let genoa = Vector::named("011-genoa-v3").verdict().unwrap();
    let snp = genoa.claims().snp().unwrap();
    assert_eq!((snp.guest_policy.minimum_abi(), snp.launch_mitigations), ((0, 31), None));
    assert_eq!((snp.current_firmware.major, snp.current_firmware.minor), (1, 55));
}

#[test]
fn only_bound_and_measured_evidence_is_affirmed() {
    let mut vector = Vector::named("012-genoa-v5");
    assert_eq!(vector.verdict().unwrap().to_json()["status"], "warning");
    assert!(!vector.verdict().unwrap().is_bound());

    let measurement: [u8; 48] = vector.report[0x90..0xC0].try_into().unwrap();
    vector.policy.measurements = Some(vec![HexBytes(measurement)]);
    assert_eq!(vector.verdict().unwrap().to_json()["status"], "warning");

    let report_data: [u8; 64] = vector.report[0x50..0x90].try_into().unwrap();
    vector.bound_to = Expected::report_data(report_data);
    let json = vector.verdict().unwrap().to_json();
    assert_eq!((&json["status"], &json["bound"]), (&"affirming".into(), &true.into()));
    assert_eq!(json["class"], "hw");
    assert_eq!(json["snp"]["endorsement_key"], "vcek");
    assert_eq!(json["snp"]["chip_id"].as_str().unwrap().len(), 128);
    assert!(json["checks"].as_array().unwrap().len() > 20);
}

#[test]
fn the_same_arguments_give_the_same_verdict() {
    let vector = Vector::named("012-genoa-v5");
    assert_eq!(vector.verdict().unwrap().to_json(), vector.verdict().unwrap().to_json());
}
