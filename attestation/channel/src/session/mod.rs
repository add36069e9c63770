//! The client's decision: whether a prompt may be encrypted to the key in a response
//! (protocol.md 1.3 "Client verification order", with A1, A2, A3 and A18).

mod appraise;
mod devices;
mod instance;
mod platform;
mod trail;
mod workload;

use strongroom_attestation::{
    AuthenticatedClaims, Check, Code, DeviceSetClaims, Hardware, Refusal, Simulated, UnixTime, Verdict,
};

use crate::cose::VerifyingKey;
use crate::ohttp::{KeyConfig, Suite};
use crate::statement::EpochStatement;
use crate::trust_file::TrustFile;

use trail::Trail;

/// Longest life of a verdict in seconds, whatever else allows; a client asks again at 80 %.
pub const MAX_AGE: u64 = 300;

/// How far an instance's clock may be ahead of the client's, in seconds.
pub const CLOCK_SKEW: u64 = 120;

/// What the client holds a response against. All of it comes from the client's side.
#[derive(Clone, Copy)]
pub struct SessionWanted<'a> {
    /// What "yours" means; checked by [`crate::trust_file::verify`].
    pub trust: &'a TrustFile,
    /// The body of the attest request, exactly as sent.
    pub request_body: &'a [u8],
    /// Whether the user asked, explicitly, to accept a platform that protects nothing.
    pub accept_simulated: bool,
    /// The client's time.
    pub now: UnixTime,
    /// What was last seen of the instance, for telling forks and rollbacks.
    pub seen: Option<Seen>,
    /// The suites that the client speaks, the preferred first.
    pub suites: &'a [Suite],
}

/// What a client remembers of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Field 4 of the statement.
    pub instance_id: [u8; 16],
    /// Field 5 of the statement.
    pub epoch: u64,
    /// Hash of the statement.
    pub statement_hash: [u8; 32],
}

/// The outcome, with every check that was made, for people to read.
#[derive(Debug)]
pub struct SessionAppraisal {
    /// The checks in order; the first that failed decides the refusal's code.
    pub checks: Vec<Check>,
    /// The session, or why not (with the same checks).
    pub result: Result<VerifiedSession, Refusal>,
}

/// A response that passed every check. Only [`verify_session`] makes one.
#[derive(Debug)]
pub struct VerifiedSession {
    statement: EpochStatement,
    statement_hash: [u8; 32],
    key_config: KeyConfig,
    suite: Suite,
    instance_time: UnixTime,
    verdict: SessionVerdict,
    devices: Option<DeviceSetClaims>,
    valid_until: UnixTime,
    certified: bool,
}

/// The platform's verdict; its type says whether there is any hardware behind it.
#[derive(Debug)]
pub enum SessionVerdict {
    /// Evidence that leads to a compiled-in vendor root.
    Hardware(Verdict<Hardware>),
    /// Evidence of a simulated platform, accepted explicitly. It protects nothing.
    Simulated(Verdict<Simulated>),
}

impl SessionVerdict {
    /// What the evidence says.
    #[must_use]
    pub fn claims(&self) -> &AuthenticatedClaims {
        match self {
            SessionVerdict::Hardware(verdict) => verdict.claims(),
            SessionVerdict::Simulated(verdict) => verdict.claims(),
        }
    }
}

impl VerifiedSession {
    /// The epoch statement.
    #[must_use]
    pub fn statement(&self) -> &EpochStatement {
        &self.statement
    }

    /// Its hash: the inner header `strongroom-statement`, and what receipts name.
    #[must_use]
    pub fn statement_hash(&self) -> &[u8; 32] {
        &self.statement_hash
    }

    /// The key configuration to encrypt requests to.
    #[must_use]
    pub fn key_config(&self) -> &KeyConfig {
        &self.key_config
    }

    /// The suite to use with it: the client's most preferred of those offered.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The instance's key, which signs receipts.
    #[must_use]
    pub fn instance_key(&self) -> &VerifyingKey {
        &self.statement.signing_key
    }

    /// The instance's clock when it answered: a hint, for computing `strongroom-expires` (A8).
    #[must_use]
    pub fn instance_time(&self) -> UnixTime {
        self.instance_time
    }

    /// The platform's verdict.
    #[must_use]
    pub fn verdict(&self) -> &SessionVerdict {
        &self.verdict
    }

    /// What the instance's GPUs and switches say; `None` where it shows none.
    #[must_use]
    pub fn devices(&self) -> Option<&DeviceSetClaims> {
        self.devices.as_ref()
    }

    /// The last second in which a request may be sent: the earliest of [`MAX_AGE`], the
    /// statement's lifetime, the certificate, the trust file and the evidence's certificates.
    #[must_use]
    pub fn valid_until(&self) -> UnixTime {
        self.valid_until
    }

    /// Whether the platform is simulated, and so protects nothing.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        matches!(self.verdict, SessionVerdict::Simulated(_))
    }

    /// Whether the tenant certified this very machine and can end its right to serve. Where not, the trust
    /// file asked for neither, and another machine of the same make that runs the same may answer.
    #[must_use]
    pub fn is_certified(&self) -> bool {
        self.certified
    }

    /// What to remember of this instance.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen {
            instance_id: self.statement.instance_id,
            epoch: self.statement.epoch,
            statement_hash: self.statement_hash,
        }
    }
}

/// Checks an attest response, in this order; it stops after the step in which a check failed:
///
/// 1. request, response, statement and evidence parse: `PARSE`
/// 2. the profile and a suite are ones that the client speaks: `DOWNGRADE`
/// 3. the proof leads from the request's leaf to a root: `NONCE`
/// 4. the CPU's evidence leads to a vendor root: `CHAIN`, `SIGNATURE`, `REVOKED`, …
/// 5. it quotes SHA-512 of the preimage (A1), class and purpose being the client's own:
///    `REPORT_DATA`; a false proof or a swapped statement shows here
/// 6. platform and firmware are as the trust file's policy asks: `DEBUG`, `TCB`, …
/// 7. the launch measurement is one that the trust file names: `MEASUREMENT`, `HOST_DATA`
/// 8. the devices' evidence is what the statement says: `REPORT_DATA`; each GPU and switch leads to a
///    vendor root and answered this epoch's challenge; they are as many, and as they should be: `NONCE`,
///    `CHAIN`, `SIGNATURE`, `MEASUREMENT`, `PLATFORM_NOT_ALLOWED`, …
/// 9. the statement is of this deployment, in its time, and follows what was seen:
///    `DEPLOYMENT`, `STALE`, `FORK`
/// 10. the instance certificate is by the trust file's CA, for this key, and equals the
///     evidence; the instance key signed the preimage: `INSTANCE_CERT`. Where the trust file names no
///     CA there is no certificate, and a check says what that leaves open
/// 11. configuration, models, plugins, padding and logging are the trust file's, and there is a lease:
///     `POLICY`. Where the trust file names no CA there need be none, and a check says so
/// 12. provenance, which this version of the trust file cannot ask for: skipped
///
/// A simulated platform without `accept_simulated` is refused last, as `SIMULATED`, so that
/// the other checks can be read.
#[must_use]
pub fn verify_session(wanted: SessionWanted<'_>, response: &[u8]) -> SessionAppraisal {
    let mut trail = Trail::default();
    let session = appraise::appraise(&mut trail, &wanted, response);
    let checks = trail.into_checks();
    let result = match (Refusal::from_checks(checks.clone()), session) {
        (Some(refusal), _) => Err(refusal),
        (None, Some(session)) => Ok(session),
        // A step that gives nothing has noted why; were it not to have, the answer is still no.
        (None, None) => Err(Refusal {
            code: Code::Parse,
            detail: "the response was not examined to its end".to_owned(),
            checks: checks.clone(),
        }),
    };
    SessionAppraisal { checks, result }
}

#[cfg(test)]
mod tests;
