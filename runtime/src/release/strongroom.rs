//! Our own release: keys, a lease, an instance certificate and the clients' credentials.

use std::sync::Arc;

use strongroom_channel::attest::Collection;
use strongroom_enclave_loader::release::{ReleaseClient, ReleaseError, ReleaseParams, Released, WantedModel};

use super::{Asking, Grant, Granted};
use crate::epochs::Epoch;
use crate::events::Event;
use crate::evidence::{EvidenceSource, collect};

pub(super) async fn ask(
    client: &ReleaseClient,
    asking: &Asking,
    wanted: Vec<WantedModel>,
) -> Result<Granted, ReleaseError> {
    let Asking { app, events, source, lease_seconds, .. } = asking;
    let epoch = app.epochs.current();
    let params = ReleaseParams {
        broker_key: client.broker_key().clone(),
        class: source.class(),
        statement: epoch.statement.clone(),
        models: wanted.clone(),
        lease_seconds: *lease_seconds,
        renews: None,
    };
    let sent = app.now();
    let released = {
        let source = source.clone();
        let collect = |preimage| collect_for(source, epoch, preimage);
        client.release(params, &app.instance.key, collect).await?
    };
    let Released { keys, lease, certificate, credentials, broker_time } = released;
    app.clock.broker_said(broker_time.as_secs());
    let instance = hex::encode(app.instance.id);
    events(&Event::Released { lease: lease.lease_id.to_string(), instance });
    // Heartbeats bring those that follow, for all leases.
    if app.instance.certificate().is_empty() {
        app.instance.certify(certificate);
    }
    app.instance.admit(credentials);
    Ok(Granted { keys, grant: Some(Grant { lease, asked: wanted, broker_time, sent }) })
}

/// Evidence and endorsements over `preimage`, as the release request carries them.
pub(crate) async fn collect_for(
    source: Arc<dyn EvidenceSource>,
    epoch: Arc<Epoch>,
    preimage: Vec<u8>,
) -> Result<(Collection, Collection), ReleaseError> {
    let collected = collect(source, preimage).await.map_err(|error| ReleaseError::Evidence(error.to_string()))?;
    Ok(epoch.submission(&collected))
}
