//! NVIDIA's remote attestation service's answer: a detached EAT, read as an alternative to the devices'
//! own evidence (gpu-evidence: one overall token, one token for each device, all signed by the service).
//!
//! ```text
//! [["JWT", overall], {"GPU-0": token, "SWITCH-0": token, …}]
//!            │ submods: SHA-256 of each device's token, by name
//!            └── result, nonce, dates         └── what was found of one device
//! ```
//!
//! Whoever accepts it believes the service's appraisal instead of making one: no report, certificate or
//! manifest is at hand.

mod check;
mod device;
mod jws;
mod keys;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::{self, Code, Refusal};
use crate::unique_json;

pub(crate) use check::{RemoteRules, check};
use device::DeviceKind;
use jws::Jws;
pub(crate) use keys::ServiceKeys;

/// Bytes of an answer; one about eight GPUs and four switches has forty thousand.
const MAX_BYTES: usize = 1 << 20;
/// The member of the object in which NVIDIA's tools write an answer.
const WRAPPER: &str = "detached_eat";
/// Bytes of one token.
const MAX_TOKEN: usize = 32 << 10;
/// Devices of one machine, twice over.
const MAX_DEVICES: usize = 32;

/// A detached EAT read once; nothing in it is believed before [`check::check`]. The tokens are kept as
/// received: they are what is signed, and what the overall token has digests of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteAnswer {
    overall: Jws,
    devices: BTreeMap<String, Jws>,
}

impl RemoteAnswer {
    /// Whether the text is such an answer's: an array that begins with an array that begins with `"JWT"`; or
    /// the object in which NVIDIA's own tools write it, under `detached_eat`.
    /// `json` is the text read, if it is JSON at all.
    pub(crate) fn looks_like(bytes: &[u8], json: Option<&Value>) -> bool {
        let begins = ["[", "[", "\"JWT\""]
            .iter()
            .try_fold(bytes, |rest, wanted| rest.trim_ascii_start().strip_prefix(wanted.as_bytes()))
            .is_some();
        begins || json.and_then(|json| json.get(WRAPPER)).is_some_and(Value::is_array)
    }

    /// Reads an answer. Refused with `PARSE` unless it has the one shape, every member once; with
    /// `SIGNATURE` where a token says that it is signed in another way than ES384, or not at all.
    pub(crate) fn parse(bytes: &[u8]) -> Result<RemoteAnswer, Refusal> {
        if bytes.len() > MAX_BYTES {
            return Err(malformed(format!("larger than {MAX_BYTES} bytes")));
        }
        let shape = || malformed("it is not [[\"JWT\", token], {name: token, …}]");
        let answer = match unique_json::read(bytes).map_err(malformed)? {
            Value::Object(mut object) => object.remove(WRAPPER).unwrap_or_default(),
            bare => bare,
        };
        let Value::Array(parts) = answer else { return Err(shape()) };
        let [Value::Array(overall), Value::Object(devices)] = parts.as_slice() else { return Err(shape()) };
        let [Value::String(kind), Value::String(overall)] = overall.as_slice() else { return Err(shape()) };
        if kind != "JWT" {
            return Err(shape());
        }
        if devices.is_empty() || devices.len() > MAX_DEVICES {
            return Err(malformed(format!("{} devices; 1 to {MAX_DEVICES} are read", devices.len())));
        }
        let overall = Jws::parse("the overall token", overall)?;
        let mut tokens = BTreeMap::new();
        for (name, token) in devices {
            let Value::String(token) = token else { return Err(shape()) };
            if DeviceKind::of(name).is_none() {
                return Err(malformed("a device that is not named GPU-n or SWITCH-n"));
            }
            tokens.insert(name.clone(), Jws::parse(&format!("the token of {name}"), token)?);
        }
        Ok(RemoteAnswer { overall, devices: tokens })
    }

    /// Every token by its name, the overall one first.
    fn tokens(&self) -> impl Iterator<Item = (&str, &Jws)> {
        let devices = self.devices.iter().map(|(name, token)| (name.as_str(), token));
        [("the overall token", &self.overall)].into_iter().chain(devices)
    }
}

/// Text of a stranger as it may be shown.
fn shown(text: &str) -> String {
    error::shown(text, 64)
}

fn malformed(detail: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Parse, format!("the answer of NVIDIA's attestation service: {detail}"))
}
