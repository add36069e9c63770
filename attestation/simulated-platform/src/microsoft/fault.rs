//! The catalogue of named faults in the evidence of a machine with a virtual TPM.
//!
//! The codes hold under
//! [`SimulatedAzureVm::strict_policy`](crate::SimulatedAzureVm::strict_policy) of the unbroken
//! machine, with the nonce that was asked for and the roots of both vendors, the hardware's
//! and this one, as the only anchors.

use super::platform::AzureHardware;
use crate::fault_catalogue::catalogue;

catalogue! {
    /// One way in which the evidence of a machine with a virtual TPM can be wrong.
    AzureFault {
        // The HCL report's form.
        HclMagic, "hcl-magic", "PARSE", Device,
            "The HCL report does not begin with its magic.";
        HclUnknownVersion, "hcl-unknown-version", "PARSE", Device,
            "The HCL report has version 3, which nobody has seen.";
        TruncatedHcl, "truncated-hcl", "PARSE", Device,
            "The HCL report ends within its runtime data.";
        HclUnknownReportType, "hcl-unknown-report-type", "PARSE", Device,
            "The HCL report names a hardware that nobody has specified.";
        HclOtherReportType, "hcl-other-report-type", "PARSE", Device,
            "The HCL report names the other hardware than the one whose report is in it.";
        HclUnknownHashType, "hcl-unknown-hash-type", "PARSE", Device,
            "The HCL report names a digest that nobody has specified.";
        HclLongReport, "hcl-long-report", "PARSE", Device,
            "The declared size of the HCL report is one byte too large.";
        HclLongData, "hcl-long-data", "PARSE", Device,
            "The declared size of the data is not that of its header and the runtime data.";
        HclLongRuntimeData, "hcl-long-runtime-data", "PARSE", Device,
            "The declared size of the runtime data reaches beyond the HCL report.";
        RuntimeDataNotJson, "runtime-data-not-json", "PARSE", Device,
            "The runtime data, which the hardware vouches for, is no JSON.";
        RuntimeDataWithoutAk, "runtime-data-without-ak", "PARSE", Device,
            "The runtime data names no attestation key.";
        RuntimeDataWithTwoAks, "runtime-data-with-two-aks", "PARSE", Device,
            "The runtime data names two attestation keys.";
        AkIsNotRsa, "ak-is-not-rsa", "PARSE", Device,
            "The runtime data's attestation key says that it is on an elliptic curve.";
        MissingTdQuote, "missing-td-quote", "NO_ENDORSEMENT", Device,
            "The TD quote that goes with the TD report is not supplied.";

        // The TPM quote's form.
        TruncatedTpmMessage, "truncated-tpm-message", "PARSE", Device,
            "The TPM quote's message lacks its last byte.";
        ExtendedTpmMessage, "extended-tpm-message", "PARSE", Device,
            "The TPM quote's message has one byte too many, and is signed so.";
        TpmMagic, "tpm-magic", "PARSE", Device,
            "The signed message does not say that the TPM made it.";
        TpmNotAQuote, "tpm-not-a-quote", "PARSE", Device,
            "The signed message certifies a key and is no quote.";
        PcrBankSha1, "pcr-bank-sha1", "SIGNATURE", Device,
            "The quote is of the SHA-1 bank.";
        PcrSubset, "pcr-subset", "SIGNATURE", Device,
            "The quote is of all registers but the eighth, and its digest agrees.";
        PcrMissing, "pcr-missing", "PARSE", Device,
            "The last register's value is not supplied.";

        // What vouches for the keys.
        MissingHardwareEndorsement, "missing-hardware-endorsement", "NO_ENDORSEMENT", Device,
            "No certificate of the key that signed the hardware's report is supplied.";
        MissingAkCertificate, "missing-ak-certificate", "NO_ENDORSEMENT", Vendor,
            "The attestation key's certificate is not supplied, and the policy wants it.";
        AkForeignRoot, "ak-foreign-root", "CHAIN", Vendor,
            "The attestation key's chain ends in another root, with the same name.";
        AkMissingIntermediate, "ak-missing-intermediate", "NO_ENDORSEMENT", Vendor,
            "The certificate between the attestation key's and the root is not supplied.";
        AkWrongIssuer, "ak-wrong-issuer", "CHAIN", Vendor,
            "The attestation key's certificate names its issuer and is signed by another key.";
        AkIntermediateIsNoAuthority, "ak-intermediate-is-no-authority", "CHAIN", Vendor,
            "The intermediate's certificate does not make it a certificate authority.";
        AkMissingDevelopmentExtension, "ak-missing-development-extension", "CHAIN", Vendor,
            "The attestation key's certificate lacks the extension that marks development certificates.";
        AkUnknownCriticalExtension, "ak-unknown-critical-extension", "CHAIN", Vendor,
            "The attestation key's certificate has a critical extension that no verifier knows.";
        AkCertificateOfAnotherVm, "ak-certificate-of-another-vm", "CHAIN", Vendor,
            "The certificate is of another machine's attestation key.";
        ExpiredAkCertificate, "expired-ak-certificate", "COLLATERAL_EXPIRED", Vendor,
            "The attestation key's certificate expired an hour ago.";
        NotYetValidAkCertificate, "not-yet-valid-ak-certificate", "COLLATERAL_EXPIRED", Vendor,
            "The attestation key's certificate begins in an hour.";
        ExpiredAkIntermediate, "expired-ak-intermediate", "COLLATERAL_EXPIRED", Vendor,
            "The intermediate's certificate expired an hour ago.";

        // The signatures and what binds one part to the next.
        FlippedHardwareSignature, "flipped-hardware-signature", "SIGNATURE", Device,
            "One bit of the hardware's signature is flipped.";
        FlippedHardwareMeasurement, "flipped-hardware-measurement", "SIGNATURE", Device,
            "One bit of the hardware's measurement is flipped after it was signed.";
        FlippedRuntimeData, "flipped-runtime-data", "SIGNATURE", Device,
            "A character of the runtime data is changed after the hardware vouched for it.";
        HclOtherHashType, "hcl-other-hash-type", "SIGNATURE", Device,
            "The HCL report names SHA-512, and the hardware's report is over the SHA-256 digest.";
        HardwareReportDataTail, "hardware-report-data-tail", "SIGNATURE", Device,
            "The second half of the hardware's report data, which must be zero, is not.";
        RuntimeDataOfAnotherVm, "runtime-data-of-another-vm", "SIGNATURE", Vendor,
            "Runtime data, TPM quote and certificate are another machine's, around this one's hardware report.";
        TdQuoteOfOtherReport, "td-quote-of-other-report", "SIGNATURE", Device,
            "The TD quote is genuine and over other report data than the TD report.";
        OtherAk, "other-ak", "SIGNATURE", Device,
            "Another machine's attestation key signed the TPM quote.";
        FlippedTpmSignature, "flipped-tpm-signature", "SIGNATURE", Device,
            "One bit of the TPM quote's signature is flipped.";
        ShortTpmSignature, "short-tpm-signature", "PARSE", Device,
            "The TPM quote's signature lacks its last byte.";
        FlippedTpmMessage, "flipped-tpm-message", "SIGNATURE", Device,
            "One bit of the TPM's clock is flipped after the message was signed.";
        PcrChanged, "pcr-changed", "SIGNATURE", Device,
            "A register's value is changed, so that the quote's digest is not theirs.";
        PcrsReordered, "pcrs-reordered", "SIGNATURE", Device,
            "Two registers have changed places in the list.";

        // The nonce.
        WrongNonce, "wrong-nonce", "NONCE", Device,
            "The TPM quote is for another nonce than was asked for.";
        NoncePrefixOnly, "nonce-prefix-only", "NONCE", Device,
            "The TPM quote has the nonce without its last byte.";
        EmptyNonce, "empty-nonce", "NONCE", Device,
            "The TPM quote has no nonce at all.";

        // What the evidence says.
        DebugOn, "debug-on", "DEBUG", Device,
            "The hardware lets the host debug the machine.";
        Migratable, "migratable", "MIGRATABLE", Device,
            "The hardware lets the machine be migrated.";
        ReportAtVmpl1, "report-at-vmpl-1", "VMPL", Device,
            "The chip's report was asked for at VMPL 1, where no paravisor runs.";
        OldFirmware, "old-firmware", "TCB", Device,
            "The platform's firmware is older than the policy's minimum.";
        SecureBootOff, "secure-boot-off", "PLATFORM_NOT_ALLOWED", Device,
            "The machine boots what nobody signed.";
        OtherFirmware, "other-firmware", "MEASUREMENT", Device,
            "Genuine evidence of a machine with another launch measurement.";
        OtherPcr0, "other-pcr0", "MEASUREMENT", Device,
            "Genuine evidence of a machine whose firmware measured itself otherwise.";
        OtherPcr4, "other-pcr4", "MEASUREMENT", Device,
            "Genuine evidence of a machine with another boot loader.";
        OtherPcr7, "other-pcr7", "MEASUREMENT", Device,
            "Genuine evidence of a machine with other secure-boot keys.";
        OtherPcr9, "other-pcr9", "MEASUREMENT", Device,
            "Genuine evidence of a machine with another kernel or initial file system.";
        OtherPcr11, "other-pcr11", "MEASUREMENT", Device,
            "Genuine evidence of a machine with another unified kernel image.";
        OtherPcr12, "other-pcr12", "MEASUREMENT", Device,
            "Genuine evidence of a machine with another kernel command line.";
        OtherPcr14, "other-pcr14", "MEASUREMENT", Device,
            "Genuine evidence of a machine with other keys of its owner.";
    }
}

impl AzureFault {
    /// Whether such hardware can have it; most faults are above the hardware.
    #[must_use]
    pub fn is_possible_on(self, hardware: AzureHardware) -> bool {
        match self {
            Self::ReportAtVmpl1 => hardware == AzureHardware::Snp,
            Self::MissingTdQuote | Self::TdQuoteOfOtherReport => hardware == AzureHardware::Tdx,
            _ => true,
        }
    }
}
