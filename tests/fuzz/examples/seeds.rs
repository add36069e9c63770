//! Makes the corpora from captured evidence: `seeds VECTORS CORPUS`. Every file under `VECTORS` goes
//! to the targets that its content is for; the files of one folder together are one seed of
//! `artefacts`. What is there already stays.

#[path = "seeds/encoder.rs"]
mod encoder;
#[path = "seeds/provenance.rs"]
mod provenance;
#[path = "seeds/sealed.rs"]
mod sealed;
#[path = "seeds/weights.rs"]
mod weights;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use strongroom_attestation::{ArtefactKind, Artefacts, Policy};
use strongroom_fuzz::targets::SEPARATOR;

/// Larger files are no seeds.
const MAX_LEN: u64 = 256 << 10;
/// A policy that sets what the built-in ones leave out.
const FULL_POLICY: &str = r#"
name = "all"
platforms = ["snp", "azure-tdx"]
host_data = ["0000000000000000000000000000000000000000000000000000000000000000"]
platform_identities = ["0102030405060708"]
[snp]
minimum_abi = "1.51"
vlek_csp_ids = ["CN=a"]
[snp.minimum_tcb.Turin]
fmc = 1
[tdx]
fmspcs = ["00806f050000"]
minimum_tcb_date = "2025-01-01T00:00:00Z"
[azure.pcrs]
4 = ["0000000000000000000000000000000000000000000000000000000000000000"]
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(vectors), Some(corpus)) = (arguments.next(), arguments.next()) else {
        return Err("usage: seeds VECTORS CORPUS".into());
    };
    let mut seeds = Seeds { corpus, written: 0 };
    seeds.folder(&vectors)?;
    for (name, text) in [("strict", Policy::strict().to_toml()), ("authentic", Policy::authentic().to_toml())] {
        seeds.write("policy", name, text.as_bytes())?;
    }
    seeds.write("policy", "full", FULL_POLICY.as_bytes())?;
    sealed::write(&vectors, |target, name, bytes| seeds.write(target, name, bytes))?;
    provenance::write(&vectors, |target, name, bytes| seeds.write(target, name, bytes))?;
    encoder::write(|target, name, bytes| seeds.write(target, name, bytes))?;
    weights::write(|target, name, bytes| seeds.write(target, name, bytes))?;
    println!("{} seeds", seeds.written);
    if seeds.written < 100 { Err("too few: is VECTORS a folder of evidence?".into()) } else { Ok(()) }
}

struct Seeds {
    corpus: PathBuf,
    written: usize,
}

impl Seeds {
    fn folder(&mut self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let mut paths =
            fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
        paths.sort();
        let mut together = Vec::new();
        for path in paths {
            if path.is_dir() {
                self.folder(&path)?;
            } else if path.metadata()?.len() <= MAX_LEN {
                let bytes = fs::read(&path)?;
                self.file(&path, &bytes)?;
                together.push(bytes);
            }
        }
        // A folder of one machine has a few files.
        if (2..=8).contains(&together.len()) {
            self.write("artefacts", &name(folder), &together.join(SEPARATOR))?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let name = name(path);
        if name.contains("ovmf") && extension == "bin" {
            return self.write("ovmf", &name, bytes);
        }
        if name.ends_with(".ocsp.der") {
            return self.write("ocsp", &name, bytes);
        }
        if extension == "onnx" {
            return self.write("onnx", &name, bytes);
        }
        if extension == "xml" {
            return self.write("manifest", &name, bytes);
        }
        if extension == "msg" {
            let signature = fs::read(path.with_extension("sig")).unwrap_or_default();
            self.write("tpm_quote", &name, &[bytes, &signature].join(SEPARATOR))?;
        }
        for inner in intel_objects(bytes) {
            self.write("signed_json", &name, inner.as_bytes())?;
        }
        let target = match Artefacts::default().add(bytes) {
            Ok(ArtefactKind::SnpReport) => "snp_report",
            Ok(ArtefactKind::SpdmReport) => "spdm_report",
            Ok(ArtefactKind::TdxQuote) => "tdx_quote",
            Ok(ArtefactKind::HclReport) => "hcl_report",
            Ok(ArtefactKind::EventLog) => "event_log",
            Ok(ArtefactKind::Endorsements) => "endorsements",
            _ => "artefacts",
        };
        self.write(target, &name, bytes)
    }

    fn write(&mut self, target: &str, name: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        let folder = self.corpus.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{:04}-{name}", self.written)), bytes)?;
        self.written += 1;
        Ok(())
    }
}

/// The last two parts of a path in one word.
fn name(path: &Path) -> String {
    let parts: Vec<_> = path.components().rev().take(2).map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("-")
}

/// The inner objects of Intel's collateral in a file, as text.
fn intel_objects(bytes: &[u8]) -> Vec<String> {
    let Ok(file) = serde_json::from_slice::<Value>(bytes) else { return Vec::new() };
    let answers = ["tcbInfo", "enclaveIdentity"].into_iter().filter_map(|name| file.get(name)).map(Value::to_string);
    let strings =
        ["tcb_info", "qe_identity"].into_iter().filter_map(|name| file.get(name)?.as_str()).map(str::to_owned);
    answers.chain(strings).collect()
}
