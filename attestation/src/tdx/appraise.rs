//! Authentic claims against a policy: every requirement is answered, whatever the others say.

use crate::error::{Check, Code};
use crate::hex_bytes::HexBytes;
use crate::pinned::pinned;
use crate::policy::Policy;
use crate::tdx::claims::TdxClaims;
use crate::tdx::policy::TdxPolicy;

/// Bits of TDATTRIBUTES that have a meaning and do not open the TD: 16 ICSSD, 17 to 22 service TDs
/// and what the module's ABI defines beside them, 27 LASS, 28 SEPT_VE_DISABLE, 29 MIGRATABLE, 30
/// PKS, 31 KL, 62 TPA, 63 PERFMON. Bit 0 is DEBUG; the other bits of the first byte open the TD as well.
const KNOWN_ATTRIBUTES: u64 = 0x0000_0001 | 0x007F_0000 | 0xF800_0000 | 0xC000_0000_0000_0000;
/// The x87 and SSE state, which every TD has.
const XFAM_REQUIRED: u64 = 0x3;
/// State components that the TDX module supports.
const XFAM_ALLOWED: u64 = 0x0006_DBE7;

/// Answers each requirement of `policy` in the order of the codes.
pub(crate) fn appraise(claims: &TdxClaims, policy: &Policy) -> Vec<Check> {
    let tdx = &policy.tdx;
    let mut checks = vec![
        trailing(claims, tdx),
        debugging(claims, tdx),
        migratable(claims),
        service_td(claims, tdx),
        tcb_status(claims, tdx),
        evaluation_number(claims, tdx),
        tcb_date(claims, tdx),
        tee_tcb_svn(claims, tdx),
        attributes(claims),
        sept_ve(claims, tdx),
        xfam(claims),
        fmspc(claims, tdx),
    ];
    checks.extend(identity(claims, policy));
    let host_data = host_data(policy);
    let [rtmr0, rtmr1, rtmr2, rtmr3] = &claims.rtmr;
    for (code, title, value, allowed) in [
        (Code::Measurement, "launch measurement (MRTD)", &claims.mr_td, &policy.measurements),
        (Code::Measurement, "RTMR 0", rtmr0, &tdx.rtmr0),
        (Code::Measurement, "RTMR 1", rtmr1, &tdx.rtmr1),
        (Code::Measurement, "RTMR 2", rtmr2, &tdx.rtmr2),
        (Code::Measurement, "RTMR 3", rtmr3, &tdx.rtmr3),
        (Code::Measurement, "TDX module's measurement (MRSEAM)", &claims.mr_seam, &tdx.mr_seam),
        (Code::HostData, "host data (MRCONFIGID)", &claims.mr_config_id, &host_data),
        (Code::HostData, "MRCONFIGID", &claims.mr_config_id, &tdx.mr_config_id),
        (Code::HostData, "MROWNER", &claims.mr_owner, &tdx.mr_owner),
        (Code::HostData, "MROWNERCONFIG", &claims.mr_owner_config, &tdx.mr_owner_config),
    ] {
        checks.push(pinned(code, title, &value.0, allowed.as_deref()));
    }
    checks
}

/// A policy's host data has 32 bytes; MRCONFIGID is that, and then zeros.
fn host_data(policy: &Policy) -> Option<Vec<HexBytes<48>>> {
    let widened = |short: &HexBytes<32>| {
        let mut long = [0; 48];
        let (front, _zeros) = long.split_at_mut(32);
        front.copy_from_slice(&short.0);
        HexBytes(long)
    };
    policy.host_data.as_ref().map(|list| list.iter().map(widened).collect())
}

fn trailing(claims: &TdxClaims, policy: &TdxPolicy) -> Check {
    let title = "bytes after the quote";
    let found = match (claims.trailing_bytes, claims.trailing_is_set) {
        (0, _) => "none".to_owned(),
        (count, false) => format!("{count} zeros"),
        (count, true) => format!("{count} bytes that are no padding; they are not part of anything"),
    };
    if claims.trailing_is_set && policy.allow_trailing_bytes {
        return Check::skip(Code::Parse, title, "nothing: the policy allows them", found);
    }
    Check::when(!claims.trailing_is_set, Code::Parse, title, "none, or zeros", found)
}

fn debugging(claims: &TdxClaims, policy: &TdxPolicy) -> Check {
    let is_on = claims.td_attributes.debug();
    let wanted = if policy.allow_debug { "off or on: the policy allows it" } else { "off" };
    Check::when(!is_on || policy.allow_debug, Code::Debug, "debugging", wanted, if is_on { "on" } else { "off" })
}

fn migratable(claims: &TdxClaims) -> Check {
    let is_on = claims.td_attributes.migratable();
    Check::when(!is_on, Code::Migratable, "migration", "off", if is_on { "on" } else { "off" })
}

/// A service TD that is bound must be one that the policy names; a TD to which others can be bound
/// later (SERVTD_EXT) is refused where the policy names none.
fn service_td(claims: &TdxClaims, policy: &TdxPolicy) -> Check {
    let title = "service TD";
    let named = policy.service_tds.as_deref().unwrap_or_default();
    let bound = claims.mr_service_td.filter(|hash| hash.0 != [0; 48]);
    let extended = claims.td_attributes.service_td_extended();
    let (holds, found) = match (bound, extended) {
        (Some(hash), _) => (named.contains(&hash), format!("bound: {hash}")),
        (None, true) => (false, "none yet; one may be bound later".to_owned()),
        (None, false) => (true, "none".to_owned()),
    };
    let wanted = match named.len() {
        0 => "none".to_owned(),
        count => format!("none, or one of the {count} that the policy names"),
    };
    Check::when(holds, Code::Migratable, title, wanted, found)
}

fn tcb_status(claims: &TdxClaims, policy: &TdxPolicy) -> Check {
    let title = "TCB status";
    let wanted = format!("one of {:?}", policy.tcb_statuses);
    let Some(tcb) = &claims.tcb else {
        // That collateral is there was the authentication's question.
        return Check::skip(Code::Tcb, title, "nothing: no collateral was supplied", "unknown");
    };
    let mut found = tcb.status.to_string();
    if let Some(date) = tcb.date {
        found = format!("{found} (level of {date})");
    }
    if !tcb.advisories.is_empty() {
        found = format!("{found}, {}", tcb.advisories.join(", "));
    }
    if !tcb.complete {
        found = format!("{found}; of a part of the collateral only");
    }
    Check::when(policy.tcb_statuses.contains(&tcb.status), Code::Tcb, title, wanted, found)
}

fn evaluation_number(claims: &TdxClaims, policy: &TdxPolicy) -> Check {
    let title = "TCB evaluation number";
    let number = claims.tcb.as_ref().map(|tcb| tcb.evaluation_data_number);
    let found = number.map_or_else(|| "none".to_owned(), |number| number.to_string());
    match policy.minimum_evaluation_number {
        None => Check::skip(Code::Tcb, title, "nothing: the policy has no minimum", found),
        Some(minimum) => {
            let holds = number.is_some_and(|number| number >= minimum);
            Check::when(holds, Code::Tcb, title, format!("at least {minimum}"), found)
        }
    }
}

fn tcb_date(claims: &TdxClaims, policy: &TdxPolicy) -> Check {
    let title = "TCB date";
    let date = claims.tcb.as_ref().and_then(|tcb| tcb.date);
    let found = date.map_or_else(|| "unknown".to_owned(), |date| date.to_string());
    match policy.minimum_tcb_date {
        None => Check::skip(Code::Tcb, title, "nothing: the policy has no minimum", found),
        Some(minimum) => {
            let holds = date.is_some_and(|date| date >= minimum);
            Check::when(holds, Code::Tcb, title, format!("{minimum} or later"), found)
        }
    }
}

fn tee_tcb_svn(claims: &TdxClaims, policy: &TdxPolicy) -> Check {
    let title = "TEE_TCB_SVN";
    let found = match &claims.tee_tcb_svn2 {
        Some(current) => format!("{} at launch, {current} now", claims.tee_tcb_svn),
        None => claims.tee_tcb_svn.to_string(),
    };
    let Some(minimum) = &policy.minimum_tee_tcb_svn else {
        return Check::skip(Code::Tcb, title, "nothing: the policy has no minimum", found);
    };
    let meets = |svn: &HexBytes<16>| svn.0.iter().zip(minimum.0).all(|(found, least)| *found >= least);
    let holds = meets(&claims.tee_tcb_svn) && claims.tee_tcb_svn2.as_ref().is_none_or(meets);
    Check::when(holds, Code::Tcb, title, format!("each at least {minimum}"), found)
}

fn attributes(claims: &TdxClaims) -> Check {
    let unknown = claims.td_attributes.0 & !KNOWN_ATTRIBUTES;
    let found = format!("{:#018x}", claims.td_attributes.0);
    let wanted = "no profiling bit, no bit without a meaning";
    Check::when(unknown == 0, Code::PlatformNotAllowed, "TD attributes", wanted, found)
}

fn sept_ve(claims: &TdxClaims, policy: &TdxPolicy) -> Check {
    let title = "SEPT_VE_DISABLE";
    let is_on = claims.td_attributes.sept_ve_disabled();
    let found = if is_on { "on" } else { "off" };
    if policy.require_sept_ve_disable {
        return Check::when(is_on, Code::PlatformNotAllowed, title, "on", found);
    }
    Check::skip(Code::PlatformNotAllowed, title, "nothing: the policy does not require it", found)
}

fn xfam(claims: &TdxClaims) -> Check {
    let holds = claims.xfam & XFAM_REQUIRED == XFAM_REQUIRED && claims.xfam & !XFAM_ALLOWED == 0;
    let wanted = format!("bits of {XFAM_REQUIRED:#x} set, none outside {XFAM_ALLOWED:#x}");
    Check::when(holds, Code::PlatformNotAllowed, "XFAM", wanted, format!("{:#x}", claims.xfam))
}

fn fmspc(claims: &TdxClaims, policy: &TdxPolicy) -> Check {
    let title = "kind of platform (FMSPC)";
    let found = claims.pck.fmspc;
    match &policy.fmspcs {
        None => Check::skip(Code::PlatformNotAllowed, title, "nothing: the policy names none", found.to_string()),
        Some(allowed) => {
            let wanted = format!("one of {} named kinds", allowed.len());
            Check::when(allowed.contains(&found), Code::PlatformNotAllowed, title, wanted, found.to_string())
        }
    }
}

/// Whether the platform shows which one it is, and whether it is one that the policy names.
fn identity(claims: &TdxClaims, policy: &Policy) -> [Check; 2] {
    let identity = claims.platform_identity();
    let (shown_title, shown) = ("platform identity", if identity.is_some() { "shown" } else { "zero" });
    let shown = if policy.require_platform_identity {
        Check::when(identity.is_some(), Code::PlatformNotAllowed, shown_title, "shown (PPID)", shown)
    } else {
        let wanted = "nothing: the policy does not require it";
        Check::skip(Code::PlatformNotAllowed, shown_title, wanted, shown)
    };
    let found = identity.map_or_else(|| "no identity".to_owned(), hex::encode);
    let named = match &policy.platform_identities {
        None => Check::skip(Code::PlatformNotAllowed, "platform", "nothing: the policy names no platforms", found),
        Some(allowed) => {
            let holds = identity.is_some_and(|id| allowed.iter().any(|named| named.0 == id));
            let wanted = format!("one of {} named platforms", allowed.len());
            Check::when(holds, Code::PlatformNotAllowed, "platform", wanted, found)
        }
    };
    [shown, named]
}
