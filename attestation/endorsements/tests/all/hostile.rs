//! Whatever a service, a file or a carrier puts in front of the readers: an answer or an error, never a panic.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;
use strongroom_attestation::UnixTime;
use strongroom_endorsements::{Bundle, Cache, Mirror, Want};

use crate::MARCH;
use crate::nvidia_vendor::{DRIVER, list, manifest, ocsp, status_of_chip};
use crate::vendor::{intel, snp};

/// A want and a sound object for it.
fn objects() -> Vec<(String, Vec<u8>)> {
    let report = snp("012-genoa-v5/report.bin");
    let (chip, tcb) = (hex::encode(&report[0x1A0..0x1E0]), hex::encode(&report[0x180..0x188]));
    let tcb_info = intel("tcb_TDX_90C06F000000_2025-06-05_2025-07-05_eval17.json");
    vec![
        (format!("amd/vcek/Genoa/{chip}/{tcb}"), snp("012-genoa-v5/vcek.der")),
        ("amd/crl/Genoa".to_owned(), snp("021-genoa-revocation-list/crl.der")),
        ("intel/root-crl".to_owned(), intel("root_ca_crl_2026-02-26_2027-02-26.der")),
        ("intel/tdx-tcb-info/90c06f000000/17".to_owned(), tcb_info),
        ("intel/td-qe-identity/18".to_owned(), intel("qe_TD_QE_2026-03-16_2026-04-15_eval18.json")),
        (DRIVER.to_owned(), manifest("NV_GPU_DRIVER_GH100_550.90.07")),
        (status_of_chip(), ocsp("device_l4_brom")),
        ("nvidia/crl/l1-root".to_owned(), list("NVIDIA Device Identity CA")),
    ]
}

/// A bundle of one item with the right digest: what is wrong is in the bytes.
fn bundle(want: &str, object: &[u8]) -> Vec<u8> {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(object);
    let artefact = json!({ "role": "object", "sha256": hex::encode(digest), "base64": STANDARD.encode(object) });
    let item = json!({ "want": want, "url": "http://m/", "fetched_at": MARCH, "artefacts": [artefact] });
    let bundle = json!({ "format": "strongroom-collateral", "version": 1, "created": MARCH, "items": [item] });
    serde_json::to_vec(&bundle).unwrap()
}

fn march() -> UnixTime {
    UnixTime::parse_rfc3339(MARCH).unwrap()
}

#[test]
fn the_objects_are_sound_to_begin_with() {
    for (want, object) in objects().into_iter().filter(|(want, _)| !want.contains("/td")) {
        Bundle::from_json(&bundle(&want, &object), march()).unwrap();
    }
}

proptest! {
    #[test]
    fn changed_objects_are_read_or_refused(
        which in 0..8usize,
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let (want, mut object) = objects().swap_remove(which);
        for (place, byte) in changes {
            let place = place.index(object.len());
            object[place] = byte;
        }
        object.truncate(cut.index(2 * object.len()));
        let _ = Bundle::from_json(&bundle(&want, &object), march());
    }

    #[test]
    fn any_bytes_are_an_item_or_none(bytes in prop::collection::vec(any::<u8>(), 0..512), which in 0..8usize) {
        let (want, _) = objects().swap_remove(which);
        let _ = Bundle::from_json(&bundle(&want, &bytes), march());
        let _ = Bundle::from_json(&bytes, march());
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(directory.path(), march()).unwrap();
        let want: Want = want.parse().unwrap();
        let mut file = std::fs::File::create(directory.path().join(format!("{}.json", want.key()))).unwrap();
        file.write_all(&bytes).unwrap();
        prop_assert!(cache.load(&want).is_none());
    }

    #[test]
    fn any_text_is_a_want_or_none(text in "(amd|intel|nvidia)?/?(vcek|crl|chain|pck-crl|rim|ocsp)?/?(Milan|Turin|NV_)?/?\\PC{0,40}") {
        if let Ok(want) = text.parse::<Want>() {
            prop_assert_eq!(want.to_string(), text);
        }
    }

    #[test]
    fn any_text_is_a_mirror_or_none(text in "(https?://)?\\PC{0,40}") {
        let _ = Mirror::new(&text).map(|mirror| mirror.name());
    }
}
