//! The development vendor: a root, two authorities for PCK certificates, a key that signs
//! collateral, and the platforms that they vouch for.

use super::{
    authority::{AuthorityCertificate, Role},
    fault::TdxFault,
    fault_in_endorsements::faulty_issuance,
    issuance::{Issuance, Issued},
    pck::PckCa,
    platform::{FMSPC, Platform, pck_key},
    td::{SimulatedTd, TdEvidence},
    td_body::TdBody,
};
use crate::{
    certificate::Validity,
    der::Der,
    error::SimulationError,
    keys::elliptic::{Curve, EllipticKey},
};

/// Separates the published keys from everything else that is derived from their seed.
const PUBLISHED_LABELS: [&[u8]; 4] = [
    b"strongroom/simulated-platform/intel-root/v1\0",
    b"strongroom/simulated-platform/intel-pck-platform-ca/v1\0",
    b"strongroom/simulated-platform/intel-pck-processor-ca/v1\0",
    b"strongroom/simulated-platform/intel-tcb-signing/v1\0",
];

/// A development vendor shaped like Intel, for TDX: its root ("Intel SGX Root CA" with the
/// development suffix), the authorities that issue PCK certificates, and the key that signs
/// TCB info and identities of enclaves.
///
/// What it issues holds for six days.
pub struct SimulatedIntel {
    pub(crate) keys: VendorKeys,
    pub(crate) root_certificate: Der,
}

/// The private halves.
pub(crate) struct VendorKeys {
    pub(crate) root: EllipticKey,
    pub(crate) platform_ca: EllipticKey,
    pub(crate) processor_ca: EllipticKey,
    pub(crate) tcb_signing: EllipticKey,
}

impl SimulatedIntel {
    /// The seed of the published keys, which everybody can therefore sign with.
    pub const PUBLISHED_SEED: [u8; 32] = *b"published development Intel seed";
    /// The secret of the one platform whose keys are published too.
    pub const PUBLISHED_PLATFORM_SECRET: [u8; 32] = *b"published development platform 1";
    /// The family of platforms (FMSPC) that its TCB info is for. It exists nowhere.
    pub const FMSPC: [u8; 6] = FMSPC;

    /// A vendor with fresh keys that nobody else has.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails; [`SimulationError::Encoding`]
    /// where `now` lies beyond the year 9999.
    pub fn generate(now: u64) -> Result<Self, SimulationError> {
        let key = || EllipticKey::generate(Curve::P256);
        Self::with_keys(
            VendorKeys { root: key()?, platform_ca: key()?, processor_ca: key()?, tcb_signing: key()? },
            now,
        )
    }

    /// The vendor whose keys follow from [`PUBLISHED_SEED`](Self::PUBLISHED_SEED): for tests,
    /// examples and vectors only.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn published(now: u64) -> Result<Self, SimulationError> {
        let key = |label: &[u8]| EllipticKey::derive(Curve::P256, label, &Self::PUBLISHED_SEED);
        let [root, platform_ca, processor_ca, tcb_signing] = PUBLISHED_LABELS.map(key);
        let keys = VendorKeys {
            root: root?,
            platform_ca: platform_ca?,
            processor_ca: processor_ca?,
            tcb_signing: tcb_signing?,
        };
        Self::with_keys(keys, now)
    }

    /// The certificate of the root, DER: the anchor of a verifier that accepts this vendor.
    #[must_use]
    pub fn root_certificate_der(&self) -> &[u8] {
        &self.root_certificate
    }

    /// A trust domain on a platform of this vendor. The platform's keys and identity follow
    /// from `platform_secret`, which stays secret if the platform shall not be imitated; its
    /// PCK certificate is issued by `ca` and holds, like its collateral, for six days from
    /// `now`.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn td(
        &self,
        platform_secret: [u8; 32],
        ca: PckCa,
        body: TdBody,
        now: u64,
    ) -> Result<SimulatedTd, SimulationError> {
        let platform = Platform::current(ca, &platform_secret);
        let pck_key = pck_key(&platform_secret)?;
        let Issued { pck_chain, collateral } = Issuance::sound(self, &platform, &pck_key, now)?.issue()?;
        SimulatedTd::new(platform, pck_key, &platform_secret, body, pck_chain, collateral)
    }

    /// Evidence of `td` that is broken in one way, however much has to be signed anew for it
    /// (with `now` as the moment of issue).
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn evidence_with_fault(
        &self,
        td: &SimulatedTd,
        report_data: &[u8; 64],
        fault: TdxFault,
        now: u64,
    ) -> Result<TdEvidence, SimulationError> {
        if !fault.needs_vendor() {
            return td.evidence_with_fault(report_data, fault);
        }
        let Issued { pck_chain, collateral } = faulty_issuance(self, td, fault, now)?;
        td.faulty_evidence(report_data, fault, pck_chain, collateral)
    }

    fn with_keys(keys: VendorKeys, now: u64) -> Result<Self, SimulationError> {
        let root_certificate = root_certificate(&keys.root, now)?;
        Ok(Self { keys, root_certificate })
    }
}

impl VendorKeys {
    pub(crate) fn pck_ca(&self, ca: PckCa) -> &EllipticKey {
        match ca {
            PckCa::Platform => &self.platform_ca,
            PckCa::Processor => &self.processor_ca,
        }
    }
}

/// The self-signed certificate of a root.
pub(crate) fn root_certificate(key: &EllipticKey, now: u64) -> Result<Der, SimulationError> {
    AuthorityCertificate { role: Role::Root, key, validity: Validity::around(now), may_issue: true }.sign(key)
}
