//! The chain of page digests (AMD SEV-SNP ABI 56860, SNP_LAUNCH_UPDATE, table "PAGE_INFO").

use crate::crypto::sha384;
use crate::measure::image::Image;
use crate::measure::{PAGE, PAGE_BYTES};

/// Length of a PAGE_INFO, which it states itself.
const PAGE_INFO_LEN: u8 = 0x70;
/// Where every save area counts as being: KVM's INITIAL_VMSA_GPA, the highest page of 48 bits.
const SAVE_AREA_ADDRESS: u64 = 0xffff_ffff_f000;

/// How a page takes part in the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageType {
    Normal = 1,
    SaveArea = 2,
    Zero = 3,
    Unmeasured = 4,
    Secrets = 5,
    Cpuid = 6,
}

/// The digest so far.
pub(super) struct LaunchDigest([u8; 48]);

impl LaunchDigest {
    /// The digest once the pages of `image` are added, which lies below 4 GiB.
    pub(super) fn new(image: &Image) -> LaunchDigest {
        let mut digest = LaunchDigest([0; 48]);
        for (page, offset) in image.bytes().chunks(PAGE).zip((0..).step_by(PAGE)) {
            digest.add(PageType::Normal, image.address() + offset, sha384(page));
        }
        digest
    }

    /// Goes on from the digest of an image.
    pub(super) fn of_firmware(digest: [u8; 48]) -> LaunchDigest {
        LaunchDigest(digest)
    }

    /// Adds a page with its contents.
    pub(super) fn add_normal(&mut self, address: u64, page: &[u8; PAGE]) {
        self.add(PageType::Normal, address, sha384(page));
    }

    /// Adds the state of a vCPU.
    pub(super) fn add_save_area(&mut self, page: &[u8; PAGE]) {
        self.add(PageType::SaveArea, SAVE_AREA_ADDRESS, sha384(page));
    }

    /// Adds a page whose contents are the firmware's, or do not count.
    pub(super) fn add_without_contents(&mut self, page_type: PageType, address: u64) {
        self.add(page_type, address, [0; 48]);
    }

    /// The launch digest.
    pub(super) fn finish(self) -> [u8; 48] {
        self.0
    }

    fn add(&mut self, page_type: PageType, address: u64, contents: [u8; 48]) {
        debug_assert!(address.is_multiple_of(PAGE_BYTES));
        let mut info = [0; PAGE_INFO_LEN as usize];
        info[0x00..0x30].copy_from_slice(&self.0);
        info[0x30..0x60].copy_from_slice(&contents);
        info[0x60] = PAGE_INFO_LEN;
        info[0x62] = page_type as u8;
        // 63 to 67: no initial migration image, no access for VMPL 1 to 3.
        info[0x68..0x70].copy_from_slice(&address.to_le_bytes());
        self.0 = sha384(&info);
    }
}
