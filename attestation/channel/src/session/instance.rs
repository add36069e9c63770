//! Step 10: the instance certificate, and the instance key's own word (A2). What the tenant
//! certified must be what the evidence shows; else genuine evidence of another machine, or a
//! copied certificate, would do.

use strongroom_attestation::{AuthenticatedClaims, Check, Code, DeviceSetClaims, UnixTime};

use super::SessionWanted;
use super::appraise::Parsed;
use super::trail::Trail;
use crate::cose::{VerifyingKey, media};
use crate::instance_certificate::{self, InstanceCertificate};

const TITLE: &str = "instance certificate";

/// The last second of the certificate, or of the trust file where that names no CA. Genuine evidence of
/// another of the tenant's machines, or of one that somebody rented beside them, is then as good as this
/// one's, and the checks say so.
pub(super) fn appraise(
    trail: &mut Trail,
    wanted: &SessionWanted<'_>,
    parsed: &Parsed,
    (evidence, devices): (&AuthenticatedClaims, Option<&DeviceSetClaims>),
    preimage: &[u8],
) -> Option<UnixTime> {
    let statement = &parsed.statement;
    let Some(ca) = &wanted.trust.instance_ca else {
        let nothing = "nothing: the trust file names no CA";
        let found = "not examined: diversion to another machine is not prevented";
        trail.steps([
            Check::skip(Code::InstanceCert, TITLE, nothing, found),
            signature(parsed, &statement.signing_key, preimage),
        ])?;
        return Some(wanted.trust.not_after);
    };
    let certificate = certificate(trail, wanted, parsed, ca)?;
    let claims = certificate.claims();
    trail.steps([
        equal("certificate's key", &certificate.key().to_bytes(), &statement.signing_key.to_bytes()),
        equal(
            "certificate's deployment",
            claims.deployment.as_str().as_bytes(),
            statement.deployment.as_str().as_bytes(),
        ),
        equal("certificate's instance", &claims.instance_id, &statement.instance_id),
        equal("certificate's launch measurement", &claims.launch_measurement, evidence.launch_measurement()),
        platform(claims.platform_identity.as_deref(), evidence.platform_identity()),
        gpus(&claims.gpu_ueids, devices),
        signature(parsed, certificate.key(), preimage),
    ])?;
    Some(certificate.not_after())
}

fn certificate(
    trail: &mut Trail,
    wanted: &SessionWanted<'_>,
    parsed: &Parsed,
    ca: &Vec<u8>,
) -> Option<InstanceCertificate> {
    let (title, issued) = (TITLE, "one issued by the trust file's CA, in its time");
    let leaf = match parsed.response.instance_certificate.as_slice() {
        [leaf] => leaf,
        [leaf, sent_ca] if sent_ca == ca => leaf,
        [_, _] => {
            trail.step(Check::fail(Code::InstanceCert, title, issued, "one with another CA than the trust file's"));
            return None;
        }
        _ => {
            trail.step(Check::fail(Code::InstanceCert, title, issued, "none: diversion would not be prevented"));
            return None;
        }
    };
    match instance_certificate::verify(leaf, ca, wanted.now) {
        Ok(certificate) => {
            trail.step(Check::pass(Code::InstanceCert, title, issued, format!("until {}", certificate.not_after())))?;
            Some(certificate)
        }
        Err(error) => {
            trail.step(Check::fail(Code::InstanceCert, title, issued, error.to_string()));
            None
        }
    }
}

/// What the certificate says (found) must be what evidence or statement show (wanted).
fn equal(title: &str, certified: &[u8], shown: &[u8]) -> Check {
    let in_words = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => text.to_owned(),
        _ => hex::encode(bytes),
    };
    Check::when(certified == shown, Code::InstanceCert, title, in_words(shown), in_words(certified))
}

/// An identity that is hidden or all zero is no identity: it matches nothing, itself included.
fn platform(certified: Option<&[u8]>, shown: Option<&[u8]>) -> Check {
    let title = "certificate's platform";
    let identity = |identity: Option<&[u8]>| identity.map_or_else(|| "hidden".to_owned(), hex::encode);
    let named = |identity: &&[u8]| identity.iter().any(|byte| *byte != 0);
    match (certified.filter(named), shown.filter(named)) {
        (Some(certified), Some(shown)) => {
            Check::when(certified == shown, Code::InstanceCert, title, hex::encode(shown), hex::encode(certified))
        }
        _ => {
            let found = format!("certified {}, shown {}", identity(certified), identity(shown));
            Check::fail(Code::InstanceCert, title, "an identity that the platform shows", found)
        }
    }
}

/// The certificate names exactly the devices whose evidence was appraised, switches too.
fn gpus(certified: &[Vec<u8>], devices: Option<&DeviceSetClaims>) -> Check {
    let shown = devices.map(DeviceSetClaims::ueids).unwrap_or_default();
    let list = |ueids: Vec<String>| if ueids.is_empty() { "none".to_owned() } else { ueids.join(", ") };
    let certified: Vec<String> = certified.iter().map(|ueid| String::from_utf8_lossy(ueid).into_owned()).collect();
    Check::when(
        certified == shown,
        Code::InstanceCert,
        "certificate's GPUs",
        list(shown.clone()),
        list(certified.clone()),
    )
}

/// The instance's key signed exactly what the quote proves.
fn signature(parsed: &Parsed, key: &VerifyingKey, preimage: &[u8]) -> Check {
    let found = match key.verify1(media::PROOF, &parsed.response.instance_signature) {
        Ok(payload) if payload == preimage => None,
        Ok(_) => Some("a signature over something else".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    let holds = found.is_none();
    let found = found.unwrap_or_else(|| "signed".to_owned());
    Check::when(
        holds,
        Code::InstanceCert,
        "instance signature",
        "the instance key's, over what the quote proves",
        found,
    )
}
