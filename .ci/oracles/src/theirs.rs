//! Other implementations as functions. One that panics has refused.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::verify::QuoteVerifier;
use sev::certs::snp::{Certificate, Chain, Verifiable, builtin, ca};
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser;

/// What one said: its answer, or why not.
pub type Answer = Result<String, String>;

/// The oracle has none built in.
const ASVK_MILAN: &[u8] = include_bytes!("../../../attestation/anchors/amd/milan/asvk.der");

/// `sev`: whether chain and report verify, under the product line's root that the certificate names.
pub fn sev(report: &[u8], certificate: &[u8]) -> Answer {
    caught(|| {
        let parsed = AttestationReport::from_bytes(report).map_err(|error| error.to_string())?;
        let vek = Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        let chain = Chain { ca: authorities(certificate)?, vek };
        (&chain, &parsed).verify().map_err(|error| error.to_string())?;
        Ok("authentic".to_owned())
    })
}

/// The authorities of the product line that stands in the certificate's issuer.
pub fn authorities(certificate: &[u8]) -> Result<ca::Chain, String> {
    let names = |name: &str| certificate.windows(name.len()).any(|window| window == name.as_bytes());
    let chain = if names("SEV-VLEK-Milan") {
        (builtin::milan::ark(), Certificate::from_der(ASVK_MILAN))
    } else if names("SEV-Milan") {
        (builtin::milan::ark(), builtin::milan::ask())
    } else if names("SEV-Genoa") {
        (builtin::genoa::ark(), builtin::genoa::ask())
    } else if names("SEV-Turin") {
        (builtin::turin::ark(), builtin::turin::ask())
    } else {
        return Err("no issuer of a known product line".to_owned());
    };
    let (Ok(ark), Ok(ask)) = chain else { return Err("no authorities".to_owned()) };
    Ok(ca::Chain { ark, ask })
}

/// `dcap-qvl`: Intel's word on the platform, where quote and collateral verify.
pub fn dcap_qvl(quote: &[u8], collateral: &QuoteCollateralV3, now: u64) -> Answer {
    caught(|| {
        let verifier = QuoteVerifier::new_prod().allow_debug(true).allow_service_td(true);
        let report = verifier.verify(quote, collateral, now).map_err(|error| format!("{error:#}"))?;
        Ok(report.status)
    })
}

/// `tdx-quote`: whether the chain in the quote, the quoting enclave's report and the quote verify.
pub fn tdx_quote(quote: &[u8]) -> Answer {
    caught(|| {
        let parsed = tdx_quote::Quote::from_bytes(quote).map_err(|error| format!("{error:?}"))?;
        parsed.verify().map_err(|error| format!("{error:?}"))?;
        Ok("authentic".to_owned())
    })
}

fn caught(answer: impl FnOnce() -> Answer) -> Answer {
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| Err("it panicked".to_owned()))
}
