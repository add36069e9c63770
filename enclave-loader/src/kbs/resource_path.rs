//! Where a KBS keeps a resource: `repository/type/tag`.

use std::fmt;
use std::str::FromStr;

/// The usual type of a model's keys.
pub const MODEL_KEY: &str = "model-key";

/// Characters of one part at most.
const PART_MAX: usize = 128;

/// A resource's path: three parts of letters, digits, `.`, `-` and `_`, none of which begins with `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePath(String);

/// A text that is no resource's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no repository/type/tag, each of letters, digits, '.', '-' and '_'")]
pub struct ResourcePathError;

impl ResourcePath {
    /// Where a model's keys usually are: `name/model-key/version`.
    ///
    /// # Errors
    /// [`ResourcePathError`] for a name with other characters than a path has.
    pub fn of_model(name: &str, version: u64) -> Result<Self, ResourcePathError> {
        format!("{name}/{MODEL_KEY}/{version}").parse()
    }

    /// The path as it stands in an address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ResourcePath {
    type Err = ResourcePathError;

    fn from_str(text: &str) -> Result<Self, ResourcePathError> {
        let plain = |part: &str| {
            let character = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
            (1..=PART_MAX).contains(&part.len()) && !part.starts_with('.') && part.chars().all(character)
        };
        match text.split('/').collect::<Vec<_>>().as_slice() {
            parts @ [_, _, _] if parts.iter().all(|part| plain(part)) => Ok(Self(text.to_owned())),
            _ => Err(ResourcePathError),
        }
    }
}

impl fmt::Display for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_plain_parts_are_a_path_and_nothing_that_an_address_would_read_otherwise_is() {
        assert_eq!(ResourcePath::of_model("llama", 3).unwrap().as_str(), "llama/model-key/3");
        assert!("a.b/c-d/e_f".parse::<ResourcePath>().is_ok());
        for text in ["", "a/b", "a/b/c/d", "/b/c", "a/../c", "a/b/c?x", "a/b/c#x", "a b/c/d", "a/%2e/c", "ä/b/c"] {
            assert_eq!(text.parse::<ResourcePath>(), Err(ResourcePathError), "{text}");
        }
        assert!(ResourcePath::of_model("llama:3", 1).is_err());
    }
}
