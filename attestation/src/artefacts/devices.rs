//! JSON that carries reports of NVIDIA devices: the list that NVIDIA's tools write (`arch`, `nonce`,
//! `evidence`, `certificate`), the request to its remote service (`evidence_list`), and the evidence of
//! CoCo's attesters (`device_evidence_list`, alone or under `nvidia`).

use serde_json::{Map, Value};

use super::json::bytes_of;
use super::malformed;
use crate::endorsements::{device_chain, pem};
use crate::error::Refusal;
use crate::nvidia::{Architecture, Device, SpdmReport};

/// Fields under which lists stand.
const LISTS: [&str; 2] = ["evidence_list", "device_evidence_list"];

/// Whether the JSON has one of the forms.
pub(super) fn is_device_json(value: &Value) -> bool {
    matches!(entries(value), Some([_, ..]))
}

/// The devices, in order. `arch` and `nonce` of the request count for each entry without its own.
pub(super) fn devices(bytes: &[u8]) -> Result<Vec<Device>, Refusal> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| malformed(format!("evidence of devices: {error}")))?;
    let outer = under_vendor(&value).as_object().cloned().unwrap_or_default();
    let entries = entries(&value).unwrap_or_default();
    let numbered = entries.iter().enumerate();
    numbered.map(|(at, entry)| device(entry, &outer).map_err(|error| error.about(&format!("device {at}")))).collect()
}

fn under_vendor(value: &Value) -> &Value {
    value.get("nvidia").unwrap_or(value)
}

fn entries(value: &Value) -> Option<&[Value]> {
    let value = under_vendor(value);
    let list = match value {
        Value::Array(list) => list.as_slice(),
        Value::Object(object) => match LISTS.iter().find_map(|name| object.get(*name)) {
            Some(list) => list.as_array()?.as_slice(),
            None => std::slice::from_ref(value),
        },
        _ => return None,
    };
    let is_device = |entry: &Value| entry.get("evidence").is_some() && entry.get("certificate").is_some();
    list.iter().all(is_device).then_some(list)
}

fn device(entry: &Value, outer: &Map<String, Value>) -> Result<Device, Refusal> {
    let field = |name: &str| entry.get(name).or_else(|| outer.get(name)).filter(|value| !value.is_null());
    let bytes = |name: &str| {
        let value = entry.get(name).and_then(bytes_of);
        value.ok_or_else(|| malformed(format!("field \"{name}\" is neither hexadecimal, base64 nor PEM")))
    };
    let report = SpdmReport::parse(&bytes("evidence")?)?;
    let certificate = bytes("certificate")?;
    if !pem::is_pem(&certificate) {
        return Err(malformed("field \"certificate\" is no PEM text".to_owned()));
    }
    let chain = device_chain(&certificate)?;
    let architecture = field("arch").map(architecture).transpose()?;
    let nonce = field("nonce").map(nonce).transpose()?;
    Ok(Device { report, chain: Some(chain), architecture, nonce })
}

fn architecture(value: &Value) -> Result<Architecture, Refusal> {
    let name = value.as_str().unwrap_or_default();
    let known = [Architecture::Hopper, Architecture::Blackwell, Architecture::Ls10];
    let found = known.into_iter().find(|known| known.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| malformed(format!("field \"arch\" is {value}, wanted HOPPER, BLACKWELL or LS10")))
}

fn nonce(value: &Value) -> Result<[u8; 32], Refusal> {
    let bytes = bytes_of(value).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.ok_or_else(|| malformed("field \"nonce\" is not 32 bytes in hexadecimal".to_owned()))
}
