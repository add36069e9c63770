//! Why a component was not loaded, and why a call had no answer.

use std::fmt;
use wasmtime::{PoolConcurrencyLimitError, Trap};

use crate::host::MAX_CONCURRENT_CALLS;

/// Why a component was not loaded, or a call gave no answer. In each case nothing of the
/// request or answer may go on: a filter that cannot be asked has not agreed.
///
/// `BadName` to `WrongType` come from loading and are the operator's or the author's to
/// mend; `Trap` to `Refused` are the filter's own conduct in a call (or in its start-up,
/// at load); `Busy` and `Host` are this host's.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The name cannot stand in evidence and receipts.
    #[error("plugin name {name:?} is not 1 to 63 of a-z, 0-9 and '-'")]
    BadName {
        /// The name as given.
        name: String,
    },
    /// The bytes are not a component that this host runs.
    #[error("not a Wasm component that this host runs: {detail}")]
    Malformed {
        /// What is wrong with them.
        detail: String,
    },
    /// The component wants something from outside, and nothing is granted.
    #[error(
        "the component imports {name:?}; a plugin may import nothing. Build it without WASI, for wasm32-unknown-unknown"
    )]
    ImportDenied {
        /// The first import, as the component spells it.
        name: String,
    },
    /// The component exports no hook of the interface: it would never be called.
    #[error("the component exports neither {request} nor {response}", request = crate::engine::REQUEST_HOOK, response = crate::engine::RESPONSE_HOOK)]
    MissingExport,
    /// The component exports something that this host would never call, a hook of a later
    /// interface perhaps.
    #[error("the component exports {name:?}, which this host does not know and would never call")]
    UnknownExport {
        /// The first such export.
        name: String,
    },
    /// A hook has not the type that the interface gives it.
    #[error("{name} has another type than the interface gives it: {detail}")]
    WrongType {
        /// The hook.
        name: &'static str,
        /// Where the types differ.
        detail: String,
    },

    /// The filter ended itself: a panic, a division by zero, an access out of bounds.
    #[error("the plugin failed: {cause}")]
    Trap {
        /// The kind of trap, without anything the plugin was working on.
        cause: String,
    },
    /// The filter called itself too deeply.
    #[error("the plugin's calls are nested too deeply")]
    StackExhausted,
    /// The filter did more work than its limit.
    #[error("the plugin used up its {fuel} units of work")]
    OutOfFuel {
        /// The limit.
        fuel: u64,
    },
    /// The filter wanted more memory than its limit.
    #[error("the plugin wanted more than its {memory_bytes} bytes of memory")]
    OutOfMemory {
        /// The limit.
        memory_bytes: usize,
    },
    /// The filter handed back more text than its limit.
    #[error("the plugin handed back more than its {output_bytes} bytes of text")]
    TooLarge {
        /// The limit.
        output_bytes: usize,
    },
    /// The filter handed back something that is no text: bad UTF-8, an address outside
    /// its memory, an unknown case.
    #[error("the plugin handed back something malformed")]
    MalformedOutput,
    /// The filter withholds the answer.
    #[error("the plugin withholds this answer")]
    Refused {
        /// The filter's words for the client. They may quote the answer: never log them.
        reason: String,
    },

    /// As many calls as the host has room for are running. Try again.
    #[error("all {MAX_CONCURRENT_CALLS} places for plugin calls are taken")]
    Busy,
    /// The sandbox itself could not be made: usually the system's limits on memory.
    #[error("the plugin sandbox cannot be made: {detail}")]
    Host {
        /// What failed.
        detail: String,
    },
}

/// As [`Display`](fmt::Display): a derived one would print a refusal's words.
impl fmt::Debug for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PluginError({self})")
    }
}

/// What ended an instantiation or a call, by kind; the limits behind it are the caller's
/// to name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    OutOfFuel,
    StackExhausted,
    Trap(Trap),
    TooMuchData,
    Busy,
    Other(String),
}

impl Ending {
    pub(crate) fn of(error: &wasmtime::Error) -> Self {
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::Busy;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Self::OutOfFuel,
            Some(Trap::StackOverflow) => Self::StackExhausted,
            Some(trap) => Self::Trap(*trap),
            // wasmtime keeps this error's type to itself; the test `huge_output` holds
            // the wording.
            None if error.root_cause().to_string().contains("fuel allocated for hostcalls") => Self::TooMuchData,
            None => Self::Other(format!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PluginError;

    #[test]
    fn a_refusals_words_are_not_printed() {
        let error = PluginError::Refused { reason: "canary".into() };
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
