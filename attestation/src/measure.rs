//! Expected launch measurements: firmware and launch parameters in, a 48-byte digest out.
//!
//! A policy pins the measurement of a guest that has not been launched yet. It is computed here
//! from what the operator's VMM is given, so that nobody has to copy it out of a report that the
//! operator shows: [`SnpLaunch::digest`] is MEASUREMENT of an SNP report, [`mrtd`] is MRTD of a
//! TDX quote.
//!
//! Pure, and the firmware image is taken as a stranger's: every offset in it is checked, and what
//! is not known to be measured in one way only is refused. Specified in
//! `docs/specs/launch-measurement.md`.

mod error;
mod guid;
mod image;
mod snp;
mod tdx;

pub use error::MeasureError;
pub use snp::{KernelHashes, SnpLaunch, VCPUS_MAX, Vmm, firmware_digest, vcpu_signature};
pub use tdx::{TdVmm, mrtd};

/// The unit of measurement of both platforms, in bytes.
const PAGE: usize = 4096;
/// [`PAGE`] as a number of guest-physical bytes.
const PAGE_BYTES: u64 = 4096;
/// Largest memory, in bytes, that an image's metadata may have measured beside the image itself.
/// Firmware asks for a few hundred KiB; the limit bounds the work that a hostile image can cause.
const SECTIONS_MAX_BYTES: u64 = 256 << 20;
