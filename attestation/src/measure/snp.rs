//! The launch digest of AMD SEV-SNP: MEASUREMENT of an attestation report.
//!
//! What a VMM hands to the firmware of the secure processor, in its order: the image, the
//! sections that the image's metadata asks for, and one save area for each vCPU.

mod kernel_hashes;
mod launch_digest;
mod save_area;
mod sections;
mod vcpu;

use launch_digest::{LaunchDigest, PageType};
use sections::{Kind, Section};

pub use kernel_hashes::KernelHashes;
pub use vcpu::vcpu_signature;

use super::PAGE;
use super::error::{MeasureError, malformed};
use super::guid::{Guid, guid};
use super::image::Image;
use crate::hex_bytes::HexBytes;

/// Most vCPUs of a guest (KVM's limit).
pub const VCPUS_MAX: u32 = 4096;

/// SEV_FEATURES bit 0, without which the guest is none of SEV-SNP.
const SNP_ACTIVE: u64 = 1;
const AP_RESET: Guid = guid(0x00f771de_1a7e_4fcb_890e_68c77e2fb44e);

/// Who launches the guest. They differ in the registers of a vCPU at start, and in the sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Vmm {
    /// QEMU on Linux KVM. A vCPU starts with its model's CPUID signature (Fn0000_0001 EAX) in a
    /// register, so the model is measured; see [`vcpu_signature`].
    Qemu {
        /// The signature, for example 0x800f12.
        vcpu_signature: u32,
    },
    /// Amazon EC2.
    Ec2,
    /// Google Compute Engine.
    Gce,
}

/// What decides the launch digest of a guest.
#[derive(Clone, Copy, Debug)]
pub struct SnpLaunch<'a> {
    /// The firmware image as the VMM loads it. With `firmware_digest` its last pages, where the
    /// metadata is, are enough.
    pub firmware: &'a [u8],
    /// The digest of the image alone ([`firmware_digest`]), if the image itself is not at hand:
    /// believed, and the pages in `firmware` are then not hashed.
    pub firmware_digest: Option<HexBytes<48>>,
    /// vCPUs whose state the VMM has measured, 1 to [`VCPUS_MAX`]. Where the guest starts the
    /// others itself (the protocol "AP creation" of the GHCB, as on GCE) this is 1.
    pub vcpus: u32,
    /// SEV_FEATURES of the vCPUs: bit 0 SNP, bit 5 debug swap, and so on (AMD APM volume 2,
    /// table B-4). Usual is 0x1; hosts that swap debug registers set 0x21.
    pub guest_features: u64,
    /// Kernel, initial file system and command line, if the VMM loads them and not the firmware.
    pub kernel: Option<KernelHashes>,
    /// Who launches the guest.
    pub vmm: Vmm,
}

impl SnpLaunch<'_> {
    /// The launch digest: MEASUREMENT of every report of this guest.
    pub fn digest(&self) -> Result<HexBytes<48>, MeasureError> {
        if !(1..=VCPUS_MAX).contains(&self.vcpus) {
            let found = self.vcpus.to_string();
            return Err(MeasureError::Parameter {
                name: "the number of vCPUs",
                found,
                wanted: format!("1 to {VCPUS_MAX}"),
            });
        }
        if self.guest_features & SNP_ACTIVE == 0 {
            let found = format!("{:#x}", self.guest_features);
            return Err(MeasureError::Parameter {
                name: "SEV_FEATURES",
                found,
                wanted: "bit 0 set, which is SNP".into(),
            });
        }
        let image = Image::parse(self.firmware)?;
        let sections = sections::sections(&image)?;
        let mut digest = match self.firmware_digest {
            Some(HexBytes(digest)) => LaunchDigest::of_firmware(digest),
            None => LaunchDigest::new(&image),
        };
        self.add_sections(&mut digest, &image, &sections)?;
        self.add_vcpus(&mut digest, &image)?;
        Ok(HexBytes(digest.finish()))
    }

    fn add_sections(&self, digest: &mut LaunchDigest, image: &Image, sections: &[Section]) -> Result<(), MeasureError> {
        if self.kernel.is_some() && !sections.iter().any(|section| section.kind == Kind::KernelHashes) {
            return Err(MeasureError::Unsupported {
                what: "it has no section for the hashes of a kernel".into(),
                to_do: "Use firmware built for measured direct boot (edk2's AmdSev package), or leave the kernel out",
            });
        }
        // EC2 adds the CPUID pages after everything else.
        let late = |section: &&Section| self.vmm == Vmm::Ec2 && section.kind == Kind::Cpuid;
        let (last, first): (Vec<&Section>, Vec<&Section>) = sections.iter().partition(late);
        for section in [first, last].concat() {
            let page_type = match section.kind {
                Kind::SecMemory if self.vmm == Vmm::Gce => PageType::Unmeasured,
                Kind::SecMemory | Kind::SvsmCallingArea => PageType::Zero,
                Kind::Secrets => PageType::Secrets,
                Kind::Cpuid => PageType::Cpuid,
                Kind::KernelHashes => match &self.kernel {
                    Some(kernel) => {
                        digest.add_normal(section.address, &*kernel.page(image, section.address)?);
                        continue;
                    }
                    None => PageType::Zero,
                },
            };
            for address in (section.address..section.end()).step_by(PAGE) {
                digest.add_without_contents(page_type, address);
            }
        }
        Ok(())
    }

    fn add_vcpus(&self, digest: &mut LaunchDigest, image: &Image) -> Result<(), MeasureError> {
        digest.add_save_area(&save_area::page(save_area::RESET_VECTOR, self.guest_features, self.vmm));
        if self.vcpus == 1 {
            return Ok(());
        }
        const PART: &str = "the start address of further vCPUs";
        let start = image.number(&AP_RESET, PART)?.ok_or_else(|| MeasureError::Unsupported {
            what: "it has no start address for a second vCPU".into(),
            to_do: "Use firmware built for SEV-ES or SEV-SNP",
        })?;
        if start == 0 {
            return Err(malformed(PART, "0", "an address"));
        }
        let page = save_area::page(start, self.guest_features, self.vmm);
        for _ in 1..self.vcpus {
            digest.add_save_area(&page);
        }
        Ok(())
    }
}

/// The digest of a whole firmware image alone: what [`SnpLaunch::firmware_digest`] takes.
pub fn firmware_digest(firmware: &[u8]) -> Result<HexBytes<48>, MeasureError> {
    Ok(HexBytes(LaunchDigest::new(&Image::parse(firmware)?).finish()))
}
