//! Raw artefacts as auditors and incident responders have them: files of any kind in any order, told
//! apart by content and never by name, put together into evidence and endorsements.

mod describe;
mod devices;
mod json;
mod text;

use std::fmt;

use crate::azure::{AzureEvidence, HclReport, PcrValues, TpmQuote};
use crate::crypto;
use crate::endorsements::Endorsements;
use crate::error::{Code, Refusal};
use crate::event_log::EventLog;
use crate::evidence::{Evidence, TdxEvidence};
use crate::nvidia::{Device, DeviceEvidence, SpdmReport};
use crate::snp::{REPORT_LEN, SnpReport};
use crate::tdx::TdxQuote;

pub use describe::describe;

/// Bytes that may be added in all.
const MAX_BYTES: usize = 8 << 20;
/// Event logs that one machine may have.
const MAX_EVENT_LOGS: usize = 4;
/// TPMT_SIGNATURE of RSASSA with SHA-256, up to its length.
const TPMT_SIGNATURE: &[u8] = &[0x00, 0x14, 0x00, 0x0B];

/// What an artefact turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArtefactKind {
    /// An AMD SEV-SNP report, bare, in the firmware's answer, or with its certificate table.
    SnpReport,
    /// An Intel TDX quote.
    TdxQuote,
    /// A paravisor's report.
    HclReport,
    /// The message of a TPM's quote.
    TpmMessage,
    /// The signature of a TPM's quote.
    TpmSignature,
    /// The values of a TPM's registers.
    PcrValues,
    /// Message, signature and registers of a TPM's quote in one.
    TpmQuote,
    /// An event log.
    EventLog,
    /// The ACPI table that says where an event log lies; nothing in it is needed.
    EventLogTable,
    /// The report of an NVIDIA GPU or switch.
    SpdmReport,
    /// JSON with reports of such devices and their certificates.
    DeviceJson,
    /// JSON that holds several of these.
    EvidenceJson,
    /// Certificates, revocation lists, OCSP responses, or a vendor's signed collateral.
    Endorsements,
}

/// What a set of artefacts amounts to. Nothing in here is believed.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Evidence of one confidential machine, if there is any.
    pub machine: Option<Evidence>,
    /// Reports of NVIDIA devices; one of the two is there.
    pub devices: DeviceEvidence,
    /// What vendors say about either.
    pub endorsements: Endorsements,
}

/// Artefacts added so far. Nothing in here is believed.
#[derive(Clone, Debug, Default)]
pub struct Artefacts {
    snp_report: Option<SnpReport>,
    td_quote: Option<TdxQuote>,
    hcl_report: Option<HclReport>,
    tpm_message: Option<Vec<u8>>,
    tpm_signature: Option<Vec<u8>>,
    pcrs: Option<Box<PcrValues>>,
    event_logs: Vec<EventLog>,
    devices: DeviceEvidence,
    /// SHA-256 of what brought them: the same file again brings nothing.
    device_files: Vec<[u8; 32]>,
    endorsements: Endorsements,
    bytes: usize,
}

impl Artefacts {
    /// Adds one artefact and says what it is. Text that is hexadecimal or base64 of one counts as
    /// that one. The same artefact twice counts once; two different ones of a kind that evidence
    /// has once are refused, as is whatever has no known kind: `PARSE`. An SGX quote is
    /// `PLATFORM_NOT_ALLOWED`.
    pub fn add(&mut self, bytes: &[u8]) -> Result<ArtefactKind, Refusal> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MAX_BYTES {
            return Err(malformed(format!("the artefacts are larger than {MAX_BYTES} bytes")));
        }
        match text::decoded(bytes) {
            Some(decoded) => self.add_binary(&decoded),
            None => self.add_binary(bytes),
        }
    }

    /// The evidence that the artefacts amount to, and the endorsements among them. Refused with
    /// `PARSE` when there is none, or when they belong to different platforms; or when there are
    /// devices among them, which this evidence says nothing about.
    pub fn into_evidence(self) -> Result<(Evidence, Endorsements), Refusal> {
        let Submission { machine, devices, endorsements } = self.into_submission()?;
        match machine {
            Some(evidence) if devices.is_empty() => Ok((evidence, endorsements)),
            Some(_) => Err(malformed("reports of devices beside the evidence of one machine".to_owned())),
            None => Err(malformed("reports of devices, and no evidence of a machine".to_owned())),
        }
    }

    /// Everything that the artefacts amount to. Refused with `PARSE` when there is no evidence, or when
    /// they belong to different platforms.
    pub fn into_submission(self) -> Result<Submission, Refusal> {
        let quote = match (&self.tpm_message, &self.tpm_signature, self.pcrs) {
            (Some(message), Some(signature), Some(pcrs)) => Some((TpmQuote::parse(message, signature)?, pcrs)),
            (None, None, None) => None,
            (message, signature, pcrs) => {
                let parts =
                    [("message", message.is_none()), ("signature", signature.is_none()), ("registers", pcrs.is_none())];
                let missing: Vec<_> = parts.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name).collect();
                return Err(malformed(format!("the vTPM quote lacks its {}", missing.join(" and its "))));
            }
        };
        let event_logs = self.event_logs;
        let evidence = match (self.hcl_report, self.td_quote, self.snp_report, quote) {
            // A TD quote beside an SNP report would vouch for nothing, and go unread.
            (Some(hcl), td_quote, None, quote) if td_quote.is_none() || hcl.holds_td_report() => {
                Evidence::Azure(Box::new(AzureEvidence { hcl, quote, td_quote, event_logs }))
            }
            (None, Some(quote), None, None) => Evidence::Tdx(Box::new(TdxEvidence { quote, event_logs })),
            (None, None, Some(_), None) if !event_logs.is_empty() => {
                let detail = "an event log beside an SNP report, which has no registers to replay it to";
                return Err(Refusal::new(Code::EventLog, detail));
            }
            (None, None, Some(report), None) => Evidence::Snp(report),
            (None, None, None, Some(_)) => {
                return Err(malformed(
                    "a vTPM quote without the paravisor's report that vouches for its key".to_owned(),
                ));
            }
            (None, None, None, None) if !self.devices.is_empty() && event_logs.is_empty() => {
                return Ok(Submission { machine: None, devices: self.devices, endorsements: self.endorsements });
            }
            (None, None, None, None) => {
                return Err(malformed("no report or quote of a platform is among the artefacts".to_owned()));
            }
            _ => return Err(malformed("the artefacts are of more than one platform".to_owned())),
        };
        Ok(Submission { machine: Some(evidence), devices: self.devices, endorsements: self.endorsements })
    }

    fn add_binary(&mut self, bytes: &[u8]) -> Result<ArtefactKind, Refusal> {
        let kind = kind_of(bytes);
        match kind {
            ArtefactKind::SnpReport => self.add_snp(bytes)?,
            ArtefactKind::TdxQuote => once(&mut self.td_quote, TdxQuote::parse(bytes)?, "TDX quotes")?,
            ArtefactKind::HclReport => once(&mut self.hcl_report, HclReport::parse(bytes)?, "HCL reports")?,
            ArtefactKind::TpmMessage => once(&mut self.tpm_message, bytes.to_vec(), "vTPM quotes")?,
            ArtefactKind::TpmSignature => once(&mut self.tpm_signature, bytes.to_vec(), "vTPM signatures")?,
            ArtefactKind::PcrValues => self.add_pcrs(json::pcr_values(bytes)?)?,
            ArtefactKind::TpmQuote => {
                let quote =
                    text::bincode_quote(bytes).ok_or_else(|| malformed("a vTPM quote of wrong sizes".into()))?;
                self.add_tpm_quote(quote)?;
            }
            ArtefactKind::EventLog => self.add_event_log(bytes)?,
            ArtefactKind::EventLogTable => {}
            ArtefactKind::SpdmReport => {
                self.add_devices(bytes, |bytes| Ok(vec![Device::of_report(SpdmReport::parse(bytes)?)]))?;
            }
            ArtefactKind::DeviceJson => self.add_devices(bytes, devices::devices)?,
            ArtefactKind::EvidenceJson => self.add_json(bytes)?,
            ArtefactKind::Endorsements => match self.endorsements.add(bytes) {
                // Nothing about a raw signature tells it apart but that it is nothing else.
                Err(_) if matches!(bytes.len(), 256 | 384 | 512) => {
                    once(&mut self.tpm_signature, bytes.to_vec(), "vTPM signatures")?;
                    return Ok(ArtefactKind::TpmSignature);
                }
                Err(refusal) if !looks_like_endorsement(bytes) => {
                    let kinds = "a report, quote, event log, certificate or collateral";
                    return Err(malformed(format!("{} bytes that are not {kinds}: {}", bytes.len(), refusal.detail)));
                }
                added => added?,
            },
        }
        Ok(kind)
    }

    /// A report, and the certificate table that extended reports have behind it.
    fn add_snp(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if let Some((report, table)) = bytes.split_at_checked(REPORT_LEN)
            && !table.is_empty()
            && !SnpReport::is_response(bytes)
        {
            once(&mut self.snp_report, SnpReport::parse(report)?, "SNP reports")?;
            return self.endorsements.add_table(table);
        }
        once(&mut self.snp_report, SnpReport::parse(bytes)?, "SNP reports")
    }

    fn add_event_log(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let log = EventLog::parse(bytes)?;
        if self.event_logs.contains(&log) {
            return Ok(());
        }
        if self.event_logs.len() >= MAX_EVENT_LOGS {
            return Err(malformed(format!("more than {MAX_EVENT_LOGS} event logs")));
        }
        self.event_logs.push(log);
        Ok(())
    }

    fn add_devices(
        &mut self,
        bytes: &[u8],
        read: impl FnOnce(&[u8]) -> Result<Vec<Device>, Refusal>,
    ) -> Result<(), Refusal> {
        let digest = crypto::sha256(bytes);
        if self.device_files.contains(&digest) {
            return Ok(());
        }
        self.device_files.push(digest);
        read(bytes)?.into_iter().try_for_each(|device| self.devices.push(device))
    }

    fn add_pcrs(&mut self, pcrs: PcrValues) -> Result<(), Refusal> {
        once(&mut self.pcrs, Box::new(pcrs), "lists of registers")
    }

    fn add_tpm_quote(&mut self, quote: text::QuoteParts) -> Result<(), Refusal> {
        once(&mut self.tpm_message, quote.message, "vTPM quotes")?;
        once(&mut self.tpm_signature, quote.signature, "vTPM signatures")?;
        self.add_pcrs(quote.pcrs)
    }

    fn add_json(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let contents = json::contents(bytes)?;
        for part in &contents.parts {
            let kind = kind_of(part);
            // One level: JSON inside JSON is nothing that a guest sends.
            if matches!(kind, ArtefactKind::EvidenceJson) {
                return Err(malformed("evidence in JSON inside evidence in JSON".to_owned()));
            }
            self.add_binary(part)?;
        }
        for quote in contents.tpm_quotes {
            self.add_tpm_quote(quote)?;
        }
        Ok(())
    }
}

/// The kind that the content shows; whatever is nothing else is taken for endorsements.
fn kind_of(bytes: &[u8]) -> ArtefactKind {
    let first_is = |wanted: &[u8]| {
        bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|first| wanted.contains(first))
    };
    if HclReport::looks_like(bytes) {
        ArtefactKind::HclReport
    } else if TdxQuote::looks_like(bytes) {
        ArtefactKind::TdxQuote
    } else if TpmQuote::looks_like_message(bytes) {
        ArtefactKind::TpmMessage
    } else if bytes.starts_with(TPMT_SIGNATURE) {
        ArtefactKind::TpmSignature
    } else if bytes.starts_with(b"CCEL") && bytes.len() == 56 {
        ArtefactKind::EventLogTable
    } else if SpdmReport::looks_like(bytes) {
        ArtefactKind::SpdmReport
    } else if first_is(b"[{") && devices::is_device_json(bytes) {
        ArtefactKind::DeviceJson
    } else if EventLog::looks_like(bytes) {
        ArtefactKind::EventLog
    } else if text::bincode_quote(bytes).is_some() {
        ArtefactKind::TpmQuote
    } else if SnpReport::looks_like(bytes) {
        ArtefactKind::SnpReport
    } else if first_is(b"[") && std::str::from_utf8(bytes).is_ok() {
        // A raw signature may begin with any byte, but is no text.
        ArtefactKind::PcrValues
    } else if first_is(b"{") && json::is_evidence(bytes) {
        ArtefactKind::EvidenceJson
    } else {
        ArtefactKind::Endorsements
    }
}

/// DER, PEM, XML or JSON; a certificate table says itself what is wrong with it.
fn looks_like_endorsement(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x30 | b'{' | b'-' | b'<'))
}

fn once<T: PartialEq>(place: &mut Option<T>, value: T, plural: &str) -> Result<(), Refusal> {
    match place {
        Some(known) if *known != value => Err(malformed(format!("two different {plural}; evidence has one"))),
        Some(_) => Ok(()),
        None => {
            *place = Some(value);
            Ok(())
        }
    }
}

impl fmt::Display for ArtefactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ArtefactKind::SnpReport => "SEV-SNP report",
            ArtefactKind::TdxQuote => "TDX quote",
            ArtefactKind::HclReport => "HCL report",
            ArtefactKind::TpmMessage => "TPM quote (message)",
            ArtefactKind::TpmSignature => "TPM quote (signature)",
            ArtefactKind::PcrValues => "PCR values",
            ArtefactKind::TpmQuote => "TPM quote",
            ArtefactKind::EventLog => "event log",
            ArtefactKind::EventLogTable => "CCEL table",
            ArtefactKind::SpdmReport => "SPDM measurement report of an NVIDIA device",
            ArtefactKind::DeviceJson => "reports of NVIDIA devices in JSON",
            ArtefactKind::EvidenceJson => "evidence in JSON",
            ArtefactKind::Endorsements => "endorsements",
        })
    }
}

fn malformed(detail: String) -> Refusal {
    Refusal::new(Code::Parse, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_signature_is_one_whatever_it_begins_with() {
        for first in 0..=u8::MAX {
            let mut signature = vec![0xA5; 256];
            signature[0] = first;
            let kind = Artefacts::default().add(&signature).map_err(|refusal| refusal.to_string());
            assert_eq!(kind, Ok(ArtefactKind::TpmSignature), "{first:#04x}");
        }
    }
}
