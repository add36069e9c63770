//! SEV-SNP through the kernel's report files (configfs-tsm, Linux 6.7 and later;
//! kernel documentation: ABI/testing/configfs-tsm-report).
//!
//! Each report is a directory of its own: the question is written to `inblob`, the
//! answer read from `outblob`, and `generation` tells whether somebody else wrote in
//! between. Not yet run on hardware here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use strongroom_channel::binding::{self, Class};

use super::{Collected, EvidenceError, EvidenceSource, Form};

const REPORTS: &str = "/sys/kernel/config/tsm/report";
/// What only a confidential VM has.
const DEVICES: [&str; 2] = ["/dev/sev-guest", "/dev/tdx_guest"];
/// The kernel's name for SEV-SNP.
const SEV_GUEST: &str = "sev_guest";

/// Reports of the guest's kernel.
pub(crate) struct TsmSource {
    root: PathBuf,
}

/// Whether anything that only a confidential VM has is there, in the file system under `root`.
pub(crate) fn present(root: &Path) -> bool {
    DEVICES.iter().chain([&REPORTS]).any(|path| root.join(path.trim_start_matches('/')).exists())
}

impl TsmSource {
    pub(crate) fn detect() -> Result<Self, EvidenceError> {
        let root = PathBuf::from(REPORTS);
        if !root.is_dir() {
            let looked = format!("{REPORTS}, {}", DEVICES.join(", "));
            return Err(EvidenceError::NoPlatform { looked });
        }
        let source = Self { root };
        let provider = source.within(|entry| fs::read_to_string(entry.join("provider"))).map_err(failed)?;
        match provider.trim() {
            SEV_GUEST => Ok(source),
            other => Err(EvidenceError::Unsupported { provider: other.to_owned() }),
        }
    }

    /// Makes a report directory, and removes it whatever happens inside.
    fn within<T>(&self, body: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        // A name of its own each time: a process that was killed may have left one behind.
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(io::Error::other)?;
        let entry = self.root.join(format!("strongroom-{}", hex::encode(name)));
        fs::create_dir(&entry)?;
        let outcome = body(&entry);
        // What the body said matters more than a directory that stays.
        let _ = fs::remove_dir(&entry);
        outcome
    }
}

impl EvidenceSource for TsmSource {
    fn class(&self) -> Class {
        Class::Hardware
    }

    fn form(&self) -> Form {
        Form::Snp
    }

    fn collect(&self, preimage: &[u8]) -> Result<Collected, EvidenceError> {
        self.report(&binding::report_data(preimage))
    }

    fn report(&self, report_data: &[u8; 64]) -> Result<Collected, EvidenceError> {
        self.within(|entry| {
            let before = generation(entry)?;
            fs::write(entry.join("inblob"), report_data)?;
            let report = fs::read(entry.join("outblob"))?;
            let table = fs::read(entry.join("auxblob")).unwrap_or_default();
            if generation(entry)? != before + 1 {
                return Err(io::Error::other("another process wrote the same report request"));
            }
            let endorsements = if table.is_empty() { Vec::new() } else { vec![table] };
            Ok(Collected { form: Form::Snp, report, endorsements })
        })
        .map_err(failed)
    }
}

fn generation(entry: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(entry.join("generation"))?;
    text.trim().parse().map_err(|_| io::Error::other("the report's generation is no number"))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(error: io::Error) -> EvidenceError {
    EvidenceError::Failed(error.to_string())
}
