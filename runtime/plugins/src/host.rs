//! Loading: from bytes to a plugin that can be called, or the reason why not.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::engine::{REQUEST_HOOK, RESPONSE_HOOK};
use crate::error::PluginError;
use crate::grants::Grants;
use crate::limits::{Limits, Meter};
use crate::plugin::{Hooks, Loaded, Plugin};

/// Calls that may run at one time, over all plugins of a host: more than a server has
/// processors to run them on, few enough that their memories are a modest reservation.
pub(crate) const MAX_CONCURRENT_CALLS: u32 = 128;

/// The largest component accepted: scripting runtimes with a whole interpreter inside
/// are 12 to 20 MB.
const MAX_COMPONENT_BYTES: usize = 32 << 20;
/// The longest name, as for a DNS label.
const MAX_NAME_BYTES: usize = 63;
/// The smallest memory that can be limited: one page of Wasm.
const MIN_MEMORY_BYTES: usize = 64 << 10;

/// The sandbox that plugins are loaded into. Keep one for the whole server: its pool of
/// memory is reserved when it is made.
pub struct PluginHost {
    engine: Engine,
    limits: Limits,
}

impl PluginHost {
    /// A host whose plugins each get `limits` a call.
    ///
    /// # Errors
    /// [`PluginError::Host`] when a limit makes no sense or the system does not grant the
    /// address space.
    pub fn new(limits: Limits) -> Result<Self, PluginError> {
        if limits.memory_bytes < MIN_MEMORY_BYTES || limits.memory_bytes > u32::MAX as usize {
            return Err(PluginError::Host {
                detail: format!("memory_bytes is {}, wanted {MIN_MEMORY_BYTES} to {}", limits.memory_bytes, u32::MAX),
            });
        }
        let engine = crate::engine::new(&limits).map_err(|e| PluginError::Host { detail: format!("{e:#}") })?;
        Ok(Self { engine, limits })
    }

    /// Compiles `wasm` and makes one instance of it, to find out now whether it fits the
    /// limits. `name` is the plugin's id in evidence and receipts; the component's digest,
    /// not the name, says what it is. Takes milliseconds a hundred kilobytes.
    ///
    /// # Errors
    /// The variants of [`PluginError`] that come from loading, and those of a call when
    /// already the instance's own start-up fails.
    pub fn load(&self, name: &str, wasm: &[u8], grants: &Grants) -> Result<Plugin, PluginError> {
        check_name(name)?;
        if wasm.len() > MAX_COMPONENT_BYTES {
            return Err(PluginError::Malformed {
                detail: format!("{} bytes, at most {MAX_COMPONENT_BYTES} are accepted", wasm.len()),
            });
        }
        let component = Component::new(&self.engine, wasm).map_err(malformed)?;
        let hooks = self.check_interface(&component)?;
        let instance = Linker::<Meter>::new(&self.engine).instantiate_pre(&component).map_err(malformed)?;

        let plugin = Plugin::new(Arc::new(Loaded {
            name: name.to_owned(),
            digest: Sha256::digest(wasm).into(),
            grants_digest: grants.digest(),
            limits: self.limits,
            hooks,
            instance,
        }));
        plugin.try_instance()?;
        Ok(plugin)
    }

    /// No import, at least one hook, and nothing that would silently never be called.
    fn check_interface(&self, component: &Component) -> Result<Hooks, PluginError> {
        let shape = component.component_type();
        if let Some((name, _)) = shape.imports(&self.engine).next() {
            return Err(PluginError::ImportDenied { name: name.to_owned() });
        }
        if let Some((name, _)) = shape.exports(&self.engine).find(|(name, _)| !is_hook(name)) {
            return Err(PluginError::UnknownExport { name: name.to_owned() });
        }
        let hook = |interface: &'static str, function: &'static str| {
            let Some(instance) = component.get_export_index(None, interface) else {
                return Ok(None);
            };
            match component.get_export_index(Some(&instance), function) {
                Some(index) => Ok(Some(index)),
                None => Err(PluginError::WrongType { name: interface, detail: format!("no {function} in it") }),
            }
        };
        let hooks = Hooks { request: hook(REQUEST_HOOK, "on-request")?, response: hook(RESPONSE_HOOK, "on-response")? };
        if hooks.request.is_none() && hooks.response.is_none() {
            return Err(PluginError::MissingExport);
        }
        Ok(hooks)
    }
}

fn is_hook(name: &str) -> bool {
    name == REQUEST_HOOK || name == RESPONSE_HOOK
}

fn check_name(name: &str) -> Result<(), PluginError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(allowed) {
        return Err(PluginError::BadName { name: name.to_owned() });
    }
    Ok(())
}

fn malformed(error: impl Into<wasmtime::Error>) -> PluginError {
    PluginError::Malformed { detail: format!("{:#}", error.into()) }
}
