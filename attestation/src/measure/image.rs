//! A firmware image (OVMF, TDVF) and the table of GUIDs at its end, through which both platforms
//! find their metadata.
//!
//! The table is read backwards from 32 bytes before the end: each entry is its data, its whole
//! length as a little-endian u16, and its GUID; the last entry is the footer, whose length is
//! that of the table (edk2, OvmfPkg/ResetVector).

use super::error::{MeasureError, malformed};
use super::guid::{Guid, guid, text};
use super::{PAGE, PAGE_BYTES};

/// Largest image that is read, in bytes. VMMs take a few MiB.
const IMAGE_MAX: usize = 64 << 20;
/// An image ends at 4 GiB.
const IMAGE_END: u64 = 1 << 32;
const _: () = assert!(IMAGE_MAX >> 31 == 0);
/// Bytes after the table: the reset vector.
const AFTER_TABLE: usize = 32;
/// Length and GUID of an entry.
const ENTRY_HEADER: usize = 18;
const FOOTER: Guid = guid(0x96b582de_1fb2_45f7_baea_a366c55a082d);

/// A firmware image of whole pages whose table of GUIDs is sound.
pub(super) struct Image<'a> {
    bytes: &'a [u8],
    table: Vec<(Guid, &'a [u8])>,
}

impl<'a> Image<'a> {
    /// Reads the table of `bytes`, the whole image or its last pages.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Image<'a>, MeasureError> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(PAGE) || bytes.len() > IMAGE_MAX {
            let wanted = format!("whole pages of {PAGE} bytes, at least one and at most {IMAGE_MAX} bytes");
            return Err(malformed("its size", format!("{} bytes", bytes.len()), wanted));
        }
        Ok(Image { bytes, table: table(bytes)? })
    }

    /// The image.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where the image begins in guest-physical memory, if it is whole.
    pub(super) fn address(&self) -> u64 {
        // The longest image is shorter than 4 GiB.
        IMAGE_END.saturating_sub(u64::try_from(self.bytes.len()).unwrap_or(IMAGE_END))
    }

    /// The number that the table's entry `name` holds (its first four bytes); `None` without one.
    ///
    /// Which of two entries counts would depend on who reads, so two are refused.
    pub(super) fn number(&self, name: &Guid, part: &'static str) -> Result<Option<u32>, MeasureError> {
        let mut entries = self.table.iter().filter(|(guid, _)| guid == name);
        let Some((_, data)) = entries.next() else { return Ok(None) };
        if entries.next().is_some() {
            return Err(malformed(part, "there twice", format!("one table entry {}", text(name))));
        }
        let number = data.first_chunk::<4>().ok_or_else(|| {
            malformed(part, format!("{} bytes of table entry {}", data.len(), text(name)), "at least 4")
        })?;
        Ok(Some(u32::from_le_bytes(*number)))
    }

    /// The descriptor that begins `distance` bytes before the image's end.
    pub(super) fn descriptor(&self, distance: u32, part: &'static str) -> Result<Descriptor<'a>, MeasureError> {
        let start = usize::try_from(distance).ok().and_then(|distance| self.bytes.len().checked_sub(distance));
        let rest = start.and_then(|start| self.bytes.get(start..)).ok_or_else(|| {
            malformed(part, format!("{distance:#x} bytes before the end"), format!("at most {:#x}", self.bytes.len()))
        })?;
        Descriptor::parse(rest, part)
    }
}

/// A metadata descriptor: signature, length, version and number of sections, then the sections.
/// AMD's and Intel's differ in signature and in the sections' size only.
pub(super) struct Descriptor<'a> {
    /// Four letters.
    pub(super) signature: [u8; 4],
    length: u32,
    version: u32,
    count: u32,
    sections: &'a [u8],
    part: &'static str,
}

impl<'a> Descriptor<'a> {
    fn parse(bytes: &'a [u8], part: &'static str) -> Result<Descriptor<'a>, MeasureError> {
        let cut = || malformed(part, "cut short by the image's end", "16 bytes and its sections");
        let (signature, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let (count, sections) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let [length, version, count] = [length, version, count].map(|field| u32::from_le_bytes(*field));
        Ok(Descriptor { signature: *signature, length, version, count, sections, part })
    }

    /// The sections of `N` bytes each, after the checks that both vendors' descriptors share.
    pub(super) fn sections<const N: usize>(&self, signature: [u8; 4]) -> Result<&'a [[u8; N]], MeasureError> {
        let part = self.part;
        if self.signature != signature {
            let shown = |letters: &[u8]| letters.escape_ascii().to_string();
            return Err(malformed(part, format!("signed {}", shown(&self.signature)), shown(&signature)));
        }
        if self.version != 1 {
            return Err(malformed(part, format!("of version {}", self.version), "version 1"));
        }
        let size = usize::try_from(self.count).ok().and_then(|count| count.checked_mul(N));
        let stated = usize::try_from(self.length).ok().and_then(|length| length.checked_sub(16));
        let sections = size.filter(|size| Some(*size) == stated).and_then(|size| self.sections.get(..size));
        let Some(sections) = sections else {
            let found = format!("{} bytes with {} sections", self.length, self.count);
            return Err(malformed(part, found, format!("16 bytes and {N} a section, inside the image")));
        };
        Ok(sections.as_chunks::<N>().0)
    }
}

/// The number of bytes of a section that must be whole pages at a page's address.
pub(super) fn whole_pages(part: &'static str, address: u64, size: u64) -> Result<u64, MeasureError> {
    let sound = address.is_multiple_of(PAGE_BYTES) && size.is_multiple_of(PAGE_BYTES);
    if !sound || address.checked_add(size).is_none() {
        let found = format!("{size:#x} bytes at {address:#x}");
        return Err(malformed(part, found, "whole pages of 0x1000 bytes in guest-physical memory"));
    }
    Ok(size)
}

fn table(bytes: &[u8]) -> Result<Vec<(Guid, &[u8])>, MeasureError> {
    const PART: &str = "the table of GUIDs";
    let (rest, footer, length) = bytes
        .len()
        .checked_sub(AFTER_TABLE)
        .and_then(|end| bytes.get(..end))
        .and_then(last_header)
        .ok_or_else(|| malformed(PART, "cut short", "a footer 32 bytes before the end"))?;
    if footer != FOOTER {
        let wanted = format!("its footer {} 32 bytes before the end", text(&FOOTER));
        return Err(malformed(PART, "not there", wanted));
    }
    let mut rest = last(rest, length).ok_or_else(|| {
        let wanted = format!("{ENTRY_HEADER} bytes or more, inside the image");
        malformed(PART, format!("{length} bytes long"), wanted)
    })?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let entry = last_header(rest).and_then(|(before, name, length)| Some((name, last(before, length)?, before)));
        let (name, data, before) =
            entry.ok_or_else(|| malformed(PART, "inconsistent", "entries that fill it exactly"))?;
        entries.push((name, data));
        rest = before.get(..before.len().saturating_sub(data.len())).unwrap_or_default();
    }
    Ok(entries)
}

/// Splits off the length and GUID that end `bytes`: what is before them, the GUID, the length.
fn last_header(bytes: &[u8]) -> Option<(&[u8], Guid, u16)> {
    let (bytes, name) = bytes.split_last_chunk::<16>()?;
    let (bytes, length) = bytes.split_last_chunk::<2>()?;
    Some((bytes, *name, u16::from_le_bytes(*length)))
}

/// The data of an entry of `length` bytes, header included, that ends where `before` does.
fn last(before: &[u8], length: u16) -> Option<&[u8]> {
    let data = usize::from(length).checked_sub(ENTRY_HEADER)?;
    before.get(before.len().checked_sub(data)?..)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An image of `pages` pages with a descriptor (its distance from the end is put into the
    /// entry `name`) and further table entries.
    pub(in super::super) fn image(pages: usize, name: Guid, descriptor: &[u8], more: &[(Guid, &[u8])]) -> Vec<u8> {
        let mut table = Vec::new();
        let mut put = |name: &Guid, data: &[u8]| {
            table.extend_from_slice(data);
            table.extend_from_slice(&u16::try_from(data.len() + ENTRY_HEADER).unwrap().to_le_bytes());
            table.extend_from_slice(name);
        };
        for (name, data) in more {
            put(name, data);
        }
        let distance = 1024 + descriptor.len();
        put(&name, &u32::try_from(distance).unwrap().to_le_bytes());
        let length = u16::try_from(table.len() + ENTRY_HEADER).unwrap();
        table.extend_from_slice(&length.to_le_bytes());
        table.extend_from_slice(&FOOTER);
        table.extend_from_slice(&[0x90; AFTER_TABLE]);

        let mut bytes: Vec<u8> = (0..pages * PAGE).map(|index| (index / 251) as u8).collect();
        let (end, at) = (bytes.len(), bytes.len() - distance);
        bytes[at..at + descriptor.len()].copy_from_slice(descriptor);
        bytes[end - table.len()..].copy_from_slice(&table);
        bytes
    }

    const NAME: Guid = guid(7);

    #[test]
    fn entries_are_found_by_name() {
        let bytes = image(1, NAME, b"ABCD", &[(guid(8), &[1, 2, 3, 4, 5]), (guid(9), &[1, 2, 3])]);
        let image = Image::parse(&bytes).unwrap();
        assert_eq!(image.number(&NAME, "x"), Ok(Some(1028)));
        assert_eq!(image.number(&guid(8), "x"), Ok(Some(0x0403_0201)));
        assert_eq!(image.number(&guid(10), "x"), Ok(None));
        assert_eq!(image.number(&guid(9), "x").unwrap_err().code(), "FIRMWARE_MALFORMED");
        assert_eq!(image.address(), 0xffff_f000);
    }

    #[test]
    fn an_entry_that_is_there_twice_is_refused() {
        let bytes = image(1, NAME, b"ABCD", &[(NAME, &[1, 2, 3, 4])]);
        let error = Image::parse(&bytes).unwrap().number(&NAME, "the entry").unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }

    #[test]
    fn sizes_and_lengths_must_fit() {
        let good = image(2, NAME, b"ABCD", &[]);
        let footer = good.len() - AFTER_TABLE - ENTRY_HEADER;
        for length in [0u16, 17, 19, 30, 0xffff] {
            let mut bytes = good.clone();
            bytes[footer..footer + 2].copy_from_slice(&length.to_le_bytes());
            assert!(Image::parse(&bytes).is_err(), "a table of {length}");
        }
        let entry = footer - ENTRY_HEADER;
        for length in [0u16, 17, 23, 0xffff] {
            let mut bytes = good.clone();
            bytes[entry..entry + 2].copy_from_slice(&length.to_le_bytes());
            assert!(Image::parse(&bytes).is_err(), "an entry of {length}");
        }
        for bytes in [&good[1..], &[], &good[..PAGE - 1]] {
            assert!(Image::parse(bytes).is_err(), "{} bytes", bytes.len());
        }
        assert!(Image::parse(&vec![0; IMAGE_MAX + PAGE]).is_err());
        assert!(Image::parse(&good).is_ok());
    }

    #[test]
    fn a_descriptor_lies_inside_the_image_with_its_sections() {
        let descriptor = |length: u32, version: u32, count: u32| {
            [&b"ABCD"[..], &length.to_le_bytes(), &version.to_le_bytes(), &count.to_le_bytes(), &[7; 8]].concat()
        };
        let sections = |descriptor: &[u8]| {
            let bytes = image(1, NAME, descriptor, &[]);
            let image = Image::parse(&bytes).unwrap();
            let distance = image.number(&NAME, "x").unwrap().unwrap();
            image.descriptor(distance, "it").unwrap().sections::<4>(*b"ABCD").map(<[_]>::len)
        };
        assert_eq!(sections(&descriptor(24, 1, 2)), Ok(2));
        for (length, version, count) in [(24, 2, 2), (23, 1, 2), (24, 1, 3), (20, 1, 2), (24, 1, u32::MAX)] {
            assert!(sections(&descriptor(length, version, count)).is_err(), "{length} {version} {count}");
        }
        let mut other = descriptor(24, 1, 2);
        other[0] = b'X';
        assert!(sections(&other).is_err());

        let bytes = image(1, NAME, b"ABCD", &[]);
        let image = Image::parse(&bytes).unwrap();
        for distance in [0, 15, 4097, u32::MAX] {
            assert!(image.descriptor(distance, "it").is_err(), "{distance}");
        }
    }
}
