//! The TD report as a quote carries it (Intel TDX DCAP Quoting Library API, "TD Quote Body
//! Descriptor"; Intel TDX module ABI, TDREPORT_STRUCT).

use crate::cursor::{Cursor, EndsEarly};

/// Size of a TD 1.0 body.
pub(super) const TD10_LEN: usize = 584;
/// Size of a TD 1.5 body.
pub(super) const TD15_LEN: usize = 648;
/// Size of an extended TD 1.5 body.
pub(super) const TD15_EXTENDED_LEN: usize = 885;

/// Every field of a TD's report, as a stranger wrote it until the quote is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TdBody {
    /// Security versions of the TDX module and the SEAM loader that launched the TD.
    pub tee_tcb_svn: [u8; 16],
    /// Measurement of the TDX module.
    pub mr_seam: [u8; 48],
    /// Signer of the TDX module; zero for Intel's.
    pub mr_signer_seam: [u8; 48],
    /// Attributes of the TDX module.
    pub seam_attributes: [u8; 8],
    /// TDATTRIBUTES, little-endian.
    pub td_attributes: u64,
    /// Extended features that the TD may use, little-endian.
    pub xfam: u64,
    /// Initial contents of the TD.
    pub mr_td: [u8; 48],
    /// Configuration that the host gave at launch.
    pub mr_config_id: [u8; 48],
    /// Owner, given by the host at launch.
    pub mr_owner: [u8; 48],
    /// Owner's configuration, given by the host at launch.
    pub mr_owner_config: [u8; 48],
    /// Run-time measurement registers 0 to 3.
    pub rtmr: [[u8; 48]; 4],
    /// The 64 bytes that the TD had signed.
    pub report_data: [u8; 64],
    /// TD 1.5: security versions of the TDX module that runs now.
    pub tee_tcb_svn2: Option<[u8; 16]>,
    /// TD 1.5: hash over the service TDs that are bound to this one; zero when there are none.
    pub mr_service_td: Option<[u8; 48]>,
}

impl TdBody {
    /// Reads a body of one of the three sizes.
    pub(super) fn read(bytes: &[u8]) -> Result<TdBody, EndsEarly> {
        let mut cursor = Cursor::new(bytes);
        let mut body = TdBody {
            tee_tcb_svn: cursor.array()?,
            mr_seam: cursor.array()?,
            mr_signer_seam: cursor.array()?,
            seam_attributes: cursor.array()?,
            td_attributes: cursor.u64_le()?,
            xfam: cursor.u64_le()?,
            mr_td: cursor.array()?,
            mr_config_id: cursor.array()?,
            mr_owner: cursor.array()?,
            mr_owner_config: cursor.array()?,
            rtmr: [cursor.array()?, cursor.array()?, cursor.array()?, cursor.array()?],
            report_data: cursor.array()?,
            tee_tcb_svn2: None,
            mr_service_td: None,
        };
        if bytes.len() >= TD15_LEN {
            body.tee_tcb_svn2 = Some(cursor.array()?);
            body.mr_service_td = Some(cursor.array()?);
        }
        Ok(body)
    }
}
