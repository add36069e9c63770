//! What NVIDIA publishes for its devices: manifests, OCSP answers, revocation lists.

mod devices;
mod list;
mod manifest;
mod manifest_id;
mod status;
mod store;

pub use devices::{DeviceWants, Purpose, StatusWant, device_wants, manifest_wants};
pub use list::NvidiaList;
pub use manifest_id::ManifestId;

pub(crate) use list::describe as describe_list;
pub(crate) use manifest::{describe as describe_manifest, from_answer as manifest_from_answer};
pub(crate) use status::{
    Refusal as StatusRefusal, describe as describe_status, path as status_path, refusal as status_refusal,
};
pub(crate) use store::from_stores;
