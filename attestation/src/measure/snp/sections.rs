//! The memory that the firmware asks the VMM to add (edk2, OvmfPkg/ResetVector/X64/OvmfSevMetadata).

use crate::measure::error::{MeasureError, malformed};
use crate::measure::guid::{Guid, guid};
use crate::measure::image::{Image, whole_pages};
use crate::measure::{PAGE_BYTES, SECTIONS_MAX_BYTES};

const METADATA: Guid = guid(0xdc886566_984a_4798_a75e_5585a7bf67cc);
const PART: &str = "the SEV metadata";
/// Address, size and kind, u32 each.
const SECTION_LEN: usize = 12;

/// What a section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Memory of the early boot phase.
    SecMemory,
    /// The secure processor puts the guest's keys here.
    Secrets,
    /// The table of CPUID values.
    Cpuid,
    /// Calling area of a service module.
    SvsmCallingArea,
    /// Hashes of kernel, initial file system and command line.
    KernelHashes,
}

/// Whole pages of guest-physical memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    pub(super) kind: Kind,
    pub(super) address: u64,
    pub(super) size: u64,
}

impl Section {
    /// The first address after it.
    pub(super) fn end(&self) -> u64 {
        // Both were u32.
        self.address.saturating_add(self.size)
    }
}

/// The sections of `image` in their order, which is measured.
pub(super) fn sections(image: &Image) -> Result<Vec<Section>, MeasureError> {
    let distance = image.number(&METADATA, PART)?.ok_or_else(|| MeasureError::Unsupported {
        what: "it has no SEV metadata".into(),
        to_do: "Use firmware built for SEV-SNP (edk2's OvmfPkgX64 or AmdSev)",
    })?;
    let raw = image.descriptor(distance, PART)?.sections::<SECTION_LEN>(*b"ASEV")?;
    let sections: Vec<Section> = raw.iter().map(section).collect::<Result<_, _>>()?;
    // At most as many u32 as there are sections in an image: no overflow of u64.
    let size: u64 = sections.iter().map(|section| section.size).sum();
    if size > SECTIONS_MAX_BYTES {
        return Err(malformed(PART, format!("asking for {size} bytes"), format!("at most {SECTIONS_MAX_BYTES}")));
    }
    Ok(sections)
}

fn section(raw: &[u8; SECTION_LEN]) -> Result<Section, MeasureError> {
    let [a, b, c, d, e, f, g, h, kind @ ..] = *raw;
    let (address, size) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let kind = match u32::from_le_bytes(kind) {
        1 => Kind::SecMemory,
        2 => Kind::Secrets,
        3 => Kind::Cpuid,
        4 => Kind::SvsmCallingArea,
        0x10 => Kind::KernelHashes,
        other => {
            return Err(MeasureError::Unsupported {
                what: format!("its SEV metadata has a section of kind {other:#x}"),
                to_do: "How VMMs measure it is not known here; update this program",
            });
        }
    };
    let (address, size) = (u64::from(address), u64::from(size));
    let size = whole_pages("a section of the SEV metadata", address, size)?;
    // Of these a VMM has one page to give, and VMMs differ on what they do with more.
    if matches!(kind, Kind::Secrets | Kind::Cpuid | Kind::KernelHashes) && size != PAGE_BYTES {
        let found = format!("{size:#x} bytes at {address:#x}");
        return Err(malformed(
            "a section for secrets, CPUID values or kernel hashes",
            found,
            "one page of 0x1000 bytes",
        ));
    }
    Ok(Section { kind, address, size })
}
