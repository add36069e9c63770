//! Captured evidence under a folder, told apart by content, with the endorsements that fit it and a
//! moment at which they do.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use dcap_qvl::QuoteCollateralV3;
use serde_json::Value;
use serde_json::value::RawValue;
use strongroom_attestation::{ArtefactKind, Artefacts, SnpReport, TdxQuote, UnixTime, describe};

use crate::ours;

/// An SNP report and one certificate of its signing key.
#[derive(Clone)]
pub struct SnpSample {
    pub name: String,
    pub report: Vec<u8>,
    /// DER.
    pub certificate: Vec<u8>,
    pub now: UnixTime,
}

/// A TDX quote, with complete collateral or none.
#[derive(Clone)]
pub struct TdxSample {
    pub name: String,
    pub quote: Vec<u8>,
    pub collateral: Option<QuoteCollateralV3>,
    pub now: UnixTime,
}

/// Files of an Azure machine with a vTPM's quote.
#[derive(Clone)]
pub struct AzureSample {
    pub name: String,
    pub artefacts: Vec<Vec<u8>>,
    pub now: UnixTime,
}

/// All of it.
#[derive(Default)]
pub struct Samples {
    pub snp: Vec<SnpSample>,
    pub tdx: Vec<TdxSample>,
    pub azure: Vec<AzureSample>,
    parts: Parts,
}

/// Intel's collateral in pieces, from the whole folder.
#[derive(Default)]
struct Parts {
    complete: Vec<QuoteCollateralV3>,
    /// Inner object, signature in hexadecimal.
    signed: Vec<(String, String)>,
    lists: Vec<Vec<u8>>,
}

/// Moments that are tried, because evidence without collateral does not say when it was valid.
const MOMENTS: [u64; 7] =
    [1_750_000_000, 1_760_000_000, 1_773_000_000, 1_720_000_000, 1_690_000_000, 1_735_000_000, 1_785_000_000];

const ANCHORS: [(&str, &[u8]); 5] = [
    ("root", include_bytes!("../../../attestation/anchors/intel/root.der")),
    ("platform", include_bytes!("../../../attestation/anchors/intel/pck-platform.der")),
    ("processor", include_bytes!("../../../attestation/anchors/intel/pck-processor.der")),
    ("signer-2018", include_bytes!("../../../attestation/anchors/intel/tcb-signing-2018.der")),
    ("signer-2025", include_bytes!("../../../attestation/anchors/intel/tcb-signing-2025.der")),
];

impl Samples {
    /// Reads everything under `folder`.
    pub fn read(folder: &Path) -> Result<Samples, Box<dyn Error>> {
        let mut samples = Samples::default();
        samples.folder(folder)?;
        samples.complete_quotes();
        Ok(samples)
    }

    fn folder(&mut self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let mut paths =
            fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
        paths.sort();
        let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| path.is_dir());
        let mut contents = Vec::new();
        for file in files {
            contents.push((name(&file), fs::read(&file)?));
        }
        self.machine(&contents);
        folders.iter().try_for_each(|folder| self.folder(folder))
    }

    /// The files of one folder: of one machine.
    fn machine(&mut self, files: &[(String, Vec<u8>)]) {
        let certificates: Vec<&Vec<u8>> = files.iter().map(|(_, bytes)| bytes).filter(|bytes| is_vek(bytes)).collect();
        for (name, bytes) in files {
            if bytes.len() == 1184 && SnpReport::parse(bytes).is_ok() {
                for certificate in &certificates {
                    self.add_snp(name, bytes, certificate);
                }
            } else if TdxQuote::parse(bytes).is_ok() {
                let (name, quote) = (name.clone(), bytes.clone());
                let now = ours::a_moment(&MOMENTS, |now| ours::tdx(&quote, None, now).authentic);
                self.tdx.push(TdxSample { name, quote, collateral: None, now });
            } else if let Ok(collateral) = serde_json::from_slice::<QuoteCollateralV3>(bytes) {
                self.parts.complete.push(collateral);
            } else if let Some(signed) = signed(bytes) {
                self.parts.signed.push(signed);
            } else if list_issuer(bytes).is_some() {
                self.parts.lists.push(bytes.clone());
            }
        }
        self.add_azure(files);
    }

    fn add_snp(&mut self, name: &str, report: &[u8], certificate: &[u8]) {
        let now = ours::a_moment(&MOMENTS, |now| ours::snp(report, certificate, now).authentic);
        let sample =
            SnpSample { name: name.to_owned(), report: report.to_vec(), certificate: certificate.to_vec(), now };
        self.snp.push(sample);
    }

    fn add_azure(&mut self, files: &[(String, Vec<u8>)]) {
        let mut kinds = Artefacts::default();
        let Some((name, evidence)) = files.iter().find(|(_, bytes)| {
            matches!(kinds.add(bytes), Ok(ArtefactKind::EvidenceJson)) && ours::is_azure_with_quote(bytes)
        }) else {
            return;
        };
        let artefacts = vec![evidence.clone()];
        let now = ours::a_moment(&MOMENTS, |now| ours::azure(&artefacts, now).authentic);
        self.azure.push(AzureSample { name: name.clone(), artefacts, now });
    }

    /// Gives each quote every collateral that is for its platform: as files have it, and put together
    /// from pieces whose dates overlap.
    fn complete_quotes(&mut self) {
        let mut complete = Vec::new();
        for quote in &self.tdx {
            let Some((fmspc, ca)) = platform(&quote.quote) else { continue };
            let mut collaterals: Vec<QuoteCollateralV3> = self.parts.complete.clone();
            collaterals.extend(self.parts.assembled(&fmspc, &ca));
            for collateral in collaterals {
                if is_for(&collateral, &fmspc)
                    && let Some(now) = moment(&collateral)
                {
                    let name = format!("{} at {now}", quote.name);
                    complete.push(TdxSample { name, quote: quote.quote.clone(), collateral: Some(collateral), now });
                }
            }
        }
        self.tdx.extend(complete);
    }
}

impl Parts {
    fn assembled(&self, fmspc: &str, ca: &str) -> Vec<QuoteCollateralV3> {
        let mut collaterals = Vec::new();
        let of = |field: &'static str| self.signed.iter().filter(move |(inner, _)| inner.contains(field));
        for (tcb_info, tcb_signature) in of("\"tcbLevels\"").filter(|(inner, _)| inner.contains("\"fmspc\"")) {
            for (identity, identity_signature) in of("\"mrsigner\"").filter(|(inner, _)| !inner.contains("\"fmspc\"")) {
                for root_list in self.lists.iter().filter(|list| issued_by(list, "Root CA")) {
                    for list in self.lists.iter().filter(|list| issued_by(list, ca)) {
                        let collateral = QuoteCollateralV3 {
                            pck_crl_issuer_chain: chain(&[&ca.to_lowercase(), "root"]),
                            root_ca_crl: root_list.clone(),
                            pck_crl: list.clone(),
                            tcb_info_issuer_chain: chain(&[signer(tcb_info), "root"]),
                            tcb_info: tcb_info.clone(),
                            tcb_info_signature: hex::decode(tcb_signature).unwrap_or_default(),
                            qe_identity_issuer_chain: chain(&[signer(identity), "root"]),
                            qe_identity: identity.clone(),
                            qe_identity_signature: hex::decode(identity_signature).unwrap_or_default(),
                            pck_certificate_chain: None,
                        };
                        if is_for(&collateral, fmspc) && moment(&collateral).is_some() {
                            collaterals.push(collateral);
                        }
                    }
                }
            }
        }
        collaterals
    }
}

fn name(path: &Path) -> String {
    let parts: Vec<_> = path.components().rev().take(2).map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

fn first<'a>(account: &'a Value, list: &str) -> Option<&'a Value> {
    account.get("endorsements")?.get(list)?.as_array()?.first()
}

/// DER of a VCEK or VLEK certificate.
fn is_vek(bytes: &[u8]) -> bool {
    let subject = |account: &Value| Some(first(account, "certificates")?.get("subject")?.as_str()?.to_owned());
    bytes.starts_with(&[0x30])
        && describe(bytes).is_ok_and(|account| subject(&account).is_some_and(|name| name.starts_with("SEV-V")))
}

fn list_issuer(bytes: &[u8]) -> Option<(String, String, String)> {
    let account = describe(bytes).ok().filter(|_| bytes.starts_with(&[0x30]))?;
    let list = first(&account, "revocation_lists")?;
    let text = |field: &str| Some(list.get(field)?.as_str()?.to_owned());
    Some((text("issuer")?, text("this_update")?, text("next_update")?))
}

fn issued_by(list: &[u8], name: &str) -> bool {
    list_issuer(list).is_some_and(|(issuer, ..)| issuer.contains("SGX") && issuer.contains(name))
}

/// FMSPC, and "Platform" or "Processor".
fn platform(quote: &[u8]) -> Option<(String, String)> {
    let account = describe(quote).ok()?;
    let quote = account.get("tdx_quote")?;
    let fmspc = quote.get("pck")?.get("fmspc")?.as_str()?.to_lowercase();
    let issuer = quote.get("certificates")?.get(0)?.get("issuer")?.as_str()?;
    let ca = if issuer.contains("Platform") { "Platform" } else { "Processor" };
    Some((fmspc, ca.to_owned()))
}

/// The inner object byte for byte, and its signature.
fn signed(bytes: &[u8]) -> Option<(String, String)> {
    let file: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_slice(bytes).ok()?;
    let inner = file.get("tcbInfo").or(file.get("enclaveIdentity"))?;
    let signature: String = serde_json::from_str(file.get("signature")?.get()).ok()?;
    Some((inner.get().to_owned(), signature))
}

fn is_for(collateral: &QuoteCollateralV3, fmspc: &str) -> bool {
    let info: Value = serde_json::from_str(&collateral.tcb_info).unwrap_or_default();
    info.get("fmspc").and_then(Value::as_str).is_some_and(|found| found.to_lowercase() == fmspc)
}

/// An hour into the time in which all of it is valid.
fn moment(collateral: &QuoteCollateralV3) -> Option<UnixTime> {
    let mut begin = 0;
    let mut end = u64::MAX;
    let mut window = |from: &str, to: &str| {
        begin = begin.max(UnixTime::parse_rfc3339(from)?.as_secs());
        end = end.min(UnixTime::parse_rfc3339(to)?.as_secs());
        Some(())
    };
    for inner in [&collateral.tcb_info, &collateral.qe_identity] {
        let object: Value = serde_json::from_str(inner).ok()?;
        window(object.get("issueDate")?.as_str()?, object.get("nextUpdate")?.as_str()?)?;
    }
    for list in [&collateral.root_ca_crl, &collateral.pck_crl] {
        let (_, from, to) = list_issuer(list)?;
        window(&from, &to)?;
    }
    (begin + 3600 < end).then(|| UnixTime::from_secs(begin + 3600))
}

/// Intel certified the signer's key again on 2025-05-06.
fn signer(inner: &str) -> &'static str {
    let object: Value = serde_json::from_str(inner).unwrap_or_default();
    let issued = object.get("issueDate").and_then(Value::as_str).unwrap_or_default();
    if issued < "2025-05-07" { "signer-2018" } else { "signer-2025" }
}

fn chain(names: &[&str]) -> String {
    let der = |name: &&str| ANCHORS.iter().find(|(known, _)| known == name).map_or(&[][..], |(_, der)| der);
    names.iter().map(|name| ours::pem(der(name))).collect()
}
