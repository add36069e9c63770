//! The rules, against a library that imitates the driver's (`fake_nvml.c`), compiled here.

mod fake;

use std::path::PathBuf;

use super::*;
use fake::{CHAIN, Machine, REPORT};

const NONCE: [u8; 32] = [7; 32];

/// A machine with these GPUs and these lines of control, or the end of the test where
/// nothing can compile the library.
macro_rules! machine {
    ($gpus:expr $(, $line:expr)*) => {
        match Machine::with($gpus, &[$($line),*]) {
            Some(machine) => machine,
            None => return,
        }
    };
}

#[test]
fn a_gpu_answers_for_the_nonce() {
    let machine = machine!(1);
    let reports = machine.source().collect(&NONCE).unwrap();
    let [one] = &*reports else { panic!("{} reports", reports.len()) };
    assert_eq!(one.architecture, Architecture::Hopper);
    assert_eq!(one.uuid, "GPU-00000000-0000-0000-0000-000000000000");
    assert_eq!(one.certificate_chain, CHAIN);
    assert_eq!(one.report, [&REPORT[..4], &NONCE, &REPORT[36..]].concat());
}

#[test]
fn eight_gpus_answer_each() {
    let machine = machine!(8, "architecture 10", "multi_gpu 2");
    let reports = machine.source().collect(&NONCE).unwrap();
    assert_eq!(reports.len(), 8);
    for (index, report) in reports.iter().enumerate() {
        assert_eq!(report.uuid, format!("GPU-00000000-0000-0000-0000-{index:012}"));
        assert_eq!(report.architecture, Architecture::Blackwell);
        assert_eq!(report.report[4..36], NONCE);
    }
}

#[test]
fn a_machine_without_nvidia_devices_has_no_source() {
    let bus = tempfile::tempdir().unwrap();
    let missing = Path::new("/nowhere/libnvidia-ml.so.1");
    assert!(NvmlSource::detect_at(missing, bus.path()).unwrap().is_none(), "the library is not asked for");
    assert_eq!(NvmlSource::inspect_at(missing, bus.path()), Ok(None));
}

#[test]
fn a_gpu_without_its_library_is_an_error() {
    let machine = machine!(1);
    let missing = PathBuf::from("/nowhere/libnvidia-ml.so.1");
    let error = NvmlSource::detect_at(&missing, &machine.bus()).err();
    assert!(matches!(error, Some(GpuError::Library { path, .. }) if path == missing));
}

#[test]
fn a_library_without_the_calls_is_an_error() {
    let machine = machine!(1);
    let error = NvmlSource::detect_at(Path::new("libc.so.6"), &machine.bus()).err().unwrap();
    assert_eq!(error, GpuError::Driver(CallFailure::Missing { call: "nvmlInit_v2" }));
}

#[test]
fn devices_without_a_gpu_are_an_error() {
    let machine = machine!(0);
    machine.add("0000:05:00.0", "0x068000");
    assert_eq!(machine.refusal(), GpuError::NoGpu { devices: 1 });
}

#[test]
fn confidential_mode_must_be_on() {
    let machine = machine!(1, "feature 0");
    let error = machine.refusal();
    assert!(matches!(&error, GpuError::NotConfidential { gpus } if gpus.len() == 1));
    assert_eq!(
        error.to_string(),
        "GPU 0 (NVIDIA H100 80GB HBM3, 0000:41:00.0, GPU-00000000-0000-0000-0000-000000000000): not in confidential \
         mode; set it with the host's tool before the VM starts"
    );
    // A driver that does not know the mode has none.
    assert!(matches!(machine!(1, "state_code 3").refusal(), GpuError::NotConfidential { .. }));
}

#[test]
fn one_gpu_of_two_outside_confidential_mode_is_named() {
    let GpuError::NotConfidential { gpus } = machine!(2, "chain_code.1 3").refusal() else { panic!("another error") };
    assert_eq!(gpus.iter().map(|gpu| gpu.index).collect::<Vec<_>>(), [1]);
}

#[test]
fn developer_tools_must_be_off() {
    assert!(matches!(machine!(1, "developer_tools 1").refusal(), GpuError::DeveloperTools { .. }));
}

#[test]
fn the_environment_must_be_production() {
    for (line, number) in [("environment 0", 0), ("environment 1", 1), ("environment 3", 3)] {
        let error = machine!(1, line).refusal();
        assert!(matches!(error, GpuError::NotProduction { environment, .. } if environment == number), "{line}");
    }
}

#[test]
fn the_driver_and_the_bus_must_have_as_many() {
    for (bus, driver) in [(2, "count 1"), (1, "count 2"), (1, "count 0")] {
        let error = machine!(bus, driver).refusal();
        assert!(matches!(&error, GpuError::Count { bus: found, .. } if found.len() == bus), "{error}");
    }
}

#[test]
fn the_drivers_gpus_must_be_the_buses() {
    // Elsewhere, and two in one slot.
    for bus in ["bus.1 160", "bus.1 65"] {
        assert!(matches!(machine!(2, bus).refusal(), GpuError::NotOnBus { gpu } if gpu.index == 1), "{bus}");
    }
}

#[test]
fn two_gpus_under_one_uuid_are_refused() {
    let GpuError::RepeatedUuid { gpus } = machine!(3, "uuid.2 0").refusal() else { panic!("another error") };
    assert_eq!(gpus.iter().map(|gpu| gpu.index).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn another_family_is_refused() {
    let error = machine!(2, "architecture.1 8").refusal();
    assert!(matches!(error, GpuError::Architecture { gpu, architecture: 8 } if gpu.index == 1));
}

#[test]
fn protected_pcie_needs_evidence_that_cannot_be_had() {
    let machine = machine!(8, "multi_gpu 1");
    assert_eq!(machine.refusal(), GpuError::SwitchEvidence { switches: Vec::new() });
    machine.add("0000:05:00.0", "0x068000");
    let error = machine.refusal();
    assert!(matches!(&error, GpuError::SwitchEvidence { switches } if switches.len() == 1));
    assert!(error.to_string().contains("0000:05:00.0") && error.to_string().contains("NSCQ"), "{error}");
}

#[test]
fn switches_matter_only_where_they_must_prove_themselves() {
    let machine = machine!(1, "multi_gpu 0");
    machine.add("0000:05:00.0", "0x068000");
    assert_eq!(machine.source().collect(&NONCE).unwrap().len(), 1);
    machine.control(&["multi_gpu 3"]);
    assert!(matches!(machine.refusal(), GpuError::MultiGpuMode { mode: Some(3), .. }));
    // An old driver, which does not tell.
    for code in ["settings_code 3", "settings_code 13", "settings_code 25"] {
        machine.control(&[code]);
        assert!(matches!(machine.refusal(), GpuError::MultiGpuMode { mode: None, .. }), "{code}");
        assert_eq!(machine!(1, code).source().collect(&NONCE).unwrap().len(), 1, "{code}, and no switch");
    }
}

#[test]
fn a_size_beyond_the_buffer_is_an_error() {
    for size in ["report_size 8193", "report_size 4294967295", "report_size 0"] {
        let error = machine!(2, size).source().collect(&NONCE).unwrap_err();
        let GpuError::Device { gpu, failure: CallFailure::Size { what: "report", most: 8192, .. } } = error else {
            panic!("{size}: {error}")
        };
        assert_eq!(gpu.index, 0, "{size}");
    }
    let full = machine!(1, "report_size 8192", "cec_present 1", "cec_size 4294967295").source().collect(&NONCE);
    assert_eq!(full.unwrap()[0].report.len(), 8192);
    for size in ["chain_size 5121", "chain_size 4294967295", "chain_size 0"] {
        let error = machine!(1, size).refusal();
        let wanted = matches!(error, GpuError::Device { failure: CallFailure::Size { most: 5120, .. }, .. });
        assert!(wanted, "{size}: {error}");
    }
}

#[test]
fn a_chain_ends_at_its_nul_or_with_its_size() {
    // The size counts the NUL, or the whole buffer.
    for size in [CHAIN.len() + 1, 5120] {
        let reports = machine!(1, &format!("chain_size {size}")).source().collect(&NONCE).unwrap();
        assert_eq!(reports[0].certificate_chain, CHAIN, "{size}");
    }
    let reports = machine!(1, "chain_filler 1", "chain_size 5120").source().collect(&NONCE).unwrap();
    assert_eq!(reports[0].certificate_chain.len(), 5120);
}

#[test]
fn a_name_without_an_end_is_an_error() {
    let error = machine!(1, "endless_name 1").refusal();
    assert!(matches!(error, GpuError::Unnamed { index: 0, failure: CallFailure::Text { .. } }), "{error}");
}

#[test]
fn one_silent_gpu_silences_all() {
    let error = machine!(2, "report_code.1 999").source().collect(&NONCE).unwrap_err();
    let call = "nvmlDeviceGetConfComputeGpuAttestationReport";
    let wanted = CallFailure::Code { call, code: 999 };
    assert!(matches!(&error, GpuError::Device { gpu, failure } if gpu.index == 1 && *failure == wanted), "{error}");
    let error = machine!(2, "device_code.1 15").refusal();
    assert!(error.to_string().starts_with("GPU 1: `nvmlDeviceGetHandleByIndex_v2` failed with code 15"), "{error}");
    let error = machine!(1, "init_code 9").refusal();
    assert!(matches!(error, GpuError::Driver(CallFailure::Code { code: 9, .. })), "{error}");
}

#[test]
fn each_collection_looks_again() {
    let machine = machine!(1);
    let source = machine.source();
    source.collect(&NONCE).unwrap();
    machine.add("0000:42:00.0", "0x030200");
    assert!(matches!(source.collect(&NONCE), Err(GpuError::Count { driver: 1, .. })), "a GPU was plugged in");
    machine.control(&["count 2", "developer_tools 1"]);
    assert!(matches!(source.collect(&NONCE), Err(GpuError::DeveloperTools { .. })));
}

#[test]
fn gpus_open_only_when_told() {
    let machine = machine!(1);
    let source = machine.source();
    let ready = || machine.inspect().ready;
    assert!(!ready());
    source.collect(&NONCE).unwrap();
    assert!(!ready(), "a report opens nothing");
    source.set_ready(true).unwrap();
    assert!(ready());
    assert!(ready(), "and a look closes nothing");
    // A new start closes them.
    let second = machine.source();
    assert!(!ready());
    second.set_ready(true).unwrap();
    source.set_ready(false).unwrap();
    assert!(!ready());
}

#[test]
fn a_driver_that_does_not_do_what_it_said_is_an_error() {
    let stuck = machine!(1, "ready 1");
    assert_eq!(stuck.refusal(), GpuError::ReadyState { wanted: false });
    let machine = machine!(1);
    let source = machine.source();
    for other in ["ready 0", "ready 2"] {
        machine.control(&[other]);
        assert_eq!(source.set_ready(true), Err(GpuError::ReadyState { wanted: true }), "{other}");
    }
    machine.control(&["ready_code 4"]);
    let error = source.set_ready(true).unwrap_err();
    assert!(error.to_string().ends_with("failed with code 4, no permission: run as root"), "{error}");
}

#[test]
fn a_person_sees_what_is_there() {
    let inventory = machine!(2).inspect();
    let names: Vec<String> = inventory.gpus.iter().map(ToString::to_string).collect();
    assert_eq!(names[1], "GPU 1 (NVIDIA H100 80GB HBM3, 0000:42:00.0, GPU-00000000-0000-0000-0000-000000000001)");
    assert!(!inventory.ready);
}
