//! The catalogue of named faults: each breaks good evidence in one way, and names the code
//! with which a verifier must refuse it.
//!
//! The codes hold under [`SimulatedDevice::strict_policy`](crate::SimulatedDevice::strict_policy)
//! of the unbroken device, with the report data that was asked for and the vendor's root as
//! the only anchor.

use crate::fault_catalogue::catalogue;

catalogue! {
    /// One way in which SEV-SNP evidence can be wrong.
    Fault {
        // The report's form.
        TruncatedReport, "truncated-report", "PARSE", Device,
            "The report lacks its last byte.";
        ExtendedReport, "extended-report", "PARSE", Device,
            "The report has one byte too many.";
        UnknownReportVersion, "unknown-report-version", "PARSE", Device,
            "The report has version 6, which nobody has specified.";
        SignatureAlgorithmUnknown, "signature-algorithm-unknown", "PARSE", Device,
            "The report names a signature algorithm other than ECDSA P-384 with SHA-384.";
        ReservedWordSet, "reserved-word-set", "PARSE", Device,
            "A reserved byte beside the key information, which must be zero, is set.";
        ReservedTailSet, "reserved-tail-set", "PARSE", Device,
            "A reserved byte at the end of the signed part, which must be zero, is set.";
        KeyInfoReservedBit, "key-info-reserved-bit", "PARSE", Device,
            "A reserved bit of the key information is set.";
        PolicyReservedBit, "policy-reserved-bit", "PARSE", Device,
            "A reserved bit of the guest policy is set.";
        PolicyRequiredBitClear, "policy-required-bit-clear", "PARSE", Device,
            "The guest policy's bit 17, which must be one, is zero.";
        LongSignature, "long-signature", "PARSE", Device,
            "The signature's r has a bit beyond its 48 significant bytes.";
        BytesAfterSignature, "bytes-after-signature", "PARSE", Device,
            "A byte after the signature, which must be zero, is set.";

        // Whether and by what it is signed.
        SigningKeyNone, "signing-key-none", "SIGNATURE", Device,
            "The report says that no key signed it.";
        MaskedChipKey, "masked-chip-key", "SIGNATURE", Device,
            "The host masked the chip's key, so the firmware signed nothing.";

        // The chain.
        MissingVcek, "missing-vcek", "NO_ENDORSEMENT", Vendor,
            "No certificate of the key that signed the report is supplied.";
        MissingAsk, "missing-ask", "CHAIN", Vendor,
            "The certificate between the chip's and the root is not supplied.";
        ForeignRoot, "foreign-root", "CHAIN", Vendor,
            "The chain ends in another development vendor's root, with the same names.";
        WrongIssuer, "wrong-issuer", "CHAIN", Vendor,
            "The VCEK names the ASK as its issuer and is signed by another key.";
        AskIsNoAuthority, "ask-is-no-authority", "CHAIN", Vendor,
            "The ASK's certificate does not make it a certificate authority.";
        MissingDevelopmentExtension, "missing-development-extension", "CHAIN", Vendor,
            "The VCEK lacks the extension that marks development certificates.";
        UnknownCriticalExtension, "unknown-critical-extension", "CHAIN", Vendor,
            "The VCEK has a critical extension that no verifier knows.";
        ExpiredVcek, "expired-vcek", "COLLATERAL_EXPIRED", Vendor,
            "The VCEK's certificate expired an hour ago.";
        NotYetValidVcek, "not-yet-valid-vcek", "COLLATERAL_EXPIRED", Vendor,
            "The VCEK's certificate begins in an hour.";
        CrlByOtherKey, "crl-by-other-key", "REVOKED", Vendor,
            "The revocation list names the ARK as its issuer and is signed by another key.";
        MissingCrl, "missing-crl", "REVOKED", Vendor,
            "No revocation list is supplied, and the policy wants one.";
        ExpiredCrl, "expired-crl", "COLLATERAL_EXPIRED", Vendor,
            "The revocation list should have been renewed an hour ago.";
        RevokedAsk, "revoked-ask", "REVOKED", Vendor,
            "The revocation list has the ASK's serial number.";

        // The certificate is not for this report.
        SplMismatch, "spl-mismatch", "CHAIN", Vendor,
            "The VCEK is for newer microcode than the report says.";
        HwidMismatch, "hwid-mismatch", "CHAIN", Vendor,
            "The VCEK is of another chip than the report's.";
        MissingHwid, "missing-hwid", "CHAIN", Vendor,
            "The VCEK names no chip at all.";
        ProductMismatch, "product-mismatch", "CHAIN", Vendor,
            "The VCEK names another product than the authority that signed it.";
        ProcessorOfAnotherProduct, "processor-of-another-product", "CHAIN", Device,
            "The report's processor belongs to another product than its certificates.";
        SigningKeySaysVlek, "signing-key-says-vlek", "CHAIN", Device,
            "The report says that a VLEK signed it; only a VCEK is supplied.";

        // The signature.
        FlippedSignature, "flipped-signature", "SIGNATURE", Device,
            "One bit of the report's signature is flipped.";
        FlippedMeasurement, "flipped-measurement", "SIGNATURE", Device,
            "One bit of the measurement is flipped after the report was signed.";
        ZeroSignature, "zero-signature", "SIGNATURE", Device,
            "The report's signature is all zero.";
        OtherDeviceKey, "other-device-key", "SIGNATURE", Vendor,
            "The VCEK certifies another key than the one that signed the report.";

        // What the report says.
        WrongReportData, "wrong-report-data", "REPORT_DATA", Device,
            "The report is bound to other report data than was asked for.";
        ReportDataPrefixOnly, "report-data-prefix-only", "REPORT_DATA", Device,
            "The report data equals what was asked for in all but its last bit.";
        DebugOn, "debug-on", "DEBUG", Device,
            "The guest policy lets the host debug the guest.";
        Migratable, "migratable", "MIGRATABLE", Device,
            "The guest policy lets a migration agent move the guest.";
        Vmpl1, "vmpl-1", "VMPL", Device,
            "The report was asked for at VMPL 1, where the policy wants 0.";
        HypervisorReport, "hypervisor-report", "VMPL", Device,
            "The report was asked for by the hypervisor, not the guest.";
        OldReportedTcb, "old-reported-tcb", "TCB", Vendor,
            "The reported firmware is older than the policy's minimum, with a VCEK to match.";
        OldCommittedTcb, "old-committed-tcb", "TCB", Device,
            "The reported firmware is new enough; the committed one, to which the host may go back, is not.";
        OldTcbAtLaunch, "old-tcb-at-launch", "TCB", Device,
            "The firmware was updated under the running guest; the one that launched it is older than the policy's minimum.";
        MaskedChipId, "masked-chip-id", "PLATFORM_NOT_ALLOWED", Device,
            "The host masked the chip id, so the report names no chip.";
        OtherChip, "other-chip", "PLATFORM_NOT_ALLOWED", Vendor,
            "A genuine report of another chip, which the policy does not name.";
        LoadedKey, "loaded-key", "PLATFORM_NOT_ALLOWED", Vendor,
            "A VLEK signed the report, and the policy allows no cloud provider's.";
        OtherMeasurement, "other-measurement", "MEASUREMENT", Device,
            "A genuine report of a guest with another launch measurement.";
        OtherHostData, "other-host-data", "HOST_DATA", Device,
            "A genuine report of a guest that was started with other host data.";
    }
}
