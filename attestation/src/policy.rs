//! What must hold of authentic evidence: typed, written as TOML, strict where nothing is said.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::azure::AzurePolicy;
use crate::claims::Platform;
use crate::deny::DenyList;
use crate::hex_bytes::HexBytes;
use crate::nvidia::NvidiaPolicy;
use crate::snp::{HIGHEST_VMPL, NO_MIGRATION_AGENT, Product, SnpPolicy};
use crate::tdx::{TcbStatus, TdxPolicy};

/// A platform identity as a policy names it: an SNP CHIP_ID of 64 bytes, the 8 bytes of a Turin
/// HWID, or the 16 bytes of a PPID (TDX), in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlatformIdentity(#[serde(with = "hex::serde")] pub Vec<u8>);

/// Requirements on evidence whose signatures hold. A field that the TOML text leaves out has its
/// value of [`Policy::strict`]; an unknown field is an error.
///
/// The format is specified in docs/specs/evidence.md, "Policy".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// A name for people; appears in verdicts.
    pub name: String,
    /// Allowed kinds of platform.
    pub platforms: Vec<Platform>,
    /// Allowed launch measurements. `None`: not compared, and the verdict says so. Empty: none is
    /// allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measurements: Option<Vec<HexBytes<48>>>,
    /// Allowed host data (HOST_DATA; on TDX, MRCONFIGID that is this and then zeros). `None`: not
    /// compared. Empty: none is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_data: Option<Vec<HexBytes<32>>>,
    /// Allowed platforms by identity. `None`: any. Empty: none is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_identities: Option<Vec<PlatformIdentity>>,
    /// Refuse platforms that do not show which one they are: a masked chip id, or a key of the
    /// provider (VLEK) in place of the chip's own.
    pub require_platform_identity: bool,
    /// Refuse unless an in-date revocation list, signed by the vendor's root, was supplied. A list
    /// that is supplied is always checked.
    pub require_revocation: bool,
    /// Requirements on AMD SEV-SNP.
    pub snp: SnpPolicy,
    /// Requirements on Intel TDX.
    pub tdx: TdxPolicy,
    /// Requirements on the paravisor and virtual TPM of an Azure confidential machine.
    pub azure: AzurePolicy,
    /// Requirements on NVIDIA GPUs and switches.
    pub nvidia: NvidiaPolicy,
    /// What is refused whatever else holds; written as `[deny]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<DenyList>,
    /// The same, from feeds that are signed on their own (docs/specs/deny-list.md): added by whoever
    /// verifies, and no part of the policy's text.
    #[serde(skip)]
    pub deny_feeds: Vec<DenyList>,
}

/// Why a policy text is not a policy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Not TOML, an unknown field, or a value of the wrong shape.
    #[error("the policy cannot be read: {message}")]
    Text {
        /// Where and why.
        message: String,
    },
    /// A value that can never be right.
    #[error("the policy's {field} is {found}, wanted {wanted}")]
    Value {
        /// The field's path.
        field: String,
        /// What is there.
        found: String,
        /// What would be right.
        wanted: &'static str,
    },
}

/// Bytes of text that are read: thousands of pinned values. TOML's reader can take a thousand times the
/// memory of its text.
const MAX_TEXT: usize = 256 << 10;

impl Policy {
    /// What a serving deployment wants: no debugging, no migration, VMPL 0, a chip that shows its
    /// identity, and no product line whose root is broken. Measurements are not pinned.
    pub fn strict() -> Policy {
        Policy {
            name: "strict".to_owned(),
            platforms: Platform::ALL.to_vec(),
            measurements: None,
            host_data: None,
            platform_identities: None,
            require_platform_identity: true,
            require_revocation: false,
            snp: SnpPolicy::strict(),
            tdx: TdxPolicy::strict(),
            azure: AzurePolicy::strict(),
            nvidia: NvidiaPolicy::strict(),
            deny: None,
            deny_feeds: Vec::new(),
        }
    }

    /// Genuine and not open to its host, whatever the product, provider and privilege level: for
    /// looking at evidence. It does not say that the machine is yours.
    pub fn authentic() -> Policy {
        Policy {
            name: "authentic".to_owned(),
            require_platform_identity: false,
            snp: SnpPolicy {
                products: Product::ALL.to_vec(),
                vmpl: (0..=HIGHEST_VMPL).collect(),
                allow_vlek_of_any_provider: true,
                ..SnpPolicy::strict()
            },
            tdx: TdxPolicy::authentic(),
            azure: AzurePolicy::authentic(),
            nvidia: NvidiaPolicy::authentic(),
            ..Policy::strict()
        }
    }

    /// Reads a policy from TOML text.
    pub fn from_toml(text: &str) -> Result<Policy, PolicyError> {
        if text.len() > MAX_TEXT {
            let message = format!("{} bytes, wanted at most {MAX_TEXT}", text.len());
            return Err(PolicyError::Text { message });
        }
        let policy: Policy = toml::from_str(text).map_err(|error| PolicyError::Text { message: error.to_string() })?;
        policy.check()?;
        Ok(policy)
    }

    /// This policy as TOML text, which [`Policy::from_toml`] reads back.
    #[cfg_attr(
        not(test),
        expect(clippy::expect_used, reason = "no value of any field is without a TOML form; tests/fuzz holds it")
    )]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field of a policy has a TOML form")
    }

    /// Every deny list: each is asked.
    pub(crate) fn deny_lists(&self) -> impl Iterator<Item = &DenyList> {
        self.deny.iter().chain(&self.deny_feeds)
    }

    /// Values that the types allow and that can never be meant.
    fn check(&self) -> Result<(), PolicyError> {
        let wrong = |field: String, found: String, wanted| Err(PolicyError::Value { field, found, wanted });
        for (index, identity) in self.platform_identities.iter().flatten().enumerate() {
            if !matches!(identity.0.len(), 8 | 16 | 64) {
                let found = format!("{} bytes", identity.0.len());
                return wrong(format!("platform_identities[{index}]"), found, "8, 16 or 64 bytes");
            }
            if identity.0.iter().all(|byte| *byte == 0) {
                let found = "all zero".to_owned();
                return wrong(format!("platform_identities[{index}]"), found, "a chip's identity");
            }
        }
        if let Some(level) = self.snp.vmpl.iter().find(|level| **level > HIGHEST_VMPL) {
            return wrong("snp.vmpl".to_owned(), level.to_string(), "levels 0 to 3");
        }
        if self.snp.migration_agents.iter().flatten().any(|agent| *agent == NO_MIGRATION_AGENT) {
            return wrong("snp.migration_agents".to_owned(), "all FF".to_owned(), "an agent's REPORT_ID");
        }
        if self.tdx.tcb_statuses.contains(&TcbStatus::Revoked) {
            let found = "Revoked".to_owned();
            return wrong("tdx.tcb_statuses".to_owned(), found, "statuses of platforms whose keys are not compromised");
        }
        if self.tdx.service_tds.iter().flatten().any(|hash| hash.0 == [0; 48]) {
            return wrong("tdx.service_tds".to_owned(), "all zero".to_owned(), "the hash of service TDs");
        }
        for ueid in self.nvidia.ueids.iter().flatten() {
            if ueid.is_empty() || !ueid.bytes().all(|digit| digit.is_ascii_digit()) {
                return wrong("nvidia.ueids".to_owned(), format!("\"{ueid}\""), "serial numbers in decimal digits");
            }
        }
        for (product, minimum) in &self.snp.minimum_tcb {
            if minimum.fmc.is_some() && !product.has_fmc() {
                let field = format!("snp.minimum_tcb.{product}.fmc");
                return wrong(field, "set".to_owned(), "no fmc: only Turin has one");
            }
        }
        Ok(())
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy::strict()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snp::AbiVersion;

    #[test]
    fn an_empty_text_is_the_strict_policy_without_a_pin() {
        assert_eq!(Policy::from_toml("").unwrap(), Policy::strict());
        assert!(!Policy::strict().snp.products.contains(&Product::Milan));
    }

    #[test]
    fn a_full_policy_survives_its_text() {
        let text = format!(
            "name = \"bank-prod\"\nmeasurements = [\"{}\"]\nhost_data = []\n\
             platform_identities = [\"{}\", \"0102030405060708\"]\n[snp]\nproducts = [\"Turin\"]\n\
             vmpl = [0, 1]\nminimum_abi = \"1.51\"\nvlek_csp_ids = [\"CN=a\"]\n\
             migration_agents = [\"{}\"]\nallow_lower_launch_tcb = true\n\
             [snp.minimum_tcb.Turin]\nfmc = 1\nsnp = 2\n\
             [tdx]\ntcb_statuses = [\"UpToDate\", \"SWHardeningNeeded\"]\nfmspcs = [\"90C06F000000\"]\n\
             minimum_tcb_date = \"2024-03-13T00:00:00Z\"\n[azure.pcrs]\n7 = [\"{}\"]\n11 = []\n",
            "ab".repeat(48),
            "cd".repeat(64),
            "ef".repeat(32),
            "01".repeat(32),
        );
        let policy = Policy::from_toml(&text).unwrap();
        assert_eq!(policy.snp.minimum_tcb[&Product::Turin].snp, 2);
        assert_eq!(policy.snp.minimum_abi, Some(AbiVersion { major: 1, minor: 51 }));
        assert_eq!(policy.azure.pcrs.keys().collect::<Vec<_>>(), [&7, &11]);
        assert_eq!(policy.tdx.fmspcs, Some(vec![[0x90, 0xC0, 0x6F, 0, 0, 0].into()]));
        assert_eq!(policy.host_data, Some(vec![]));
        assert_eq!(policy.snp.migration_agents, Some(vec![[0xEF; 32].into()]));
        assert_eq!(Policy::from_toml(&policy.to_toml()).unwrap(), policy);
        for built_in in [Policy::strict(), Policy::authentic()] {
            assert_eq!(Policy::from_toml(&built_in.to_toml()).unwrap(), built_in);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "unknown = 1",
            "[snp]\nalow_debug = true",
            "[snp.minimum_tcb.Genoa]\nfmc = 1",
            "[snp.minimum_tcb.Genoa]\nsnp = 256",
            "[snp.minimum_tcb.Rome]\nsnp = 1",
            "[snp]\nvmpl = [4]",
            "[snp]\nallow_migration = true",
            "[snp]\nmigration_agents = [\"ab\"]",
            "[snp]\nmigration_agents = [\"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\"]",
            "[snp]\nminimum_abi = \"1\"",
            "measurements = [\"ab\"]",
            "platform_identities = [\"ab\"]",
            "platform_identities = [\"0000000000000000\"]",
            "name = \"a\"\nname = \"b\"",
            "platforms = [\"sgx\"]",
            "[tdx]\ntcb_statuses = [\"Revoked\"]",
            "[tdx]\ntcb_statuses = [\"Fine\"]",
            "[tdx]\nrtmr4 = []",
            "[tdx]\nrtmr0 = [\"ab\"]",
            "[azure.pcrs]\n24 = []",
            "[azure.pcrs]\n07 = []",
            "[azure.pcrs]\n7 = [\"ab\"]",
        ] {
            assert!(Policy::from_toml(text).is_err(), "{text}");
        }
    }
}
