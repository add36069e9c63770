//! Looking into sealed models: what one says, how two differ.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use strongroom_enclave_loader::{Description, FileEntry, SealedModel};

use super::opened::Opened;
use crate::arguments::{Opener, Sealed};
use crate::exit_code::Exit;
use crate::output::{Failure, Output};

pub(super) fn inspect(which: &Sealed, opener: &Opener, output: Output) -> Result<Exit, Failure> {
    let opened = Opened::new(&which.sealed, &which.publisher, opener)?;
    let files = opened.inside.map(|model| model.files().iter().map(file).collect());
    let inspected = Inspected { description: opened.manifest.description(), files };
    let text = serde_json::to_string_pretty(&inspected).unwrap_or_default();
    output.result(&inspected, text);
    Ok(Exit::Done)
}

/// What a sealed model says of itself, and what is inside.
#[derive(Serialize)]
struct Inspected {
    #[serde(flatten)]
    description: Description,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<Value>>,
}

pub(super) fn diff(
    (old, new): (&Path, &Path),
    publisher: &str,
    opener: &Opener,
    output: Output,
) -> Result<Exit, Failure> {
    let (old, new) = (Opened::new(old, publisher, opener)?, Opened::new(new, publisher, opener)?);
    let described = |opened: &Opened| serde_json::to_value(opened.manifest.description()).unwrap_or_default();
    let (before, after) = (described(&old), described(&new));
    let follows = new.manifest.previous() == Some(old.manifest.model_id());
    let mut value = json!({
        "same": old.manifest.model_id() == new.manifest.model_id(), "follows": follows, "fields": fields(&before, &after),
    });
    if let (Some(old), Some(new)) = (&old.inside, &new.inside) {
        value["files"] = files(old, new);
    }
    output.result(&value, lines(&value));
    Ok(Exit::Done)
}

/// What is public and differs, as `[before, after]`.
fn fields(before: &Value, after: &Value) -> Value {
    let before = before.as_object().into_iter().flatten();
    let differing = before.filter(|(name, value)| after[name.as_str()] != **value);
    differing.map(|(name, value)| (name.clone(), json!([value, after[name.as_str()]]))).collect()
}

fn files(old: &SealedModel, new: &SealedModel) -> Value {
    let by_path = |model: &SealedModel| -> BTreeMap<String, FileEntry> {
        model.files().iter().map(|file| (file.path.clone(), file.clone())).collect()
    };
    let (old, new) = (by_path(old), by_path(new));
    let only = |these: &BTreeMap<String, FileEntry>, those: &BTreeMap<String, FileEntry>| -> Vec<Value> {
        these.values().filter(|entry| !those.contains_key(&entry.path)).map(file).collect()
    };
    let changed = new.values().filter_map(|now| {
        let before = old.get(&now.path).filter(|before| before.sha256() != now.sha256())?;
        Some(json!({ "path": now.path, "before": file(before), "after": file(now) }))
    });
    json!({
        "added": only(&new, &old), "removed": only(&old, &new), "changed": changed.collect::<Vec<_>>(),
        "unchanged": new.values().filter(|now| old.get(&now.path).is_some_and(|old| old.sha256() == now.sha256())).count(),
    })
}

fn file(file: &FileEntry) -> Value {
    json!({ "path": file.path, "kind": file.kind.as_str(), "len": file.len, "sha256": hex::encode(file.sha256()) })
}

fn lines(value: &Value) -> String {
    let mut lines = Vec::new();
    lines.push(match (value["same"] == true, value["follows"] == true) {
        (true, _) => "the same sealed model".to_owned(),
        (false, true) => "the newer names the older as its previous version".to_owned(),
        (false, false) => "neither names the other".to_owned(),
    });
    for (name, pair) in value["fields"].as_object().into_iter().flatten() {
        lines.push(format!("{name}: {} -> {}", pair[0], pair[1]));
    }
    let paths = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|entry| entry["path"].as_str().map(str::to_owned)).collect()
    };
    for (sign, list) in [("+", "added"), ("-", "removed"), ("~", "changed")] {
        lines.extend(paths(&value["files"][list]).into_iter().map(|path| format!("{sign} {path}")));
    }
    if let Some(unchanged) = value["files"]["unchanged"].as_u64() {
        lines.push(format!("{unchanged} files are the same"));
    }
    lines.join("\n")
}
