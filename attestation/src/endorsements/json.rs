//! JSON that holds endorsements in its fields: the collateral file that DCAP tools write
//! (Phala-Network/dcap-qvl, `QuoteCollateralV3`), and the answer of Azure's certificate service.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{malformed, pem};
use crate::error::Refusal;
use crate::tdx::SignedJson;

/// The text when `bytes` are a JSON object.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.trim_start_matches('\u{feff}').trim_start().starts_with('{').then_some(text)
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
    root_ca_crl: Option<String>,
    pck_crl: Option<String>,
    tcb_info_issuer_chain: Option<String>,
    tcb_info: Option<String>,
    tcb_info_signature: Option<String>,
    qe_identity_issuer_chain: Option<String>,
    qe_identity: Option<String>,
    qe_identity_signature: Option<String>,
    pck_certificate_chain: Option<String>,
    #[serde(rename = "vcekCert")]
    vcek: Option<String>,
    #[serde(rename = "certificateChain")]
    chain: Option<String>,
}

/// Reads the fields that are known.
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
    for text in [fields.root_ca_crl, fields.pck_crl].into_iter().flatten() {
        contents.objects.push(list(&text)?);
    }
    if contents.signed.is_empty() && contents.objects.is_empty() {
        return Err(malformed("a JSON object in which nothing is known as an endorsement".to_owned()));
    }
    Ok(contents)
}

fn signed(
    inner: Option<String>,
    signature: Option<String>,
    read: impl Fn(&str, &str) -> Result<SignedJson, Refusal>,
) -> Result<Option<SignedJson>, Refusal> {
    match (inner, signature) {
        (Some(inner), Some(signature)) => read(&inner, &signature).map(Some),
        (None, None) => Ok(None),
        _ => Err(malformed("Intel collateral: an object without its signature, or the reverse".to_owned())),
    }
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
