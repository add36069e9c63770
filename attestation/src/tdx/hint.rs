//! What a quote says of its platform before anything is verified: it helps to find the collateral to fetch, and decides
//! nothing.

use serde::Serialize;

use crate::endorsements::Endorsements;
use crate::hex_bytes::HexBytes;
use crate::tdx::authenticate::{MAX_CANDIDATES, pck_candidates, signs_qe_report};
use crate::tdx::pck::{PckCa, PckExtension};
use crate::tdx::quote::TdxQuote;

/// A platform as its PCK certificate names it, which nobody has checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlatformHint {
    /// Family, model, stepping, platform and SKU.
    pub fmspc: HexBytes<6>,
    /// The provisioning certification enclave.
    pub pce_id: HexBytes<2>,
    /// The authority that the certificate names as its issuer; `None` where it is neither of Intel's.
    pub ca: Option<PckCa>,
}

impl TdxQuote {
    /// The platform, from the PCK certificate in the quote, or from the one in `bag` where the quote carries none.
    /// `None` where neither has one that can be read.
    pub fn platform_hint(&self, bag: &Endorsements) -> Option<PlatformHint> {
        let candidates = pck_candidates(self, bag);
        let tried = candidates.iter().take(MAX_CANDIDATES);
        let leaf = tried.clone().find(|leaf| signs_qe_report(self, leaf)).or(candidates.first())?;
        let pck = PckExtension::read(leaf).ok()?;
        let ca = leaf.issuer.common_name().and_then(PckCa::of_name);
        Some(PlatformHint { fmspc: HexBytes(pck.fmspc), pce_id: HexBytes(pck.pce_id), ca })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTE: &[u8] = include_bytes!("../../../tests/vectors/collateral/evidence/tdx-quote-v4.bin");

    #[test]
    fn the_platform_is_that_of_the_certificate_in_the_quote_or_beside_it() {
        let named = TdxQuote::parse(QUOTE).unwrap().platform_hint(&Endorsements::default());
        let fmspc = HexBytes([0xB0, 0xC0, 0x6F, 0, 0, 0]);
        assert_eq!(named, Some(PlatformHint { fmspc, pce_id: HexBytes([0; 2]), ca: Some(PckCa::Platform) }));

        // The same quote with certification data that names the PCK and does not carry it.
        let chain = QUOTE.windows(27).position(|window| window == b"-----BEGIN CERTIFICATE-----").unwrap();
        let mut bytes = QUOTE.to_vec();
        bytes[chain - 6] = 1;
        let without = TdxQuote::parse(&bytes).unwrap();
        assert_eq!(without.platform_hint(&Endorsements::default()), None);
        let end = QUOTE[chain..].iter().position(|byte| *byte == 0).unwrap_or(QUOTE.len() - chain);
        let mut bag = Endorsements::default();
        bag.add(&QUOTE[chain..chain + end]).unwrap();
        assert_eq!(without.platform_hint(&bag), named);
    }
}
