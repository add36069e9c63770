//! A manifest's signature, and the certificates in it: signer, two authorities, root.
//! Everything is set out before anything is signed, so that a fault can change one thing.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha384};

use super::{
    architecture::NvidiaArchitecture,
    authority::{Authority, AuthorityCertificate},
    canonical::{self, CANONICALIZATION, DIGEST_METHOD, ENVELOPED, SIGNATURE_METHOD, SIGNATURE_NAMESPACE},
    firmware::{BiosVersion, Board},
    layout::ManifestKind,
    manifest::{Manifest, NvidiaManifest},
    ocsp::Question,
};
use crate::{
    certificate::{Validity, pem_chain},
    der::Der,
    error::SimulationError,
    keys::{Issuer, elliptic::EllipticKey},
};

/// Which manifest: of what, in which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManifestOf {
    pub(crate) architecture: NvidiaArchitecture,
    pub(crate) version: Version,
}

/// The version of a driver or of a BIOS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Driver(String),
    Bios(BiosVersion),
}

/// The keys above and of a manifest.
pub(crate) struct ManifestAuthorities {
    pub(crate) root: EllipticKey,
    pub(crate) ca: EllipticKey,
    pub(crate) intermediate: EllipticKey,
    pub(crate) signer: EllipticKey,
}

/// What is about to be signed, and with which keys.
pub(crate) struct ManifestIssuance<'a> {
    pub(crate) id: String,
    pub(crate) manifest: Manifest,
    pub(crate) signing_key: &'a EllipticKey,
    pub(crate) signer: AuthorityCertificate<'a>,
    pub(crate) signer_issuer: &'a dyn Issuer,
    pub(crate) intermediate: AuthorityCertificate<'a>,
    pub(crate) intermediate_issuer: &'a dyn Issuer,
    pub(crate) ca: AuthorityCertificate<'a>,
    pub(crate) ca_issuer: &'a dyn Issuer,
    pub(crate) root: Der,
}

impl ManifestOf {
    pub(crate) fn kind(&self) -> ManifestKind {
        match self.version {
            Version::Driver(_) => ManifestKind::Driver,
            Version::Bios(_) => ManifestKind::Bios,
        }
    }

    /// The name under which NVIDIA's service has it.
    pub(crate) fn id(&self) -> String {
        let Board { chip_sku, project, project_sku, .. } = Board::of(self.architecture);
        match (&self.version, self.architecture) {
            (Version::Driver(version), NvidiaArchitecture::Blackwell) => {
                format!("NV_GPU_CC_DRIVER_{}_{version}", self.architecture.product())
            }
            (Version::Driver(version), _) => {
                format!("NV_GPU_DRIVER_{}_{version}", self.architecture.product())
            }
            (Version::Bios(version), architecture) => {
                let what = if architecture.is_switch() { "SWITCH_BIOS" } else { "GPU_VBIOS" };
                format!("NV_{what}_{project}_{project_sku}_{chip_sku}_{}", version.without_dots())
            }
        }
    }

    /// What it says.
    pub(crate) fn content(&self) -> Manifest {
        let version = match &self.version {
            Version::Driver(version) => version.clone(),
            Version::Bios(version) => version.to_string(),
        };
        Manifest::sound(self.architecture, self.kind(), &version)
    }

    /// Who signs it.
    pub(crate) fn signer(&self) -> Authority {
        Authority::ManifestSigner(self.architecture, self.kind())
    }
}

impl ManifestAuthorities {
    pub(crate) fn of(wanted: &ManifestOf, seed: &[u8; 32]) -> Result<Self, SimulationError> {
        Ok(Self {
            root: Authority::ManifestRoot.key(seed)?,
            ca: Authority::ManifestCa(wanted.architecture).key(seed)?,
            intermediate: Authority::ManifestIntermediate(wanted.architecture).key(seed)?,
            signer: wanted.signer().key(seed)?,
        })
    }
}

impl<'a> ManifestIssuance<'a> {
    /// With nothing wrong in it.
    pub(crate) fn sound(wanted: &ManifestOf, keys: &'a ManifestAuthorities, root: Der, validity: Validity) -> Self {
        let architecture = wanted.architecture;
        let certificate = |authority, key| AuthorityCertificate::new(authority, key, validity);
        Self {
            id: wanted.id(),
            manifest: wanted.content(),
            signing_key: &keys.signer,
            signer: certificate(wanted.signer(), &keys.signer),
            signer_issuer: &keys.intermediate,
            intermediate: certificate(Authority::ManifestIntermediate(architecture), &keys.intermediate),
            intermediate_issuer: &keys.ca,
            ca: certificate(Authority::ManifestCa(architecture), &keys.ca),
            ca_issuer: &keys.root,
            root,
        }
    }

    /// The signed document.
    pub(crate) fn issue(&self) -> Result<NvidiaManifest, SimulationError> {
        let certificates = [
            self.signer.sign(self.signer_issuer)?,
            self.intermediate.sign(self.intermediate_issuer)?,
            self.ca.sign(self.ca_issuer)?,
            self.root.clone(),
        ];
        let digest = STANDARD.encode(Sha384::digest(canonical::manifest(&self.manifest)));
        let signed_info = canonical::signed_info(&digest);
        let value = STANDARD.encode(self.signing_key.sign_fixed(signed_info.as_bytes())?);
        let signature = signature_element(&digest, &value, &certificates)?;
        Ok(NvidiaManifest { id: self.id.clone(), xml: self.manifest.document(&signature) })
    }

    /// What a verifier asks about revocation: of all but the root.
    pub(crate) fn questions(&self) -> Vec<Question> {
        let question = |certificate: &AuthorityCertificate<'_>| Question {
            issuer: certificate.issuer,
            serial: certificate.authority.serial(certificate.key),
        };
        vec![question(&self.signer), question(&self.intermediate), question(&self.ca)]
    }
}

/// The element, on one line but for the certificates.
pub(crate) fn signature_element(digest: &str, value: &str, certificates: &[Der]) -> Result<String, SimulationError> {
    let mut encoded = String::new();
    for certificate in certificates {
        encoded += &format!("<ds:X509Certificate>{}</ds:X509Certificate>", wrapped(certificate)?);
    }
    Ok(format!(
        "<ds:Signature xmlns:ds=\"{SIGNATURE_NAMESPACE}\"><ds:SignedInfo>\
         <ds:CanonicalizationMethod Algorithm=\"{CANONICALIZATION}\"/>\
         <ds:SignatureMethod Algorithm=\"{SIGNATURE_METHOD}\"/><ds:Reference URI=\"\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{ENVELOPED}\"/><ds:Transform Algorithm=\"{CANONICALIZATION}\"/></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{DIGEST_METHOD}\"/><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>\
         </ds:SignedInfo><ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>{encoded}\
         </ds:X509Data></ds:KeyInfo></ds:Signature>"
    ))
}

/// Base64 in lines of 64 with a line break behind each: PEM without its first and last line.
fn wrapped(certificate: &[u8]) -> Result<String, SimulationError> {
    let pem = pem_chain(&[certificate])?;
    let inner = pem.split_once('\n').and_then(|(_, rest)| rest.split_once("-----END"));
    Ok(inner.map(|(lines, _)| lines.to_owned()).unwrap_or_default())
}
