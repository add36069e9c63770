//! Manifests in a folder of one's own, as NVIDIA's tools keep them: `<ID>.xml` or `<ID>.swidtag`.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use strongroom_attestation::UnixTime;

use crate::item::{Artefact, Item, MAX_BODY, Role};
use crate::want::Want;

const EXTENSIONS: [&str; 2] = ["xml", "swidtag"];

/// The first of `folders` that has `want` answers it; with it, what was wrong with files of that name before it.
/// Other wants than manifests are in no folder.
pub(crate) fn from_stores(want: &Want, folders: &[PathBuf], now: UnixTime) -> (Option<Item>, Vec<String>) {
    let mut faults = Vec::new();
    let Want::NvidiaManifest { id } = want else { return (None, faults) };
    for folder in folders {
        for extension in EXTENSIONS {
            let name = format!("{id}.{extension}");
            match read(&folder.join(&name)) {
                None => {}
                Some(read) => match read.and_then(|bytes| item(want, &name, bytes, now)) {
                    Ok(item) => return (Some(item), faults),
                    Err(why) => faults.push(format!("{}: {why}", folder.join(&name).display())),
                },
            }
        }
    }
    (None, faults)
}

fn item(want: &Want, name: &str, bytes: Vec<u8>, now: UnixTime) -> Result<Item, String> {
    // The folder is nobody else's business: items are carried to other sites.
    let url = format!("file:///{name}");
    Item::new(want.clone(), url, now, vec![Artefact { role: Role::Object, bytes }])
}

/// `None` where there is no such file.
fn read(path: &Path) -> Option<Result<Vec<u8>, String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return Some(Err(error.to_string())),
    };
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string());
    Some(read.and_then(|_| match bytes.len() {
        length if length > MAX_BODY => Err(format!("more than {MAX_BODY} bytes")),
        _ => Ok(bytes),
    }))
}
