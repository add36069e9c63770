//! What the service says of one device: that everything it looked at was as it should be.

use serde_json::{Map, Value};

use super::jws::Jws;
use super::shown;
use crate::error::Code;

/// Text of a claim that is kept.
const MAX_TEXT: usize = 64;
/// Claims that tell of something wrong, where they are neither absent nor null.
const TROUBLES: [&str; 2] = ["x-nvidia-mismatch-measurement-records", "x-nvidia-error-details"];

/// The kinds of device, which have claims of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeviceKind {
    Gpu,
    Switch,
}

/// What is known of one device, from a token that was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteDevice {
    /// `GPU-0`, `SWITCH-3`: its place in the answer.
    pub(crate) name: String,
    /// The serial number of its certificate, decimal.
    pub(crate) ueid: String,
    /// For example `GH100 A01 GSP BROM`.
    pub(crate) hardware_model: String,
    /// Of a GPU; a switch has none.
    pub(crate) driver_version: Option<String>,
    /// Of a GPU's VBIOS, or a switch's BIOS.
    pub(crate) vbios_version: String,
    /// What the service has against it without refusing it.
    pub(crate) warning: Option<String>,
}

/// What is wrong: the code, what was wanted, what was found.
pub(super) type Objection = (Code, String, String);

impl DeviceKind {
    /// The kind of the device with this name: a kind, a hyphen, a number in its shortest form.
    pub(super) fn of(name: &str) -> Option<DeviceKind> {
        let (kind, number) = name.rsplit_once('-')?;
        number.parse().ok().filter(|read: &u8| read.to_string() == number)?;
        match kind {
            "GPU" => Some(DeviceKind::Gpu),
            "SWITCH" => Some(DeviceKind::Switch),
            _ => None,
        }
    }

    /// What its claims begin with.
    fn prefix(self) -> &'static str {
        match self {
            DeviceKind::Gpu => "x-nvidia-gpu-",
            DeviceKind::Switch => "x-nvidia-switch-",
        }
    }

    fn device_type(self) -> &'static str {
        match self {
            DeviceKind::Gpu => "gpu",
            DeviceKind::Switch => "switch",
        }
    }

    fn other(self) -> DeviceKind {
        match self {
            DeviceKind::Gpu => DeviceKind::Switch,
            DeviceKind::Switch => DeviceKind::Gpu,
        }
    }
}

/// Judges the token of the device with this name.
///
/// 1. It is of the kind that its name says.
/// 2. Measurements equal their reference values, the device started securely, debugging is off.
/// 3. Whatever was found of its report, certificates and manifests was as it should be.
pub(super) fn judge(name: &str, token: &Jws) -> Result<RemoteDevice, Objection> {
    let claims = token.claims();
    let kind = DeviceKind::of(name).ok_or_else(|| (Code::Parse, "GPU-n or SWITCH-n".to_owned(), shown(name)))?;
    // 1.
    let of_other_kind = claims.keys().any(|claim| claim.starts_with(kind.other().prefix()));
    let device_type = claims.get("x-nvidia-device-type");
    if of_other_kind || device_type.is_some_and(|found| found != kind.device_type()) {
        let found = format!("claims of a {} for {name}", kind.other().device_type());
        return Err((Code::PlatformNotAllowed, format!("claims of a {}", kind.device_type()), found));
    }
    // 2.
    for (claim, wanted, code) in [
        ("measres", Value::from("success"), Code::Measurement),
        ("secboot", Value::from(true), Code::Measurement),
        ("dbgstat", Value::from("disabled"), Code::Debug),
    ] {
        let found = claims.get(claim).unwrap_or(&Value::Null);
        if *found != wanted {
            return Err((code, format!("{claim} {wanted}"), format!("{claim} {} for {name}", value_shown(found))));
        }
    }
    // 3.
    for (claim, value) in claims {
        let holds = match claim.strip_prefix(kind.prefix()) {
            Some(rest) if must_hold(rest) => *value == Value::Bool(true) || is_good_chain(value),
            _ => !TROUBLES.contains(&claim.as_str()) || value.is_null(),
        };
        if !holds {
            let found = format!("{} {} for {name}", shown(claim), value_shown(value));
            return Err((Code::Measurement, "nothing that the service objects to".to_owned(), found));
        }
    }
    let required = |claim: &str| {
        let found = || format!("{claim} {} for {name}", value_shown(claims.get(claim).unwrap_or(&Value::Null)));
        printable(claims, claim).ok_or_else(|| (Code::Parse, format!("a text for {claim}"), found()))
    };
    Ok(RemoteDevice {
        name: name.to_owned(),
        ueid: required("ueid")?,
        hardware_model: required("hwmodel")?,
        driver_version: match kind {
            DeviceKind::Gpu => Some(required("x-nvidia-gpu-driver-version")?),
            DeviceKind::Switch => None,
        },
        vbios_version: match kind {
            DeviceKind::Gpu => required("x-nvidia-gpu-vbios-version")?,
            DeviceKind::Switch => required("x-nvidia-switch-bios-version")?,
        },
        warning: claims.get("x-nvidia-attestation-warning").filter(|value| !value.is_null()).map(value_shown),
    })
}

/// Whether a claim, without its prefix, is about the report, its certificates, a manifest, or their
/// fitting together: of these all must be true.
fn must_hold(claim: &str) -> bool {
    ["attestation-report-", "driver-rim-", "vbios-rim-", "bios-rim-", "arch-check", "vbios-index-no-conflict"]
        .iter()
        .any(|family| claim.starts_with(family))
}

/// A certificate chain as version 3 of the claims tells of it: valid, not revoked, and nothing about the
/// responder's answer that is not true.
fn is_good_chain(value: &Value) -> bool {
    let Value::Object(members) = value else { return false };
    let is = |name: &str, wanted: &str| members.get(name).is_some_and(|value| value == wanted);
    is("x-nvidia-cert-status", "valid")
        && is("x-nvidia-cert-ocsp-status", "good")
        && members.iter().all(|(name, value)| match name.as_str() {
            "x-nvidia-cert-status" | "x-nvidia-cert-ocsp-status" => true,
            "x-nvidia-cert-expiration-date" => value.is_string(),
            "x-nvidia-cert-revocation-reason" => value.is_null(),
            _ => value.is_null() || *value == Value::Bool(true),
        })
}

fn printable(claims: &Map<String, Value>, claim: &str) -> Option<String> {
    let text = claims.get(claim)?.as_str()?;
    let is_fit = (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_fit.then(|| text.to_owned())
}

fn value_shown(value: &Value) -> String {
    shown(&value.to_string())
}
