//! The sandbox of the customer's filters.
//!
//! A filter is a Wasm component of the interface in `runtime/wit/plugin.wit`
//! (docs/specs/plugin-interface.md). It sees each request before the model does, or each
//! answer before the client does, and can change or refuse it. It reaches nothing else:
//! no clock, no randomness, no files, no network, no log, no memory of earlier calls.
//!
//! [`PluginHost::load`] compiles a component once and refuses whatever asks for more than
//! that. Each call of the resulting [`Plugin`] then runs in an instance of its own, under
//! the host's [`Limits`], and ends in the filter's answer or in a [`PluginError`] that
//! names the cause. Calls block: from asynchronous code, make them on a blocking thread.

mod chat;
mod engine;
mod error;
mod grants;
mod host;
mod limits;
mod plugin;

// The public interface.
pub use chat::{ChatRequest, Message, OnRequest};
pub use error::PluginError;
pub use grants::Grants;
pub use host::PluginHost;
pub use limits::Limits;
pub use plugin::Plugin;
