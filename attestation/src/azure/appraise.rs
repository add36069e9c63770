//! Authentic claims against a policy: the hardware's by the rules of its kind, then the paravisor's.

use serde_json::Value;

use crate::azure::claims::{AzureClaims, HardwareClaims};
use crate::error::{Check, Code};
use crate::hex_bytes::HexBytes;
use crate::pinned::pinned;
use crate::policy::Policy;
use crate::{snp, tdx};

/// Answers each requirement of `policy`.
pub(crate) fn appraise(claims: &AzureClaims, policy: &Policy) -> Vec<Check> {
    let mut checks = match &claims.hardware {
        HardwareClaims::Snp(claims) => {
            let mut checks = vec![paravisor_level(claims.vmpl)];
            checks.extend(snp::appraise(claims, policy));
            checks
        }
        HardwareClaims::Tdx(claims) => tdx::appraise(claims, policy),
    };
    checks.push(secure_boot(claims, policy));
    for (index, allowed) in &policy.azure.pcrs {
        checks.push(register(claims, *index, allowed));
    }
    checks
}

/// Only the paravisor is at level 0; a report of another level was asked for by the guest.
fn paravisor_level(vmpl: u32) -> Check {
    Check::when(vmpl == 0, Code::Vmpl, "privilege level of the paravisor", "0", vmpl.to_string())
}

fn secure_boot(claims: &AzureClaims, policy: &Policy) -> Check {
    let title = "secure boot";
    let is_on = claims.vm_configuration.get("secure-boot").and_then(Value::as_bool);
    let found = match is_on {
        Some(true) => "on",
        Some(false) => "off",
        None => "not told",
    };
    if policy.azure.require_secure_boot {
        return Check::when(is_on == Some(true), Code::PlatformNotAllowed, title, "on", found);
    }
    Check::skip(Code::PlatformNotAllowed, title, "nothing: the policy does not require it", found)
}

/// A pinned register must have been quoted.
fn register(claims: &AzureClaims, index: u8, allowed: &[HexBytes<32>]) -> Check {
    let title = format!("PCR {index}");
    let value = claims.tpm_quote.as_ref().and_then(|quote| quote.pcrs.get(usize::from(index)));
    match value {
        Some(value) => pinned(Code::Measurement, &title, &value.0, Some(allowed)),
        None => Check::fail(Code::Measurement, title, "a quoted value", "no vTPM quote"),
    }
}
