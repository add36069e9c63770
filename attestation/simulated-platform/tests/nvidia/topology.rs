//! How devices of one machine belong together, and the list in which they are passed on.

use std::collections::BTreeSet;

use serde_json::Value;
use strongroom_simulated_platform::{GpuTopology, NvidiaDeviceEvidence, SimulatedGpu, SimulatedSwitch};

use crate::{NONCE, TOPOLOGIES, chains, evidence, reader, report::Report};

/// The identifier in the boot ROM's certificate, after one byte for the kind of device.
fn pdi(device: &NvidiaDeviceEvidence) -> Vec<u8> {
    chains::serial(&reader::parse(&device.certificates[1]))[1..].to_vec()
}

#[test]
fn gpus_and_switches_of_a_board_name_each_other() {
    let evidence = evidence(GpuTopology::ProtectedPcie);
    let (gpus, switches) = evidence.devices.split_at(8);
    let gpu_pdis: BTreeSet<Vec<u8>> = gpus.iter().map(pdi).collect();
    let switch_pdis: BTreeSet<Vec<u8>> = switches.iter().map(pdi).collect();
    assert_eq!((gpu_pdis.len(), switch_pdis.len()), (8, 4));
    for gpu in gpus {
        let report = Report::read(&gpu.report).unwrap();
        let links = report.field(22).unwrap().chunks(8).map(|link| link.iter().rev().copied().collect());
        assert_eq!(links.collect::<BTreeSet<Vec<u8>>>(), switch_pdis);
        assert_eq!(report.field(21).unwrap(), [0xaa]);
        assert_eq!(report.field(36).unwrap(), [2, 0]);
    }
    for switch in switches {
        let report = Report::read(&switch.report).unwrap();
        assert_eq!(report.field(22).unwrap(), pdi(switch));
        let named = report.field(26).unwrap()[..64].chunks(8).map(<[u8]>::to_vec);
        assert_eq!(named.collect::<BTreeSet<Vec<u8>>>(), gpu_pdis);
    }
}

#[test]
fn modes_are_those_of_the_topology() {
    for (topology, flag, status) in [
        (GpuTopology::Hopper(2), [0, 0], Some([0x55])),
        (GpuTopology::Blackwell(1), [0, 0], None),
        (GpuTopology::MultiGpu, [1, 0], None),
    ] {
        let evidence = evidence(topology);
        assert_eq!(evidence.devices.len(), usize::from(topology.gpu_count()));
        for device in &evidence.devices {
            let report = Report::read(&device.report).unwrap();
            assert_eq!(report.field(36).unwrap(), flag);
            assert_eq!(report.field(21), status.as_ref().map(<[u8; 1]>::as_slice));
            assert_eq!(report.field(22), None);
        }
    }
}

#[test]
fn a_capture_of_a_switch_and_a_gpu_has_the_same_identifiers() {
    // Where the simulation has them is where genuine devices of one board have them.
    let [_, _, gpu, switch] = crate::genuine::DEVICES;
    let brom = |chain| chains::serial(&reader::parse(&reader::from_pem(chain)[1]))[1..].to_vec();
    let (gpu_report, switch_report) = (Report::read(gpu.report).unwrap(), Report::read(switch.report).unwrap());
    assert_eq!(switch_report.field(22).unwrap(), brom(switch.chain));
    assert!(switch_report.field(26).unwrap()[..64].chunks(8).any(|pdi| pdi == brom(gpu.chain)));
    let reversed: Vec<u8> = brom(switch.chain).into_iter().rev().collect();
    assert!(gpu_report.field(22).unwrap().chunks(8).any(|link| link == reversed));
}

#[test]
fn the_list_has_the_form_of_nvidia_s_tools() {
    for topology in TOPOLOGIES {
        let evidence = evidence(topology);
        let list: Value = serde_json::from_str(&evidence.to_json().unwrap()).unwrap();
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), evidence.devices.len());
        for (json, device) in list.iter().zip(&evidence.devices) {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            let text = |name: &str| json[name].as_str().unwrap();
            assert_eq!(json.as_object().unwrap().len(), 4);
            assert_eq!(text("arch"), device.architecture.name());
            assert_eq!(text("nonce"), hex::encode(NONCE));
            assert_eq!(STANDARD.decode(text("evidence")).unwrap(), device.report);
            let chain = String::from_utf8(STANDARD.decode(text("certificate")).unwrap()).unwrap();
            assert_eq!(reader::from_pem(&chain), device.certificates);
        }
        assert_eq!(
            evidence.artefacts().unwrap().len(),
            1 + evidence.manifests.len() + evidence.ocsp_responses.len() + evidence.revocation_lists.len()
        );
    }
}

#[test]
fn a_policy_names_the_set_s_devices_and_versions() {
    let set = crate::set(GpuTopology::ProtectedPcie);
    let policy = set.strict_policy();
    for line in ["gpus = 8", "switches = 4", "architectures = [\"hopper\", \"ls10\"]", "modes = [\"protected-pcie\"]"] {
        assert!(policy.lines().any(|found| found == line), "{policy}");
    }
    let ueids = set.gpus().iter().map(SimulatedGpu::ueid).chain(set.switches().iter().map(SimulatedSwitch::ueid));
    for text in ueids.chain(["900.10.01", "96.00.F5.00.01", "96.10.F3.00.01"].map(str::to_owned)) {
        assert!(policy.contains(&format!("\"{text}\"")), "{text}");
    }
}
