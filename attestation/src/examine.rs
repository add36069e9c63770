//! One question about raw artefacts, one answer: what the command `strongroom verify --evidence` and a
//! web page ask, byte for byte the same.

mod devices;
mod remote;

use serde_json::{Value, json};

use crate::artefacts::{Artefacts, Submission};
use crate::claims::{AuthenticatedClaims, Platform};
use crate::class::{Class, Hardware, Simulated};
use crate::error::{Check, Code, Refusal, State};
use crate::evidence::Evidence;
use crate::expected::Expected;
use crate::nvidia::DeviceSetClaims;
use crate::policy::Policy;
use crate::trail::Expiry;
use crate::trust_anchors::{DevelopmentAnchors, HardwareAnchors};
use crate::unix_time::UnixTime;
use crate::verify::{Appraisal, verify};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Examination<'a> {
    /// Files of any kind in any order: evidence, and endorsements too.
    pub artefacts: &'a [Vec<u8>],
    /// All 64 bytes of report data, to be compared.
    pub report_data: Option<[u8; 64]>,
    /// A nonce of at most 64 bytes, to be compared ([`Expected::and_nonce`]); where there are only
    /// devices, their challenge, of 32 bytes.
    pub nonce: Option<&'a [u8]>,
    /// What must hold.
    pub policy: &'a Policy,
    /// The verifier's clock.
    pub now: UnixTime,
    /// Roots of simulated vendors (DER). Naming one is asking, explicitly, to accept a platform
    /// that protects nothing.
    pub development_roots: &'a [Vec<u8>],
    /// Warn of what ends within this many seconds.
    pub warn_within: u64,
}

/// The answer (RFC 9334: an attestation result).
#[derive(Clone, Debug)]
pub struct AttestationResult {
    /// Whether, and if not, how.
    pub status: Status,
    /// The first reason when it was not accepted.
    pub code: Option<Code>,
    /// That reason in words.
    pub detail: Option<String>,
    /// The kind of platform, as far as it could be told.
    pub platform: Option<Platform>,
    /// Whether the evidence is of a simulated platform.
    pub simulated: bool,
    /// Whether anything fresh was compared; without, the evidence may be a replay.
    pub bound: bool,
    /// The name of the policy.
    pub policy: String,
    /// The verifier's clock.
    pub at: UnixTime,
    /// Every check, in order.
    pub checks: Vec<Check>,
    /// What the evidence says, once it was authenticated, whether or not it was accepted.
    pub claims: Option<AuthenticatedClaims>,
    /// What NVIDIA devices say, under the same conditions.
    pub devices: Option<DeviceSetClaims>,
    /// What NVIDIA's remote service says of devices, once it was believed.
    pub remote: Option<Value>,
    /// How long each thing that was used lasts.
    pub expiries: Vec<Expiry>,
    /// Those that end soon, the earliest first: by then something newer will be wanted.
    pub warnings: Vec<Expiry>,
}

/// How an examination ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Authentic, and as the policy wants it.
    Accepted,
    /// Not.
    Refused,
    /// Not evidence at all, or not of the structure it should have.
    Malformed,
}

/// Sorts the artefacts, verifies the evidence among them, and answers. Hardware first; where the
/// evidence is marked as simulated and development roots were named, under those.
pub fn examine(examination: &Examination<'_>) -> AttestationResult {
    let mut artefacts = Artefacts::default();
    for bytes in examination.artefacts {
        if let Err(refusal) = artefacts.add(bytes) {
            return AttestationResult::early(examination, None, &refusal);
        }
    }
    let submission = match artefacts.into_submission() {
        Ok(submission) => submission,
        Err(refusal) => return AttestationResult::early(examination, None, &refusal),
    };
    let platform = platform(submission.machine.as_ref());
    let hardware = appraise::<Hardware>(examination, &submission, &HardwareAnchors::compiled_in());
    if hardware.code != Some(Code::Simulated) || examination.development_roots.is_empty() {
        return hardware;
    }
    match development_anchors(examination.development_roots) {
        Ok(anchors) => appraise::<Simulated>(examination, &submission, &anchors),
        Err(refusal) => AttestationResult::early(examination, Some(platform), &refusal),
    }
}

/// The machine first, then its devices; checks of both in one row, and the first that failed decides.
fn appraise<K: Class>(
    examination: &Examination<'_>,
    submission: &Submission,
    anchors: &K::Anchors,
) -> AttestationResult {
    let mut result = AttestationResult::unanswered(examination, Some(platform(submission.machine.as_ref())));
    result.simulated = K::NAME != Hardware::NAME;
    if let Err(refusal) = result.judge::<K>(examination, submission, anchors) {
        result.refuse(&refusal);
    }
    result.warnings = ending_soon(&result.expiries, examination);
    result
}

fn expected(examination: &Examination<'_>) -> Result<Expected, Refusal> {
    let expected = match examination.report_data {
        Some(report_data) => Expected::report_data(report_data),
        None => Expected::unbound_for_inspection(),
    };
    match examination.nonce {
        None => Ok(expected),
        Some(nonce) => expected
            .and_nonce(nonce)
            .ok_or_else(|| Refusal::new(Code::Nonce, "a nonce has at most 64 bytes: no evidence holds a longer one")),
    }
}

fn development_anchors(roots: &[Vec<u8>]) -> Result<DevelopmentAnchors, Refusal> {
    let mut roots = roots.iter();
    let first = roots.next().map(Vec::as_slice).unwrap_or_default();
    roots.try_fold(DevelopmentAnchors::new(first)?, |anchors, root| anchors.and(root))
}

fn platform(machine: Option<&Evidence>) -> Platform {
    match machine {
        Some(Evidence::Snp(_)) => Platform::Snp,
        Some(Evidence::Tdx(_)) => Platform::Tdx,
        Some(Evidence::Azure(azure)) => azure.platform(),
        None => Platform::Nvidia,
    }
}

impl AttestationResult {
    /// The answer before anything was judged.
    fn unanswered(examination: &Examination<'_>, platform: Option<Platform>) -> AttestationResult {
        AttestationResult {
            status: Status::Accepted,
            code: None,
            detail: None,
            platform,
            simulated: false,
            bound: false,
            policy: examination.policy.name.clone(),
            at: examination.now,
            checks: Vec::new(),
            claims: None,
            devices: None,
            remote: None,
            expiries: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The answer when nothing could be verified.
    fn early(examination: &Examination<'_>, platform: Option<Platform>, refusal: &Refusal) -> AttestationResult {
        let mut result = AttestationResult::unanswered(examination, platform);
        result.checks.clone_from(&refusal.checks);
        result.refuse(refusal);
        result
    }

    /// Everything that was submitted, one after the other; the first that fails ends it.
    fn judge<K: Class>(
        &mut self,
        examination: &Examination<'_>,
        submission: &Submission,
        anchors: &K::Anchors,
    ) -> Result<(), Refusal> {
        let mut nonce = None;
        match &submission.machine {
            Some(machine) => self.judge_machine::<K>(examination, machine, submission, anchors)?,
            None => nonce = devices::nonce(examination)?,
        }
        if !submission.devices.is_empty() {
            self.judge_devices::<K>(examination, submission, anchors, nonce)?;
        } else if submission.remote_answer.is_none() {
            self.judge_absence(examination.policy)?;
        }
        match &submission.remote_answer {
            Some(answer) => self.judge_remote(examination, answer, submission.endorsements.service_keys()),
            None => Ok(()),
        }
    }

    fn judge_machine<K: Class>(
        &mut self,
        examination: &Examination<'_>,
        machine: &Evidence,
        submission: &Submission,
        anchors: &K::Anchors,
    ) -> Result<(), Refusal> {
        let expected = expected(examination)?;
        let Examination { policy, now, .. } = *examination;
        let appraisal: Appraisal<K> = verify(machine, &submission.endorsements, anchors, policy, &expected, now);
        self.bound = expected.binds(machine);
        self.checks.extend_from_slice(appraisal.checks());
        self.claims = appraisal.claims().cloned();
        self.expiries.extend_from_slice(appraisal.expiries());
        appraisal.into_verdict().map(drop)
    }

    /// The first check that failed, as a refusal with all of them.
    fn holds_so_far(&self) -> Result<(), Refusal> {
        Refusal::from_checks(self.checks.clone()).map_or(Ok(()), Err)
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.status = if refusal.code == Code::Parse { Status::Malformed } else { Status::Refused };
        self.code = Some(refusal.code);
        self.detail = Some(refusal.detail.clone());
        self.simulated |= refusal.code == Code::Simulated;
    }

    /// The exit status of a command that ends with this answer: 0 accepted, 3 refused, 4 malformed.
    pub fn exit_code(&self) -> u8 {
        match self.status {
            Status::Accepted => 0,
            Status::Refused => 3,
            Status::Malformed => 4,
        }
    }

    /// The answer as one JSON object: `status`, `code`, `platform`, `simulated`, `checks` (each with
    /// `id`, `result`, `wanted`, `found`, `code` and `title`), `claims`, and besides them `detail`,
    /// `policy`, `at`, `bound`, `expiries` and `warnings`.
    pub fn to_json(&self) -> Value {
        let checks: Vec<Value> = self.checks.iter().map(check).collect();
        json!({
            "status": self.status.as_str(),
            "code": self.code,
            "detail": self.detail,
            "platform": self.platform,
            "simulated": self.simulated,
            "policy": self.policy,
            "at": self.at,
            "bound": self.bound,
            "checks": checks,
            "claims": self.claims_json(),
            "expiries": self.expiries,
            "warnings": self.warnings,
        })
    }
}

impl AttestationResult {
    /// The machine's claims, and the devices' under `devices`.
    fn claims_json(&self) -> Value {
        let mut claims = self.claims.as_ref().map_or_else(|| json!({}), AuthenticatedClaims::to_json);
        if let (Some(set), Some(claims)) = (&self.devices, claims.as_object_mut()) {
            claims.entry("platform").or_insert(json!(self.platform));
            claims.insert("devices".to_owned(), json!(set));
        }
        if let (Some(remote), Some(claims)) = (&self.remote, claims.as_object_mut()) {
            claims.entry("platform").or_insert(json!(self.platform));
            claims.insert("remote".to_owned(), remote.clone());
        }
        claims
    }
}

impl Status {
    /// The word for programs: `"accepted"`, `"refused"` or `"malformed"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Accepted => "accepted",
            Status::Refused => "refused",
            Status::Malformed => "malformed",
        }
    }
}

fn ending_soon(expiries: &[Expiry], examination: &Examination<'_>) -> Vec<Expiry> {
    let soon = examination.now.saturating_add_secs(examination.warn_within);
    let mut ending: Vec<Expiry> = expiries.iter().filter(|expiry| expiry.until <= soon).cloned().collect();
    ending.sort_by_key(|expiry| expiry.until);
    ending
}

fn check(check: &Check) -> Value {
    let result = match check.state {
        State::Pass => "pass",
        State::Fail => "fail",
        State::Skip => "skip",
    };
    json!({
        "id": check.id(),
        "title": check.title,
        "code": check.code,
        "result": result,
        "wanted": check.wanted,
        "found": check.found,
    })
}
