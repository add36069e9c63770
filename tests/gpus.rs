//! A machine with GPUs, from the key's release to a client's verdict; and GPUs that are not the tenant's.

use strongroom_channel::attest;
use strongroom_engine::Script;

use crate::support::gateway::{Cheat, Gateway};
use crate::support::source::CountedSource;
use crate::support::system::{Blueprint, Site, System, said};

fn blueprint(count: u8) -> Blueprint {
    Blueprint::scripted(|| Script::says("Good morning.")).gpus(count)
}

/// What a client learns of the machine's devices: of each its ueid.
async fn ueids(system: &System) -> Vec<String> {
    let client = system.client();
    assert_eq!(said(&client.ask("Say good morning.").await.unwrap()), "Good morning.");
    client.keeper.session().await.unwrap().verified().devices().unwrap().ueids()
}

#[tokio::test]
async fn clients_and_the_lease_name_the_same_devices() {
    for (count, wanted) in [(1, 1), (2, 2), (8, 12)] {
        let system = blueprint(count).start().await;
        let shown = ueids(&system).await;
        assert_eq!(shown.len(), wanted, "{shown:?}");
        let [lease] = &system.broker.leases().unwrap()[..] else { panic!("one lease") };
        assert_eq!(lease.ueids, shown);
    }
}

/// Each epoch has other keys: the devices answer anew for it, and the renewed lease names them too.
#[tokio::test]
async fn later_epochs_ask_the_devices_again() {
    let system = blueprint(2).start().await;
    let gateway = Gateway::before(&system.url).await;
    let reports = async || {
        system.client_at(&gateway.url).ask("Say good morning.").await.unwrap();
        let answer = attest::AttestResponse::from_bytes(&gateway.last(attest::PATH).answer).unwrap();
        ["gpu0", "gpu1"].map(|name| answer.evidence.get(name).unwrap().value.clone())
    };
    let early = reports().await;
    assert_eq!(reports().await, early, "one answer serves all clients of an epoch");
    let [lease] = &system.broker.leases().unwrap()[..] else { panic!("one lease") };
    system.wait(1_801).await;
    let late = reports().await;
    assert!(early.iter().zip(&late).all(|(early, late)| early != late));
    let [renewed] = &system.broker.leases().unwrap()[..] else { panic!("one lease") };
    assert!(renewed.in_force && renewed.expires > lease.expires && renewed.ueids == lease.ueids);
}

async fn refusal(site: &Site, source: CountedSource, foreign: bool) -> (String, u8) {
    let gpus = site.gpus().unwrap();
    let devices = if foreign { gpus.foreign(&site.config) } else { gpus.one_missing(&site.config) };
    let (started, _) = site.start_with(source.into(), Some(devices)).await;
    let error = started.err().unwrap();
    assert!(site.broker.leases().unwrap().is_empty(), "{error}");
    (error.code(), error.exit_code())
}

/// They are genuine, and the server has no way to know; the broker has.
#[tokio::test]
async fn somebody_elses_gpus_get_no_key() {
    let site = blueprint(2).prepare().await;
    let source = CountedSource::new(site.machine());
    assert_eq!(refusal(&site, source, true).await, ("PLATFORM_NOT_ALLOWED".into(), 3));
    assert!(!site.line.carried().is_empty());
}

#[tokio::test]
async fn a_machine_that_lacks_a_gpu_does_not_ask_for_the_key() {
    let site = blueprint(2).prepare().await;
    let source = CountedSource::new(site.machine());
    assert_eq!(refusal(&site, source, false).await, ("PLATFORM_NOT_ALLOWED".into(), 3));
    assert!(site.line.carried().is_empty());
}

#[tokio::test]
async fn a_server_that_is_to_have_gpus_does_not_start_without() {
    let site = blueprint(1).prepare().await;
    let (started, _) = site.start_with(CountedSource::new(site.machine()).into(), None).await;
    let error = started.err().unwrap();
    assert_eq!(error.code(), "DEVICES");
    assert!(site.line.carried().is_empty());
}

/// An epoch that cannot be had is tried again only while clients are served under the one before.
#[tokio::test]
async fn a_server_whose_gpus_are_gone_once_the_model_is_loaded_does_not_start() {
    let site = blueprint(1).prepare().await;
    let devices = site.gpus().unwrap().gone_after_boot(&site.config);
    let (started, events) = site.start_with(CountedSource::new(site.machine()).into(), Some(devices)).await;
    let error = started.err().unwrap();
    assert_eq!((error.code().as_str(), error.exit_code()), ("EVIDENCE", 1));
    let events = events.lock().unwrap();
    let said = |event: &str| events.iter().any(|line| line.contains(&format!("\"event\":\"{event}\"")));
    assert!(said("released") && !said("epoch") && !said("epoch-missed") && !said("ready"), "{events:?}");
}

/// Two machines of one kind: the enemy puts the second one's GPU into the first one's answer.
#[tokio::test]
async fn another_machines_gpu_joins_the_answer() {
    let (ours, theirs) = (blueprint(2).start().await, blueprint(2).start().await);
    let beside = Gateway::before(&theirs.url).await;
    theirs.client_at(&beside.url).ask("Say good morning.").await.unwrap();
    let foreign = attest::AttestResponse::from_bytes(&beside.last(attest::PATH).answer).unwrap();
    let foreign = foreign.evidence.get("gpu1").unwrap().clone();
    let gateway = Gateway::before(&ours.url).await;
    gateway.cheat(Cheat::Evidence(std::sync::Arc::new(move |_: &[u8], genuine: &[u8]| {
        let mut answer = attest::AttestResponse::from_bytes(genuine).unwrap();
        let mut evidence = attest::Collection::new(attest::CollectionKind::Evidence);
        for (name, record) in answer.evidence.iter() {
            let record = if name == "gpu1" { &foreign } else { record };
            evidence.insert(name, record.clone()).unwrap();
        }
        answer.evidence = evidence;
        answer.to_bytes()
    })));
    assert_eq!(ours.client_at(&gateway.url).refusal("Say good morning.").await, "REPORT_DATA");
}
