//! The documents that Intel signs as JSON: a signature over the exact bytes of the inner
//! object, in an outer object that has both.

use std::time::Duration;

use serde::Serialize;
use x509_cert::der::DateTime;

use crate::{certificate::encoding, error::SimulationError, keys::elliptic::EllipticKey};

/// A signed inner object. A fault changes `inner` after signing.
pub(crate) struct SignedJson {
    /// Name of the inner object in the outer one.
    name: &'static str,
    pub(crate) inner: String,
    /// `r` then `s`, hexadecimal.
    pub(crate) signature: String,
}

impl SignedJson {
    /// Writes the object in the order of its fields, as Intel does, and signs those bytes.
    pub(crate) fn sign(
        name: &'static str,
        object: &impl Serialize,
        key: &EllipticKey,
    ) -> Result<Self, SimulationError> {
        let inner = serde_json::to_string(object).map_err(|source| SimulationError::Json { what: name, source })?;
        let signature = hex::encode(key.sign_fixed(inner.as_bytes())?);
        Ok(Self { name, inner, signature })
    }

    /// As the provisioning service answers.
    pub(crate) fn document(&self) -> String {
        let Self { name, inner, signature } = self;
        format!("{{\"{name}\":{inner},\"signature\":\"{signature}\"}}")
    }
}

/// Security versions of one kind of TCB, with what Intel says of it.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Level<T> {
    pub(crate) tcb: T,
    pub(crate) tcb_date: &'static str,
    pub(crate) tcb_status: &'static str,
    #[serde(rename = "advisoryIDs", skip_serializing_if = "Vec::is_empty")]
    pub(crate) advisory_ids: Vec<&'static str>,
}

impl<T> Level<T> {
    pub(crate) fn up_to_date(tcb: T) -> Self {
        Self { tcb, tcb_date: "2026-05-13T00:00:00Z", tcb_status: "UpToDate", advisory_ids: Vec::new() }
    }

    /// An older level, with an advisory that exists nowhere.
    pub(crate) fn out_of_date(tcb: T) -> Self {
        let advisory_ids = vec!["SIMULATED-SA-00001"];
        Self { tcb, tcb_date: "2025-03-12T00:00:00Z", tcb_status: "OutOfDate", advisory_ids }
    }
}

/// The security version of an enclave or module.
#[derive(Clone, Serialize)]
pub(crate) struct Isvsvn {
    pub(crate) isvsvn: u16,
}

/// RFC 3339 in UTC, to the second.
pub(crate) fn date(unix_seconds: u64) -> Result<String, SimulationError> {
    let date = DateTime::from_unix_duration(Duration::from_secs(unix_seconds)).map_err(encoding)?;
    Ok(date.to_string())
}

/// Hexadecimal in capitals, as most of Intel's fields are.
pub(crate) fn capitals(bytes: &[u8]) -> String {
    hex::encode_upper(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_as_intel_writes_them() {
        assert_eq!(date(1_800_000_000).unwrap(), "2027-01-15T08:00:00Z");
    }
}
