//! Faults in anything but a certificate: runtime data, HCL report, TPM quote.

use super::{
    fault::AzureFault,
    hcl_report::{HclReport, RUNTIME_DATA},
    platform::{AzureHardware, HardwareEvidence},
    runtime_data::{ATTESTATION_KEY, Jwk, RuntimeData},
    tpm_quote::{Attest, SHA1, TpmQuote},
};

/// TPM_ST_ATTEST_CERTIFY.
const ATTEST_CERTIFY: u16 = 0x8017;
/// Where the clock lies from the end of a TPM quote: selection and digest follow it.
const CLOCK_FROM_END: usize = 17 + 8 + 10 + 34;

/// Changes what the runtime data says, before the hardware vouches for it.
pub(crate) fn alter_runtime(fault: Option<AzureFault>, runtime: &mut RuntimeData) {
    match fault {
        Some(AzureFault::RuntimeDataWithoutAk) => runtime.keys.retain(|key| key.kid != ATTESTATION_KEY),
        Some(AzureFault::RuntimeDataWithTwoAks) => {
            if let Some(key) = runtime.keys.last().cloned() {
                runtime.keys.push(Jwk { kid: ATTESTATION_KEY, ..key });
            }
        }
        Some(AzureFault::AkIsNotRsa) => {
            if let Some(key) = runtime.keys.first_mut() {
                key.kty = "EC";
            }
        }
        Some(AzureFault::SecureBootOff) => runtime.configuration.secure_boot = false,
        _ => {}
    }
}

/// Changes the bytes that the hardware vouches for.
pub(crate) fn alter_runtime_bytes(fault: Option<AzureFault>, bytes: &mut Vec<u8>) {
    if fault == Some(AzureFault::RuntimeDataNotJson) {
        shorten(bytes);
    }
}

/// Changes the report data that the hardware signs.
pub(crate) fn alter_report_data(fault: Option<AzureFault>, report_data: &mut [u8; 64]) {
    if fault == Some(AzureFault::HardwareReportDataTail) {
        report_data[63] = 1;
    }
}

/// Leaves out a part of what the hardware gave.
pub(crate) fn alter_hardware(fault: Option<AzureFault>, hardware: AzureHardware, evidence: &mut HardwareEvidence) {
    match (fault, hardware) {
        // The VCEK; on TDX the chain is in the quote, which has none then.
        (Some(AzureFault::MissingHardwareEndorsement), AzureHardware::Snp) => drop(evidence.endorsements.remove(0)),
        (Some(AzureFault::MissingTdQuote), _) => evidence.td_quote = None,
        _ => {}
    }
}

/// Changes what stands around the two parts of the HCL report.
pub(crate) fn alter_hcl(fault: Option<AzureFault>, hardware: AzureHardware, hcl: &mut HclReport) {
    match fault {
        Some(AzureFault::HclMagic) => hcl.magic = *b"HCLB",
        Some(AzureFault::HclUnknownVersion) => hcl.version = 3,
        Some(AzureFault::HclUnknownReportType) => hcl.report_type = 9,
        Some(AzureFault::HclOtherReportType) => hcl.report_type = hardware.other().report_type(),
        Some(AzureFault::HclUnknownHashType) => hcl.hash_type = 7,
        Some(AzureFault::HclOtherHashType) => hcl.hash_type = 3,
        Some(AzureFault::HclLongReport) => hcl.lies[0] = 1,
        Some(AzureFault::HclLongData) => hcl.lies[1] = 1,
        Some(AzureFault::HclLongRuntimeData) => hcl.lies = [0x1_0000; 3],
        _ => {}
    }
}

/// Changes the HCL report, after the hardware vouched for the runtime data.
pub(crate) fn alter_hcl_bytes(fault: Option<AzureFault>, hcl_report: &mut Vec<u8>) {
    match fault {
        Some(AzureFault::TruncatedHcl) => hcl_report.truncate(RUNTIME_DATA + 100),
        Some(AzureFault::FlippedRuntimeData) => replace(hcl_report, b"\"tpm-enabled\":true", b"\"tpm-enabled\":null"),
        _ => {}
    }
}

/// Changes what the TPM is about to sign.
pub(crate) fn alter_attest(fault: Option<AzureFault>, attest: &mut Attest) {
    match fault {
        Some(AzureFault::TpmMagic) => attest.magic ^= 1,
        Some(AzureFault::TpmNotAQuote) => attest.kind = ATTEST_CERTIFY,
        Some(AzureFault::ExtendedTpmMessage) => attest.bytes_after = 1,
        Some(AzureFault::PcrBankSha1) => attest.bank = SHA1,
        Some(AzureFault::PcrSubset) => attest.selection[0] = 0x7f,
        Some(AzureFault::WrongNonce) => attest.extra_data.iter_mut().for_each(|byte| *byte = !*byte),
        Some(AzureFault::NoncePrefixOnly) => shorten(&mut attest.extra_data),
        Some(AzureFault::EmptyNonce) => attest.extra_data.clear(),
        Some(AzureFault::OtherPcr0) => attest.pcrs[0][0] ^= 1,
        Some(AzureFault::OtherPcr4) => attest.pcrs[4][0] ^= 1,
        Some(AzureFault::OtherPcr7) => attest.pcrs[7][0] ^= 1,
        Some(AzureFault::OtherPcr9) => attest.pcrs[9][0] ^= 1,
        Some(AzureFault::OtherPcr11) => attest.pcrs[11][0] ^= 1,
        Some(AzureFault::OtherPcr12) => attest.pcrs[12][0] ^= 1,
        Some(AzureFault::OtherPcr14) => attest.pcrs[14][0] ^= 1,
        _ => {}
    }
}

/// Changes the signed quote and the values that go with it.
pub(crate) fn alter_tpm_quote(fault: Option<AzureFault>, quote: &mut TpmQuote) {
    match fault {
        Some(AzureFault::TruncatedTpmMessage) => shorten(&mut quote.message),
        Some(AzureFault::FlippedTpmSignature) => quote.signature[0] ^= 1,
        Some(AzureFault::ShortTpmSignature) => shorten(&mut quote.signature),
        Some(AzureFault::FlippedTpmMessage) => {
            let clock = quote.message.len() - CLOCK_FROM_END;
            quote.message[clock + 7] ^= 1;
        }
        Some(AzureFault::PcrChanged) => quote.pcrs[7][0] ^= 1,
        Some(AzureFault::PcrsReordered) => quote.pcrs.swap(0, 1),
        Some(AzureFault::PcrMissing) => shorten(&mut quote.pcrs),
        _ => {}
    }
}

/// Leaves out the last.
fn shorten<T>(list: &mut Vec<T>) {
    list.truncate(list.len().saturating_sub(1));
}

/// Replaces a text by one as long.
fn replace(report: &mut [u8], text: &[u8], replacement: &[u8]) {
    let found = report.windows(text.len()).position(|window| window == text);
    if let Some(start) = found {
        report[start..start + text.len()].copy_from_slice(replacement);
    }
}
