//! The development vendor: the root and intermediate of virtual TPMs, and the machines whose
//! attestation keys they vouch for.

use super::{
    authority::{AkCertificate, Intermediate, root_certificate},
    evidence::{AzureEvidence, EvidenceVersion},
    fault::AzureFault,
    fault_in_certificates::faulty_certificates,
    platform::AzurePlatform,
    vm::SimulatedAzureVm,
    vtpm_keys::VtpmKeys,
};
use crate::{
    certificate::Validity,
    der::Der,
    error::SimulationError,
    keys::rsa::{Algorithm, RsaIssuer, RsaKey, Size},
};

/// A development vendor shaped like Microsoft's cloud: "Azure Virtual TPM Root Certificate
/// Authority 2023" and "Global Virtual TPM CA - 01", each with the development suffix. The
/// hardware below its machines is another vendor's.
///
/// Its certificates hold for six days from the `now` that they were made with.
pub struct SimulatedAzure {
    pub(crate) keys: VendorKeys,
    pub(crate) root_certificate: Der,
}

/// The private halves.
pub(crate) struct VendorKeys {
    pub(crate) root: RsaKey,
    pub(crate) intermediate: RsaKey,
}

impl SimulatedAzure {
    /// A vendor with fresh keys that nobody else has. One is RSA-4096: some seconds.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails; [`SimulationError::Encoding`]
    /// where `now` lies beyond the year 9999.
    pub fn generate(now: u64) -> Result<Self, SimulationError> {
        let keys =
            VendorKeys { root: RsaKey::generate(Size::Rsa4096)?, intermediate: RsaKey::generate(Size::Rsa2048)? };
        Self::with_keys(keys, now)
    }

    /// The vendor whose private keys are published in `development-root/`: for tests,
    /// examples and vectors only.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn published(now: u64) -> Result<Self, SimulationError> {
        let root = include_bytes!("../../development-root/azure-root-key.der");
        let intermediate = include_bytes!("../../development-root/azure-ca-key.der");
        let keys = VendorKeys {
            root: RsaKey::from_pkcs8(Size::Rsa4096, root, "the published virtual TPM root")?,
            intermediate: RsaKey::from_pkcs8(Size::Rsa2048, intermediate, "the published virtual TPM CA")?,
        };
        Self::with_keys(keys, now)
    }

    /// The certificate of the root, DER: the anchor of a verifier that accepts this vendor's
    /// attestation keys.
    #[must_use]
    pub fn root_certificate_der(&self) -> &[u8] {
        &self.root_certificate
    }

    /// A machine on that hardware (a `SimulatedDevice` or a `SimulatedTd`), with that virtual TPM. Its attestation key's certificate
    /// holds for six days from `now`.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn vm(
        &self,
        platform: impl Into<AzurePlatform>,
        keys: VtpmKeys,
        now: u64,
    ) -> Result<SimulatedAzureVm, SimulationError> {
        let validity = Validity::around(now);
        let intermediate =
            Intermediate { key: &self.keys.intermediate, validity, may_issue: true }.sign(&self.keys.issuing_root())?;
        let leaf = ak_certificate(&keys.attestation, validity).sign(&self.keys.issuing_intermediate())?;
        Ok(SimulatedAzureVm::new(platform.into(), keys, vec![leaf, intermediate, self.root_certificate.clone()]))
    }

    /// Evidence of `vm` that is broken in one way, however much of the chain has to be signed
    /// anew for it (with `now` as the moment of issue).
    ///
    /// # Errors
    /// As [`SimulatedAzureVm::evidence_with_fault`], but for the vendor's keys, which it has.
    pub fn evidence_with_fault(
        &self,
        vm: &SimulatedAzureVm,
        nonce: &[u8],
        version: EvidenceVersion,
        fault: AzureFault,
        now: u64,
    ) -> Result<AzureEvidence, SimulationError> {
        if !fault.needs_vendor() {
            return vm.evidence_with_fault(nonce, version, fault);
        }
        let certificates = faulty_certificates(self, vm, fault, now)?;
        vm.faulty_evidence(nonce, version, fault, certificates)
    }

    fn with_keys(keys: VendorKeys, now: u64) -> Result<Self, SimulationError> {
        let root_certificate = root_certificate(&keys.root, Validity::around(now))?;
        Ok(Self { keys, root_certificate })
    }
}

impl VendorKeys {
    /// The root signs with SHA-384.
    pub(crate) fn issuing_root(&self) -> RsaIssuer<'_> {
        self.root.issuing(Algorithm::Pkcs1Sha384)
    }

    /// The intermediate signs with SHA-256.
    pub(crate) fn issuing_intermediate(&self) -> RsaIssuer<'_> {
        self.intermediate.issuing(Algorithm::Pkcs1Sha256)
    }
}

/// What the certificate of that attestation key says.
pub(crate) fn ak_certificate(key: &RsaKey, validity: Validity) -> AkCertificate<'_> {
    let vm = hex::encode(key.identifier().get(..6).unwrap_or_default());
    AkCertificate { key, vm, validity, says_development: true, unknown_critical_extension: false }
}
