//! Step 11: what the instance runs, against the trust file.

use strongroom_attestation::{Check, Code};

use crate::padding::Profile;
use crate::statement::Workload;
use crate::trust_file::TrustFile;

/// Each requirement is answered, whichever fails.
pub(super) fn appraise(trust: &TrustFile, workload: &Workload) -> [Check; 6] {
    [
        configuration(trust, workload),
        models(trust, workload),
        plugins(trust, workload),
        padding(trust, workload),
        logging(trust, workload),
        lease(trust, workload),
    ]
}

fn configuration(trust: &TrustFile, workload: &Workload) -> Check {
    let holds = trust.config_digests.contains(&workload.config_digest);
    let wanted = one_of(trust.config_digests.iter().map(hex::encode));
    Check::when(holds, Code::Policy, "configuration", wanted, hex::encode(workload.config_digest))
}

/// At least one model, and only listed ones. A model's id covers its version (A6), so an
/// older version is another id, which a newer trust file no longer lists.
fn models(trust: &TrustFile, workload: &Workload) -> Check {
    let listed = |id: &[u8; 32]| trust.models.iter().find(|model| model.model_id == *id);
    let holds = !workload.models.is_empty() && workload.models.iter().all(|id| listed(id).is_some());
    let found = workload
        .models
        .iter()
        .map(|id| listed(id).map_or_else(|| format!("{} (not listed)", hex::encode(id)), |model| model.name.clone()));
    let wanted = one_of(trust.models.iter().map(|model| {
        format!("{} (version {} or later) {}", model.name, model.least_version, hex::encode(model.model_id))
    }));
    Check::when(holds, Code::Policy, "models", format!("at least one, each {wanted}"), all_of(found))
}

fn plugins(trust: &TrustFile, workload: &Workload) -> Check {
    let holds = workload.plugins.iter().all(|plugin| trust.plugins.contains(&plugin.digest));
    let wanted = format!("none, or each {}", one_of(trust.plugins.iter().map(hex::encode)));
    let found = workload.plugins.iter().map(|plugin| format!("{} {}", plugin.id, hex::encode(plugin.digest)));
    Check::when(holds, Code::Policy, "plugins", wanted, all_of(found))
}

/// Profiles are ordered by how much they hide; one that this version does not know is refused
/// on either side.
fn padding(trust: &TrustFile, workload: &Workload) -> Check {
    let holds = match (Profile::from_id(&trust.padding), Profile::from_id(&workload.padding)) {
        (Some(least), Some(found)) => found >= least,
        _ => false,
    };
    Check::when(holds, Code::Policy, "padding", format!("{} or more", trust.padding), workload.padding.clone())
}

fn logging(trust: &TrustFile, workload: &Workload) -> Check {
    let holds = trust.logging.contains(&workload.logging);
    Check::when(holds, Code::Policy, "logging", one_of(trust.logging.iter().cloned()), workload.logging.clone())
}

/// Who issues certificates to instances also ends their leases. Where nobody does, what runs goes on
/// until it is stopped.
fn lease(trust: &TrustFile, workload: &Workload) -> Check {
    let (title, wanted) = ("lease", "one that the tenant can end");
    match workload.lease_id {
        Some(lease) => Check::pass(Code::Policy, title, wanted, hex::encode(lease)),
        None if trust.instance_ca.is_some() => Check::fail(Code::Policy, title, wanted, "none"),
        None => Check::skip(
            Code::Policy,
            title,
            "nothing: the trust file names no CA",
            "none: this instance's right to serve is not revocable",
        ),
    }
}

fn one_of(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        "one of none: the trust file lists none".to_owned()
    } else {
        format!("one of {}", items.join(", "))
    }
}

fn all_of(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}
