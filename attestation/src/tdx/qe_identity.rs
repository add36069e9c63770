//! QE identity: which quoting enclave is Intel's, and at which version (Intel PCS API version 4,
//! "Enclave Identity V2").

use serde::Deserialize;

use crate::error::Refusal;
use crate::hex_bytes::HexBytes;
use crate::tdx::qe::QeReport;
use crate::tdx::signed_json::{SignedBytes, malformed};
use crate::tdx::tcb_info::IsvLevel;
use crate::unix_time::UnixTime;

const MAX_LEVELS: usize = 256;

/// An enclave's identity, read and not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QeIdentity {
    pub(crate) fields: Fields,
    pub(crate) signed: SignedBytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fields {
    /// "TD_QE" for the one that signs TDX quotes.
    pub(crate) id: String,
    pub(crate) version: u32,
    pub(crate) issue_date: UnixTime,
    pub(crate) next_update: UnixTime,
    pub(crate) tcb_evaluation_data_number: u32,
    miscselect: HexBytes<4>,
    miscselect_mask: HexBytes<4>,
    attributes: HexBytes<16>,
    attributes_mask: HexBytes<16>,
    mrsigner: HexBytes<32>,
    isvprodid: u16,
    pub(crate) tcb_levels: Vec<IsvLevel>,
}

impl QeIdentity {
    pub(super) fn read(inner: &str, signed: SignedBytes) -> Result<QeIdentity, Refusal> {
        let mut fields: Fields =
            serde_json::from_str(inner).map_err(|error| malformed(format!("QE identity cannot be read: {error}")))?;
        if fields.tcb_levels.len() > MAX_LEVELS {
            return Err(malformed(format!("QE identity with more than {MAX_LEVELS} levels")));
        }
        fields.tcb_levels.sort_by_key(|level| std::cmp::Reverse(level.tcb.isvsvn));
        Ok(QeIdentity { fields, signed })
    }

    /// Whether it is of the enclave that signs TDX quotes.
    pub(crate) fn is_td_qe(&self) -> bool {
        self.fields.version == 2 && self.fields.id == "TD_QE"
    }

    /// What of the quoting enclave's report is not as this identity says, if anything.
    pub(crate) fn objection(&self, report: &QeReport) -> Option<&'static str> {
        let Fields { miscselect, miscselect_mask, attributes, attributes_mask, .. } = &self.fields;
        if report.mrsigner() != self.fields.mrsigner.0 {
            return Some("another signer (MRSIGNER)");
        }
        if report.isvprodid() != self.fields.isvprodid {
            return Some("another product (ISVPRODID)");
        }
        if !equal_under(&miscselect_mask.0, &miscselect.0, &report.miscselect()) {
            return Some("another MISCSELECT");
        }
        if !equal_under(&attributes_mask.0, &attributes.0, &report.attributes()) {
            return Some("other attributes");
        }
        report.is_debug().then_some("an enclave that may be debugged")
    }

    /// A name for people.
    pub(crate) fn shown(&self) -> String {
        let Fields { id, tcb_evaluation_data_number, issue_date, next_update, .. } = &self.fields;
        format!("identity of {id}, evaluation {tcb_evaluation_data_number}, {issue_date} to {next_update}")
    }
}

/// Whether two values are equal in the bits that the mask names.
pub(super) fn equal_under<const N: usize>(mask: &[u8; N], wanted: &[u8; N], found: &[u8; N]) -> bool {
    mask.iter().zip(wanted).zip(found).all(|((mask, wanted), found)| wanted & mask == found & mask)
}
