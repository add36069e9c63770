//! Requirements on the virtual TPM of an Azure confidential virtual machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hex_bytes::HexBytes;

/// Requirements on paravisor and vTPM; those on the hardware are the policy's for SNP or TDX.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AzurePolicy {
    /// Refuse without a vTPM quote: nothing else of this evidence is fresh or says what was booted.
    pub require_tpm_quote: bool,
    /// Refuse without a certificate of the attestation key that leads to Microsoft's root. The
    /// hardware's report vouches for the key either way.
    pub require_ak_certificate: bool,
    /// Refuse a machine that was configured without secure boot.
    pub require_secure_boot: bool,
    /// Allowed values of platform configuration registers (SHA-256 bank), by index 0 to 23.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", with = "registers")]
    pub pcrs: BTreeMap<u8, Vec<HexBytes<32>>>,
}

impl AzurePolicy {
    /// The Azure part of [`crate::Policy::strict`].
    pub fn strict() -> AzurePolicy {
        AzurePolicy {
            require_tpm_quote: true,
            require_ak_certificate: false,
            require_secure_boot: true,
            pcrs: BTreeMap::new(),
        }
    }

    /// The Azure part of [`crate::Policy::authentic`].
    pub fn authentic() -> AzurePolicy {
        AzurePolicy { require_tpm_quote: false, require_secure_boot: false, ..AzurePolicy::strict() }
    }
}

impl Default for AzurePolicy {
    fn default() -> Self {
        AzurePolicy::strict()
    }
}

/// TOML's keys are text: registers are written as `4 = ["…"]` and read as numbers.
mod registers {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::hex_bytes::HexBytes;

    type Registers = BTreeMap<u8, Vec<HexBytes<32>>>;

    pub(super) fn serialize<S: Serializer>(registers: &Registers, serializer: S) -> Result<S::Ok, S::Error> {
        let written: BTreeMap<String, &Vec<HexBytes<32>>> =
            registers.iter().map(|(index, values)| (index.to_string(), values)).collect();
        written.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Registers, D::Error> {
        let written = BTreeMap::<String, Vec<HexBytes<32>>>::deserialize(deserializer)?;
        let index = |text: &str| text.parse::<u8>().ok().filter(|index| *index < 24 && index.to_string() == text);
        written
            .into_iter()
            .map(|(text, values)| match index(&text) {
                Some(index) => Ok((index, values)),
                None => Err(de::Error::custom(format!("\"{text}\" is no register, wanted 0 to 23"))),
            })
            .collect()
    }
}
