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
