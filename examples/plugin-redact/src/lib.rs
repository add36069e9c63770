//! A Strongroom filter that replaces e-mail addresses with `[EMAIL]` and payment card
//! numbers with `[CARD]` in what users write, before the model sees it.
//!
//! [`redact`] is the logic, in plain Rust with tests that run anywhere. `component` ties
//! it to the plugin interface (`runtime/wit/plugin.wit`, world `request-filter`).

mod card;
#[cfg(target_family = "wasm")]
mod component;
mod email;
mod redact;

pub use redact::redact;
