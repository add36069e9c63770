//! The directory: what is damaged is absent, and processes that share it see whole items.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use strongroom_attestation::UnixTime;
use strongroom_endorsements::{Cache, Freshness};

use crate::{MARCH, Stage, settings, source, tcb_info, want};

fn only_file(stage: &Stage) -> PathBuf {
    let mut entries = fs::read_dir(stage.directory.path()).unwrap();
    let path = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    path
}

#[tokio::test]
async fn a_damaged_file_is_fetched_again_and_never_served() {
    let stage = Stage::new().await;
    let item = stage.source.get(&tcb_info()).await.unwrap().item;
    let path = only_file(&stage);
    assert_eq!(path.file_name().unwrap().to_str().unwrap(), format!("{}.json", tcb_info().key()));
    let sound = fs::read(&path).unwrap();
    let text = String::from_utf8(sound.clone()).unwrap();
    let (damaged, mut requests) = (|text: String| text.into_bytes(), 1);
    let other = String::from_utf8(serde_json_of(&stage, "amd/crl/Milan").await).unwrap();
    requests += 1;
    for bytes in [
        Vec::new(),
        vec![0; sound.len()],
        sound[..sound.len() / 2].to_vec(),
        damaged(text.replace("\"base64\":\"eyJ0Y2JJbmZv", "\"base64\":\"eyJ0Y2JJbmZw")),
        damaged(text.replace("90c06f000000/standard", "90c06f000000/early")),
        damaged(text.replace("\"url\":\"http", "\"url\":\"file")),
        damaged(text.replace("\"role\":\"issuer-chain\"", "\"role\":\"object\"")),
        damaged(text.replace("{\"want\"", "{\"more\":1,\"want\"")),
        damaged(other),
        vec![b' '; (2 << 20) + 1],
    ] {
        assert_ne!(bytes, sound);
        fs::write(&path, &bytes).unwrap();
        assert!(stage.source.cache().load(&tcb_info()).is_none());
        assert_eq!(stage.source.cache().items().unwrap().unreadable, std::slice::from_ref(&path));
        let answer = stage.source.get(&tcb_info()).await.unwrap();
        requests += 1;
        assert_eq!((answer.freshness, answer.item.artefacts()), (Freshness::Fresh, item.artefacts()));
        assert_eq!(stage.vendor.count(), requests);
        assert!(stage.source.cache().load(&tcb_info()).is_some());
    }
    for index in (0..sound.len()).step_by(3) {
        let mut flipped = sound.clone();
        flipped[index] ^= 1;
        fs::write(&path, &flipped).unwrap();
        // Only where an item came from, and when, can be changed without being noticed; never what it is.
        if let Some(read) = stage.source.cache().load(&tcb_info()) {
            assert_eq!(read.artefacts(), item.artefacts(), "byte {index}");
        }
    }
}

/// The file of another item, fetched into the same cache and taken out again.
async fn serde_json_of(stage: &Stage, text: &str) -> Vec<u8> {
    stage.source.get(&want(text)).await.unwrap();
    let path = stage.directory.path().join(format!("{}.json", want(text).key()));
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    bytes
}

#[tokio::test]
async fn processes_that_share_a_directory_see_whole_items() {
    let stage = Stage::new().await;
    stage.source.get(&tcb_info()).await.unwrap();
    let now = UnixTime::parse_rfc3339(MARCH).unwrap();
    let directory = stage.directory.path().to_owned();
    let item = stage.source.cache().load(&tcb_info()).unwrap();
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (cache, item) = (Cache::open(&directory, now).unwrap(), item.clone());
            std::thread::spawn(move || (0..15).for_each(|_| cache.store(&item).unwrap()))
        })
        .collect();
    let reader = Cache::open(&directory, now).unwrap();
    let mut reads = 0;
    while writers.iter().any(|writer| !writer.is_finished()) || reads == 0 {
        assert_eq!(reader.load(&tcb_info()).as_ref(), Some(&item));
        reads += 1;
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "nothing unfinished is left");
    // What one process fetched the other has.
    let other = source(settings(&[&stage.vendor]), &directory, &stage.clock);
    other.get(&want("amd/crl/Milan")).await.unwrap();
    let answer = stage.source.get(&want("amd/crl/Milan")).await.unwrap();
    assert_eq!(answer.freshness, Freshness::Cached { age: Duration::ZERO });
    assert_eq!(stage.vendor.count(), 2);
}

#[test]
fn what_a_killed_process_left_is_removed_and_other_files_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let key = want("intel/root-crl").key();
    let (left, foreign) = (path(&format!("{key}.0123.tmp")), path("notes.tmp"));
    fs::write(&left, "half").unwrap();
    fs::write(&foreign, "mine").unwrap();
    let written = fs::metadata(&left).unwrap().modified().unwrap();
    let written = UnixTime::from_secs(written.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs());
    Cache::open(directory.path(), written.saturating_add_secs(60)).unwrap();
    assert!(left.exists(), "somebody may be writing it");
    let cache = Cache::open(directory.path(), written.saturating_add_secs(2 * 60 * 60)).unwrap();
    assert!(!left.exists() && foreign.exists());
    assert!(cache.items().unwrap().items.is_empty());
}

#[cfg(unix)]
#[test]
fn the_directory_is_its_owners() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("a/b");
    Cache::open(&inner, UnixTime::from_secs(0)).unwrap();
    assert_eq!(fs::metadata(inner).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_says_so() {
    let stage = Stage::new().await;
    fs::remove_dir_all(stage.directory.path()).unwrap();
    let answer = stage.source.get(&tcb_info()).await.unwrap();
    assert_eq!(answer.freshness, Freshness::Fresh);
    assert!(answer.not_kept.is_some());
}
