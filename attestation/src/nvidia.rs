//! NVIDIA devices in confidential mode, GPUs (Hopper, Blackwell) and NVSwitches: a device's signed
//! measurement report, its certificate chain, and the signed manifests that say what it should measure.
//! (docs/specs/evidence-nvidia.md)

mod appraise;
mod authenticate;
mod chain;
mod chip;
mod claims;
mod evidence;
mod fabric;
mod fwid;
mod hint;
mod manifest;
mod manifest_id;
mod policy;
mod reference;
mod remote_token;
mod report;
mod verify;

pub(crate) use appraise::numbers;
pub(crate) use chain::is_leaf;
pub use chip::Architecture;
pub use claims::{DeviceClaims, DeviceSetClaims, ManifestClaims, Measurement};
pub use evidence::{Device, DeviceEvidence};
pub use hint::{DeviceHint, StatusHint};
pub(crate) use manifest::Manifest;
pub use manifest::authenticate_manifest;
pub use policy::{NvidiaPolicy, RemoteServicePolicy};
pub(crate) use remote_token::{RemoteAnswer, RemoteRules, ServiceKeys, check as check_remote};
pub use report::{DeviceMode, LinkedDevice, SpdmReport};
pub use verify::{DeviceAppraisal, DeviceVerdict, verify_devices, verify_devices_remembering, verify_without_devices};
