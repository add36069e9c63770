//! An item in a line or two, and for programs.

use serde_json::{Value, json};
use strongroom_attestation::UnixTime;
use strongroom_endorsements::{Answer, Item, Want};

use super::freshness;
use crate::trust::now;

const DAY: u64 = 24 * 60 * 60;

/// One object for programs. `sha256` is there for manifests, `status` for OCSP answers.
pub(super) fn item_json(item: &Item) -> Value {
    let description = item.description();
    let left = description.expires.map(|expires| days_left(expires, now()));
    let mut value = json!({
        "want": item.want().to_string(), "url": item.url(), "fetched_at": item.fetched_at(),
        "subject": description.subject, "issued": description.issued, "expires": description.expires,
        "evaluation": description.evaluation, "days_left": left,
    });
    if let Some(sha256) = &description.sha256 {
        value["sha256"] = json!(sha256);
    }
    if let Some(status) = &description.status {
        value["status"] = json!(status);
    }
    value
}

/// The same of an item that was just fetched, with its age.
pub(super) fn fetched_json(answer: &Answer) -> Value {
    let mut value = item_json(&answer.item);
    let (state, age, why) = freshness(answer);
    value["freshness"] = json!({ "state": state, "age": age, "why": why });
    value
}

/// Two lines for people.
pub(super) fn item_text(item: &Item) -> String {
    let description = item.description();
    let evaluation = description.evaluation.map_or_else(String::new, |number| format!(", evaluation {number}"));
    let expires = match description.expires {
        None => "no expiry".to_owned(),
        Some(expires) => match days_left(expires, now()) {
            0 if expires > now() => format!("expires {expires}, within a day"),
            days if days > 0 => format!("expires {expires}, {days} days left"),
            _ => format!("EXPIRED {expires}"),
        },
    };
    let status = description.status.as_ref().map_or_else(String::new, |status| format!(", {status}"));
    let digest = description.sha256.map_or_else(String::new, |sha256| format!("\n    sha256 {sha256}"));
    // A manifest has no date of its own: its signer's certificate has.
    let issued = if matches!(item.want(), Want::NvidiaManifest { .. }) { "signer valid since" } else { "issued" };
    format!(
        "{}\n    {}{evaluation}{status}, {issued} {}, {expires}, fetched {}{digest}",
        item.want(),
        description.subject,
        description.issued,
        item.fetched_at()
    )
}

/// Whole days; negative when it is over.
fn days_left(expires: UnixTime, now: UnixTime) -> i64 {
    let days = |from: UnixTime, to: UnixTime| i64::try_from(to.saturating_secs_since(from) / DAY).unwrap_or(i64::MAX);
    if expires > now { days(now, expires) } else { days(expires, now).saturating_neg().min(-1) }
}
