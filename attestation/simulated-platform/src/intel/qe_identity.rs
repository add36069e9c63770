//! The identity of the TD quoting enclave, version 2: what its report must say.

use serde::Serialize;

use super::{
    json::{Isvsvn, Level, capitals, date},
    qe_report::{ISVPRODID, ISVSVN, signer},
    tcb_info::EVALUATION_NUMBER,
};
use crate::{certificate::Validity, error::SimulationError};

/// The inner object. A fault changes one field before it is signed.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QeIdentity {
    pub(crate) id: &'static str,
    pub(crate) version: u32,
    pub(crate) issue_date: String,
    pub(crate) next_update: String,
    pub(crate) tcb_evaluation_data_number: u32,
    pub(crate) miscselect: &'static str,
    pub(crate) miscselect_mask: &'static str,
    pub(crate) attributes: &'static str,
    pub(crate) attributes_mask: &'static str,
    pub(crate) mrsigner: String,
    pub(crate) isvprodid: u16,
    pub(crate) tcb_levels: Vec<Level<Isvsvn>>,
}

impl QeIdentity {
    /// The identity that a current quoting enclave has.
    pub(crate) fn current(validity: Validity) -> Result<Self, SimulationError> {
        Ok(Self {
            id: "TD_QE",
            version: 2,
            issue_date: date(validity.not_before)?,
            next_update: date(validity.not_after)?,
            tcb_evaluation_data_number: EVALUATION_NUMBER,
            miscselect: "00000000",
            miscselect_mask: "FFFFFFFF",
            attributes: "11000000000000000000000000000000",
            attributes_mask: "FBFFFFFFFFFFFFFF0000000000000000",
            mrsigner: capitals(&signer()),
            isvprodid: ISVPRODID,
            tcb_levels: vec![
                Level::up_to_date(Isvsvn { isvsvn: ISVSVN - 2 }),
                Level::out_of_date(Isvsvn { isvsvn: ISVSVN - 4 }),
            ],
        })
    }
}
