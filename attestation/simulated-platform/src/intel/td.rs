//! A simulated platform with TDX and the trust domain that it quotes.

use sha2::{Digest, Sha256};

use super::{
    collateral::IntelCollateral,
    event_log::EventLog,
    fault::TdxFault,
    fault_in_quote::{alter_bytes, alter_log, alter_parts, before_quoting},
    pck::PckCa,
    platform::{Platform, attestation_key},
    qe_report::QeReport,
    quote::{QuoteFormat, QuoteParts},
    td_body::TdBody,
    td_report::td_report,
};
use crate::{error::SimulationError, keys::elliptic::EllipticKey};

const USER_DATA_LABEL: &[u8] = b"strongroom/simulated-platform/qe-id/v1\0";

/// A development trust domain: a platform's keys and certificates, and the state that its
/// quotes report. It never holds a key of the vendor.
///
/// It quotes whatever report data its holder asks for, as the quoting enclave does.
pub struct SimulatedTd {
    pub(crate) platform: Platform,
    pub(crate) pck_key: EllipticKey,
    pub(crate) attestation_key: EllipticKey,
    pub(crate) body: TdBody,
    pub(crate) format: QuoteFormat,
    pub(crate) padding: usize,
    pub(crate) event_log: EventLog,
    pub(crate) pck_chain: Vec<u8>,
    pub(crate) collateral: IntelCollateral,
}

/// One quote and what is needed to verify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdEvidence {
    /// The quote, with the PCK certificate chain in it.
    pub quote: Vec<u8>,
    /// What Intel publishes for it.
    pub collateral: IntelCollateral,
    /// What was measured into the quote's registers.
    pub event_log: EventLog,
}

impl SimulatedTd {
    /// Evidence for `report_data`, with no fault in it.
    ///
    /// # Errors
    /// [`SimulationError::Crypto`] where the provider fails.
    pub fn evidence(&self, report_data: &[u8; 64]) -> Result<TdEvidence, SimulationError> {
        let quote = self.parts(report_data, self.format, &self.body, self.pck_chain.clone());
        Ok(TdEvidence {
            quote: quote.sign(&self.attestation_key, &self.pck_key)?,
            collateral: self.collateral.clone(),
            event_log: self.event_log.clone(),
        })
    }

    /// Evidence for `report_data` with a fault in the quote or the event log.
    ///
    /// # Errors
    /// [`SimulationError::NeedsVendor`] where the fault is in a certificate or collateral: a
    /// platform cannot make those,
    /// [`SimulatedIntel::evidence_with_fault`](crate::SimulatedIntel::evidence_with_fault) can.
    pub fn evidence_with_fault(&self, report_data: &[u8; 64], fault: TdxFault) -> Result<TdEvidence, SimulationError> {
        if fault.needs_vendor() {
            return Err(SimulationError::NeedsVendor { fault: fault.name() });
        }
        self.faulty_evidence(report_data, fault, self.pck_chain.clone(), self.collateral.clone())
    }

    /// The report that the TDX module makes for `report_data` (1024 bytes), from which the
    /// quoting enclave would make a quote.
    #[must_use]
    pub fn td_report(&self, report_data: &[u8; 64]) -> Vec<u8> {
        td_report(&self.body, &self.platform.cpusvn, report_data)
    }

    /// The report of a TD with that fault in its state, as far as a report shows it.
    pub(crate) fn td_report_with_fault(&self, report_data: &[u8; 64], fault: TdxFault) -> Vec<u8> {
        let (mut format, mut body, mut report_data) = (self.format, self.body.clone(), *report_data);
        before_quoting(fault, &mut format, &mut body, &mut report_data);
        td_report(&body, &self.platform.cpusvn, &report_data)
    }

    /// The same platform running a TD in another state.
    #[must_use]
    pub fn with_body(self, body: TdBody) -> Self {
        Self { body, ..self }
    }

    /// The same TD having measured those events: its registers are what they replay to.
    #[must_use]
    pub fn with_event_log(self, event_log: EventLog) -> Self {
        let body = TdBody { rtmrs: event_log.replay(), ..self.body };
        Self { body, event_log, ..self }
    }

    /// The same platform writing another format (version 4 by default).
    #[must_use]
    pub fn with_format(self, format: QuoteFormat) -> Self {
        Self { format, ..self }
    }

    /// The same platform writing that many zero bytes after each quote.
    #[must_use]
    pub fn with_padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// The state that it reports.
    #[must_use]
    pub fn body(&self) -> &TdBody {
        &self.body
    }

    /// Which authority issued its PCK certificate.
    #[must_use]
    pub fn pck_ca(&self) -> PckCa {
        self.platform.ca
    }

    /// The platform's identity (PPID) in its PCK certificate.
    #[must_use]
    pub fn ppid(&self) -> &[u8; 16] {
        &self.platform.ppid
    }

    /// What is needed beside its quotes.
    #[must_use]
    pub fn collateral(&self) -> &IntelCollateral {
        &self.collateral
    }

    /// Its PCK certificate chain as a quote carries it: PEM from the leaf to the root, and
    /// a zero byte.
    #[must_use]
    pub fn pck_chain(&self) -> &[u8] {
        &self.pck_chain
    }

    pub(crate) fn new(
        platform: Platform,
        pck_key: EllipticKey,
        platform_secret: &[u8; 32],
        body: TdBody,
        pck_chain: Vec<u8>,
        collateral: IntelCollateral,
    ) -> Result<Self, SimulationError> {
        Ok(Self {
            platform,
            pck_key,
            attestation_key: attestation_key(platform_secret)?,
            body,
            format: QuoteFormat::V4,
            padding: 0,
            event_log: EventLog::default(),
            pck_chain,
            collateral,
        })
    }

    /// Evidence with that chain and collateral, and a fault wherever else it is.
    pub(crate) fn faulty_evidence(
        &self,
        report_data: &[u8; 64],
        fault: TdxFault,
        pck_chain: Vec<u8>,
        collateral: IntelCollateral,
    ) -> Result<TdEvidence, SimulationError> {
        let (mut format, mut body, mut report_data) = (self.format, self.body.clone(), *report_data);
        before_quoting(fault, &mut format, &mut body, &mut report_data);
        let mut parts = self.parts(&report_data, format, &body, pck_chain);
        alter_parts(fault, &mut parts);
        let stranger = attestation_key(&[0; 32])?;
        let signer = if fault == TdxFault::OtherAttestationKey { &stranger } else { &self.attestation_key };
        let mut quote = parts.sign(signer, &self.pck_key)?;
        alter_bytes(fault, &mut quote, &parts.layout());
        let mut event_log = self.event_log.clone();
        alter_log(fault, &mut event_log);
        Ok(TdEvidence { quote, collateral, event_log })
    }

    fn parts(&self, report_data: &[u8; 64], format: QuoteFormat, body: &TdBody, certification: Vec<u8>) -> QuoteParts {
        let mut bytes = body.to_bytes(report_data);
        bytes.truncate(format.body_length());
        // 00 01 .. 1f in every genuine quote.
        let auth_data: Vec<u8> = (0..32).collect();
        let qe_report = QeReport::binding(&self.attestation_key.coordinates(), &auth_data);
        let mut user_data = [0; 20];
        let id = Sha256::new().chain_update(USER_DATA_LABEL).chain_update(self.platform.ppid).finalize();
        user_data[..16].copy_from_slice(&id[..16]);
        QuoteParts {
            user_data,
            certification,
            padding: self.padding,
            ..QuoteParts::new(format, bytes, qe_report, auth_data)
        }
    }
}
