//! The fields of an authentic quote, typed.

use serde::{Serialize, Serializer};

use crate::hex_bytes::HexBytes;
use crate::tdx::body::TdBody;
use crate::tdx::pck::{PckCa, PckExtension};
use crate::tdx::quote::TdxQuote;
use crate::tdx::status::TcbStatus;
use crate::unix_time::UnixTime;

/// Every field of a TD's quote whose signatures led to a root. Made only by verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TdxClaims {
    /// Version of the quote, 4 or 5.
    pub version: u16,
    /// The platform, as its PCK certificate names it.
    pub pck: Pck,
    /// What Intel says of the platform's firmware; `None` when no collateral was supplied.
    pub tcb: Option<TdxTcb>,
    /// Security versions of the TDX module and the SEAM loader that launched the TD.
    pub tee_tcb_svn: HexBytes<16>,
    /// The same of those that run now; TD 1.5.
    pub tee_tcb_svn2: Option<HexBytes<16>>,
    /// Measurement of the TDX module.
    pub mr_seam: HexBytes<48>,
    /// Signer of the TDX module; zero for Intel's.
    pub mr_signer_seam: HexBytes<48>,
    /// Attributes of the TDX module.
    pub seam_attributes: HexBytes<8>,
    /// Attributes of the TD.
    pub td_attributes: TdAttributes,
    /// Extended features that the TD may use.
    #[serde(serialize_with = "hexadecimal")]
    pub xfam: u64,
    /// Initial contents of the TD.
    pub mr_td: HexBytes<48>,
    /// Configuration that the host gave at launch.
    pub mr_config_id: HexBytes<48>,
    /// Owner, given by the host at launch.
    pub mr_owner: HexBytes<48>,
    /// Owner's configuration, given by the host at launch.
    pub mr_owner_config: HexBytes<48>,
    /// Run-time measurement registers 0 to 3.
    pub rtmr: [HexBytes<48>; 4],
    /// The 64 bytes that the TD had signed.
    pub report_data: HexBytes<64>,
    /// Hash over the bound service TDs, zero without any; TD 1.5.
    pub mr_service_td: Option<HexBytes<48>>,
    /// Bytes after the quote that are not part of it.
    pub trailing_bytes: usize,
    /// Whether any of those is set; real ones are padding.
    #[serde(skip)]
    pub(crate) trailing_is_set: bool,
}

/// A platform as Intel certified it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pck {
    /// Which machine this is.
    pub ppid: HexBytes<16>,
    /// Family, model, stepping, platform type and SKU: what TCB info is published for.
    pub fmspc: HexBytes<6>,
    /// Which provisioning certification enclave.
    pub pce_id: HexBytes<2>,
    /// Version of that enclave.
    pub pce_svn: u16,
    /// The 16 SVNs of the platform's components.
    pub components: HexBytes<16>,
    /// This installation of a multi-package platform.
    pub platform_instance_id: Option<HexBytes<16>>,
    /// Whether multithreading was on when it was certified.
    pub smt_enabled: Option<bool>,
    /// The authority that signed the certificate.
    pub ca: PckCa,
}

/// Intel's verdict on the platform's firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TdxTcb {
    /// Platform, TDX module and quoting enclave together.
    pub status: TcbStatus,
    /// The oldest date of their levels.
    pub date: Option<UnixTime>,
    /// Intel's advisories for them.
    pub advisories: Vec<String>,
    /// The least evaluation number of the collateral used.
    pub evaluation_data_number: u32,
    /// Whether both TCB info and QE identity were at hand; else the status is of one alone.
    pub complete: bool,
}

/// TDATTRIBUTES (Intel TDX module ABI).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TdAttributes(pub u64);

impl TdAttributes {
    /// The TD may be debugged by its host (bit 0).
    pub fn debug(self) -> bool {
        self.bit(0)
    }

    /// A service TD may rebind itself (bit 17, SERVTD_EXT).
    pub fn service_td_extended(self) -> bool {
        self.bit(17)
    }

    /// The TD does not get a #VE for pages it has not accepted (bit 28, SEPT_VE_DISABLE): with it
    /// off, the host can inject one wherever it likes.
    pub fn sept_ve_disabled(self) -> bool {
        self.bit(28)
    }

    /// A migration TD may move it (bit 29).
    pub fn migratable(self) -> bool {
        self.bit(29)
    }

    fn bit(self, index: u32) -> bool {
        (self.0 >> index) & 1 != 0
    }
}

impl Serialize for TdAttributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hexadecimal(&self.0, serializer)
    }
}

impl TdxClaims {
    pub(crate) fn new(quote: &TdxQuote, pck: &PckExtension, ca: PckCa, tcb: Option<TdxTcb>) -> TdxClaims {
        let TdBody { td_attributes, xfam, .. } = *quote.body();
        let body = quote.body();
        let (trailing_bytes, trailing_is_set) = quote.trailing();
        TdxClaims {
            version: quote.version(),
            pck: Pck {
                ppid: HexBytes(pck.ppid),
                fmspc: HexBytes(pck.fmspc),
                pce_id: HexBytes(pck.pce_id),
                pce_svn: pck.pce_svn,
                components: HexBytes(pck.components),
                platform_instance_id: pck.platform_instance_id.map(HexBytes),
                smt_enabled: pck.smt_enabled,
                ca,
            },
            tcb,
            tee_tcb_svn: HexBytes(body.tee_tcb_svn),
            tee_tcb_svn2: body.tee_tcb_svn2.map(HexBytes),
            mr_seam: HexBytes(body.mr_seam),
            mr_signer_seam: HexBytes(body.mr_signer_seam),
            seam_attributes: HexBytes(body.seam_attributes),
            td_attributes: TdAttributes(td_attributes),
            xfam,
            mr_td: HexBytes(body.mr_td),
            mr_config_id: HexBytes(body.mr_config_id),
            mr_owner: HexBytes(body.mr_owner),
            mr_owner_config: HexBytes(body.mr_owner_config),
            rtmr: body.rtmr.map(HexBytes),
            report_data: HexBytes(body.report_data),
            mr_service_td: body.mr_service_td.map(HexBytes),
            trailing_bytes,
            trailing_is_set,
        }
    }

    /// The platform's identity, PPID; `None` when it is all zero.
    pub fn platform_identity(&self) -> Option<&[u8; 16]> {
        let ppid = &self.pck.ppid.0;
        ppid.iter().any(|byte| *byte != 0).then_some(ppid)
    }

    /// What was measured at launch and boot: MRTD, then RTMR 0 to 2.
    pub(crate) fn launch_measurement(&self) -> Vec<u8> {
        let [first, second, third, _] = &self.rtmr;
        [&self.mr_td, first, second, third].into_iter().flat_map(HexBytes::as_slice).copied().collect()
    }
}

fn hexadecimal<S: Serializer>(word: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{word:#018x}"))
}
