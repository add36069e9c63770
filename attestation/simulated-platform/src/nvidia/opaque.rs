//! The fields of a report that SPDM leaves to the vendor, in the order and of the lengths of
//! genuine reports.

use super::{
    architecture::NvidiaArchitecture,
    firmware::{BiosVersion, Board, GpuFirmware},
    measurement::{Measurement, counts},
    report::Field,
};

pub(crate) const DRIVER_VERSION: u16 = 3;
pub(crate) const GPU_INFO: u16 = 4;
pub(crate) const VBIOS_VERSION: u16 = 6;
pub(crate) const NVDEC0_STATUS: u16 = 11;
pub(crate) const MSRSCNT: u16 = 12;
pub(crate) const CPRINFO: u16 = 13;
pub(crate) const BOARD_ID: u16 = 14;
pub(crate) const CHIP_SKU: u16 = 15;
pub(crate) const CHIP_SKU_MOD: u16 = 16;
pub(crate) const PROJECT: u16 = 17;
pub(crate) const PROJECT_SKU: u16 = 18;
pub(crate) const PROJECT_SKU_MOD: u16 = 19;
pub(crate) const FWID: u16 = 20;
pub(crate) const PROTECTED_PCIE_STATUS: u16 = 21;
/// In a GPU's report the switches at its links, in a switch's its own.
pub(crate) const SWITCH_PDI: u16 = 22;
pub(crate) const DISABLED_PORTS: u16 = 23;
pub(crate) const POSITION: u16 = 24;
pub(crate) const LOCK_STATUS: u16 = 25;
pub(crate) const SWITCH_GPU_PDIS: u16 = 26;
pub(crate) const SYS_ENABLE_STATUS: u16 = 33;
pub(crate) const OPAQUE_DATA_VERSION: u16 = 34;
pub(crate) const CHIP_INFO: u16 = 35;
pub(crate) const FEATURE_FLAG: u16 = 36;

/// What status bytes say.
pub(crate) const ENABLED: u8 = 0xaa;
pub(crate) const DISABLED: u8 = 0x55;

/// Which of a GPU's 18 links leads to which of four switches, as on a genuine board.
const LINKS: [usize; 18] = [0, 0, 1, 1, 0, 0, 2, 2, 1, 1, 0, 2, 3, 3, 2, 2, 3, 3];
/// A switch's ports: which of its GPUs is at each.
const NO_GPU: u8 = 0xff;
const PORTS: usize = 64;

/// In which mode a GPU runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By itself.
    Single,
    /// With others of its board, over protected links.
    Multi,
    /// With others of its board, over switches, in "protected PCIe".
    ProtectedPcie,
}

impl Mode {
    /// Its number in the feature flag.
    pub(crate) fn feature_flag(self) -> u16 {
        match self {
            Self::Single => 0,
            Self::Multi => 1,
            Self::ProtectedPcie => 2,
        }
    }

    pub(crate) fn protected_pcie_status(self) -> u8 {
        if self == Self::ProtectedPcie { ENABLED } else { DISABLED }
    }
}

/// What a GPU's report says of the GPU.
pub(crate) struct GpuFacts<'a> {
    pub(crate) architecture: NvidiaArchitecture,
    pub(crate) firmware: &'a GpuFirmware,
    pub(crate) fwid: Measurement,
    pub(crate) decoder_enabled: bool,
    pub(crate) mode: Mode,
    /// PDIs of the switches, as those name themselves.
    pub(crate) switches: &'a [[u8; 8]],
}

pub(crate) fn of_gpu(facts: &GpuFacts<'_>) -> Vec<Field> {
    let hopper = facts.architecture == NvidiaArchitecture::Hopper;
    let board = Board::of(facts.architecture);
    let mut fields = vec![
        Field::new(VBIOS_VERSION, facts.firmware.vbios.in_report()),
        Field::new(BOARD_ID, board.id),
        Field::new(CHIP_SKU, text(board.chip_sku, 9)),
        Field::new(CHIP_SKU_MOD, text("0", 5)),
        Field::new(PROJECT, text(board.project, 5)),
        Field::new(PROJECT_SKU, text(board.project_sku, 5)),
        Field::new(PROJECT_SKU_MOD, board.project_sku_modifier),
        Field::new(DRIVER_VERSION, text(&facts.firmware.driver, 0)),
        Field::new(GPU_INFO, [if hopper { 0x80 } else { 0xa0 }, 1, 0, 0, 0, 0, 0, 0]),
        Field::new(MSRSCNT, words(&counts(facts.architecture, facts.decoder_enabled))),
        Field::new(CPRINFO, if hopper { [0, 0xc0, 1, 0] } else { [0, 0, 4, 0] }),
        Field::new(NVDEC0_STATUS, [if facts.decoder_enabled { ENABLED } else { DISABLED }]),
        Field::new(FWID, facts.fwid),
    ];
    if hopper {
        fields.push(Field::new(PROTECTED_PCIE_STATUS, [facts.mode.protected_pcie_status()]));
    } else {
        fields.push(Field::new(SYS_ENABLE_STATUS, [7, 7]));
        fields.push(Field::new(CHIP_INFO, text(facts.architecture.chip(), 0)));
    }
    if !facts.switches.is_empty() {
        fields.push(Field::new(SWITCH_PDI, links(facts.switches)));
    }
    fields.push(Field::new(OPAQUE_DATA_VERSION, 1_u16.to_le_bytes()));
    fields.push(Field::new(FEATURE_FLAG, facts.mode.feature_flag().to_le_bytes()));
    fields
}

/// What a switch's report says of the switch.
pub(crate) struct SwitchFacts<'a> {
    pub(crate) bios: BiosVersion,
    pub(crate) pdi: [u8; 8],
    pub(crate) position: u16,
    pub(crate) gpus: &'a [[u8; 8]],
}

pub(crate) fn of_switch(facts: &SwitchFacts<'_>) -> Vec<Field> {
    vec![
        Field::new(VBIOS_VERSION, facts.bios.to_string()),
        Field::new(SWITCH_PDI, facts.pdi),
        Field::new(MSRSCNT, words(&counts(NvidiaArchitecture::Ls10, true))),
        Field::new(SWITCH_GPU_PDIS, gpus_at_ports(facts.gpus)),
        Field::new(DISABLED_PORTS, [0xec, 0]),
        Field::new(POSITION, facts.position.to_le_bytes()),
        Field::new(LOCK_STATUS, [1, 0]),
    ]
}

/// The PDI of the switch at each link, its bytes in the other order than in the switch's own
/// report.
fn links(switches: &[[u8; 8]]) -> Vec<u8> {
    let at = |place: &usize| switches.get(*place).copied().unwrap_or_default();
    LINKS.iter().flat_map(|place| at(place).into_iter().rev()).collect()
}

/// The PDIs of the GPUs, then for each port which of them is there: four ports each from the
/// middle on, but for the last GPU.
fn gpus_at_ports(gpus: &[[u8; 8]]) -> Vec<u8> {
    let mut bytes = gpus.concat();
    let mut ports = [NO_GPU; PORTS];
    let gpus_of_ports = (0_u8..8).flat_map(|gpu| [gpu; 4]).take(27);
    for (port, gpu) in ports.iter_mut().skip(PORTS / 2).zip(gpus_of_ports) {
        *port = gpu;
    }
    bytes.extend(ports);
    bytes
}

/// Text with a zero behind it, and more of them up to a length.
fn text(text: &str, length: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(length.max(text.len() + 1), 0);
    bytes
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
