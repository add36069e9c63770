//! What devices say, typed. Only verification makes it.

use serde::Serialize;

use crate::hex_bytes::HexBytes;
use crate::nvidia::chain::DeviceChain;
use crate::nvidia::chip::Architecture;
use crate::nvidia::report::{DeviceMode, LinkedDevice, SpdmReport};
use crate::unix_time::UnixTime;

/// What no report of these devices can say, told with every verdict.
const CO_LOCATION: &str = "not proven: a report names no machine. It answers this machine's challenge, and could do so \
                           from elsewhere; only TDISP would tell";

/// What one GPU or switch says, under its own signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeviceClaims {
    /// What checks call it: `"GPU 0"`, `"switch 2"`.
    pub label: String,
    /// Its generation.
    pub architecture: Architecture,
    /// Which device it is: the serial number of its attestation key's certificate, in decimal.
    pub ueid: String,
    /// What its certificate calls it, for example `"GH100 A01 GSP BROM"`.
    pub hwmodel: String,
    /// What it is called on the NVLink fabric, by its certificate.
    pub fabric_identity: Option<LinkedDevice>,
    /// Version of the driver, of a GPU.
    pub driver_version: Option<String>,
    /// Version of its own firmware.
    pub vbios_version: String,
    /// The name under which NVIDIA publishes the driver's manifest.
    pub driver_manifest_id: Option<String>,
    /// The name under which NVIDIA publishes the firmware's manifest.
    pub vbios_manifest_id: Option<String>,
    /// How it works together with others, where its firmware tells.
    pub mode: Option<DeviceMode>,
    /// Whether its links are those of a protected-PCIe machine, where its firmware tells.
    pub protected_pcie: Option<bool>,
    /// Whether its first video decoder is on.
    pub nvdec0: Option<bool>,
    /// Digest of the firmware that holds its attestation key; `None` where its firmware does not tell.
    pub fwid: Option<HexBytes<48>>,
    /// Of a GPU: the switches that its links lead to.
    pub switches: Vec<LinkedDevice>,
    /// Of a switch: the GPUs that it connects.
    pub gpus: Vec<LinkedDevice>,
    /// Every measurement by its index from 0, as manifests count.
    pub measurements: Vec<Measurement>,
    /// The manifests that its measurements were compared with.
    pub manifests: Vec<ManifestClaims>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Measurement {
    /// From 0.
    pub index: u8,
    /// SHA-384.
    pub digest: HexBytes<48>,
}

/// A manifest that was compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManifestClaims {
    /// SHA-256 of the document as received; what a policy pins.
    pub sha256: HexBytes<32>,
    /// What it is for, for example `"GH100 GPU 550.90.07"`.
    pub of: String,
    /// Since when its signer's certificate is valid.
    pub signer_not_before: UnixTime,
}

/// What the devices of one machine say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeviceSetClaims {
    /// In the order given.
    pub devices: Vec<DeviceClaims>,
    /// The challenge that all of them answered.
    pub nonce: HexBytes<32>,
    /// Whether they are in the machine that asked.
    pub co_location: &'static str,
    /// The earliest end of any certificate, list or answer that these facts rest on.
    pub valid_until: UnixTime,
}

impl DeviceSetClaims {
    pub(crate) fn new(devices: Vec<DeviceClaims>, nonce: [u8; 32], valid_until: UnixTime) -> DeviceSetClaims {
        DeviceSetClaims { devices, nonce: HexBytes(nonce), co_location: CO_LOCATION, valid_until }
    }

    /// The devices' ueids in the order of their text, as an instance's certificate names them.
    pub fn ueids(&self) -> Vec<String> {
        let mut ueids: Vec<String> = self.devices.iter().map(|device| device.ueid.clone()).collect();
        ueids.sort();
        ueids
    }
}

impl DeviceClaims {
    pub(crate) fn new(label: String, report: &SpdmReport, chain: &DeviceChain<'_>) -> DeviceClaims {
        let opaque = &report.opaque;
        let measurements = report.measurements().iter();
        DeviceClaims {
            label,
            architecture: chain.chip.architecture,
            ueid: decimal(&chain.leaf.serial),
            hwmodel: chain.hardware_model(),
            fabric_identity: chain.fabric_identity().map(HexBytes),
            driver_version: opaque.driver_version.clone(),
            vbios_version: opaque.vbios_version.clone(),
            driver_manifest_id: report.driver_manifest_id(chain.chip),
            vbios_manifest_id: report.vbios_manifest_id(chain.chip),
            mode: opaque.mode,
            protected_pcie: opaque.protected_pcie,
            nvdec0: opaque.nvdec0,
            fwid: opaque.fwid.map(HexBytes),
            switches: opaque.switches.clone(),
            gpus: opaque.gpus.clone(),
            measurements: measurements
                .map(|(index, digest)| Measurement { index: *index, digest: HexBytes(*digest) })
                .collect(),
            manifests: Vec::new(),
        }
    }

    /// Whether it is a switch.
    pub fn is_switch(&self) -> bool {
        self.architecture.is_switch()
    }

    /// The mode that the firmware tells, in either of its two ways.
    pub fn known_mode(&self) -> Option<DeviceMode> {
        self.mode.or((self.protected_pcie == Some(true)).then_some(DeviceMode::ProtectedPcie))
    }
}

/// A big-endian number in decimal digits.
fn decimal(number: &[u8]) -> String {
    // Base 10^9, the lowest digits first.
    const BASE: u64 = 1_000_000_000;
    let mut places: Vec<u64> = vec![0];
    for byte in number {
        let mut carry = u64::from(*byte);
        for place in &mut places {
            let value = place.saturating_mul(256).saturating_add(carry);
            *place = value.checked_rem(BASE).unwrap_or_default();
            carry = value.checked_div(BASE).unwrap_or_default();
        }
        if carry > 0 {
            places.push(carry);
        }
    }
    let mut digits = places.last().map(u64::to_string).unwrap_or_default();
    digits.extend(places.iter().rev().skip(1).map(|place| format!("{place:09}")));
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        assert_eq!(decimal(&[0]), "0");
        assert_eq!(decimal(&[1, 0]), "256");
        assert_eq!(decimal(&[0x3B, 0x9A, 0xCA, 0x00]), "1000000000");
        let serial = hex::decode("53C22BA15E5D68088282DA074ED9FB37AA585771").unwrap();
        assert_eq!(decimal(&serial), "478176379286082186618948445787393647364802107249");
        assert_eq!(decimal(&[0xFF; 16]), u128::MAX.to_string());
    }
}
