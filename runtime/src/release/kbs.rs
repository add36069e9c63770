//! Release by a KBS: keys and nothing else. The server then serves until it is stopped, its clients are
//! those of the configuration, and its time is the guest's, held from here on.

use std::sync::Arc;

use strongroom_attestation::Endorsements;
use strongroom_enclave_loader::SignedManifest;
use strongroom_enclave_loader::kbs::{KbsClient, NvidiaDevice, PrimaryEvidence, ResourcePath, RuntimeData};
use strongroom_enclave_loader::release::{ReleaseError, WantedModel};

use super::{Asking, Granted};
use crate::config::no_resource;
use crate::error::StartError;
use crate::events::Event;
use crate::evidence::devices::Devices;
use crate::evidence::{Collected, EVIDENCE, EvidenceError, EvidenceSource, Form, in_time};
use crate::model::Manifests;

/// A model, and where its keys lie.
pub(super) type Wanted = (WantedModel, ResourcePath);

/// Where the keys of each model lie: where the configuration says, or under the name and version that
/// it was sealed with.
pub(super) fn wanted(places: Vec<Option<ResourcePath>>, manifests: &[Manifests]) -> Result<Vec<Wanted>, StartError> {
    let wanted = |(i, (place, manifest)): (usize, (Option<ResourcePath>, &SignedManifest))| {
        let (name, version) = (manifest.name(), manifest.version());
        let usual = || ResourcePath::of_model(name, version).map_err(|_| no_resource(i, name));
        let path = place.map_or_else(usual, Ok)?;
        Ok((WantedModel { model_id: manifest.model_id(), version }, path))
    };
    places.into_iter().zip(manifests.iter().flat_map(Manifests::all)).enumerate().map(wanted).collect()
}

pub(super) async fn ask(client: &KbsClient, asking: &Asking, wanted: &[Wanted]) -> Result<Granted, ReleaseError> {
    let Asking { app, events, source, devices, .. } = asking;
    let tee = source.form().kbs_tee().ok_or_else(|| evidence(&EvidenceError::NoReportData))?;
    let collect = |runtime_data| collect(source.clone(), devices.clone(), runtime_data);
    let keys = client.release(tee, wanted, collect).await?;
    // No broker says what time it is. The guest's clock is read once and held from here on, so that
    // whoever can set it cannot set it back under a running server.
    app.clock.broker_said(app.clock.now());
    events(&Event::ReleasedByKbs { instance: hex::encode(app.instance.id) });
    Ok(Granted { keys, grant: None })
}

/// The devices' answers first, then the CPU's report, which covers them.
async fn collect(
    source: Arc<dyn EvidenceSource>,
    devices: Option<Arc<Devices>>,
    runtime_data: RuntimeData,
) -> Result<(PrimaryEvidence, String), ReleaseError> {
    let work = move || {
        let reports = devices.map(|devices| devices.reports(&runtime_data.device_nonce())).transpose()?;
        let reports = reports.unwrap_or_default();
        let shown = reports.into_iter().map(|device| {
            NvidiaDevice::new(device.architecture, device.uuid, &device.report, &device.certificate_chain)
        });
        let additional = NvidiaDevice::additional_evidence(&shown.collect::<Vec<_>>());
        let collected = source.report(&runtime_data.report_data(&additional))?;
        Ok((primary(collected)?, additional))
    };
    let collected: Result<_, EvidenceError> = in_time("the platform", EVIDENCE, work).await.and_then(|done| done);
    collected.map_err(|error| evidence(&error))
}

fn primary(collected: Collected) -> Result<PrimaryEvidence, EvidenceError> {
    match collected.form {
        Form::Snp => {
            let mut endorsements = Endorsements::default();
            for bytes in &collected.endorsements {
                // What the platform gives along helps the server, which judges it.
                let _ = endorsements.add(bytes);
            }
            Ok(PrimaryEvidence::Snp { report: collected.report, endorsements })
        }
        Form::Tdx => Ok(PrimaryEvidence::Tdx { quote: collected.report }),
        Form::Azure => Err(EvidenceError::NoReportData),
    }
}

fn evidence(error: &EvidenceError) -> ReleaseError {
    ReleaseError::Evidence(error.to_string())
}
