//! A certificate's name by digest. An ECDSA signature has a twin (r and the negative of s) that holds
//! as well and that anybody can write: a certificate under it is the same one with another digest.

use crate::crypto;
use crate::der::{Reader, tag};
use crate::x509::{Certificate, SignatureAlgorithm};

/// The order of P-256's group (FIPS 186-5, SP 800-186 3.2.1.3).
const P256_ORDER: [u8; 32] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA,
    0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
];

/// The order of P-384's group (SP 800-186 3.2.1.4).
const P384_ORDER: [u8; 48] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xC7, 0x63, 0x4D, 0x81, 0xF4, 0x37, 0x2D, 0xDF, 0x58, 0x1A, 0x0D, 0xB2, 0x48, 0xB0,
    0xA7, 0x7A, 0xEC, 0xEC, 0x19, 0x6A, 0xCC, 0xC5, 0x29, 0x73,
];

impl Certificate {
    /// SHA-256 of the DER as received, and of the DER with the signature's twin if it has one. Other
    /// forms do not verify: DER is read strictly, and RSA signatures have one value.
    pub(crate) fn fingerprints(&self) -> Vec<[u8; 32]> {
        [Some(self.der.clone()), self.twin()].into_iter().flatten().map(|der| crypto::sha256(&der)).collect()
    }

    fn twin(&self) -> Option<Vec<u8>> {
        let mut numbers = Reader::new(&self.signature).sequence().ok()?;
        let r = numbers.expect(tag::INTEGER).ok()?.raw;
        let s = numbers.unsigned().ok()?;
        let negative = match self.signature_algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => negative(&P256_ORDER, s)?,
            SignatureAlgorithm::EcdsaP384Sha384 => negative(&P384_ORDER, s)?,
            _ => return None,
        };
        let mut parts = Reader::new(&self.der).sequence().ok()?;
        parts.expect(tag::SEQUENCE).ok()?;
        let algorithm = parts.expect(tag::SEQUENCE).ok()?.raw;
        let numbers = [r, &integer(&negative)].concat();
        let signature = [&[0][..], &element(tag::SEQUENCE, &numbers)].concat();
        let content = [self.to_be_signed.as_slice(), algorithm, &element(tag::BIT_STRING, &signature)].concat();
        Some(element(tag::SEQUENCE, &content))
    }
}

/// The order less `s`. Of an `s` that is not below the order it is nonsense, which verifies nothing.
/// `None` where it has more digits than the order.
fn negative<const N: usize>(order: &[u8; N], s: &[u8]) -> Option<Vec<u8>> {
    let mut padded = [0; N];
    padded.get_mut(N.checked_sub(s.len())?..)?.copy_from_slice(s);
    let mut difference = vec![0; N];
    let mut borrowed = false;
    for ((result, order), s) in difference.iter_mut().zip(order).zip(padded).rev() {
        let (partial, first) = order.overflowing_sub(s);
        let (partial, second) = partial.overflowing_sub(u8::from(borrowed));
        (*result, borrowed) = (partial, first || second);
    }
    Some(difference)
}

/// DER's one form of an unsigned number.
fn integer(number: &[u8]) -> Vec<u8> {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let significant = number.get(first..).unwrap_or_default();
    let padded = significant.first().is_none_or(|byte| byte & 0x80 != 0);
    let content = if padded { [&[0][..], significant].concat() } else { significant.to_vec() };
    element(tag::INTEGER, &content)
}

/// A tag, the length in its shortest form, and the content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let short = u8::try_from(content.len()).ok().filter(|length| *length < 0x80);
    let head = match short {
        Some(length) => vec![length],
        None => {
            let first = length.iter().position(|byte| *byte != 0).unwrap_or(length.len());
            let digits = length.get(first..).unwrap_or_default();
            let count = u8::try_from(digits.len()).unwrap_or(u8::MAX);
            [&[0x80 | count][..], digits].concat()
        }
    };
    [&[tag][..], &head, content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust_anchors::HardwareAnchors;

    #[test]
    fn a_certificate_and_its_twin_have_the_same_fingerprints() {
        let anchors = HardwareAnchors::compiled_in();
        let (vendor, device) = (&anchors.roots().intel[0], &anchors.roots().nvidia_devices[0].root);
        let intel = [&vendor.root].into_iter().chain(&vendor.known).map(|certificate| (certificate, &vendor.root));
        for (certificate, issuer) in intel.chain([(device, device)]) {
            let twin = Certificate::parse(&certificate.twin().unwrap()).unwrap();
            assert!(twin.is_signed_by(issuer), "{}", certificate.subject.shown());
            assert_ne!(twin.der(), certificate.der());
            assert_eq!(twin.twin().unwrap(), certificate.der(), "twins are each other's");
            let (mut one, mut other) = (certificate.fingerprints(), twin.fingerprints());
            one.sort_unstable();
            other.sort_unstable();
            assert_eq!(one, other);
        }
        let rsa = &anchors.roots().snp[0].ark;
        assert_eq!(rsa.fingerprints(), [crypto::sha256(rsa.der())]);
    }

    #[test]
    fn numbers_and_lengths_have_their_shortest_form() {
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
        assert_eq!(integer(&[0, 0x7F]), [2, 1, 0x7F]);
        assert_eq!(integer(&[0, 0x80]), [2, 2, 0, 0x80]);
        for (length, head) in [(127, &[4, 0x7F][..]), (128, &[4, 0x81, 0x80]), (256, &[4, 0x82, 1, 0])] {
            assert!(element(4, &vec![9; length]).starts_with(head), "{length}");
        }
        assert_eq!(negative(&P256_ORDER, &P256_ORDER), Some(vec![0; 32]));
        assert_eq!(negative(&P256_ORDER, &[1; 33]), None);
        let less_one = negative(&P384_ORDER, &[1]).unwrap();
        assert_eq!(integer(&negative(&P384_ORDER, &less_one).unwrap()), [2, 1, 1]);
    }
}
