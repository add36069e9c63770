//! The development vendor: three RSA-4096 authorities of one product line, and the devices
//! that they vouch for.

use std::thread;

use super::{
    device::{KeyKind, SimulatedDevice, SimulatedEvidence},
    fault::Fault,
    fault_in_endorsements::faulty_endorsements,
    issuance::{Intermediate, intermediate_certificate, root_certificate, root_name},
    keys::AuthorityKey,
    name::name,
    product::Product,
};
use crate::{
    certificate::{Validity, encoding},
    crl::{ExtensionOrder, RevocationList},
    der::Der,
    error::SimulationError,
};

/// A development vendor shaped like AMD, for one product line: its root (ARK), its signing
/// authorities (ASK for chips, ASVK for loaded keys) and its revocation list.
///
/// Its certificates hold for six days from the `now` that it was made with.
pub struct SimulatedAmd {
    pub(crate) product: Product,
    pub(crate) keys: VendorKeys,
    pub(crate) documents: VendorDocuments,
}

/// The private halves.
pub(crate) struct VendorKeys {
    pub(crate) ark: AuthorityKey,
    pub(crate) ask: AuthorityKey,
    pub(crate) asvk: AuthorityKey,
}

/// What the vendor publishes, DER.
pub(crate) struct VendorDocuments {
    pub(crate) ark: Der,
    pub(crate) ask: Der,
    pub(crate) asvk: Der,
    pub(crate) crl: Der,
}

impl SimulatedAmd {
    /// The secret of the one chip whose device key is published too.
    pub const PUBLISHED_CHIP_SECRET: [u8; 32] = *b"published development chip no. 1";

    /// A vendor with fresh keys that nobody else has. Three RSA-4096 keys: some seconds.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails; [`SimulationError::Encoding`]
    /// where `now` lies beyond the year 9999.
    pub fn generate(product: Product, now: u64) -> Result<Self, SimulationError> {
        let [ark, ask, asvk] = thread::scope(|scope| {
            [(); 3].map(|()| scope.spawn(AuthorityKey::generate)).map(|thread| {
                thread.join().unwrap_or(Err(SimulationError::Crypto { operation: "generating an RSA-4096 key" }))
            })
        });
        let keys = VendorKeys { ark: ark?, ask: ask?, asvk: asvk? };
        Self::with_keys(product, keys, now)
    }

    /// The vendor whose private keys are published in `development-root/`: for tests,
    /// examples and vectors only, since everybody can sign with them.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn published(product: Product, now: u64) -> Result<Self, SimulationError> {
        let keys = VendorKeys {
            ark: AuthorityKey::from_pkcs8(include_bytes!("../../development-root/ark-key.der"), "the published ARK")?,
            ask: AuthorityKey::from_pkcs8(include_bytes!("../../development-root/ask-key.der"), "the published ASK")?,
            asvk: AuthorityKey::from_pkcs8(
                include_bytes!("../../development-root/asvk-key.der"),
                "the published ASVK",
            )?,
        };
        Self::with_keys(product, keys, now)
    }

    /// The product line of this vendor's authorities.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product
    }

    /// The certificate of the root, DER: the anchor of a verifier that accepts this vendor.
    #[must_use]
    pub fn root_certificate_der(&self) -> &[u8] {
        &self.documents.ark
    }

    /// ASK then ARK, DER, as AMD publishes them.
    #[must_use]
    pub fn certificate_chain(&self) -> Vec<Vec<u8>> {
        vec![self.documents.ask.clone(), self.documents.ark.clone()]
    }

    /// ASVK then ARK, DER: the chain of loaded keys.
    #[must_use]
    pub fn loaded_key_chain(&self) -> Vec<Vec<u8>> {
        vec![self.documents.asvk.clone(), self.documents.ark.clone()]
    }

    /// The revocation list, DER, signed by the ARK. Nothing is revoked.
    #[must_use]
    pub fn crl(&self) -> Vec<u8> {
        self.documents.crl.clone()
    }

    /// A chip of this vendor that runs a guest with that launch `measurement` and
    /// `host_data`. The chip's key and id follow from `chip_secret`, which stays secret if
    /// the device shall not be imitated. Its VCEK holds for six days from `now`.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn device(
        &self,
        chip_secret: [u8; 32],
        measurement: [u8; 48],
        host_data: [u8; 32],
        now: u64,
    ) -> Result<SimulatedDevice, SimulationError> {
        let key_kind = KeyKind::Vcek;
        let device = SimulatedDevice::new(self.product, key_kind, chip_secret, measurement, host_data)?;
        let certificate = device.leaf(Validity::around(now))?.sign(&self.keys.ask)?;
        Ok(device.with_endorsements(self.endorsements(certificate, &self.documents.ask)))
    }

    /// The same, signing with a key that the cloud provider `csp_id` loaded (a VLEK): its
    /// reports name no chip.
    ///
    /// # Errors
    /// As [`generate`](Self::generate); [`SimulationError::Encoding`] where `csp_id` is not ASCII.
    pub fn device_with_loaded_key(
        &self,
        chip_secret: [u8; 32],
        csp_id: &str,
        measurement: [u8; 48],
        host_data: [u8; 32],
        now: u64,
    ) -> Result<SimulatedDevice, SimulationError> {
        let key_kind = KeyKind::Vlek { csp_id: csp_id.to_owned() };
        let device = SimulatedDevice::new(self.product, key_kind, chip_secret, measurement, host_data)?;
        let certificate = device.leaf(Validity::around(now))?.sign(&self.keys.asvk)?;
        Ok(device.with_endorsements(self.endorsements(certificate, &self.documents.asvk)))
    }

    /// Evidence of `device` that is broken in one way, however much of the chain has to be
    /// signed anew for it (with `now` as the moment of issue).
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn report_with_fault(
        &self,
        device: &SimulatedDevice,
        report_data: &[u8; 64],
        fault: Fault,
        now: u64,
    ) -> Result<SimulatedEvidence, SimulationError> {
        let mut evidence = device.faulty_report(report_data, fault)?;
        if fault.needs_vendor() {
            evidence.endorsements = faulty_endorsements(self, device, fault, now)?;
        }
        Ok(evidence)
    }

    /// What goes with the certificate of a device.
    fn endorsements(&self, certificate: Der, issuer: &Der) -> Vec<Vec<u8>> {
        vec![certificate, issuer.clone(), self.documents.ark.clone(), self.documents.crl.clone()]
    }

    fn with_keys(product: Product, keys: VendorKeys, now: u64) -> Result<Self, SimulationError> {
        let validity = Validity::around(now);
        let VendorKeys { ark, ask, asvk } = &keys;
        let documents = VendorDocuments {
            ark: root_certificate(product, ark, validity)?,
            ask: intermediate_certificate(product, Intermediate::Ask, ask, ark, validity)?,
            asvk: intermediate_certificate(product, Intermediate::Asvk, asvk, ark, validity)?,
            crl: revocation_list(product, validity, Vec::new())?.sign(&ark.issuing())?,
        };
        Ok(Self { product, keys, documents })
    }
}

/// The list of the root: it covers the authorities below it. Chips cannot be revoked by it,
/// since every VCEK has serial number 0.
pub(crate) fn revocation_list(
    product: Product,
    validity: Validity,
    revoked: Vec<Vec<u8>>,
) -> Result<RevocationList, SimulationError> {
    let issuer = name(&root_name(product)).map_err(encoding)?;
    Ok(RevocationList { issuer, validity, revoked, gives_reasons: false, order: ExtensionOrder::AuthorityFirst })
}
