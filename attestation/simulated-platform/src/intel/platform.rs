//! A platform with TDX: what its PCK certificate says of it, and the key that certificate
//! is for.

use sha2::{Digest, Sha256};

use super::pck::PckCa;
use crate::{
    error::SimulationError,
    keys::elliptic::{Curve, EllipticKey},
};

const IDENTITY_LABEL: &[u8] = b"strongroom/simulated-platform/ppid/v1\0";
const PCK_KEY_LABEL: &[u8] = b"strongroom/simulated-platform/pck/v1\0";
const ATTESTATION_KEY_LABEL: &[u8] = b"strongroom/simulated-platform/td-attestation-key/v1\0";

/// A family of platforms that share TCB info; this one exists nowhere.
pub(crate) const FMSPC: [u8; 6] = [0xd0, 0xe0, 0x6f, 0, 0, 0];
/// Another, for the faults that mix two.
pub(crate) const OTHER_FMSPC: [u8; 6] = [0xd1, 0xe1, 0x6f, 0, 0, 0];
/// Security version of the provisioning certification enclave.
pub(crate) const PCESVN: u16 = 13;
/// The 16 SGX component versions of a current, healthy platform.
pub(crate) const SGX_COMPONENTS: [u8; 16] = [4, 4, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0];

/// What a PCK certificate says of its platform (Intel SGX PCK Certificate and CRL Profile).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) ca: PckCa,
    pub(crate) ppid: [u8; 16],
    pub(crate) cpusvn: [u8; 16],
    pub(crate) pcesvn: u16,
    pub(crate) pceid: [u8; 2],
    pub(crate) fmspc: [u8; 6],
    pub(crate) instance: [u8; 16],
}

/// One component's security version.
#[derive(Clone, Copy)]
pub(crate) struct Component(pub(crate) u8);

impl Platform {
    /// The platform that follows from a secret, with current firmware.
    pub(crate) fn current(ca: PckCa, secret: &[u8; 32]) -> Self {
        let digest: [u8; 32] = Sha256::new().chain_update(IDENTITY_LABEL).chain_update(secret).finalize().into();
        let (ppid, instance) = digest.split_at(16);
        Self {
            ca,
            ppid: ppid.try_into().unwrap_or_default(),
            cpusvn: SGX_COMPONENTS,
            pcesvn: PCESVN,
            pceid: [0; 2],
            fmspc: FMSPC,
            instance: instance.try_into().unwrap_or_default(),
        }
    }

    /// Here CPUSVN is the component versions themselves; on a processor it is opaque.
    pub(crate) fn sgx_components(&self) -> impl Iterator<Item = Component> {
        self.cpusvn.into_iter().map(Component)
    }
}

/// The key that the PCK certificate is for.
pub(crate) fn pck_key(secret: &[u8; 32]) -> Result<EllipticKey, SimulationError> {
    EllipticKey::derive(Curve::P256, PCK_KEY_LABEL, secret)
}

/// The key with which the quoting enclave signs quotes.
pub(crate) fn attestation_key(secret: &[u8; 32]) -> Result<EllipticKey, SimulationError> {
    EllipticKey::derive(Curve::P256, ATTESTATION_KEY_LABEL, secret)
}
