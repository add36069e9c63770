//! An attestation report: the request for measurements and the signed response, side by side,
//! as drivers hand it out (DSP0274 version 1.1, 10.11). Little-endian but for the signature.

use crate::{error::SimulationError, keys::elliptic::EllipticKey};

/// SPDM 1.1.
const VERSION: u8 = 0x11;
const GET_MEASUREMENTS: u8 = 0xe0;
const MEASUREMENTS: u8 = 0x60;
/// All of them.
const ALL_MEASUREMENTS: u8 = 0xff;
/// DMTF's form of a measurement.
const DMTF: u8 = 1;

/// A report before it is signed. A fault changes one field.
pub(crate) struct Report {
    pub(crate) version: u8,
    pub(crate) request_code: u8,
    pub(crate) wants_signature: bool,
    pub(crate) nonce: [u8; 32],
    pub(crate) blocks: Vec<Block>,
    /// What the declared length of the blocks has too much; not zero only for a fault.
    pub(crate) blocks_excess: u32,
    pub(crate) responder_nonce: [u8; 32],
    pub(crate) opaque: Vec<Field>,
}

/// One measurement.
pub(crate) struct Block {
    /// From one on.
    pub(crate) index: u8,
    pub(crate) specification: u8,
    pub(crate) value: Vec<u8>,
}

/// One type-length-value of what SPDM leaves to the vendor.
pub(crate) struct Field {
    pub(crate) kind: u16,
    pub(crate) value: Vec<u8>,
    /// What its declared length has too much; not zero only for a fault.
    pub(crate) excess: u16,
}

impl Field {
    pub(crate) fn new(kind: u16, value: impl Into<Vec<u8>>) -> Self {
        Self { kind, value: value.into(), excess: 0 }
    }
}

impl Report {
    /// A sound one.
    pub(crate) fn new(nonce: &[u8; 32], responder_nonce: [u8; 32], values: &[[u8; 48]], opaque: Vec<Field>) -> Self {
        let block = |(index, value): (u8, &[u8; 48])| Block { index, specification: DMTF, value: value.to_vec() };
        Self {
            version: VERSION,
            request_code: GET_MEASUREMENTS,
            wants_signature: true,
            nonce: *nonce,
            blocks: (1..).zip(values).map(block).collect(),
            blocks_excess: 0,
            responder_nonce,
            opaque,
        }
    }

    /// The first field of that kind.
    pub(crate) fn field_mut(&mut self, kind: u16) -> Option<&mut Field> {
        self.opaque.iter_mut().find(|field| field.kind == kind)
    }

    /// The bytes, and behind them the key's signature of them: `r` and `s`, 48 bytes each.
    pub(crate) fn sign(&self, key: &EllipticKey) -> Result<Vec<u8>, SimulationError> {
        let mut bytes = self.request();
        bytes.append(&mut self.response()?);
        let mut signature = key.sign_fixed(&bytes)?;
        bytes.append(&mut signature);
        Ok(bytes)
    }

    fn request(&self) -> Vec<u8> {
        let mut bytes = vec![self.version, self.request_code, u8::from(self.wants_signature), ALL_MEASUREMENTS];
        bytes.extend(self.nonce);
        bytes.push(0); // slot
        bytes
    }

    /// All but the signature.
    fn response(&self) -> Result<Vec<u8>, SimulationError> {
        let mut blocks = Vec::new();
        for block in &self.blocks {
            blocks.append(&mut block.to_bytes()?);
        }
        let mut opaque = Vec::new();
        for field in &self.opaque {
            opaque.extend(field.kind.to_le_bytes());
            opaque.extend(length(&field.value)?.saturating_add(field.excess).to_le_bytes());
            opaque.extend(&field.value);
        }
        let number = u8::try_from(self.blocks.len()).map_err(|_| too_long())?;
        let blocks_length = u32::from(length(&blocks)?).saturating_add(self.blocks_excess).to_le_bytes();

        let mut bytes = vec![self.version, MEASUREMENTS, 0, 0, number];
        bytes.extend(blocks_length.into_iter().take(3));
        bytes.extend(blocks);
        bytes.extend(self.responder_nonce);
        bytes.extend(length(&opaque)?.to_le_bytes());
        bytes.extend(opaque);
        Ok(bytes)
    }
}

impl Block {
    fn to_bytes(&self) -> Result<Vec<u8>, SimulationError> {
        let mut measurement = vec![1]; // a digest of mutable firmware
        measurement.extend(length(&self.value)?.to_le_bytes());
        measurement.extend(&self.value);
        let mut bytes = vec![self.index, self.specification];
        bytes.extend(length(&measurement)?.to_le_bytes());
        bytes.extend(measurement);
        Ok(bytes)
    }
}

fn length(bytes: &[u8]) -> Result<u16, SimulationError> {
    u16::try_from(bytes.len()).map_err(|_| too_long())
}

fn too_long() -> SimulationError {
    SimulationError::TooLong { what: "a part of an attestation report" }
}
