//! Whether a service's answer is believed: its signatures, whom and when it is from, and what it says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::device::{RemoteDevice, judge};
use super::keys::ServiceKeys;
use super::{RemoteAnswer, shown};
use crate::error::{Check, Code};
use crate::trail::Trail;
use crate::unix_time::UnixTime;

/// What the subject of the overall token is.
const SUBJECT: &str = "NVIDIA-PLATFORM-ATTESTATION";
/// Versions of the claims that are known.
const VERSIONS: [&str; 2] = ["2.0", "3.0"];
/// Names of the one digest, as the service and NVIDIA's own tools write it.
const SHA256: [&str; 2] = ["SHA-256", "SHA256"];

/// What an answer must be.
#[derive(Clone, Copy)]
pub(crate) struct RemoteRules<'a> {
    /// SHA-256 of the SubjectPublicKeyInfo of each key of the service that the policy trusts.
    pub(crate) pins: &'a [[u8; 32]],
    /// Where the keys themselves come from: anybody.
    pub(crate) keys: &'a ServiceKeys,
    /// The one issuer, exactly.
    pub(crate) issuer: &'a str,
    /// The nonce that the devices were asked with; `None` where nobody asked.
    pub(crate) nonce: Option<&'a [u8]>,
    pub(crate) now: UnixTime,
}

/// What an answer that was believed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteClaims {
    /// The one nonce of all devices.
    pub(crate) nonce: Vec<u8>,
    /// By name.
    pub(crate) devices: Vec<RemoteDevice>,
    /// The last moment of the token that ends first.
    pub(crate) until: UnixTime,
}

/// Checks an answer, and notes the outcome of each step; `None` when one failed.
///
/// 1. Every token is signed by a key that is pinned.
/// 2. Every token is of the issuer; the overall one is what it should be.
/// 3. Every token is inside its dates.
/// 4. Every token has the one nonce.
/// 5. The overall token names exactly these device tokens, each by its digest.
/// 6. The overall result is good, and so is each device's; no device is there twice.
pub(crate) fn check(trail: &mut Trail, rules: &RemoteRules<'_>, answer: &RemoteAnswer) -> Option<RemoteClaims> {
    trail.step(signatures(rules, answer))?;
    trail.step(issuer(rules, answer))?;
    trail.step(form(answer))?;
    let until = dates(trail, rules, answer)?;
    let nonce = nonce(trail, rules, answer)?;
    trail.step(submodules(answer))?;
    let devices = results(trail, answer)?;
    Some(RemoteClaims { nonce, devices, until })
}

fn signatures(rules: &RemoteRules<'_>, answer: &RemoteAnswer) -> Check {
    let title = "signatures of the attestation service";
    for (name, token) in answer.tokens() {
        let keys = rules.keys.pinned(rules.pins, token.key_id.as_deref());
        if keys.is_empty() {
            let key_id =
                token.key_id.as_deref().map_or_else(|| "no key".to_owned(), |id| format!("the key \"{}\"", shown(id)));
            let found = format!("no pinned key of the service; {name} names {key_id}");
            return Check::fail(Code::NoEndorsement, title, "a key that the policy pins", found);
        }
        if !keys.iter().any(|point| token.is_signed_by(point)) {
            let found = format!("{name}, which no pinned key signed");
            return Check::fail(Code::Signature, title, "every token signed by a pinned key", found);
        }
    }
    let found = format!("{} tokens", answer.tokens().count());
    Check::pass(Code::Signature, title, "every token signed by a pinned key", found)
}

fn issuer(rules: &RemoteRules<'_>, answer: &RemoteAnswer) -> Check {
    let (title, wanted) = ("issuer of the tokens", format!("\"{}\"", rules.issuer));
    let other = answer.tokens().find(|(_, token)| token.text("iss") != rules.issuer);
    match other {
        Some((name, token)) => {
            let found = format!("\"{}\" in {name}", shown(token.text("iss")));
            Check::fail(Code::Chain, title, wanted, found)
        }
        None => Check::pass(Code::Chain, title, wanted.clone(), wanted),
    }
}

fn form(answer: &RemoteAnswer) -> Check {
    let (subject, version) = (answer.overall.text("sub"), answer.overall.text("x-nvidia-ver"));
    let holds = subject == SUBJECT && VERSIONS.contains(&version);
    let wanted = format!("{SUBJECT}, version {}", VERSIONS.join(" or "));
    let found = format!("{}, version {}", shown(subject), shown(version));
    Check::when(holds, Code::Downgrade, "kind of the overall token", wanted, found)
}

fn dates(trail: &mut Trail, rules: &RemoteRules<'_>, answer: &RemoteAnswer) -> Option<UnixTime> {
    let title = "dates of the tokens";
    let wanted = format!("all valid at {}", rules.now);
    let mut until = UnixTime::from_secs(u64::MAX);
    for (name, token) in answer.tokens() {
        let times = ["nbf", "iat", "exp"].map(|claim| token.time(claim).map(UnixTime::from_secs));
        let [Some(not_before), Some(issued), Some(expires)] = times else {
            trail.step(Check::fail(Code::Stale, title, wanted, format!("{name} without nbf, iat or exp")))?;
            return None;
        };
        let from = not_before.max(issued);
        if rules.now < from || rules.now > expires {
            trail.step(Check::fail(Code::Stale, title, wanted, format!("{name}: {from} to {expires}")))?;
            return None;
        }
        until = until.min(expires);
    }
    trail.lasts(title, until);
    trail.step(Check::pass(Code::Stale, title, wanted, format!("valid until {until}")))?;
    Some(until)
}

/// The nonce of all tokens. That they have one is checked whether or not a value is wanted.
fn nonce(trail: &mut Trail, rules: &RemoteRules<'_>, answer: &RemoteAnswer) -> Option<Vec<u8>> {
    let title = "nonce of the tokens";
    let of = |text: &str| hex::decode(text).ok().filter(|nonce| !nonce.is_empty());
    let mine = of(answer.overall.text("eat_nonce"));
    let other = answer.tokens().find(|(_, token)| mine.is_none() || of(token.text("eat_nonce")) != mine);
    if let Some((name, token)) = other {
        let found = format!("\"{}\" in {name}", shown(token.text("eat_nonce")));
        trail.step(Check::fail(Code::Nonce, title, "the same in every token, in hexadecimal", found))?;
    }
    let nonce = mine?;
    let found = shown(&hex::encode(&nonce));
    trail.step(match rules.nonce {
        Some(wanted) => Check::when(wanted == nonce, Code::Nonce, title, hex::encode(wanted), found),
        None => Check::skip(Code::Nonce, title, "nothing: no nonce was asked for", found),
    })?;
    Some(nonce)
}

/// `submods` (RFC 9711 4.2.18.1.2): of each device `["DIGEST", ["SHA-256", hexadecimal]]`.
fn submodules(answer: &RemoteAnswer) -> Check {
    let (title, wanted) = ("devices that the overall token names", "the digest of exactly each device's token");
    let fail = |found: String| Check::fail(Code::Signature, title, wanted, found);
    let Some(Value::Object(named)) = answer.overall.claims().get("submods") else {
        return fail("no submods".to_owned());
    };
    if let Some(name) = named.keys().find(|name| !answer.devices.contains_key(*name)) {
        return fail(format!("{}, of which there is no token", shown(name)));
    }
    for (name, token) in &answer.devices {
        match named.get(name).map(digest_of) {
            None => return fail(format!("{name}, which is not named")),
            Some(None) => return fail(format!("{name} by something else than SHA-256")),
            Some(Some(digest)) if digest != token.digest() => return fail(format!("another token of {name}")),
            Some(Some(_)) => {}
        }
    }
    Check::pass(Code::Signature, title, wanted, answer.devices.keys().cloned().collect::<Vec<_>>().join(", "))
}

fn digest_of(submodule: &Value) -> Option<[u8; 32]> {
    let [kind, Value::Array(digest)] = submodule.as_array()?.as_slice() else { return None };
    let [Value::String(algorithm), Value::String(digits)] = digest.as_slice() else { return None };
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    (kind == "DIGEST" && SHA256.contains(&algorithm.as_str())).then_some(bytes)
}

fn results(trail: &mut Trail, answer: &RemoteAnswer) -> Option<Vec<RemoteDevice>> {
    let title = "result of the attestation service";
    let overall = answer.overall.claims().get("x-nvidia-overall-att-result");
    if overall != Some(&Value::Bool(true)) {
        let found = overall.map_or("none".to_owned(), |value| shown(&value.to_string()));
        trail.step(Check::fail(Code::Measurement, title, "overall true", found))?;
    }
    let mut devices = Vec::new();
    for (name, token) in &answer.devices {
        match judge(name, token) {
            Ok(device) => devices.push(device),
            Err((code, wanted, found)) => {
                trail.step(Check::fail(code, title, wanted, found))?;
                return None;
            }
        }
    }
    let different: BTreeSet<&str> = devices.iter().map(|device| device.ueid.as_str()).collect();
    if different.len() != devices.len() {
        let found = format!("{} different ones for {}", different.len(), devices.len());
        trail.step(Check::fail(Code::PlatformNotAllowed, title, "each device once, by its ueid", found))?;
    }
    let found = devices.iter().map(|device| format!("{} {}", device.name, device.hardware_model));
    let found = found.collect::<Vec<_>>().join(", ");
    trail.step(Check::pass(Code::Measurement, title, "everything as it should be for each device", found))?;
    Some(devices)
}
