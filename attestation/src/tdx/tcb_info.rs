//! TCB info: what Intel says of each firmware level of one kind of platform (Intel PCS API version 4,
//! "TCB Info V3").

use serde::Deserialize;

use crate::error::Refusal;
use crate::hex_bytes::HexBytes;
use crate::tdx::signed_json::{SignedBytes, malformed};
use crate::tdx::status::TcbStatus;
use crate::unix_time::UnixTime;

/// Levels, identities and advisories that one list may have; genuine ones have about ten.
const MAX_ITEMS: usize = 256;

/// TCB info, read and not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TcbInfo {
    pub(crate) fields: Fields,
    pub(crate) signed: SignedBytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fields {
    /// "TDX" or "SGX"; absent in version 2, which is SGX's.
    pub(crate) id: Option<String>,
    pub(crate) version: u32,
    pub(crate) issue_date: UnixTime,
    pub(crate) next_update: UnixTime,
    pub(crate) fmspc: HexBytes<6>,
    pub(crate) pce_id: HexBytes<2>,
    pub(crate) tcb_evaluation_data_number: u32,
    pub(crate) tdx_module: Option<TdxModule>,
    #[serde(default)]
    pub(crate) tdx_module_identities: Vec<TdxModuleIdentity>,
    pub(crate) tcb_levels: Vec<TcbLevel>,
}

/// The TDX module of a platform whose module has version 0.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TdxModule {
    pub(crate) mrsigner: HexBytes<48>,
    pub(crate) attributes: HexBytes<8>,
    pub(crate) attributes_mask: HexBytes<8>,
}

/// A TDX module of a later version, named `TDX_` and the version in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TdxModuleIdentity {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) module: TdxModule,
    pub(crate) tcb_levels: Vec<IsvLevel>,
}

/// A level of something that has one security version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IsvLevel {
    pub(crate) tcb: Isv,
    pub(crate) tcb_date: UnixTime,
    pub(crate) tcb_status: TcbStatus,
    #[serde(default, rename = "advisoryIDs")]
    pub(crate) advisory_ids: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Isv {
    pub(crate) isvsvn: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TcbLevel {
    pub(crate) tcb: Components,
    pub(crate) tcb_date: UnixTime,
    pub(crate) tcb_status: TcbStatus,
    #[serde(default, rename = "advisoryIDs")]
    pub(crate) advisory_ids: Vec<String>,
}

/// The least security versions of a level. The order of the fields is the order in which levels
/// are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Components {
    #[serde(rename = "sgxtcbcomponents", default)]
    pub(crate) sgx: Vec<Svn>,
    #[serde(rename = "pcesvn")]
    pub(crate) pce: u16,
    #[serde(rename = "tdxtcbcomponents", default)]
    pub(crate) tdx: Vec<Svn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Svn {
    pub(crate) svn: u8,
}

impl TcbInfo {
    /// Reads the inner object. Levels are put in order, the highest first: nothing depends on how
    /// they were written.
    pub(super) fn read(inner: &str, signed: SignedBytes) -> Result<TcbInfo, Refusal> {
        let mut fields: Fields =
            serde_json::from_str(inner).map_err(|error| malformed(format!("TCB info cannot be read: {error}")))?;
        let lists = [fields.tcb_levels.len(), fields.tdx_module_identities.len()];
        if lists.iter().any(|length| *length > MAX_ITEMS) {
            return Err(malformed(format!("TCB info with more than {MAX_ITEMS} levels")));
        }
        fields.tcb_levels.sort_by(|a, b| b.tcb.cmp(&a.tcb));
        for identity in &mut fields.tdx_module_identities {
            identity.tcb_levels.sort_by_key(|level| std::cmp::Reverse(level.tcb.isvsvn));
        }
        Ok(TcbInfo { fields, signed })
    }

    /// Whether it is for TDX: version 3 says so itself.
    pub(crate) fn is_tdx(&self) -> bool {
        self.fields.version == 3 && self.fields.id.as_deref() == Some("TDX")
    }

    /// A name for people.
    pub(crate) fn shown(&self) -> String {
        let fields = &self.fields;
        let kind: String =
            fields.id.as_deref().unwrap_or("SGX").chars().filter(char::is_ascii_graphic).take(8).collect();
        let version = if fields.version == 3 { String::new() } else { format!(" version {}", fields.version) };
        format!(
            "{kind} TCB info{version} of FMSPC {}, evaluation {}, {} to {}",
            fields.fmspc, fields.tcb_evaluation_data_number, fields.issue_date, fields.next_update
        )
    }
}
