//! One authority, one certificate of it, one responder, and what that answers; each part may be changed.

use std::rc::Rc;

use super::made::{
    Draft, Key, basic_constraints, extension, identifier, key_usage, name, octets, purposes, revocation_list, sequence,
    time, tlv,
};
use super::*;
use crate::class::{Class, Hardware};
use crate::crypto::{sha1, sha256};
use crate::der::tag;
use crate::endorsements::Endorsements;
use crate::remembered::Remembered;
use crate::trust_anchors::{DEVELOPMENT_OID, HardwareAnchors};
use crate::x509::oid;

pub(super) const NOW: u64 = 1_760_000_000;
pub(super) const DAY: u64 = 24 * 60 * 60;
pub(super) const ISSUER: &str = "Authority";
pub(super) const GOOD: &[u8] = &[0x80, 0];
pub(super) const UNKNOWN: &[u8] = &[0x82, 0];

/// What identifies issuers.
type Digest = fn(&[u8]) -> Vec<u8>;

/// A response to be, in a world of one authority, one certificate and one responder.
#[derive(Clone)]
pub(super) struct World {
    pub(super) issuer: Draft,
    pub(super) leaf: Draft,
    pub(super) responder: Draft,
    pub(super) hash: (&'static [u8], Digest),
    pub(super) null: &'static [u8],
    pub(super) name: Vec<u8>,
    pub(super) point: Vec<u8>,
    pub(super) serial: u8,
    pub(super) status: Vec<u8>,
    pub(super) this_update: u64,
    pub(super) next_update: Option<u64>,
    pub(super) single_extensions: Vec<u8>,
    pub(super) extensions: Vec<u8>,
    /// Else the hash of the responder's key.
    pub(super) responder_id: Option<Vec<u8>>,
    /// Else the responder's.
    pub(super) certificates: Option<Vec<Draft>>,
    /// Else the responder's.
    pub(super) signer: Option<Rc<Key>>,
    /// Other responses and lists, done.
    pub(super) beside: Vec<Vec<u8>>,
    /// The response itself is left out.
    pub(super) silent: bool,
    pub(super) required: bool,
    pub(super) allow_hold: bool,
    pub(super) development: bool,
}

pub(super) fn revoked(reason: Option<u8>) -> Vec<u8> {
    let reason = reason.map_or(Vec::new(), |reason| tlv(tag::context(0), &[0x0A, 1, reason]));
    tlv(tag::context(1), &[time(NOW - 9 * DAY), reason].concat())
}

pub(super) fn mark() -> Vec<u8> {
    extension(DEVELOPMENT_OID, true, b"\x0C\x17DEVELOPMENT - NOT A TEE")
}

impl World {
    pub(super) fn new() -> World {
        let (authority, answering, subject) = (Key::new(), Key::new(), Key::new());
        let draft = |subject, serial, key: &Rc<Key>, extensions| Draft {
            subject,
            serial,
            key: key.clone(),
            dates: [NOW - 3 * DAY, NOW + 3 * DAY],
            extensions,
            issuer: ISSUER,
            signer: authority.clone(),
        };
        let responder = vec![basic_constraints(false), key_usage(0x80), purposes(&[oid::OCSP_SIGNING])];
        World {
            issuer: draft(ISSUER, 1, &authority, vec![basic_constraints(true), key_usage(0x06)]),
            leaf: draft("Device", 2, &subject, vec![basic_constraints(false), key_usage(0x80)]),
            responder: draft("Responder", 3, &answering, responder),
            hash: (oid::SHA256, |bytes| sha256(bytes).to_vec()),
            null: &[5, 0],
            name: name(ISSUER),
            point: authority.point(),
            serial: 2,
            status: GOOD.to_vec(),
            this_update: NOW - 600,
            next_update: Some(NOW + DAY),
            single_extensions: Vec::new(),
            extensions: Vec::new(),
            responder_id: None,
            certificates: None,
            signer: None,
            beside: Vec::new(),
            silent: false,
            required: true,
            allow_hold: false,
            development: false,
        }
    }

    pub(super) fn response(&self) -> Vec<u8> {
        let (algorithm, hash) = self.hash;
        let extensions = |extensions: &[u8]| match extensions {
            [] => Vec::new(),
            _ => tlv(tag::context(1), &tlv(tag::SEQUENCE, extensions)),
        };
        let certificate_id = sequence(&[
            &sequence(&[&identifier(algorithm), self.null]),
            &octets(&hash(&self.name)),
            &octets(&hash(&self.point)),
            &[2, 1, self.serial],
        ]);
        let single = sequence(&[
            &certificate_id,
            &self.status,
            &time(self.this_update),
            &self.next_update.map_or(Vec::new(), |end| tlv(tag::context(0), &time(end))),
            &extensions(&self.single_extensions),
        ]);
        let by_key = || tlv(tag::context(2), &octets(&sha1(&self.responder.key.point())));
        let to_be_signed = sequence(&[
            &self.responder_id.clone().unwrap_or_else(by_key),
            &time(self.this_update),
            &sequence(&[&single]),
            &extensions(&self.extensions),
        ]);
        let drafts = self.certificates.clone().unwrap_or_else(|| vec![self.responder.clone()]);
        let certificates: Vec<u8> = drafts.iter().flat_map(|draft| draft.certificate().der().to_vec()).collect();
        let certificates = match drafts.is_empty() {
            true => Vec::new(),
            false => tlv(tag::context(0), &tlv(tag::SEQUENCE, &certificates)),
        };
        let signer = self.signer.as_ref().unwrap_or(&self.responder.key);
        let basic = signer.sign(&to_be_signed, &certificates);
        let inside = sequence(&[&identifier(oid::OCSP_BASIC), &octets(&basic)]);
        sequence(&[&[0x0A, 1, 0], &tlv(tag::context(0), &inside)])
    }

    pub(super) fn outcome(&self) -> Result<Option<UnixTime>, Check> {
        let mut bag = Endorsements::default();
        for bytes in &self.beside {
            bag.add(bytes).unwrap();
        }
        if !self.silent {
            bag.add(&self.response()).unwrap();
        }
        let (remembered, anchors) = (Remembered::new(8), HardwareAnchors::compiled_in());
        let anchored = Anchored { development: self.development, ..Hardware::anchored(&anchors, &remembered) };
        let rules = StatusRules {
            title: "revocation",
            answers: bag.ocsp_responses(),
            lists: bag.revocation_lists(),
            required: self.required,
            allow_hold: self.allow_hold,
            anchored,
            now: UnixTime::from_secs(NOW),
        };
        outcome(&rules, &[(&self.leaf.certificate(), &self.issuer.certificate())])
    }

    /// The issuer answers for itself.
    pub(super) fn by_issuer(&mut self) {
        self.signer = Some(self.issuer.key.clone());
        self.responder_id = Some(tlv(tag::context(1), &name(ISSUER)));
        self.certificates = Some(Vec::new());
    }

    pub(super) fn list(&self, dates: [u64; 2], serials: &[u8]) -> Vec<u8> {
        revocation_list(ISSUER, &self.issuer.key, dates, serials)
    }
}
