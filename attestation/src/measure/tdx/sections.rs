//! The memory that a TDVF asks the VMM to build the trust domain with.

use crate::cursor::field;
use crate::measure::error::{MeasureError, malformed};
use crate::measure::guid::{Guid, guid};
use crate::measure::image::{Image, whole_pages};
use crate::measure::{PAGE, SECTIONS_MAX_BYTES};

const METADATA: Guid = guid(0xe47a6535_984a_4798_865e_4685a7bf8ec2);
const PART: &str = "the TDX metadata";
/// Data offset and size (u32), memory address and size (u64), type and attributes (u32).
const SECTION_LEN: usize = 32;
/// Attribute: the contents are measured (TDH.MR.EXTEND).
const MEASURED: u32 = 1;

/// What a section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Firmware volumes (BFV, CFV): their contents come from the image.
    FirmwareVolume,
    /// The hand-off block, which the VMM writes; it is added and not measured.
    HandOffBlock,
    /// Temporary memory.
    TempMemory,
}

/// Whole pages of guest-physical memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section<'a> {
    pub(super) kind: Kind,
    address: u64,
    size: u64,
    /// The contents, if they are measured.
    measured: Option<&'a [u8]>,
}

impl<'a> Section<'a> {
    /// The address of each page.
    pub(super) fn pages(&self) -> impl Iterator<Item = u64> + use<> {
        // That the end is an address was asked when the section was read.
        (self.address..self.address.saturating_add(self.size)).step_by(PAGE)
    }

    /// The contents of each page that is measured: of all or of none.
    pub(super) fn measured_pages(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.measured.unwrap_or_default().chunks(PAGE)
    }
}

/// The sections of `image` in their order, which is measured.
pub(super) fn sections<'a>(image: &Image<'a>) -> Result<Vec<Section<'a>>, MeasureError> {
    let distance = image.number(&METADATA, PART)?.ok_or_else(|| MeasureError::Unsupported {
        what: "it has no TDX metadata".into(),
        to_do: "Use firmware built for TDX (edk2's IntelTdx or OvmfPkgX64)",
    })?;
    let raw = image.descriptor(distance, PART)?.sections::<SECTION_LEN>(*b"TDVF")?;
    let mut room = SECTIONS_MAX_BYTES;
    let mut sections = Vec::new();
    for raw in raw {
        let section = Section::parse(image, raw)?;
        room = room.checked_sub(section.size).ok_or_else(|| {
            malformed(PART, "asking for more memory", format!("at most {SECTIONS_MAX_BYTES} bytes in all"))
        })?;
        sections.push(section);
    }
    if !sections.iter().any(|section| section.measured.is_some()) {
        return Err(malformed(PART, "without a measured section", "at least the boot firmware volume"));
    }
    Ok(sections)
}

impl<'a> Section<'a> {
    fn parse(image: &Image<'a>, raw: &[u8; SECTION_LEN]) -> Result<Section<'a>, MeasureError> {
        let offset = u32::from_le_bytes(field::<0, 4, _>(raw));
        let data_size = u32::from_le_bytes(field::<4, 4, _>(raw));
        let address = u64::from_le_bytes(field::<8, 8, _>(raw));
        let size = whole_pages("a section of the TDX metadata", address, u64::from_le_bytes(field::<16, 8, _>(raw)))?;
        let kind = match u32::from_le_bytes(field::<24, 4, _>(raw)) {
            0 | 1 => Kind::FirmwareVolume,
            2 => Kind::HandOffBlock,
            3 => Kind::TempMemory,
            other => return Err(unsupported(format!("its TDX metadata has a section of type {other}"))),
        };
        let attributes = u32::from_le_bytes(field::<28, 4, _>(raw));
        if attributes & !MEASURED != 0 {
            return Err(unsupported(format!("a section of its TDX metadata has attributes {attributes:#x}")));
        }
        let contents = contents(image, kind, offset, data_size, size)?;
        let measured = match (attributes == MEASURED, kind) {
            (false, _) => None,
            (true, Kind::FirmwareVolume) => Some(contents),
            // The VMM writes them, so the image does not tell what is measured.
            (true, _) => return Err(unsupported("it asks to measure memory that the VMM fills".into())),
        };
        Ok(Section { kind, address, size, measured })
    }
}

/// What the image has for a section: all of a firmware volume, nothing of other memory. VMMs
/// differ on a volume of which only a part is there.
fn contents<'a>(image: &Image<'a>, kind: Kind, offset: u32, len: u32, size: u64) -> Result<&'a [u8], MeasureError> {
    let wanted = if kind == Kind::FirmwareVolume { size } else { 0 };
    if u64::from(len) != wanted || (kind == Kind::FirmwareVolume && len == 0) {
        let found = format!("{len:#x} bytes for memory of {size:#x} bytes");
        return Err(malformed(
            "the data of a TDX section",
            found,
            "all of a firmware volume, nothing for other memory",
        ));
    }
    let (start, len) = (usize::try_from(offset).ok(), usize::try_from(len).ok());
    let range = start.zip(len).and_then(|(start, len)| Some(start..start.checked_add(len)?));
    range.and_then(|range| image.bytes().get(range)).ok_or_else(|| {
        let found = format!("{wanted:#x} bytes at {offset:#x}");
        malformed("the data of a TDX section", found, format!("inside the image of {:#x} bytes", image.bytes().len()))
    })
}

fn unsupported(what: String) -> MeasureError {
    MeasureError::Unsupported { what, to_do: "How VMMs measure it is not known here; use firmware of edk2's kind" }
}
