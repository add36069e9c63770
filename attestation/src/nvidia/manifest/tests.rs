//! Manifests: NVIDIA's own, and ones that a development vendor signs, each with one thing wrong.

mod canonical_form;
mod defects;
mod every_bit;
mod vectors;
mod vendor;

use super::{Given, Manifest, authenticate};
use crate::class::{Anchored, Class, Hardware};
use crate::error::{Code, Refusal, State};
use crate::remembered::Remembered;
use crate::trail::Trail;
use crate::trust_anchors::HardwareAnchors;
use crate::unix_time::UnixTime;

const DRIVER: &str = "NV_GPU_DRIVER_GH100_550.90.07.xml";
/// When [`DRIVER`] is in its dates.
const DRIVER_NOW: &str = "2025-08-21T00:00:00Z";

fn vector(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/nvidia-manifests");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

fn driver() -> String {
    String::from_utf8(vector(DRIVER)).unwrap()
}

fn time(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

/// From bytes to an answer: until when it is good, or why not.
fn outcome(bytes: &[u8], anchored: Anchored<'_>, now: UnixTime) -> Result<UnixTime, (Code, String)> {
    let manifest = Manifest::parse(bytes).map_err(|refusal| (refusal.code, refusal.detail))?;
    let mut trail = Trail::default();
    let authentic = authenticate(&mut trail, &Given { title: "manifest", manifest: &manifest, anchored, now });
    let parts = trail.into_parts();
    let all_passed = parts.checks.iter().all(|check| check.state == State::Pass);
    assert_eq!(authentic.is_some(), all_passed, "{:?}", parts.checks);
    let Some((path, until)) = authentic else {
        let Refusal { code, detail, .. } = Refusal::from_checks(parts.checks).unwrap();
        return Err((code, detail));
    };
    assert_eq!(path.leaf(), &manifest.certificates()[0]);
    assert!(path.all().eq(manifest.certificates()));
    assert!(!parts.fingerprints.is_empty() && parts.expiries.iter().any(|expiry| expiry.until == until));
    Ok(until)
}

/// The answer under NVIDIA's root.
fn genuine(bytes: &[u8], now: &str) -> Result<UnixTime, (Code, String)> {
    let remembered = Remembered::new(16);
    outcome(bytes, Hardware::anchored(&HardwareAnchors::compiled_in(), &remembered), time(now))
}
