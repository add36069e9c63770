//! The file manifest.cbor: the signed core beside the encrypted private part.

use strongroom_channel::cbor::{self, Value};

use crate::error::LoadError;

/// Name of the file in a sealed model.
pub(crate) const MANIFEST_FILE: &str = "manifest.cbor";

/// Writes the two parts.
pub(crate) fn encode(signed_core: &[u8], private: &[u8]) -> Vec<u8> {
    Value::array([Value::Bytes(signed_core), Value::Bytes(private)]).encode()
}

/// The signed core and the private part, neither of them checked.
pub(crate) fn decode(bytes: &[u8]) -> Result<(&[u8], &[u8]), LoadError> {
    let [core, private] = cbor::byte_strings(bytes).map_err(|_| LoadError::Format("the manifest"))?;
    Ok((core, private))
}
