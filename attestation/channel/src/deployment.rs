//! The name of a deployment: a lower-case DNS label that the tenant chose (protocol.md A12).

use std::fmt;

/// Longest DNS label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// A deployment's id: 1 to 63 of `a-z`, `0-9` and `-`, with no `-` at either end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId(String);

/// The text is not a lower-case DNS label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a deployment id is 1 to 63 of a-z, 0-9 and '-', with no '-' at either end")]
pub struct DeploymentIdError;

impl DeploymentId {
    /// Checks the text. Upper case is refused, not folded: two spellings would be two hashes.
    pub fn parse(text: &str) -> Result<DeploymentId, DeploymentIdError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let sound = (1..=MAX_LABEL).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if sound { Ok(DeploymentId(text.to_owned())) } else { Err(DeploymentIdError) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The authority of encapsulated requests, `<id>.strongroom.invalid`: a name that no
    /// resolver ever answers (RFC 6761 section 6.4), so that a request meant for inside
    /// cannot be sent outside by mistake.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}.strongroom.invalid", self.0)
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeploymentId({})", self.0)
    }
}

impl AsRef<str> for DeploymentId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for DeploymentId {
    type Err = DeploymentIdError;

    fn from_str(text: &str) -> Result<DeploymentId, DeploymentIdError> {
        DeploymentId::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_taken() {
        for label in ["a", "bank-prod", "0", "a--b", &"x".repeat(63)] {
            assert_eq!(DeploymentId::parse(label).unwrap().as_str(), label);
        }
        assert_eq!(DeploymentId::parse("bank-prod").unwrap().authority(), "bank-prod.strongroom.invalid");
    }

    #[test]
    fn what_is_not_a_lower_case_label_is_refused() {
        for text in ["", "-a", "a-", "A", "a.b", "a_b", "a b", "\u{e9}", "a\n", &"x".repeat(64)] {
            assert_eq!(DeploymentId::parse(text), Err(DeploymentIdError), "{text:?}");
        }
    }
}
