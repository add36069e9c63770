//! Facts about a platform that a vendor's root vouches for. Only verification makes them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::azure::{AzureClaims, HardwareClaims};
use crate::policy::Policy;
use crate::snp::{Product, SnpClaims};
use crate::tdx::TdxClaims;
use crate::unix_time::UnixTime;

/// Kinds of confidential platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Platform {
    /// AMD SEV-SNP.
    Snp,
    /// Intel TDX.
    Tdx,
    /// AMD SEV-SNP under Azure's paravisor, with a virtual TPM.
    AzureSnp,
    /// Intel TDX under Azure's paravisor, with a virtual TPM.
    AzureTdx,
    /// NVIDIA devices alone, without evidence of the machine that they are in.
    Nvidia,
}

impl Platform {
    /// Every kind.
    pub const ALL: [Platform; 5] =
        [Platform::Snp, Platform::Tdx, Platform::AzureSnp, Platform::AzureTdx, Platform::Nvidia];

    /// The name as policies and verdicts write it, for example `"azure-snp"`.
    pub fn name(self) -> &'static str {
        match self {
            Platform::Snp => "snp",
            Platform::Tdx => "tdx",
            Platform::AzureSnp => "azure-snp",
            Platform::AzureTdx => "azure-tdx",
            Platform::Nvidia => "nvidia",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What authentic evidence says, whatever a policy thinks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatedClaims {
    platform: PlatformClaims,
    product: String,
    launch_measurement: Vec<u8>,
    valid_until: UnixTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlatformClaims {
    Snp(Box<SnpClaims>),
    Tdx(Box<TdxClaims>),
    Azure(Box<AzureClaims>),
}

/// The hardware's report, with or without a paravisor above it.
enum Hardware<'a> {
    Snp(&'a SnpClaims),
    Tdx(&'a TdxClaims),
}

impl AuthenticatedClaims {
    pub(crate) fn new(platform: PlatformClaims, policy: &Policy, valid_until: UnixTime) -> AuthenticatedClaims {
        let product = String::new();
        let mut claims = AuthenticatedClaims { platform, product, launch_measurement: Vec::new(), valid_until };
        claims.product = match claims.hardware() {
            Hardware::Snp(snp) => Product::name(snp.product).to_owned(),
            Hardware::Tdx(tdx) => tdx.pck.fmspc.to_string(),
        };
        claims.launch_measurement = claims.measured(policy);
        claims
    }

    /// The kind of platform.
    pub fn platform(&self) -> Platform {
        match &self.platform {
            PlatformClaims::Snp(_) => Platform::Snp,
            PlatformClaims::Tdx(_) => Platform::Tdx,
            PlatformClaims::Azure(azure) => match azure.hardware {
                HardwareClaims::Snp(_) => Platform::AzureSnp,
                HardwareClaims::Tdx(_) => Platform::AzureTdx,
            },
        }
    }

    /// The vendor's product line, for example `"Genoa"`; on TDX the FMSPC, which is what Intel
    /// publishes for.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// What was measured at launch: MEASUREMENT (48 bytes) on SNP; MRTD and RTMR 0 to 2 (192 bytes)
    /// on TDX; under a paravisor these, and then each register that the policy names (32 bytes
    /// each, lowest index first).
    pub fn launch_measurement(&self) -> &[u8] {
        &self.launch_measurement
    }

    /// What the host gave at launch: HOST_DATA (32 bytes) on SNP, MRCONFIGID (48 bytes) on TDX.
    pub fn host_data(&self) -> &[u8] {
        match self.hardware() {
            Hardware::Snp(snp) => &snp.host_data,
            Hardware::Tdx(tdx) => &tdx.mr_config_id.0,
        }
    }

    /// The 64 bytes of report data in the hardware's report. Under a paravisor they are its own.
    pub fn report_data(&self) -> &[u8; 64] {
        match self.hardware() {
            Hardware::Snp(snp) => &snp.report_data,
            Hardware::Tdx(tdx) => &tdx.report_data.0,
        }
    }

    /// Which machine this is: CHIP_ID (64 bytes) on SNP, PPID (16 bytes) on TDX. `None` when it is
    /// masked or zero, or the key that signed is not the chip's own; such a platform can not be
    /// told from another.
    pub fn platform_identity(&self) -> Option<&[u8]> {
        match self.hardware() {
            Hardware::Snp(snp) => snp.platform_identity().map(<[u8; 64]>::as_slice),
            Hardware::Tdx(tdx) => tdx.platform_identity().map(<[u8; 16]>::as_slice),
        }
    }

    /// Every field of an SNP report, under a paravisor too; `None` on another platform.
    pub fn snp(&self) -> Option<&SnpClaims> {
        match self.hardware() {
            Hardware::Snp(snp) => Some(snp),
            Hardware::Tdx(_) => None,
        }
    }

    /// Every field of a TDX quote, under a paravisor too; `None` on another platform.
    pub fn tdx(&self) -> Option<&TdxClaims> {
        match self.hardware() {
            Hardware::Tdx(tdx) => Some(tdx),
            Hardware::Snp(_) => None,
        }
    }

    /// What paravisor and virtual TPM say; `None` without one.
    pub fn azure(&self) -> Option<&AzureClaims> {
        match &self.platform {
            PlatformClaims::Azure(azure) => Some(azure),
            PlatformClaims::Snp(_) | PlatformClaims::Tdx(_) => None,
        }
    }

    /// The earliest end of any certificate, list or collateral that these facts rest on.
    pub fn valid_until(&self) -> UnixTime {
        self.valid_until
    }

    /// The claims for people and programs: what all platforms have, and under `snp`, `tdx` or
    /// `azure` every field.
    pub fn to_json(&self) -> Value {
        let mut json = json!({
            "platform": self.platform(),
            "product": self.product(),
            "launch_measurement": hex::encode(self.launch_measurement()),
            "host_data": hex::encode(self.host_data()),
            "report_data": hex::encode(self.report_data()),
            "platform_identity": self.platform_identity().map(hex::encode),
            "valid_until": self.valid_until,
        });
        let (name, fields) = match &self.platform {
            PlatformClaims::Snp(snp) => ("snp", serde_json::to_value(snp)),
            PlatformClaims::Tdx(tdx) => ("tdx", serde_json::to_value(tdx)),
            PlatformClaims::Azure(azure) => ("azure", serde_json::to_value(azure)),
        };
        if let (Some(json), Ok(fields)) = (json.as_object_mut(), fields) {
            json.insert(name.to_owned(), fields);
        }
        json
    }

    fn hardware(&self) -> Hardware<'_> {
        match &self.platform {
            PlatformClaims::Snp(snp) => Hardware::Snp(snp),
            PlatformClaims::Tdx(tdx) => Hardware::Tdx(tdx),
            PlatformClaims::Azure(azure) => match &azure.hardware {
                HardwareClaims::Snp(snp) => Hardware::Snp(snp),
                HardwareClaims::Tdx(tdx) => Hardware::Tdx(tdx),
            },
        }
    }

    fn measured(&self, policy: &Policy) -> Vec<u8> {
        let mut measured = match self.hardware() {
            Hardware::Snp(snp) => snp.measurement.to_vec(),
            Hardware::Tdx(tdx) => tdx.launch_measurement(),
        };
        let registers = self.azure().and_then(|azure| azure.tpm_quote.as_ref()).map(|quote| &quote.pcrs);
        for index in policy.azure.pcrs.keys() {
            let value = registers.and_then(|registers| registers.get(usize::from(*index)));
            measured.extend(value.into_iter().flat_map(|value| value.0));
        }
        measured
    }
}
