//! The platform's firmware against Intel's levels (Intel SGX and TDX DCAP Quote Verification Library,
//! "TCB level comparison").

use crate::tdx::body::TdBody;
use crate::tdx::pck::PckExtension;
use crate::tdx::qe_identity::equal_under;
use crate::tdx::status::TcbStatus;
use crate::tdx::tcb_info::{Components, IsvLevel, Svn, TcbInfo, TdxModule};
use crate::unix_time::UnixTime;

/// What a level, or several that came together, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) status: TcbStatus,
    /// The oldest date of those that came together; `None` when no level matched.
    pub(crate) date: Option<UnixTime>,
    pub(crate) advisories: Vec<String>,
}

impl Level {
    fn of(status: TcbStatus, date: UnixTime, advisories: &[String]) -> Level {
        Level { status, date: Some(date), advisories: advisories.to_vec() }
    }

    /// The platform is lower than every level that is published.
    pub(crate) fn not_supported() -> Level {
        Level { status: TcbStatus::NotSupported, date: None, advisories: Vec::new() }
    }

    /// Comes together with a part of the platform.
    #[must_use]
    pub(crate) fn with_part(self, part: &Level) -> Level {
        let status = self.status.with_part(part.status);
        self.together(part, status)
    }

    /// A launch level comes together with the current one.
    #[must_use]
    fn relaunch(self, current: &Level) -> Level {
        let status = self.status.relaunch(current.status);
        self.together(current, status)
    }

    fn together(mut self, other: &Level, status: TcbStatus) -> Level {
        for advisory in &other.advisories {
            if !self.advisories.contains(advisory) {
                self.advisories.push(advisory.clone());
            }
        }
        Level { status, date: self.date.min(other.date), advisories: self.advisories }
    }
}

/// The first level (they are ordered, highest first) whose version the part has.
pub(crate) fn isv_level(levels: &[IsvLevel], isvsvn: u16) -> Level {
    let found = levels.iter().find(|level| isvsvn >= level.tcb.isvsvn);
    found.map_or_else(Level::not_supported, |level| Level::of(level.tcb_status, level.tcb_date, &level.advisory_ids))
}

/// The level of the platform and its TDX module. A TD 1.5 has two: what launched it, and what runs
/// now; both must be there.
pub(crate) fn platform_level(info: &TcbInfo, pck: &PckExtension, body: &TdBody) -> Level {
    let launch = level_of(info, pck, &body.tee_tcb_svn);
    match &body.tee_tcb_svn2 {
        Some(current) => launch.relaunch(&level_of(info, pck, current)),
        None => launch,
    }
}

fn level_of(info: &TcbInfo, pck: &PckExtension, tee_tcb_svn: &[u8; 16]) -> Level {
    let matches = |level: &Components| meets(level, pck, tee_tcb_svn);
    let found = info.fields.tcb_levels.iter().find(|level| matches(&level.tcb));
    let platform = found
        .map_or_else(Level::not_supported, |level| Level::of(level.tcb_status, level.tcb_date, &level.advisory_ids));
    match module_level(info, tee_tcb_svn) {
        Some(module) => platform.with_part(&module),
        None => platform,
    }
}

/// Whether the platform has at least every version of the level. The first two TDX components are
/// the module's own where it has an identity of its own.
fn meets(level: &Components, pck: &PckExtension, tee_tcb_svn: &[u8; 16]) -> bool {
    let [_, module_version, ..] = *tee_tcb_svn;
    let skip = if module_version > 0 { 2 } else { 0 };
    let at_least = |wanted: &[Svn], found: &[u8; 16], skip: usize| {
        wanted.len() == found.len() && wanted.iter().zip(found).skip(skip).all(|(wanted, found)| *found >= wanted.svn)
    };
    at_least(&level.sgx, &pck.components, 0) && pck.pce_svn >= level.pce && at_least(&level.tdx, tee_tcb_svn, skip)
}

/// The level of a TDX module that has an identity of its own; `None` for version 0, which the
/// platform's levels cover.
fn module_level(info: &TcbInfo, tee_tcb_svn: &[u8; 16]) -> Option<Level> {
    let [svn, version, ..] = *tee_tcb_svn;
    if version == 0 {
        return None;
    }
    let id = module_id(version);
    let identity = info.fields.tdx_module_identities.iter().find(|identity| identity.id.eq_ignore_ascii_case(&id));
    Some(identity.map_or_else(Level::not_supported, |identity| isv_level(&identity.tcb_levels, u16::from(svn))))
}

fn module_id(version: u8) -> String {
    format!("TDX_{version:02X}")
}

/// What of the TDX module that launched the TD is not as TCB info says, if anything; names the
/// module either way.
pub(crate) fn module_objection(info: &TcbInfo, body: &TdBody) -> Result<String, String> {
    let [_, version, ..] = body.tee_tcb_svn;
    let (name, module): (String, Option<&TdxModule>) = match version {
        0 => ("TDX module".to_owned(), info.fields.tdx_module.as_ref()),
        version => {
            let id = module_id(version);
            let identities = &info.fields.tdx_module_identities;
            let found = identities.iter().find(|identity| identity.id.eq_ignore_ascii_case(&id));
            (id, found.map(|identity| &identity.module))
        }
    };
    let Some(module) = module else {
        return Err(format!("{name}, which TCB info does not know"));
    };
    if module.mrsigner.0 != body.mr_signer_seam {
        return Err(format!("{name} of another signer"));
    }
    // Intel's library wants the attributes to equal the identity's under its mask.
    if !equal_under(&module.attributes_mask.0, &module.attributes.0, &body.seam_attributes) {
        return Err(format!("{name} with other attributes"));
    }
    Ok(name)
}
