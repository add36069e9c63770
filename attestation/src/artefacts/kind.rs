//! What an artefact is, told by its content and never by a name.

use std::fmt;

use serde_json::Value;

use super::{devices, json, text};
use crate::azure::{HclReport, TpmQuote};
use crate::event_log::EventLog;
use crate::nvidia::{RemoteAnswer, SpdmReport};
use crate::snp::SnpReport;
use crate::tdx::TdxQuote;

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
    /// The answer of NVIDIA's remote attestation service.
    RemoteAnswer,
    /// JSON that holds several of these.
    EvidenceJson,
    /// Certificates, revocation lists, OCSP responses, or a vendor's signed collateral.
    Endorsements,
}

/// The kind that the content shows; whatever is nothing else is taken for endorsements.
pub(super) fn kind_of(bytes: &[u8]) -> ArtefactKind {
    let first_is = |wanted: &[u8]| {
        bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|first| wanted.contains(first))
    };
    // Read once, for all the kinds that are told apart by what stands in it.
    let json: Option<Value> = first_is(b"[{").then(|| serde_json::from_slice(bytes).ok()).flatten();
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
    } else if first_is(b"[{") && RemoteAnswer::looks_like(bytes, json.as_ref()) {
        ArtefactKind::RemoteAnswer
    } else if json.as_ref().is_some_and(devices::is_device_json) {
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
    } else if json.as_ref().is_some_and(json::is_evidence) {
        ArtefactKind::EvidenceJson
    } else {
        ArtefactKind::Endorsements
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
            ArtefactKind::RemoteAnswer => "answer of NVIDIA's remote attestation service",
            ArtefactKind::EvidenceJson => "evidence in JSON",
            ArtefactKind::Endorsements => "endorsements",
        })
    }
}
