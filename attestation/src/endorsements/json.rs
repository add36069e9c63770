//! JSON that holds endorsements in its fields: the collateral file that DCAP tools write
//! (Phala-Network/dcap-qvl, `QuoteCollateralV3`), and the answer of Azure's certificate service.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::{malformed, pem};
use crate::error::Refusal;
use crate::tdx::SignedJson;

/// The text when `bytes` are a JSON object.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.trim_start_matches('\u{feff}').trim_start().starts_with('{').then_some(text)
}

/// Whether the object is a JSON Web Key set (RFC 7517 5).
pub(super) fn is_key_set(text: &str) -> bool {
    let object: Option<serde_json::Map<String, Value>> = serde_json::from_str(text).ok();
    object.is_some_and(|object| object.get("keys").is_some_and(Value::is_array))
}

/// What was found in the fields.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) signed: Vec<SignedJson>,
    /// PEM text or DER.
    pub(super) objects: Vec<Vec<u8>>,
}

/// Every field is optional; a file must have at least one of them. Fields of other names are
/// passed over: none of them could make anything accepted.
#[derive(Deserialize)]
struct Fields {
    pck_crl_issuer_chain: Option<String>,
    root_ca_crl: Option<Bytes>,
    pck_crl: Option<Bytes>,
    tcb_info_issuer_chain: Option<String>,
    tcb_info: Option<String>,
    tcb_info_signature: Option<Bytes>,
    qe_identity_issuer_chain: Option<String>,
    qe_identity: Option<String>,
    qe_identity_signature: Option<Bytes>,
    pck_certificate_chain: Option<String>,
    #[serde(rename = "vcekCert")]
    vcek: Option<String>,
    #[serde(rename = "certificateChain")]
    chain: Option<String>,
}

/// Bytes as tools write them: text, or a list of numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Numbers(Vec<u8>),
}

/// Strings that are looked at in JSON of which no field is known.
const MAX_STRINGS: usize = 256;

/// Reads the fields that are known; where none is, PEM text in any field counts, as in saved headers
/// of a service.
pub(super) fn contents(text: &str) -> Result<Contents, Refusal> {
    let fields: Fields = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| malformed(format!("an endorsement in JSON cannot be read: {error}")))?;
    let mut contents = Contents::default();
    contents.signed.extend(signed(fields.tcb_info, fields.tcb_info_signature, SignedJson::tcb_info)?);
    contents.signed.extend(signed(fields.qe_identity, fields.qe_identity_signature, SignedJson::qe_identity)?);
    let chains = [
        fields.pck_crl_issuer_chain,
        fields.tcb_info_issuer_chain,
        fields.qe_identity_issuer_chain,
        fields.pck_certificate_chain,
        fields.vcek,
        fields.chain,
    ];
    for text in chains.into_iter().flatten().map(String::into_bytes) {
        // TCB info and QE identity mostly come with the same chain.
        if !contents.objects.contains(&text) {
            contents.objects.push(text);
        }
    }
    for bytes in [fields.root_ca_crl, fields.pck_crl].into_iter().flatten() {
        contents.objects.push(match bytes {
            Bytes::Text(text) => list(&text)?,
            Bytes::Numbers(der) => der,
        });
    }
    if contents.signed.is_empty() && contents.objects.is_empty() {
        contents.objects = pem_strings(text);
    }
    if contents.signed.is_empty() && contents.objects.is_empty() {
        return Err(malformed("a JSON object in which nothing is known as an endorsement".to_owned()));
    }
    Ok(contents)
}

fn signed(
    inner: Option<String>,
    signature: Option<Bytes>,
    read: impl Fn(&str, &str) -> Result<SignedJson, Refusal>,
) -> Result<Option<SignedJson>, Refusal> {
    match (inner, signature) {
        (Some(inner), Some(Bytes::Text(signature))) => read(&inner, &signature).map(Some),
        (Some(inner), Some(Bytes::Numbers(signature))) => read(&inner, &hex::encode(signature)).map(Some),
        (None, None) => Ok(None),
        _ => Err(malformed("Intel collateral: an object without its signature, or the reverse".to_owned())),
    }
}

/// Every string in the JSON that is PEM text.
fn pem_strings(text: &str) -> Vec<Vec<u8>> {
    let mut open: Vec<Value> = serde_json::from_str(text).into_iter().collect();
    let mut found = Vec::new();
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) if pem::is_pem(text.as_bytes()) && found.len() < MAX_STRINGS => {
                found.push(text.into_bytes());
            }
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
    found
}

/// A revocation list: DER in hexadecimal or base64, or PEM.
fn list(text: &str) -> Result<Vec<u8>, Refusal> {
    let text = text.trim();
    if pem::is_pem(text.as_bytes()) {
        return Ok(text.as_bytes().to_vec());
    }
    hex::decode(text)
        .ok()
        .or_else(|| STANDARD.decode(text).ok())
        .ok_or_else(|| malformed("a revocation list that is neither hexadecimal, base64 nor PEM".to_owned()))
}

#[cfg(test)]
mod tests {
    use crate::endorsements::Endorsements;

    const COLLATERAL: &str = include_str!("../../../tests/vectors/tdx/001-v4-collateral/collateral.json");

    fn counted(text: &str) -> (usize, usize, usize, usize) {
        let mut bag = Endorsements::default();
        bag.add(text.as_bytes()).unwrap();
        let (infos, identities) = (bag.tcb_infos().len(), bag.qe_identities().len());
        (bag.certificates().len(), bag.revocation_lists().len(), infos, identities)
    }

    #[test]
    fn a_collateral_file_counts_whole_with_text_or_numbers() {
        let whole = counted(COLLATERAL);
        assert_eq!((whole.1, whole.2, whole.3), (2, 1, 1));
        let mut json: serde_json::Value = serde_json::from_str(COLLATERAL).unwrap();
        for name in ["root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature"] {
            let bytes = hex::decode(json[name].as_str().unwrap()).unwrap();
            json[name] = bytes.into();
        }
        assert_eq!(counted(&json.to_string()), whole);
        json.as_object_mut().unwrap().remove("tcb_info_signature");
        assert!(Endorsements::default().add(json.to_string().as_bytes()).is_err(), "an object without its signature");
    }

    #[test]
    fn chains_are_found_in_saved_headers() {
        let json: serde_json::Value = serde_json::from_str(COLLATERAL).unwrap();
        let chain = json["tcb_info_issuer_chain"].as_str().unwrap();
        let encoded = chain.replace(' ', "%20").replace('\n', "%0A");
        for value in [chain, encoded.as_str()] {
            let headers = serde_json::json!({ "TCB-Info-Issuer-Chain": [value], "Date": ["today"] });
            assert_eq!(counted(&headers.to_string()).0, 2);
        }
        assert_eq!(counted(&encoded).0, 2, "the header's value alone");
        assert!(Endorsements::default().add(b"{\"Date\": \"today\"}").is_err());
    }
}
