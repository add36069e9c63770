//! From bytes to authentic claims: hardware, run-time data, attestation key, quote, registers, each
//! vouched for by the one before. (docs/specs/evidence.md, "Azure".)

use crate::azure::ak_certificate;
use crate::azure::claims::{AzureClaims, HardwareClaims, TpmQuoteClaims};
use crate::azure::evidence::AzureEvidence;
use crate::azure::hcl_report::{HardwareReport, TdReport};
use crate::azure::runtime_data::RuntimeData;
use crate::azure::tpm_quote::{ALL_PCRS, PcrValues, SHA256, TpmQuote};
use crate::class::Anchored;
use crate::crypto;
use crate::endorsements::Endorsements;
use crate::error::{Check, Code};
use crate::hex_bytes::HexBytes;
use crate::policy::Policy;
use crate::trail::Trail;
use crate::unix_time::UnixTime;
use crate::{snp, tdx};

/// What everything about one machine is checked against.
pub(crate) struct Given<'a> {
    pub(crate) evidence: &'a AzureEvidence,
    pub(crate) bag: &'a Endorsements,
    pub(crate) anchored: Anchored<'a>,
    pub(crate) policy: &'a Policy,
    pub(crate) now: UnixTime,
}

/// Claims that a root vouches for, and until when.
pub(crate) struct Authentic {
    pub(crate) claims: AzureClaims,
    pub(crate) valid_until: UnixTime,
}

/// Runs the steps in order and stops at the first that fails:
///
/// 1. the hardware's report is authentic, by the rules of its kind
/// 2. its report data are the digest of the run-time data, and zeros
/// 3. the attestation key there is certified, where a certificate is at hand
/// 4. that key signed the vTPM's quote
/// 5. the quote is over all 24 registers of the SHA-256 bank, with the values at hand
pub(crate) fn authenticate(trail: &mut Trail, given: &Given<'_>) -> Option<Authentic> {
    let hcl = &given.evidence.hcl;
    let found = format!("version {}", hcl.version());
    trail.step(Check::pass(Code::Parse, "HCL report structure", "a paravisor's report, version 1 or 2", found))?;
    let (hardware, report_data, mut valid_until) = hardware(trail, given)?;

    let wanted = hcl.hash().report_data(hcl.runtime_data());
    let title = "run-time data under the hardware's report";
    let holds = report_data == wanted;
    trail.step(Check::when(holds, Code::Signature, title, hex::encode(wanted), hex::encode(report_data)))?;
    let runtime = RuntimeData::read(hcl.runtime_data());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(refusal) => {
            trail.step(Check::fail(Code::Parse, "run-time data", "JSON with one attestation key", refusal.detail))?;
            return None;
        }
    };
    let certified = ak_certificate::check(trail, given, &runtime.attestation_key)?;
    valid_until = certified.map_or(valid_until, |until| until.min(valid_until));
    let tpm_quote = tpm_quote(trail, given, &runtime)?;
    let claims = AzureClaims {
        hcl_version: hcl.version(),
        attestation_key_sha256: HexBytes(crypto::sha256(&runtime.attestation_key)),
        attestation_key_certified: certified.is_some(),
        vm_configuration: runtime.configuration,
        user_data: runtime.user_data,
        tpm_quote,
        hardware,
    };
    Some(Authentic { claims, valid_until })
}

/// The hardware's claims, its report data, and until when they hold.
fn hardware(trail: &mut Trail, given: &Given<'_>) -> Option<(HardwareClaims, [u8; 64], UnixTime)> {
    let AzureEvidence { hcl, td_quote, .. } = given.evidence;
    match hcl.hardware() {
        HardwareReport::Snp(report) => {
            let snp = snp::Given {
                report,
                bag: given.bag,
                anchored: given.anchored,
                require_revocation: given.policy.require_revocation,
                now: given.now,
            };
            let authentic = snp::authenticate(trail, &snp)?;
            let report_data = authentic.claims.report_data;
            Some((HardwareClaims::Snp(Box::new(authentic.claims)), report_data, authentic.valid_until))
        }
        HardwareReport::Tdx(report) => {
            let title = "TD quote over the TDREPORT";
            let Some(quote) = td_quote else {
                let found = "none: nothing that can be checked signs a TDREPORT";
                trail.step(Check::fail(Code::NoEndorsement, title, "a TD quote", found))?;
                return None;
            };
            trail.step(same_report(title, report, quote))?;
            let tdx =
                tdx::Given { quote, bag: given.bag, anchored: given.anchored, policy: given.policy, now: given.now };
            let authentic = tdx::authenticate(trail, &tdx)?;
            let report_data = authentic.claims.report_data.0;
            Some((HardwareClaims::Tdx(Box::new(authentic.claims)), report_data, authentic.valid_until))
        }
    }
}

/// The quote must be over this very report: attributes, measurements and report data.
fn same_report(title: &str, report: &TdReport, quote: &tdx::TdxQuote) -> Check {
    let body = quote.body();
    let mut info = [body.td_attributes.to_le_bytes(), body.xfam.to_le_bytes()].concat();
    for register in
        [&body.mr_td, &body.mr_config_id, &body.mr_owner, &body.mr_owner_config].into_iter().chain(&body.rtmr)
    {
        info.extend_from_slice(register);
    }
    let (holds, found) = match (report.report_data == body.report_data, report.info == info) {
        (true, true) => (true, "the same"),
        (false, _) => (false, "other report data"),
        (true, false) => (false, "other attributes or measurements"),
    };
    Check::when(holds, Code::Signature, title, "the report data, attributes and measurements of the TDREPORT", found)
}

fn tpm_quote(trail: &mut Trail, given: &Given<'_>, runtime: &RuntimeData) -> Option<Option<TpmQuoteClaims>> {
    let title = "vTPM quote";
    let Some((quote, pcrs)) = &given.evidence.quote else {
        trail.step(if given.policy.azure.require_tpm_quote {
            Check::fail(Code::NoEndorsement, title, "a quote by the attestation key", Check::NONE_SUPPLIED)
        } else {
            let wanted = "nothing: the policy does not require one; nothing else here is fresh";
            Check::skip(Code::NoEndorsement, title, wanted, Check::NONE_SUPPLIED)
        })?;
        return Some(None);
    };
    let signed = crypto::verify_rsa_pkcs1_sha256(&runtime.attestation_key, quote.message(), quote.signature()).is_ok();
    let found = if signed { "it verifies" } else { "it does not verify" };
    let wanted = "made by the attestation key over the message as received";
    trail.step(Check::when(signed, Code::Signature, "signature of the vTPM quote", wanted, found))?;
    trail.step(selection(quote))?;
    let digest = crypto::sha256(&pcrs.concat());
    let title = "registers under the vTPM quote";
    let holds = quote.pcr_digest() == digest;
    trail.step(Check::when(holds, Code::Signature, title, hex::encode(quote.pcr_digest()), hex::encode(digest)))?;
    Some(Some(claims(quote, pcrs)))
}

/// All registers of the one bank: a quote over fewer would leave the rest to whoever sends them.
fn selection(quote: &TpmQuote) -> Check {
    let holds = matches!(quote.selection(), [only] if only.algorithm == SHA256 && only.bitmap == ALL_PCRS);
    let found: Vec<String> =
        quote.selection().iter().map(|bank| format!("{:#06x}:{}", bank.algorithm, hex::encode(&bank.bitmap))).collect();
    let wanted = "SHA-256 (0x000b), all 24";
    Check::when(holds, Code::Signature, "registers that the vTPM quote is over", wanted, found.join(", "))
}

fn claims(quote: &TpmQuote, pcrs: &PcrValues) -> TpmQuoteClaims {
    let clock = quote.clock();
    TpmQuoteClaims {
        extra_data: quote.extra_data().to_vec(),
        pcrs: pcrs.iter().copied().map(HexBytes).collect(),
        clock_milliseconds: clock.milliseconds,
        reset_count: clock.reset_count,
        restart_count: clock.restart_count,
        clock_is_safe: clock.is_safe,
        firmware_version: quote.firmware_version(),
    }
}
