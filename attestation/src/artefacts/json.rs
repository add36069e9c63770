//! JSON that guests and their tools write: evidence of an Azure machine (CoCo trustee, versions 0 to
//! 2), dstack's report, the sample form of container groups; and lists of register values.

use serde_json::{Map, Value};

use super::malformed;
use super::text::{QuoteParts, base64};
use crate::azure::PcrValues;
use crate::endorsements::pem;
use crate::error::Refusal;

/// Fields that only evidence has, beside text fields of these names.
const EVIDENCE_FIELDS: [&str; 6] = ["hcl_report", "tpm_quote", "report", "quote", "td_quote", "evidence"];

/// What was found.
#[derive(Default)]
pub(super) struct Contents {
    /// Artefacts of any kind.
    pub(super) parts: Vec<Vec<u8>>,
    /// Of each field that may hold one.
    pub(super) tpm_quotes: Vec<QuoteParts>,
}

/// Whether the JSON is an object with a field that only evidence has.
pub(super) fn is_evidence(value: &Value) -> bool {
    EVIDENCE_FIELDS.iter().any(|name| value.get(name).is_some())
}

/// Reads the fields that are known. Others say nothing that could make anything accepted.
pub(super) fn contents(bytes: &[u8]) -> Result<Contents, Refusal> {
    let object = object(bytes).ok_or_else(|| malformed("evidence in JSON cannot be read".to_owned()))?;
    let mut contents = Contents::default();
    for name in ["hcl_report", "report", "td_quote", "evidence", "vcek", "endorsements"] {
        if let Some(value) = object.get(name).filter(|value| !value.is_null()) {
            contents.parts.push(binary(name, value)?);
        }
    }
    match object.get("quote") {
        Some(Value::Object(quote)) => contents.tpm_quotes.push(tpm_quote(quote)?),
        Some(value) => contents.parts.push(binary("quote", value)?),
        None => {}
    }
    match object.get("tpm_quote") {
        Some(Value::Object(quote)) => contents.tpm_quotes.push(tpm_quote(quote)?),
        None | Some(Value::Null) => {}
        Some(_) => return Err(wrong("tpm_quote")),
    }
    match object.get("event_log") {
        Some(Value::String(text)) => contents.parts.push(text.clone().into_bytes()),
        Some(Value::Array(events)) => contents.parts.push(Value::Array(events.clone()).to_string().into_bytes()),
        _ => {}
    }
    Ok(contents)
}

/// The values of 24 registers in order, each 32 bytes: hexadecimal text, or numbers.
pub(super) fn pcr_values(bytes: &[u8]) -> Result<PcrValues, Refusal> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| malformed(format!("a list of registers: {error}")))?;
    registers(&value)
}

fn registers(value: &Value) -> Result<PcrValues, Refusal> {
    let wanted = || malformed("a list of registers that is not 24 values of 32 bytes".to_owned());
    let list = value.as_array().ok_or_else(wanted)?;
    let values: Option<Vec<[u8; 32]>> = list.iter().map(|value| bytes_of(value)?.try_into().ok()).collect();
    values.and_then(|values| values.try_into().ok()).ok_or_else(wanted)
}

fn tpm_quote(quote: &Map<String, Value>) -> Result<QuoteParts, Refusal> {
    let field = |name: &str| quote.get(name).and_then(bytes_of).ok_or_else(|| wrong(name));
    let pcrs = registers(quote.get("pcrs").unwrap_or(&Value::Null))?;
    Ok(QuoteParts { message: field("message")?, signature: field("signature")?, pcrs })
}

fn binary(name: &str, value: &Value) -> Result<Vec<u8>, Refusal> {
    bytes_of(value).ok_or_else(|| wrong(name))
}

/// Bytes as JSON carries them: hexadecimal, base64 or PEM text, or an array of numbers.
pub(super) fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) if pem::is_pem(text.as_bytes()) => Some(text.clone().into_bytes()),
        Value::String(text) => {
            let text = text.trim();
            let plain = text.strip_prefix("0x").unwrap_or(text);
            hex::decode(plain).ok().or_else(|| base64(text.as_bytes()))
        }
        Value::Array(numbers) => numbers.iter().map(|number| u8::try_from(number.as_u64()?).ok()).collect(),
        _ => None,
    }
}

fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(bytes).ok()
}

fn wrong(name: &str) -> Refusal {
    malformed(format!("field \"{name}\" of evidence in JSON is neither hexadecimal, base64 nor a list of bytes"))
}
