//! Carrying a cache to a site without a network.

use serde_json::{Value, json};
use strongroom_attestation::UnixTime;
use strongroom_endorsements::{Bundle, BundleError, Cache, Freshness, Item, Merged};

use crate::{MARCH, Stage, settings, source, want};

const WANTS: [&str; 8] = [
    "intel/tdx-tcb-info/90c06f000000/standard",
    "intel/td-qe-identity/standard",
    "intel/pck-crl/platform",
    "intel/root-crl",
    "amd/chain/Milan/vcek",
    "amd/crl/Milan",
    "nvidia/rim/NV_GPU_DRIVER_GH100_550.90.07",
    "nvidia/crl/corim-l1",
];

fn march() -> UnixTime {
    UnixTime::parse_rfc3339(MARCH).unwrap()
}

fn kept(cache: &Cache) -> Vec<Item> {
    cache.items().unwrap().items
}

async fn full_stage() -> Stage {
    let stage = Stage::with(|settings| settings.patience = std::time::Duration::ZERO).await;
    for text in WANTS {
        stage.source.get(&want(text)).await.unwrap();
    }
    stage
}

#[tokio::test]
async fn what_is_exported_serves_a_fresh_site_with_the_network_off() {
    let mut stage = full_stage().await;
    let items = kept(stage.source.cache());
    let file = Bundle::of(items.clone()).to_json();
    assert_eq!(file, Bundle::of(kept(stage.source.cache())).to_json(), "one cache, one file");
    let mut reversed = items.clone();
    reversed.reverse();
    assert_eq!(file, Bundle::of(reversed).to_json(), "in whatever order");
    stage.vendor.stop().await;

    let site = tempfile::tempdir().unwrap();
    let mut offline = settings(&[&stage.vendor]);
    offline.offline = true;
    let source = source(offline, site.path(), &stage.clock);
    let merged = Bundle::from_json(&file, march()).unwrap().merge_into(source.cache()).unwrap();
    assert_eq!(merged, Merged { added: WANTS.len(), replaced: 0, older: 0 });
    for text in WANTS {
        let answer = source.get(&want(text)).await.unwrap();
        assert!(matches!(answer.freshness, Freshness::Cached { .. }), "{text}");
    }
    assert_eq!(kept(source.cache()), items);
    assert_eq!(Bundle::of(kept(source.cache())).to_json(), file, "and out again");
    let again = Bundle::from_json(&file, march()).unwrap().merge_into(source.cache()).unwrap();
    assert_eq!(again, Merged { added: 0, replaced: 0, older: WANTS.len() });
}

#[tokio::test]
async fn the_newest_of_two_is_kept_whichever_comes_first() {
    let early = full_stage().await;
    let old = Bundle::of(kept(early.source.cache())).to_json();
    early.clock.advance_days(2);
    early.source.get(&want(WANTS[0])).await.unwrap();
    let new = Bundle::of(kept(early.source.cache())).to_json();
    let now = march().saturating_add_secs(3 * 24 * 60 * 60);
    let (old, new) = (Bundle::from_json(&old, now).unwrap(), Bundle::from_json(&new, now).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let cache = |name: &str| Cache::open(directory.path().join(name), now).unwrap();
    let (one, other) = (cache("one"), cache("other"));
    old.merge_into(&one).unwrap();
    assert_eq!(new.merge_into(&one).unwrap(), Merged { added: 0, replaced: 1, older: WANTS.len() - 1 });
    new.merge_into(&other).unwrap();
    assert_eq!(old.merge_into(&other).unwrap(), Merged { added: 0, replaced: 0, older: WANTS.len() });
    assert_eq!(kept(&one), kept(&other));
    assert_eq!(kept(&one), kept(early.source.cache()));
}

#[tokio::test]
async fn what_was_changed_is_not_imported() {
    let stage = full_stage().await;
    let file = Bundle::of(kept(stage.source.cache())).to_json();
    let whole: Value = serde_json::from_slice(&file).unwrap();
    let read = |change: &dyn Fn(&mut Value)| {
        let mut value = whole.clone();
        change(&mut value);
        Bundle::from_json(&serde_json::to_vec(&value).unwrap(), march())
    };
    assert!(read(&|_| {}).is_ok());
    let item = |error: Result<Bundle, BundleError>| match error.unwrap_err() {
        BundleError::Item { why, .. } => why,
        other => panic!("{other}"),
    };
    let digest = "00".repeat(32);
    let why = item(read(&|value| value["items"][0]["artefacts"][0]["sha256"] = json!(digest)));
    assert!(why.contains("digest"), "{why}");
    let why = item(read(&|value| value["items"][0]["artefacts"][0]["base64"] = json!("!")));
    assert!(why.contains("base64"), "{why}");
    // Sound bytes under another want.
    let why = item(read(&|value| value["items"][0]["want"] = json!("amd/chain/Genoa/vcek")));
    assert!(why.contains("SEV-Milan"), "{why}");
    let why = item(read(&|value| value["items"][0]["want"] = json!("amd/chain/../vcek")));
    assert!(why.contains("names nothing"), "{why}");
    let why = item(read(&|value| value["items"][1] = value["items"][0].clone()));
    assert!(why.contains("a second time"), "{why}");
    let why = item(read(&|value| value["items"][0]["url"] = json!("javascript:0")));
    assert!(why.contains("url"), "{why}");
    assert_eq!(read(&|value| value["version"] = json!(2)).unwrap_err(), BundleError::Version(2));
    for change in [
        &(|value: &mut Value| value["format"] = json!("another")) as &dyn Fn(&mut Value),
        &|value| value["more"] = json!(1),
        &|value| value["items"][0]["more"] = json!(1),
        &|value| value["items"][0]["fetched_at"] = json!("yesterday"),
        &|value| value["items"] = json!({}),
    ] {
        assert!(matches!(read(change), Err(BundleError::Shape(_))));
    }
    for bytes in [&b""[..], b"[]", b"\xff", &file[..file.len() / 2]] {
        assert!(matches!(Bundle::from_json(bytes, march()), Err(BundleError::Shape(_))));
    }
}

#[tokio::test]
async fn dates_ahead_of_the_clock_and_sizes_have_limits() {
    let stage = full_stage().await;
    let file = Bundle::of(kept(stage.source.cache())).to_json();
    let early = UnixTime::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let error = Bundle::from_json(&file, early).unwrap_err();
    assert!(error.to_string().contains("check this machine's clock"), "{error}");
    // Fetched by a machine whose clock was ahead: here it counts as fetched now, not later.
    let now = UnixTime::parse_rfc3339("2026-03-19T00:00:00Z").unwrap();
    let bundle = Bundle::from_json(&file, now).unwrap();
    assert!(bundle.items().iter().all(|item| item.fetched_at() == now));
    assert_eq!(bundle.created(), now);

    let spaces = vec![b' '; (64 << 20) + 1];
    assert!(matches!(Bundle::from_json(&spaces, march()), Err(BundleError::TooLarge { what: "bytes", .. })));
    let item = json!({"want": "x", "url": "", "fetched_at": MARCH, "artefacts": []});
    let items = vec![item; 16_385];
    let many = json!({"format": "strongroom-collateral", "version": 1, "created": MARCH, "items": items});
    let many = Bundle::from_json(&serde_json::to_vec(&many).unwrap(), march());
    assert!(matches!(many, Err(BundleError::TooLarge { what: "items", found: 16_385, .. })));
}

#[test]
fn an_empty_bundle_is_one() {
    let file = Bundle::of(Vec::new()).to_json();
    assert_eq!(Bundle::from_json(&file, march()).unwrap().items().len(), 0);
}
