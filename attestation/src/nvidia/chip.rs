//! Families of devices: what their certificates, manifests and remote services call them.

use serde::{Deserialize, Serialize};

use crate::trust_anchors::plain_name;
use crate::x509::Certificate;

/// A generation of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Architecture {
    /// GH100: H100, H200, H20 and the GPU of GH200.
    Hopper,
    /// GB100 and the others of that generation.
    Blackwell,
    /// NVSwitch of HGX Hopper.
    Ls10,
}

impl Architecture {
    /// The name as NVIDIA's tools write it in evidence: `"HOPPER"`, `"BLACKWELL"`, `"LS10"`.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Hopper => "HOPPER",
            Architecture::Blackwell => "BLACKWELL",
            Architecture::Ls10 => "LS10",
        }
    }

    /// Whether devices of it are switches.
    pub fn is_switch(self) -> bool {
        self == Architecture::Ls10
    }
}

/// A chip, as the certificates name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chip {
    pub(crate) architecture: Architecture,
    /// As manifests name it: `"GH100"`, `"GB100"`, `"LS10"`.
    pub(crate) product: &'static str,
    /// As certificates name it.
    in_certificates: &'static str,
    /// Whose authority certifies its provisioners.
    family: &'static str,
}

/// Chips whose evidence was seen. Another is refused: nothing is known of its measurements.
const CHIPS: [Chip; 3] = [
    Chip { architecture: Architecture::Hopper, product: "GH100", in_certificates: "GH100", family: "GH100" },
    Chip { architecture: Architecture::Blackwell, product: "GB100", in_certificates: "GB100", family: "GB100" },
    // Switches came with Hopper, and are certified under its authority.
    Chip { architecture: Architecture::Ls10, product: "LS10", in_certificates: "LS_10", family: "GH100" },
];

impl Chip {
    /// The chip that leaf, device, provisioner and family certificate all name. What does not fit is
    /// told: a genuine chain mended together from two families would otherwise pass for either.
    pub(crate) fn of_chain(chain: [&Certificate; 4]) -> Result<Chip, String> {
        let [leaf, device, provisioner, family] =
            chain.map(|certificate| certificate.subject.common_name().map(plain_name).unwrap_or_default());
        let first = |name: &str| name.split(' ').next().unwrap_or_default().to_owned();
        let chip = CHIPS.into_iter().find(|chip| first(leaf) == chip.in_certificates);
        let Some(chip) = chip else {
            return Err(format!("\"{leaf}\", a device that is not known; known are GH100, GB100 and LS_10"));
        };
        let under = format!("NVIDIA {} Provisioner ICA ", chip.in_certificates);
        if first(device) != chip.in_certificates {
            return Err(format!("\"{leaf}\" under \"{device}\""));
        }
        if !provisioner.starts_with(&under) {
            return Err(format!("\"{leaf}\" under \"{provisioner}\""));
        }
        if family != format!("NVIDIA {} Identity", chip.family) {
            return Err(format!("\"{leaf}\" under \"{family}\""));
        }
        Ok(chip)
    }
}
