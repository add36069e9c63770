//! The decision: a pure function of the verdict, the request, the rules and the time. Every
//! requirement is answered, the failed ones too, so that "no" always says why.

use strongroom_attestation::{Check, Class, Code, DeviceSetClaims, Refusal, UnixTime, Verdict};
use strongroom_channel::deployment::DeploymentId;
use strongroom_channel::padding::Profile;
use strongroom_channel::statement::EpochStatement;
use strongroom_enclave_loader::provenance::SignerPolicy;
use strongroom_enclave_loader::release::{Lease, LeaseId, MAX_LEASES, ReleaseBody, WantedModel};

use crate::policy::{ActivePolicy, ReleasePolicy};
use crate::records::{LeaseState, ModelRecord};

/// What is asked for, after its evidence was found to hold.
pub(crate) struct Ask<'a> {
    pub(crate) models: &'a [WantedModel],
    pub(crate) subject: Subject<'a>,
    /// What the instance's devices say, which was found to hold.
    pub(crate) devices: Option<DeviceSetClaims>,
}

/// Who asks.
pub(crate) enum Subject<'a> {
    /// An instance of ours, with a statement and a request of its own.
    Instance { body: &'a ReleaseBody, statement: &'a EpochStatement },
    /// A client of the CoCo KBS protocol, which says nothing beyond its evidence.
    Kbs,
}

/// What it is held against.
pub(crate) struct Rules<'a> {
    pub(crate) deployment: &'a DeploymentId,
    pub(crate) policy: &'a ActivePolicy,
    /// The broker's record of each wanted model, in the order of the request.
    pub(crate) models: &'a [Option<KnownModel>],
    /// For a renewal, the broker's record of the lease it names.
    pub(crate) renewed: Option<&'a (Lease, LeaseState)>,
    /// The leases of an instance with this id, the first one first.
    pub(crate) leases: &'a [(Lease, LeaseState)],
    pub(crate) now: UnixTime,
}

/// A deposited model, and the highest version released under its name.
#[derive(Debug, Clone)]
pub(crate) struct KnownModel {
    pub(crate) record: ModelRecord,
    pub(crate) released: u64,
}

/// The answer yes. Only [`decide`] makes it, and issuing asks for it.
#[derive(Debug)]
pub(crate) struct Granted<K> {
    pub(crate) verdict: Verdict<K>,
    pub(crate) devices: Option<DeviceSetClaims>,
    pub(crate) models: Vec<ModelRecord>,
    /// How long the lease may last from now.
    pub(crate) lease_seconds: u64,
}

/// Decides. Grants only when every requirement holds; else the refusal carries the verdict's
/// checks and all of ours.
pub(crate) fn decide<K: Class>(verdict: Verdict<K>, ask: &Ask<'_>, rules: &Rules<'_>) -> Result<Granted<K>, Refusal> {
    let mut checks = verdict.checks().to_vec();
    let policy = &rules.policy.rules;
    let mut renewal = false;
    let mut asked_seconds = policy.lease_seconds;
    match &ask.subject {
        Subject::Instance { body, statement } => {
            checks.push(deployment(body, statement, rules));
            checks.extend(workload(statement, policy));
            match (body.renews, statement.workload.lease_id) {
                (Some(lease), _) => checks.extend(renewed_lease(lease, &verdict, body, statement, rules)),
                (None, Some(lease)) => checks.extend(further_lease(&lease, &verdict, body, statement, rules)),
                (None, None) => {
                    checks.extend(boot_epoch(statement));
                    checks.extend(rules.leases.first().map(|earlier| earlier_lease(earlier, statement, rules.now)));
                }
            }
            renewal = body.renews.is_some();
            asked_seconds = body.lease_seconds;
        }
        Subject::Kbs => checks.extend(kbs(verdict.claims().host_data(), policy)),
    }
    for (wanted, known) in ask.models.iter().zip(rules.models) {
        checks.extend(model(wanted, known.as_ref(), renewal, policy));
    }
    checks.push(Check::when(
        asked_seconds > 0,
        Code::Policy,
        "lease asked for",
        "at least a second",
        format!("{asked_seconds} s"),
    ));
    if let Some(refusal) = Refusal::from_checks(checks) {
        return Err(refusal);
    }
    // Evidence that was true until its certificates end carries no lease beyond that.
    let devices_until = ask.devices.as_ref().map(|devices| devices.valid_until);
    let until = devices_until.map_or(verdict.claims().valid_until(), |until| until.min(verdict.claims().valid_until()));
    let evidence_seconds = until.saturating_secs_since(rules.now);
    let lease_seconds = asked_seconds.min(policy.lease_seconds).min(evidence_seconds);
    let models: Option<Vec<ModelRecord>> =
        rules.models.iter().map(|known| known.as_ref().map(|known| known.record.clone())).collect();
    match models {
        Some(models) if models.len() == ask.models.len() && lease_seconds > 0 => {
            Ok(Granted { verdict, devices: ask.devices.clone(), models, lease_seconds })
        }
        _ => Err(Refusal::new(Code::Policy, "the evidence ends now, or the broker's records are incomplete")),
    }
}

/// Who signed the files, as it was verified at the deposit.
fn signer(record: &ModelRecord, signers: &SignerPolicy) -> Check {
    let (title, wanted) = (format!("signer of {}", record.name), "one of [signers] in the policy");
    let Some(signer) = &record.signer else {
        return Check::fail(Code::Policy, title, wanted, "nobody: deposit it with its signer's key");
    };
    match signers.accepts(&record.name, signer) {
        Ok(()) => Check::pass(Code::Policy, title, wanted, signer.to_string()),
        Err(error) => Check::fail(Code::Policy, title, wanted, error.to_string()),
    }
}

fn deployment(body: &ReleaseBody, statement: &EpochStatement, rules: &Rules<'_>) -> Check {
    let holds = statement.deployment == *rules.deployment && body.deployment == *rules.deployment;
    let found = match statement.deployment == body.deployment {
        true => statement.deployment.to_string(),
        false => format!("{} in the statement, {} in the request", statement.deployment, body.deployment),
    };
    Check::when(holds, Code::Deployment, "deployment", rules.deployment.as_str(), found)
}

/// What the instance says it runs, against what it may run.
fn workload(statement: &EpochStatement, rules: &ReleasePolicy) -> Vec<Check> {
    let workload = &statement.workload;
    let digest = &workload.config_digest;
    let mut checks = vec![
        Check::when(
            rules.config_digests.iter().any(|allowed| allowed.0 == *digest),
            Code::Policy,
            "configuration digest",
            one_of(rules.config_digests.iter().map(|allowed| hex::encode(allowed.0))),
            hex::encode(digest),
        ),
        Check::when(
            rules.logging.contains(&workload.logging),
            Code::Policy,
            "logging profile",
            one_of(rules.logging.iter().cloned()),
            workload.logging.clone(),
        ),
        Check::when(
            Profile::from_id(&workload.padding).is_some_and(|found| Some(found) >= Profile::from_id(&rules.padding)),
            Code::Policy,
            "padding profile",
            format!("{} or stronger", rules.padding),
            workload.padding.clone(),
        ),
    ];
    for plugin in &workload.plugins {
        checks.push(Check::when(
            rules.plugins.iter().any(|allowed| allowed.0 == plugin.digest),
            Code::Policy,
            format!("plugin {}", plugin.id),
            one_of(rules.plugins.iter().map(|allowed| hex::encode(allowed.0))),
            hex::encode(plugin.digest),
        ));
    }
    checks
}

/// A stock KBS client has no statement, so what it runs is told by the launch measurement and,
/// for its configuration, by the host data; and there is no lease to end (architecture.md,
/// decision 5), which the tenant must have wanted.
fn kbs(host_data: &[u8], rules: &ReleasePolicy) -> Vec<Check> {
    vec![
        Check::when(
            rules.kbs,
            Code::Policy,
            "release over the KBS protocol",
            "kbs = true in the policy",
            match rules.kbs {
                true => "allowed",
                false => "not allowed",
            },
        ),
        Check::when(
            rules.config_digests.iter().any(|allowed| allowed.0.as_slice() == host_data),
            Code::HostData,
            "host data (digest of the configuration)",
            one_of(rules.config_digests.iter().map(|allowed| hex::encode(allowed.0))),
            hex::encode(host_data),
        ),
    ]
}

/// The first keys go to an instance that has just booted and serves nothing (protocol.md A9).
fn boot_epoch(statement: &EpochStatement) -> Vec<Check> {
    let workload = &statement.workload;
    let idle = workload.models.is_empty() && workload.lease_id.is_none() && workload.policy_hash.is_none();
    vec![
        Check::when(statement.epoch == 1, Code::Stale, "boot epoch", "1", statement.epoch.to_string()),
        Check::when(
            idle,
            Code::Stale,
            "boot statement",
            "no model, lease or policy yet",
            match idle {
                true => "none",
                false => "an instance that serves already",
            },
        ),
    ]
}

/// An instance whose answer was lost may ask again. Nobody else may under its id, and neither
/// may an instance whose lease is over: a new one has a new id.
fn earlier_lease((lease, state): &(Lease, LeaseState), statement: &EpochStatement, now: UnixTime) -> Check {
    let own = lease.instance_key == statement.signing_key.thumbprint();
    let found = match (own, state) {
        (false, _) => "an id that another instance has",
        (true, LeaseState::Live) if now < lease.expires => "an id of its own",
        (true, LeaseState::Live) => "an instance whose lease expired; start it anew",
        (true, LeaseState::Revoked) => "an instance whose lease was revoked; start it anew",
        (true, LeaseState::Forked) => "an instance of which two copies were seen; start it anew",
    };
    let holds = own && state.in_force(lease, now);
    Check::when(holds, Code::Fork, "instance id", "one of its own, with its last lease in force", found)
}

/// An instance that serves may ask for models that it does not serve yet: beside the lease that its statement
/// names, with the same key, on the same machine. All that it serves must be under leases in force.
fn further_lease<K: Class>(
    id: &[u8; 16],
    verdict: &Verdict<K>,
    body: &ReleaseBody,
    statement: &EpochStatement,
    rules: &Rules<'_>,
) -> Vec<Check> {
    let named = rules.leases.iter().find(|(lease, _)| lease.lease_id.as_bytes() == id);
    let Some((lease, state)) = named else {
        let found = format!("{}, which is none of its leases", hex::encode(id));
        return vec![Check::fail(Code::Fork, "lease in the statement", "a lease of this instance", found)];
    };
    let standing = standing(lease, *state, rules.now);
    let code = if *state == LeaseState::Forked { Code::Fork } else { Code::Stale };
    let own = lease.instance_key == statement.signing_key.thumbprint();
    let stated = &statement.workload.models;
    let served = body.models.iter().find(|model| stated.contains(&model.model_id));
    let stranger = stated.iter().find(|model| !leased(model, rules));
    let count = rules.leases.iter().filter(|(lease, _)| rules.now < lease.expires).count();
    vec![
        Check::when(state.in_force(lease, rules.now), code, "lease in the statement", "live", standing),
        Check::when(own, Code::Fork, "instance of the lease", "its key", if own { "its key" } else { "another key" }),
        platform_of(lease, verdict.claims().platform_identity()),
        Check::when(
            stranger.is_none(),
            Code::Policy,
            "models in the statement",
            "models of leases in force",
            stranger.map_or_else(|| "no others".to_owned(), hex::encode),
        ),
        Check::when(
            served.is_none(),
            Code::Stale,
            "models asked for",
            "models that are not served yet",
            served.map_or_else(|| "none is".to_owned(), |model| hex::encode(model.model_id)),
        ),
        Check::when(
            count < MAX_LEASES,
            Code::Policy,
            "leases of the instance",
            format!("fewer than {MAX_LEASES} that have not run out"),
            count.to_string(),
        ),
    ]
}

fn standing(lease: &Lease, state: LeaseState, now: UnixTime) -> &'static str {
    match state {
        LeaseState::Live if now < lease.expires => "live",
        LeaseState::Live => "expired",
        LeaseState::Revoked => "revoked",
        LeaseState::Forked => "forked",
    }
}

/// Whether a lease of the instance that is in force names this model.
fn leased(model: &[u8; 32], rules: &Rules<'_>) -> bool {
    rules.leases.iter().any(|(lease, state)| state.in_force(lease, rules.now) && lease.models.contains(model))
}

fn platform_of(lease: &Lease, identity: Option<&[u8]>) -> Check {
    Check::when(
        identity == lease.platform_identity.as_deref(),
        Code::PlatformNotAllowed,
        "platform of the lease",
        identity_text(lease.platform_identity.as_deref()),
        identity_text(identity),
    )
}

/// A renewal is for the same instance on the same machine, and for no more than it had.
fn renewed_lease<K: Class>(
    id: LeaseId,
    verdict: &Verdict<K>,
    body: &ReleaseBody,
    statement: &EpochStatement,
    rules: &Rules<'_>,
) -> Vec<Check> {
    let Some((lease, state)) = rules.renewed else {
        return vec![Check::fail(Code::Stale, "lease to renew", "a lease of this broker", format!("{id}, unknown"))];
    };
    let standing = standing(lease, *state, rules.now);
    let code = if *state == LeaseState::Forked { Code::Fork } else { Code::Stale };
    let mut stated = rules.leases.iter().filter(|(other, state)| state.in_force(other, rules.now) || other == lease);
    let same_instance = lease.instance_id == statement.instance_id
        && lease.instance_key == statement.signing_key.thumbprint()
        && stated.any(|(other, _)| statement.workload.lease_id == Some(*other.lease_id.as_bytes()));
    let identity = verdict.claims().platform_identity();
    let same_models = body.models.iter().map(|model| &model.model_id).eq(lease.models.iter())
        && statement.workload.models.iter().all(|model| lease.models.contains(model) || leased(model, rules));
    vec![
        Check::when(state.in_force(lease, rules.now), code, "lease to renew", "live", standing),
        Check::when(
            same_instance,
            Code::Fork,
            "instance of the lease",
            format!("instance {}, its key, and a lease of its own in its statement", hex::encode(lease.instance_id)),
            hex::encode(statement.instance_id),
        ),
        platform_of(lease, identity),
        Check::when(
            same_models,
            Code::Policy,
            "models of the lease",
            one_of(lease.models.iter().map(hex::encode)),
            one_of(body.models.iter().map(|model| hex::encode(model.model_id))),
        ),
    ]
}

/// One wanted model: known, in the policy, and never older than what was released before.
fn model(wanted: &WantedModel, known: Option<&KnownModel>, renewal: bool, rules: &ReleasePolicy) -> Vec<Check> {
    let id = hex::encode(wanted.model_id);
    let Some(known) = known else {
        return vec![Check::fail(Code::Policy, "model", "a model that was deposited", format!("{id}, unknown"))];
    };
    let record = &known.record;
    let least = rules.models.get(&record.name);
    let mut checks = vec![
        Check::when(
            wanted.version == record.version,
            Code::Policy,
            format!("version of {}", record.name),
            format!("{} (the version of model {id})", record.version),
            wanted.version.to_string(),
        ),
        Check::when(
            least.is_some_and(|least| record.version >= *least),
            Code::Policy,
            format!("{} in the policy", record.name),
            least.map_or_else(|| "a name in [models]".to_owned(), |least| format!("version {least} or later")),
            format!("{} version {}", record.name, record.version),
        ),
    ];
    checks.extend(rules.signers.as_ref().map(|signers| signer(record, signers)));
    // A running instance keeps its model while a newer one is rolled out; a new one starts newer.
    if !renewal {
        checks.push(Check::when(
            record.version >= known.released,
            Code::Policy,
            format!("rollback of {}", record.name),
            format!("version {} or later, which was released before", known.released),
            record.version.to_string(),
        ));
    }
    checks
}

fn one_of(allowed: impl Iterator<Item = String>) -> String {
    let allowed: Vec<String> = allowed.collect();
    match allowed.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}

fn identity_text(identity: Option<&[u8]>) -> String {
    identity.map_or_else(|| "not shown".to_owned(), hex::encode)
}
