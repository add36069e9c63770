//! Asks for the models' keys, with evidence of this machine: a broker of ours, or any KBS.

mod kbs;
mod strongroom;

use std::sync::Arc;

use strongroom_enclave_loader::kbs::KbsClient;
use strongroom_enclave_loader::release::{ReleaseClient, ReleaseError, ReleasedModel, WantedModel};

use crate::api::App;
use crate::config::{Config, ReleaseProtocol};
use crate::error::StartError;
use crate::events::EventSink;
use crate::evidence::EvidenceSource;
use crate::evidence::devices::Devices;
use crate::keeper::Tenure;
use crate::model::Manifests;

pub(crate) use strongroom::collect_for;

/// Who releases the keys, as the configuration pins it. Made before anything is asked: what can be wrong
/// with the configuration is said first.
pub(crate) enum Releaser {
    Strongroom(ReleaseClient),
    Kbs { client: KbsClient, resources: Vec<kbs::Wanted> },
}

/// What an instance asks with.
pub(crate) struct Asking {
    pub(crate) app: App,
    pub(crate) events: EventSink,
    pub(crate) source: Arc<dyn EvidenceSource>,
    pub(crate) devices: Option<Arc<Devices>>,
    pub(crate) lease_seconds: u64,
}

/// What was released.
pub(crate) struct Granted {
    /// The keys of each model.
    pub(crate) keys: Vec<ReleasedModel>,
    /// By what right they are used.
    pub(crate) tenure: Tenure,
    /// The policy that granted them, for the epoch statement.
    pub(crate) policy_hash: Option<[u8; 32]>,
    /// The lease, for the epoch statement.
    pub(crate) lease_id: Option<[u8; 16]>,
}

impl Releaser {
    /// The one that `config` names, for `manifests` of its models in their order.
    ///
    /// # Errors
    /// When a configured place or key is none, or no HTTP client can be made.
    pub(crate) fn new(config: &Config, manifests: &[Manifests]) -> Result<Self, StartError> {
        let url = &config.broker.url;
        Ok(match config.protocol()? {
            ReleaseProtocol::Strongroom(key) => Self::Strongroom(ReleaseClient::new(url, key)?),
            ReleaseProtocol::Kbs(places) => {
                Self::Kbs { client: KbsClient::new(url)?, resources: kbs::wanted(places, manifests)? }
            }
        })
    }

    /// Asks, and admits the clients that the answer names.
    ///
    /// # Errors
    /// [`ReleaseError`], by cause.
    pub(crate) async fn ask(self, asking: Asking, wanted: Vec<WantedModel>) -> Result<Granted, ReleaseError> {
        match self {
            Self::Strongroom(client) => strongroom::ask(client, asking, wanted).await,
            Self::Kbs { client, resources } => kbs::ask(&client, &asking, &resources).await,
        }
    }
}
