//! The roots: AMD's, compiled in and pinned by key per product line; or a development root.

use crate::error::{Code, Refusal};
use crate::snp::Product;
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, PublicKey};

/// The mark of every development certificate: 1.3.6.1.4.1.32473.5.1, under the number that RFC
/// 5612 sets aside for documentation. It is critical, so that a verifier that does not know it
/// refuses the certificate.
pub(crate) const DEVELOPMENT_OID: &[u8] = &[0x2B, 6, 1, 4, 1, 0x81, 0xFD, 0x59, 5, 1];
/// What the mark says, a DER UTF8String.
pub(crate) const DEVELOPMENT_MARK: &[u8] = b"\x0C\x17DEVELOPMENT - NOT A TEE";
/// Ends the common names of development certificates.
pub(crate) const DEVELOPMENT_SUFFIX: &str = " DEVELOPMENT - NOT A TEE";
/// A development certificate lives at most a week, so that none is left lying about.
pub(crate) const DEVELOPMENT_LIFETIME_SECS: u64 = 7 * 24 * 60 * 60;
/// Length of the vendor's RSA keys; shorter ones are not AMD's.
pub(crate) const RSA_BITS: usize = 4096;

/// The vendors' roots that are compiled in; the only way to a hardware verdict.
#[derive(Clone, Debug)]
pub struct HardwareAnchors {
    snp: Vec<SnpRoot>,
}

/// One root of a simulated vendor; leads only to simulated verdicts.
#[derive(Clone, Debug)]
pub struct DevelopmentAnchors {
    snp: Vec<SnpRoot>,
}

/// The root of one product line, and the intermediates that are known with it.
#[derive(Clone, Debug)]
pub(crate) struct SnpRoot {
    pub(crate) product: Product,
    pub(crate) ark: Certificate,
    /// ASK and ASVK; still subject to dates and revocation.
    pub(crate) intermediates: Vec<Certificate>,
}

/// AMD's published certificates (anchors/amd/README.md): product line, ARK, ASK, ASVK.
const AMD: [(Product, [&[u8]; 3]); 3] = [
    (
        Product::Milan,
        [
            include_bytes!("../anchors/amd/milan/ark.der"),
            include_bytes!("../anchors/amd/milan/ask.der"),
            include_bytes!("../anchors/amd/milan/asvk.der"),
        ],
    ),
    (
        Product::Genoa,
        [
            include_bytes!("../anchors/amd/genoa/ark.der"),
            include_bytes!("../anchors/amd/genoa/ask.der"),
            include_bytes!("../anchors/amd/genoa/asvk.der"),
        ],
    ),
    (
        Product::Turin,
        [
            include_bytes!("../anchors/amd/turin/ark.der"),
            include_bytes!("../anchors/amd/turin/ask.der"),
            include_bytes!("../anchors/amd/turin/asvk.der"),
        ],
    ),
];

impl HardwareAnchors {
    /// The roots that this build carries: ARK-Milan, ARK-Genoa and ARK-Turin.
    pub fn compiled_in() -> HardwareAnchors {
        let snp = AMD.iter().filter_map(|(product, [ark, ask, asvk])| {
            // A file that could not be read would leave its product line without a root, and so
            // refused; a test holds that all three are there.
            Some(SnpRoot {
                product: *product,
                ark: Certificate::parse(ark).ok()?,
                intermediates: vec![Certificate::parse(ask).ok()?, Certificate::parse(asvk).ok()?],
            })
        });
        HardwareAnchors { snp: snp.collect() }
    }

    pub(crate) fn snp_roots(&self) -> &[SnpRoot] {
        &self.snp
    }
}

impl DevelopmentAnchors {
    /// Trusts the root certificate of a simulated vendor, given as DER. Refused with `CHAIN`
    /// unless it signs itself, is a CA, names its product line as `ARK-<line> DEVELOPMENT - NOT A
    /// TEE`, carries the critical development extension, and lives at most seven days.
    pub fn new(root_certificate_der: &[u8]) -> Result<DevelopmentAnchors, Refusal> {
        let ark = Certificate::parse(root_certificate_der)
            .map_err(|error| Refusal::new(Code::Parse, format!("the development root is no certificate: {error}")))?;
        let refuse = |wanted: &str| Err(Refusal::new(Code::Chain, format!("the development root must {wanted}")));
        if !carries_development_mark(&ark) {
            return refuse("carry the critical extension \"DEVELOPMENT - NOT A TEE\"");
        }
        let product = ark
            .subject
            .common_name()
            .and_then(|name| name.strip_suffix(DEVELOPMENT_SUFFIX)?.strip_prefix("ARK-"))
            .and_then(Product::from_name);
        let Some(product) = product else {
            return refuse("be named \"ARK-<product line> DEVELOPMENT - NOT A TEE\"");
        };
        if lifetime_secs(&ark) > DEVELOPMENT_LIFETIME_SECS {
            return refuse("live at most seven days");
        }
        if !is_rsa_4096(&ark) || !ark.may_issue() || !ark.is_signed_by(&ark) {
            return refuse("be a CA with an RSA-4096 key that signs itself");
        }
        Ok(DevelopmentAnchors { snp: vec![SnpRoot { product, ark, intermediates: Vec::new() }] })
    }

    pub(crate) fn snp_roots(&self) -> &[SnpRoot] {
        &self.snp
    }
}

/// Whether the certificate carries the development extension as it must be: critical, and with
/// the one value.
pub(crate) fn carries_development_mark(certificate: &Certificate) -> bool {
    certificate
        .extension(DEVELOPMENT_OID)
        .is_some_and(|extension| extension.critical && extension.value == DEVELOPMENT_MARK)
}

/// Whether anything about the certificate says that it is for development.
pub(crate) fn looks_like_development(certificate: &Certificate) -> bool {
    let named = |name: Option<&str>| name.is_some_and(|name| name.ends_with(DEVELOPMENT_SUFFIX));
    certificate.extension(DEVELOPMENT_OID).is_some()
        || named(certificate.subject.common_name())
        || named(certificate.issuer.common_name())
}

/// Seconds between a certificate's first and last moment.
pub(crate) fn lifetime_secs(certificate: &Certificate) -> u64 {
    certificate.not_after.saturating_secs_since(certificate.not_before)
}

/// The last moment at which all of `certificates` are valid, or the one that is not valid at
/// `now`.
pub(crate) fn valid_until<'a>(certificates: &[&'a Certificate], now: UnixTime) -> Result<UnixTime, &'a Certificate> {
    let mut until = UnixTime::from_secs(u64::MAX);
    for certificate in certificates {
        if now < certificate.not_before || now > certificate.not_after {
            return Err(certificate);
        }
        until = until.min(certificate.not_after);
    }
    Ok(until)
}

pub(crate) fn is_rsa_4096(certificate: &Certificate) -> bool {
    matches!(certificate.public_key, PublicKey::Rsa { modulus_bits: RSA_BITS, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_line_has_its_root_and_both_intermediates() {
        let anchors = HardwareAnchors::compiled_in();
        assert_eq!(anchors.snp.len(), Product::ALL.len());
        for root in &anchors.snp {
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
        let pins = HardwareAnchors::compiled_in().snp.into_iter().map(|root| match root.ark.public_key {
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

    #[test]
    fn a_hardware_root_is_no_development_root() {
        let refusal = DevelopmentAnchors::new(AMD[1].1[0]).unwrap_err();
        assert_eq!(refusal.code, Code::Chain);
        assert_eq!(DevelopmentAnchors::new(b"junk").unwrap_err().code, Code::Parse);
    }
}
