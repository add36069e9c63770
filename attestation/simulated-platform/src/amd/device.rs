//! A simulated chip and the guest that it reports on.

use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{
    fault::Fault,
    fault_in_report::{alter_bytes, alter_fields},
    keys::device_key,
    leaf::{Leaf, Subject},
    product::{Product, Tcb},
    report::{ReportFields, ReportVersion, SigningKey},
};
use crate::{certificate::Validity, error::SimulationError, keys::elliptic::EllipticKey};

const CHIP_ID_LABEL: &[u8] = b"strongroom/simulated-platform/chip-id/v1\0";
const REPORT_ID_LABEL: &[u8] = b"strongroom/simulated-platform/report-id/v1\0";
const MEASUREMENT_LABEL: &[u8] = b"strongroom/simulated-platform/measurement/v1\0";

/// A development device: a chip's key, its certificate chain, and the guest whose launch
/// measurement and host data it reports. It never holds a key of the vendor.
///
/// It signs whatever report data its holder asks for, as the firmware does.
pub struct SimulatedDevice {
    pub(crate) product: Product,
    pub(crate) report_version: ReportVersion,
    pub(crate) key: EllipticKey,
    pub(crate) key_kind: KeyKind,
    pub(crate) chip_id: [u8; 64],
    pub(crate) tcb: Tcb,
    pub(crate) measurement: [u8; 48],
    pub(crate) host_data: [u8; 32],
    pub(crate) endorsements: Vec<Vec<u8>>,
}

/// What vouches for the device's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// A chip's own.
    Vcek,
    /// One that a cloud provider loaded.
    Vlek { csp_id: String },
}

/// One report and what is needed to verify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedEvidence {
    /// The attestation report, 1184 bytes (unless a fault cuts or extends it).
    pub report: Vec<u8>,
    /// DER: the device's certificate (VCEK or VLEK), its issuer (ASK or ASVK), the root
    /// (ARK), the revocation list.
    pub endorsements: Vec<Vec<u8>>,
}

/// The launch measurement that a simulated guest of this image has: SHA-384 of a label and
/// the image, since there is no firmware here that would measure pages.
#[must_use]
pub fn launch_measurement(image: &[u8]) -> [u8; 48] {
    Sha384::new().chain_update(MEASUREMENT_LABEL).chain_update(image).finalize().into()
}

impl SimulatedDevice {
    /// Evidence for `report_data`, with no fault in it.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails.
    pub fn report(&self, report_data: &[u8; 64]) -> Result<SimulatedEvidence, SimulationError> {
        Ok(SimulatedEvidence {
            report: self.fields(report_data).sign(&self.key)?,
            endorsements: self.endorsements.clone(),
        })
    }

    /// Evidence for `report_data` with a fault in the report itself.
    ///
    /// # Errors
    /// [`SimulationError::NeedsVendor`] where the fault is in a certificate: a device cannot
    /// make those, [`SimulatedAmd::report_with_fault`](crate::SimulatedAmd::report_with_fault) can.
    pub fn report_with_fault(
        &self,
        report_data: &[u8; 64],
        fault: Fault,
    ) -> Result<SimulatedEvidence, SimulationError> {
        if fault.needs_vendor() {
            return Err(SimulationError::NeedsVendor { fault: fault.name() });
        }
        self.faulty_report(report_data, fault)
    }

    /// The same device running a guest with another launch measurement.
    #[must_use]
    pub fn with_measurement(self, measurement: [u8; 48]) -> Self {
        Self { measurement, ..self }
    }

    /// The same device running a guest started with other host data.
    #[must_use]
    pub fn with_host_data(self, host_data: [u8; 32]) -> Self {
        Self { host_data, ..self }
    }

    /// The same device with firmware that writes another report version (5 by default).
    #[must_use]
    pub fn with_report_version(self, report_version: ReportVersion) -> Self {
        Self { report_version, ..self }
    }

    /// Its product line.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product
    }

    /// The CHIP_ID field of its reports; all zero where the key is a loaded one.
    #[must_use]
    pub fn chip_id(&self) -> &[u8; 64] {
        &self.chip_id
    }

    /// The launch measurement of its guest.
    #[must_use]
    pub fn measurement(&self) -> &[u8; 48] {
        &self.measurement
    }

    /// The host data of its guest.
    #[must_use]
    pub fn host_data(&self) -> &[u8; 32] {
        &self.host_data
    }

    /// The firmware versions that it reports.
    #[must_use]
    pub fn tcb(&self) -> Tcb {
        self.tcb
    }

    /// DER: its certificate, the issuer's, the root's, and the revocation list.
    #[must_use]
    pub fn endorsements(&self) -> &[Vec<u8>] {
        &self.endorsements
    }

    pub(crate) fn new(
        product: Product,
        key_kind: KeyKind,
        chip_secret: [u8; 32],
        measurement: [u8; 48],
        host_data: [u8; 32],
    ) -> Result<Self, SimulationError> {
        let chip_id = match key_kind {
            KeyKind::Vcek => chip_id(product, &chip_secret),
            KeyKind::Vlek { .. } => [0; 64],
        };
        Ok(Self {
            product,
            report_version: ReportVersion::V5,
            key: device_key(&chip_secret)?,
            key_kind,
            chip_id,
            tcb: product.current_tcb(),
            measurement,
            host_data,
            endorsements: Vec::new(),
        })
    }

    pub(crate) fn with_endorsements(self, endorsements: Vec<Vec<u8>>) -> Self {
        Self { endorsements, ..self }
    }

    /// What its certificate says.
    pub(crate) fn leaf(&self, validity: Validity) -> Result<Leaf, SimulationError> {
        let (subject, product_name) = match &self.key_kind {
            KeyKind::Vcek => (
                Subject::Vcek { hardware_id: Some(hardware_id(self.product, &self.chip_id)) },
                self.product.vcek_product_name(),
            ),
            KeyKind::Vlek { csp_id } => (Subject::Vlek { csp_id: csp_id.clone() }, self.product.name()),
        };
        Ok(Leaf {
            issuing_product: self.product,
            subject,
            product_name: product_name.to_owned(),
            tcb: self.tcb,
            public_key_info: self.key.public_key_info()?,
            validity,
            says_development: true,
            unknown_critical_extension: false,
        })
    }

    /// The report of any fault, beside the device's own, sound endorsements.
    pub(crate) fn faulty_report(
        &self,
        report_data: &[u8; 64],
        fault: Fault,
    ) -> Result<SimulatedEvidence, SimulationError> {
        let mut fields = self.fields(report_data);
        alter_fields(fault, &mut fields, self);
        let mut report = fields.sign(&self.key)?;
        alter_bytes(fault, &mut report);
        Ok(SimulatedEvidence { report, endorsements: self.endorsements.clone() })
    }

    /// The chip id of a neighbour: another chip of the same product.
    pub(crate) fn other_chip_id(&self) -> [u8; 64] {
        chip_id(self.product, &Sha256::digest(self.chip_id).into())
    }

    fn fields(&self, report_data: &[u8; 64]) -> ReportFields {
        let signing_key = match self.key_kind {
            KeyKind::Vcek => SigningKey::Vcek,
            KeyKind::Vlek { .. } => SigningKey::Vlek,
        };
        let report_id = Sha256::new()
            .chain_update(REPORT_ID_LABEL)
            .chain_update(self.chip_id)
            .chain_update(self.measurement)
            .finalize();
        ReportFields {
            key_info: signing_key.key_info(),
            report_data: *report_data,
            measurement: self.measurement,
            host_data: self.host_data,
            report_id: report_id.into(),
            cpuid: self.product.cpuid(),
            chip_id: self.chip_id,
            ..ReportFields::healthy(self.report_version, self.tcb.to_bytes())
        }
    }
}

/// The part of a chip id that its certificate repeats.
pub(crate) fn hardware_id(product: Product, chip_id: &[u8; 64]) -> Vec<u8> {
    chip_id[..product.hardware_id_length()].to_vec()
}

fn chip_id(product: Product, chip_secret: &[u8; 32]) -> [u8; 64] {
    let mut id: [u8; 64] = Sha512::new().chain_update(CHIP_ID_LABEL).chain_update(chip_secret).finalize().into();
    id[product.hardware_id_length()..].fill(0);
    id
}
