//! A development vendor of manifests, made anew for each test: a root, two authorities, a signer; and what
//! it signs. Documents are canonicalised by the code under test, which NVIDIA's own signatures hold to the
//! standard.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::driver;
use crate::nvidia::manifest::canonical::canonical;
use crate::trust_anchors::DevelopmentAnchors;
use crate::x509::oid;

/// When what it makes is in its dates.
pub(super) const NOW: &str = "2026-11-20T00:00:00Z";
const VALIDITY: [&[u8]; 2] = [b"261118000000Z", b"261124000000Z"];

const CERTIFICATE_SIGN: &[u8] = &[0x03, 0x02, 0x01, 0x06];
pub(super) const DIGITAL_SIGNATURE: &[u8] = &[0x03, 0x02, 0x07, 0x80];

pub(super) struct Vendor {
    signer: EcdsaKeyPair,
    l3: Authority,
    /// From the signer to the root.
    pub(super) certificates: Vec<Vec<u8>>,
}

struct Authority {
    name: String,
    key: EcdsaKeyPair,
}

/// An extension: its identifier, whether it is critical, its value.
type Extension<'a> = (&'a [u8], bool, &'a [u8]);

impl Vendor {
    pub(super) fn new() -> Vendor {
        let root = Authority::new("NVIDIA CoRIM signing Root CA");
        let (authority, l3) = (Authority::new("Reference Value CA"), Authority::new("Reference Value L3"));
        let signer = pair(&ECDSA_P384_SHA384_FIXED_SIGNING);
        let leaf = l3.issue("RIM L4 Signer", &signer, &usage(DIGITAL_SIGNATURE));
        let certificates = vec![
            leaf,
            authority.issue(&l3.name, &l3.key, &ca()),
            root.issue(&authority.name, &authority.key, &ca()),
            root.issue(&root.name, &root.key, &ca()),
        ];
        Vendor { signer, l3, certificates }
    }

    pub(super) fn anchors(&self) -> DevelopmentAnchors {
        DevelopmentAnchors::new(self.certificates.last().unwrap()).unwrap()
    }

    /// The same vendor with another signer, whose certificate has these extensions.
    pub(super) fn with_signer(mut self, extensions: &[Extension<'_>]) -> Vendor {
        self.signer = pair(&ECDSA_P384_SHA384_FIXED_SIGNING);
        self.certificates[0] = self.l3.issue("RIM L4 Signer", &self.signer, extensions);
        self
    }

    /// NVIDIA's driver manifest, edited, under this vendor's certificates and signature.
    pub(super) fn signed(&self, edit: impl Fn(String) -> String) -> String {
        let mut text = driver();
        let start = text.find("<ds:X509Certificate>").unwrap();
        let end = text.rfind("</ds:X509Certificate>").unwrap() + "</ds:X509Certificate>".len();
        text.replace_range(start..end, &x509_data(&self.certificates));
        self.sign(&edit(text))
    }

    /// Puts digest and signature into a document that has places for them. What cannot be
    /// canonicalised stays as it is.
    pub(super) fn sign(&self, text: &str) -> String {
        let digested = fill(text, "DigestValue", |root, signature| {
            STANDARD.encode(crate::crypto::sha384(canonical(root, Some(signature)).ok()?.as_bytes())).into()
        });
        fill(&digested, "SignatureValue", |_, signature| {
            let signed_info = signature.children().find(|child| child.has_tag_name((DSIG, "SignedInfo")))?;
            let signed_info = canonical(signed_info, None).ok()?;
            let value = self.signer.sign(&SystemRandom::new(), signed_info.as_bytes()).unwrap();
            Some(STANDARD.encode(value))
        })
    }
}

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";

type Node<'a> = roxmltree::Node<'a, 'a>;

/// Puts what `value` makes of root and signature into every element of that name.
fn fill(text: &str, name: &str, value: impl Fn(Node<'_>, Node<'_>) -> Option<String>) -> String {
    let Ok(document) = roxmltree::Document::parse(text) else { return text.to_owned() };
    let signature = document.descendants().find(|node| node.has_tag_name((DSIG, "Signature")));
    let Some(made) = signature.and_then(|signature| value(document.root_element(), signature)) else {
        return text.to_owned();
    };
    let mut filled = text.to_owned();
    let places = document.descendants().filter(|node| node.has_tag_name((DSIG, name)));
    for place in places.filter_map(|node| node.first_child()).collect::<Vec<_>>().into_iter().rev() {
        filled.replace_range(place.range(), &made);
    }
    filled
}

/// Certificates as X509Data holds them.
pub(super) fn x509_data(certificates: &[Vec<u8>]) -> String {
    let one = |der: &Vec<u8>| format!("<ds:X509Certificate>{}</ds:X509Certificate>", STANDARD.encode(der));
    certificates.iter().map(one).collect()
}

fn pair(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    EcdsaKeyPair::generate(algorithm).unwrap()
}

/// Extensions of an authority.
fn ca() -> [Extension<'static>; 2] {
    [(oid::BASIC_CONSTRAINTS, true, &[0x30, 0x03, 0x01, 0x01, 0xFF]), (oid::KEY_USAGE, true, CERTIFICATE_SIGN)]
}

/// Extensions of a signer.
pub(super) fn usage(usage: &[u8]) -> [Extension<'_>; 2] {
    [(oid::BASIC_CONSTRAINTS, true, &[0x30, 0x00]), (oid::KEY_USAGE, true, usage)]
}

impl Authority {
    fn new(name: &str) -> Authority {
        let name = format!("{name} DEVELOPMENT - NOT A TEE");
        Authority { name, key: pair(&ECDSA_P384_SHA384_ASN1_SIGNING) }
    }

    fn issue(&self, subject: &str, key: &EcdsaKeyPair, extensions: &[Extension<'_>]) -> Vec<u8> {
        let algorithm = sequence(&[&der(0x06, &[&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 3]])]);
        let point = key.public_key().as_ref();
        let mark = b"\x0C\x17DEVELOPMENT - NOT A TEE";
        let mark = [(crate::trust_anchors::DEVELOPMENT_OID, true, &mark[..])];
        let extensions: Vec<u8> = extensions
            .iter()
            .chain(&mark)
            .flat_map(|(oid, critical, value)| {
                let critical: &[u8] = if *critical { &[0x01, 0x01, 0xFF] } else { &[] };
                sequence(&[&der(0x06, &[oid]), critical, &der(0x04, &[value])])
            })
            .collect();
        let key_algorithm = sequence(&[&der(0x06, &[oid::EC_PUBLIC_KEY]), &der(0x06, &[oid::SECP384R1])]);
        let to_be_signed = sequence(&[
            &[0xA0, 0x03, 0x02, 0x01, 0x02],
            &[0x02, 0x01, 0x07],
            &algorithm,
            &name(&self.name),
            &sequence(&VALIDITY.map(|time| der(0x17, &[time])).each_ref().map(Vec::as_slice)),
            &name(subject),
            &sequence(&[&key_algorithm, &der(0x03, &[&[0], point])]),
            &der(0xA3, &[&sequence(&[&extensions])]),
        ]);
        let signature = self.key.sign(&SystemRandom::new(), &to_be_signed).unwrap();
        sequence(&[&to_be_signed, &algorithm, &der(0x03, &[&[0], signature.as_ref()])])
    }
}

fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[&der(0x06, &[&[0x55, 4, 3]]), &der(0x0C, &[common_name.as_bytes()])]);
    sequence(&[&der(0x31, &[&attribute])])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(0x30, parts)
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = match u16::try_from(value.len()).unwrap().to_be_bytes() {
        [0, low @ 0..=0x7F] => vec![low],
        [0, low] => vec![0x81, low],
        [high, low] => vec![0x82, high, low],
    };
    [&[tag], length.as_slice(), &value].concat()
}
