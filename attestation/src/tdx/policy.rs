//! Requirements on a TD's quote.

use serde::{Deserialize, Serialize};

use crate::hex_bytes::HexBytes;
use crate::tdx::status::TcbStatus;
use crate::unix_time::UnixTime;

/// Requirements on an Intel TDX quote. A list that is absent is not compared, and the verdict says
/// so; an empty list allows nothing. MRTD is pinned by the policy's `measurements`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TdxPolicy {
    /// Refuse without TCB info, QE identity and both revocation lists.
    pub require_collateral: bool,
    /// Allowed statuses of the platform's firmware.
    pub tcb_statuses: Vec<TcbStatus>,
    /// Least evaluation number of the collateral: an older one, though in its dates, knows less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_evaluation_number: Option<u32>,
    /// Least date of the platform's TCB level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_tcb_date: Option<UnixTime>,
    /// Least TEE_TCB_SVN, component by component, at launch and now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_tee_tcb_svn: Option<HexBytes<16>>,
    /// Allowed kinds of platform (FMSPC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fmspcs: Option<Vec<HexBytes<6>>>,
    /// Allowed measurements of the TDX module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mr_seam: Option<Vec<HexBytes<48>>>,
    /// Allowed RTMR 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmr0: Option<Vec<HexBytes<48>>>,
    /// Allowed RTMR 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmr1: Option<Vec<HexBytes<48>>>,
    /// Allowed RTMR 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmr2: Option<Vec<HexBytes<48>>>,
    /// Allowed RTMR 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmr3: Option<Vec<HexBytes<48>>>,
    /// Allowed MRCONFIGID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mr_config_id: Option<Vec<HexBytes<48>>>,
    /// Allowed MROWNER.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mr_owner: Option<Vec<HexBytes<48>>>,
    /// Allowed MROWNERCONFIG.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mr_owner_config: Option<Vec<HexBytes<48>>>,
    /// Allowed MRSERVICETD. Absent or empty: a TD that a service TD is bound to is refused. A
    /// migration TD can give the TD's memory to whatever it likes, so each must have been attested
    /// by whoever writes the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tds: Option<Vec<HexBytes<48>>>,
    /// Accept a TD that its host may debug.
    pub allow_debug: bool,
    /// Require SEPT_VE_DISABLE: without it the host can interrupt the TD with a #VE of its own.
    pub require_sept_ve_disable: bool,
    /// Accept bytes after the quote that are no padding. They are never part of anything.
    pub allow_trailing_bytes: bool,
}

impl TdxPolicy {
    /// The TDX part of [`crate::Policy::strict`].
    pub fn strict() -> TdxPolicy {
        TdxPolicy {
            require_collateral: true,
            tcb_statuses: vec![TcbStatus::UpToDate],
            minimum_evaluation_number: None,
            minimum_tcb_date: None,
            minimum_tee_tcb_svn: None,
            fmspcs: None,
            mr_seam: None,
            rtmr0: None,
            rtmr1: None,
            rtmr2: None,
            rtmr3: None,
            mr_config_id: None,
            mr_owner: None,
            mr_owner_config: None,
            service_tds: None,
            allow_debug: false,
            require_sept_ve_disable: true,
            allow_trailing_bytes: false,
        }
    }

    /// The TDX part of [`crate::Policy::authentic`]: whatever Intel does not refuse.
    pub fn authentic() -> TdxPolicy {
        TdxPolicy {
            require_collateral: false,
            tcb_statuses: TcbStatus::NOT_REFUSED_BY_INTEL.to_vec(),
            require_sept_ve_disable: false,
            allow_trailing_bytes: true,
            ..TdxPolicy::strict()
        }
    }
}

impl Default for TdxPolicy {
    fn default() -> Self {
        TdxPolicy::strict()
    }
}
