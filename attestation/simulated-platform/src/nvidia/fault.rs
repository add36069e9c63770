//! The catalogue of named faults in the evidence of GPUs and switches.
//!
//! The codes hold under a policy that pins the unbroken set: its devices (by `ueid`), their
//! number and mode, and the links between GPUs and switches; that wants firmware identities,
//! manifests and answers about revocation; with the nonce that was asked for, and this vendor's
//! two roots as the only anchors.

use super::{architecture::NvidiaArchitecture, set::GpuTopology};
use crate::fault_catalogue::catalogue;

catalogue! {
    /// One way in which the evidence of NVIDIA devices can be wrong. Where it is in one device,
    /// that is the first GPU (or the first switch).
    NvidiaFault {
        // The report's form.
        TruncatedReport, "truncated-report", "PARSE", Device,
            "The report lacks its last byte.";
        ExtendedReport, "extended-report", "PARSE", Device,
            "The report has a zero byte behind its signature.";
        Spdm12, "spdm-1-2", "PARSE", Device,
            "Request and response say SPDM 1.2, which has another signed message.";
        OtherRequest, "other-request", "PARSE", Device,
            "The request is for something else than measurements.";
        NoSignatureRequested, "no-signature-requested", "PARSE", Device,
            "The request does not ask for a signature.";
        LongMeasurementRecord, "long-measurement-record", "PARSE", Device,
            "The declared length of the measurements is one byte too large.";
        MeasurementIndexZero, "measurement-index-zero", "PARSE", Device,
            "A measurement has index 0, which SPDM reserves.";
        RepeatedMeasurementIndex, "repeated-measurement-index", "PARSE", Device,
            "Two measurements have one index.";
        ShortMeasurement, "short-measurement", "PARSE", Device,
            "A measurement has 32 bytes instead of 48.";
        MeasurementSpecification, "measurement-specification", "PARSE", Device,
            "A measurement is not in DMTF's form.";
        RepeatedField, "repeated-field", "PARSE", Device,
            "The driver's version stands in the report twice.";
        UnknownField, "unknown-field", "PARSE", Device,
            "The report has a field of a type that nobody has specified.";
        TruncatedField, "truncated-field", "PARSE", Device,
            "The declared length of the last field reaches beyond the report's fields.";
        OpaqueDataVersion2, "opaque-data-version-2", "PARSE", Device,
            "The report's fields are of version 2, which nobody has specified.";
        UnknownDecoderStatus, "unknown-decoder-status", "PARSE", Device,
            "The video decoder is neither enabled nor disabled.";

        // Freshness.
        WrongNonce, "wrong-nonce", "NONCE", Device,
            "All reports answer another nonce than was asked for.";
        NoncesDiffer, "nonces-differ", "NONCE", Device,
            "The second report answers another nonce than the first.";

        // The device's chain.
        RootOnly, "root-only", "NO_ENDORSEMENT", Device,
            "Only the root's certificate is supplied.";
        MissingProvisioner, "missing-provisioner", "CHAIN", Device,
            "The provisioning authority's certificate is not supplied.";
        SwappedCertificates, "swapped-certificates", "CHAIN", Device,
            "The second and third certificates have changed places.";
        SixCertificates, "six-certificates", "CHAIN", Device,
            "The root's certificate stands at the end of the chain twice.";
        ForeignRoot, "foreign-root", "CHAIN", Vendor,
            "The chain ends in another development vendor's root, with the same name.";
        WrongBromIssuer, "wrong-brom-issuer", "CHAIN", Vendor,
            "The boot ROM's certificate names the provisioning authority and is signed by another key.";
        BromIsNoAuthority, "brom-is-no-authority", "CHAIN", Vendor,
            "The boot ROM's certificate does not make it a certificate authority.";
        LeafIsAuthority, "leaf-is-authority", "CHAIN", Vendor,
            "The leaf is a certificate authority.";
        OtherIdentity, "other-identity", "CHAIN", Vendor,
            "The provisioning authority is certified by the identity authority of another line of devices.";
        MissingDevelopmentExtension, "missing-development-extension", "CHAIN", Vendor,
            "The leaf lacks the extension that marks development certificates.";
        LongLivedDevelopment, "long-lived-development", "CHAIN", Vendor,
            "The boot ROM's certificate is for development and lives for eight days.";
        UnknownCriticalExtension, "unknown-critical-extension", "CHAIN", Vendor,
            "The leaf has a critical extension that no verifier knows.";
        ExpiredLeaf, "expired-leaf", "COLLATERAL_EXPIRED", Vendor,
            "The leaf expired an hour ago.";
        NotYetValidBrom, "not-yet-valid-brom", "COLLATERAL_EXPIRED", Vendor,
            "The boot ROM's certificate begins in an hour.";
        OtherChipInfo, "other-chip-info", "CHAIN", Device,
            "The report names another chip than the certificates.";
        SwitchIdentityMismatch, "switch-identity-mismatch", "CHAIN", Device,
            "One switch gives itself another identifier than its boot ROM's certificate has.";
        FwidMismatch, "fwid-mismatch", "CHAIN", Vendor,
            "The leaf is for other firmware than the report's.";
        FwidMissingFromLeaf, "fwid-missing-from-leaf", "CHAIN", Vendor,
            "The leaf does not say which firmware holds its key.";
        FwidMissingFromReport, "fwid-missing-from-report", "CHAIN", Device,
            "The report does not say which firmware made it.";

        // The report's signature.
        FlippedReport, "flipped-report", "SIGNATURE", Device,
            "One bit of a measurement is flipped after the report was signed.";
        FlippedReportSignature, "flipped-report-signature", "SIGNATURE", Device,
            "One bit of the report's signature is flipped.";
        ChainOfAnotherGpu, "chain-of-another-gpu", "SIGNATURE", Vendor,
            "The chain is of another GPU with the same firmware than the one that signed the report.";

        // What vouches for the manifests.
        MissingManifest, "missing-manifest", "NO_ENDORSEMENT", Device,
            "The driver's manifest is not supplied.";
        EditedManifest, "edited-manifest", "SIGNATURE", Device,
            "A golden value is changed after the driver's manifest was signed.";
        ManifestByOtherKey, "manifest-by-other-key", "SIGNATURE", Vendor,
            "The driver's manifest is signed by another key than its first certificate's.";
        ManifestByOutsider, "manifest-by-outsider", "CHAIN", Vendor,
            "The driver's manifest is signed by a key whose certificate the authority that it names did not sign.";
        ManifestForeignRoot, "manifest-foreign-root", "CHAIN", Vendor,
            "The driver's manifest leads to another development vendor's root, with the same name.";
        ManifestIntermediateIsNoAuthority, "manifest-intermediate-is-no-authority", "CHAIN", Vendor,
            "The authority above the signer of the driver's manifest is no certificate authority.";
        ManifestWithoutCa, "manifest-without-ca", "CHAIN", Device,
            "The third of the four certificates in the driver's manifest is left out.";
        UnmarkedManifestSigner, "unmarked-manifest-signer", "CHAIN", Vendor,
            "The signer of the driver's manifest lacks the extension that marks development certificates.";
        ExpiredManifestSigner, "expired-manifest-signer", "COLLATERAL_EXPIRED", Vendor,
            "The certificate that signs the driver's manifest expired an hour ago.";
        FutureManifestSigner, "future-manifest-signer", "COLLATERAL_EXPIRED", Vendor,
            "The certificate that signs the driver's manifest begins in an hour.";

        // The manifests' form.
        ManifestWithComment, "manifest-with-comment", "PARSE", Device,
            "The driver's manifest has a comment, which its signature does not cover.";
        ManifestWithDoctype, "manifest-with-doctype", "PARSE", Device,
            "The driver's manifest has a document type declaration, which its signature does not cover.";
        ManifestWithoutSignature, "manifest-without-signature", "PARSE", Device,
            "The driver's manifest has no signature.";
        ManifestWithTwoSignatures, "manifest-with-two-signatures", "PARSE", Device,
            "The driver's manifest has its signature twice.";
        ManifestRepeatedIndex, "manifest-repeated-index", "PARSE", Vendor,
            "The driver's manifest has two entries of one index.";
        ManifestAlternatives, "manifest-alternatives", "PARSE", Vendor,
            "An entry of the driver's manifest says that it has one value more than it has.";
        ManifestShortHash, "manifest-short-hash", "PARSE", Vendor,
            "A value in the driver's manifest has 32 bytes instead of 48.";

        // Revocation.
        MissingOcsp, "missing-ocsp", "REVOKED", Device,
            "No answer about the boot ROM's certificate is supplied.";
        UnsuccessfulOcsp, "unsuccessful-ocsp", "PARSE", Device,
            "Instead of an answer about the boot ROM's certificate there is the responder's \"unauthorized\".";
        RevokedBrom, "revoked-brom", "REVOKED", Vendor,
            "The boot ROM's certificate is revoked.";
        RevokedProvisioner, "revoked-provisioner", "REVOKED", Vendor,
            "The provisioning authority's certificate is revoked.";
        RevokedManifestSigner, "revoked-manifest-signer", "REVOKED", Vendor,
            "The certificate that signs the driver's manifest is revoked.";
        BromOnHold, "brom-on-hold", "REVOKED", Vendor,
            "The boot ROM's certificate is on hold.";
        UnknownBrom, "unknown-brom", "REVOKED", Vendor,
            "The responder does not know the boot ROM's certificate.";
        OcspOfAnotherCertificate, "ocsp-of-another-certificate", "REVOKED", Vendor,
            "The answer is about another boot ROM's certificate, and there is none about this one's.";
        OcspByOtherKey, "ocsp-by-other-key", "REVOKED", Vendor,
            "The answer about the boot ROM's certificate is signed by another key than its responder's.";
        ForeignResponder, "foreign-responder", "REVOKED", Vendor,
            "The responder's certificate names the boot ROM's issuer and is signed by another key.";
        ResponderOfAnotherAuthority, "responder-of-another-authority", "REVOKED", Vendor,
            "The responder is delegated by the identity authority and not by the boot ROM's issuer.";
        ResponderWithoutPurpose, "responder-without-purpose", "REVOKED", Vendor,
            "The responder's certificate is for servers and not for answers about revocation.";
        UnmarkedResponder, "unmarked-responder", "REVOKED", Vendor,
            "The responder's certificate lacks the extension that marks development certificates.";
        StaleOcsp, "stale-ocsp", "COLLATERAL_EXPIRED", Vendor,
            "The answer about the boot ROM's certificate should have been renewed an hour ago.";
        FutureOcsp, "future-ocsp", "COLLATERAL_EXPIRED", Vendor,
            "The answer about the boot ROM's certificate is given in an hour.";
        RevokedByList, "revoked-by-list", "REVOKED", Vendor,
            "The root's revocation list has the identity authority, of which the answer says that it is good.";

        // Which devices these are, and how they belong together.
        ExtraGpu, "extra-gpu", "PLATFORM_NOT_ALLOWED", Vendor,
            "One genuine GPU more than the set has.";
        RepeatedGpu, "repeated-gpu", "PLATFORM_NOT_ALLOWED", Device,
            "One GPU stands in the evidence twice.";
        MissingGpu, "missing-gpu", "PLATFORM_NOT_ALLOWED", Device,
            "One GPU of the set is not in the evidence.";
        ForeignGpu, "foreign-gpu", "PLATFORM_NOT_ALLOWED", Vendor,
            "A genuine GPU of another machine stands in the place of one of the set.";
        OtherMode, "other-mode", "PLATFORM_NOT_ALLOWED", Device,
            "One GPU runs in another mode than was asked for.";
        ProtectedPcieOff, "protected-pcie-off", "PLATFORM_NOT_ALLOWED", Device,
            "One GPU of a protected PCIe board says that protected PCIe is off.";
        MissingSwitch, "missing-switch", "PLATFORM_NOT_ALLOWED", Device,
            "One switch of the board is not in the evidence.";
        RepeatedSwitch, "repeated-switch", "PLATFORM_NOT_ALLOWED", Device,
            "One switch stands in the evidence twice, in another's place.";
        ForeignSwitch, "foreign-switch", "PLATFORM_NOT_ALLOWED", Vendor,
            "A genuine switch of another board stands in the place of one of this board.";
        GpuWithoutSwitch, "gpu-without-switch", "PLATFORM_NOT_ALLOWED", Device,
            "One GPU has no link to one of the switches.";
        SwitchWithOtherGpu, "switch-with-other-gpu", "PLATFORM_NOT_ALLOWED", Device,
            "One switch names a GPU that is not in the evidence in the place of one that is.";
        SwitchesWithOtherGpu, "switches-with-other-gpu", "PLATFORM_NOT_ALLOWED", Device,
            "All switches name one GPU that no certificate is of, in the place of one that is in the evidence.";

        // What runs on them.
        DriverMeasurement, "driver-measurement", "MEASUREMENT", Device,
            "One measurement of the driver is another than its manifest's.";
        VbiosMeasurement, "vbios-measurement", "MEASUREMENT", Device,
            "One measurement of the VBIOS is another than its manifest's.";
        SwitchMeasurement, "switch-measurement", "MEASUREMENT", Device,
            "One measurement of a switch is another than its manifest's.";
        MissingMeasurement, "missing-measurement", "MEASUREMENT", Device,
            "The report lacks a measurement for which the driver's manifest has a value.";
        ManifestOfAnotherDriver, "manifest-of-another-driver", "MEASUREMENT", Vendor,
            "The driver's manifest is one of another version, under this one's name.";
        ManifestOfAnotherProduct, "manifest-of-another-product", "MEASUREMENT", Vendor,
            "The driver's manifest is one of another line of GPUs, under this one's name.";
        OverlappingManifests, "overlapping-manifests", "MEASUREMENT", Vendor,
            "The VBIOS's manifest has a value for a measurement of the driver too.";
        TwoIssues, "two-issues", "MEASUREMENT", Vendor,
            "The VBIOS's manifest is supplied in two signed issues, of which the device matches one.";
    }
}

impl NvidiaFault {
    /// Whether a set of that topology can have it.
    #[must_use]
    pub fn is_possible_on(self, topology: GpuTopology) -> bool {
        match self {
            Self::NoncesDiffer | Self::MissingGpu => topology.gpu_count() > 1,
            Self::ProtectedPcieOff
            | Self::MissingSwitch
            | Self::RepeatedSwitch
            | Self::ForeignSwitch
            | Self::GpuWithoutSwitch
            | Self::SwitchWithOtherGpu
            | Self::SwitchesWithOtherGpu
            | Self::SwitchIdentityMismatch
            | Self::SwitchMeasurement => topology == GpuTopology::ProtectedPcie,
            // Only Blackwell's reports name the chip.
            Self::OtherChipInfo => topology.architecture() == NvidiaArchitecture::Blackwell && topology.gpu_count() > 0,
            _ => topology.gpu_count() > 0,
        }
    }
}
