//! The folder of one platform's vectors, as it is written: what several vectors have is kept
//! once, in `shared/`.

use std::{collections::BTreeMap, error::Error, fs, path::PathBuf};

use crate::vector::{self, Expected};

/// A file and its name.
pub(crate) type File = (&'static str, Vec<u8>);

pub(crate) struct Set {
    folder: PathBuf,
    number: u32,
    /// Path, relative to a vector's folder, by content.
    shared: BTreeMap<Vec<u8>, String>,
}

impl Set {
    /// An empty set, whatever was there before. Its README stays.
    pub(crate) fn empty(platform: &str) -> Result<Self, Box<dyn Error>> {
        let folder = vector::folder(platform);
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)?.flatten() {
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self { folder, number: 0, shared: BTreeMap::new() })
    }

    /// A file for many vectors, in a folder beside theirs. Its path as a vector sees it.
    pub(crate) fn share(&mut self, folder: &str, name: &str, content: &[u8]) -> Result<String, Box<dyn Error>> {
        fs::create_dir_all(self.folder.join(folder))?;
        fs::write(self.folder.join(folder).join(name), content)?;
        let path = format!("../{folder}/{name}");
        self.shared.entry(content.to_vec()).or_insert_with(|| path.clone());
        Ok(path)
    }

    /// One vector with these files; those that are shared are only named.
    pub(crate) fn write(
        &mut self,
        expected: Expected,
        evidence: &[File],
        endorsements: &[File],
    ) -> Result<(), Box<dyn Error>> {
        self.number += 1;
        let folder = self.folder.join(format!("{:03}-{}", self.number, expected.name));
        fs::create_dir(&folder)?;
        let name_all = |files: &[File]| -> Result<Vec<String>, Box<dyn Error>> {
            let mut names: Vec<String> = Vec::new();
            let mut seen: Vec<&[u8]> = Vec::new();
            for (name, content) in files {
                // Two chains may be the same.
                if seen.contains(&content.as_slice()) {
                    continue;
                }
                seen.push(content);
                match self.shared.get(content) {
                    Some(path) => names.push(path.clone()),
                    None => {
                        fs::write(folder.join(name), content)?;
                        names.push((*name).to_owned());
                    }
                }
            }
            Ok(names)
        };
        let policy_file = expected.policy.as_ref().and_then(|policy| self.shared.get(policy.as_bytes())).cloned();
        let expected = Expected {
            policy: expected.policy.filter(|_| policy_file.is_none()),
            policy_file,
            evidence: Some(name_all(evidence)?),
            endorsements: Some(name_all(endorsements)?),
            ..expected
        };
        fs::write(folder.join("expected.json"), serde_json::to_string_pretty(&expected)? + "\n")?;
        Ok(())
    }

    /// How many were written.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}
