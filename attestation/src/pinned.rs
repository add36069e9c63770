//! Values that a policy pins.

use crate::error::{Check, Code};
use crate::hex_bytes::HexBytes;

/// A value that must be one of a list, when there is a list.
pub(crate) fn pinned<const N: usize>(
    code: Code,
    title: &str,
    value: &[u8; N],
    allowed: Option<&[HexBytes<N>]>,
) -> Check {
    let found = hex::encode(value);
    let Some(allowed) = allowed else {
        let wanted = "nothing: the policy pins none";
        return Check::skip(code, title, wanted, found);
    };
    let wanted = match allowed.len() {
        0 => "none: the policy's list is empty".to_owned(),
        count => format!("one of the {count} that the policy names"),
    };
    Check::when(allowed.iter().any(|item| item.0 == *value), code, title, wanted, found)
}
