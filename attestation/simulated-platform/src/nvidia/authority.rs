//! The authorities: above devices, above manifests, and the signers of manifests.

use x509_cert::der::Error;
use zeroize::Zeroizing;

use super::{
    architecture::NvidiaArchitecture,
    extension::responder_location,
    layout::ManifestKind,
    name::{NameForm, name},
};
use crate::{
    certificate::{Certificate, Dates, Validity, encoding},
    der::Der,
    error::SimulationError,
    extension::{
        KeyUsage, authority, authority_key_identifier, crl_distribution_point, development, key_usage, no_authority,
        subject_key_identifier,
    },
    keys::{
        Issuer,
        elliptic::{Curve, EllipticKey},
    },
};

const CRL_HOST: &str = "http://crl.simulated-nvidia.invalid";

/// Which authority it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    DeviceRoot,
    /// Of Hopper or Blackwell.
    Identity(NvidiaArchitecture),
    /// Issues to boot ROMs.
    Provisioner(NvidiaArchitecture),
    ManifestRoot,
    ManifestCa(NvidiaArchitecture),
    ManifestIntermediate(NvidiaArchitecture),
    /// No authority itself: it signs documents.
    ManifestSigner(NvidiaArchitecture, ManifestKind),
}

impl Authority {
    /// Who certifies it.
    pub(crate) fn issuer(self) -> Self {
        match self {
            Self::DeviceRoot | Self::Identity(_) => Self::DeviceRoot,
            Self::Provisioner(architecture) => Self::Identity(architecture.identity()),
            Self::ManifestRoot | Self::ManifestCa(_) => Self::ManifestRoot,
            Self::ManifestIntermediate(architecture) => Self::ManifestCa(architecture),
            Self::ManifestSigner(architecture, _) => Self::ManifestIntermediate(architecture),
        }
    }

    /// Common name without the development suffix.
    pub(crate) fn common_name(self) -> String {
        use NvidiaArchitecture::{Blackwell, Hopper, Ls10};
        match self {
            Self::DeviceRoot => "NVIDIA Device Identity CA".to_owned(),
            Self::Identity(line) => format!("NVIDIA {} Identity", line.chip()),
            Self::Provisioner(Blackwell) => "NVIDIA GB100 Provisioner ICA 00000".to_owned(),
            Self::Provisioner(line) => format!("NVIDIA {} Provisioner ICA 1", line.chip()),
            Self::ManifestRoot => "NVIDIA CoRIM signing Root CA".to_owned(),
            Self::ManifestCa(Blackwell) => "NVIDIA Reference Value GB1XX CA 001".to_owned(),
            Self::ManifestCa(line) => format!("NVIDIA Reference Value {} CA", line.product()),
            Self::ManifestIntermediate(Hopper) => "NVIDIA Reference Value L3 GH100 002".to_owned(),
            Self::ManifestIntermediate(Blackwell) => "NVIDIA Reference Value L3 GB100-CC 001".to_owned(),
            Self::ManifestIntermediate(Ls10) => "NVIDIA Reference Value L3 LS10 001".to_owned(),
            Self::ManifestSigner(Hopper, _) => "HCC RIM L4 Signer".to_owned(),
            Self::ManifestSigner(Blackwell, _) => "RIM L4 Signer".to_owned(),
            Self::ManifestSigner(Ls10, _) => "NVIDIA Reference Value L4 LS10".to_owned(),
        }
    }

    /// Its whole name, DER.
    pub(crate) fn name(self) -> Result<Der, SimulationError> {
        let form = match self {
            Self::DeviceRoot => NameForm::DeviceRoot,
            Self::Identity(_) => NameForm::Identity,
            Self::ManifestRoot => NameForm::CountryFirst,
            Self::ManifestSigner(..) => NameForm::Signer,
            _ if self.is_in_newer_form() => NameForm::CountryFirst,
            _ => NameForm::CommonNameFirst,
        };
        name(form, &self.common_name()).map_err(encoding)
    }

    /// Whether it vouches for devices, and not for manifests.
    pub(crate) fn is_of_devices(self) -> bool {
        matches!(self, Self::DeviceRoot | Self::Identity(_) | Self::Provisioner(_))
    }

    /// Its key, which follows from the vendor's seed.
    pub(crate) fn key(self, seed: &[u8; 32]) -> Result<EllipticKey, SimulationError> {
        self.derive("authority", seed)
    }

    /// The key of whoever answers in its name about revocation.
    pub(crate) fn responder_key(self, seed: &[u8; 32]) -> Result<EllipticKey, SimulationError> {
        self.derive("responder", seed)
    }

    /// Big-endian; 16 bytes, of signers 8.
    pub(crate) fn serial(self, key: &EllipticKey) -> Vec<u8> {
        let length = if matches!(self, Self::ManifestSigner(..)) { 8 } else { 16 };
        let mut serial = key.identifier();
        serial.truncate(length);
        if let Some(first) = serial.first_mut() {
            *first |= 0x40; // of full length, whatever the key
        }
        serial
    }

    /// Blackwell's authorities of manifests are newer: other names, dates, order of extensions.
    fn is_in_newer_form(self) -> bool {
        matches!(
            self,
            Self::ManifestCa(NvidiaArchitecture::Blackwell) | Self::ManifestIntermediate(NvidiaArchitecture::Blackwell)
        )
    }

    fn derive(self, role: &str, seed: &[u8; 32]) -> Result<EllipticKey, SimulationError> {
        let kind = match self {
            Self::ManifestSigner(_, ManifestKind::Driver) => "driver",
            Self::ManifestSigner(_, ManifestKind::Bios) => "bios",
            _ => "",
        };
        let name = self.common_name();
        let label = Zeroizing::new(format!("strongroom/simulated-platform/nvidia-{role}/{name}/{kind}/v1\0"));
        EllipticKey::derive(Curve::P384, label.as_bytes(), seed)
    }
}

/// What an authority's certificate says. A fault changes one field.
pub(crate) struct AuthorityCertificate<'a> {
    pub(crate) authority: Authority,
    /// Whom it names as its issuer.
    pub(crate) issuer: Authority,
    pub(crate) key: &'a EllipticKey,
    pub(crate) validity: Validity,
    /// False only for the fault of one that is no authority.
    pub(crate) may_issue: bool,
    /// False only for the fault that leaves the extension out.
    pub(crate) says_development: bool,
}

impl<'a> AuthorityCertificate<'a> {
    /// A sound one.
    pub(crate) fn new(authority: Authority, key: &'a EllipticKey, validity: Validity) -> Self {
        let issuer = authority.issuer();
        Self { authority, issuer, key, validity, may_issue: true, says_development: true }
    }

    /// The certificate, DER, signed by that key.
    pub(crate) fn sign(&self, issuer: &dyn Issuer) -> Result<Der, SimulationError> {
        let dates = match self.authority {
            Authority::ManifestCa(_) | Authority::ManifestIntermediate(_) if !self.authority.is_in_newer_form() => {
                Dates::Generalized
            }
            _ => Dates::Profile,
        };
        Certificate {
            serial: self.authority.serial(self.key),
            issuer: self.issuer.name()?,
            subject: self.authority.name()?,
            validity: self.validity,
            public_key_info: self.key.public_key_info()?,
            extensions: self.extensions(issuer).map_err(encoding)?,
        }
        .sign_with(issuer, dates)
    }

    fn extensions(&self, issuer: &dyn Issuer) -> Result<Vec<Der>, Error> {
        let identifiers =
            vec![subject_key_identifier(&self.key.identifier())?, authority_key_identifier(&issuer.identifier())?];
        let (usage, constraint) = match self.authority {
            Authority::ManifestSigner(..) => (KeyUsage::Signature, no_authority()?),
            _ if !self.may_issue => (KeyUsage::CertificateAndCrlSign, no_authority()?),
            Authority::ManifestIntermediate(_) => (KeyUsage::CertificateAndCrlSign, authority(Some(0))?),
            Authority::ManifestCa(NvidiaArchitecture::Blackwell) => {
                (KeyUsage::CertificateAndCrlSign, authority(Some(1))?)
            }
            _ => (KeyUsage::CertificateAndCrlSign, authority(None)?),
        };
        let mut rights = vec![constraint, key_usage(usage)?];
        let mut places = Vec::new();
        if let Some(path) = self.crl_path() {
            places.push(crl_distribution_point(&format!("{CRL_HOST}/{path}"))?);
        }
        if !matches!(self.authority, Authority::DeviceRoot | Authority::ManifestRoot) {
            places.push(responder_location()?);
        }
        let identifiers_first = self.authority.is_in_newer_form()
            || matches!(self.authority, Authority::ManifestRoot | Authority::ManifestSigner(..));
        let mut extensions = identifiers;
        if identifiers_first {
            extensions.append(&mut rights);
            extensions.append(&mut places);
        } else {
            rights.append(&mut places);
            rights.append(&mut extensions);
            extensions = rights;
        }
        if self.says_development {
            extensions.push(development()?);
        }
        Ok(extensions)
    }

    /// Where its issuer's revocation list would be, for those that say so.
    fn crl_path(&self) -> Option<String> {
        match self.authority {
            Authority::Identity(_) => Some("crl/l1-root.crl".to_owned()),
            Authority::Provisioner(line) => Some(format!("crl/l2-{}.crl", line.identity().product().to_lowercase())),
            Authority::ManifestCa(NvidiaArchitecture::Blackwell) => Some("crl-corim/l1-corim.crl".to_owned()),
            Authority::ManifestCa(_) => Some("crl-corim/l1-corim".to_owned()),
            Authority::ManifestIntermediate(NvidiaArchitecture::Blackwell) => Some("crl-corim/l2-gb100.crl".to_owned()),
            _ => None,
        }
    }
}
