//! The catalogue of named faults in TDX evidence.
//!
//! The codes hold under [`SimulatedTd::strict_policy`](crate::SimulatedTd::strict_policy) of
//! the unbroken TD, with the report data that was asked for, the vendor's root as the only
//! anchor, and the event log beside the quote.

use crate::fault_catalogue::catalogue;

catalogue! {
    /// One way in which TDX evidence can be wrong.
    TdxFault {
        // The quote's form.
        TruncatedQuote, "truncated-quote", "PARSE", Device,
            "The quote lacks its last byte.";
        HeaderOnly, "header-only", "PARSE", Device,
            "The quote ends with its header.";
        UnknownQuoteVersion, "unknown-quote-version", "PARSE", Device,
            "The quote has version 6, which nobody has specified.";
        SgxQuoteVersion, "sgx-quote-version", "PLATFORM_NOT_ALLOWED", Device,
            "The quote has version 3, which only SGX has.";
        SgxTeeType, "sgx-tee-type", "PLATFORM_NOT_ALLOWED", Device,
            "The header says that an SGX enclave is quoted.";
        EnclaveBody, "enclave-body", "PLATFORM_NOT_ALLOWED", Device,
            "A version 5 quote has the body of an SGX enclave.";
        UnknownBodyType, "unknown-body-type", "PARSE", Device,
            "A version 5 quote has a body of a type that nobody has specified.";
        BodySizeOfAnotherType, "body-size-of-another-type", "PARSE", Device,
            "A version 5 quote names a body of TDX 1.0 and the size of one of TDX 1.5.";
        P384AttestationKey, "p384-attestation-key", "PARSE", Device,
            "The header names a P-384 attestation key, which no quoting enclave has.";
        ForeignQeVendor, "foreign-qe-vendor", "PARSE", Device,
            "The header names another vendor of quoting enclaves than Intel.";
        ShortSignatureData, "short-signature-data", "PARSE", Device,
            "The declared size of the signature data is one byte too small.";
        LongSignatureData, "long-signature-data", "PARSE", Device,
            "The declared size of the signature data reaches beyond the quote.";
        OuterCertificationType, "outer-certification-type", "PARSE", Device,
            "The outer certification data is not the quoting enclave's report.";
        LongOuterCertification, "long-outer-certification", "PARSE", Device,
            "The declared size of the outer certification data is one byte too large.";
        LongInnerCertification, "long-inner-certification", "PARSE", Device,
            "The declared size of the certificate chain is one byte too large.";
        LongAuthData, "long-auth-data", "PARSE", Device,
            "The declared size of the authentication data reaches beyond the quote.";
        BytesAfterQuote, "bytes-after-quote", "PARSE", Device,
            "A byte after the quote is not zero.";
        TcbInfoNotJson, "tcb-info-not-json", "PARSE", Vendor,
            "The TCB info is cut short and is no JSON.";
        TcbInfoUnknownVersion, "tcb-info-unknown-version", "CHAIN", Vendor,
            "The TCB info has version 9, which nobody has specified.";
        QeIdentityNotJson, "qe-identity-not-json", "PARSE", Vendor,
            "The identity of the quoting enclave is cut short and is no JSON.";
        QeIdentityUnknownVersion, "qe-identity-unknown-version", "CHAIN", Vendor,
            "The identity of the quoting enclave has version 9, which nobody has specified.";

        // The chain.
        PpidInsteadOfChain, "ppid-instead-of-chain", "NO_ENDORSEMENT", Device,
            "The quote names its platform and carries no certificate chain.";
        EmptyChain, "empty-chain", "NO_ENDORSEMENT", Device,
            "The quote carries an empty certificate chain.";
        ForeignRoot, "foreign-root", "CHAIN", Vendor,
            "Everything leads to another development vendor's root, with the same names.";
        MissingIntermediate, "missing-intermediate", "CHAIN", Vendor,
            "The certificate between the PCK certificate and the root is missing, in the quote and beside it.";
        WrongPckIssuer, "wrong-pck-issuer", "CHAIN", Vendor,
            "The PCK certificate names the PCK CA as its issuer and is signed by another key.";
        WrongIntermediateIssuer, "wrong-intermediate-issuer", "CHAIN", Vendor,
            "The PCK CA's certificate names the root as its issuer and is signed by another key.";
        IntermediateIsNoAuthority, "intermediate-is-no-authority", "CHAIN", Vendor,
            "The PCK CA's certificate does not make it a certificate authority.";
        WrongTcbSigningIssuer, "wrong-tcb-signing-issuer", "CHAIN", Vendor,
            "The TCB signing certificate names the root as its issuer and is signed by another key.";
        TcbInfoByPlatform, "tcb-info-by-platform", "SIGNATURE", Vendor,
            "The platform signed its own TCB info, with its PCK certificate as the signer's.";
        FlippedPck, "flipped-pck", "CHAIN", Vendor,
            "One bit of the PCK certificate is flipped after it was signed.";
        FlippedIntermediate, "flipped-intermediate", "CHAIN", Vendor,
            "One bit of the PCK CA's certificate, in the quote and beside it, is flipped after it was signed.";
        MissingDevelopmentExtension, "missing-development-extension", "CHAIN", Vendor,
            "The PCK certificate lacks the extension that marks development certificates.";
        UnknownCriticalExtension, "unknown-critical-extension", "CHAIN", Vendor,
            "The PCK certificate has a critical extension that no verifier knows.";
        MissingSgxExtension, "missing-sgx-extension", "NO_ENDORSEMENT", Vendor,
            "The PCK certificate does not say which platform and firmware it is for.";
        ExpiredPck, "expired-pck", "COLLATERAL_EXPIRED", Vendor,
            "The PCK certificate expired an hour ago.";
        NotYetValidPck, "not-yet-valid-pck", "COLLATERAL_EXPIRED", Vendor,
            "The PCK certificate begins in an hour.";
        ExpiredIntermediate, "expired-intermediate", "COLLATERAL_EXPIRED", Vendor,
            "The PCK CA's certificate expired an hour ago.";
        ExpiredTcbSigning, "expired-tcb-signing", "COLLATERAL_EXPIRED", Vendor,
            "The TCB signing certificate expired an hour ago.";

        // The revocation lists.
        MissingRootCrl, "missing-root-crl", "REVOKED", Vendor,
            "The root's revocation list is not supplied, and the policy wants it.";
        MissingPckCrl, "missing-pck-crl", "REVOKED", Vendor,
            "The PCK CA's revocation list is not supplied, and the policy wants it.";
        CrlOfOtherPckCa, "crl-of-other-pck-ca", "REVOKED", Vendor,
            "The revocation list is of the other PCK CA than the one that issued the certificate.";
        RootCrlByOtherKey, "root-crl-by-other-key", "REVOKED", Vendor,
            "The root's revocation list is signed by another key.";
        PckCrlByOtherKey, "pck-crl-by-other-key", "REVOKED", Vendor,
            "The PCK CA's revocation list is signed by another key.";
        RevokedPck, "revoked-pck", "REVOKED", Vendor,
            "The PCK CA's revocation list has the PCK certificate.";
        RevokedIntermediate, "revoked-intermediate", "REVOKED", Vendor,
            "The root's revocation list has the PCK CA's certificate.";
        RevokedTcbSigning, "revoked-tcb-signing", "REVOKED", Vendor,
            "The root's revocation list has the TCB signing certificate.";
        ExpiredRootCrl, "expired-root-crl", "COLLATERAL_EXPIRED", Vendor,
            "The root's revocation list should have been renewed an hour ago.";
        ExpiredPckCrl, "expired-pck-crl", "COLLATERAL_EXPIRED", Vendor,
            "The PCK CA's revocation list should have been renewed an hour ago.";

        FutureRootCrl, "future-root-crl", "COLLATERAL_EXPIRED", Vendor,
            "The root's revocation list is issued in an hour.";
        FuturePckCrl, "future-pck-crl", "COLLATERAL_EXPIRED", Vendor,
            "The PCK CA's revocation list is issued in an hour.";

        // The signatures in the quote.
        FlippedQuoteSignature, "flipped-quote-signature", "SIGNATURE", Device,
            "One bit of the quote's signature is flipped.";
        ZeroQuoteSignature, "zero-quote-signature", "SIGNATURE", Device,
            "The quote's signature is all zero.";
        FlippedHeader, "flipped-header", "SIGNATURE", Device,
            "One bit of the header's user data is flipped after the quote was signed.";
        FlippedMrTd, "flipped-mr-td", "SIGNATURE", Device,
            "One bit of the TD's measurement is flipped after the quote was signed.";
        FlippedReportData, "flipped-report-data", "SIGNATURE", Device,
            "One bit of the report data is flipped after the quote was signed.";
        OtherAttestationKey, "other-attestation-key", "SIGNATURE", Device,
            "Another key signed the quote and stands in it; the quoting enclave's report binds the first.";
        FlippedQeReport, "flipped-qe-report", "SIGNATURE", Device,
            "One bit of the quoting enclave's report is flipped after it was signed.";
        FlippedQeSignature, "flipped-qe-signature", "SIGNATURE", Device,
            "One bit of the signature of the quoting enclave's report is flipped.";
        FlippedAuthData, "flipped-auth-data", "SIGNATURE", Device,
            "One bit of the authentication data, which the quoting enclave's report binds, is flipped.";
        QeReportDataTail, "qe-report-data-tail", "SIGNATURE", Device,
            "The second half of the quoting enclave's report data, which must be zero, is not.";
        OtherPckKey, "other-pck-key", "SIGNATURE", Vendor,
            "The PCK certificate certifies another key than the one that signed the quoting enclave's report.";

        // TCB info and the quoting enclave's identity.
        MissingTcbInfo, "missing-tcb-info", "TCB", Vendor,
            "No TCB info is supplied, and the policy wants it.";
        MissingQeIdentity, "missing-qe-identity", "TCB", Vendor,
            "No identity of the quoting enclave is supplied, and the policy wants it.";
        TamperedTcbInfo, "tampered-tcb-info", "SIGNATURE", Vendor,
            "A status in the TCB info is changed after it was signed.";
        TamperedFmspc, "tampered-fmspc", "SIGNATURE", Vendor,
            "The TCB info of another family of platforms is made out for this one after it was signed.";
        TamperedQeIdentity, "tampered-qe-identity", "SIGNATURE", Vendor,
            "A status in the quoting enclave's identity is changed after it was signed.";
        TcbInfoByOtherKey, "tcb-info-by-other-key", "SIGNATURE", Vendor,
            "The TCB info is signed by another key than its certificate's.";
        QeIdentityByOtherKey, "qe-identity-by-other-key", "SIGNATURE", Vendor,
            "The quoting enclave's identity is signed by another key than its certificate's.";
        ExpiredTcbInfo, "expired-tcb-info", "COLLATERAL_EXPIRED", Vendor,
            "The TCB info should have been renewed an hour ago.";
        FutureTcbInfo, "future-tcb-info", "COLLATERAL_EXPIRED", Vendor,
            "The TCB info is issued in an hour.";
        ExpiredQeIdentity, "expired-qe-identity", "COLLATERAL_EXPIRED", Vendor,
            "The quoting enclave's identity should have been renewed an hour ago.";
        FutureQeIdentity, "future-qe-identity", "COLLATERAL_EXPIRED", Vendor,
            "The quoting enclave's identity is issued in an hour.";
        TcbInfoOfOtherFmspc, "tcb-info-of-other-fmspc", "CHAIN", Vendor,
            "The TCB info is of another family of platforms than the PCK certificate.";
        TcbInfoOfOtherPceId, "tcb-info-of-other-pce-id", "CHAIN", Vendor,
            "The TCB info is of another provisioning enclave than the PCK certificate.";
        SgxTcbInfo, "sgx-tcb-info", "CHAIN", Vendor,
            "The TCB info is the one for SGX.";
        SgxQeIdentity, "sgx-qe-identity", "CHAIN", Vendor,
            "The identity is that of SGX's quoting enclave.";
        QeSignerMismatch, "qe-signer-mismatch", "CHAIN", Device,
            "The quoting enclave is signed by somebody else than its identity says.";
        QeProductMismatch, "qe-product-mismatch", "CHAIN", Device,
            "The enclave is another product of the same signer than its identity says.";
        QeMiscselectMismatch, "qe-miscselect-mismatch", "CHAIN", Device,
            "The quoting enclave's MISCSELECT is not that of its identity.";
        QeAttributesMismatch, "qe-attributes-mismatch", "CHAIN", Device,
            "The quoting enclave's attributes are not those of its identity.";
        DebugQe, "debug-qe", "CHAIN", Device,
            "The quoting enclave may be debugged, so its key is not secret.";

        // The firmware.
        OldEvaluationNumber, "old-evaluation-number", "TCB", Vendor,
            "TCB info and identity are in date, but from an older evaluation than the policy's minimum.";
        TcbOutOfDate, "tcb-out-of-date", "TCB", Vendor,
            "The platform's firmware is out of date.";
        TcbSwHardeningNeeded, "tcb-sw-hardening-needed", "TCB", Vendor,
            "The platform's firmware needs software to defend itself.";
        TcbConfigurationNeeded, "tcb-configuration-needed", "TCB", Vendor,
            "The platform needs another configuration.";
        TcbConfigurationAndSwHardeningNeeded, "tcb-configuration-and-sw-hardening-needed", "TCB", Vendor,
            "The platform needs another configuration, and software to defend itself.";
        TcbOutOfDateConfigurationNeeded, "tcb-out-of-date-configuration-needed", "TCB", Vendor,
            "The platform's firmware is out of date, and it needs another configuration.";
        TcbRevoked, "tcb-revoked", "TCB", Vendor,
            "The platform's firmware is revoked.";
        NoTcbLevel, "no-tcb-level", "TCB", Vendor,
            "The platform's firmware is older than the lowest level of the TCB info.";
        OldPlatformFirmware, "old-platform-firmware", "TCB", Vendor,
            "The PCK certificate is for older microcode, whose level is out of date.";
        OldTdxMicrocode, "old-tdx-microcode", "TCB", Device,
            "The quote's TDX microcode version reaches no level but one that is out of date.";
        ModuleOutOfDate, "module-out-of-date", "TCB", Device,
            "The TDX module is a version that is out of date.";
        ModuleTooOld, "module-too-old", "TCB", Device,
            "The TDX module is older than its identity's lowest level.";
        ModuleRevoked, "module-revoked", "TCB", Vendor,
            "The TDX module's version is revoked.";
        ModuleIdentityMissing, "module-identity-missing", "TCB", Device,
            "The TDX module has a major version that the TCB info does not know.";
        ModuleOfOtherSigner, "module-of-other-signer", "TCB", Device,
            "The TDX module is signed by somebody else than its identity says.";
        RelaunchAdvised, "relaunch-advised", "TCB", Device,
            "The TDX module was updated under the running TD; the one that launched it is out of date.";
        QeOutOfDate, "qe-out-of-date", "TCB", Device,
            "The quoting enclave is a version that is out of date.";
        QeTooOld, "qe-too-old", "TCB", Device,
            "The quoting enclave is older than its identity's lowest level.";
        QeRevoked, "qe-revoked", "TCB", Vendor,
            "The quoting enclave's version is revoked.";

        // What the quote says.
        WrongReportData, "wrong-report-data", "REPORT_DATA", Device,
            "The quote is bound to other report data than was asked for.";
        ReportDataPrefixOnly, "report-data-prefix-only", "REPORT_DATA", Device,
            "The report data equals what was asked for in all but its last bit.";
        DebugOn, "debug-on", "DEBUG", Device,
            "The TD's attributes let the host debug it.";
        Migratable, "migratable", "MIGRATABLE", Device,
            "The TD's attributes let it be migrated.";
        ServiceTd, "service-td", "MIGRATABLE", Device,
            "A service TD, which could migrate this one, is bound to it.";
        SeptVeEnabled, "sept-ve-enabled", "PLATFORM_NOT_ALLOWED", Device,
            "The host may take away pages and have the TD told by an exception.";
        TudBit, "tud-bit", "PLATFORM_NOT_ALLOWED", Device,
            "The TD's attributes have a bit of the group that puts it off the trusted path.";
        ReservedAttribute, "reserved-attribute", "PLATFORM_NOT_ALLOWED", Device,
            "The TD's attributes have a bit that nobody has specified.";
        XfamFixedBitClear, "xfam-fixed-bit-clear", "PLATFORM_NOT_ALLOWED", Device,
            "The processor features lack one that every TD has.";
        XfamReservedBit, "xfam-reserved-bit", "PLATFORM_NOT_ALLOWED", Device,
            "The processor features have a bit that nobody has specified.";
        OtherFmspc, "other-fmspc", "PLATFORM_NOT_ALLOWED", Vendor,
            "A genuine quote of a family of platforms that the policy does not name.";
        OtherPlatform, "other-platform", "PLATFORM_NOT_ALLOWED", Vendor,
            "A genuine quote of another platform, which the policy does not name.";
        OtherMrTd, "other-mr-td", "MEASUREMENT", Device,
            "A genuine quote of a TD with other firmware.";
        OtherRtmr0, "other-rtmr0", "MEASUREMENT", Device,
            "A genuine quote of a TD whose firmware was configured otherwise.";
        OtherRtmr1, "other-rtmr1", "MEASUREMENT", Device,
            "A genuine quote of a TD that started another kernel.";
        OtherRtmr2, "other-rtmr2", "MEASUREMENT", Device,
            "A genuine quote of a TD whose kernel had another command line.";
        OtherRtmr3, "other-rtmr3", "MEASUREMENT", Device,
            "A genuine quote of a TD with another application.";
        OtherMrConfigId, "other-mr-config-id", "HOST_DATA", Device,
            "A genuine quote of a TD that was started with another configuration.";
        OtherMrOwner, "other-mr-owner", "HOST_DATA", Device,
            "A genuine quote of a TD of another owner.";
        OtherMrOwnerConfig, "other-mr-owner-config", "HOST_DATA", Device,
            "A genuine quote of a TD with another configuration of its owner.";

        // The event log.
        EventLogFlippedDigest, "event-log-flipped-digest", "EVENT_LOG", Device,
            "One bit of a digest in the event log is flipped.";
        EventLogMissingEvent, "event-log-missing-event", "EVENT_LOG", Device,
            "The event log lacks its last event.";
        EventLogReordered, "event-log-reordered", "EVENT_LOG", Device,
            "Two events of one register have changed places in the log.";
        EventLogOtherRegister, "event-log-other-register", "EVENT_LOG", Device,
            "An event stands in the log under another register.";
    }
}
