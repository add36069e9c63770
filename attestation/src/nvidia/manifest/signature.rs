//! The signature: of all that XML Signature 1.1 can say, the one form that NVIDIA's manifests have.
//! Algorithms are constants here and no choice of the document's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::canonical::canonical;
use super::malformed;
use super::xml::{DSIG, Name, Node, attributes, children, elements, empty, is, text};
use crate::crypto;
use crate::error::Refusal;
use crate::remembered::Remembered;
use crate::x509::{Certificate, PublicKey};

/// Canonical XML 1.1, without comments.
const C14N: &str = "http://www.w3.org/2006/12/xml-c14n11";
/// XML Signature 1.1, 6.6.4.
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// RFC 9231 2.1.3.
const DIGEST: &str = "http://www.w3.org/2001/04/xmldsig-more#sha384";
/// RFC 9231 2.3.6: r and s, 48 bytes each.
const ECDSA: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";

/// Certificates that KeyInfo may hold; genuine ones hold four.
const MAX_CERTIFICATES: usize = 8;

pub(super) const SIGNATURE: Name = dsig("Signature");

const fn dsig(local: &'static str) -> Name {
    (Some(DSIG), local)
}

/// A signature, read and not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// DigestValue.
    digest: [u8; 48],
    /// SignedInfo in canonical form: what the value is over.
    signed_info: String,
    /// SignatureValue.
    value: [u8; 96],
    certificates: Vec<Certificate>,
}

impl Signature {
    /// Reads a Signature element; that it is the last child of the root is the caller's to see to.
    pub(super) fn read(element: Node<'_>) -> Result<Signature, Refusal> {
        attributes(element, [])?;
        let [signed_info, value, key_info] =
            children(element, [dsig("SignedInfo"), dsig("SignatureValue"), dsig("KeyInfo")])?;
        attributes(signed_info, [])?;
        let [canonicalization, method, reference] =
            children(signed_info, [dsig("CanonicalizationMethod"), dsig("SignatureMethod"), dsig("Reference")])?;
        algorithm(canonicalization, C14N)?;
        algorithm(method, ECDSA)?;
        Ok(Signature {
            digest: digest_of_document(reference)?,
            signed_info: canonical(signed_info, None)?,
            value: base64(text(value)?)?,
            certificates: certificates(key_info)?,
        })
    }

    pub(super) fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Whether this is the digest that is signed.
    pub(super) fn is_over(&self, digest: &[u8; 48]) -> bool {
        self.digest == *digest
    }

    /// Whether `signer`'s key made the signature, now or as it is remembered.
    pub(super) fn is_made_by(&self, signer: &Certificate, remembered: &Remembered) -> bool {
        let PublicKey::P384(point) = &signer.public_key else { return false };
        let message = self.signed_info.as_bytes();
        let parts: [&[u8]; 4] = [b"ECDSA P-384, SHA-384", point, message, &self.value];
        remembered.holds(parts, || crypto::verify_ecdsa_p384_sha384(point, message, &self.value).is_ok())
    }
}

/// The DigestValue of the one reference: to the whole document (XML Signature 1.1, 4.4.3.2: an empty
/// URI) without the signature, in canonical form.
fn digest_of_document(reference: Node<'_>) -> Result<[u8; 48], Refusal> {
    let [uri] = attributes(reference, [(None, "URI")])?;
    if !uri.is_empty() {
        return Err(malformed("the signature is not over the whole document"));
    }
    let [transforms, method, value] =
        children(reference, [dsig("Transforms"), dsig("DigestMethod"), dsig("DigestValue")])?;
    attributes(transforms, [])?;
    let [enveloped, canonical] = children(transforms, [dsig("Transform"), dsig("Transform")])?;
    algorithm(enveloped, ENVELOPED)?;
    algorithm(canonical, C14N)?;
    algorithm(method, DIGEST)?;
    base64(text(value)?)
}

/// The certificates of the one X509Data, in order; nothing else stands in it.
fn certificates(key_info: Node<'_>) -> Result<Vec<Certificate>, Refusal> {
    attributes(key_info, [])?;
    let [data] = children(key_info, [dsig("X509Data")])?;
    attributes(data, [])?;
    let elements = elements(data)?;
    if elements.is_empty() || elements.len() > MAX_CERTIFICATES {
        return Err(malformed(format!("not 1 to {MAX_CERTIFICATES} certificates")));
    }
    elements.into_iter().map(certificate).collect()
}

fn certificate(element: Node<'_>) -> Result<Certificate, Refusal> {
    if !is(element, dsig("X509Certificate")) {
        return Err(malformed("X509Data holds other than certificates"));
    }
    let der = decoded(text(element)?).ok_or_else(|| malformed("a certificate that is not base64"))?;
    Certificate::parse(&der).map_err(|error| malformed(format!("a certificate cannot be read: {error}")))
}

/// Refuses an element that names another algorithm than `wanted`, or that has parameters.
fn algorithm(element: Node<'_>, wanted: &str) -> Result<(), Refusal> {
    empty(element)?;
    match attributes(element, [(None, "Algorithm")])? {
        [found] if found == wanted => Ok(()),
        _ => Err(malformed(format!("an algorithm that is not {wanted}"))),
    }
}

fn base64<const N: usize>(text: &str) -> Result<[u8; N], Refusal> {
    let bytes = decoded(text).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| malformed(format!("a value that is not {N} bytes in base64")))
}

/// Base64 with white space in it, as XML Schema's base64Binary may have.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(digits).ok()
}
