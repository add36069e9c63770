//! AMD's roots (ARK), one a product line, with the intermediates of chip keys (ASK) and provider keys
//! (ASVK).

use super::{VendorRoot, compiled_in};
use crate::snp::Product;
use crate::x509::Certificate;

/// The root of one product line, and the intermediates that are known with it.
#[derive(Clone, Debug)]
pub(crate) struct SnpRoot {
    pub(crate) product: Product,
    pub(crate) ark: Certificate,
    /// ASK and ASVK, which the root is known to have signed; still subject to dates and revocation.
    pub(crate) intermediates: Vec<Certificate>,
}

/// AMD's published certificates (anchors/amd/README.md): product line, ARK, ASK, ASVK.
const AMD: [(Product, [&[u8]; 3]); 3] = [
    (
        Product::Milan,
        [
            include_bytes!("../../anchors/amd/milan/ark.der"),
            include_bytes!("../../anchors/amd/milan/ask.der"),
            include_bytes!("../../anchors/amd/milan/asvk.der"),
        ],
    ),
    (
        Product::Genoa,
        [
            include_bytes!("../../anchors/amd/genoa/ark.der"),
            include_bytes!("../../anchors/amd/genoa/ask.der"),
            include_bytes!("../../anchors/amd/genoa/asvk.der"),
        ],
    ),
    (
        Product::Turin,
        [
            include_bytes!("../../anchors/amd/turin/ark.der"),
            include_bytes!("../../anchors/amd/turin/ask.der"),
            include_bytes!("../../anchors/amd/turin/asvk.der"),
        ],
    ),
];

pub(super) fn roots() -> Vec<SnpRoot> {
    let roots = AMD.iter().filter_map(|(product, [ark, ask, asvk])| {
        let VendorRoot { root, known } = compiled_in(ark, &[ask, asvk])?;
        Some(SnpRoot { product: *product, ark: root, intermediates: known })
    });
    roots.collect()
}

/// The product line of the root with this name (without any suffix).
pub(super) fn product_of_root(name: &str) -> Option<Product> {
    name.strip_prefix("ARK-").and_then(Product::from_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust_anchors::is_rsa_4096;
    use crate::x509::PublicKey;

    #[test]
    fn every_product_line_has_its_root_and_both_intermediates() {
        let roots = roots();
        assert_eq!(roots.len(), Product::ALL.len());
        for root in &roots {
            let line = root.product.name();
            assert_eq!(root.ark.subject.common_name(), Some(format!("ARK-{line}").as_str()));
            assert!(root.ark.is_signed_by(&root.ark) && root.ark.may_issue(), "{line}");
            assert!(root.ark.may_sign_revocation_lists() && is_rsa_4096(&root.ark), "{line}");
            let names: Vec<_> = root.intermediates.iter().filter_map(|ca| ca.subject.common_name()).collect();
            assert_eq!(names, [format!("SEV-{line}"), format!("SEV-VLEK-{line}")]);
            for intermediate in &root.intermediates {
                assert!(intermediate.is_signed_by(&root.ark), "{line}");
                assert!(intermediate.may_issue() && is_rsa_4096(intermediate), "{line}");
                assert!(!intermediate.is_signed_by(intermediate), "{line}");
            }
        }
    }

    #[test]
    fn the_roots_are_pinned_by_key() {
        // SHA-256 of each RSAPublicKey: a replaced file cannot go unnoticed.
        let pins = roots().into_iter().map(|root| match root.ark.public_key {
            PublicKey::Rsa { key, .. } => hex::encode(crate::crypto::sha256(&key)),
            _ => String::new(),
        });
        assert_eq!(
            pins.collect::<Vec<_>>(),
            [
                "20dc23483bddbb9947909070d49dfb5a7ff4ea41481e38cdeb8970d90a26feea",
                "052e0377922344bbddefdd8cec21947094d658436c0defe1355864ca024fcc2b",
                "c4a6c5980e27b97470c948beb8810461150851826891ed5f04b7401edba34c6c",
            ]
        );
    }
}
