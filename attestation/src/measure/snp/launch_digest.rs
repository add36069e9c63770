//! The chain of page digests (AMD SEV-SNP ABI 56860, SNP_LAUNCH_UPDATE, table "PAGE_INFO").

use crate::crypto::sha384;
use crate::cursor::put;
use crate::measure::image::Image;
use crate::measure::{PAGE, PAGE_BYTES};

/// Length of a PAGE_INFO.
const PAGE_INFO_LEN: usize = 0x70;
/// As it states it itself.
const PAGE_INFO_LEN_STATED: u16 = 0x70;
/// Where every save area counts as being: KVM's INITIAL_VMSA_GPA, the highest page of 48 bits.
const SAVE_AREA_ADDRESS: u64 = 0xffff_ffff_f000;

/// How a page takes part in the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageType {
    Normal,
    SaveArea,
    Zero,
    Unmeasured,
    Secrets,
    Cpuid,
}

impl PageType {
    fn number(self) -> u8 {
        match self {
            PageType::Normal => 1,
            PageType::SaveArea => 2,
            PageType::Zero => 3,
            PageType::Unmeasured => 4,
            PageType::Secrets => 5,
            PageType::Cpuid => 6,
        }
    }
}

/// The digest so far.
pub(super) struct LaunchDigest([u8; 48]);

impl LaunchDigest {
    /// The digest once the pages of `image` are added, which lies below 4 GiB.
    pub(super) fn new(image: &Image) -> LaunchDigest {
        let mut digest = LaunchDigest([0; 48]);
        for (page, address) in image.bytes().chunks(PAGE).zip((image.address()..).step_by(PAGE)) {
            digest.add(PageType::Normal, address, sha384(page));
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
        let mut info = [0; PAGE_INFO_LEN];
        put::<0x00, 48, _>(&mut info, self.0);
        put::<0x30, 48, _>(&mut info, contents);
        put::<0x60, 2, _>(&mut info, PAGE_INFO_LEN_STATED.to_le_bytes());
        put::<0x62, 1, _>(&mut info, [page_type.number()]);
        // 63 to 67: no initial migration image, no access for VMPL 1 to 3.
        put::<0x68, 8, _>(&mut info, address.to_le_bytes());
        self.0 = sha384(&info);
    }
}
