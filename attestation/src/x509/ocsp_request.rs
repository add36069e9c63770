//! A question for an OCSP responder (RFC 6960 section 4.1.1): what is the status of this one certificate?

use std::fmt;

use crate::crypto;
use crate::der::{self, tag};
use crate::hex_bytes::HexBytes;
use crate::x509::{Certificate, oid};

/// Bytes that a serial number may have (RFC 5280 4.1.2.2). What is longer is not asked for: whoever wrote the
/// certificate may have written anything.
const MAX_SERIAL: usize = 20;

/// The question about one certificate, which it names by SHA-384 digests of its issuer's name and key, and by
/// its serial number. One certificate, one request: without a nonce, so that an answer serves everybody who asks,
/// and unsigned.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OcspRequest {
    issuer_name_hash: HexBytes<48>,
    issuer_key_hash: HexBytes<48>,
    serial: Vec<u8>,
}

impl OcspRequest {
    /// The request for the certificate of this serial number (big-endian) under the issuer with these digests.
    /// `None` where the number is empty, longer than RFC 5280 allows, or written with zeros in front.
    pub fn new(
        issuer_name_hash: HexBytes<48>,
        issuer_key_hash: HexBytes<48>,
        serial: impl Into<Vec<u8>>,
    ) -> Option<OcspRequest> {
        let serial = serial.into();
        let has_one_form = matches!(serial.as_slice(), [_] | [1..=u8::MAX, _, ..]);
        let request = OcspRequest { issuer_name_hash, issuer_key_hash, serial };
        (has_one_form && request.serial.len() <= MAX_SERIAL).then_some(request)
    }

    /// The request about `certificate`, which `issuer` is said to have signed; nothing is verified. `None` for a
    /// key or a serial number that no authority here has.
    pub(crate) fn about(certificate: &Certificate, issuer: &Certificate) -> Option<OcspRequest> {
        let key = issuer.public_key.bytes();
        let name = certificate.issuer_der().ok().filter(|_| !key.is_empty())?;
        OcspRequest::new(HexBytes(crypto::sha384(name)), HexBytes(crypto::sha384(key)), certificate.serial.as_slice())
    }

    /// SHA-384 of the issuer's name, DER.
    pub fn issuer_name_hash(&self) -> HexBytes<48> {
        self.issuer_name_hash
    }

    /// SHA-384 of the issuer's public key, without its algorithm.
    pub fn issuer_key_hash(&self) -> HexBytes<48> {
        self.issuer_key_hash
    }

    /// The certificate's serial number, big-endian.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The request as responders take it: an OCSPRequest with one CertID, DER.
    pub fn to_der(&self) -> Vec<u8> {
        let sequence = |parts: &[&[u8]]| der::element(tag::SEQUENCE, &parts.concat());
        // RFC 5754 2 allows the NULL or nothing; this is what everybody's tools send.
        let algorithm = sequence(&[&der::element(tag::OID, oid::SHA384), &der::element(tag::NULL, &[])]);
        let [name, key] = [self.issuer_name_hash, self.issuer_key_hash]
            .map(|digest| der::element(tag::OCTET_STRING, digest.as_slice()));
        let certificate = sequence(&[&algorithm, &name, &key, &der::unsigned(&self.serial)]);
        // Request, requestList, TBSRequest, OCSPRequest.
        let mut request = certificate;
        for _ in 0..4 {
            request = sequence(&[&request]);
        }
        request
    }
}

impl fmt::Debug for OcspRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OcspRequest { issuer_name_hash, issuer_key_hash, serial } = self;
        write!(f, "OcspRequest({issuer_name_hash}, {issuer_key_hash}, {})", hex::encode(serial))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_der_that_other_tools_write() {
        let request = OcspRequest::new(HexBytes([0xAA; 48]), HexBytes([0xBB; 48]), [0xD6, 0x9F]).unwrap();
        let wanted = [
            // Four lists of one inside each other, and the CertID.
            "308180307e307c307a3078",
            "300d06096086480165030402020500",
            &format!("0430{}", "aa".repeat(48)),
            &format!("0430{}", "bb".repeat(48)),
            "020300d69f",
        ];
        assert_eq!(hex::encode(request.to_der()), wanted.concat());
    }

    #[test]
    fn a_serial_number_has_one_form() {
        let request = |serial: &[u8]| OcspRequest::new(HexBytes([0; 48]), HexBytes([0; 48]), serial);
        assert!(request(&[0]).is_some() && request(&[0x80; 20]).is_some());
        for wrong in [&[][..], &[0, 1], &[1; 21]] {
            assert_eq!(request(wrong), None, "{wrong:?}");
        }
    }
}
