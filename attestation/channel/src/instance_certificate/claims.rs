//! What a certificate claims of an instance; each claim must equal the evidence.

use crate::cbor::{self, CborError, Value};
use crate::deployment::DeploymentId;

/// Longest launch measurement: a platform's full set of registers.
const MAX_MEASUREMENT: usize = 1024;
/// Longest platform identity or GPU ueid.
const MAX_IDENTITY: usize = 64;
/// Most GPUs of one instance.
const MAX_GPUS: usize = 64;

/// Which instance, where, and what it launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceClaims {
    /// 1: the deployment.
    pub deployment: DeploymentId,
    /// 2: the instance, random at boot.
    pub instance_id: [u8; 16],
    /// 3: the platform's launch measurement (SNP MEASUREMENT).
    pub launch_measurement: Vec<u8>,
    /// 4: the platform's identity (SNP CHIP_ID); `None` when the platform hides it, and then
    /// no client takes the certificate.
    pub platform_identity: Option<Vec<u8>>,
    /// 5: the ueids of GPUs and switches, in decimal digits (ASCII), sorted as text.
    pub gpu_ueids: Vec<Vec<u8>>,
}

impl InstanceClaims {
    pub(super) fn encode(&self) -> Vec<u8> {
        Value::map([
            (1, Value::Text(self.deployment.as_str())),
            (2, Value::Bytes(&self.instance_id)),
            (3, Value::Bytes(&self.launch_measurement)),
            (4, Value::bytes_or_null(self.platform_identity.as_deref())),
            (5, Value::byte_strings(&self.gpu_ueids)),
        ])
        .encode()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<InstanceClaims, CborError> {
        let mut fields = cbor::decode(bytes)?.fields()?;
        let claims = InstanceClaims {
            deployment: DeploymentId::parse(fields.require(1)?.text()?)
                .map_err(|_| CborError::WrongType { wanted: "a deployment id, a lower-case DNS label" })?,
            instance_id: fields.require(2)?.fixed()?,
            launch_measurement: fields.require(3)?.bytes()?.to_vec(),
            platform_identity: fields.require(4)?.nullable().map(Value::bytes).transpose()?.map(<[u8]>::to_vec),
            gpu_ueids: fields
                .require(5)?
                .items()?
                .into_iter()
                .map(|item| item.bytes().map(<[u8]>::to_vec))
                .collect::<Result<_, _>>()?,
        };
        fields.finish()?;
        if claims.is_sound() {
            Ok(claims)
        } else {
            Err(CborError::WrongType { wanted: "claims within their limits, ueids sorted" })
        }
    }

    /// Lengths within limits, ueids sorted and each once.
    pub(super) fn is_sound(&self) -> bool {
        (1..=MAX_MEASUREMENT).contains(&self.launch_measurement.len())
            && self.platform_identity.as_ref().is_none_or(|identity| (1..=MAX_IDENTITY).contains(&identity.len()))
            && self.gpu_ueids.len() <= MAX_GPUS
            && self.gpu_ueids.iter().all(|ueid| (1..=MAX_IDENTITY).contains(&ueid.len()))
            && self.gpu_ueids.is_sorted_by(|a, b| a < b)
    }
}
