//! Asks for the models' keys, with evidence of this machine: a broker of ours, or any KBS.

mod kbs;
mod strongroom;

use std::sync::Arc;

use strongroom_attestation::UnixTime;
use strongroom_enclave_loader::kbs::KbsClient;
use strongroom_enclave_loader::release::{Lease, Monotonic, ReleaseClient, ReleaseError, ReleasedModel, WantedModel};

use crate::api::App;
use crate::config::{Config, ReleaseProtocol};
use crate::error::StartError;
use crate::events::EventSink;
use crate::evidence::EvidenceSource;
use crate::evidence::devices::Devices;
use crate::keeper::{Leased, Tenure};
use crate::model::Manifests;

pub(crate) use strongroom::collect_for;

/// Who releases the keys, as the configuration pins it. Made before anything is asked: what can be wrong
/// with the configuration is said first.
pub(crate) enum Releaser {
    Strongroom(ReleaseClient),
    Kbs { client: KbsClient, resources: Vec<kbs::Wanted> },
}

/// What an instance asks with.
#[derive(Clone)]
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
    /// The lease under which they are used; a KBS grants none.
    pub(crate) grant: Option<Grant>,
}

/// A lease, and what is needed to keep it.
pub(crate) struct Grant {
    pub(crate) lease: Lease,
    /// What it was asked for, and a renewal asks for again.
    pub(crate) asked: Vec<WantedModel>,
    pub(crate) broker_time: UnixTime,
    /// When it was asked for.
    pub(crate) sent: Monotonic,
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

    /// Asks, and admits the clients that the answer names. With nothing served yet this is the first release;
    /// later the models come under a lease of their own, beside that of the live statement.
    ///
    /// # Errors
    /// [`ReleaseError`], by cause.
    pub(crate) async fn ask(&self, asking: &Asking, wanted: Vec<WantedModel>) -> Result<Granted, ReleaseError> {
        match self {
            Self::Strongroom(client) => strongroom::ask(client, asking, wanted).await,
            Self::Kbs { client, resources } => kbs::ask(client, asking, resources).await,
        }
    }

    /// The right to serve what was released first.
    pub(crate) fn tenure(self, asking: &Asking, grant: Option<Grant>) -> Tenure {
        match (self, grant) {
            (Self::Strongroom(client), Some(grant)) => {
                Tenure::Leased(Box::new(Leased::new(asking.clone(), client, grant)))
            }
            _ => Tenure::Unleased,
        }
    }
}
