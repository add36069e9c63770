//! The catalogue: every fault is in evidence of every topology that can have it, and the first
//! thing that is wrong there has its code.

use strongroom_attestation::Code;
use strongroom_simulated_platform::{GpuTopology, NvidiaFault, SimulationError};

use crate::{
    NONCE, NOW, TOPOLOGIES,
    checker::{CODES, wrong},
    set, vendor,
};

#[test]
fn nothing_is_wrong_with_sound_evidence() {
    for topology in TOPOLOGIES {
        let set = set(topology);
        let (evidence, again) = (set.evidence(&NONCE).unwrap(), set.evidence(&NONCE).unwrap());
        assert_eq!(wrong(&evidence, &again), Vec::<&str>::new(), "{topology:?}");
    }
}

#[test]
fn the_first_thing_wrong_has_the_fault_s_code() {
    let mut failures = Vec::new();
    for topology in TOPOLOGIES {
        let (vendor, set) = (vendor(), set(topology));
        let sound = set.evidence(&NONCE).unwrap();
        for fault in NvidiaFault::ALL.iter().copied().filter(|fault| fault.is_possible_on(topology)) {
            let evidence = vendor.evidence_with_fault(&set, &NONCE, fault, NOW).unwrap();
            let found = wrong(&evidence, &sound);
            if found.first() != Some(&fault.expected_code()) {
                failures.push(format!("{topology:?} {}: {found:?}, not {}", fault.name(), fault.expected_code()));
            }
            // What is checked late is the only thing wrong.
            let late = CODES.iter().position(|code| *code == fault.expected_code()) >= Some(5);
            if late && found.len() > 1 {
                failures.push(format!("{topology:?} {}: {found:?}", fault.name()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn codes_are_the_verifier_s() {
    for fault in NvidiaFault::ALL {
        assert!(Code::from_text(fault.expected_code()).is_some(), "{}", fault.name());
    }
    let places = CODES.map(|code| Code::from_text(code).unwrap());
    assert!(places.is_sorted());
    assert!(NvidiaFault::ALL.len() >= 45);
}

#[test]
fn a_set_alone_makes_the_faults_that_need_no_vendor() {
    let topology = GpuTopology::ProtectedPcie;
    let set = set(topology);
    for fault in NvidiaFault::ALL.iter().copied().filter(|fault| fault.is_possible_on(topology)) {
        match set.evidence_with_fault(&NONCE, fault) {
            Ok(_) => assert!(!fault.needs_vendor()),
            Err(SimulationError::NeedsVendor { fault: name }) => {
                assert!(fault.needs_vendor());
                assert_eq!(name, fault.name());
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_fault_of_a_board_is_impossible_without_one() {
    let set = set(GpuTopology::Hopper(1));
    let vendor = vendor();
    for fault in [NvidiaFault::MissingSwitch, NvidiaFault::ForeignSwitch, NvidiaFault::NoncesDiffer] {
        let refused = vendor.evidence_with_fault(&set, &NONCE, fault, NOW);
        assert!(matches!(refused, Err(SimulationError::OtherHardware { .. })), "{}", fault.name());
    }
}
