//! What an SNP report needs: the report says which chip, and from version 3 which product.

use strongroom_attestation::{Cpuid, Product, SigningKey, SnpReport};

use crate::error::WantError;
use crate::evidence::Alternative;
use crate::want::{KeyKind, Vcek, Want};

/// What `report` needs, one alternative for each product line that it can be of. A report of version 2 does not say
/// which: `candidates` are then what may be, in the order in which to try them. The report is not believed; a lie
/// leads to certificates that do not verify it.
///
/// # Errors
/// A report without a signing key, with a masked chip under a VCEK, or of no product line that fits.
pub(crate) fn snp_wants(report: &SnpReport, candidates: &[Product]) -> Result<Vec<Alternative>, WantError> {
    let kind = match report.signing_key() {
        SigningKey::Vcek => KeyKind::Vcek,
        SigningKey::Vlek => KeyKind::Vlek,
        SigningKey::Other(_) => return Err(WantError::NoSigningKey),
    };
    let named = report.cpuid().map(Cpuid::product);
    let products = match &named {
        Some(product) => product.as_slice(),
        None => candidates,
    };
    let mut alternatives = Vec::new();
    let mut unfit = WantError::NoProduct;
    for product in products {
        match alternative(report, *product, kind, named.is_none()) {
            Ok(alternative) => alternatives.push(alternative),
            Err(error) => unfit = error,
        }
    }
    if alternatives.is_empty() { Err(unfit) } else { Ok(alternatives) }
}

fn alternative(report: &SnpReport, product: Product, kind: KeyKind, guessed: bool) -> Result<Alternative, WantError> {
    let vcek = match kind {
        KeyKind::Vlek => None,
        KeyKind::Vcek => {
            let chip_id = report.chip_id();
            // Only Turin's ids end in zeros, so that a guess need not be asked for.
            let short = chip_id.get(8..).is_some_and(|rest| rest.iter().all(|byte| *byte == 0));
            let vcek = Vcek::new(product, &chip_id, report.reported_tcb())?;
            if guessed && short && product.hwid_len() > 8 {
                return Err(WantError::NoProduct);
            }
            Some(Want::AmdVcek(vcek))
        }
    };
    Ok(Alternative { key: vcek, others: vec![Want::AmdChain { product, kind }, Want::AmdCrl { product }] })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILAN_V2: &[u8] = include_bytes!("../../../tests/vectors/snp/001-milan-v2/report.bin");
    const VLEK: &[u8] = include_bytes!("../../../tests/vectors/snp/010-milan-v3-vlek/report.bin");
    const GENOA: &[u8] = include_bytes!("../../../tests/vectors/snp/012-genoa-v5/report.bin");
    const TURIN: &[u8] = include_bytes!("../../../tests/vectors/snp/013-turin-v5/report.bin");

    fn products(report: &[u8], candidates: &[Product]) -> Vec<Product> {
        let wants = snp_wants(&SnpReport::parse(report).unwrap(), candidates).unwrap();
        let product = |alternative: &Alternative| match alternative.others[1] {
            Want::AmdCrl { product } => product,
            _ => panic!("the list comes second"),
        };
        wants.iter().map(product).collect()
    }

    /// As version 2: without the processor.
    fn as_v2(report: &[u8]) -> Vec<u8> {
        let mut bytes = report.to_vec();
        bytes[0] = 2;
        bytes[0x188..0x1A0].fill(0);
        bytes[0x1F8..0x208].fill(0);
        bytes
    }

    #[test]
    fn the_processor_decides_and_else_the_callers_order() {
        assert_eq!(products(GENOA, &[Product::Milan]), [Product::Genoa]);
        assert_eq!(products(TURIN, &[]), [Product::Turin]);
        let order = [Product::Turin, Product::Genoa, Product::Milan];
        assert_eq!(products(MILAN_V2, &order), [Product::Genoa, Product::Milan], "its id is too long for Turin");
        assert_eq!(products(&as_v2(TURIN), &order), [Product::Turin], "and this one too short for the others");
        let report = SnpReport::parse(MILAN_V2).unwrap();
        assert_eq!(snp_wants(&report, &[]), Err(WantError::NoProduct));
    }

    #[test]
    fn under_a_vlek_there_is_no_chip_to_ask_for() {
        let report = SnpReport::parse(VLEK).unwrap();
        let [alternative] = &snp_wants(&report, &[]).unwrap()[..] else { panic!("one product") };
        assert_eq!(alternative.key, None);
        assert_eq!(alternative.others[0].to_string(), "amd/chain/Milan/vlek");
    }

    #[test]
    fn a_masked_chip_or_no_key_leads_nowhere() {
        let mut masked = GENOA.to_vec();
        masked[0x1A0..0x1E0].fill(0);
        assert_eq!(snp_wants(&SnpReport::parse(&masked).unwrap(), &[]), Err(WantError::MaskedChip));
        let mut unsigned = GENOA.to_vec();
        unsigned[0x48] = 7 << 2;
        assert_eq!(snp_wants(&SnpReport::parse(&unsigned).unwrap(), &[]), Err(WantError::NoSigningKey));
        let mut venice = GENOA.to_vec();
        venice[0x188..0x18A].copy_from_slice(&[0x1A, 0x50]);
        assert_eq!(snp_wants(&SnpReport::parse(&venice).unwrap(), &[Product::Turin]), Err(WantError::NoProduct));
    }
}
