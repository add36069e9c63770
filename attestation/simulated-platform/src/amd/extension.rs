//! AMD's own extensions of a VCEK or VLEK.

use x509_cert::der::Error;

use super::product::Tcb;
use crate::{
    der::{Der, ia5_string, integer},
    extension::extension,
};

/// Structure version of a VCEK or VLEK: 1 since Turin, 0 before.
pub(crate) fn structure_version(version: u32) -> Result<Der, Error> {
    amd("1", &integer(version)?)
}

pub(crate) fn product_name(name: &str) -> Result<Der, Error> {
    amd("2", &ia5_string(name)?)
}

/// The security patch levels, in the order in which AMD writes them.
pub(crate) fn security_patch_levels(tcb: Tcb) -> Result<Vec<Der>, Error> {
    let level = |suffix: &str, value: u8| amd(suffix, &integer(u32::from(value))?);
    let mut levels = Vec::new();
    if let Some(fmc) = tcb.fmc {
        levels.push(level("3.9", fmc)?);
    }
    levels.push(level("3.1", tcb.bootloader)?);
    levels.push(level("3.2", tcb.tee)?);
    let reserved = if tcb.fmc.is_some() {
        levels.push(level("3.3", tcb.snp)?);
        ["3.5", "3.6", "3.7"].as_slice()
    } else {
        &["3.4", "3.5", "3.6", "3.7"]
    };
    for suffix in reserved {
        levels.push(level(suffix, 0)?);
    }
    if tcb.fmc.is_none() {
        levels.push(level("3.3", tcb.snp)?);
    }
    levels.push(level("3.8", tcb.microcode)?);
    Ok(levels)
}

/// The hardware id: raw bytes without an inner OCTET STRING, as in every genuine VCEK.
pub(crate) fn hardware_id(id: &[u8]) -> Result<Der, Error> {
    amd("4", id)
}

/// The cloud provider that a VLEK was loaded for.
pub(crate) fn csp_id(id: &str) -> Result<Der, Error> {
    amd("5", &ia5_string(id)?)
}

fn amd(suffix: &str, value: &[u8]) -> Result<Der, Error> {
    extension(&format!("1.3.6.1.4.1.3704.1.{suffix}"), false, value)
}
