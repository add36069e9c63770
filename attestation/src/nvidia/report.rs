//! A device's measurement report: the SPDM 1.1 request GET_MEASUREMENTS and its answer MEASUREMENTS
//! (DMTF DSP0274), which the driver hands over in one piece. The device signs both together, so that
//! the verifier's challenge, which is in the request, is under the signature.

mod opaque;

pub use opaque::{DeviceMode, LinkedDevice};
pub(crate) use opaque::{GPUS_OF_FABRIC, OpaqueData, SWITCHES_OF_FABRIC};

use std::collections::BTreeMap;

use crate::crypto::{self, BadSignature};
use crate::cursor::{Cursor, EndsEarly};
use crate::error::{Code, Refusal};
use crate::x509::{Certificate, PublicKey};

/// Version, code GET_MEASUREMENTS, "with a signature", "all measurements" (DSP0274 10.11.1).
const REQUEST: [u8; 4] = [0x11, 0xE0, 0x01, 0xFF];
/// Version, code MEASUREMENTS, and two parameters that are zero here (DSP0274 10.11.2).
const RESPONSE: [u8; 4] = [0x11, 0x60, 0x00, 0x00];
/// Bytes of the request.
const REQUEST_LEN: usize = 37;
/// r and s of ECDSA on P-384, big-endian.
const SIGNATURE_LEN: usize = 96;
/// The certificate slot that devices answer from.
const SLOT: u8 = 0;
/// Measurement blocks of a GPU; switches have fewer.
const MAX_BLOCKS: u8 = 64;
/// The DMTF's form of a measurement (DSP0274 10.11.3).
const SPECIFICATION: u8 = 1;
/// Type, size and digest of one measurement.
const MEASUREMENT_LEN: u16 = 51;
/// SHA-384.
const DIGEST_LEN: u16 = 48;
/// Set where a measurement is raw bytes and no digest.
const RAW: u8 = 0x80;
/// Larger than any device's report (the driver's buffer has 8192 bytes).
const MAX_LEN: usize = 8192;

/// A measurement report as received. Nothing in it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpdmReport {
    bytes: Vec<u8>,
    nonce: [u8; 32],
    measurements: BTreeMap<u8, [u8; 48]>,
    pub(crate) opaque: OpaqueData,
}

impl SpdmReport {
    /// Whether `bytes` begin as a report does, and its answer as one does, whatever follows.
    pub(crate) fn looks_like(bytes: &[u8]) -> bool {
        let begins = |bytes: &[u8], with: [u8; 4]| bytes.get(..2) == with.get(..2);
        begins(bytes, REQUEST) && bytes.get(REQUEST_LEN..).is_some_and(|answer| begins(answer, RESPONSE))
    }

    /// Reads a whole report: request and answer, of exactly the lengths that they say, with no byte
    /// after the signature. Refused with `PARSE` otherwise.
    ///
    /// The length is never guessed from the end. A report that somebody padded, even with one zero,
    /// is refused: what is signed would depend on who reads it.
    pub fn parse(bytes: &[u8]) -> Result<SpdmReport, Refusal> {
        SpdmReport::read(bytes).map_err(|refusal| refusal.about("an SPDM measurement report"))
    }

    fn read(bytes: &[u8]) -> Result<SpdmReport, Refusal> {
        if bytes.len() > MAX_LEN {
            return Err(malformed(format!("{} bytes, wanted at most {MAX_LEN}", bytes.len())));
        }
        let mut input = Cursor::new(bytes);
        expect("request", REQUEST, input.array()?)?;
        let nonce = input.array()?;
        let slot = input.u8()?;
        if slot != SLOT {
            return Err(malformed(format!("certificate slot {slot}, wanted {SLOT}")));
        }
        expect("response", RESPONSE, input.array()?)?;
        let count = input.u8()?;
        let [low, middle, high] = input.array()?;
        let record = input.slice(length(u32::from_le_bytes([low, middle, high, 0]))?)?;
        let measurements = measurements(count, record)?;
        let _responder_nonce: [u8; 32] = input.array()?;
        let opaque_len = input.u16_le()?;
        let opaque = OpaqueData::read(input.slice(usize::from(opaque_len))?)?;
        let _signature: [u8; SIGNATURE_LEN] = input.array()?;
        if !input.is_empty() {
            return Err(malformed(format!("{} bytes follow the signature", input.rest().len())));
        }
        Ok(SpdmReport { bytes: bytes.to_vec(), nonce, measurements, opaque })
    }

    /// The report as received.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The verifier's challenge, from the request.
    pub fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// The measurement of this index, which counts from 0 as reference manifests do: SPDM's index
    /// less one.
    pub fn measurement(&self, index: u8) -> Option<&[u8; 48]> {
        self.measurements.get(&index)
    }

    /// Every measurement, by index from 0.
    pub(crate) fn measurements(&self) -> &BTreeMap<u8, [u8; 48]> {
        &self.measurements
    }

    /// Verifies the signature with the key of `leaf`: over everything before it.
    pub(crate) fn is_signed_by(&self, leaf: &Certificate) -> Result<(), BadSignature> {
        let PublicKey::P384(point) = &leaf.public_key else { return Err(BadSignature) };
        let (message, signature) = self.bytes.split_last_chunk::<SIGNATURE_LEN>().ok_or(BadSignature)?;
        crypto::verify_ecdsa_p384_sha384(point, message, signature)
    }
}

/// Blocks of one form, each index once.
fn measurements(count: u8, record: &[u8]) -> Result<BTreeMap<u8, [u8; 48]>, Refusal> {
    let mut blocks = Cursor::new(record);
    let mut measurements = BTreeMap::new();
    for _ in 0..count {
        let index = blocks.u8()?;
        let (specification, size) = (blocks.u8()?, blocks.u16_le()?);
        let (kind, digest_size) = (blocks.u8()?, blocks.u16_le()?);
        if specification != SPECIFICATION || size != MEASUREMENT_LEN || digest_size != DIGEST_LEN || kind & RAW != 0 {
            let found = format!("specification {specification}, {size} bytes, type {kind:#04x}, {digest_size} bytes");
            return Err(malformed(format!("measurement {index} is no SHA-384 digest in the DMTF's form: {found}")));
        }
        let from_zero = index.checked_sub(1).filter(|_| index <= MAX_BLOCKS);
        let from_zero = from_zero.ok_or_else(|| malformed(format!("measurement {index}, wanted 1 to {MAX_BLOCKS}")))?;
        if measurements.insert(from_zero, blocks.array()?).is_some() {
            return Err(malformed(format!("measurement {index} twice")));
        }
    }
    if measurements.is_empty() || !blocks.is_empty() {
        return Err(malformed(format!("{count} measurements do not fill their record of {} bytes", record.len())));
    }
    Ok(measurements)
}

fn expect(what: &str, wanted: [u8; 4], found: [u8; 4]) -> Result<(), Refusal> {
    if wanted == found {
        return Ok(());
    }
    let (wanted, found) = (hex::encode(wanted), hex::encode(found));
    Err(malformed(format!("the {what} begins with {found}, wanted {wanted} (SPDM 1.1)")))
}

fn length(bytes: u32) -> Result<usize, EndsEarly> {
    usize::try_from(bytes).map_err(|_| EndsEarly)
}

fn malformed(detail: String) -> Refusal {
    Refusal::new(Code::Parse, detail)
}
