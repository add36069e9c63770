//! A loaded plugin and its calls.

use std::fmt;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower, TypedFunc};

use crate::chat::{ChatRequest, Message, OnRequest};
use crate::engine::{REQUEST_HOOK, RESPONSE_HOOK, WireMessage, WireRequest};
use crate::error::{Ending, PluginError};
use crate::limits::{Limits, Meter};

type RequestArguments<'a> = (&'a WireRequest,);
type RequestResults = (Result<Vec<WireMessage>, String>,);
type ResponseArguments<'a> = (&'a str,);
type ResponseResults = (Result<String, String>,);

/// A compiled filter. Cheap to clone, and to be called from many threads at once: each
/// call has an instance of its own, which nothing outlives.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

/// What loading found out.
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) digest: [u8; 32],
    pub(crate) grants_digest: [u8; 32],
    pub(crate) limits: Limits,
    pub(crate) hooks: Hooks,
    pub(crate) instance: InstancePre<Meter>,
}

/// Where the component keeps the functions that it has.
pub(crate) struct Hooks {
    pub(crate) request: Option<ComponentExportIndex>,
    pub(crate) response: Option<ComponentExportIndex>,
}

impl Plugin {
    pub(crate) fn new(loaded: Arc<Loaded>) -> Self {
        Self(loaded)
    }

    /// The plugin's id, as given when it was loaded.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// SHA-256 of the component's bytes.
    pub fn digest(&self) -> [u8; 32] {
        self.0.digest
    }

    /// What it was granted, as [`Grants::digest`](crate::Grants::digest).
    pub fn grants_digest(&self) -> [u8; 32] {
        self.0.grants_digest
    }

    /// Whether it has a hook for requests. Without one, [`on_request`](Self::on_request)
    /// hands the request back.
    pub fn filters_requests(&self) -> bool {
        self.0.hooks.request.is_some()
    }

    /// Whether it has a hook for answers. Without one, [`on_response`](Self::on_response)
    /// hands the text back, and answers can be streamed. With one, an answer must be held
    /// until it is whole and this plugin has seen it.
    pub fn filters_responses(&self) -> bool {
        self.0.hooks.response.is_some()
    }

    /// Shows `request` to the filter. Blocks until it answers or a limit ends it.
    ///
    /// # Errors
    /// The variants of [`PluginError`] that come from calls, except `Refused`.
    pub fn on_request(&self, request: ChatRequest) -> Result<OnRequest, PluginError> {
        let Some(hook) = &self.0.hooks.request else {
            return Ok(OnRequest::Continue(request));
        };
        let wire = to_wire(request);
        let (answer,) = self.call::<RequestArguments<'_>, RequestResults>(REQUEST_HOOK, hook, (&wire,))?;
        match answer {
            Ok(messages) => {
                let texts = messages.iter().map(|message| message.role.len() + message.content.len());
                self.check_size(texts.sum())?;
                Ok(OnRequest::Continue(from_wire(wire.model, messages)))
            }
            Err(reason) => {
                self.check_size(reason.len())?;
                Ok(OnRequest::Refuse { reason })
            }
        }
    }

    /// Shows one whole answer to the filter. Blocks until it answers or a limit ends it.
    ///
    /// # Errors
    /// [`PluginError::Refused`] when the filter withholds the answer, and the other
    /// variants of [`PluginError`] that come from calls.
    pub fn on_response(&self, text: String) -> Result<String, PluginError> {
        let Some(hook) = &self.0.hooks.response else {
            return Ok(text);
        };
        let (answer,) = self.call::<ResponseArguments<'_>, ResponseResults>(RESPONSE_HOOK, hook, (&text,))?;
        match answer {
            Ok(text) => {
                self.check_size(text.len())?;
                Ok(text)
            }
            Err(reason) => {
                self.check_size(reason.len())?;
                Err(PluginError::Refused { reason })
            }
        }
    }

    /// Makes an instance and looks at its hooks' types, and calls nothing.
    pub(crate) fn try_instance(&self) -> Result<(), PluginError> {
        let (mut store, instance) = self.instance()?;
        if let Some(hook) = &self.0.hooks.request {
            typed::<RequestArguments<'_>, RequestResults>(REQUEST_HOOK, hook, &mut store, &instance)?;
        }
        if let Some(hook) = &self.0.hooks.response {
            typed::<ResponseArguments<'_>, ResponseResults>(RESPONSE_HOOK, hook, &mut store, &instance)?;
        }
        Ok(())
    }

    /// One call in an instance of its own.
    fn call<Arguments, Results>(
        &self,
        name: &'static str,
        hook: &ComponentExportIndex,
        arguments: Arguments,
    ) -> Result<Results, PluginError>
    where
        Arguments: ComponentNamedList + Lower,
        Results: ComponentNamedList + Lift + 'static,
    {
        let (mut store, instance) = self.instance()?;
        let function = typed::<Arguments, Results>(name, hook, &mut store, &instance)?;
        function
            .call(&mut store, arguments)
            .map_err(|error| self.blame(&error, store.data(), |_| PluginError::MalformedOutput))
    }

    fn instance(&self) -> Result<(Store<Meter>, Instance), PluginError> {
        let limits = &self.0.limits;
        let mut store = Store::new(self.0.instance.engine(), Meter::new(limits));
        store.limiter(|meter| meter);
        // Bounds what a forged list can make the host copy: the same megabyte could
        // otherwise be named a million times over.
        store.set_hostcall_fuel(limits.output_bytes);
        store.set_fuel(limits.fuel).map_err(|e| PluginError::Host { detail: format!("{e:#}") })?;
        match self.0.instance.instantiate(&mut store) {
            Ok(instance) => Ok((store, instance)),
            Err(error) => Err(self.blame(&error, store.data(), |detail| PluginError::Malformed { detail })),
        }
    }

    /// The cause of `error`; `other` names what is neither a trap nor a limit here.
    fn blame(&self, error: &wasmtime::Error, meter: &Meter, other: impl FnOnce(String) -> PluginError) -> PluginError {
        let limits = &self.0.limits;
        match Ending::of(error) {
            Ending::Busy => PluginError::Busy,
            Ending::OutOfFuel => PluginError::OutOfFuel { fuel: limits.fuel },
            Ending::StackExhausted => PluginError::StackExhausted,
            Ending::TooMuchData => PluginError::TooLarge { output_bytes: limits.output_bytes },
            _ if meter.out_of_memory => PluginError::OutOfMemory { memory_bytes: limits.memory_bytes },
            Ending::Trap(trap) => PluginError::Trap { cause: trap.to_string() },
            Ending::Other(detail) => other(detail),
        }
    }

    /// Text is counted again as it arrived: other encodings grow on the way.
    fn check_size(&self, bytes: usize) -> Result<(), PluginError> {
        let output_bytes = self.0.limits.output_bytes;
        if bytes > output_bytes {
            return Err(PluginError::TooLarge { output_bytes });
        }
        Ok(())
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plugin({:?})", self.0.name)
    }
}

fn typed<Arguments, Results>(
    name: &'static str,
    hook: &ComponentExportIndex,
    store: &mut Store<Meter>,
    instance: &Instance,
) -> Result<TypedFunc<Arguments, Results>, PluginError>
where
    Arguments: ComponentNamedList + Lower,
    Results: ComponentNamedList + Lift + 'static,
{
    instance.get_typed_func(store, hook).map_err(|error| PluginError::WrongType { name, detail: format!("{error:#}") })
}

fn to_wire(request: ChatRequest) -> WireRequest {
    let wire = |message: Message| WireMessage { role: message.role, content: message.content };
    WireRequest { model: request.model, messages: request.messages.into_iter().map(wire).collect() }
}

fn from_wire(model: String, messages: Vec<WireMessage>) -> ChatRequest {
    let chat = |message: WireMessage| Message { role: message.role, content: message.content };
    ChatRequest { model, messages: messages.into_iter().map(chat).collect() }
}

#[cfg(test)]
mod tests {
    use crate::host::MAX_CONCURRENT_CALLS;
    use crate::{Grants, Limits, PluginError, PluginHost};

    /// The smallest filter of answers, in component text.
    const ECHO: &str = r#"(component
        (core module $m
          (memory (export "memory") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
          (func (export "echo") (param i32 i32) (result i32)
            (i32.store offset=4 (i32.const 16) (local.get 0))
            (i32.store offset=8 (i32.const 16) (local.get 1))
            (i32.const 16)))
        (core instance $i (instantiate $m))
        (func $echo (param "text" string) (result (result string (error string)))
          (canon lift (core func $i "echo")
            (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
        (instance $hook (export "on-response" (func $echo)))
        (export "strongroom:plugin/response-hook@0.1.0" (instance $hook)))"#;

    #[test]
    fn a_full_pool_is_said_and_passes() {
        let host = PluginHost::new(Limits::default()).unwrap();
        let plugin = host.load("echo", &wat::parse_str(ECHO).unwrap(), &Grants::none()).unwrap();
        let running: Vec<_> = (0..MAX_CONCURRENT_CALLS).map(|_| plugin.instance().unwrap()).collect();
        assert_eq!(plugin.on_response("x".to_owned()), Err(PluginError::Busy));
        drop(running);
        assert_eq!(plugin.on_response("x".to_owned()).as_deref(), Ok("x"));
    }
}
