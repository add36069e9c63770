//! The operator changes something before the server starts: no key, or none that helps.

use strongroom_engine::Script;

use crate::support::guests::refuses;
use crate::support::source::CountedSource;
use crate::support::system::Blueprint;

#[tokio::test]
async fn another_image_asks_for_the_key() {
    let site = Blueprint::scripted(|| Script::says("never")).prepare().await;
    let image = strongroom_simulated_platform::launch_measurement(b"another image");
    let source = CountedSource::new(site.machine().with_measurement(image));
    let (started, events) = site.start(source.into()).await;
    let error = started.err().unwrap();
    assert_eq!((error.code().as_str(), error.exit_code()), ("MEASUREMENT", 3));
    assert!(site.broker.leases().unwrap().is_empty());
    assert!(!events.lock().unwrap().iter().any(|event| event.starts_with("key released")));
}

#[tokio::test]
async fn another_configuration_asks_for_the_key() {
    let mut site = Blueprint::scripted(|| Script::says("never")).prepare().await;
    let approved = site.machine();
    site.config.max_streams += 1;
    // Host data is the host's to set: it may claim the approved configuration, or be honest.
    for (machine, code) in [(approved, "POLICY"), (site.machine(), "HOST_DATA")] {
        let (started, _) = site.start(CountedSource::new(machine).into()).await;
        assert_eq!(started.err().unwrap().code(), code);
    }
}

#[tokio::test]
async fn a_plugin_is_changed() {
    let wasm = refuses("everything");
    let site = Blueprint::scripted(|| Script::says("never")).plugin("strict", wasm).prepare().await;
    // What is no component has the same answer: the digest is compared before anything is compiled.
    for other in [refuses("nothing at all"), b"no component".to_vec()] {
        std::fs::write(site.dir.path().join("strict.wasm"), other).unwrap();
        let (started, _) = site.start(CountedSource::new(site.machine()).into()).await;
        let error = started.err().unwrap();
        assert_eq!((error.code().as_str(), error.exit_code()), ("PLUGIN_DIGEST", 3));
    }
    assert!(site.line.carried().is_empty(), "no key was asked for");
}

#[tokio::test]
async fn the_sealed_model_is_changed() {
    let site = Blueprint::real().prepare().await;
    let blob = site.dir.path().join("model.sealed/blobs/0000.bin");
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[4_242] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let (started, _) = site.start(CountedSource::new(site.machine()).into()).await;
    let error = started.err().unwrap();
    assert_eq!((error.code().as_str(), error.exit_code()), ("SEALED_TAMPERED", 3));
}
