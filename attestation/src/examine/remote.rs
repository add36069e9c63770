//! The part of an examination that is about the answer of NVIDIA's remote service: believed only under keys
//! that the policy pins, and never instead of reports that are at hand.

use serde_json::{Value, json};

use super::{AttestationResult, Examination};
use crate::error::{Check, Code, Refusal, State};
use crate::nvidia::{RemoteAnswer, RemoteRules, ServiceKeys, check_remote, numbers};
use crate::trail::{Parts, Trail};

/// Services of simulated vendors are under a name that no service can have (RFC 2606).
fn is_simulated(issuer: &str) -> bool {
    issuer.trim_end_matches('/').ends_with(".invalid")
}

impl AttestationResult {
    /// Checks the answer, and keeps what it says.
    pub(super) fn judge_remote(
        &mut self,
        examination: &Examination<'_>,
        answer: &RemoteAnswer,
        keys: &ServiceKeys,
    ) -> Result<(), Refusal> {
        let mut trail = Trail::default();
        let policy = &examination.policy.nvidia;
        let claims = match &policy.remote_service {
            None => {
                let wanted = "a policy that pins the service's issuer and keys ([nvidia.remote_service])";
                // A step that fails is noted; nothing else is asked.
                let _ = trail.step(Check::fail(Code::NoEndorsement, "answer of the remote service", wanted, "none"));
                None
            }
            Some(service) => {
                let pins: Vec<[u8; 32]> = service.keys.iter().map(|key| key.0).collect();
                let (issuer, nonce, now) = (service.issuer.as_str(), examination.nonce, examination.now);
                check_remote(&mut trail, &RemoteRules { pins: &pins, keys, issuer, nonce, now }, answer)
            }
        };
        if let Some(service) = policy.remote_service.as_ref().filter(|service| is_simulated(&service.issuer)) {
            self.simulated = true;
            // Naming a root of a simulated vendor is asking, explicitly, for a platform that protects nothing.
            let asked = !examination.development_roots.is_empty();
            let wanted = "a service of hardware, or a development root that says what is asked for";
            let title = "class of the remote service";
            let _ = trail.step(Check::when(asked, Code::Simulated, title, wanted, service.issuer.as_str()));
        }
        let Parts { checks, expiries, .. } = trail.into_parts();
        self.checks.extend(checks);
        self.expiries.extend(expiries);
        if let Some(claims) = &claims {
            self.bound |= examination.nonce.is_some();
            let of_kind = |kind: &str| claims.devices.iter().filter(|device| device.name.starts_with(kind)).count();
            let numbers = numbers(of_kind("GPU-"), of_kind("SWITCH-"), policy).into_iter();
            self.checks.extend(numbers.filter(|check| check.state != State::Skip));
            let devices = claims.devices.iter().map(|device| {
                json!({
                    "name": device.name,
                    "ueid": device.ueid,
                    "hwmodel": device.hardware_model,
                    "driver_version": device.driver_version,
                    "vbios_version": device.vbios_version,
                    "warning": device.warning,
                })
            });
            self.remote = Some(json!({
                "nonce": hex::encode(&claims.nonce),
                "devices": devices.collect::<Vec<Value>>(),
                "valid_until": claims.until,
            }));
        }
        self.holds_so_far()?;
        // Without claims some check failed; were none to have, the answer is still no.
        claims.map(drop).ok_or_else(|| Refusal::new(Code::Signature, "the remote service's answer was not believed"))
    }
}
