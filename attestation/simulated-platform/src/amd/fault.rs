//! The catalogue of named faults: each breaks good evidence in one way, and names the code
//! with which a verifier must refuse it.
//!
//! The codes hold under [`SimulatedDevice::strict_policy`](crate::SimulatedDevice::strict_policy)
//! of the unbroken device, with the report data that was asked for and the vendor's root as
//! the only anchor.

/// Writes the enum, the list of all, and the table from one list of rows.
macro_rules! catalogue {
    ($($variant:ident, $name:literal, $code:literal, $description:literal;)+) => {
        /// One way in which evidence can be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $(#[doc = $description] $variant,)+
        }

        impl Fault {
            /// The whole catalogue, in the order of a verifier's checks.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Name, code, description.
            fn row(self) -> (&'static str, &'static str, &'static str) {
                match self {
                    $(Self::$variant => ($name, $code, $description),)+
                }
            }
        }
    };
}

catalogue! {
    // The report's form.
    TruncatedReport, "truncated-report", "PARSE",
        "The report lacks its last byte.";
    ExtendedReport, "extended-report", "PARSE",
        "The report has one byte too many.";
    UnknownReportVersion, "unknown-report-version", "PARSE",
        "The report has version 6, which nobody has specified.";
    SignatureAlgorithmUnknown, "signature-algorithm-unknown", "PARSE",
        "The report names a signature algorithm other than ECDSA P-384 with SHA-384.";
    ReservedWordSet, "reserved-word-set", "PARSE",
        "A reserved byte beside the key information, which must be zero, is set.";
    ReservedTailSet, "reserved-tail-set", "PARSE",
        "A reserved byte at the end of the signed part, which must be zero, is set.";
    KeyInfoReservedBit, "key-info-reserved-bit", "PARSE",
        "A reserved bit of the key information is set.";
    PolicyReservedBit, "policy-reserved-bit", "PARSE",
        "A reserved bit of the guest policy is set.";
    PolicyRequiredBitClear, "policy-required-bit-clear", "PARSE",
        "The guest policy's bit 17, which must be one, is zero.";
    LongSignature, "long-signature", "PARSE",
        "The signature's r has a bit beyond its 48 significant bytes.";
    BytesAfterSignature, "bytes-after-signature", "PARSE",
        "A byte after the signature, which must be zero, is set.";

    // Whether and by what it is signed.
    SigningKeyNone, "signing-key-none", "SIGNATURE",
        "The report says that no key signed it.";
    MaskedChipKey, "masked-chip-key", "SIGNATURE",
        "The host masked the chip's key, so the firmware signed nothing.";

    // The chain.
    MissingVcek, "missing-vcek", "NO_ENDORSEMENT",
        "No certificate of the key that signed the report is supplied.";
    MissingAsk, "missing-ask", "CHAIN",
        "The certificate between the chip's and the root is not supplied.";
    ForeignRoot, "foreign-root", "CHAIN",
        "The chain ends in another development vendor's root, with the same names.";
    WrongIssuer, "wrong-issuer", "CHAIN",
        "The VCEK names the ASK as its issuer and is signed by another key.";
    AskIsNoAuthority, "ask-is-no-authority", "CHAIN",
        "The ASK's certificate does not make it a certificate authority.";
    MissingDevelopmentExtension, "missing-development-extension", "CHAIN",
        "The VCEK lacks the extension that marks development certificates.";
    UnknownCriticalExtension, "unknown-critical-extension", "CHAIN",
        "The VCEK has a critical extension that no verifier knows.";
    ExpiredVcek, "expired-vcek", "COLLATERAL_EXPIRED",
        "The VCEK's certificate expired an hour ago.";
    NotYetValidVcek, "not-yet-valid-vcek", "COLLATERAL_EXPIRED",
        "The VCEK's certificate begins in an hour.";
    CrlByOtherKey, "crl-by-other-key", "REVOKED",
        "The revocation list names the ARK as its issuer and is signed by another key.";
    MissingCrl, "missing-crl", "REVOKED",
        "No revocation list is supplied, and the policy wants one.";
    ExpiredCrl, "expired-crl", "COLLATERAL_EXPIRED",
        "The revocation list should have been renewed an hour ago.";
    RevokedAsk, "revoked-ask", "REVOKED",
        "The revocation list has the ASK's serial number.";

    // The certificate is not for this report.
    SplMismatch, "spl-mismatch", "CHAIN",
        "The VCEK is for newer microcode than the report says.";
    HwidMismatch, "hwid-mismatch", "CHAIN",
        "The VCEK is of another chip than the report's.";
    MissingHwid, "missing-hwid", "CHAIN",
        "The VCEK names no chip at all.";
    ProductMismatch, "product-mismatch", "CHAIN",
        "The VCEK names another product than the authority that signed it.";
    ProcessorOfAnotherProduct, "processor-of-another-product", "CHAIN",
        "The report's processor belongs to another product than its certificates.";
    SigningKeySaysVlek, "signing-key-says-vlek", "CHAIN",
        "The report says that a VLEK signed it; only a VCEK is supplied.";

    // The signature.
    FlippedSignature, "flipped-signature", "SIGNATURE",
        "One bit of the report's signature is flipped.";
    FlippedMeasurement, "flipped-measurement", "SIGNATURE",
        "One bit of the measurement is flipped after the report was signed.";
    ZeroSignature, "zero-signature", "SIGNATURE",
        "The report's signature is all zero.";
    OtherDeviceKey, "other-device-key", "SIGNATURE",
        "The VCEK certifies another key than the one that signed the report.";

    // What the report says.
    WrongReportData, "wrong-report-data", "REPORT_DATA",
        "The report is bound to other report data than was asked for.";
    ReportDataPrefixOnly, "report-data-prefix-only", "REPORT_DATA",
        "The report data equals what was asked for in all but its last bit.";
    DebugOn, "debug-on", "DEBUG",
        "The guest policy lets the host debug the guest.";
    Migratable, "migratable", "MIGRATABLE",
        "The guest policy lets a migration agent move the guest.";
    Vmpl1, "vmpl-1", "VMPL",
        "The report was asked for at VMPL 1, where the policy wants 0.";
    HypervisorReport, "hypervisor-report", "VMPL",
        "The report was asked for by the hypervisor, not the guest.";
    OldReportedTcb, "old-reported-tcb", "TCB",
        "The reported firmware is older than the policy's minimum, with a VCEK to match.";
    OldCommittedTcb, "old-committed-tcb", "TCB",
        "The reported firmware is new enough; the committed one, to which the host may go back, is not.";
    OldTcbAtLaunch, "old-tcb-at-launch", "TCB",
        "The firmware was updated under the running guest; the one that launched it is older than the policy's minimum.";
    MaskedChipId, "masked-chip-id", "PLATFORM_NOT_ALLOWED",
        "The host masked the chip id, so the report names no chip.";
    OtherChip, "other-chip", "PLATFORM_NOT_ALLOWED",
        "A genuine report of another chip, which the policy does not name.";
    LoadedKey, "loaded-key", "PLATFORM_NOT_ALLOWED",
        "A VLEK signed the report, and the policy allows no cloud provider's.";
    OtherMeasurement, "other-measurement", "MEASUREMENT",
        "A genuine report of a guest with another launch measurement.";
    OtherHostData, "other-host-data", "HOST_DATA",
        "A genuine report of a guest that was started with other host data.";
}

impl Fault {
    /// Its name, in kebab case.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// What is wrong, in one sentence.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.row().2
    }

    /// The code with which a verifier must refuse it.
    #[must_use]
    pub fn expected_code(self) -> &'static str {
        self.row().1
    }

    /// The fault of that [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }

    /// Whether it is in a certificate or revocation list, so that making it takes the
    /// vendor ([`SimulatedAmd::report_with_fault`](crate::SimulatedAmd::report_with_fault)).
    #[must_use]
    pub fn needs_vendor(self) -> bool {
        matches!(
            self,
            Self::MissingVcek
                | Self::MissingAsk
                | Self::ForeignRoot
                | Self::WrongIssuer
                | Self::AskIsNoAuthority
                | Self::MissingDevelopmentExtension
                | Self::UnknownCriticalExtension
                | Self::ExpiredVcek
                | Self::NotYetValidVcek
                | Self::MissingCrl
                | Self::ExpiredCrl
                | Self::CrlByOtherKey
                | Self::RevokedAsk
                | Self::SplMismatch
                | Self::HwidMismatch
                | Self::MissingHwid
                | Self::ProductMismatch
                | Self::OtherDeviceKey
                | Self::OldReportedTcb
                | Self::OtherChip
                | Self::LoadedKey
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_kebab_case_and_lead_back() {
        let mut seen = HashSet::new();
        for fault in Fault::ALL {
            let name = fault.name();
            assert!(seen.insert(name), "{name} twice");
            assert!(
                name.split('-')
                    .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())),
                "{name}"
            );
            assert_eq!(Fault::from_name(name), Some(*fault));
            assert!(fault.description().ends_with('.'), "{name}");
        }
        assert!(seen.len() >= 20);
        assert_eq!(Fault::from_name("no-such-fault"), None);
    }
}
