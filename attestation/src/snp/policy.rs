//! Requirements on an SEV-SNP report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hex_bytes::HexBytes;
use crate::snp::product::Product;

/// Highest privilege level number (AMD 56860: VMPL0 to VMPL3).
pub(crate) const HIGHEST_VMPL: u32 = 3;

/// REPORT_ID_MA of a guest that no migration agent is bound to (AMD 56860, ATTESTATION_REPORT).
pub(crate) const NO_MIGRATION_AGENT: HexBytes<32> = HexBytes([0xFF; 32]);

/// Requirements on an AMD SEV-SNP report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnpPolicy {
    /// Allowed product lines. Strict leaves Milan out: its root seed was extracted by software
    /// (docs/specs/evidence.md, "Policy").
    pub products: Vec<Product>,
    /// Allowed privilege levels (0 to 3) that the report speaks for.
    pub vmpl: Vec<u32>,
    /// Accept a guest that its host may debug.
    pub allow_debug: bool,
    /// Migration agents, by their REPORT_ID, that may move the guest. `None` or empty: a guest that
    /// an agent may move is refused. An agent can give the guest's memory to whatever it likes, so
    /// each of those named must have been attested by whoever writes the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration_agents: Option<Vec<HexBytes<32>>>,
    /// Accept a platform with simultaneous multithreading on.
    pub allow_smt: bool,
    /// Require that the platform has checked for aliased memory (platform_info bit 5).
    pub require_alias_check: bool,
    /// Require that running average power limits are off (platform_info bit 3).
    pub require_rapl_disabled: bool,
    /// Require ciphertext hiding (platform_info bit 4).
    pub require_ciphertext_hiding: bool,
    /// Require error-correcting memory (platform_info bit 2).
    pub require_ecc: bool,
    /// Require encryption of all memory, the host's too (platform_info bit 1, TSME).
    pub require_tsme: bool,
    /// Require that the guest's owner allowed one socket only (guest policy bit 20).
    pub require_single_socket: bool,
    /// Accept a guest whose owner allowed memory on CXL devices (guest policy bit 21).
    pub allow_cxl: bool,
    /// Allowed digests of the key that signed the identity block (ID_KEY_DIGEST). `None`: not
    /// compared. Empty: none is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_key_digests: Option<Vec<HexBytes<48>>>,
    /// Allowed digests of the author's key (AUTHOR_KEY_DIGEST). `None`: not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author_key_digests: Option<Vec<HexBytes<48>>>,
    /// Least firmware interface version, current and committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_abi: Option<AbiVersion>,
    /// Providers (CSP_ID) whose VLEK is accepted. `None`: no VLEK is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlek_csp_ids: Option<Vec<String>>,
    /// Accept a VLEK of any provider; for looking at evidence, not for trusting it.
    pub allow_vlek_of_any_provider: bool,
    /// Accept a guest that was launched under firmware older than the minimum, and has been running
    /// since: what that firmware let the host do to the guest, no later update undoes.
    pub allow_lower_launch_tcb: bool,
    /// Least firmware versions by product line, compared component by component with the reported,
    /// the committed and the launch TCB.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub minimum_tcb: BTreeMap<Product, MinimumTcb>,
}

/// The least value of each TCB component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinimumTcb {
    /// Firmware of the FMC; Turin only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fmc: Option<u8>,
    /// Secure processor boot loader.
    pub bootloader: u8,
    /// Secure processor operating system.
    pub tee: u8,
    /// SEV-SNP firmware.
    pub snp: u8,
    /// Microcode patch level.
    pub microcode: u8,
}

/// A firmware interface version such as `1.51`, written as text in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AbiVersion {
    /// The part before the point.
    pub major: u8,
    /// The part after the point.
    pub minor: u8,
}

impl SnpPolicy {
    /// The SNP part of [`Policy::strict`].
    pub fn strict() -> SnpPolicy {
        SnpPolicy {
            products: vec![Product::Genoa, Product::Turin],
            vmpl: vec![0],
            allow_debug: false,
            migration_agents: None,
            allow_smt: true,
            require_alias_check: false,
            require_rapl_disabled: false,
            require_ciphertext_hiding: false,
            require_ecc: false,
            require_tsme: false,
            require_single_socket: false,
            allow_cxl: true,
            id_key_digests: None,
            author_key_digests: None,
            minimum_abi: None,
            vlek_csp_ids: None,
            allow_vlek_of_any_provider: false,
            allow_lower_launch_tcb: false,
            minimum_tcb: BTreeMap::new(),
        }
    }
}

impl Default for SnpPolicy {
    fn default() -> Self {
        SnpPolicy::strict()
    }
}

impl TryFrom<String> for AbiVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parse = || {
            let (major, minor) = text.split_once('.')?;
            Some(AbiVersion { major: major.parse().ok()?, minor: minor.parse().ok()? })
        };
        parse().ok_or_else(|| format!("\"{text}\" is not a version such as \"1.51\""))
    }
}

impl From<AbiVersion> for String {
    fn from(version: AbiVersion) -> String {
        format!("{}.{}", version.major, version.minor)
    }
}
