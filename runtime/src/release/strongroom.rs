//! Our own release: keys, a lease, an instance certificate and the clients' credentials.

use std::sync::Arc;

use strongroom_channel::attest::Collection;
use strongroom_enclave_loader::release::{
    LeaseKeeper, ReleaseClient, ReleaseError, ReleaseParams, Released, WantedModel,
};

use super::{Asking, Granted};
use crate::epochs::Epoch;
use crate::events::Event;
use crate::evidence::{EvidenceSource, collect};
use crate::keeper::{Leased, Tenure};

pub(super) async fn ask(
    client: ReleaseClient,
    asking: Asking,
    wanted: Vec<WantedModel>,
) -> Result<Granted, ReleaseError> {
    let Asking { app, events, source, lease_seconds, .. } = asking;
    let epoch = app.epochs.current();
    let params = ReleaseParams {
        broker_key: client.broker_key().clone(),
        class: source.class(),
        statement: epoch.statement.clone(),
        models: wanted,
        lease_seconds,
        renews: None,
    };
    let sent = app.now();
    let released = {
        let source = source.clone();
        let collect = |preimage| collect_for(source, epoch, preimage);
        client.release(params.clone(), &app.instance.key, collect).await?
    };
    let Released { keys, lease, certificate, credentials, broker_time } = released;
    app.clock.broker_said(broker_time.as_secs());
    let instance = hex::encode(app.instance.id);
    events(&Event::Released { lease: lease.lease_id.to_string(), instance });
    app.instance.certify(certificate);
    app.instance.admit(credentials);
    let (policy_hash, lease_id) = (Some(lease.policy_hash), Some(*lease.lease_id.as_bytes()));
    let lease = LeaseKeeper::new(client.broker_key().clone(), lease, broker_time, sent);
    let tenure = Tenure::Leased(Box::new(Leased::new((app, events), client, lease, source, params)));
    Ok(Granted { keys, tenure, policy_hash, lease_id })
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
