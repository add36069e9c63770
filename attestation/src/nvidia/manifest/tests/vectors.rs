//! NVIDIA's manifests, and the defects in the copies of them that circulate as test data.

use super::*;
use crate::nvidia::manifest::{Edition, malformed, payload, xml};

/// File, what it says of itself, first and last moment of its chain, active indices, and indices with
/// more than one alternative.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static [u8], &'static [(u8, usize)]);

const DRIVER_INDICES: &[u8] = &[7, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40];
const VBIOS_INDICES: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12];
const VBIOS_SEVERAL: &[(u8, usize)] = &[(12, 4)];

const GOOD: [Row; 13] = [
    (
        "NV_GPU_CC_DRIVER_GB100_595.91.07.xml",
        "GB100 GPU 595.91.07",
        "2026-07-29T01:52:47Z",
        "2028-07-28T01:52:47Z",
        &[14, 40, 41, 45, 46, 47, 48, 49, 50, 52, 53, 54, 55, 56, 58, 59, 60, 61, 63],
        &[(49, 2), (52, 4), (53, 2), (61, 2)],
    ),
    (
        "NV_GPU_DRIVER_GH100_545.00.xml",
        "GH100 GPU 545.00",
        "2023-06-27T06:10:12Z",
        "2025-06-26T06:10:12Z",
        DRIVER_INDICES,
        &[(23, 2), (24, 2), (35, 2)],
    ),
    (
        "NV_GPU_DRIVER_GH100_550.144.03.xml",
        "GH100 GPU 550.144.03",
        "2024-12-30T16:56:50Z",
        "2026-12-30T16:56:50Z",
        DRIVER_INDICES,
        &[(23, 2), (24, 2), (32, 2), (33, 2), (34, 2), (35, 4), (36, 3)],
    ),
    (
        DRIVER,
        "GH100 GPU 550.90.07",
        "2024-06-01T02:08:29Z",
        "2026-06-01T02:08:29Z",
        DRIVER_INDICES,
        &[(23, 2), (24, 2), (32, 2), (34, 2), (35, 4), (36, 2)],
    ),
    (
        "NV_GPU_VBIOS_1010_0200_882_96005E0001.xml",
        "GH100 GPU 96.00.5E.00.01",
        "2023-06-23T09:30:33Z",
        "2025-06-22T09:30:33Z",
        VBIOS_INDICES,
        VBIOS_SEVERAL,
    ),
    (
        "NV_GPU_VBIOS_1010_0200_882_960074001A.xml",
        "GH100 GPU 96.00.74.00.1A",
        "2023-09-06T08:35:22Z",
        "2025-09-05T08:35:22Z",
        VBIOS_INDICES,
        VBIOS_SEVERAL,
    ),
    (
        "NV_GPU_VBIOS_1010_0200_882_96009F0001.xml",
        "GH100 GPU 96.00.9F.00.01",
        "2024-02-23T23:17:58Z",
        "2026-02-22T23:17:58Z",
        VBIOS_INDICES,
        VBIOS_SEVERAL,
    ),
    (
        "NV_GPU_VBIOS_1010_0205_862_96005E0004.xml",
        "GH100 GPU 96.00.5E.00.04",
        "2023-09-06T08:39:09Z",
        "2025-09-05T08:39:09Z",
        VBIOS_INDICES,
        VBIOS_SEVERAL,
    ),
    (
        "NV_GPU_VBIOS_1010_0205_862_9600740020.xml",
        "GH100 GPU 96.00.74.00.20",
        "2023-09-06T08:46:45Z",
        "2025-09-05T08:46:45Z",
        VBIOS_INDICES,
        VBIOS_SEVERAL,
    ),
    (
        "NV_GPU_VBIOS_1010_0215_866_9600740010.xml",
        "GH100 GPU 96.00.74.00.10",
        "2023-09-06T08:49:24Z",
        "2025-09-05T08:49:24Z",
        VBIOS_INDICES,
        VBIOS_SEVERAL,
    ),
    (
        "NV_GPU_VBIOS_G520_0200_885_9600740001.xml",
        "GH100 GPU 96.00.74.00.01",
        "2023-08-25T09:52:07Z",
        "2025-08-24T09:52:07Z",
        VBIOS_INDICES,
        VBIOS_SEVERAL,
    ),
    (
        "NV_GPU_VBIOS_G520_0202_885_96006D0027.xml",
        "GH100 GPU 96.00.6D.00.27",
        "2023-08-25T09:58:57Z",
        "2025-08-24T09:58:57Z",
        VBIOS_INDICES,
        VBIOS_SEVERAL,
    ),
    (
        "NV_SWITCH_BIOS_5612_0002_890_9610550001.signed2026.xml",
        "LS10 SWITCH 96.10.55.00.01",
        "2026-05-20T22:02:51Z",
        "2027-11-02T23:59:59Z",
        &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
            29, 30,
        ],
        &[
            (9, 4),
            (10, 4),
            (11, 4),
            (12, 4),
            (13, 4),
            (14, 4),
            (15, 4),
            (16, 4),
            (17, 4),
            (18, 4),
            (19, 4),
            (20, 4),
            (21, 4),
            (22, 4),
            (23, 4),
            (24, 4),
            (25, 4),
        ],
    ),
];

/// Copies that were changed, and a moment in the dates of their chains.
const BAD: [(&str, &str, &str); 3] = [
    ("bad_digest_NV_GPU_DRIVER_GH100_535.86.09.xml", "2026-01-01T00:00:00Z", "digest"),
    ("bad_digest_NV_SWITCH_BIOS_9610550001_invalid_signature.xml", "2025-01-01T00:00:00Z", "digest"),
    ("bad_signature_NV_GPU_DRIVER_GH100_550.144.03.xml", "2026-01-01T00:00:00Z", "signature"),
];

#[test]
fn genuine_ones_are_good_in_their_dates_and_only_then() {
    for (name, shown, from, until, ..) in GOOD {
        let bytes = vector(name);
        let (from, until) = (time(from), time(until));
        let at = |secs: u64| genuine(&bytes, &UnixTime::from_secs(secs).to_string());
        assert_eq!(at(from.as_secs()), Ok(until), "{name} ({shown})");
        assert_eq!(at(until.as_secs()), Ok(until), "{name}");
        for outside in [from.as_secs() - 1, until.as_secs() + 1] {
            assert_eq!(at(outside).unwrap_err().0, Code::CollateralExpired, "{name} at {outside}");
        }
        let public = crate::authenticate_manifest(&bytes, &HardwareAnchors::compiled_in(), from);
        assert_eq!(public, Ok(until), "{name}");
    }
}

#[test]
fn what_they_say_is_read() {
    for (name, shown, _, _, active, several) in GOOD {
        let bytes = vector(name);
        let manifest = Manifest::parse(&bytes).unwrap();
        assert_eq!(manifest.shown(), shown, "{name}");
        assert_eq!(shown, format!("{} {} {}", manifest.product(), manifest.edition(), manifest.colloquial_version()));
        assert_eq!(manifest.edition() == Edition::Switch, name.starts_with("NV_SWITCH"), "{name}");
        assert_eq!(manifest.sha256(), crate::crypto::sha256(&bytes));
        assert_eq!((manifest.name(), manifest.version()), (manifest.product(), "1.0"), "{name}");
        assert_eq!((manifest.tag_id().len(), manifest.firmware_manufacturer_id()), (96, "5703"), "{name}");
        assert_eq!(manifest.certificates().len(), 4);
        let golden = manifest.golden();
        assert!(golden.iter().map(|golden| golden.index).eq(0..64), "{name}");
        assert!(golden.iter().all(|golden| golden.name.ends_with(&format!("_{}", golden.index)) || golden.active));
        let found: Vec<u8> = golden.iter().filter(|golden| golden.active).map(|golden| golden.index).collect();
        assert_eq!(found, active, "{name}");
        let found: Vec<_> = golden.iter().map(|golden| (golden.index, golden.alternatives.len())).collect();
        let found: Vec<_> = found.into_iter().filter(|(_, count)| *count > 1).collect();
        assert_eq!(found, several, "{name}");
    }
}

#[test]
fn changed_ones_are_refused_for_what_was_changed() {
    for (name, now, which) in BAD {
        let (code, detail) = genuine(&vector(name), now).unwrap_err();
        assert_eq!(code, Code::Signature, "{name}");
        assert!(detail.starts_with(&format!("manifest {which}:")), "{name}: {detail}");
    }
}

/// Made by hand for another reader, without what is outside the payload: each is refused for its
/// payload as well.
#[test]
fn payloads_that_are_not_as_they_should_be() {
    let cases = [
        ("failure_duplicate_index", "size"), // its sizes are wrong, too
        ("failure_empty_payload", "an empty payload"),
        ("failure_hash_empty_namespace", "a hash is missing"),
        ("failure_invalid_alternatives", "size"),
        ("failure_invalid_size", "size"),
        ("failure_missing_alternatives", "size"),
        ("failure_missing_hash", "size"),
        ("failure_missing_x509_data", "SoftwareIdentity"),
    ];
    for (name, why) in cases {
        let bytes = vector(&format!("parse/{name}.xml"));
        assert_eq!(Manifest::parse(&bytes).unwrap_err().code, Code::Parse, "{name}");
        let Refusal { code, detail, .. } = payload_of(&bytes).unwrap_err();
        assert_eq!(code, Code::Parse);
        assert!(detail.contains(why), "{name}: {detail}");
    }
    let golden = payload_of(&vector("parse/success_payload_multiple_alternatives.xml")).unwrap();
    let found: Vec<_> = golden.iter().map(|golden| (golden.index, golden.alternatives.len())).collect();
    assert_eq!(found, [(0, 1), (12, 4)]);
}

fn payload_of(bytes: &[u8]) -> Result<Vec<payload::Golden>, Refusal> {
    let document = xml::read(std::str::from_utf8(bytes).unwrap())?;
    let root = document.root_element();
    if root.tag_name().name() != "SoftwareIdentity" {
        return Err(malformed("its root is not a SoftwareIdentity"));
    }
    payload::read(root.first_element_child().unwrap())
}

#[test]
fn they_are_told_by_their_root() {
    let genuine = driver();
    let before = |text: &str| Manifest::looks_like(format!("{text}{genuine}").as_bytes());
    for text in ["", "\u{FEFF}", "\n\t ", "<?xml version=\"1.0\"?>", "\u{FEFF}<?xml version=\"1.0\"?>\r\n"] {
        assert!(before(text), "{text:?}");
    }
    assert!(!before("{") && !before("<!-- -->"));
    assert!(Manifest::looks_like(b"<swid:SoftwareIdentity>"));
    for other in [&b""[..], b"<", b"<?xml ", b"<SoftwareIdentityX/>", b"<a:b/>", b"\xFF<SoftwareIdentity/>", b"{}"] {
        assert!(!Manifest::looks_like(other), "{other:?}");
    }
}

#[test]
fn a_signature_that_is_remembered_is_not_verified_again_and_says_nothing_of_another() {
    let remembered = Remembered::new(16);
    let anchors = HardwareAnchors::compiled_in();
    let anchored = Hardware::anchored(&anchors, &remembered);
    let now = time(DRIVER_NOW);
    assert!(outcome(&vector(DRIVER), anchored, now).is_ok());
    let once = remembered.len();
    assert_eq!(once, 4, "the document's and three certificates'");
    assert!(outcome(&vector(DRIVER), anchored, now).is_ok());
    assert_eq!(remembered.len(), once);
    let changed = driver().replace("active=\"False\" alternatives=\"1\"", "active=\"True\" alternatives=\"1\"");
    assert_eq!(outcome(changed.as_bytes(), anchored, now).unwrap_err().0, Code::Signature);
}
