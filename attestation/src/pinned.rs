//! Values that a policy pins.

use crate::error::{Check, Code};

/// A value that must be one of a list, when there is a list.
pub(crate) fn pinned<'a>(
    code: Code,
    title: &str,
    value: &[u8],
    allowed: Option<impl ExactSizeIterator<Item = &'a [u8]>>,
) -> Check {
    let found = hex::encode(value);
    let Some(mut allowed) = allowed else {
        let wanted = "nothing: the policy pins none";
        return Check::skip(code, title, wanted, found);
    };
    let wanted = match allowed.len() {
        0 => "none: the policy's list is empty".to_owned(),
        count => format!("one of the {count} that the policy names"),
    };
    Check::when(allowed.any(|item| item == value), code, title, wanted, found)
}
