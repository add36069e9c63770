//! TCB info for TDX, version 3: which firmware versions of a platform family are good.

use serde::Serialize;

use super::{
    json::{Isvsvn, Level, capitals, date},
    platform::{PCESVN, SGX_COMPONENTS},
};
use crate::{certificate::Validity, error::SimulationError};

/// The number of the published set of TCB levels.
pub(crate) const EVALUATION_NUMBER: u32 = 20;

/// The inner object. A fault changes one field before it is signed.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TcbInfo {
    pub(crate) id: &'static str,
    pub(crate) version: u32,
    pub(crate) issue_date: String,
    pub(crate) next_update: String,
    pub(crate) fmspc: String,
    pub(crate) pce_id: String,
    pub(crate) tcb_type: u32,
    pub(crate) tcb_evaluation_data_number: u32,
    pub(crate) tdx_module: TdxModule,
    pub(crate) tdx_module_identities: Vec<TdxModuleIdentity>,
    pub(crate) tcb_levels: Vec<Level<Components>>,
}

/// The first TDX module, which its version number does not name.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TdxModule {
    pub(crate) mrsigner: String,
    pub(crate) attributes: String,
    pub(crate) attributes_mask: String,
}

/// A later TDX module, by its major version.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TdxModuleIdentity {
    pub(crate) id: &'static str,
    #[serde(flatten)]
    pub(crate) module: TdxModule,
    pub(crate) tcb_levels: Vec<Level<Isvsvn>>,
}

/// The least versions of a level.
#[derive(Clone, Serialize)]
pub(crate) struct Components {
    pub(crate) sgxtcbcomponents: Vec<Component>,
    pub(crate) pcesvn: u16,
    pub(crate) tdxtcbcomponents: Vec<Component>,
}

/// One of the sixteen.
#[derive(Clone, Serialize)]
pub(crate) struct Component {
    pub(crate) svn: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'static str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

impl TcbInfo {
    /// Under it a current platform with module 1.5 of version 6 or later is up to date; so is
    /// one with the first module of version 5 or later.
    pub(crate) fn current(fmspc: [u8; 6], validity: Validity) -> Result<Self, SimulationError> {
        Ok(Self {
            id: "TDX",
            version: 3,
            issue_date: date(validity.not_before)?,
            next_update: date(validity.not_after)?,
            // In capitals here; the service answers in either case.
            fmspc: capitals(&fmspc),
            pce_id: "0000".to_owned(),
            tcb_type: 0,
            tcb_evaluation_data_number: EVALUATION_NUMBER,
            tdx_module: TdxModule::intel(),
            tdx_module_identities: vec![
                TdxModuleIdentity::with_levels("TDX_03", vec![Level::up_to_date(Isvsvn { isvsvn: 3 })]),
                TdxModuleIdentity::with_levels(
                    "TDX_01",
                    vec![Level::up_to_date(Isvsvn { isvsvn: 6 }), Level::out_of_date(Isvsvn { isvsvn: 4 })],
                ),
            ],
            tcb_levels: vec![
                Level::up_to_date(Components::new(SGX_COMPONENTS, PCESVN, [5, 0, 3])),
                Level::out_of_date(Components::new(older(SGX_COMPONENTS), PCESVN, [5, 0, 2])),
                Level::out_of_date(Components::new(older(SGX_COMPONENTS), 5, [5, 0, 2])),
            ],
        })
    }
}

impl TdxModule {
    fn intel() -> Self {
        Self { mrsigner: capitals(&[0; 48]), attributes: capitals(&[0; 8]), attributes_mask: capitals(&[0xff; 8]) }
    }
}

impl TdxModuleIdentity {
    fn with_levels(id: &'static str, tcb_levels: Vec<Level<Isvsvn>>) -> Self {
        Self { id, module: TdxModule::intel(), tcb_levels }
    }
}

impl Components {
    fn new(sgx: [u8; 16], pcesvn: u16, [minor, major, microcode]: [u8; 3]) -> Self {
        let mut tdx = [0; 16];
        tdx[..3].copy_from_slice(&[minor, major, microcode]);
        Self { sgxtcbcomponents: describe(sgx, SGX_KINDS), pcesvn, tdxtcbcomponents: describe(tdx, TDX_KINDS) }
    }
}

type Kind = (Option<&'static str>, Option<&'static str>);

/// What each component is, as Intel annotates them.
const SGX_KINDS: &[Kind] = &[
    (Some("BIOS"), Some("Early Microcode Update")),
    (Some("OS/VMM"), Some("SGX Late Microcode Update")),
    (Some("OS/VMM"), Some("TXT SINIT")),
    (Some("BIOS"), None),
    (Some("BIOS"), None),
    (Some("BIOS"), None),
    (None, None),
    (Some("OS/VMM"), Some("SEAMLDR ACM")),
];
const TDX_KINDS: &[Kind] = &[
    (Some("OS/VMM"), Some("TDX Module")),
    (Some("OS/VMM"), Some("TDX Module")),
    (Some("OS/VMM"), Some("TDX Late Microcode Update")),
];

fn describe(svns: [u8; 16], kinds: &[Kind]) -> Vec<Component> {
    let kinds = kinds.iter().copied().chain(std::iter::repeat((None, None)));
    svns.into_iter().zip(kinds).map(|(svn, (category, kind))| Component { svn, category, kind }).collect()
}

/// One microcode version older.
fn older(mut components: [u8; 16]) -> [u8; 16] {
    for component in &mut components[..2] {
        *component = component.saturating_sub(1);
    }
    components
}
