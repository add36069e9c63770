//! Certificates, responses and lists that tests sign themselves: a few lines of DER.

use std::rc::Rc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use crate::der::tag;
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, oid};

pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head.as_slice(), content].concat()
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(tag::SEQUENCE, &parts.concat())
}

pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    tlv(tag::OCTET_STRING, content)
}

pub(super) fn identifier(oid: &[u8]) -> Vec<u8> {
    tlv(tag::OID, oid)
}

pub(super) fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[&identifier(oid::COMMON_NAME), &tlv(tag::UTF8_STRING, common_name.as_bytes())]);
    sequence(&[&tlv(tag::SET, &attribute)])
}

pub(super) fn time(secs: u64) -> Vec<u8> {
    let text = UnixTime::from_secs(secs).to_string().replace(['-', 'T', ':'], "");
    tlv(tag::GENERALIZED_TIME, text.as_bytes())
}

pub(super) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xFF] } else { &[] };
    sequence(&[&identifier(oid), critical, &octets(value)])
}

/// `cA` TRUE, or the empty sequence.
pub(super) fn basic_constraints(is_ca: bool) -> Vec<u8> {
    extension(oid::BASIC_CONSTRAINTS, true, if is_ca { &[0x30, 3, 1, 1, 0xFF] } else { &[0x30, 0] })
}

/// The first byte of the bits.
pub(super) fn key_usage(byte: u8) -> Vec<u8> {
    extension(oid::KEY_USAGE, true, &[3, 2, byte.trailing_zeros() as u8, byte])
}

pub(super) fn purposes(oids: &[&[u8]]) -> Vec<u8> {
    let list: Vec<Vec<u8>> = oids.iter().map(|oid| identifier(oid)).collect();
    extension(oid::EXTENDED_KEY_USAGE, true, &tlv(tag::SEQUENCE, &list.concat()))
}

/// A key on P-384.
pub(super) struct Key(EcdsaKeyPair);

impl Key {
    pub(super) fn new() -> Rc<Key> {
        Rc::new(Key(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap()))
    }

    pub(super) fn point(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    /// `toBeSigned`, the algorithm, the signature.
    pub(super) fn sign(&self, to_be_signed: &[u8], after: &[u8]) -> Vec<u8> {
        let signature = self.0.sign(&SystemRandom::new(), to_be_signed).unwrap();
        let bits = tlv(tag::BIT_STRING, &[&[0][..], signature.as_ref()].concat());
        sequence(&[to_be_signed, &algorithm(), &bits, after])
    }
}

fn algorithm() -> Vec<u8> {
    sequence(&[&identifier(oid::ECDSA_WITH_SHA384)])
}

/// A certificate to be.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) subject: &'static str,
    pub(super) serial: u8,
    pub(super) key: Rc<Key>,
    pub(super) dates: [u64; 2],
    pub(super) extensions: Vec<Vec<u8>>,
    pub(super) issuer: &'static str,
    pub(super) signer: Rc<Key>,
}

impl Draft {
    pub(super) fn certificate(&self) -> Certificate {
        let key_kind = sequence(&[&identifier(oid::EC_PUBLIC_KEY), &identifier(oid::SECP384R1)]);
        let key = sequence(&[&key_kind, &tlv(tag::BIT_STRING, &[&[0][..], &self.key.point()].concat())]);
        let to_be_signed = sequence(&[
            &tlv(tag::context(0), &[2, 1, 2]),
            &[2, 1, self.serial],
            &algorithm(),
            &name(self.issuer),
            &sequence(&[&time(self.dates[0]), &time(self.dates[1])]),
            &name(self.subject),
            &key,
            &tlv(tag::context(3), &tlv(tag::SEQUENCE, &self.extensions.concat())),
        ]);
        Certificate::parse(&self.signer.sign(&to_be_signed, &[])).unwrap()
    }
}

/// A revocation list of `issuer` that names `serials`.
pub(super) fn revocation_list(issuer: &str, signer: &Key, dates: [u64; 2], serials: &[u8]) -> Vec<u8> {
    let entries: Vec<Vec<u8>> = serials.iter().map(|serial| sequence(&[&[2, 1, *serial], &time(dates[0])])).collect();
    let entries = if serials.is_empty() { Vec::new() } else { tlv(tag::SEQUENCE, &entries.concat()) };
    let to_be_signed = sequence(&[&[2, 1, 1], &algorithm(), &name(issuer), &time(dates[0]), &time(dates[1]), &entries]);
    signer.sign(&to_be_signed, &[])
}
