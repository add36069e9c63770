//! The steps in their order. Each notes its checks; the numbers are those of
//! [`super::verify_session`].

use strongroom_attestation::{Check, Code, UnixTime};

use super::trail::Trail;
use super::{
    CLOCK_SKEW, MAX_AGE, Seen, SessionVerdict, SessionWanted, VerifiedSession, devices, instance, platform, workload,
};
use crate::attest::{AttestRequest, AttestResponse, PROFILE_OHTTP};
use crate::binding::{self, Class, Purpose};
use crate::cose::media;
use crate::freshness;
use crate::ohttp::{KeyConfig, Suite};
use crate::statement::{self, EpochStatement};
use crate::trust_file::Environment;

/// What parsed, and nothing more.
pub(super) struct Parsed {
    pub(super) request: AttestRequest,
    pub(super) response: AttestResponse,
    pub(super) statement: EpochStatement,
    pub(super) statement_hash: [u8; 32],
}

pub(super) fn appraise(trail: &mut Trail, wanted: &SessionWanted<'_>, response: &[u8]) -> Option<VerifiedSession> {
    // 1. Parse.
    let parsed = parse(trail, wanted, response)?;
    let submitted = platform::parse(trail, &parsed.response)?;
    // 2. Profile and suite.
    let (key_config, suite) = downgrade(trail, wanted, &parsed)?;
    // 3. The client's nonce is under the root.
    let root = freshness(trail, wanted, &parsed.response)?;
    // 4 to 7. The CPU's evidence, bound to the preimage; the platform; what it launched.
    let class = match wanted.trust.environment {
        Environment::Production => Class::Hardware,
        Environment::Development => Class::Simulated,
    };
    let preimage = binding::preimage(class, Purpose::Session, &parsed.statement_hash, &root, parsed.response.tree_size);
    trail.step(this_question(&parsed, &preimage))?;
    let verdict = platform::appraise(trail, wanted, &submitted, &preimage)?;
    // 8. Devices.
    trail.step(device_digest(&parsed))?;
    let devices = devices::appraise(trail, wanted, &parsed, &submitted)?;
    // 9. The statement.
    trail.steps([
        trust_file_in_time(wanted),
        deployment(wanted, &parsed),
        in_time(wanted, &parsed.statement),
        history(wanted, &parsed),
    ])?;
    // 10. The instance certificate.
    let identity_ends = instance::appraise(trail, wanted, &parsed, (verdict.claims(), devices.as_ref()), &preimage)?;
    // 11. The workload.
    trail.steps(workload::appraise(wanted.trust, &parsed.statement.workload))?;
    // 12. Provenance.
    let nothing = "nothing: this version of the trust file asks for none";
    trail.step(Check::skip(Code::Transparency, "provenance", nothing, "not examined"))?;
    // Last, so that all the rest can be read: is there any hardware?
    trail.step(real(wanted, &verdict))?;

    let ends = [
        wanted.now.saturating_add_secs(MAX_AGE),
        UnixTime::from_secs(parsed.statement.expires()),
        identity_ends,
        wanted.trust.not_after,
        verdict.claims().valid_until(),
        devices.as_ref().map_or(wanted.trust.not_after, |devices| devices.valid_until),
    ];
    Some(VerifiedSession {
        statement_hash: parsed.statement_hash,
        statement: parsed.statement,
        key_config,
        suite,
        instance_time: UnixTime::from_secs(parsed.response.time),
        valid_until: ends.into_iter().fold(wanted.trust.not_after, UnixTime::min),
        verdict,
        devices,
        certified: wanted.trust.instance_ca.is_some(),
    })
}

fn parse(trail: &mut Trail, wanted: &SessionWanted<'_>, response: &[u8]) -> Option<Parsed> {
    let request = trail.parsed("attest request", AttestRequest::from_bytes(wanted.request_body))?;
    let response = trail.parsed("attest response", AttestResponse::from_bytes(response))?;
    let statement = trail.parsed("epoch statement", EpochStatement::decode(&response.statement))?;
    let statement_hash = statement::hash(&response.statement);
    Some(Parsed { request, response, statement, statement_hash })
}

fn downgrade(trail: &mut Trail, wanted: &SessionWanted<'_>, parsed: &Parsed) -> Option<(KeyConfig, Suite)> {
    let asked = parsed.request.profiles.iter().any(|profile| profile == PROFILE_OHTTP);
    trail.step(Check::when(
        asked,
        Code::Downgrade,
        "profile",
        PROFILE_OHTTP,
        if asked { PROFILE_OHTTP } else { "not asked for" },
    ))?;
    let configs = trail.parsed("key configurations", KeyConfig::parse_list(&parsed.statement.key_configs))?;
    let offering = |suite: Suite| {
        configs.iter().find(|config| config.suites().contains(&suite)).map(|config| (config.clone(), suite))
    };
    let chosen = wanted.suites.iter().copied().find_map(offering);
    let offered: Vec<String> = configs.iter().flat_map(KeyConfig::suites).map(|suite| format!("{suite:?}")).collect();
    let found = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
    trail.step(Check::when(
        chosen.is_some(),
        Code::Downgrade,
        "suite",
        format!("one of {:?}", wanted.suites),
        found,
    ))?;
    chosen
}

fn freshness(trail: &mut Trail, wanted: &SessionWanted<'_>, response: &AttestResponse) -> Option<[u8; 32]> {
    let leaf = freshness::leaf(wanted.request_body);
    let root = freshness::root_from_proof(leaf, response.leaf_index, response.tree_size, &response.proof);
    let found = format!("leaf {} of {}, {} hashes", response.leaf_index, response.tree_size, response.proof.len());
    trail.step(Check::when(
        root.is_some(),
        Code::Nonce,
        "freshness proof",
        "a proof that leads from this request to a root",
        found,
    ))?;
    root
}

/// A genuine answer to an earlier question proves another root, and its signature says so.
/// Without this a replay would still be refused, as evidence that proves something else;
/// here it gets its own name. Whose signature it is comes with the certificate, later.
fn this_question(parsed: &Parsed, preimage: &[u8]) -> Check {
    let (title, wanted) = ("this question", "an answer that proves the root of this request's proof");
    let signed = parsed.statement.signing_key.verify1(media::PROOF, &parsed.response.instance_signature);
    match signed {
        Ok(signed) if signed == preimage => Check::pass(Code::Nonce, title, wanted, "that root"),
        Ok(signed) if binding::same_but_for_root(&signed, preimage) => {
            Check::fail(Code::Nonce, title, wanted, "the answer to another question: a replay")
        }
        _ => Check::skip(Code::Nonce, title, wanted, "a signature over something else; judged with the certificate"),
    }
}

/// The statement's digest must be that of the device evidence in the response.
fn device_digest(parsed: &Parsed) -> Check {
    let found = parsed.response.evidence.device_digest();
    Check::when(
        found == parsed.statement.device_digest,
        Code::ReportData,
        "device evidence",
        hex::encode(parsed.statement.device_digest),
        hex::encode(found),
    )
}

fn trust_file_in_time(wanted: &SessionWanted<'_>) -> Check {
    let end = wanted.trust.not_after;
    Check::when(
        wanted.now <= end,
        Code::Stale,
        "trust file",
        format!("valid at {}", wanted.now),
        format!("until {end}"),
    )
}

fn deployment(wanted: &SessionWanted<'_>, parsed: &Parsed) -> Check {
    let trusted = &wanted.trust.deployment;
    let (asked, stated) = (&parsed.request.deployment, &parsed.statement.deployment);
    let found = if asked == stated { stated.to_string() } else { format!("asked for {asked}, stated {stated}") };
    Check::when(asked == trusted && stated == trusted, Code::Deployment, "deployment", trusted.to_string(), found)
}

fn in_time(wanted: &SessionWanted<'_>, statement: &EpochStatement) -> Check {
    let (issued, ends) = (UnixTime::from_secs(statement.issued_at), UnixTime::from_secs(statement.expires()));
    let holds = issued <= wanted.now.saturating_add_secs(CLOCK_SKEW) && wanted.now <= ends;
    Check::when(
        holds,
        Code::Stale,
        "statement's lifetime",
        format!("valid at {}", wanted.now),
        format!("{issued} to {ends}"),
    )
}

/// For one instance: no lower epoch, no second statement for an epoch, and the next epoch
/// names the last statement as its predecessor.
fn history(wanted: &SessionWanted<'_>, parsed: &Parsed) -> Check {
    let (title, statement) = ("instance's history", &parsed.statement);
    let found = format!("epoch {}", statement.epoch);
    let seen = wanted.seen.filter(|seen| seen.instance_id == statement.instance_id);
    let Some(Seen { epoch, statement_hash, .. }) = seen else {
        return Check::skip(Code::Fork, title, "nothing: this instance was not seen before", found);
    };
    if statement.epoch < epoch {
        return Check::fail(Code::Fork, title, format!("epoch {epoch} or later"), found);
    }
    if statement.epoch == epoch && parsed.statement_hash != statement_hash {
        return Check::fail(
            Code::Fork,
            title,
            format!("epoch {epoch} as seen before"),
            "another statement for the same epoch",
        );
    }
    if Some(statement.epoch) == epoch.checked_add(1) && statement.previous != statement_hash {
        return Check::fail(
            Code::Fork,
            title,
            format!("a successor of epoch {epoch} as seen before"),
            "the successor of another statement",
        );
    }
    Check::pass(Code::Fork, title, format!("epoch {epoch} as seen before, or later"), found)
}

fn real(wanted: &SessionWanted<'_>, verdict: &SessionVerdict) -> Check {
    match verdict {
        SessionVerdict::Hardware(_) => Check::pass(Code::Simulated, "hardware", "a vendor's hardware", "hardware"),
        SessionVerdict::Simulated(_) if wanted.accept_simulated => {
            let found = "a simulated platform, which protects nothing, accepted because you asked";
            Check::skip(Code::Simulated, "hardware", "a vendor's hardware", found)
        }
        SessionVerdict::Simulated(_) => {
            let found = "a simulated platform, which protects nothing";
            Check::fail(Code::Simulated, "hardware", "a vendor's hardware", found)
        }
    }
}
