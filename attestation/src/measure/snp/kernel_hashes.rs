//! The page of hashes that binds a kernel which the VMM loads (QEMU's `-kernel`): the firmware
//! compares what it is given with the hashes, and the hashes are measured.

use crate::crypto::sha256;
use crate::measure::error::{MeasureError, malformed};
use crate::measure::guid::{Guid, guid};
use crate::measure::image::Image;
use crate::measure::{PAGE, PAGE_BYTES};

/// Where in memory the firmware wants the table.
const TABLE_PLACE: Guid = guid(0x7255371f_3a3b_4b04_927b_1da6efa8d454);

const TABLE: Guid = guid(0x9438d606_4f22_4cc9_b479_a793d411fd21);
const COMMAND_LINE: Guid = guid(0x97d02dd8_bd20_4c94_aa78_e7714d36ab2a);
const INITRD: Guid = guid(0x44baf731_3a2f_4bd7_9af1_41e29169781d);
const KERNEL: Guid = guid(0x4de79437_abd2_427f_b835_d5b172d2045b);

/// GUID, length, SHA-256.
const ENTRY_LEN: u16 = 16 + 2 + 32;
/// GUID, length, three entries.
const TABLE_LEN: u16 = 16 + 2 + 3 * ENTRY_LEN;
/// The table's room: padded to 16 bytes.
const TABLE_ROOM: usize = 0xB0;
const _: () = assert!(TABLE_LEN.next_multiple_of(16) == 0xB0);

/// SHA-256 of what the VMM loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelHashes {
    /// Of the kernel's file.
    pub kernel: [u8; 32],
    /// Of the initial file system, of nothing if there is none.
    pub initrd: [u8; 32],
    /// Of the command line and the zero byte that ends it.
    pub command_line: [u8; 32],
}

impl KernelHashes {
    /// Hashes the bytes of the files, and the command line without a final zero byte.
    pub fn new(kernel: &[u8], initrd: Option<&[u8]>, command_line: &str) -> KernelHashes {
        KernelHashes {
            kernel: sha256(kernel),
            initrd: sha256(initrd.unwrap_or_default()),
            command_line: sha256(&[command_line.as_bytes(), &[0]].concat()),
        }
    }

    /// The page at `address` with the table where the firmware of `image` looks for it.
    pub(super) fn page(&self, image: &Image, address: u64) -> Result<Box<[u8; PAGE]>, MeasureError> {
        const PART: &str = "the place for kernel hashes";
        let place = image.number(&TABLE_PLACE, PART)?.map(u64::from).unwrap_or_default();
        let offset = place.checked_sub(address).filter(|offset| *offset < PAGE_BYTES);
        let offset = offset.and_then(|offset| usize::try_from(offset).ok());
        let mut page = Box::new([0; PAGE]);
        let room = offset.and_then(|offset| page.get_mut(offset..)?.first_chunk_mut::<TABLE_ROOM>());
        let Some(room) = room else {
            let wanted = format!("{TABLE_ROOM} bytes in the page at {address:#x}, which is there for them");
            return Err(malformed(PART, format!("{place:#x}"), wanted));
        };
        room.copy_from_slice(&self.table());
        Ok(page)
    }

    fn table(&self) -> [u8; TABLE_ROOM] {
        let header = [TABLE.as_slice(), &TABLE_LEN.to_le_bytes()].concat();
        let entry = |name: Guid, hash: [u8; 32]| [name.as_slice(), &ENTRY_LEN.to_le_bytes(), &hash].concat();
        let bytes =
            [header, entry(COMMAND_LINE, self.command_line), entry(INITRD, self.initrd), entry(KERNEL, self.kernel)]
                .concat();
        let mut table = [0; TABLE_ROOM];
        for (to, from) in table.iter_mut().zip(bytes) {
            *to = from;
        }
        table
    }
}
