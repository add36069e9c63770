//! The fields of an authentic report, typed.

use serde::Serialize;

use crate::snp::product::{Cpuid, Product};
use crate::snp::report::SnpReport;
use crate::snp::tcb::Tcb;

/// Every field of an SNP report whose signature led to a root. Made only by verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SnpClaims {
    /// Version of the report's layout.
    pub version: u32,
    /// The product line whose root vouches for it.
    pub product: Product,
    /// The processor; version 2 does not tell.
    pub cpuid: Option<Cpuid>,
    /// The key that signed the report.
    pub endorsement_key: EndorsementKey,
    /// Security version of the guest.
    pub guest_svn: u32,
    /// What the guest's owner demanded at launch.
    pub guest_policy: GuestPolicy,
    /// Family of the image, given at launch.
    #[serde(with = "hex::serde")]
    pub family_id: [u8; 16],
    /// The image, given at launch.
    #[serde(with = "hex::serde")]
    pub image_id: [u8; 16],
    /// Privilege level that the report speaks for, 0 to 3.
    pub vmpl: u32,
    /// Firmware that runs now.
    pub current_tcb: Tcb,
    /// Firmware that the endorsement certificate is for; the host may report less than it runs.
    pub reported_tcb: Tcb,
    /// Firmware below which the platform can not go back.
    pub committed_tcb: Tcb,
    /// Firmware that ran when the guest was launched.
    pub launch_tcb: Tcb,
    /// Features of the platform that are on.
    pub platform_info: PlatformInfo,
    /// Whether the author's key digest is meaningful.
    pub author_key_enabled: bool,
    /// The 64 bytes that the guest had signed.
    #[serde(with = "hex::serde")]
    pub report_data: [u8; 64],
    /// Launch measurement.
    #[serde(with = "hex::serde")]
    pub measurement: [u8; 48],
    /// Data that the host gave at launch.
    #[serde(with = "hex::serde")]
    pub host_data: [u8; 32],
    /// SHA-384 of the key that signed the identity block, or zeros.
    #[serde(with = "hex::serde")]
    pub id_key_digest: [u8; 48],
    /// SHA-384 of the author's key, or zeros.
    #[serde(with = "hex::serde")]
    pub author_key_digest: [u8; 48],
    /// Identity of this guest.
    #[serde(with = "hex::serde")]
    pub report_id: [u8; 32],
    /// Identity of its migration agent; all FFh without one.
    #[serde(with = "hex::serde")]
    pub report_id_ma: [u8; 32],
    /// The chip: all zero when masked; on Turin 8 bytes, then zeros.
    #[serde(with = "hex::serde")]
    pub chip_id: [u8; 64],
    /// The chip's hardware id in its certificate (64 bytes, Turin 8); a VLEK has none.
    #[serde(skip)]
    pub(crate) certified_chip: Option<Vec<u8>>,
    /// Firmware that runs now.
    pub current_firmware: FirmwareVersion,
    /// Firmware that is committed.
    pub committed_firmware: FirmwareVersion,
    /// Mitigations on when the guest was launched; version 5 and later.
    pub launch_mitigations: Option<u64>,
    /// Mitigations on now; version 5 and later.
    pub current_mitigations: Option<u64>,
}

/// The key that signed a report, as its certificate describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EndorsementKey {
    /// The chip's own key.
    Vcek,
    /// A key that a provider loaded into many chips.
    Vlek {
        /// The provider, as AMD certified it.
        csp_id: String,
    },
}

/// Version of the secure processor's firmware interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct FirmwareVersion {
    /// Major number.
    pub major: u8,
    /// Minor number.
    pub minor: u8,
    /// Build number.
    pub build: u8,
}

/// What the guest's owner demanded at launch (AMD 56860 "Guest Policy").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct GuestPolicy(pub u64);

impl GuestPolicy {
    /// Least firmware interface version: major, minor.
    pub fn minimum_abi(self) -> (u8, u8) {
        let [minor, major, ..] = self.0.to_le_bytes();
        (major, minor)
    }

    /// Whether a migration agent may move the guest (bit 18).
    pub fn migration_allowed(self) -> bool {
        bit(self.0, 18)
    }

    /// Whether the guest may run on one socket only (bit 20).
    pub fn single_socket(self) -> bool {
        bit(self.0, 20)
    }

    /// Whether its memory may lie on CXL devices (bit 21).
    pub fn cxl_allowed(self) -> bool {
        bit(self.0, 21)
    }

    /// Whether the host may debug the guest (bit 19).
    pub fn debug_allowed(self) -> bool {
        bit(self.0, 19)
    }
}

/// Features of the platform that are on (AMD 56860 "PLATFORM_INFO"). Bits without a meaning here
/// are kept and not refused: real platforms set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct PlatformInfo(pub u64);

impl PlatformInfo {
    /// Simultaneous multithreading.
    pub fn smt(self) -> bool {
        bit(self.0, 0)
    }

    /// Encryption of all memory.
    pub fn tsme(self) -> bool {
        bit(self.0, 1)
    }

    /// Error-correcting memory.
    pub fn ecc(self) -> bool {
        bit(self.0, 2)
    }

    /// Running average power limits are off.
    pub fn rapl_disabled(self) -> bool {
        bit(self.0, 3)
    }

    /// Ciphertext hiding.
    pub fn ciphertext_hiding(self) -> bool {
        bit(self.0, 4)
    }

    /// Memory was checked for aliases since the last reset.
    pub fn alias_check_complete(self) -> bool {
        bit(self.0, 5)
    }
}

impl SnpClaims {
    /// The fields of a report that `product`'s root vouches for, signed by `endorsement_key`.
    pub(crate) fn new(report: &SnpReport, product: Product, endorsement_key: EndorsementKey) -> SnpClaims {
        let version = report.version();
        let tcb = |bytes| Tcb::from_bytes(bytes, product);
        let mitigations = |vector| (version >= 5).then_some(vector);
        SnpClaims {
            version,
            product,
            cpuid: report.cpuid(),
            endorsement_key,
            guest_svn: report.u32::<0x004>(),
            guest_policy: GuestPolicy(report.policy()),
            family_id: report.at::<0x010, 16>(),
            image_id: report.at::<0x020, 16>(),
            vmpl: report.u32::<0x030>(),
            current_tcb: tcb(report.at::<0x038, 8>()),
            reported_tcb: tcb(report.reported_tcb()),
            committed_tcb: tcb(report.at::<0x1E0, 8>()),
            launch_tcb: tcb(report.at::<0x1F0, 8>()),
            platform_info: PlatformInfo(report.u64::<0x040>()),
            author_key_enabled: report.key_info() & 1 != 0,
            report_data: report.report_data(),
            measurement: report.at::<0x090, 48>(),
            host_data: report.at::<0x0C0, 32>(),
            id_key_digest: report.at::<0x0E0, 48>(),
            author_key_digest: report.at::<0x110, 48>(),
            report_id: report.at::<0x140, 32>(),
            report_id_ma: report.at::<0x160, 32>(),
            chip_id: report.chip_id(),
            certified_chip: None,
            current_firmware: firmware(report.at::<0x1E8, 3>()),
            committed_firmware: firmware(report.at::<0x1EC, 3>()),
            launch_mitigations: mitigations(report.u64::<0x1F8>()),
            current_mitigations: mitigations(report.u64::<0x200>()),
        }
    }

    /// The chip's identity, when the report shows it and the chip's own key vouches for it.
    pub fn platform_identity(&self) -> Option<&[u8; 64]> {
        let shown = self.chip_id.iter().any(|byte| *byte != 0);
        (shown && self.endorsement_key == EndorsementKey::Vcek).then_some(&self.chip_id)
    }
}

fn firmware([build, minor, major]: [u8; 3]) -> FirmwareVersion {
    FirmwareVersion { major, minor, build }
}

fn bit(word: u64, index: u32) -> bool {
    (word >> index) & 1 != 0
}
