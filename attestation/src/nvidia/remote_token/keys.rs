//! The service's keys as it publishes them, a JSON Web Key set (RFC 7517 5). Nothing about it is believed:
//! a key counts when the policy pins its digest.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::malformed;
use crate::crypto;
use crate::error::Refusal;
use crate::unique_json;

/// Bytes of a key set; each key may come with its certificates.
const MAX_BYTES: usize = 1 << 20;
/// Keys of a set. The service changes its key every other day.
const MAX_KEYS: usize = 64;
/// SubjectPublicKeyInfo of a key on P-384 (RFC 5480 2) up to the point.
const P384_INFO: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00,
    0x22, 0x03, 0x62, 0x00,
];

/// Keys on P-384 by their name, if they have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceKeys {
    keys: Vec<ServiceKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ServiceKey {
    key_id: Option<String>,
    /// 97 bytes, uncompressed.
    point: Vec<u8>,
    /// SHA-256 of the SubjectPublicKeyInfo.
    digest: [u8; 32],
}

impl ServiceKeys {
    /// Reads a key set (RFC 7517 5, `{"keys": […]}`). Keys of other kinds are passed over; certificates in
    /// it (`x5c`) are not looked at, since no root of theirs is known.
    pub(crate) fn parse(bytes: &[u8]) -> Result<ServiceKeys, Refusal> {
        if bytes.len() > MAX_BYTES {
            return Err(malformed(format!("a key set larger than {MAX_BYTES} bytes")));
        }
        let value = unique_json::read(bytes).map_err(|error| malformed(format!("the key set: {error}")))?;
        let listed = value.get("keys").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| malformed("a key set without keys"))?;
        if listed.len() > MAX_KEYS {
            return Err(malformed(format!("a key set of more than {MAX_KEYS} keys")));
        }
        let is_p384 = |key: &&Value| {
            let text = |name: &str| key.get(name).and_then(Value::as_str);
            text("kty") == Some("EC") && text("crv") == Some("P-384")
        };
        let keys = listed.iter().filter(is_p384).map(ServiceKey::read).collect::<Option<Vec<_>>>();
        Ok(ServiceKeys { keys: keys.ok_or_else(|| malformed("a key of 48 and 48 bytes is wanted in the key set"))? })
    }

    /// The points of keys whose digest is among `pins` and that may be the one named `key_id`.
    pub(super) fn pinned(&self, pins: &[[u8; 32]], key_id: Option<&str>) -> Vec<&[u8]> {
        let may_be = |key: &&ServiceKey| match (key.key_id.as_deref(), key_id) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        let pinned = self.keys.iter().filter(|key| pins.contains(&key.digest));
        pinned.filter(may_be).map(|key| key.point.as_slice()).collect()
    }
}

impl ServiceKey {
    /// RFC 7518 6.2.1: the coordinates, each as long as the curve's field.
    fn read(key: &Value) -> Option<ServiceKey> {
        let coordinate = |name: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(key.get(name)?.as_str()?).ok()?;
            (bytes.len() == 48).then_some(bytes)
        };
        let point = [&[4][..], &coordinate("x")?, &coordinate("y")?].concat();
        let digest = crypto::sha256(&[&P384_INFO[..], &point].concat());
        let key_id = key.get("kid").and_then(Value::as_str).map(str::to_owned);
        Some(ServiceKey { key_id, point, digest })
    }
}
