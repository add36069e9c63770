//! What a quote says of a trust domain (TDX DCAP quote, TD report body): 584 bytes for TDX
//! module 1.0, 648 for 1.5.

use sha2::{Digest, Sha384};

/// Bytes of the body for TDX 1.0, which the 1.5 body begins with.
pub(crate) const TD10_LENGTH: usize = 584;
/// Bytes of the body for TDX 1.5.
pub(crate) const TD15_LENGTH: usize = 648;
/// Where fields that faults flip lie in it.
pub(crate) const MR_TD: usize = 0x088;
pub(crate) const REPORT_DATA: usize = 0x208;

/// SEPT_VE_DISABLE, the one bit that nearly every real TD has.
const SEPT_VE_DISABLE: u64 = 1 << 28;
/// x87, SSE, AVX, AVX-512, PKRU and AMX.
const XFAM: u64 = 0x6_02e7;
/// TDX module 1.5 of security version 7, SEAM loader 3.
const TEE_TCB_SVN: [u8; 16] = [7, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const MODULE_LABEL: &[u8] = b"strongroom/simulated-platform/tdx-module/v1\0";

/// The measured and reported state of a trust domain. Change fields with the update syntax:
/// `TdBody { mr_config_id, ..TdBody::healthy() }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdBody {
    /// Security versions of the TDX module and SEAM loader: `[minor, major, loader, 0, ..]`.
    pub tee_tcb_svn: [u8; 16],
    /// Measurement of the TDX module.
    pub mr_seam: [u8; 48],
    /// Its signer; zero for Intel's.
    pub mr_signer_seam: [u8; 48],
    /// Its attributes; zero.
    pub seam_attributes: u64,
    /// Attributes of the TD: debug, migratable, and so on.
    pub td_attributes: u64,
    /// The processor features that the TD may use.
    pub xfam: u64,
    /// Measurement of the TD's initial memory: the firmware.
    pub mr_td: [u8; 48],
    /// Chosen by the host when it starts the TD.
    pub mr_config_id: [u8; 48],
    /// Chosen by the host when it starts the TD.
    pub mr_owner: [u8; 48],
    /// Chosen by the host when it starts the TD.
    pub mr_owner_config: [u8; 48],
    /// The measurement registers that firmware, loader, kernel and application extend.
    pub rtmrs: [[u8; 48]; 4],
    /// Only in a 1.5 body: the TCB now, where `tee_tcb_svn` is the one at launch.
    pub tee_tcb_svn2: [u8; 16],
    /// Only in a 1.5 body: measurement of a bound service TD; zero for none.
    pub mr_service_td: [u8; 48],
}

impl TdBody {
    /// A healthy TD of a current platform, with everything that it measures still zero.
    #[must_use]
    pub fn healthy() -> Self {
        Self {
            tee_tcb_svn: TEE_TCB_SVN,
            mr_seam: Sha384::digest(MODULE_LABEL).into(),
            mr_signer_seam: [0; 48],
            seam_attributes: 0,
            td_attributes: SEPT_VE_DISABLE,
            xfam: XFAM,
            mr_td: [0; 48],
            mr_config_id: [0; 48],
            mr_owner: [0; 48],
            mr_owner_config: [0; 48],
            rtmrs: [[0; 48]; 4],
            tee_tcb_svn2: TEE_TCB_SVN,
            mr_service_td: [0; 48],
        }
    }

    /// The 648 bytes of a 1.5 body; the first 584 are the 1.0 body.
    pub(crate) fn to_bytes(&self, report_data: &[u8; 64]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TD15_LENGTH);
        bytes.extend_from_slice(&self.tee_tcb_svn);
        bytes.extend_from_slice(&self.mr_seam);
        bytes.extend_from_slice(&self.mr_signer_seam);
        bytes.extend_from_slice(&self.seam_attributes.to_le_bytes());
        bytes.extend_from_slice(&self.td_attributes.to_le_bytes());
        bytes.extend_from_slice(&self.xfam.to_le_bytes());
        bytes.extend_from_slice(&self.mr_td);
        bytes.extend_from_slice(&self.mr_config_id);
        bytes.extend_from_slice(&self.mr_owner);
        bytes.extend_from_slice(&self.mr_owner_config);
        bytes.extend_from_slice(&self.rtmrs.concat());
        bytes.extend_from_slice(report_data);
        bytes.extend_from_slice(&self.tee_tcb_svn2);
        bytes.extend_from_slice(&self.mr_service_td);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_genuine_bodies_have_them() {
        let body = TdBody { mr_td: [1; 48], mr_service_td: [9; 48], ..TdBody::healthy() };
        let bytes = body.to_bytes(&[7; 64]);
        assert_eq!(bytes.len(), TD15_LENGTH);
        assert_eq!(bytes[MR_TD..MR_TD + 48], [1; 48]);
        assert_eq!(bytes[REPORT_DATA..REPORT_DATA + 64], [7; 64]);
        assert_eq!(REPORT_DATA + 64, TD10_LENGTH);
        assert_eq!(bytes[0x258..], [9; 48]);
    }
}
