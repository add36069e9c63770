//! TDX quotes of versions 4 and 5: header, body, signature by the attestation key, and the
//! certification data that leads from that key to Intel's root.

use super::{
    qe_report::{QE_REPORT_LENGTH, QeReport},
    td_body::{TD10_LENGTH, TD15_LENGTH},
};
use crate::{error::SimulationError, keys::elliptic::EllipticKey};

pub(crate) const HEADER_LENGTH: usize = 48;
/// ECDSA with P-256 and SHA-256.
const KEY_TYPE: u16 = 2;
const TEE_TYPE: u32 = 0x81;
/// Intel's quoting enclave, the only one that exists.
const QE_VENDOR_ID: [u8; 16] =
    [0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07];
/// Certification data: the quoting enclave's report and what vouches for it.
pub(crate) const QE_REPORT_CERTIFICATION: u16 = 6;
/// Certification data: the PCK certificate chain as PEM.
pub(crate) const PCK_CHAIN: u16 = 5;
/// Bytes of a signature and of a public key.
const PAIR_LENGTH: usize = 64;

/// The layouts that current platforms write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuoteFormat {
    /// Version 4: a TDX 1.0 body right after the header.
    V4,
    /// Version 5 with a body of type 2, TDX 1.0.
    V5Td10,
    /// Version 5 with a body of type 3, TDX 1.5.
    V5Td15,
}

impl QuoteFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::V4, Self::V5Td10, Self::V5Td15];

    /// The version in the header.
    #[must_use]
    pub fn version(self) -> u16 {
        match self {
            Self::V4 => 4,
            Self::V5Td10 | Self::V5Td15 => 5,
        }
    }

    /// Bytes of the body.
    pub(crate) fn body_length(self) -> usize {
        match self {
            Self::V4 | Self::V5Td10 => TD10_LENGTH,
            Self::V5Td15 => TD15_LENGTH,
        }
    }

    /// Type and size that stand before the body from version 5 on.
    fn descriptor(self) -> Option<(u16, u32)> {
        match self {
            Self::V4 => None,
            Self::V5Td10 => Some((2, 584)),
            Self::V5Td15 => Some((3, 648)),
        }
    }
}

/// Everything of a quote but its two signatures. A fault changes one field.
pub(crate) struct QuoteParts {
    pub(crate) version: u16,
    pub(crate) key_type: u16,
    pub(crate) tee_type: u32,
    pub(crate) qe_vendor_id: [u8; 16],
    pub(crate) user_data: [u8; 20],
    pub(crate) descriptor: Option<(u16, u32)>,
    pub(crate) body: Vec<u8>,
    pub(crate) qe_report: QeReport,
    pub(crate) auth_data: Vec<u8>,
    pub(crate) outer_type: u16,
    pub(crate) inner_type: u16,
    /// Content of the inner certification data.
    pub(crate) certification: Vec<u8>,
    /// Zero bytes after the quote.
    pub(crate) padding: usize,
}

/// Where the parts of a quote lie that faults change after signing.
pub(crate) struct QuoteLayout {
    pub(crate) body: usize,
    pub(crate) signature_data_length: usize,
    pub(crate) signature: usize,
    pub(crate) attestation_key: usize,
    pub(crate) outer_size: usize,
    pub(crate) qe_report: usize,
    pub(crate) qe_signature: usize,
    pub(crate) auth_data_length: usize,
    pub(crate) inner_size: usize,
    pub(crate) end: usize,
}

impl QuoteParts {
    /// A quote of a body, whose attestation key the given report binds.
    pub(crate) fn new(format: QuoteFormat, body: Vec<u8>, qe_report: QeReport, auth_data: Vec<u8>) -> Self {
        Self {
            version: format.version(),
            key_type: KEY_TYPE,
            tee_type: TEE_TYPE,
            qe_vendor_id: QE_VENDOR_ID,
            user_data: [0; 20],
            descriptor: format.descriptor(),
            body,
            qe_report,
            auth_data,
            outer_type: QE_REPORT_CERTIFICATION,
            inner_type: PCK_CHAIN,
            certification: Vec::new(),
            padding: 0,
        }
    }

    /// The signed quote.
    pub(crate) fn sign(&self, attestation: &EllipticKey, pck: &EllipticKey) -> Result<Vec<u8>, SimulationError> {
        let mut quote = self.signed_part();
        let signature = attestation.sign_fixed(&quote)?;

        let qe_report = self.qe_report.to_bytes();
        let mut certification = qe_report.clone();
        certification.extend_from_slice(&pck.sign_fixed(&qe_report)?);
        certification.extend_from_slice(&length_u16(&self.auth_data)?);
        certification.extend_from_slice(&self.auth_data);
        certification.extend_from_slice(&self.inner_type.to_le_bytes());
        certification.extend_from_slice(&length_u32(&self.certification)?);
        certification.extend_from_slice(&self.certification);

        let mut signature_data = signature;
        signature_data.extend_from_slice(&attestation.coordinates());
        signature_data.extend_from_slice(&self.outer_type.to_le_bytes());
        signature_data.extend_from_slice(&length_u32(&certification)?);
        signature_data.extend_from_slice(&certification);

        quote.extend_from_slice(&length_u32(&signature_data)?);
        quote.extend_from_slice(&signature_data);
        quote.resize(quote.len() + self.padding, 0);
        Ok(quote)
    }

    pub(crate) fn layout(&self) -> QuoteLayout {
        let body = HEADER_LENGTH + if self.descriptor.is_some() { 6 } else { 0 };
        let signature_data_length = body + self.body.len();
        let signature = signature_data_length + 4;
        let attestation_key = signature + PAIR_LENGTH;
        let outer_size = attestation_key + PAIR_LENGTH + 2;
        let qe_report = outer_size + 4;
        let qe_signature = qe_report + QE_REPORT_LENGTH;
        let auth_data_length = qe_signature + PAIR_LENGTH;
        let inner_size = auth_data_length + 2 + self.auth_data.len() + 2;
        let end = inner_size + 4 + self.certification.len();
        QuoteLayout {
            body,
            signature_data_length,
            signature,
            attestation_key,
            outer_size,
            qe_report,
            qe_signature,
            auth_data_length,
            inner_size,
            end,
        }
    }

    fn signed_part(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&self.key_type.to_le_bytes());
        bytes.extend_from_slice(&self.tee_type.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.qe_vendor_id);
        bytes.extend_from_slice(&self.user_data);
        if let Some((body_type, size)) = self.descriptor {
            bytes.extend_from_slice(&body_type.to_le_bytes());
            bytes.extend_from_slice(&size.to_le_bytes());
        }
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn length_u16(bytes: &[u8]) -> Result<[u8; 2], SimulationError> {
    u16::try_from(bytes.len()).map(u16::to_le_bytes).map_err(|_| TOO_LONG)
}

fn length_u32(bytes: &[u8]) -> Result<[u8; 4], SimulationError> {
    u32::try_from(bytes.len()).map(u32::to_le_bytes).map_err(|_| TOO_LONG)
}

const TOO_LONG: SimulationError = SimulationError::TooLong { what: "a part of a quote" };
