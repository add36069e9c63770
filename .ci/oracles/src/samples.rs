//! Captured evidence under a folder, told apart by content, with the endorsements that fit it and a
//! moment at which they do. Each content counts once, however many files have it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use dcap_qvl::QuoteCollateralV3;
use serde_json::Value;
use strongroom_attestation::{ArtefactKind, Artefacts, SnpReport, TdxQuote, UnixTime, describe};

use crate::collateral::{Pieces, first, moment};
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
    pieces: Pieces,
}

/// Moments that are tried, because evidence without collateral does not say when it was valid.
const MOMENTS: [u64; 7] =
    [1_750_000_000, 1_760_000_000, 1_773_000_000, 1_720_000_000, 1_690_000_000, 1_735_000_000, 1_785_000_000];

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
        // What the simulated vendors signed hangs from a root that no other verifier knows.
        let simulated = |folder: &&PathBuf| name(folder).contains("simulated-");
        folders.iter().filter(|folder| !simulated(folder)).try_for_each(|folder| self.folder(folder))
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
                self.add_tdx(name, bytes);
            } else {
                self.pieces.add(bytes);
            }
        }
        self.add_azure(files);
    }

    fn add_snp(&mut self, name: &str, report: &[u8], certificate: &[u8]) {
        if self.snp.iter().any(|known| known.report == report && known.certificate == certificate) {
            return;
        }
        let now = ours::a_moment(&MOMENTS, |now| ours::snp(report, certificate, now).authentic);
        let sample =
            SnpSample { name: name.to_owned(), report: report.to_vec(), certificate: certificate.to_vec(), now };
        self.snp.push(sample);
    }

    fn add_tdx(&mut self, name: &str, quote: &[u8]) {
        if self.tdx.iter().any(|known| known.quote == quote) {
            return;
        }
        let now = ours::a_moment(&MOMENTS, |now| ours::tdx(quote, None, now).authentic);
        self.tdx.push(TdxSample { name: name.to_owned(), quote: quote.to_vec(), collateral: None, now });
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
            for collateral in self.pieces.for_platform(&fmspc, &ca) {
                if let Some(now) = moment(&collateral) {
                    let name = format!("{} at {now}", quote.name);
                    complete.push(TdxSample { name, quote: quote.quote.clone(), collateral: Some(collateral), now });
                }
            }
        }
        self.tdx.extend(complete);
    }
}

fn name(path: &Path) -> String {
    let parts: Vec<_> = path.components().rev().take(2).map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

/// DER of a VCEK or VLEK certificate.
fn is_vek(bytes: &[u8]) -> bool {
    let subject = |account: &Value| Some(first(account, "certificates")?.get("subject")?.as_str()?.to_owned());
    bytes.starts_with(&[0x30])
        && describe(bytes).is_ok_and(|account| subject(&account).is_some_and(|name| name.starts_with("SEV-V")))
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
