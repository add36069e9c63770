//! NVIDIA devices in confidential mode, GPUs (Hopper, Blackwell) and NVSwitches: a device's signed
//! measurement report, its certificate chain, and the signed manifests that say what it should measure.

#[cfg_attr(not(test), expect(dead_code, reason = "used when devices are verified"))]
mod manifest;
mod remote_token;

pub use manifest::authenticate_manifest;
