//! The digest of the firmware that holds the attestation key, in the leaf certificate: a key that other
//! firmware took over would show another digest than the report does. (TCG DICE Attestation
//! Architecture 1.1, sections 6.1 and 7.6.)

use crate::der::{DerError, Reader, tag};
use crate::x509::{Certificate, oid};

/// 2.23.133.5.4.1, as Hopper and its switches use it: version, public key, one digest.
const COMPOSITE_DEVICE_ID: &[u8] = &[0x67, 0x81, 0x05, 5, 4, 1];
/// 2.23.133.5.4.1.1: TCB information of one layer, as Blackwell uses it.
const TCB_INFO: &[u8] = &[0x67, 0x81, 0x05, 5, 4, 1, 1];
/// `fwids [6]` of the TCB information.
const FWIDS: u8 = tag::context(6);

/// The digest, of whichever form; `None` where there is none that can be read, or one of each.
pub(crate) fn read(leaf: &Certificate) -> Option<[u8; 48]> {
    match (leaf.extension(COMPOSITE_DEVICE_ID), leaf.extension(TCB_INFO)) {
        (Some(extension), None) => composite(&extension.value).ok(),
        (None, Some(extension)) => tcb_info(&extension.value).ok(),
        _ => None,
    }
}

fn composite(value: &[u8]) -> Result<[u8; 48], DerError> {
    let mut outer = Reader::new(value);
    let mut fields = outer.sequence()?;
    outer.finish()?;
    if fields.small()? != 1 {
        return Err(DerError::Value("version of the device id"));
    }
    fields.expect(tag::SEQUENCE)?;
    let digest = digest(&mut fields)?;
    fields.finish()?;
    Ok(digest)
}

/// Of several digests the first: the others are of layers that this chip does not have.
fn tcb_info(value: &[u8]) -> Result<[u8; 48], DerError> {
    let mut outer = Reader::new(value);
    let mut fields = outer.sequence()?;
    outer.finish()?;
    while !fields.is_empty() {
        let field = fields.any()?;
        if field.tag == FWIDS {
            return digest(&mut field.reader());
        }
    }
    Err(DerError::Value("TCB information"))
}

fn digest(reader: &mut Reader<'_>) -> Result<[u8; 48], DerError> {
    let mut fields = reader.sequence()?;
    let is_sha384 = fields.oid()? == oid::SHA384;
    let value = fields.expect(tag::OCTET_STRING)?.value;
    fields.finish()?;
    let digest = value.try_into().map_err(|_| DerError::Value("firmware digest"))?;
    if is_sha384 { Ok(digest) } else { Err(DerError::Value("firmware digest")) }
}
