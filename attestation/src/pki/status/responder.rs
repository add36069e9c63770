//! Who signed an OCSP response, and whether it may (RFC 6960 4.2.2.2).

use crate::class::Anchored;
use crate::pki::unfit;
use crate::trust_anchors::looks_like_development;
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, OcspResponse, oid};

/// Critical extensions of a responder's certificate that are kept to here. That it asks not to be
/// checked for revocation itself is usual; NVIDIA's older ones say so among their purposes.
const KNOWN_CRITICAL: [&[u8]; 4] =
    [oid::BASIC_CONSTRAINTS, oid::KEY_USAGE, oid::EXTENDED_KEY_USAGE, oid::OCSP_NO_CHECK];

/// Whose signature a response has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signer<'a> {
    /// That of the authority which issued the certificate.
    Issuer,
    /// That of a responder, by its certificate in the response, which the same authority issued.
    Responder(&'a Certificate),
}

impl<'a> Signer<'a> {
    /// Finds out who signed `response` about a certificate of `issuer`, or says what is wrong with it.
    /// The responder's dates are not looked at: see [`Signer::limit`].
    ///
    /// A response carries no certificate, or its signer's. Others would have no role; a signer who is
    /// not in it could only be someone's local choice, and nobody makes one here.
    pub(super) fn of(
        response: &'a OcspResponse,
        issuer: &Certificate,
        anchored: &Anchored<'_>,
    ) -> Result<Signer<'a>, String> {
        if response.has_critical_extension {
            return Err("one with a critical extension that this verifier does not know".to_owned());
        }
        let signer = match response.certificates.as_slice() {
            [] => Signer::Issuer,
            // Whichever certificate of its own it put there: the given one's key is asked.
            [own] if own.subject == issuer.subject && own.public_key == issuer.public_key => Signer::Issuer,
            [responder] => objection(responder, issuer, anchored).map_or(Ok(Signer::Responder(responder)), Err)?,
            several => return Err(format!("one with {} certificates in it", several.len())),
        };
        let key = signer.responder().unwrap_or(issuer);
        if !response.responder.is(key) {
            return Err(format!(
                "one in the name of {}, which is not {}",
                response.responder.shown(),
                key.subject.shown()
            ));
        }
        if !response.is_signed_by(key, anchored.remembered) {
            return Err(format!("one that {} did not sign", key.subject.shown()));
        }
        Ok(signer)
    }

    /// The responder's certificate, where it is not the authority itself.
    pub(super) fn responder(self) -> Option<&'a Certificate> {
        match self {
            Signer::Issuer => None,
            Signer::Responder(certificate) => Some(certificate),
        }
    }

    /// From when to when a status is good: inside its own dates and those of the responder. A response
    /// that has ended with its responder is one that is out of date, and spoils no newer one.
    pub(super) fn limit(self, from: UnixTime, end: UnixTime) -> (UnixTime, UnixTime) {
        match self {
            Signer::Issuer => (from, end),
            Signer::Responder(certificate) => (from.max(certificate.not_before), end.min(certificate.not_after)),
        }
    }
}

/// What is wrong with a certificate as that of `issuer`'s responder, if anything is. The issuer itself
/// must have issued it: an authority further up may not have someone else speak for this one.
fn objection(responder: &Certificate, issuer: &Certificate, anchored: &Anchored<'_>) -> Option<String> {
    let (name, authority) = (responder.subject.shown(), issuer.subject.shown());
    if !responder.is_signed_by_remembering(issuer, anchored.remembered) {
        return Some(format!("one by {name}, which {authority} did not issue"));
    }
    if responder.is_ca() != Some(false) {
        return Some(format!("one by {name}, which is an authority and no responder"));
    }
    if !responder.is_for(oid::OCSP_SIGNING) || !responder.may_sign_messages() {
        return Some(format!("one by {name}, whose key is not for signing OCSP responses"));
    }
    if !anchored.development && looks_like_development(responder) {
        return Some(format!("one by {name}, a responder for development"));
    }
    unfit(responder, &KNOWN_CRITICAL, anchored.development).map(|objection| format!("one by {objection}"))
}
