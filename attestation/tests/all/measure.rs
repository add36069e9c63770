//! Expected launch measurements: the known answers for SNP, a second computation for TDX,
//! and images of strangers.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha384};
use strongroom_attestation::HexBytes;
use strongroom_attestation::measure::{
    KernelHashes, MeasureError, SnpLaunch, TdVmm, Vmm, firmware_digest, mrtd, vcpu_signature,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    #[expect(dead_code, reason = "for people")]
    origin: String,
    firmware: String,
    firmware_digest: Option<HexBytes<48>>,
    vmm: String,
    vcpus: u32,
    vcpu_type: Option<String>,
    guest_features: u64,
    kernel: Option<Kernel>,
    /// The digest, or the code of the error.
    expected: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kernel {
    kernel: String,
    initrd: Option<String>,
    append: String,
}

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/measure").join(name)).unwrap()
}

fn digest(vector: &Vector, firmware: &[u8]) -> Result<HexBytes<48>, MeasureError> {
    let kernel = vector.kernel.as_ref();
    let hash =
        |it: &Kernel| KernelHashes::new(it.kernel.as_bytes(), it.initrd.as_deref().map(str::as_bytes), &it.append);
    SnpLaunch {
        firmware,
        firmware_digest: vector.firmware_digest,
        vcpus: vector.vcpus,
        guest_features: vector.guest_features,
        kernel: kernel.map(hash),
        vmm: match (vector.vmm.as_str(), &vector.vcpu_type) {
            ("qemu", Some(name)) => Vmm::Qemu { vcpu_signature: vcpu_signature(name).unwrap() },
            ("ec2", None) => Vmm::Ec2,
            ("gce", None) => Vmm::Gce,
            other => panic!("{}: {other:?}", vector.name),
        },
    }
    .digest()
}

#[test]
fn every_known_launch_digest_is_reproduced() {
    let vectors: Vec<Vector> = serde_json::from_slice(&file("vectors.json")).unwrap();
    let mut vmms = std::collections::BTreeMap::<String, usize>::new();
    for vector in &vectors {
        let found = digest(vector, &file(&vector.firmware));
        let found = found.map_or_else(|error| error.code().to_owned(), |digest| digest.to_string());
        assert_eq!(found, vector.expected, "{}", vector.name);
        *vmms.entry(vector.vmm.clone()).or_default() += 1;
    }
    assert!(vectors.len() >= 20 && vmms.len() == 3, "{vmms:?}");
}

#[test]
fn the_digest_of_the_image_alone_stands_for_its_pages() {
    let firmware = file("ovmf-amdsev-suffix.bin");
    let published = "086e2e9149ebf45abdc3445fba5b2da8270bdbb04094d7a2c37faaa4b24af3aa16aff8c374c2a55c467a50da6d466b74";
    assert_eq!(firmware_digest(&firmware).unwrap().to_string(), published);

    // The whole image, or its digest with its last page: the same guest.
    let whole = [vec![0xa5; 3 * 4096], firmware.clone()].concat();
    let launch = |firmware, firmware_digest| {
        let vmm = Vmm::Ec2;
        SnpLaunch { firmware, firmware_digest, vcpus: 2, guest_features: 1, kernel: None, vmm }.digest().unwrap()
    };
    let digest = firmware_digest(&whole).unwrap();
    assert_eq!(launch(&whole, None), launch(&firmware, Some(digest)));
    assert_ne!(launch(&whole, None), launch(&firmware, None));
}

#[test]
fn parameters_outside_their_range_are_refused() {
    let firmware = file("ovmf-amdsev-suffix.bin");
    for (vcpus, fits) in [(0, false), (1, true), (4096, true), (4097, false), (u32::MAX, false)] {
        let vmm = Vmm::Gce;
        let launch =
            SnpLaunch { firmware: &firmware, firmware_digest: None, vcpus, guest_features: 1, kernel: None, vmm };
        let found = launch.digest().map_err(|error| error.code());
        assert_eq!(found.is_ok(), fits, "{vcpus}");
        assert!(fits || found == Err("LAUNCH_PARAMETER"), "{vcpus}");
    }
    for (guest_features, fits) in [(0, false), (0x20, false), (0x21, true), (u64::MAX, true)] {
        let vmm = Vmm::Gce;
        let launch =
            SnpLaunch { firmware: &firmware, firmware_digest: None, vcpus: 1, guest_features, kernel: None, vmm };
        assert_eq!(launch.digest().is_ok(), fits, "{guest_features:#x}");
    }
}

/// SEV metadata of edk2's AmdSev build: its distance from the end, and the order of its sections.
const SEV_METADATA: usize = 0x554;
const SECRETS: usize = 2;
const CPUID: usize = 3;
const KERNEL_HASHES: usize = 5;
const MEMORY: usize = 6;

/// How the launch with a kernel and two vCPUs ends after `change`s, u32 each, at distances from
/// the end.
fn changed(changes: &[(usize, u32)]) -> Result<HexBytes<48>, &'static str> {
    let mut firmware = file("ovmf-amdsev-suffix.bin");
    for (distance, value) in changes {
        let at = firmware.len() - distance;
        firmware[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    let kernel = Some(KernelHashes::new(b"kernel", None, ""));
    let launch = SnpLaunch {
        firmware: &firmware,
        firmware_digest: Some(HexBytes([0; 48])),
        vcpus: 2,
        guest_features: 1,
        kernel,
        vmm: Vmm::Ec2,
    };
    launch.digest().map_err(|error| error.code())
}

#[test]
fn metadata_that_no_vmm_can_follow_has_no_launch_digest() {
    // Address, size and kind of a section.
    let field = |section: usize, field: usize| SEV_METADATA - 16 - section * 12 - field * 4;
    // What two of the table's entries hold.
    let (hashes_place, ap_start) = (0x7c, 0x48);
    let firmware = file("ovmf-amdsev-suffix.bin");
    let at = |distance: usize| u32::from_le_bytes(firmware[4096 - distance..][..4].try_into().unwrap());
    assert_eq!((at(field(MEMORY, 0)), at(field(KERNEL_HASHES, 2))), (0x0081_1000, 0x10));
    assert_eq!((at(hashes_place), at(ap_start)), (0x0081_0c00, 0x0080_b004));

    let usual = changed(&[]).unwrap();
    assert_ne!(changed(&[(field(MEMORY, 1), 0x1000)]).unwrap(), usual, "less memory");
    assert_ne!(changed(&[(hashes_place, 0x0081_0c10)]).unwrap(), usual, "hashes in another place of the page");
    assert_ne!(changed(&[(ap_start, 0x0080_b000)]).unwrap(), usual, "another start of the second vCPU");

    let malformed = Err("FIRMWARE_MALFORMED");
    for (distance, value, what) in [
        (field(MEMORY, 0), 0x0081_1001, "an address inside a page"),
        (field(MEMORY, 1), 0xf001, "a part of a page"),
        (field(MEMORY, 1), 0x1000_0000, "more than 256 MiB with the other sections"),
        (field(SECRETS, 1), 0x2000, "two pages of secrets"),
        (field(CPUID, 1), 0, "no page of CPUID values"),
        (field(KERNEL_HASHES, 0), 0x0081_1000, "hashes wanted before their page"),
        (hashes_place, 0x0081_0f51, "no room for the hashes at the page's end"),
        (hashes_place, 0x0081_1000, "hashes wanted after their page"),
        (hashes_place, 0, "hashes wanted nowhere"),
        (ap_start, 0, "no start of the second vCPU"),
        (SEV_METADATA, 0x5645_5342, "another signature"),
        (SEV_METADATA - 8, 2, "another version"),
        (SEV_METADATA - 12, 8, "more sections than its length has"),
    ] {
        assert_eq!(changed(&[(distance, value)]), malformed, "{what}");
    }
    assert!(changed(&[(hashes_place, 0x0081_0f50)]).is_ok(), "just room enough");
    for (section, kind) in [(MEMORY, 0), (MEMORY, 5), (MEMORY, 0x11), (KERNEL_HASHES, 1)] {
        assert_eq!(changed(&[(field(section, 2), kind)]), Err("FIRMWARE_UNSUPPORTED"), "{section} as {kind}");
    }
}

/// Data offset, data size, memory address, memory size, type, attributes.
type TdxSection = (u32, u32, u64, u64, u32, u32);

/// The sections that edk2's AmdSev build asks for; the same build serves SNP and TDX.
const EDK2: [TdxSection; 6] = [
    (0x84000, 0x37c000, 0xffc8_4000, 0x37c000, 0, 1),
    (0, 0x84000, 0xffc0_0000, 0x84000, 1, 0),
    (0, 0, 0x0081_2000, 0xe000, 3, 0),
    (0, 0, 0x0080_b000, 0x2000, 3, 0),
    (0, 0, 0x0080_9000, 0x2000, 2, 0),
    (0, 0, 0x0080_0000, 0x6000, 3, 0),
];
/// Distance of edk2's TDX metadata from the image's end.
const EDK2_METADATA: usize = 0x9d0;

/// A 4 MiB image that ends with edk2's last page, so that the metadata is real; before it a
/// pattern. No real image with a known MRTD is at hand.
fn tdvf() -> Vec<u8> {
    let mut image: Vec<u8> = (0..0x3f_f000u32).map(|index| (index * 7 + index / 4096) as u8).collect();
    image.extend(file("ovmf-amdsev-suffix.bin"));
    image
}

/// The image with other metadata: it replaces edk2's.
fn tdvf_with(sections: &[TdxSection]) -> Vec<u8> {
    let mut image = tdvf();
    let mut bytes = b"TDVF".to_vec();
    let (length, count) = (16 + 32 * sections.len() as u32, sections.len() as u32);
    bytes.extend([length.to_le_bytes(), 1u32.to_le_bytes(), count.to_le_bytes()].concat());
    for (offset, size, address, memory, kind, attributes) in sections {
        bytes.extend([offset.to_le_bytes(), size.to_le_bytes()].concat());
        bytes.extend([address.to_le_bytes(), memory.to_le_bytes()].concat());
        bytes.extend([kind.to_le_bytes(), attributes.to_le_bytes()].concat());
    }
    let at = image.len() - EDK2_METADATA;
    image[at..at + bytes.len()].copy_from_slice(&bytes);
    image
}

/// MRTD written down once more, as a list of operations: all buffers in one string, one hash.
fn mrtd_again(image: &[u8], sections: &[TdxSection], two_passes: bool, temporary: bool) -> String {
    let mut operations: Vec<(&str, u64, &[u8])> = Vec::new();
    for (offset, _, address, memory, kind, attributes) in sections {
        let (mut added, mut measured) = (Vec::new(), Vec::new());
        for page in 0..memory / 4096 {
            added.push(("MEM.PAGE.ADD", address + page * 4096, &[][..]));
            let chunks = if *attributes == 1 { 16 } else { 0 };
            for chunk in 0..chunks {
                let inside = (page * 4096 + chunk * 256) as usize;
                let start = *offset as usize + inside;
                measured.push(("MR.EXTEND", address + inside as u64, &image[start..start + 256]));
            }
        }
        if *kind == 3 && !temporary {
            continue;
        }
        operations.append(&mut added);
        operations.append(&mut measured);
        if !two_passes {
            // By page; of a page first what adds it, and then its chunks upwards.
            let first = operations.len() - (memory / 4096) as usize * if *attributes == 1 { 17 } else { 1 };
            operations[first..].sort_by_key(|(name, address, _)| (address / 4096, *name != "MEM.PAGE.ADD", *address));
        }
    }
    let mut bytes = Vec::new();
    for (name, address, data) in operations {
        let start = bytes.len();
        bytes.extend(name.as_bytes());
        bytes.resize(start + 16, 0);
        bytes.extend(address.to_le_bytes());
        bytes.resize(start + 128, 0);
        bytes.extend(data);
    }
    hex::encode(Sha384::digest(&bytes))
}

#[test]
fn mrtd_is_that_of_the_operations_in_their_order() {
    let image = tdvf();
    assert_eq!(image, tdvf_with(&EDK2), "the metadata written here is edk2's");
    let of = |vmm| mrtd(&image, vmm).unwrap().to_string();
    assert_eq!(of(TdVmm::Qemu), mrtd_again(&image, &EDK2, false, true));
    assert_eq!(of(TdVmm::QemuTwoPass), mrtd_again(&image, &EDK2, true, true));
    assert_eq!(of(TdVmm::Gce), mrtd_again(&image, &EDK2, false, false));
    assert!(of(TdVmm::Qemu) != of(TdVmm::QemuTwoPass) && of(TdVmm::Qemu) != of(TdVmm::Gce));
}

#[test]
fn mrtd_depends_on_what_is_measured_and_on_where_everything_lies() {
    let usual = mrtd(&tdvf(), TdVmm::Qemu).unwrap();
    let mut image = tdvf();
    image[0x84000] ^= 1;
    assert_ne!(mrtd(&image, TdVmm::Qemu).unwrap(), usual, "the boot firmware volume");
    let mut image = tdvf();
    image[0x83fff] ^= 1;
    assert_eq!(mrtd(&image, TdVmm::Qemu).unwrap(), usual, "the variables are added and not measured");

    let mut swapped = EDK2;
    swapped.swap(2, 3);
    let mut moved = EDK2;
    moved[5].2 = 0x0080_1000;
    let mut measured = EDK2;
    measured[1].5 = 1;
    for sections in [&swapped[..], &moved, &measured, &EDK2[..5]] {
        let image = tdvf_with(sections);
        assert_ne!(mrtd(&image, TdVmm::Qemu).unwrap(), usual);
        assert_eq!(mrtd(&image, TdVmm::Qemu).unwrap().to_string(), mrtd_again(&image, sections, false, true));
    }
}

#[test]
fn metadata_that_vmms_do_not_agree_on_has_no_mrtd() {
    let one = |index: usize, change: fn(&mut TdxSection)| {
        let mut sections = EDK2;
        change(&mut sections[index]);
        mrtd(&tdvf_with(&sections), TdVmm::Qemu).unwrap_err().code()
    };
    let malformed = "FIRMWARE_MALFORMED";
    assert_eq!(one(0, |section| section.0 = 0x85000), malformed, "data past the image's end");
    assert_eq!(one(0, |section| section.0 = u32::MAX), malformed, "data past any end");
    assert_eq!(one(0, |section| section.1 = 0x37b000), malformed, "a part of a firmware volume");
    assert_eq!(one(1, |section| (section.1, section.3) = (0, 0)), malformed, "an empty firmware volume");
    assert_eq!(one(4, |section| section.1 = 0x2000), malformed, "data for the hand-off block");
    assert_eq!(one(2, |section| section.2 = 0x0081_2001), malformed, "an address inside a page");
    assert_eq!(one(2, |section| section.3 = 0xe001), malformed, "a part of a page");
    assert_eq!(one(2, |section| section.2 = 0u64.wrapping_sub(0xe000)), malformed, "past the end of memory");
    assert_eq!(one(2, |section| section.3 = 1 << 40), malformed, "too much memory");
    assert_eq!(one(0, |section| section.5 = 0), malformed, "nothing measured");
    let unsupported = "FIRMWARE_UNSUPPORTED";
    assert_eq!(one(2, |section| section.4 = 4), unsupported, "a type that edk2 does not use");
    assert_eq!(one(2, |section| section.5 = 2), unsupported, "memory that the guest adds itself");
    assert_eq!(one(4, |section| section.5 = 1), unsupported, "the hand-off block measured");

    // The last page alone: the volumes are not in it.
    assert_eq!(mrtd(&file("ovmf-amdsev-suffix.bin"), TdVmm::Qemu).unwrap_err().code(), malformed);
}

#[test]
fn firmware_of_the_other_platform_is_named_as_such() {
    // The metadata's names in the table are made unknown.
    for (name, snp) in [("dc886566", true), ("e47a6535", false)] {
        let mut image = tdvf();
        let name: Vec<u8> = hex::decode(name).unwrap().into_iter().rev().collect();
        let at = image.windows(4).rposition(|window| window == name).unwrap();
        image[at] ^= 1;
        let launch = SnpLaunch {
            firmware: &image,
            firmware_digest: None,
            vcpus: 1,
            guest_features: 1,
            kernel: None,
            vmm: Vmm::Ec2,
        };
        let (of_snp, of_tdx) = (launch.digest(), mrtd(&image, TdVmm::Qemu));
        let (missing, there) = if snp { (of_snp, of_tdx) } else { (of_tdx, of_snp) };
        assert!(there.is_ok());
        assert_eq!(missing.unwrap_err().code(), "FIRMWARE_UNSUPPORTED");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn firmware_of_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..9000)) {
        measure_as_everything(&bytes);
        measure_as_everything(&bytes[..bytes.len() / 4096 * 4096]);
    }

    /// The last kilobytes of real firmware, where all metadata is, with changed bytes.
    #[test]
    fn changed_firmware_does_not_panic(
        changes in proptest::collection::vec((0usize..0xA00, any::<u8>()), 1..6),
        pages in 0usize..3,
    ) {
        for name in ["ovmf-amdsev-suffix.bin", "ovmf-x64-suffix.bin"] {
            let mut bytes = vec![0; pages * 4096];
            bytes.extend(file(name));
            for (from_end, value) in &changes {
                let at = bytes.len() - 1 - from_end;
                bytes[at] = *value;
            }
            measure_as_everything(&bytes);
        }
    }

    #[test]
    fn cut_firmware_does_not_panic(front in 0usize..4096, back in 0usize..4096) {
        let bytes = file("ovmf-amdsev-suffix.bin");
        measure_as_everything(&bytes[front..]);
        measure_as_everything(&bytes[..back]);
        // Cut, and filled up to a page again.
        measure_as_everything(&[vec![0; front], bytes[front..].to_vec()].concat());
        measure_as_everything(&[vec![0; 4096 - back], bytes[..back].to_vec()].concat());
    }
}

fn measure_as_everything(firmware: &[u8]) {
    let kernel = Some(KernelHashes::new(b"kernel", None, "quiet"));
    for (vmm, kernel) in [(Vmm::Qemu { vcpu_signature: 1 }, kernel), (Vmm::Ec2, None), (Vmm::Gce, None)] {
        let _ = SnpLaunch { firmware, firmware_digest: None, vcpus: 2, guest_features: 1, kernel, vmm }.digest();
    }
    for vmm in [TdVmm::Qemu, TdVmm::QemuTwoPass, TdVmm::Gce] {
        let _ = mrtd(firmware, vmm);
    }
}
