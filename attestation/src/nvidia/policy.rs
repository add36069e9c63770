//! Requirements on NVIDIA devices.

use serde::{Deserialize, Serialize};

use crate::hex_bytes::HexBytes;
use crate::nvidia::chip::Architecture;
use crate::nvidia::report::DeviceMode;
use crate::unix_time::UnixTime;

/// Requirements on the GPUs and switches whose reports are given. A policy that names a number of GPUs
/// refuses evidence without them; one that names none accepts machines without devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NvidiaPolicy {
    /// Exactly so many GPUs. `None`: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u8>,
    /// Exactly so many switches. `None`: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switches: Option<u8>,
    /// Allowed generations.
    pub architectures: Vec<Architecture>,
    /// Allowed ways of working together. `None`: any that all GPUs agree on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modes: Option<Vec<DeviceMode>>,
    /// Allowed devices, by ueid in decimal. `None`: any. Empty: none is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ueids: Option<Vec<String>>,
    /// Allowed versions of the driver. `None`: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_versions: Option<Vec<String>>,
    /// Allowed versions of the devices' firmware. `None`: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vbios_versions: Option<Vec<String>>,
    /// Refuse a device without NVIDIA's manifests for its driver and firmware. A manifest that is given
    /// is always compared.
    pub require_manifests: bool,
    /// Allowed manifests, by SHA-256 of the document. NVIDIA issues several of one name, with other
    /// values; only this pins them. `None`: any that NVIDIA signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest_digests: Option<Vec<HexBytes<32>>>,
    /// Refuse manifests whose signer's certificate begins earlier: an old issue can be replayed for as
    /// long as its signer is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_manifest_date: Option<UnixTime>,
    /// Refuse unless the status of each authority and device is told, by an OCSP response or a
    /// revocation list in its dates. One that is given is always checked.
    pub require_revocation: bool,
    /// Take a certificate that is on hold for one that is good.
    pub allow_certificate_hold: bool,
    /// Accept GPUs whose firmware does not repeat the digest in its certificate (drivers 535 and 545).
    pub allow_missing_fwid: bool,
    /// Refuse protected-PCIe devices unless all eight GPUs and four switches are there.
    pub require_complete_fabric: bool,
    /// Believe the appraisal of NVIDIA's remote service, where its answer is given, under these keys. `None`:
    /// an answer is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_service: Option<RemoteServicePolicy>,
    /// Refuse devices whose challenge is not bound to the CPU's evidence, where there is CPU evidence.
    pub require_binding: bool,
}

/// The remote service whose answers are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteServicePolicy {
    /// The issuer in its tokens, exactly.
    pub issuer: String,
    /// Its keys, by SHA-256 of the SubjectPublicKeyInfo (DER). The service changes them every other day.
    pub keys: Vec<HexBytes<32>>,
}

impl NvidiaPolicy {
    /// The NVIDIA part of [`crate::Policy::strict`].
    pub fn strict() -> NvidiaPolicy {
        NvidiaPolicy {
            gpus: None,
            switches: None,
            architectures: vec![Architecture::Hopper, Architecture::Blackwell, Architecture::Ls10],
            modes: None,
            ueids: None,
            driver_versions: None,
            vbios_versions: None,
            require_manifests: true,
            manifest_digests: None,
            minimum_manifest_date: None,
            require_revocation: true,
            allow_certificate_hold: false,
            allow_missing_fwid: false,
            require_complete_fabric: true,
            remote_service: None,
            require_binding: true,
        }
    }

    /// The NVIDIA part of [`crate::Policy::authentic`].
    pub fn authentic() -> NvidiaPolicy {
        NvidiaPolicy {
            require_manifests: false,
            require_revocation: false,
            allow_missing_fwid: true,
            require_complete_fabric: false,
            require_binding: false,
            ..NvidiaPolicy::strict()
        }
    }
}

impl Default for NvidiaPolicy {
    fn default() -> Self {
        NvidiaPolicy::strict()
    }
}
