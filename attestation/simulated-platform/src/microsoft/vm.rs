//! A simulated confidential virtual machine with a virtual TPM.

use sha2::{Digest, Sha256};

use super::{
    evidence::{AzureEvidence, EvidenceVersion},
    fault::AzureFault,
    fault_in_vm::{
        alter_attest, alter_hardware, alter_hcl, alter_hcl_bytes, alter_report_data, alter_runtime,
        alter_runtime_bytes, alter_tpm_quote,
    },
    hcl_report::{HclReport, HclVersion},
    platform::{AzureHardware, AzurePlatform},
    runtime_data::{RuntimeData, VmConfiguration, root_thumbprint},
    tpm_quote::{Attest, PCR_COUNT},
    vtpm_keys::{VtpmKeys, stranger},
};
use crate::{error::SimulationError, keys::rsa::RsaKey};

const PCR_LABEL: &[u8] = b"strongroom/simulated-platform/pcr/v1\0";
const ID_LABEL: &[u8] = b"strongroom/simulated-platform/vm-id/v1\0";
/// Bytes of the TPM's storage that holds the attestation key's certificate.
const CERTIFICATE_STORAGE: usize = 4096;

/// A development machine: hardware, a paravisor that keeps its report, and a virtual TPM that
/// quotes. It never holds a key of a vendor.
pub struct SimulatedAzureVm {
    pub(crate) platform: AzurePlatform,
    pub(crate) keys: VtpmKeys,
    ak_certificates: Vec<Vec<u8>>,
    pub(crate) hcl_version: HclVersion,
    pub(crate) secure_boot: bool,
    pcrs: [[u8; 32]; PCR_COUNT],
    pub(crate) user_data: [u8; 64],
}

impl SimulatedAzureVm {
    /// Evidence for `nonce`, with no fault in it.
    ///
    /// # Errors
    /// [`SimulationError::TooLong`] where the nonce has more than 64 bytes in version 2 (more
    /// than 65535 in version 1); [`SimulationError::Crypto`] where the provider fails.
    pub fn evidence(&self, nonce: &[u8], version: EvidenceVersion) -> Result<AzureEvidence, SimulationError> {
        self.make(nonce, version, None, self.ak_certificates.clone())
    }

    /// Evidence for `nonce` with a fault in anything but a certificate.
    ///
    /// # Errors
    /// As [`evidence`](Self::evidence); [`SimulationError::NeedsVendor`] where the fault is in
    /// a certificate, which
    /// [`SimulatedAzure::evidence_with_fault`](crate::SimulatedAzure::evidence_with_fault) makes;
    /// [`SimulationError::OtherHardware`] where this machine's hardware cannot have it.
    pub fn evidence_with_fault(
        &self,
        nonce: &[u8],
        version: EvidenceVersion,
        fault: AzureFault,
    ) -> Result<AzureEvidence, SimulationError> {
        if fault.needs_vendor() {
            return Err(SimulationError::NeedsVendor { fault: fault.name() });
        }
        self.faulty_evidence(nonce, version, fault, self.ak_certificates.clone())
    }

    /// The same machine with another version of the HCL report (2 by default).
    #[must_use]
    pub fn with_hcl_version(self, hcl_version: HclVersion) -> Self {
        Self { hcl_version, ..self }
    }

    /// The same machine, saying whether secure boot is on (it is by default).
    #[must_use]
    pub fn with_secure_boot(self, secure_boot: bool) -> Self {
        Self { secure_boot, ..self }
    }

    /// The same machine with other values in its registers.
    #[must_use]
    pub fn with_pcrs(self, pcrs: [[u8; 32]; PCR_COUNT]) -> Self {
        Self { pcrs, ..self }
    }

    /// The same machine having measured one thing more: the register (0 to 23) is SHA-256 of
    /// what it was and the digest.
    #[must_use]
    pub fn with_measured(mut self, register: usize, digest: [u8; 32]) -> Self {
        if let Some(value) = self.pcrs.get_mut(register) {
            *value = Sha256::new().chain_update(*value).chain_update(digest).finalize().into();
        }
        self
    }

    /// The same machine with user data in its runtime data (zero by default; version 2
    /// evidence has its nonce there).
    #[must_use]
    pub fn with_user_data(self, user_data: [u8; 64]) -> Self {
        Self { user_data, ..self }
    }

    /// What it runs on.
    #[must_use]
    pub fn platform(&self) -> &AzurePlatform {
        &self.platform
    }

    /// The values of the SHA-256 bank.
    #[must_use]
    pub fn pcrs(&self) -> &[[u8; 32]; PCR_COUNT] {
        &self.pcrs
    }

    /// DER: the attestation key's certificate, the intermediate's, the root's.
    #[must_use]
    pub fn ak_certificates(&self) -> &[Vec<u8>] {
        &self.ak_certificates
    }

    /// The attestation key's certificate as the TPM's storage has it: DER, then zeros up to
    /// 4096 bytes.
    #[must_use]
    pub fn stored_ak_certificate(&self) -> Vec<u8> {
        let mut storage = self.ak_certificates.first().cloned().unwrap_or_default();
        storage.resize(storage.len().max(CERTIFICATE_STORAGE), 0);
        storage
    }

    pub(crate) fn new(platform: AzurePlatform, keys: VtpmKeys, ak_certificates: Vec<Vec<u8>>) -> Self {
        Self {
            platform,
            keys,
            ak_certificates,
            hcl_version: HclVersion::V2,
            secure_boot: true,
            pcrs: booted_pcrs(),
            user_data: [0; 64],
        }
    }

    /// Evidence with those certificates, and a fault wherever else it is.
    pub(crate) fn faulty_evidence(
        &self,
        nonce: &[u8],
        version: EvidenceVersion,
        fault: AzureFault,
        ak_certificates: Vec<Vec<u8>>,
    ) -> Result<AzureEvidence, SimulationError> {
        if !fault.is_possible_on(self.platform.hardware()) {
            return Err(SimulationError::OtherHardware { fault: fault.name() });
        }
        self.make(nonce, version, Some(fault), ak_certificates)
    }

    fn make(
        &self,
        nonce: &[u8],
        version: EvidenceVersion,
        fault: Option<AzureFault>,
        ak_certificates: Vec<Vec<u8>>,
    ) -> Result<AzureEvidence, SimulationError> {
        let stranger = stranger()?;
        let user_data = self.user_data(nonce, version)?;
        let runtime = self.runtime_data(&self.keys.attestation, &user_data, fault)?;

        let mut report_data = binding(&runtime);
        alter_report_data(fault, &mut report_data);
        let mut hardware = self.platform.evidence(&report_data, fault)?;
        if fault == Some(AzureFault::TdQuoteOfOtherReport) {
            hardware.td_quote = self.platform.evidence(&[1; 64], None)?.td_quote;
        }
        alter_hardware(fault, self.platform.hardware(), &mut hardware);

        let shown = match fault {
            Some(AzureFault::RuntimeDataOfAnotherVm) => self.runtime_data(&stranger, &user_data, fault)?,
            _ => runtime,
        };
        let mut hcl = HclReport::new(self.hcl_version, self.platform.hardware().report_type());
        alter_hcl(fault, self.platform.hardware(), &mut hcl);
        let mut hcl_report = hcl.to_bytes(&hardware.report, &shown)?;
        alter_hcl_bytes(fault, &mut hcl_report);

        let signer = match fault {
            Some(AzureFault::RuntimeDataOfAnotherVm | AzureFault::OtherAk) => &stranger,
            _ => &self.keys.attestation,
        };
        let mut attest = Attest::new(nonce, self.pcrs);
        alter_attest(fault, &mut attest);
        let mut tpm_quote = attest.sign(signer)?;
        alter_tpm_quote(fault, &mut tpm_quote);

        Ok(AzureEvidence {
            version,
            hcl_report,
            tpm_quote,
            td_quote: hardware.td_quote,
            endorsements: hardware.endorsements,
            ak_certificates,
        })
    }

    /// Version 2 puts the nonce there, with zeros behind it.
    fn user_data(&self, nonce: &[u8], version: EvidenceVersion) -> Result<[u8; 64], SimulationError> {
        if version == EvidenceVersion::V1 {
            return Ok(self.user_data);
        }
        let mut user_data = [0; 64];
        let place = user_data.get_mut(..nonce.len()).ok_or(SimulationError::TooLong { what: "the nonce" })?;
        place.copy_from_slice(nonce);
        Ok(user_data)
    }

    fn runtime_data(
        &self,
        attestation: &RsaKey,
        user_data: &[u8; 64],
        fault: Option<AzureFault>,
    ) -> Result<Vec<u8>, SimulationError> {
        let newer = self.hcl_version == HclVersion::V2;
        let configuration = VmConfiguration {
            console_enabled: true,
            root_cert_thumbprint: newer.then(root_thumbprint),
            secure_boot: self.secure_boot,
            tpm_enabled: true,
            tpm_persisted: newer.then_some(self.platform.hardware() == AzureHardware::Snp),
            vm_unique_id: vm_unique_id(&self.keys.attestation),
        };
        let endorsement = self.keys.endorsement.modulus()?;
        let mut runtime = RuntimeData::new(&attestation.modulus()?, &endorsement, configuration, user_data);
        alter_runtime(fault, &mut runtime);
        let mut bytes = runtime.to_bytes()?;
        alter_runtime_bytes(fault, &mut bytes);
        Ok(bytes)
    }
}

/// SHA-256 of the runtime data, then zeros.
fn binding(runtime: &[u8]) -> [u8; 64] {
    let mut report_data = [0; 64];
    report_data[..32].copy_from_slice(&Sha256::digest(runtime));
    report_data
}

/// A GUID that follows from the attestation key.
fn vm_unique_id(attestation: &RsaKey) -> String {
    let digest = Sha256::new().chain_update(ID_LABEL).chain_update(attestation.identifier()).finalize();
    let digits = hex::encode_upper(&digest[..16]);
    let (a, b, c, d, e) = (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// What a boot leaves: 0 to 14 measured, 15 and 16 and 23 untouched, 17 to 22 without a
/// dynamic launch all ones.
fn booted_pcrs() -> [[u8; 32]; PCR_COUNT] {
    let mut pcrs = [[0; 32]; PCR_COUNT];
    for (register, value) in (0_u8..).zip(pcrs.iter_mut()) {
        *value = match register {
            0..=14 => Sha256::new().chain_update(PCR_LABEL).chain_update([register]).finalize().into(),
            17..=22 => [0xff; 32],
            _ => [0; 32],
        };
    }
    pcrs
}
