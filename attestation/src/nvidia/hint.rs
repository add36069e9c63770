//! What devices and manifests say of themselves before anything is verified: it helps to find what vouches for them,
//! and decides nothing. Whoever wrote the evidence chose it: what comes of it has limits in number and in length,
//! and an address from a certificate is a name to look up, never one to go to.

use crate::der::{Reader, tag};
use crate::endorsements::Endorsements;
use crate::nvidia::authenticate::{given_chain, labels};
use crate::nvidia::chain::CHAIN_LEN;
use crate::nvidia::chip::Chip;
use crate::nvidia::evidence::{Device, DeviceEvidence};
use crate::x509::{Certificate, OcspRequest, oid};

/// Certificates of a manifest that are asked for: NVIDIA's have three below the root.
const MAX_OF_MANIFEST: usize = 3;
/// Characters of a manifest's name; the longest known has 45.
const MAX_MANIFEST_ID: usize = 96;
/// Characters of the address of a revocation list.
const MAX_ADDRESS: usize = 128;

/// What one device needs, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceHint {
    /// What checks call it: `"GPU 0"`, `"switch 2"`.
    pub label: String,
    /// The name under which NVIDIA publishes the manifest of its driver; letters, digits, `.` and `_` only.
    pub driver_manifest_id: Option<String>,
    /// The same of its firmware.
    pub vbios_manifest_id: Option<String>,
    /// Its certificates whose revocation counts: not the first, which no responder knows, and not the root.
    pub certificates: Vec<StatusHint>,
}

/// A certificate whose revocation counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusHint {
    /// Its common name, as it may be shown.
    pub subject: String,
    /// The question for its authority's OCSP responder.
    pub request: OcspRequest,
    /// The first address that it names for its authority's revocation list, printable ASCII.
    pub revocation_list: Option<String>,
}

impl DeviceEvidence {
    /// What each device needs, in order: by its report, and by the certificates that came with it or are in `bag`.
    /// Of a device without five certificates of one family nothing is known but its label. Nothing is verified.
    pub fn hints(&self, bag: &Endorsements) -> Vec<DeviceHint> {
        self.devices().iter().zip(labels(self)).map(|(device, label)| hint(device, label, bag)).collect()
    }
}

impl Endorsements {
    /// The certificates of the manifests in the bag whose revocation counts: all but each one's root, each once.
    /// Nothing is verified.
    pub fn manifest_hints(&self) -> Vec<StatusHint> {
        let mut hints: Vec<StatusHint> = Vec::new();
        for manifest in self.manifests() {
            for hint in statuses(manifest.certificates()).take(MAX_OF_MANIFEST) {
                // Manifests share authorities.
                if !hints.iter().any(|known| known.request == hint.request) {
                    hints.push(hint);
                }
            }
        }
        hints
    }
}

fn hint(device: &Device, label: String, bag: &Endorsements) -> DeviceHint {
    let chain = given_chain(bag, device).map(Vec::as_slice).unwrap_or_default();
    let chip = match chain {
        [leaf, device, provisioner, family, _root] => Chip::of_chain([leaf, device, provisioner, family]).ok(),
        _ => None,
    };
    let Some(chip) = chip else {
        return DeviceHint { label, driver_manifest_id: None, vbios_manifest_id: None, certificates: Vec::new() };
    };
    DeviceHint {
        label,
        driver_manifest_id: device.report.driver_manifest_id(chip).filter(|id| is_manifest_id(id)),
        vbios_manifest_id: device.report.vbios_manifest_id(chip).filter(|id| is_manifest_id(id)),
        certificates: statuses(chain.get(1..).unwrap_or_default()).take(CHAIN_LEN).collect(),
    }
}

/// Of each certificate in a row but the last, with the next as its issuer.
fn statuses(chain: &[Certificate]) -> impl Iterator<Item = StatusHint> + '_ {
    chain.iter().zip(chain.iter().skip(1)).filter_map(|(certificate, issuer)| {
        Some(StatusHint {
            subject: certificate.subject.shown(),
            request: OcspRequest::about(certificate, issuer)?,
            revocation_list: revocation_list(certificate),
        })
    })
}

/// Whether this may be the name of a manifest. A device could report any text as its version.
fn is_manifest_id(id: &str) -> bool {
    id.len() <= MAX_MANIFEST_ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
}

/// The first URI in the certificate's distribution points (RFC 5280 4.2.1.13): DistributionPoint, [0]
/// distributionPoint, [0] fullName, [6] uniformResourceIdentifier.
fn revocation_list(certificate: &Certificate) -> Option<String> {
    /// IMPLICIT IA5String.
    const URI: u8 = 0x86;
    let extension = certificate.extension(oid::CRL_DISTRIBUTION_POINTS)?;
    let mut point = Reader::new(&extension.value).sequence().ok()?.sequence().ok()?;
    let mut name = point.expect(tag::context(0)).ok()?.reader();
    let mut names = name.expect(tag::context(0)).ok()?.reader();
    let uri = std::str::from_utf8(names.expect(URI).ok()?.value).ok()?;
    let is_shown = uri.len() <= MAX_ADDRESS && uri.bytes().all(|byte| byte.is_ascii_graphic());
    is_shown.then(|| uri.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artefacts::Artefacts;

    const REPORT: &[u8] = include_bytes!("../../../tests/vectors/nvidia/001-h100/report.bin");
    const CHAIN: &[u8] = include_bytes!("../../../tests/vectors/nvidia/001-h100/chain.pem");

    fn hints(files: &[&[u8]]) -> Vec<DeviceHint> {
        let mut artefacts = Artefacts::default();
        for file in files {
            artefacts.add(file).unwrap();
        }
        let submission = artefacts.into_submission().unwrap();
        submission.devices.hints(&submission.endorsements)
    }

    #[test]
    fn a_device_names_its_manifests_and_its_certificates() {
        let [device] = &hints(&[REPORT, CHAIN])[..] else { panic!("one device") };
        assert_eq!(device.label, "GPU 0");
        assert_eq!(device.driver_manifest_id.as_deref(), Some("NV_GPU_DRIVER_GH100_550.90.07"));
        assert_eq!(device.vbios_manifest_id.as_deref(), Some("NV_GPU_VBIOS_1010_0200_882_96009F0001"));
        let shown: Vec<_> = device
            .certificates
            .iter()
            .map(|hint| (hint.subject.as_str(), hex::encode(hint.request.serial()), hint.revocation_list.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                ("GH100 A01 GSP BROM", "41431d480fe5e87274".to_owned(), None),
                (
                    "NVIDIA GH100 Provisioner ICA 1",
                    "6afe7184f92232c8df7b242261776e56".to_owned(),
                    Some("http://crl.ndis.nvidia.com/crl/l2-gh100.crl")
                ),
                (
                    "NVIDIA GH100 Identity",
                    "4c255ede3bd001bf3f4a3b605fca898a".to_owned(),
                    Some("http://crl.ndis.nvidia.com/crl/l1-root.crl")
                ),
            ]
        );
        // As NVIDIA's responder names the issuer of the last (tests/vectors/nvidia-ocsp).
        let request = &device.certificates[2].request;
        assert!(request.issuer_name_hash().to_string().starts_with("4136e1670d50cca9ec47097e7aedbf9e"));
        assert!(request.issuer_key_hash().to_string().starts_with("caf2995c609f0c5f443308d6c9b5ca90"));
    }

    #[test]
    fn without_certificates_nothing_is_known() {
        let [device] = &hints(&[REPORT])[..] else { panic!("one device") };
        assert_eq!((device.driver_manifest_id.as_deref(), device.certificates.len()), (None, 0));
        assert_eq!(Endorsements::default().manifest_hints(), []);
    }

    #[test]
    fn names_that_could_lead_elsewhere_are_none() {
        assert!(is_manifest_id("NV_GPU_DRIVER_GH100_550.90.07"));
        for wrong in ["NV/../x", "NV 1", "NV%2F", "NV\u{e9}", &"N".repeat(97)] {
            assert!(!is_manifest_id(wrong), "{wrong}");
        }
    }
}
