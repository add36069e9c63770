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

impl Certificate {
    /// SHA-256 of the DER as received, and of the DER with the signature's twin if it has one. Other
    /// forms do not verify: DER is read strictly, and RSA signatures have one value.
    pub(crate) fn fingerprints(&self) -> Vec<[u8; 32]> {
        [Some(self.der.clone()), self.twin()].into_iter().flatten().map(|der| crypto::sha256(&der)).collect()
    }

    fn twin(&self) -> Option<Vec<u8>> {
        if self.signature_algorithm != SignatureAlgorithm::EcdsaP256Sha256 {
            return None;
        }
        let mut numbers = Reader::new(&self.signature).sequence().ok()?;
        let r = numbers.expect(tag::INTEGER).ok()?.raw;
        let s = numbers.unsigned().ok()?;
        let mut padded = [0; 32];
        padded.get_mut(32_usize.checked_sub(s.len())?..)?.copy_from_slice(s);
        let mut parts = Reader::new(&self.der).sequence().ok()?;
        parts.expect(tag::SEQUENCE).ok()?;
        let algorithm = parts.expect(tag::SEQUENCE).ok()?.raw;
        let numbers = [r, &integer(&negative(&padded))].concat();
        let signature = [&[0][..], &element(tag::SEQUENCE, &numbers)].concat();
        let content = [self.to_be_signed.as_slice(), algorithm, &element(tag::BIT_STRING, &signature)].concat();
        Some(element(tag::SEQUENCE, &content))
    }
}

/// The order less `s`. Of an `s` that is not below the order it is nonsense, which verifies nothing.
fn negative(s: &[u8; 32]) -> [u8; 32] {
    let mut difference = [0; 32];
    let mut borrowed = false;
    for ((result, order), s) in difference.iter_mut().zip(P256_ORDER).zip(s).rev() {
        let (partial, first) = order.overflowing_sub(*s);
        let (partial, second) = partial.overflowing_sub(u8::from(borrowed));
        (*result, borrowed) = (partial, first || second);
    }
    difference
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
        let vendor = &anchors.roots().intel[0];
        let certificates = [&vendor.root].into_iter().chain(&vendor.known);
        for certificate in certificates {
            let twin = Certificate::parse(&certificate.twin().unwrap()).unwrap();
            assert!(twin.is_signed_by(&vendor.root), "{}", certificate.subject.shown());
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
        assert_eq!(negative(&P256_ORDER), [0; 32]);
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(negative(&negative(&one)), one);
    }
}
