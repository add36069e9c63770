//! Our verifier as functions that say whether evidence is authentic, and what Intel says of it.

use dcap_qvl::QuoteCollateralV3;
use serde_json::{Value, json};
use strongroom_attestation::{
    Artefacts, Check, Code, Endorsements, Evidence, Expected, Hardware, HardwareAnchors, Policy, State, TcbStatus,
    UnixTime, verify,
};

/// What one verification came to, before any policy.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Signatures, chain, dates, revocation, platform: everything but the policy.
    pub authentic: bool,
    /// Intel's word on the platform, as Intel spells it.
    pub status: Option<String>,
    /// The code and the title of the check that failed, or why it was not even read.
    pub objection: String,
}

/// An SNP report under one certificate.
pub fn snp(report: &[u8], certificate: &[u8], now: UnixTime) -> Outcome {
    let mut bag = Endorsements::default();
    if let Err(refusal) = bag.add(certificate) {
        return Outcome { objection: format!("endorsements: {refusal}"), ..Outcome::default() };
    }
    match Evidence::parse(report) {
        Ok(evidence) => outcome(&evidence, &bag, &Policy::authentic(), now),
        Err(refusal) => Outcome { objection: format!("evidence: {refusal}"), ..Outcome::default() },
    }
}

/// A quote; with collateral all of it is required.
pub fn tdx(quote: &[u8], collateral: Option<&QuoteCollateralV3>, now: UnixTime) -> Outcome {
    let mut policy = Policy::authentic();
    let mut bag = Endorsements::default();
    if let Some(collateral) = collateral {
        policy.tdx.require_collateral = true;
        if let Err(refusal) = bag.add(&collateral_json(collateral)) {
            return Outcome { objection: format!("endorsements: {refusal}"), ..Outcome::default() };
        }
    }
    match Evidence::parse(quote) {
        Ok(evidence) => outcome(&evidence, &bag, &policy, now),
        Err(refusal) => Outcome { objection: format!("evidence: {refusal}"), ..Outcome::default() },
    }
}

/// Raw artefacts of an Azure machine.
pub fn azure(artefacts: &[Vec<u8>], now: UnixTime) -> Outcome {
    match sorted(artefacts) {
        Some((evidence, bag)) => outcome(&evidence, &bag, &Policy::authentic(), now),
        None => Outcome { objection: "no evidence".to_owned(), ..Outcome::default() },
    }
}

/// Evidence and endorsements of one machine.
pub fn sorted(artefacts: &[Vec<u8>]) -> Option<(Evidence, Endorsements)> {
    let mut sorted = Artefacts::default();
    artefacts.iter().try_for_each(|artefact| sorted.add(artefact).map(drop)).ok()?;
    sorted.into_evidence().ok()
}

/// Whether it is evidence of an Azure machine with a vTPM's quote.
pub fn is_azure_with_quote(bytes: &[u8]) -> bool {
    match sorted(&[bytes.to_vec()]) {
        Some((Evidence::Azure(azure), _)) => azure.tpm_quote().is_some(),
        _ => false,
    }
}

/// The first of `moments` at which `holds`, or else the first.
pub fn a_moment(moments: &[u64], holds: impl Fn(UnixTime) -> bool) -> UnixTime {
    let mut all = moments.iter().map(|seconds| UnixTime::from_secs(*seconds));
    let found = all.clone().find(|now| holds(*now));
    found.or(all.next()).unwrap_or(UnixTime::from_secs(0))
}

/// Collateral as the file that DCAP tools write.
pub fn collateral_json(collateral: &QuoteCollateralV3) -> Vec<u8> {
    let mut file = json!({
        "pck_crl_issuer_chain": collateral.pck_crl_issuer_chain,
        "root_ca_crl": hex::encode(&collateral.root_ca_crl),
        "pck_crl": hex::encode(&collateral.pck_crl),
        "tcb_info_issuer_chain": collateral.tcb_info_issuer_chain,
        "tcb_info": collateral.tcb_info,
        "tcb_info_signature": hex::encode(&collateral.tcb_info_signature),
        "qe_identity_issuer_chain": collateral.qe_identity_issuer_chain,
        "qe_identity": collateral.qe_identity,
        "qe_identity_signature": hex::encode(&collateral.qe_identity_signature),
    });
    if let (Some(chain), Value::Object(file)) = (&collateral.pck_certificate_chain, &mut file) {
        file.insert("pck_certificate_chain".to_owned(), json!(chain));
    }
    file.to_string().into_bytes()
}

/// One certificate as PEM text.
pub fn pem(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = String::new();
    for group in der.chunks(3) {
        let mut bytes = [0; 4];
        bytes[1..=group.len()].copy_from_slice(group);
        let number = u32::from_be_bytes(bytes);
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place)) as usize & 63];
            digits.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    format!("-----BEGIN CERTIFICATE-----\n{digits}\n-----END CERTIFICATE-----\n")
}

fn outcome(evidence: &Evidence, bag: &Endorsements, policy: &Policy, now: UnixTime) -> Outcome {
    let anchors = HardwareAnchors::compiled_in();
    let expected = Expected::unbound_for_inspection();
    let appraisal = verify::<Hardware>(evidence, bag, &anchors, policy, &expected, now);
    let failed = appraisal.checks().iter().find(|check| check.state == State::Fail);
    let tcb = appraisal.claims().and_then(|claims| claims.tdx()?.tcb.as_ref());
    Outcome {
        authentic: appraisal.claims().is_some() && !failed.is_some_and(is_dates),
        // Both are Intel's "no": no level that is published, or keys that are known to others.
        status: tcb.filter(|tcb| tcb.status != TcbStatus::NotSupported).map(|tcb| tcb.status.to_string()),
        objection: failed.map(|check| format!("{}: {}", check.code, check.title)).unwrap_or_default(),
    }
}

fn is_dates(check: &Check) -> bool {
    check.code == Code::CollateralExpired
}
