//! Raw artefacts as auditors and incident responders have them: files of any kind in any order, told
//! apart by content and never by name, put together into evidence and endorsements.

mod describe;
mod devices;
mod json;
mod kind;
mod text;

use crate::azure::{AzureEvidence, HclReport, PcrValues, TpmQuote};
use crate::crypto;
use crate::endorsements::Endorsements;
use crate::error::{Code, Refusal};
use crate::event_log::EventLog;
use crate::evidence::{Evidence, TdxEvidence};
use crate::nvidia::{Device, DeviceEvidence, RemoteAnswer, SpdmReport};
use crate::snp::{REPORT_LEN, SnpReport};
use crate::tdx::TdxQuote;

pub use describe::describe;
pub use kind::ArtefactKind;
use kind::kind_of;

/// Bytes that may be added in all.
const MAX_BYTES: usize = 8 << 20;
/// Event logs that one machine may have.
const MAX_EVENT_LOGS: usize = 4;

/// What a set of artefacts amounts to. Nothing in here is believed.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Evidence of one confidential machine, if there is any.
    pub machine: Option<Evidence>,
    /// Reports of NVIDIA devices.
    pub devices: DeviceEvidence,
    /// What NVIDIA's remote service says instead; one of the three is there.
    pub(crate) remote_answer: Option<RemoteAnswer>,
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
    remote_answer: Option<RemoteAnswer>,
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
        let Submission { machine, devices, remote_answer, endorsements } = self.into_submission()?;
        match machine {
            Some(evidence) if devices.is_empty() && remote_answer.is_none() => Ok((evidence, endorsements)),
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
            (None, None, None, None)
                if (!self.devices.is_empty() || self.remote_answer.is_some()) && event_logs.is_empty() =>
            {
                let (devices, remote_answer, endorsements) = (self.devices, self.remote_answer, self.endorsements);
                return Ok(Submission { machine: None, devices, remote_answer, endorsements });
            }
            (None, None, None, None) => {
                return Err(malformed("no report or quote of a platform is among the artefacts".to_owned()));
            }
            _ => return Err(malformed("the artefacts are of more than one platform".to_owned())),
        };
        let (devices, remote_answer, endorsements) = (self.devices, self.remote_answer, self.endorsements);
        Ok(Submission { machine: Some(evidence), devices, remote_answer, endorsements })
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
            ArtefactKind::RemoteAnswer => {
                once(&mut self.remote_answer, RemoteAnswer::parse(bytes)?, "answers of a remote service")?;
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
