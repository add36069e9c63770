//! The handshake: a nonce, then evidence that covers it and the client's key.

use std::collections::BTreeMap;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use strongroom_attestation::{
    Artefacts, Class, Code, DeviceEvidence, DeviceSetClaims, Endorsements, Evidence, Expected, Refusal, UnixTime,
    Verdict, crypto,
};
use strongroom_enclave_loader::kbs::{Attest, Auth, Challenge, InitData, SnpEvidence, Token, VERSION};

use super::error::KbsError;
use super::session::{AnyVerdict, Attested};
use super::token::About;
use crate::broker::{Broker, random};
use crate::desk::{Bench, Desk};
use crate::error::{BrokerError, Denial};
use crate::log::{Decided, Decision, Event};
use crate::policy::ActivePolicy;
use crate::release::codes_of;

/// Vendor certificates and lists that the tenant keeps beside the store, for clients that
/// bring only some. Untrusted like all endorsements.
const ENDORSEMENTS_DIR: &str = "endorsements";

/// How many of them are read.
const MAX_LOCAL_ENDORSEMENTS: usize = 96;

/// An opened session.
pub(super) struct Opened {
    pub(super) id: String,
    pub(super) body: String,
}

impl Broker {
    /// `POST auth`: only version 0.4.0, only platforms that we can verify.
    pub(super) fn kbs_auth(&self, body: &[u8]) -> Result<Opened, KbsError> {
        let auth: Auth = serde_json::from_slice(body).map_err(|_| KbsError::attestation("not an auth request"))?;
        if auth.version != VERSION {
            let detail = format!("the protocol version is {VERSION} here, {} was asked for", shown(&auth.version));
            return Err(KbsError::attestation(detail));
        }
        if auth.tee != "snp" {
            let detail = format!("this broker verifies \"snp\", not {:?}", shown(&auth.tee));
            return Err(KbsError::attestation(detail));
        }
        let id = hex::encode(random::<16>().map_err(Denial::from)?);
        let nonce = STANDARD.encode(random::<32>().map_err(Denial::from)?);
        if !self.kbs_sessions().open(id.clone(), nonce.clone(), self.now()) {
            return Err(Denial::Busy("too many sessions are open").into());
        }
        Ok(Opened { id, body: json(&Challenge { nonce, extra_params: "".into() }) })
    }

    /// `POST attest`, once a session:
    ///
    /// 1. the request parses, and its nonce is the session's, which is now used up;
    /// 2. the client's key is one that we wrap to, so that a grant can be delivered;
    /// 3. the evidence verifies with the protocol's report data;
    /// 4. init-data, where it is given, is what the host data says;
    /// 5. the outcome is logged, then the session is attested and the token signed.
    pub(super) fn kbs_attest(&self, session: &str, body: &[u8]) -> Result<String, KbsError> {
        let attest: Attest =
            serde_json::from_slice(body).map_err(|_| KbsError::attestation("not an attest request"))?;
        let now = self.now();
        let nonce = self.kbs_sessions().take_nonce(session, now);
        if nonce.is_none_or(|nonce| nonce != attest.runtime_data.nonce) {
            return Err(KbsError::attestation("the nonce is not this session's, or was used before"));
        }
        if attest.runtime_data.tee_pubkey.p256_point().is_none() {
            return Err(KbsError::attestation("the TEE key must be EC P-256 with ECDH-ES+A256KW"));
        }
        let policy = self.active_policy().map_err(Denial::from)?;
        let policy = policy.ok_or_else(|| KbsError::attestation("no policy is active"))?;
        match &self.bench {
            Bench::Production(desk) => self.attest_at(desk, AnyVerdict::Hardware, session, &attest, &policy, now),
            Bench::Development(desk) => self.attest_at(desk, AnyVerdict::Simulated, session, &attest, &policy, now),
        }
    }

    fn attest_at<K: Class>(
        &self,
        desk: &Desk<K>,
        wrap: impl FnOnce(Verdict<K>) -> AnyVerdict,
        session: &str,
        attest: &Attest,
        policy: &ActivePolicy,
        now: UnixTime,
    ) -> Result<String, KbsError> {
        let evidence: SnpEvidence = SnpEvidence::deserialize(&attest.tee_evidence.primary_evidence)
            .map_err(|_| KbsError::attestation("the SNP evidence is not the known structure"))?;
        let report = evidence.report_bytes();
        let report = report.ok_or_else(|| KbsError::attestation("a field of the SNP report has the wrong length"))?;
        let digest = crypto::sha256(&report);
        let appraised = self.appraise_kbs(desk, &report, &evidence, attest, policy, now);
        let (decision, codes) = match &appraised {
            Ok(_) => (Decision::Granted, Vec::new()),
            Err(refusal) => (Decision::Refused, codes_of(refusal)),
        };
        let decided = Decided {
            caller: session.to_owned(),
            evidence: hex::encode(digest),
            policy: hex::encode(policy.hash),
            models: Vec::new(),
            decision,
            codes,
            lease: None,
        };
        match &appraised {
            Ok(_) => self.ledger.note(now, Event::KbsAttestation(decided))?,
            Err(_) => self.note_unproven(Event::KbsAttestation(decided), now)?,
        }
        let (verdict, devices) = appraised.map_err(|refusal| KbsError::attestation(refusal.to_string()))?;
        let runtime = &attest.runtime_data;
        let about = About {
            verdict: &verdict,
            devices: devices.as_ref(),
            policy: policy.hash,
            nonce: &runtime.nonce,
            key: &runtime.tee_pubkey,
        };
        let token = self.keys.token.issue(session, &about, now);
        let token = token.ok_or(Denial::Failed(BrokerError::Randomness))?;
        let attested = Attested {
            verdict: wrap(verdict),
            devices,
            key: runtime.tee_pubkey.clone(),
            evidence: digest,
            policy: policy.hash,
        };
        self.kbs_sessions().attested(session, attested);
        Ok(json(&Token { token }))
    }

    fn appraise_kbs<K: Class>(
        &self,
        desk: &Desk<K>,
        report: &[u8],
        evidence: &SnpEvidence,
        attest: &Attest,
        policy: &ActivePolicy,
        now: UnixTime,
    ) -> Result<(Verdict<K>, Option<DeviceSetClaims>), Refusal> {
        let mut bag = self.local_endorsements();
        for certificate in evidence.certificates() {
            bag.add(certificate)?;
        }
        let additional = &attest.tee_evidence.additional_evidence;
        let expected = Expected::report_data(attest.runtime_data.report_data(additional));
        let verdict = desk.verify(&Evidence::parse(report)?, &bag, &policy.rules.attestation, &expected, now)?;
        if let Some(init_data) = &attest.init_data {
            check_init_data(init_data, verdict.claims().host_data())?;
        }
        let rules = &policy.rules.attestation;
        let devices = devices_in(additional)?;
        let devices = devices.map(|devices| (devices, attest.runtime_data.device_nonce()));
        let devices = desk.appraise_devices(devices, &bag, rules, now)?;
        Ok((verdict, devices))
    }

    /// What lies in the endorsements directory; a file that cannot be read or used is as good
    /// as absent, and the verification says what it lacks.
    fn local_endorsements(&self) -> Endorsements {
        let mut bag = Endorsements::default();
        let Ok(entries) = fs::read_dir(self.dir.join(ENDORSEMENTS_DIR)) else { return bag };
        for entry in entries.flatten().take(MAX_LOCAL_ENDORSEMENTS) {
            if let Ok(bytes) = fs::read(entry.path()) {
                let mut larger = bag.clone();
                if larger.add(&bytes).is_ok() {
                    bag = larger;
                }
            }
        }
        bag
    }
}

/// The devices of the additional evidence: JSON by kind of device, of which NVIDIA's is known. Evidence
/// of another kind would go unseen, and is refused.
fn devices_in(additional: &str) -> Result<Option<DeviceEvidence>, Refusal> {
    if additional.is_empty() {
        return Ok(None);
    }
    let kinds: BTreeMap<String, serde_json::Value> = serde_json::from_str(additional)
        .map_err(|_| Refusal::new(Code::Parse, "additional evidence is no JSON object"))?;
    if let Some(other) = kinds.keys().find(|kind| *kind != "nvidia") {
        let detail = format!("additional evidence of {}; this broker verifies nvidia", shown(other));
        return Err(Refusal::new(Code::Policy, detail));
    }
    if kinds.is_empty() {
        return Ok(None);
    }
    let mut artefacts = Artefacts::default();
    artefacts.add(additional.as_bytes())?;
    let submission = artefacts.into_submission()?;
    match submission.machine {
        None => Ok(Some(submission.devices)),
        Some(_) => Err(Refusal::new(Code::Parse, "additional evidence that is not of devices")),
    }
}

/// The init-data's own declaration of its hash.
#[derive(Deserialize)]
struct InitDataHeader {
    algorithm: String,
}

/// SNP host data has 32 bytes, so only SHA-256 is compared whole; nothing is cut to fit.
fn check_init_data(init_data: &InitData, host_data: &[u8]) -> Result<(), Refusal> {
    let refuse = |detail: &str| Err(Refusal::new(Code::HostData, detail));
    let header: Option<InitDataHeader> = match init_data.format.as_str() {
        "toml" => toml::from_str(&init_data.body).ok(),
        _ => None,
    };
    match header {
        Some(header) if header.algorithm == "sha256" => {}
        _ => return refuse("init-data must be TOML with algorithm = \"sha256\""),
    }
    match crypto::sha256(init_data.body.as_bytes()).as_slice() == host_data {
        true => Ok(()),
        false => refuse("the host data is not the digest of the init-data"),
    }
}

/// A message of strings alone, which always has a JSON form.
fn json(message: &impl Serialize) -> String {
    serde_json::to_string(message).unwrap_or_default()
}

/// A few characters of what a stranger sent, fit to be shown.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(32).collect()
}
