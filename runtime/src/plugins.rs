//! The configured plugins in their order: loaded by digest, each request through a fresh
//! instance of each.

use sha2::{Digest, Sha256};
use strongroom_channel::statement::PluginEntry;
use strongroom_plugins::{ChatRequest, Grants, Limits, OnRequest, Plugin, PluginError, PluginHost};

use crate::api::error::ApiError;
use crate::config::PluginConfig;
use crate::error::StartError;

/// The plugins.
#[derive(Clone, Default)]
pub(crate) struct Pipeline(Vec<Plugin>);

impl Pipeline {
    /// Reads, checks against the configured digests and compiles.
    pub(crate) fn load(configured: &[PluginConfig]) -> Result<Self, StartError> {
        if configured.is_empty() {
            return Ok(Self::default());
        }
        let failed = |name: &str| {
            let name = name.to_owned();
            move |source| StartError::Plugin { name, source }
        };
        let host = PluginHost::new(Limits::default()).map_err(failed("host"))?;
        let mut plugins = Vec::new();
        for (index, plugin) in configured.iter().enumerate() {
            let wasm = std::fs::read(&plugin.path).map_err(|source| StartError::PluginFile {
                name: plugin.name.clone(),
                path: plugin.path.clone(),
                source,
            })?;
            let wanted = plugin.digest_bytes(index)?;
            // Before the compiler sees it: other bytes are nobody's plugin.
            let found: [u8; 32] = Sha256::digest(&wasm).into();
            if found != wanted {
                return Err(StartError::PluginDigest {
                    name: plugin.name.clone(),
                    wanted: hex::encode(wanted),
                    found: hex::encode(found),
                });
            }
            let loaded = host.load(&plugin.name, &wasm, &Grants::default()).map_err(failed(&plugin.name))?;
            plugins.push(loaded);
        }
        Ok(Self(plugins))
    }

    /// What the epoch statement says of them.
    pub(crate) fn entries(&self) -> Vec<PluginEntry> {
        let entry = |plugin: &Plugin| PluginEntry {
            id: plugin.name().to_owned(),
            digest: plugin.digest(),
            grants: plugin.grants_digest(),
        };
        self.0.iter().map(entry).collect()
    }

    /// What a receipt says of them.
    pub(crate) fn digests(&self) -> Vec<[u8; 32]> {
        self.0.iter().map(Plugin::digest).collect()
    }

    /// Whether any of them acts on answers.
    pub(crate) fn reads_answers(&self) -> bool {
        self.0.iter().any(Plugin::filters_responses)
    }

    /// The request after every plugin. A plugin that fails fails the request.
    pub(crate) fn on_request(&self, mut chat: ChatRequest) -> Result<ChatRequest, ApiError> {
        for plugin in &self.0 {
            chat = match plugin.on_request(chat) {
                Ok(OnRequest::Continue(chat)) => chat,
                Ok(OnRequest::Refuse { reason }) => return Err(ApiError::content_policy(plugin.name(), &reason)),
                Err(error) => return Err(failed(plugin, error)),
            };
        }
        Ok(chat)
    }

    /// The answer after every plugin that acts on answers, last configured first.
    pub(crate) fn on_response(&self, mut text: String) -> Result<String, ApiError> {
        for plugin in self.0.iter().rev().filter(|plugin| plugin.filters_responses()) {
            text = plugin.on_response(text).map_err(|error| failed(plugin, error))?;
        }
        Ok(text)
    }
}

/// A refusal is the plugin's word to the client; anything else is its failure, told
/// without anything that it was working on.
fn failed(plugin: &Plugin, error: PluginError) -> ApiError {
    match error {
        PluginError::Refused { reason } => ApiError::content_policy(plugin.name(), &reason),
        PluginError::Busy => ApiError::busy(),
        error => ApiError::plugin(plugin.name(), &error.to_string()),
    }
}
