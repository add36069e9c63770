//! Agreement with `sev`, an independent implementation, on whether a report is authentic.
//!
//! `sev` checks neither dates nor revocation nor policy nor the bytes after the signature, so the
//! comparison is over what both check: structure, chain and signature.

use sev::certs::snp::{Certificate, Chain, Verifiable, builtin, ca};
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser;
use strongroom_attestation::{Code, Product};

use crate::vector::Vector;

/// Why a vector has no part in the comparison.
const NOT_COMPARED: &[(&str, &str)] = &[
    ("017-milan-v2-pem-chain", "the oracle takes one DER certificate"),
    ("018-certificate-table", "the oracle takes one DER certificate"),
    ("019-certificate-table-with-pem", "the oracle takes one DER certificate"),
    ("020-raw-firmware-answer", "the oracle takes a bare report"),
    ("023-certificate-of-another-chip-beside", "the oracle takes one certificate"),
    ("024-zero-padded-certificate", "the oracle takes a bare certificate"),
    ("115-reserved-after-signature", "the oracle does not look there"),
    ("116-r-too-long", "the oracle does not look there"),
    ("117-s-too-long", "the oracle does not look there"),
    ("206-vcek-of-another-chip", "the oracle compares no chip id"),
];

/// The oracle has none built in.
const ASVK_MILAN: &[u8] = include_bytes!("../../anchors/amd/milan/asvk.der");

fn oracle_accepts(vector: &Vector, product: Product) -> bool {
    let Ok(report) = AttestationReport::from_bytes(&vector.report) else {
        return false;
    };
    let Some(vek) = vector.endorsements.iter().find_map(|der| Certificate::from_der(der).ok()) else {
        return false;
    };
    let is_vlek = vector.report[0x48] & 0x1C == 0x04;
    let chain = match (product, is_vlek) {
        (Product::Milan, false) => (builtin::milan::ark(), builtin::milan::ask()),
        (Product::Milan, true) => (builtin::milan::ark(), Certificate::from_der(ASVK_MILAN)),
        (Product::Genoa, _) => (builtin::genoa::ark(), builtin::genoa::ask()),
        _ => (builtin::turin::ark(), builtin::turin::ask()),
    };
    let ca = ca::Chain { ark: chain.0.unwrap(), ask: chain.1.unwrap() };
    (&Chain { ca, vek }, &report).verify().is_ok()
}

/// What both implementations decide: is the report authentic?
fn we_call_it_authentic(vector: &Vector) -> bool {
    !matches!(
        vector.verdict().map_err(|refusal| refusal.code),
        Err(Code::Parse | Code::NoEndorsement | Code::Chain | Code::Signature)
    )
}

/// The product line whose chain to give to the oracle: from the processor, which version 2 does
/// not name (all of version 2 here are Milan).
fn product(report: &[u8]) -> Product {
    match (report.first(), report.get(0x188..0x18A)) {
        (Some(2), _) | (_, Some([0x19, 0x01])) => Product::Milan,
        (_, Some([0x1A, _])) => Product::Turin,
        _ => Product::Genoa,
    }
}

#[test]
fn the_oracle_agrees_on_what_is_authentic() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for vector in Vector::all() {
        if NOT_COMPARED.iter().any(|(name, _)| *name == vector.name) {
            continue;
        }
        compared += 1;
        let ours = we_call_it_authentic(&vector);
        let theirs = oracle_accepts(&vector, product(&vector.report));
        if ours != theirs {
            wrong.push(format!("{}: ours {ours}, oracle {theirs}", vector.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(compared > 70, "{compared}");
}
