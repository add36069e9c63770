//! Facts about a platform that a vendor's root vouches for. Only verification makes them.

use std::fmt;

use serde::Serialize;

use crate::snp::{Product, SnpClaims};
use crate::unix_time::UnixTime;

/// Kinds of confidential platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Platform {
    /// AMD SEV-SNP.
    Snp,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Platform::Snp => f.write_str("snp"),
        }
    }
}

/// What authentic evidence says, whatever a policy thinks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatedClaims {
    platform: PlatformClaims,
    valid_until: UnixTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlatformClaims {
    Snp(Box<SnpClaims>),
}

impl AuthenticatedClaims {
    pub(crate) fn new(platform: PlatformClaims, valid_until: UnixTime) -> AuthenticatedClaims {
        AuthenticatedClaims { platform, valid_until }
    }

    /// The kind of platform.
    pub fn platform(&self) -> Platform {
        match self.platform {
            PlatformClaims::Snp(_) => Platform::Snp,
        }
    }

    /// The vendor's product line, for example `"Genoa"`.
    pub fn product(&self) -> &str {
        let PlatformClaims::Snp(snp) = &self.platform;
        Product::name(snp.product)
    }

    /// What was measured at launch; 48 bytes on SNP.
    pub fn launch_measurement(&self) -> &[u8] {
        let PlatformClaims::Snp(snp) = &self.platform;
        &snp.measurement
    }

    /// What the host gave at launch; 32 bytes on SNP.
    pub fn host_data(&self) -> &[u8] {
        let PlatformClaims::Snp(snp) = &self.platform;
        &snp.host_data
    }

    /// The 64 bytes that the guest had signed.
    pub fn report_data(&self) -> &[u8; 64] {
        let PlatformClaims::Snp(snp) = &self.platform;
        &snp.report_data
    }

    /// Which machine this is: CHIP_ID (64 bytes) on SNP. `None` when it is masked or the key that
    /// signed is not the chip's own; such a platform can not be told from another.
    pub fn platform_identity(&self) -> Option<&[u8]> {
        let PlatformClaims::Snp(snp) = &self.platform;
        snp.platform_identity().map(<[u8; 64]>::as_slice)
    }

    /// Every field of an SNP report; `None` on another platform.
    pub fn snp(&self) -> Option<&SnpClaims> {
        match &self.platform {
            PlatformClaims::Snp(snp) => Some(snp),
        }
    }

    /// The earliest end of any certificate or list that these facts rest on.
    pub fn valid_until(&self) -> UnixTime {
        self.valid_until
    }
}
