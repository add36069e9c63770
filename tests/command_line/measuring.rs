//! `strongroom measure`: expected launch measurements.

use super::scene::Scene;

/// The last page of firmware with room for kernel hashes, and of firmware without.
const AMDSEV: &[u8] = include_bytes!("../vectors/measure/ovmf-amdsev-suffix.bin");
const X64: &[u8] = include_bytes!("../vectors/measure/ovmf-x64-suffix.bin");

const QEMU: [&str; 6] = ["measure", "snp", "--ovmf", "ovmf.fd", "--vcpu-type", "EPYC-v4"];

fn scene() -> Scene {
    let scene = Scene::new();
    scene.write("ovmf.fd", AMDSEV);
    // With the firmware volumes that the TDX metadata of this page speaks of.
    scene.write("tdvf.fd", [vec![0; 0x3f_f000], AMDSEV.to_vec()].concat());
    scene.write("empty", "");
    scene
}

#[test]
fn a_launch_is_measured_before_it_happens() {
    let mut scene = scene();
    let direct = ["--kernel", "empty", "--initrd", "empty", "--append", "console=ttyS0 loglevel=7"];
    // Known answers of tests/vectors/measure.
    for (arguments, digest) in [
        (QEMU.to_vec(), "19358ba9a7615534a9a1e2f0dfc29384dcd4dcb7062ff9c6013b26869a5fc6ec"),
        ([&QEMU[..], &direct].concat(), "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362"),
    ] {
        let said = scene.show(&arguments);
        let lines: Vec<&str> = said.stdout.lines().collect();
        assert_eq!((said.exit, lines.len()), (0, 2));
        assert!(lines[0].starts_with(digest) && lines[0].len() == 96, "{}", lines[0]);
        assert_eq!(lines[1], format!("measurements = [\"{}\"]", lines[0]));
    }
    let ec2 = ["--json", "measure", "snp", "--ovmf", "ovmf.fd", "--vmm", "ec2", "--kernel", "empty"];
    let said = scene.show(&ec2);
    let measurement = said.json()["measurement"].as_str().unwrap().to_owned();
    assert!(
        measurement.starts_with("0883bd0eeb716e65b7b977a321c278d1e51b33b5c655fab985443bbcc65c086b"),
        "{measurement}"
    );

    let pages = said.json()["firmware_digest"].as_str().unwrap().to_owned();
    let again = scene.done(&[&ec2[1..], &["--ovmf-hash", &pages]].concat());
    assert_eq!(again["measurement"], measurement.as_str());

    let tdx = ["measure", "tdx", "--firmware", "tdvf.fd"];
    for arguments in [tdx.to_vec(), [&["--json"], &tdx[..], &["--vmm", "gce"]].concat()] {
        assert_eq!(scene.show(&arguments).exit, 0);
    }
    scene.agrees_with("measure");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let mut scene = scene();
    scene.write("x64.fd", X64);
    scene.write("cut.fd", &AMDSEV[..4000]);
    scene.write("zeros.fd", [0; 8192]);
    for (image, more, exit) in [
        ("missing.fd", &["--vmm", "ec2"][..], 1),
        ("ovmf.fd", &["--vmm", "ec2", "--kernel", "missing"], 1),
        ("cut.fd", &["--vmm", "ec2"], 4),
        ("zeros.fd", &["--vmm", "ec2"], 4),
        ("x64.fd", &["--vmm", "ec2", "--kernel", "empty"], 4),
        ("ovmf.fd", &["--vmm", "ec2", "--vcpus", "0"], 2),
        ("ovmf.fd", &["--vmm", "ec2", "--vcpu-type", "EPYC-v4"], 2),
        ("ovmf.fd", &[], 2),
        ("ovmf.fd", &["--vcpu-type", "host"], 2),
        ("ovmf.fd", &["--vcpu-sig", "0x100000000"], 2),
        ("ovmf.fd", &["--vmm", "ec2", "--guest-features", "SNP"], 2),
        ("ovmf.fd", &["--vmm", "ec2", "--guest-features", "0x20"], 2),
        ("ovmf.fd", &["--vmm", "ec2", "--ovmf-hash", "abcd"], 2),
        ("ovmf.fd", &["--vmm", "ec2", "--append", "quiet"], 2),
    ] {
        let arguments = [&["measure", "snp", "--ovmf", image], more].concat();
        assert_eq!(scene.show(&arguments).exit, exit, "{image} {more:?}");
    }
    for (image, exit) in [("missing.fd", 1), ("zeros.fd", 4), ("ovmf.fd", 4)] {
        assert_eq!(scene.show(&["measure", "tdx", "--firmware", image]).exit, exit, "{image}");
    }
    let said = scene.show(&["--json", "measure", "tdx", "--firmware", "ovmf.fd"]);
    assert_eq!((said.exit, said.json()["error"]["code"].as_str()), (4, Some("FIRMWARE_MALFORMED")));
    scene.agrees_with("measure-refused");
}
