//! The file keys.cbor: the artifact's root keys, wrapped to a recipient
//! (spec section "Wrapped keys").
//!
//! Not signed: a wrong key is caught by its commitment, and another recipient changes
//! neither the model's id nor its signature.

use strongroom_channel::cbor::{self, CborError, Value};

use super::limits::MAX_RUNS;
use crate::error::LoadError;

/// Name of the file in a sealed model.
pub(crate) const KEYS_FILE: &str = "keys.cbor";

/// The wrapped keys of one artifact, one a sealing run, in the order of the runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKeys {
    pub(crate) artifact_id: [u8; 16],
    pub(crate) runs: Vec<WrappedKey>,
}

/// The key of one run: HPKE's encapsulated key and ciphertext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrappedKey {
    pub(crate) encapsulated: Vec<u8>,
    pub(crate) ciphertext: Vec<u8>,
}

impl WrappedKeys {
    /// The artifact that the keys say they belong to.
    #[must_use]
    pub fn artifact_id(&self) -> [u8; 16] {
        self.artifact_id
    }

    /// The number of sealing runs.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let runs = self.runs.iter().zip(0..).map(|(key, run)| {
            Value::array([Value::Uint(run), Value::Bytes(&key.encapsulated), Value::Bytes(&key.ciphertext)])
        });
        Value::map([(1, Value::Bytes(&self.artifact_id)), (2, Value::array(runs))]).encode()
    }

    /// Reads the bytes of the file keys.cbor.
    ///
    /// # Errors
    /// `Format` for anything but what a sealer writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, LoadError> {
        let malformed = LoadError::Format("the keys file");
        let keys = read_keys(bytes).map_err(|_| malformed.clone())?;
        // One comparison for run numbers out of order and fields with negative keys.
        if keys.encode() == bytes && (1..=MAX_RUNS).contains(&keys.runs.len()) { Ok(keys) } else { Err(malformed) }
    }
}

fn read_keys(bytes: &[u8]) -> Result<WrappedKeys, CborError> {
    let mut fields = cbor::decode(bytes)?.fields()?;
    let artifact_id = fields.require(1)?.fixed()?;
    let runs = fields
        .require(2)?
        .items()?
        .into_iter()
        .map(|entry| {
            let [_run, encapsulated, ciphertext] = entry.items_exactly()?;
            Ok(WrappedKey { encapsulated: encapsulated.bytes()?.to_vec(), ciphertext: ciphertext.bytes()?.to_vec() })
        })
        .collect::<Result<_, _>>()?;
    fields.finish()?;
    Ok(WrappedKeys { artifact_id, runs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(runs: usize) -> WrappedKeys {
        WrappedKeys {
            artifact_id: [1; 16],
            runs: vec![WrappedKey { encapsulated: vec![2; 40], ciphertext: vec![3; 48] }; runs],
        }
    }

    #[test]
    fn comes_back() {
        assert_eq!(WrappedKeys::decode(&keys(3).encode()), Ok(keys(3)));
    }

    #[test]
    fn refuses_no_runs_too_many_and_runs_out_of_order() {
        let malformed = Err(LoadError::Format("the keys file"));
        assert_eq!(WrappedKeys::decode(&keys(0).encode()), malformed);
        assert_eq!(WrappedKeys::decode(&keys(MAX_RUNS + 1).encode()), malformed);
        let mut bytes = keys(1).encode();
        let run = 1 + 1 + 1 + 16 + 1 + 1 + 1;
        assert_eq!(bytes[run], 0, "the number of the run");
        bytes[run] = 1;
        assert_eq!(WrappedKeys::decode(&bytes), malformed);
    }
}
