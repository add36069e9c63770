//! The parts of a TDX quote by their offsets (docs/specs/evidence.md), for taking one apart and putting
//! another together.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Offsets of a version 4 quote over a TD 1.0 report.
pub(crate) mod v4 {
    pub(crate) const SIGNATURE_LEN: usize = 632;
    pub(crate) const SIGNATURE: usize = 636;
    pub(crate) const ATTESTATION_KEY: usize = 700;
    pub(crate) const CERTIFICATION_TYPE: usize = 764;
    pub(crate) const CERTIFICATION_LEN: usize = 766;
    pub(crate) const QE_REPORT: usize = 770;
    pub(crate) const QE_SIGNATURE: usize = 1154;
    pub(crate) const AUTH_LEN: usize = 1218;
    pub(crate) const AUTH: usize = 1220;
    pub(crate) const PCK_TYPE: usize = 1252;
    pub(crate) const PCK_LEN: usize = 1254;
    pub(crate) const CHAIN: usize = 1258;
}

/// The fields of a TD 1.0 report with their offsets in a version 4 quote.
pub(crate) const BODY: [(&str, usize, usize); 15] = [
    ("TEE_TCB_SVN", 48, 16),
    ("MRSEAM", 64, 48),
    ("MRSIGNERSEAM", 112, 48),
    ("SEAMATTRIBUTES", 160, 8),
    ("TDATTRIBUTES", 168, 8),
    ("XFAM", 176, 8),
    ("MRTD", 184, 48),
    ("MRCONFIGID", 232, 48),
    ("MROWNER", 280, 48),
    ("MROWNERCONFIG", 328, 48),
    ("RTMR 0", 376, 48),
    ("RTMR 1", 424, 48),
    ("RTMR 2", 472, 48),
    ("RTMR 3", 520, 48),
    ("REPORTDATA", 568, 64),
];

pub(crate) fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// The DER of the certificates in a version 4 quote's chain: leaf, authority, root.
pub(crate) fn chain(quote: &[u8]) -> Vec<Vec<u8>> {
    let text = &quote[v4::CHAIN..v4::CHAIN + word(quote, v4::PCK_LEN)];
    let text = String::from_utf8(text.iter().copied().filter(|byte| *byte != 0).collect()).unwrap();
    let bodies = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    let decode = |body: &str| {
        let (body, _) = body.split_once("-----END").unwrap();
        STANDARD.decode(body.replace('\n', "")).unwrap()
    };
    bodies.map(decode).collect()
}

/// The quote with another chain in it, its lengths set right, and nothing after it.
pub(crate) fn with_chain(quote: &[u8], chain: &[Vec<u8>]) -> Vec<u8> {
    let pem: Vec<String> = chain
        .iter()
        .map(|der| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der)))
        .collect();
    with_chain_text(quote, pem.concat().as_bytes())
}

pub(crate) fn with_chain_text(quote: &[u8], text: &[u8]) -> Vec<u8> {
    let mut quote = quote[..v4::CHAIN].to_vec();
    quote.extend_from_slice(text);
    for at in [v4::SIGNATURE_LEN, v4::CERTIFICATION_LEN, v4::PCK_LEN] {
        let length = (quote.len() - at - 4) as u32;
        quote[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
    quote
}

/// Where `needle` stands in `bytes`, which it does.
pub(crate) fn position(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}
