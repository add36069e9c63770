//! The roots: the vendors', compiled in and pinned by key; or development roots.

mod amd;
mod development;
mod intel;
mod microsoft;
mod nvidia;

use std::sync::LazyLock;

use crate::error::{Code, Refusal};
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, PublicKey};

pub(crate) use amd::SnpRoot;
pub(crate) use development::{
    DEVELOPMENT_LIFETIME_SECS, DEVELOPMENT_OID, carries_development_mark, lifetime_secs, looks_like_development,
    plain_name,
};

/// Length of AMD's RSA keys and of Microsoft's root; shorter ones are not theirs.
pub(crate) const RSA_BITS: usize = 4096;

/// The roots of one class, as the checks of each platform need them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roots {
    /// AMD's, one a product line.
    pub(crate) snp: Vec<SnpRoot>,
    /// Intel SGX Root CA.
    pub(crate) intel: Vec<VendorRoot>,
    /// Microsoft's root of the vTPMs of confidential virtual machines.
    pub(crate) vtpm: Vec<VendorRoot>,
    /// NVIDIA's root of devices: GPUs and switches.
    pub(crate) nvidia_devices: Vec<VendorRoot>,
    /// NVIDIA's root of reference integrity manifests.
    pub(crate) nvidia_manifests: Vec<VendorRoot>,
}

/// One pinned root and the certificates under it that are known with it. That it signed them was
/// verified when they were read; they are still subject to dates and revocation.
#[derive(Clone, Debug)]
pub(crate) struct VendorRoot {
    pub(crate) root: Certificate,
    pub(crate) known: Vec<Certificate>,
}

/// The vendors' roots that are compiled in; the only way to a hardware verdict.
#[derive(Clone, Copy, Debug)]
pub struct HardwareAnchors {
    roots: &'static Roots,
}

/// Read once: they are part of the program, and never change.
static COMPILED_IN: LazyLock<Roots> = LazyLock::new(|| Roots {
    snp: amd::roots(),
    intel: intel::roots(),
    vtpm: microsoft::roots(),
    nvidia_devices: nvidia::device_roots(),
    nvidia_manifests: nvidia::manifest_roots(),
});

/// Roots of simulated vendors; they lead only to simulated verdicts.
#[derive(Clone, Debug)]
pub struct DevelopmentAnchors {
    roots: Roots,
}

impl HardwareAnchors {
    /// The roots that this build carries: AMD's ARK-Milan, ARK-Genoa and ARK-Turin, Intel SGX Root
    /// CA, Azure Virtual TPM Root Certificate Authority 2023, NVIDIA Device Identity CA and NVIDIA
    /// CoRIM signing Root CA.
    pub fn compiled_in() -> HardwareAnchors {
        HardwareAnchors { roots: &COMPILED_IN }
    }

    pub(crate) fn roots(&self) -> &Roots {
        self.roots
    }
}

impl DevelopmentAnchors {
    /// Trusts the root certificate of a simulated vendor, given as DER. Refused with `CHAIN`
    /// unless it signs itself, is a CA with the vendor's kind of key, has one of the vendors' names
    /// followed by ` DEVELOPMENT - NOT A TEE` (`ARK-<product line>`, `Intel SGX Root CA`, `Azure
    /// Virtual TPM Root Certificate Authority 2023`, `NVIDIA Device Identity CA`, `NVIDIA CoRIM signing
    /// Root CA`), carries the critical development extension,
    /// and lives at most seven days.
    pub fn new(root_certificate_der: &[u8]) -> Result<DevelopmentAnchors, Refusal> {
        DevelopmentAnchors { roots: Roots::default() }.and(root_certificate_der)
    }

    /// Trusts another vendor's root as well, under the same conditions: evidence of a paravisor
    /// needs two, GPUs two more.
    pub fn and(mut self, root_certificate_der: &[u8]) -> Result<DevelopmentAnchors, Refusal> {
        let root = development::root(root_certificate_der)?;
        let name = root.subject.common_name().map(plain_name).unwrap_or_default();
        if let Some(product) = amd::product_of_root(name)
            && is_rsa_4096(&root)
        {
            self.roots.snp.push(SnpRoot { product, ark: root, intermediates: Vec::new() });
        } else if name == intel::ROOT_NAME && matches!(root.public_key, PublicKey::P256(_)) {
            self.roots.intel.push(VendorRoot { root, known: Vec::new() });
        } else if name == microsoft::ROOT_NAME && is_rsa_4096(&root) {
            self.roots.vtpm.push(VendorRoot { root, known: Vec::new() });
        } else if name == nvidia::DEVICE_ROOT_NAME && matches!(root.public_key, PublicKey::P384(_)) {
            self.roots.nvidia_devices.push(VendorRoot { root, known: Vec::new() });
        } else if name == nvidia::MANIFEST_ROOT_NAME && matches!(root.public_key, PublicKey::P384(_)) {
            self.roots.nvidia_manifests.push(VendorRoot { root, known: Vec::new() });
        } else {
            let wanted = "be named as a vendor's root, with that vendor's kind of key";
            return Err(Refusal::new(Code::Chain, format!("the development root must {wanted}")));
        }
        Ok(self)
    }

    pub(crate) fn roots(&self) -> &Roots {
        &self.roots
    }
}

/// The last moment at which all of `certificates` are valid, or the one that is not valid at
/// `now`.
pub(crate) fn valid_until<'a>(certificates: &[&'a Certificate], now: UnixTime) -> Result<UnixTime, &'a Certificate> {
    let mut until = UnixTime::from_secs(u64::MAX);
    for certificate in certificates {
        if now < certificate.not_before || now > certificate.not_after {
            return Err(certificate);
        }
        until = until.min(certificate.not_after);
    }
    Ok(until)
}

pub(crate) fn is_rsa_4096(certificate: &Certificate) -> bool {
    matches!(certificate.public_key, PublicKey::Rsa { modulus_bits: RSA_BITS, .. })
}

/// A compiled-in root and what it signed of the other files. A file that could not be read would leave
/// its chains without a root or an intermediate, and so refused; tests hold that all are there.
fn compiled_in(root: &[u8], known: &[&[u8]]) -> Option<VendorRoot> {
    let root = Certificate::parse(root).ok()?;
    let known = known.iter().filter_map(|der| Certificate::parse(der).ok());
    let known = known.filter(|certificate| certificate.is_signed_by(&root)).collect();
    Some(VendorRoot { root, known })
}

/// Whether it is one of `known` itself, and no copy from elsewhere.
pub(crate) fn is_known(certificate: &Certificate, known: &[Certificate]) -> bool {
    known.iter().any(|known| std::ptr::eq(known, certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_root_is_no_development_root() {
        let anchors = HardwareAnchors::compiled_in();
        let roots = anchors.roots();
        let nvidia = roots.nvidia_devices.iter().chain(&roots.nvidia_manifests);
        let others = roots.intel.iter().chain(&roots.vtpm).chain(nvidia).map(|vendor| &vendor.root);
        for root in roots.snp.iter().map(|root| &root.ark).chain(others) {
            let refusal = DevelopmentAnchors::new(root.der()).unwrap_err();
            assert_eq!(refusal.code, Code::Chain);
        }
        assert_eq!(DevelopmentAnchors::new(b"junk").unwrap_err().code, Code::Parse);
    }
}
