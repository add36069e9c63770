//! What a VCEK or VLEK certificate says about the chip and firmware it is for: AMD's extensions
//! under 1.3.6.1.4.1.3704.1 (AMD 57230, "VCEK certificate").

use crate::der::{Reader, tag};
use crate::snp::product::Product;
use crate::snp::report::SigningKey;
use crate::snp::tcb::spl_arcs;
use crate::trust_anchors::plain_name;
use crate::x509::Certificate;

/// 1.3.6.1.4.1.3704.1, encoded.
const ARC: [u8; 8] = [0x2B, 6, 1, 4, 1, 0x9C, 0x78, 1];
const PRODUCT_NAME: u8 = 2;
const SPL: u8 = 3;
const HWID: u8 = 4;
const CSP_ID: u8 = 5;
/// A provider's name is shown and compared; real ones have about thirty characters.
const MAX_CSP_ID: usize = 128;

/// The kind of key that the certificate's own name claims. Development names count too: the mark
/// they carry is judged elsewhere.
pub(super) fn claimed_kind(certificate: &Certificate) -> Option<SigningKey> {
    match plain_name(certificate.subject.common_name()?) {
        "SEV-VCEK" => Some(SigningKey::Vcek),
        "SEV-VLEK" => Some(SigningKey::Vlek),
        _ => None,
    }
}

/// Where AMD's table of certificates has a place for it, as the certificate's own name claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnpCertificateKind {
    /// AMD's root key.
    Ark,
    /// The key of a product line that certifies VCEKs, or VLEKs.
    Ask,
    /// A chip's key.
    Vcek,
    /// A provider's key.
    Vlek,
}

impl SnpCertificateKind {
    /// The kind that the name of `certificate` claims; `None` where AMD names none so. A name proves nothing.
    pub(crate) fn claimed(certificate: &Certificate) -> Option<Self> {
        let name = plain_name(certificate.subject.common_name()?);
        let line = |name: &str| Product::from_name(name).is_some();
        match (claimed_kind(certificate), name.strip_prefix("ARK-"), name.strip_prefix("SEV-")) {
            (Some(SigningKey::Vcek), ..) => Some(Self::Vcek),
            (Some(SigningKey::Vlek), ..) => Some(Self::Vlek),
            (_, Some(product), _) if line(product) => Some(Self::Ark),
            (.., Some(product)) if line(product.strip_prefix("VLEK-").unwrap_or(product)) => Some(Self::Ask),
            _ => None,
        }
    }
}

/// The product line that the issuer's name claims, for a certificate of this kind.
pub(super) fn claimed_product(certificate: &Certificate, kind: SigningKey) -> Option<Product> {
    let issuer = plain_name(certificate.issuer.common_name()?);
    let line = match kind {
        SigningKey::Vcek => issuer.strip_prefix("SEV-")?,
        SigningKey::Vlek => issuer.strip_prefix("SEV-VLEK-")?,
        SigningKey::Other(_) => return None,
    };
    Product::from_name(line)
}

/// The product line in the extension: the part of "Milan-B0" before the stepping. Bergamo and
/// Siena are Genoa's line; what they may be called decides nothing, since the issuer must be
/// Genoa's too.
pub(super) fn certified_product(certificate: &Certificate) -> Option<Product> {
    let name = ia5(certificate, PRODUCT_NAME)?;
    match name.split_once('-').map_or(name, |(line, _stepping)| line) {
        "Bergamo" | "Siena" => Some(Product::Genoa),
        line => Product::from_name(line),
    }
}

/// The eight bytes of the TCB version that the certificate is for, in the product's order; `Err`
/// names the extension that is missing or is not a byte.
pub(super) fn certified_tcb(certificate: &Certificate, product: Product) -> Result<[u8; 8], String> {
    let mut tcb = [0; 8];
    for (byte, (arc, required)) in tcb.iter_mut().zip(spl_arcs(product)) {
        *byte = match extension(certificate, &[SPL, arc]) {
            Some(value) => {
                let mut reader = Reader::new(value);
                let spl = reader.small().ok().filter(|_| reader.is_empty());
                spl.ok_or_else(|| format!("extension 3.{arc} that is not a byte"))?
            }
            None if required => return Err(format!("no extension 3.{arc}")),
            None => 0,
        };
    }
    Ok(tcb)
}

/// The hardware id: raw bytes in genuine certificates, wrapped in an OCTET STRING in some others.
/// `None` when it is missing or has not the length of the product.
pub(super) fn hardware_id(certificate: &Certificate, product: Product) -> Option<&[u8]> {
    let value = extension(certificate, &[HWID])?;
    if value.len() == product.hwid_len() {
        return Some(value);
    }
    let mut reader = Reader::new(value);
    let inner = reader.expect(tag::OCTET_STRING).ok()?.value;
    (reader.is_empty() && inner.len() == product.hwid_len()).then_some(inner)
}

/// The provider that a VLEK is for.
pub(super) fn provider(certificate: &Certificate) -> Option<&str> {
    ia5(certificate, CSP_ID).filter(|id| !id.is_empty() && id.len() <= MAX_CSP_ID)
}

/// A printable IA5String in the extension with this last arc.
fn ia5(certificate: &Certificate, arc: u8) -> Option<&str> {
    let mut reader = Reader::new(extension(certificate, &[arc])?);
    let value = reader.expect(tag::IA5_STRING).ok()?.value;
    let printable = value.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    (reader.is_empty() && printable).then_some(std::str::from_utf8(value).ok()?)
}

fn extension<'a>(certificate: &'a Certificate, arcs: &[u8]) -> Option<&'a [u8]> {
    let found = certificate.extensions.iter().find(|extension| extension.oid.strip_prefix(&ARC) == Some(arcs))?;
    Some(&found.value)
}
