//! Ask the platform for evidence. This produces bytes and understands nothing: what
//! they mean is the verifier's business (`strongroom-attestation`).

pub(crate) mod devices;
pub(crate) mod nvidia;
#[cfg(feature = "simulated")]
pub(crate) mod simulated;
#[cfg(feature = "simulated")]
pub(crate) mod simulated_devices;
pub(crate) mod tsm;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use strongroom_channel::attest::{Collection, CollectionKind, Record, indicator};
use strongroom_channel::binding::Class;
use strongroom_channel::device_digest::CPU_LABEL;

/// How long the platform may take for its evidence.
pub(crate) const EVIDENCE: Duration = Duration::from_secs(30);

/// Evidence of one moment, and what the platform gave along to check it with.
#[derive(Debug, Clone)]
pub struct Collected {
    /// What `report` is.
    pub form: Form,
    /// The CPU's report, as the platform wrote it.
    pub report: Vec<u8>,
    /// Certificates and revocation lists, a vendor's table of them, or signed collateral;
    /// untrusted.
    pub endorsements: Vec<Vec<u8>>,
}

/// The forms of evidence, as records name them. The verifier tells them apart by content, and
/// compares the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An SEV-SNP report.
    Snp,
    /// A TDX quote.
    Tdx,
    /// The JSON of a guest under Azure's paravisor.
    Azure,
}

/// Something that can make the platform speak.
pub trait EvidenceSource: Send + Sync {
    /// Hardware or simulated; goes into what the evidence proves.
    fn class(&self) -> Class;

    /// What its evidence is.
    fn form(&self) -> Form;

    /// Evidence over `preimage`: its digest is what the platform quotes, as report data or as
    /// a virtual TPM's nonce (`strongroom_channel::binding`). May take a second; callers keep it
    /// off the executor.
    ///
    /// # Errors
    /// When the platform does not answer.
    fn collect(&self, preimage: &[u8]) -> Result<Collected, EvidenceError>;

    /// Evidence with this report data, for a protocol that has its own way to make it.
    ///
    /// # Errors
    /// As for [`collect`](Self::collect); [`EvidenceError::NoReportData`] where the platform's report data
    /// is not the guest's to choose.
    fn report(&self, report_data: &[u8; 64]) -> Result<Collected, EvidenceError>;
}

/// Why there is no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// No confidential-computing platform was found. Never a fallback.
    #[error(
        "no confidential-computing platform was found ({looked}); run inside an SEV-SNP or TDX guest with \
         a kernel of 6.7 or later, or use `--simulated snp` for development"
    )]
    NoPlatform {
        /// Where it was looked for.
        looked: String,
    },
    /// The platform is there and is not one that this version collects from.
    #[error("the platform `{provider}` is not supported yet; `sev_guest` is")]
    Unsupported {
        /// The kernel's name for it.
        provider: String,
    },
    /// The report's data is a paravisor's, not the guest's.
    #[error("this platform's report data is not the guest's to choose, and `release = \"kbs\"` needs it to be")]
    NoReportData,
    /// The platform did not answer.
    #[error("the platform gave no evidence: {0}")]
    Failed(String),
    /// The machine's devices are not what its configuration says.
    #[error("this machine has {found} and its configuration {wanted}: name all of them under [gpus], or none be there")]
    DevicesNotConfigured {
        /// What is there.
        found: String,
        /// What the configuration says.
        wanted: String,
    },
    /// The devices' evidence does not pass this machine's own appraisal: nothing is computed on them.
    #[error("the evidence of this machine's devices does not hold: {0}")]
    Devices(Box<strongroom_attestation::Refusal>),
}

/// What `work` returns, off the executor, and in bounded time: the host answers for the platform, or not. `who` is
/// what it asks.
///
/// # Errors
/// No answer after `most`, or a collector that crashed.
pub(crate) async fn in_time<T: Send + 'static>(
    who: &str,
    most: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EvidenceError> {
    let work = tokio::task::spawn_blocking(work);
    tokio::time::timeout(most, work)
        .await
        .map_err(|_| EvidenceError::Failed(format!("{who} did not answer in time")))?
        .map_err(|_| EvidenceError::Failed("the collector crashed".to_owned()))
}

/// Evidence off the executor, and in bounded time.
pub(crate) async fn collect(source: Arc<dyn EvidenceSource>, preimage: Vec<u8>) -> Result<Collected, EvidenceError> {
    in_time("it", EVIDENCE, move || source.collect(&preimage)).await?
}

/// The hardware's own source.
///
/// # Errors
/// `EvidenceError::NoPlatform` where there is none.
pub fn detect() -> Result<Arc<dyn EvidenceSource>, EvidenceError> {
    tsm::TsmSource::detect().map(|source| Arc::new(source) as Arc<dyn EvidenceSource>)
}

/// Whether this machine is a confidential VM, as its file system (under `root`, which is `/`)
/// shows; a program that can simulate refuses to serve there.
#[must_use]
pub fn hardware_present(root: &Path) -> bool {
    tsm::present(root)
}

impl Collected {
    /// As the records that travel: the report is `cpu0`, endorsements are numbered.
    pub(crate) fn collection(&self, kind: CollectionKind) -> Collection {
        let mut collection = Collection::new(kind);
        let records: Vec<(String, Record)> = match kind {
            CollectionKind::Evidence => {
                vec![record(CPU_LABEL.into(), self.form.media_type(), &self.report, indicator::EVIDENCE)]
            }
            CollectionKind::Endorsements => self
                .endorsements
                .iter()
                .enumerate()
                .map(|(i, value)| {
                    let label = format!("{}{i}", self.form.vendor());
                    record(label, &self.form.endorsement_media_type(), value, indicator::ENDORSEMENTS)
                })
                .collect(),
        };
        for (label, record) in records {
            // More records than travel are the platform's doing; the verifier then says
            // what it misses.
            let _ = collection.insert(&label, record);
        }
        collection
    }
}

impl Form {
    /// The media type of the evidence.
    fn media_type(self) -> &'static str {
        match self {
            Self::Snp => "application/vnd.strongroom.snp-report",
            Self::Tdx => "application/vnd.strongroom.tdx-quote",
            Self::Azure => "application/vnd.strongroom.azure-vtpm+json",
        }
    }

    /// What a KBS calls it; `None` where evidence has no form there.
    pub(crate) fn kbs_tee(self) -> Option<&'static str> {
        match self {
            Self::Snp => Some("snp"),
            Self::Tdx => Some("tdx"),
            Self::Azure => None,
        }
    }

    /// Who publishes the endorsements.
    fn vendor(self) -> &'static str {
        match self {
            Self::Snp => "amd",
            Self::Tdx => "intel",
            Self::Azure => "azure",
        }
    }

    /// The media type of what goes with it; the verifier tells the items apart by content.
    fn endorsement_media_type(self) -> String {
        format!("application/vnd.strongroom.{}-endorsement", self.vendor())
    }
}

fn record(label: String, media_type: &str, value: &[u8], indicator: u8) -> (String, Record) {
    (label, Record { media_type: media_type.into(), value: value.to_vec(), indicator })
}
