//! Where each want is fetched: the vendors' public services, a local PCCS, or mirrors of either.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use strongroom_attestation::Product;

use crate::error::MirrorError;
use crate::nvidia;
use crate::want::{Evaluation, KeyKind, Vcek, Want};

/// AMD's key distribution service.
const AMD: &str = "https://kdsintf.amd.com";
/// Intel's provisioning certification service.
const INTEL: &str = "https://api.trustedservices.intel.com";
/// Where Intel publishes its root's revocation list; caching services have it beside the rest.
const INTEL_CERTIFICATES: &str = "https://certificates.trustedservices.intel.com";
/// NVIDIA's service of manifests.
const NVIDIA_RIM: &str = "https://rim.attestation.nvidia.com";
/// NVIDIA's OCSP responder. What it says is signed; it listens to plain http only.
const NVIDIA_OCSP: &str = "http://ocsp.ndis.nvidia.com";
/// Where NVIDIA publishes its revocation lists, likewise.
const NVIDIA_CRL: &str = "http://crl.ndis.nvidia.com";
/// AMD answers about one VCEK in ten seconds to one address, and 429 to what comes faster. Two at once are let
/// through, so that a second candidate product need not wait.
const AMD_PACE: Pace = Pace { interval: Duration::from_secs(10), burst: 2 };

/// The services to ask, in order.
#[derive(Clone, Debug)]
pub struct Mirrors {
    /// For AMD's items.
    pub amd: Vec<Mirror>,
    /// For Intel's items.
    pub intel: Vec<Mirror>,
    /// For NVIDIA's manifests.
    pub nvidia_rim: Vec<Mirror>,
    /// For the status of NVIDIA's certificates.
    pub nvidia_ocsp: Vec<Mirror>,
    /// For NVIDIA's revocation lists.
    pub nvidia_crl: Vec<Mirror>,
    /// Folders with NVIDIA's manifests, `<ID>.xml` or `<ID>.swidtag`. They are asked before the cache and before any
    /// service, and also where fetching is off: what their owner put there is what counts.
    pub nvidia_rim_stores: Vec<PathBuf>,
}

impl Default for Mirrors {
    /// The vendors' public services.
    fn default() -> Mirrors {
        // Constants: a test holds that they are addresses.
        let public = |base: &str| Mirror::new(base).into_iter().collect();
        Mirrors {
            amd: public(AMD),
            intel: public(INTEL),
            nvidia_rim: public(NVIDIA_RIM),
            nvidia_ocsp: public(NVIDIA_OCSP),
            nvidia_crl: public(NVIDIA_CRL),
            nvidia_rim_stores: Vec::new(),
        }
    }
}

impl Mirrors {
    /// These services for everything, and no folder: a mirror that has the paths of all vendors.
    pub fn all(mirrors: Vec<Mirror>) -> Mirrors {
        Mirrors {
            amd: mirrors.clone(),
            intel: mirrors.clone(),
            nvidia_rim: mirrors.clone(),
            nvidia_ocsp: mirrors.clone(),
            nvidia_crl: mirrors,
            nvidia_rim_stores: Vec::new(),
        }
    }

    pub(crate) fn for_want(&self, want: &Want) -> &[Mirror] {
        match want {
            Want::AmdVcek(_) | Want::AmdChain { .. } | Want::AmdCrl { .. } => &self.amd,
            Want::IntelTcbInfo { .. }
            | Want::IntelQeIdentity { .. }
            | Want::IntelPckCrl { .. }
            | Want::IntelRootCrl => &self.intel,
            Want::NvidiaManifest { .. } => &self.nvidia_rim,
            Want::NvidiaStatus { .. } => &self.nvidia_ocsp,
            Want::NvidiaCrl { .. } => &self.nvidia_crl,
        }
    }
}

/// One service: the vendor's, or one with the same paths under some base address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    base: Url,
    pub(crate) pace: Option<Pace>,
}

/// How often one service may be asked for a VCEK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// One request in this time, on average.
    pub interval: Duration,
    /// This many at once, at least one.
    pub burst: u32,
}

impl Mirror {
    /// A service at `base`, such as `https://pccs.example:8081` or `http://10.0.0.7/mirror`. Plain `http` is as good:
    /// what comes is signed by the vendor and believed by nobody here. AMD's own address has AMD's pace, others none.
    ///
    /// # Errors
    /// An address with a user, a query or a fragment, of another scheme, or none at all.
    pub fn new(base: &str) -> Result<Mirror, MirrorError> {
        let refused = |text: &str| MirrorError { text: text.to_owned() };
        let mut url = Url::parse(base).map_err(|_| refused(if base.contains('@') { "(with a user)" } else { base }))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("(with a user)"));
        }
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if !is_web || url.query().is_some() || url.fragment().is_some() {
            return Err(refused(base));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let pace = (url.host_str() == host_of(AMD).as_deref()).then_some(AMD_PACE);
        Ok(Mirror { base: url, pace })
    }

    /// The same with a pace; `None` for a service of one's own.
    #[must_use]
    pub fn with_pace(mut self, pace: Option<Pace>) -> Mirror {
        self.pace = pace;
        self
    }

    /// Host and port, by which services share a pace and a backoff.
    pub fn name(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The address of `want` at this service.
    pub(crate) fn address(&self, want: &Want) -> Url {
        let is_intel = self.base.host_str() == host_of(INTEL).as_deref();
        let (path, query) = match want {
            // The one item that Intel serves elsewhere.
            Want::IntelRootCrl if is_intel => {
                let base = Url::parse(INTEL_CERTIFICATES).unwrap_or_else(|_| self.base.clone());
                return joined(&base, "/IntelSGXRootCA.der", None);
            }
            want => path_and_query(want),
        };
        joined(&self.base, &path, query.as_deref())
    }
}

fn host_of(base: &str) -> Option<String> {
    Url::parse(base).ok().and_then(|url| url.host_str().map(str::to_owned))
}

fn joined(base: &Url, path: &str, query: Option<&str>) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

/// Paths of AMD's KDS (57230), of Intel's PCS and PCCS, version 4, and of NVIDIA's services.
fn path_and_query(want: &Want) -> (String, Option<String>) {
    match want {
        Want::AmdVcek(vcek) => vcek_path(vcek),
        Want::AmdChain { product, kind } => (format!("/{kind}/v1/{product}/cert_chain"), None),
        Want::AmdCrl { product } => (crl_path(*product), None),
        Want::IntelTcbInfo { fmspc, evaluation } => {
            let query = match update(*evaluation) {
                Some(update) => format!("fmspc={fmspc}&{update}"),
                None => format!("fmspc={fmspc}"),
            };
            ("/tdx/certification/v4/tcb".to_owned(), Some(query))
        }
        Want::IntelQeIdentity { evaluation } => ("/tdx/certification/v4/qe/identity".to_owned(), update(*evaluation)),
        Want::IntelPckCrl { ca } => ("/sgx/certification/v4/pckcrl".to_owned(), Some(format!("ca={ca}&encoding=der"))),
        Want::IntelRootCrl => ("/sgx/certification/v4/rootcacrl".to_owned(), None),
        Want::NvidiaManifest { id } => (format!("/v1/rim/{id}"), None),
        Want::NvidiaStatus { request } => (nvidia::status_path(request), None),
        Want::NvidiaCrl { list } => (list.path(), None),
    }
}

fn vcek_path(vcek: &Vcek) -> (String, Option<String>) {
    let (product, tcb) = (vcek.product(), vcek.tcb());
    let fmc = tcb.fmc.map_or_else(String::new, |fmc| format!("fmcSPL={fmc:02}&"));
    let query = format!(
        "{fmc}blSPL={:02}&teeSPL={:02}&snpSPL={:02}&ucodeSPL={:02}",
        tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode
    );
    (format!("/{}/v1/{product}/{}", KeyKind::Vcek, hex::encode(vcek.hwid())), Some(query))
}

/// One list a product line: ASK and ASVK are both on it.
fn crl_path(product: Product) -> String {
    format!("/{}/v1/{product}/crl", KeyKind::Vcek)
}

fn update(evaluation: Evaluation) -> Option<String> {
    match evaluation {
        Evaluation::Standard => None,
        Evaluation::Early => Some("update=early".to_owned()),
        Evaluation::Number(number) => Some(format!("tcbEvaluationDataNumber={number}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(base: &str, want: &str) -> String {
        Mirror::new(base).unwrap().address(&want.parse().unwrap()).to_string()
    }

    #[test]
    fn each_want_has_the_vendors_path() {
        let chip = "ab".repeat(64);
        for (want, wanted) in [
            (
                format!("amd/vcek/Genoa/{chip}/0a00000000001954"),
                format!("{AMD}/vcek/v1/Genoa/{chip}?blSPL=10&teeSPL=00&snpSPL=25&ucodeSPL=84"),
            ),
            (
                "amd/vcek/Milan/CHIP/04000000000018db".replace("CHIP", &chip),
                format!("{AMD}/vcek/v1/Milan/{chip}?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219"),
            ),
            // Turin: the FMC first, and eight bytes of hardware id.
            (
                "amd/vcek/Turin/abababababababab/0001000200000047".to_owned(),
                format!("{AMD}/vcek/v1/Turin/abababababababab?fmcSPL=00&blSPL=01&teeSPL=00&snpSPL=02&ucodeSPL=71"),
            ),
            ("amd/chain/Milan/vlek".to_owned(), format!("{AMD}/vlek/v1/Milan/cert_chain")),
            ("amd/crl/Turin".to_owned(), format!("{AMD}/vcek/v1/Turin/crl")),
        ] {
            assert_eq!(address(AMD, &want), wanted, "{want}");
        }
        for (want, wanted) in [
            ("intel/tdx-tcb-info/90c06f000000/standard", "/tdx/certification/v4/tcb?fmspc=90c06f000000"),
            ("intel/tdx-tcb-info/90c06f000000/early", "/tdx/certification/v4/tcb?fmspc=90c06f000000&update=early"),
            ("intel/td-qe-identity/18", "/tdx/certification/v4/qe/identity?tcbEvaluationDataNumber=18"),
            ("intel/pck-crl/platform", "/sgx/certification/v4/pckcrl?ca=platform&encoding=der"),
        ] {
            assert_eq!(address(INTEL, want), format!("{INTEL}{wanted}"), "{want}");
        }
    }

    #[test]
    fn each_of_nvidias_services_has_its_path() {
        let manifest = address(NVIDIA_RIM, "nvidia/rim/NV_GPU_DRIVER_GH100_550.90.07");
        assert_eq!(manifest, "https://rim.attestation.nvidia.com/v1/rim/NV_GPU_DRIVER_GH100_550.90.07");
        let list = address("http://m/nvidia/", "nvidia/crl/corim-l2-gb100");
        assert_eq!(list, "http://m/nvidia/crl-corim/l2-gb100.crl");
        // RFC 6960 A.1: base64, and nothing in it that a path would take for its own.
        let text = format!("nvidia/ocsp/{}/{}/ff", "fb".repeat(48), "ff".repeat(48));
        let status = address(NVIDIA_OCSP, &text);
        let (_, request) = status.rsplit_once('/').unwrap();
        assert!(status.starts_with("http://ocsp.ndis.nvidia.com/MH"), "{status}");
        assert!(request.contains("%2B") && request.contains("%2F"), "{request}");
        assert!(!request.contains('+') && !request.contains('='), "{request}");
    }

    #[test]
    fn the_root_list_is_elsewhere_at_intel_and_beside_the_rest_in_a_cache() {
        assert_eq!(address(INTEL, "intel/root-crl"), format!("{INTEL_CERTIFICATES}/IntelSGXRootCA.der"));
        let cache = address("https://pccs.example:8081/", "intel/root-crl");
        assert_eq!(cache, "https://pccs.example:8081/sgx/certification/v4/rootcacrl");
        assert_eq!(address("http://m/amd/", "amd/crl/Genoa"), "http://m/amd/vcek/v1/Genoa/crl");
    }

    #[test]
    fn only_base_addresses_are_mirrors() {
        for bad in ["", "kdsintf.amd.com", "ftp://a", "https://a/?x", "https://a/#x", "file:///etc"] {
            assert!(Mirror::new(bad).is_err(), "{bad}");
        }
        let said = Mirror::new("https://user:secret@a/").unwrap_err().to_string();
        assert!(!said.contains("secret"), "{said}");
        let (amd, intel) = (Mirrors::default().amd, Mirrors::default().intel);
        assert_eq!((amd.len(), amd[0].pace), (1, Some(AMD_PACE)));
        assert_eq!((intel.len(), intel[0].pace), (1, None));
        let Mirrors { nvidia_rim, nvidia_ocsp, nvidia_crl, nvidia_rim_stores, .. } = Mirrors::default();
        assert_eq!([nvidia_rim.len(), nvidia_ocsp.len(), nvidia_crl.len(), nvidia_rim_stores.len()], [1, 1, 1, 0]);
    }
}
