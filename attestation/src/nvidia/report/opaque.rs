//! The vendor's part of a report: typed fields, each with its length (NVIDIA/attestation-sdk,
//! `gpu_opaque_data_parser.hpp` and `switch_opaque_data_parser.hpp`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::malformed;
use crate::cursor::Cursor;
use crate::error::Refusal;
use crate::hex_bytes::HexBytes;

/// What identifies a port of a GPU or switch on the NVLink fabric.
pub type LinkedDevice = HexBytes<8>;

/// GPUs of one protected-PCIe machine.
pub(crate) const GPUS_OF_FABRIC: usize = 8;
/// Switches of one protected-PCIe machine.
pub(crate) const SWITCHES_OF_FABRIC: usize = 4;
/// NVLinks of a GPU.
const LINKS: usize = 18;
/// The highest version of this data that is known; firmware with another may mean other things.
const VERSION: u64 = 1;

const ENABLED: u8 = 0xAA;
const DISABLED: u8 = 0x55;

/// Types of fields.
mod kind {
    pub(super) const DRIVER_VERSION: u16 = 3;
    pub(super) const VBIOS_VERSION: u16 = 6;
    pub(super) const NVDEC0_STATUS: u16 = 11;
    pub(super) const MEASUREMENT_COUNTS: u16 = 12;
    pub(super) const CHIP_SKU: u16 = 15;
    pub(super) const PROJECT: u16 = 17;
    pub(super) const PROJECT_SKU: u16 = 18;
    pub(super) const FWID: u16 = 20;
    pub(super) const PROTECTED_PCIE_STATUS: u16 = 21;
    /// Of a GPU: the switch at each link. Of a switch: its own.
    pub(super) const PDI: u16 = 22;
    pub(super) const SWITCH_GPU_PDIS: u16 = 26;
    /// The highest type that a switch has.
    pub(super) const LAST_OF_SWITCH: u16 = 27;
    pub(super) const OPAQUE_DATA_VERSION: u16 = 34;
    pub(super) const CHIP_INFO: u16 = 35;
    pub(super) const FEATURE_FLAG: u16 = 36;
    /// The highest type that a GPU has.
    pub(super) const LAST: u16 = FEATURE_FLAG;
}

/// How GPUs of one machine work together; firmware that tells has opaque data of version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeviceMode {
    /// Each GPU for itself.
    SinglePassThrough,
    /// Several GPUs, with encrypted links between them (Blackwell).
    MultiplePassThrough,
    /// Eight GPUs and four switches, with links between them in the clear (Hopper).
    ProtectedPcie,
}

impl DeviceMode {
    /// The name as policies and verdicts write it.
    pub fn name(self) -> &'static str {
        match self {
            DeviceMode::SinglePassThrough => "single-pass-through",
            DeviceMode::MultiplePassThrough => "multiple-pass-through",
            DeviceMode::ProtectedPcie => "protected-pcie",
        }
    }
}

/// The fields that mean something here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpaqueData {
    /// A switch, not a GPU.
    pub(crate) is_switch: bool,
    /// Of a GPU.
    pub(crate) driver_version: Option<String>,
    /// Five bytes in hexadecimal with dots between them, for example "96.00.9F.00.01".
    pub(crate) vbios_version: String,
    /// Whether the first video decoder is on; its measurement means nothing where it is not.
    pub(crate) nvdec0: Option<bool>,
    pub(crate) project: Option<String>,
    pub(crate) project_sku: Option<String>,
    pub(crate) chip_sku: Option<String>,
    pub(crate) chip_info: Option<String>,
    /// Digest of the firmware that holds the attestation key; old firmware does not tell.
    pub(crate) fwid: Option<[u8; 48]>,
    pub(crate) protected_pcie: Option<bool>,
    pub(crate) mode: Option<DeviceMode>,
    /// Of a GPU: the switch behind each link that is up, in the order of the links.
    pub(crate) switches: Vec<LinkedDevice>,
    /// Of a switch: its own.
    pub(crate) pdi: Option<LinkedDevice>,
    /// Of a switch: the GPUs that it connects.
    pub(crate) gpus: Vec<LinkedDevice>,
}

impl OpaqueData {
    pub(super) fn read(bytes: &[u8]) -> Result<OpaqueData, Refusal> {
        let fields = Fields::read(bytes)?;
        let is_switch = fields.by_kind.contains_key(&kind::SWITCH_GPU_PDIS);
        let last = if is_switch { kind::LAST_OF_SWITCH } else { kind::LAST };
        if let Some(unknown) = fields.by_kind.keys().find(|kind| !(1..=last).contains(*kind)) {
            return Err(malformed(format!("a field of the unknown type {unknown}")));
        }
        let version = fields.number(kind::OPAQUE_DATA_VERSION)?;
        if version.is_some_and(|version| version > VERSION) {
            return Err(malformed(format!(
                "opaque data of version {}, wanted at most {VERSION}",
                version.unwrap_or(0)
            )));
        }
        let own: Option<[u8; 8]> = if is_switch { fields.fixed(kind::PDI)? } else { None };
        let data = OpaqueData {
            is_switch,
            driver_version: fields.text(kind::DRIVER_VERSION)?,
            vbios_version: fields.vbios_version(is_switch)?,
            nvdec0: fields.switched(kind::NVDEC0_STATUS)?,
            project: fields.text(kind::PROJECT)?,
            project_sku: fields.text(kind::PROJECT_SKU)?,
            chip_sku: fields.text(kind::CHIP_SKU)?,
            chip_info: fields.text(kind::CHIP_INFO)?,
            fwid: fields.fixed(kind::FWID)?,
            protected_pcie: fields.switched(kind::PROTECTED_PCIE_STATUS)?,
            mode: fields.mode(version)?,
            switches: if is_switch { Vec::new() } else { fields.switches()? },
            pdi: own.map(HexBytes),
            gpus: fields.gpus()?,
        };
        fields.measurement_counts()?;
        if is_switch == data.driver_version.is_some() || is_switch != data.pdi.is_some() {
            let wanted = "a GPU with its driver's version, or a switch with its own identity";
            return Err(malformed(format!("fields of neither kind of device, wanted {wanted}")));
        }
        Ok(data)
    }
}

/// The fields as they come, each type once: of two, a reader that takes the first and one that takes
/// the last would see two devices.
struct Fields<'a> {
    by_kind: BTreeMap<u16, &'a [u8]>,
}

impl<'a> Fields<'a> {
    fn read(bytes: &'a [u8]) -> Result<Fields<'a>, Refusal> {
        let mut input = Cursor::new(bytes);
        let mut by_kind = BTreeMap::new();
        while !input.is_empty() {
            let (kind, length) = (input.u16_le()?, input.u16_le()?);
            if by_kind.insert(kind, input.slice(usize::from(length))?).is_some() {
                return Err(malformed(format!("field {kind} twice")));
            }
        }
        Ok(Fields { by_kind })
    }

    fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.by_kind.get(&kind).copied()
    }

    fn fixed<const N: usize>(&self, kind: u16) -> Result<Option<[u8; N]>, Refusal> {
        let wrong = |value: &[u8]| malformed(format!("field {kind} of {} bytes, wanted {N}", value.len()));
        self.get(kind).map(|value| value.try_into().map_err(|_| wrong(value))).transpose()
    }

    /// Printable ASCII, then zeros. Of nothing but zeros: none.
    fn text(&self, kind: u16) -> Result<Option<String>, Refusal> {
        let Some(value) = self.get(kind) else { return Ok(None) };
        let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
        let (text, padding) = value.split_at_checked(end).unwrap_or((value, &[]));
        if !text.iter().all(u8::is_ascii_graphic) || padding.iter().any(|byte| *byte != 0) {
            return Err(malformed(format!("field {kind} is no text with zeros after it: {}", hex::encode(value))));
        }
        let text: String = text.iter().copied().map(char::from).collect();
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// A little-endian number of up to eight bytes.
    fn number(&self, kind: u16) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(kind) else { return Ok(None) };
        if value.is_empty() || value.len() > 8 {
            return Err(malformed(format!("field {kind} of {} bytes, wanted 1 to 8", value.len())));
        }
        Ok(Some(value.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))))
    }

    /// On or off, and nothing else.
    fn switched(&self, kind: u16) -> Result<Option<bool>, Refusal> {
        match self.get(kind) {
            None => Ok(None),
            Some([ENABLED]) => Ok(Some(true)),
            Some([DISABLED]) => Ok(Some(false)),
            Some(other) => Err(malformed(format!("field {kind} is {}, wanted aa or 55", hex::encode(other)))),
        }
    }

    fn vbios_version(&self, is_switch: bool) -> Result<String, Refusal> {
        let version = if is_switch {
            self.text(kind::VBIOS_VERSION)?
        } else {
            // Four bytes of one number, then the fifth.
            let bytes: Option<[u8; 8]> = self.fixed(kind::VBIOS_VERSION)?;
            bytes.map(|[d, c, b, a, e, ..]| format!("{a:02X}.{b:02X}.{c:02X}.{d:02X}.{e:02X}"))
        };
        version.ok_or_else(|| malformed("no version of the device's firmware".to_owned()))
    }

    fn mode(&self, version: Option<u64>) -> Result<Option<DeviceMode>, Refusal> {
        let Some(flag) = self.number(kind::FEATURE_FLAG)? else { return Ok(None) };
        match (flag, version) {
            (0, Some(VERSION)) => Ok(Some(DeviceMode::SinglePassThrough)),
            (1, Some(VERSION)) => Ok(Some(DeviceMode::MultiplePassThrough)),
            (2, Some(VERSION)) => Ok(Some(DeviceMode::ProtectedPcie)),
            _ => Err(malformed(format!("feature flag {flag}, wanted 0 to 2 with opaque data of version {VERSION}"))),
        }
    }

    /// One identity for each link, its bytes in the other order than the switch's own; zeros where the
    /// link is off.
    fn switches(&self) -> Result<Vec<LinkedDevice>, Refusal> {
        let Some(value) = self.get(kind::PDI) else { return Ok(Vec::new()) };
        let (links, rest) = value.as_chunks::<8>();
        if links.len() != LINKS || !rest.is_empty() {
            return Err(malformed(format!("{} bytes of links, wanted 8 for each of {LINKS}", value.len())));
        }
        let up = links.iter().filter(|link| **link != [0; 8]);
        Ok(up.map(|[a, b, c, d, e, f, g, h]| HexBytes([*h, *g, *f, *e, *d, *c, *b, *a])).collect())
    }

    /// Eight identities, zeros where there is none, then one byte for each port.
    fn gpus(&self) -> Result<Vec<LinkedDevice>, Refusal> {
        let value: Option<[u8; 128]> = self.fixed(kind::SWITCH_GPU_PDIS)?;
        let Some(value) = value else { return Ok(Vec::new()) };
        let (gpus, _ports) = value.split_at(64);
        let (gpus, _) = gpus.as_chunks::<8>();
        Ok(gpus.iter().filter(|gpu| **gpu != [0; 8]).copied().map(HexBytes).collect())
    }

    fn measurement_counts(&self) -> Result<(), Refusal> {
        match self.get(kind::MEASUREMENT_COUNTS) {
            Some(value) if value.len() % 4 != 0 => {
                Err(malformed(format!("{} bytes of measurement counts, wanted 4 for each", value.len())))
            }
            _ => Ok(()),
        }
    }
}
