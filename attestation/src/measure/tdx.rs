//! MRTD of Intel TDX: the measurement of the memory that a trust domain is built with.
//!
//! The TDX module keeps one SHA-384 over the build. TDH.MEM.PAGE.ADD puts in a buffer of 128
//! bytes with the operation's name and the page's address; TDH.MR.EXTEND puts in such a buffer
//! and 256 bytes of memory (Intel TDX Module 1.5 Base Architecture Specification, "MRTD"). What
//! is added in which order is the VMM's choice, guided by the metadata of the firmware (Intel
//! TDX Virtual Firmware Design Guide, "TDVF Metadata").

mod sections;

use sections::{Kind, Section};

use super::error::MeasureError;
use super::image::Image;
use crate::crypto::Sha384Pieces;
use crate::hex_bytes::HexBytes;

/// TDH.MR.EXTEND measures this many bytes.
const CHUNK: usize = 256;

/// Who builds the trust domain, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TdVmm {
    /// QEMU on KVM as in Linux 6.16 (KVM_TDX_INIT_MEM_REGION): each page is added, and measured
    /// before the next is added. QEMU from version 9 on.
    Qemu,
    /// QEMU 8 on the KVM that Intel distributed before: all pages of a section are added, then
    /// all are measured.
    QemuTwoPass,
    /// Google Compute Engine as its own verifier has it: like [`TdVmm::Qemu`], but temporary
    /// memory is not part of the build.
    Gce,
}

/// MRTD of a trust domain that `vmm` builds from `firmware`, a whole TDVF image.
///
/// It covers the firmware only. What the firmware goes on to load is in RTMR0 to RTMR3, which
/// depend on the VMM's tables and on the boot, and are known by replaying a guest's event log.
pub fn mrtd(firmware: &[u8], vmm: TdVmm) -> Result<HexBytes<48>, MeasureError> {
    let image = Image::parse(firmware)?;
    let mut build = Build(Sha384Pieces::default());
    for section in sections::sections(&image)? {
        match vmm {
            TdVmm::Gce if section.kind == Kind::TempMemory => {}
            TdVmm::Qemu | TdVmm::Gce => build.add_page_by_page(&section),
            TdVmm::QemuTwoPass => build.add_in_two_passes(&section),
        }
    }
    Ok(HexBytes(build.0.finish()))
}

/// The TDX module's view of the build.
struct Build(Sha384Pieces);

impl Build {
    fn add_page_by_page(&mut self, section: &Section) {
        let mut contents = section.measured_pages();
        for address in section.pages() {
            self.add_page(address);
            if let Some(page) = contents.next() {
                self.measure(address, page);
            }
        }
    }

    fn add_in_two_passes(&mut self, section: &Section) {
        section.pages().for_each(|address| self.add_page(address));
        for (address, page) in section.pages().zip(section.measured_pages()) {
            self.measure(address, page);
        }
    }

    fn add_page(&mut self, address: u64) {
        self.0.update(&operation(b"MEM.PAGE.ADD\0\0\0\0", address));
    }

    fn measure(&mut self, address: u64, page: &[u8]) {
        for (chunk, address) in page.chunks(CHUNK).zip((address..).step_by(CHUNK)) {
            self.0.update(&operation(b"MR.EXTEND\0\0\0\0\0\0\0", address));
            self.0.update(chunk);
        }
    }
}

/// The buffer for one operation: its name, the guest-physical address, zeros.
fn operation(name: &[u8; 16], address: u64) -> [u8; 128] {
    let mut buffer = [0; 128];
    buffer[0..16].copy_from_slice(name);
    buffer[16..24].copy_from_slice(&address.to_le_bytes());
    buffer
}
