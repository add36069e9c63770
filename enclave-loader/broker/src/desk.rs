//! Where evidence is looked at: one desk for hardware, one for the simulated platform, and a
//! broker has exactly one of them.
//!
//! The class is a type parameter from here to the certificate: no code path leads from
//! simulated evidence to what a production broker issues.

use strongroom_attestation::{
    Class, Code, DevelopmentAnchors, DeviceEvidence, DeviceSetClaims, Endorsements, Evidence, Expected, Hardware,
    HardwareAnchors, Policy, Refusal, Simulated, UnixTime, Verdict, crypto, verify, verify_devices,
    verify_without_devices,
};
use strongroom_channel::attest::Collection;
use strongroom_channel::binding::{self, Purpose};
use strongroom_channel::cose::media;
use strongroom_channel::statement::EpochStatement;
use strongroom_channel::{device_digest, devices, freshness, statement};
use strongroom_enclave_loader::release::ReleaseRequest;

use crate::error::Denial;

/// The largest single piece of evidence (protocol.md 2.3).
const MAX_EVIDENCE_BYTES: usize = 64 * 1024;

/// The desk that a broker has.
pub(crate) enum Bench {
    Production(Desk<Hardware>),
    Development(Desk<Simulated>),
}

/// Takes evidence of one class.
pub(crate) struct Desk<K: Class> {
    anchors: K::Anchors,
    class: binding::Class,
}

/// Evidence that holds, bound to this very request.
pub(crate) struct Proven<K> {
    pub(crate) verdict: Verdict<K>,
    /// What the devices say; `None` where the instance shows none.
    pub(crate) devices: Option<DeviceSetClaims>,
    pub(crate) statement: EpochStatement,
    pub(crate) statement_hash: [u8; 32],
}

impl Desk<Hardware> {
    pub(crate) fn hardware(anchors: HardwareAnchors) -> Self {
        Self { anchors, class: binding::Class::Hardware }
    }
}

impl Desk<Simulated> {
    pub(crate) fn simulated(anchors: DevelopmentAnchors) -> Self {
        Self { anchors, class: binding::Class::Simulated }
    }
}

impl<K: Class> Desk<K> {
    /// Proves a request, in this order:
    ///
    /// 1. the statement parses;
    /// 2. the instance signature holds for the statement's key (proof of possession);
    /// 3. it covers what this request must be: our class, the purpose of the endpoint, the
    ///    statement, and the body as freshness root;
    /// 4. the evidence verifies under this desk's roots and the policy, with exactly that as
    ///    its report data;
    /// 5. the device digest in the statement is that of the devices presented;
    /// 6. the devices verify, and answered the challenge that follows from the statement.
    pub(crate) fn prove(
        &self,
        request: &ReleaseRequest,
        purpose: Purpose,
        policy: &Policy,
        now: UnixTime,
    ) -> Result<Proven<K>, Denial> {
        let statement = EpochStatement::decode(&request.statement)
            .map_err(|error| Denial::Malformed(format!("epoch statement: {error}")))?;
        let signed = statement
            .signing_key
            .verify1(media::PROOF, &request.instance_signature)
            .map_err(|_| Denial::Unauthenticated)?;
        let statement_hash = statement::hash(&request.statement);
        let root = freshness::leaf(&request.body);
        let wanted = binding::preimage(self.class, purpose, &statement_hash, &root, 1);
        if signed != wanted {
            return Err(self.explain(&signed, purpose, &statement_hash, &root).into());
        }
        let expected = Expected::preimage(&wanted);
        let bag = bag(&request.endorsements)?;
        let verdict = self.appraise(&request.evidence, &bag, policy, &expected, now)?;
        if statement.device_digest != request.evidence.device_digest() {
            let detail = "the statement names other devices than the evidence shows";
            return Err(Refusal::new(Code::ReportData, detail).into());
        }
        let devices = devices::submitted(&statement, &request.evidence)?;
        let devices = self.appraise_devices(devices, &bag, policy, now)?;
        Ok(Proven { verdict, devices, statement, statement_hash })
    }

    /// Verifies the reports of GPUs and switches, which must have answered the challenge beside them. Where there are
    /// none, the policy may want none.
    pub(crate) fn appraise_devices(
        &self,
        submitted: Option<(DeviceEvidence, [u8; 32])>,
        endorsements: &Endorsements,
        policy: &Policy,
        now: UnixTime,
    ) -> Result<Option<DeviceSetClaims>, Refusal> {
        let Some((evidence, nonce)) = submitted else {
            return Refusal::from_checks(verify_without_devices(policy)).map_or(Ok(None), Err);
        };
        let appraisal = verify_devices::<K>(&evidence, endorsements, &self.anchors, policy, Some(nonce), now);
        Ok(Some(appraisal.into_verdict()?.claims().clone()))
    }

    /// Verifies CPU evidence with endorsements from whoever asks.
    pub(crate) fn appraise(
        &self,
        evidence: &Collection,
        endorsements: &Endorsements,
        policy: &Policy,
        expected: &Expected,
        now: UnixTime,
    ) -> Result<Verdict<K>, Refusal> {
        let cpu = evidence
            .get(device_digest::CPU_LABEL)
            .ok_or_else(|| Refusal::new(Code::Parse, "there is no CPU evidence (cpu0)"))?;
        if cpu.value.len() > MAX_EVIDENCE_BYTES {
            return Err(Refusal::new(Code::Parse, "the CPU evidence is longer than 64 KiB"));
        }
        let report = Evidence::parse(&cpu.value)?;
        if report.media_type() != cpu.media_type {
            let detail = format!("cpu0 is called {}, and is {}", cpu.media_type, report.media_type());
            return Err(Refusal::new(Code::Parse, detail));
        }
        self.verify(&report, endorsements, policy, expected, now)
    }

    /// Verifies parsed evidence.
    pub(crate) fn verify(
        &self,
        evidence: &Evidence,
        endorsements: &Endorsements,
        policy: &Policy,
        expected: &Expected,
        now: UnixTime,
    ) -> Result<Verdict<K>, Refusal> {
        verify::<K>(evidence, endorsements, &self.anchors, policy, expected, now).into_verdict()
    }

    /// Why a genuine signature covers something else. The signer knows what it signed, so the
    /// reason tells nobody anything new, and it saves an operator an evening.
    fn explain(&self, signed: &[u8], purpose: Purpose, statement_hash: &[u8; 32], root: &[u8; 32]) -> Refusal {
        let covers = |class, purpose| binding::preimage(class, purpose, statement_hash, root, 1) == signed;
        let other_class = match self.class {
            binding::Class::Hardware => binding::Class::Simulated,
            binding::Class::Simulated => binding::Class::Hardware,
        };
        if covers(other_class, purpose) {
            let detail =
                format!("this broker takes {:?} evidence only, and the request is {other_class:?}", self.class);
            return Refusal::new(Code::Simulated, detail);
        }
        let others = [Purpose::Session, Purpose::Release, Purpose::Renewal];
        match others.into_iter().find(|other| covers(self.class, *other)) {
            Some(other) => Refusal::new(
                Code::ReportData,
                format!("the evidence was made for purpose \"{other}\", wanted \"{purpose}\""),
            ),
            None => Refusal::new(Code::ReportData, "the instance signed for another statement or another request"),
        }
    }
}

fn bag(endorsements: &Collection) -> Result<Endorsements, Refusal> {
    let mut bag = Endorsements::default();
    for (_, record) in endorsements.iter() {
        bag.add(&record.value)?;
    }
    Ok(bag)
}

/// SHA-256 over the evidence records, for the log.
pub(crate) fn evidence_digest(evidence: &Collection) -> [u8; 32] {
    let mut digests = Vec::new();
    for (_, record) in evidence.iter() {
        digests.extend(crypto::sha256(&record.value));
    }
    crypto::sha256(&digests)
}
