//! One row a defect: what is changed of an answer that is believed, and what is said of it.

use serde_json::{Value, json};

use super::service::{ISSUER, NONCE, NOW, Service, new_key, published};
use super::*;

type Row = (&'static str, fn(&mut Service), &'static str);

/// A code, and words of what was found; nothing where it is believed.
const ROWS: &[Row] = &[
    ("as it is", |_| {}, ""),
    ("of version 2", |s| s.overall["x-nvidia-ver"] = json!("2.0"), ""),
    ("with a typ", |s| s.header["typ"] = json!("JWT"), ""),
    ("without kid", |s| s.header = json!({ "alg": "ES384" }), ""),
    ("no nonce asked for", |s| s.nonce = None, ""),
    ("a claim nobody knows", |s| s.device(0)["x-other"] = json!(false), ""),
    ("one device", |s| s.devices.truncate(1), ""),
    // Keys and signatures.
    ("no pin", |s| s.pins.clear(), "NO_ENDORSEMENT no pinned key"),
    ("another key's pin", |s| s.pins = vec![published(&new_key(), "x").1], "NO_ENDORSEMENT no pinned key"),
    ("no key published", |s| s.jwks = json!({ "keys": [] }), "NO_ENDORSEMENT no pinned key"),
    ("another kid", |s| s.header["kid"] = json!("tests-2"), "NO_ENDORSEMENT \"tests-2\""),
    (
        "another key under the kid",
        |s| {
            let key = new_key();
            let (public, pin) = published(&key, "tests-1");
            s.jwks = json!({ "keys": [public] });
            s.pins = vec![pin];
        },
        "SIGNATURE no pinned key signed",
    ),
    ("devices signed by another", |s| s.device_key = Some(new_key()), "SIGNATURE token"),
    ("alg none", |s| s.header["alg"] = json!("none"), "SIGNATURE \"none\""),
    ("alg of another curve", |s| s.header["alg"] = json!("ES256"), "SIGNATURE \"ES256\""),
    ("alg with a secret", |s| s.header["alg"] = json!("HS384"), "SIGNATURE \"HS384\""),
    ("alg in small letters", |s| s.header["alg"] = json!("es384"), "SIGNATURE \"es384\""),
    ("no alg", |s| s.header = json!({ "kid": "tests-1" }), "PARSE names no algorithm"),
    ("crit", |s| s.header["crit"] = json!(["b64"]), "PARSE more than alg"),
    ("brings its key", |s| s.header["jwk"] = json!({}), "PARSE more than alg"),
    ("another typ", |s| s.header["typ"] = json!("SD-JWT"), "PARSE another type"),
    ("kid that is no text", |s| s.header["kid"] = json!(1), "PARSE kid"),
    // Issuer and form.
    (
        "staging issuer",
        |s| {
            s.overall["iss"] = json!("https://nras.attestation-stg.nvidia.com");
        },
        "CHAIN attestation-stg.nvidia.com\" in the overall token",
    ),
    ("a device of another issuer", |s| s.device(1)["iss"] = json!("x"), "CHAIN in GPU-1"),
    ("issuer with a slash", |s| s.overall["iss"] = json!(format!("{ISSUER}/")), "CHAIN"),
    ("no issuer", |s| s.device(0)["iss"] = Value::Null, "CHAIN in GPU-0"),
    ("another subject", |s| s.overall["sub"] = json!("OTHER"), "DOWNGRADE OTHER"),
    ("another version", |s| s.overall["x-nvidia-ver"] = json!("1.0"), "DOWNGRADE 1.0"),
    // Dates.
    ("over", |s| s.overall["exp"] = json!(NOW - 1), "STALE the overall token"),
    ("at its last second", |s| s.overall["exp"] = json!(NOW), ""),
    ("a device's over", |s| s.device(0)["exp"] = json!(NOW - 1), "STALE GPU-0"),
    ("not before later", |s| s.device(1)["nbf"] = json!(NOW + 1), "STALE GPU-1"),
    ("issued later", |s| s.overall["iat"] = json!(NOW + 1), "STALE the overall token"),
    ("without an end", |s| s.device(2)["exp"] = Value::Null, "STALE SWITCH-0 without"),
    ("an end in text", |s| s.device(2)["exp"] = json!("9999999999"), "STALE SWITCH-0 without"),
    ("an end in fractions", |s| s.overall["exp"] = json!(1e12), "STALE the overall token without"),
    // Nonce.
    ("another nonce asked for", |s| s.nonce = Some(vec![1; 32]), "NONCE a7a7"),
    ("a shorter nonce asked for", |s| s.nonce = Some(NONCE[..31].to_vec()), "NONCE a7a7"),
    ("a device of another nonce", |s| s.device(0)["eat_nonce"] = json!("a8".repeat(32)), "NONCE in GPU-0"),
    ("no nonce", |s| s.overall["eat_nonce"] = Value::Null, "NONCE in the overall token"),
    (
        "no nonce, and none asked for",
        |s| {
            s.overall["eat_nonce"] = json!("");
            s.nonce = None;
        },
        "NONCE in the overall token",
    ),
    ("a nonce that is not hexadecimal", |s| s.overall["eat_nonce"] = json!("xyz"), "NONCE in the overall token"),
    // Submodules.
    ("no submods", |s| s.submodules = Some(Value::Null), "SIGNATURE no submods"),
    ("submods of nothing", |s| s.submodules = Some(json!({})), "SIGNATURE GPU-0, which is not named"),
    (
        "a device more",
        |s| {
            s.submodules = Some(json!({ "GPU-7": ["DIGEST", ["SHA-256", "00".repeat(32)]] }));
        },
        "SIGNATURE GPU-7, of which there is no token",
    ),
    (
        "another digest",
        |s| s.submodules = Some(submodules("SHA-256", &"00".repeat(32))),
        "SIGNATURE another token of GPU-0",
    ),
    (
        "the tool's name of the digest",
        |s| {
            s.submodules = Some(submodules("SHA256", &"00".repeat(32)));
        },
        "SIGNATURE another token of GPU-0",
    ),
    (
        "a digest of another kind",
        |s| {
            s.submodules = Some(submodules("SHA-512", &"00".repeat(64)));
        },
        "SIGNATURE something else",
    ),
    ("a digest cut short", |s| s.submodules = Some(submodules("SHA-256", "00")), "SIGNATURE something else"),
    // Results.
    ("overall false", |s| s.overall["x-nvidia-overall-att-result"] = json!(false), "MEASUREMENT found false"),
    ("overall in text", |s| s.overall["x-nvidia-overall-att-result"] = json!("true"), "MEASUREMENT found \"true\""),
    ("no overall result", |s| s.overall["x-nvidia-overall-att-result"] = Value::Null, "MEASUREMENT found null"),
    ("measurements differ", |s| s.device(1)["measres"] = json!("fail"), "MEASUREMENT \"fail\" for GPU-1"),
    ("no measurements", |s| s.device(0)["measres"] = Value::Null, "MEASUREMENT null for GPU-0"),
    ("no secure start", |s| s.device(0)["secboot"] = json!(false), "MEASUREMENT secboot false"),
    ("debugging", |s| s.device(2)["dbgstat"] = json!("enabled"), "DEBUG \"enabled\" for SWITCH-0"),
    (
        "report not verified",
        |s| {
            s.device(0)["x-nvidia-gpu-attestation-report-signature-verified"] = json!(false);
        },
        "MEASUREMENT signature-verified false",
    ),
    (
        "manifest not verified",
        |s| {
            s.device(0)["x-nvidia-gpu-vbios-rim-signature-verified"] = json!(false);
        },
        "MEASUREMENT rim-signature-verified false",
    ),
    (
        "manifest neither good nor bad",
        |s| {
            s.device(0)["x-nvidia-gpu-driver-rim-fetched"] = Value::Null;
        },
        "MEASUREMENT rim-fetched null",
    ),
    (
        "a switch's manifest not verified",
        |s| {
            s.device(2)["x-nvidia-switch-bios-rim-signature-verified"] = json!(false);
        },
        "MEASUREMENT rim-signature-verified false",
    ),
    ("another architecture", |s| s.device(0)["x-nvidia-gpu-arch-check"] = json!(false), "MEASUREMENT arch-check false"),
    (
        "both manifests for one index",
        |s| {
            s.device(0)["x-nvidia-gpu-vbios-index-no-conflict"] = json!(false);
        },
        "MEASUREMENT no-conflict false",
    ),
    ("chain expired", |s| chain(s, "x-nvidia-cert-status", json!("expired")), "MEASUREMENT cert-chain"),
    ("chain revoked", |s| chain(s, "x-nvidia-cert-ocsp-status", json!("revoked")), "MEASUREMENT cert-chain"),
    (
        "chain on hold",
        |s| chain(s, "x-nvidia-cert-revocation-reason", json!("certificateHold")),
        "MEASUREMENT cert-chain",
    ),
    ("no status of the chain", |s| chain(s, "x-nvidia-cert-ocsp-status", Value::Null), "MEASUREMENT cert-chain"),
    ("responder not valid", |s| chain(s, "x-nvidia-cert-ocsp-response-valid", json!(false)), "MEASUREMENT cert-chain"),
    (
        "mismatches",
        |s| {
            s.device(0)["x-nvidia-mismatch-measurement-records"] = json!([{ "index": 9 }]);
        },
        "MEASUREMENT mismatch",
    ),
    ("an error", |s| s.device(0)["x-nvidia-error-details"] = json!({ "code": 4010 }), "MEASUREMENT error-details"),
    // Devices.
    ("a device twice", |s| s.devices[1].1 = s.devices[0].1.clone(), "PLATFORM_NOT_ALLOWED 2 different ones for 3"),
    (
        "a switch for a GPU",
        |s| s.devices[0].1 = s.devices[2].1.clone(),
        "PLATFORM_NOT_ALLOWED claims of a switch for GPU-0",
    ),
    (
        "a GPU of type switch",
        |s| {
            s.device(0)["x-nvidia-device-type"] = json!("switch");
        },
        "PLATFORM_NOT_ALLOWED claims of a switch for GPU-0",
    ),
    ("no ueid", |s| s.device(0)["ueid"] = Value::Null, "PARSE ueid null"),
    ("a model that is not printable", |s| s.device(0)["hwmodel"] = json!("\u{1b}[1m"), "PARSE hwmodel"),
    ("no driver", |s| s.device(0)["x-nvidia-gpu-driver-version"] = json!(550), "PARSE driver-version"),
    ("a device without a known name", |s| s.devices[0].0 = "CPU-0", "PARSE GPU-n"),
    ("a device of another number's form", |s| s.devices[0].0 = "GPU-00", "PARSE GPU-n"),
    ("no device", |s| s.devices.clear(), "PARSE 0 devices"),
    // Shape.
    ("padding", |s| s.edit = |text| text.replace("\"],{", "=\"],{"), "PARSE signature"),
    ("two parts", |s| s.edit = |text| text.replacen('.', "", 1), "PARSE three parts"),
    ("four parts", |s| s.edit = |text| text.replacen('.', "..", 1), "PARSE three parts"),
    ("no JWT", |s| s.edit = |text| text.replace("JWT", "CWT"), "PARSE it is not"),
    ("an object", |s| s.edit = |text| format!("{{\"a\":{text}}}"), "PARSE it is not"),
    ("something after it", |s| s.edit = |text| format!("{text}[]"), "PARSE"),
    ("a third part", |s| s.edit = |text| text.replace("}]", "},1]"), "PARSE it is not"),
    ("a device's name twice", |s| s.edit = |text| text.replace("GPU-1", "GPU-0"), "PARSE twice"),
    ("a name changed", |s| s.edit = |text| text.replace("\"GPU-1\"", "\"GPU-2\""), "SIGNATURE GPU-1, of which"),
];

fn submodules(algorithm: &str, digest: &str) -> Value {
    let entry = json!(["DIGEST", [algorithm, digest]]);
    json!({ "GPU-0": entry, "GPU-1": entry, "SWITCH-0": entry })
}

fn chain(service: &mut Service, member: &str, value: Value) {
    service.device(0)["x-nvidia-gpu-attestation-report-cert-chain"][member] = value;
}

#[test]
fn one_defect_each() {
    let service = Service::new();
    for (defect, change, wanted) in ROWS {
        let mut changed = service.clone();
        change(&mut changed);
        let (found, detail) = match changed.judge(changed.answer().as_bytes()) {
            Ok(_) => (String::new(), String::new()),
            Err((code, detail)) => (code.to_string(), detail),
        };
        let (code, words) = wanted.split_once(' ').unwrap_or((wanted, ""));
        assert!(found == code && detail.contains(words), "{defect}: wanted {wanted}, found {found} {detail}");
    }
}

#[test]
fn what_is_believed_is_told() {
    let mut service = Service::new();
    service.device(1)["x-nvidia-attestation-warning"] = json!("old driver");
    let claims = service.judge(service.answer().as_bytes()).unwrap();
    assert_eq!((claims.nonce.as_slice(), claims.until.as_secs()), (&NONCE[..], NOW + 3000));
    let [gpu, warned, switch] = claims.devices.as_slice() else { panic!("three devices") };
    assert_eq!((gpu.name.as_str(), gpu.ueid.as_str()), ("GPU-0", "11"));
    assert_eq!(gpu.hardware_model, "GH100 A01 GSP BROM");
    assert_eq!((gpu.driver_version.as_deref(), gpu.vbios_version.as_str()), (Some("550.90.07"), "96.00.9F.00.01"));
    assert_eq!((gpu.warning.as_deref(), warned.warning.as_deref()), (None, Some("\"old driver\"")));
    assert_eq!((switch.name.as_str(), switch.driver_version.as_deref()), ("SWITCH-0", None));
    assert_eq!(switch.vbios_version, "96.10.55.00.01");
}

#[test]
fn a_key_set_is_read_strictly() {
    let (key, _) = published(&new_key(), "a");
    let with = |name: &str, value: Value| {
        let mut changed = key.clone();
        changed[name] = value;
        ServiceKeys::parse(json!({ "keys": [changed] }).to_string().as_bytes())
    };
    assert!(with("kid", Value::Null).is_ok());
    assert_eq!(with("crv", json!("P-256")), Ok(ServiceKeys::default()), "of another kind: passed over");
    for wrong in [json!("AA"), Value::Null, json!("="), json!(7)] {
        assert!(with("x", wrong.clone()).is_err(), "{wrong}");
    }
    for wrong in ["{}", "[]", "{\"keys\":{}}", "{\"keys\":[],\"keys\":[]}", ""] {
        assert!(ServiceKeys::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
    let many = json!({ "keys": vec![key; 65] });
    assert!(ServiceKeys::parse(many.to_string().as_bytes()).is_err());
}

#[test]
fn it_looks_like_an_answer_by_its_beginning() {
    assert!(looks_like(b" [\n[ \"JWT\" , "));
    for other in [&b"[[\"jwt\""[..], b"[\"JWT\"", b"{}", b""] {
        assert!(!looks_like(other));
    }
    let large = vec![b' '; (1 << 20) + 1];
    assert!(RemoteAnswer::parse(&large).unwrap_err().detail.contains("larger"));
    let token = "a".repeat((32 << 10) + 1);
    let answer = json!([["JWT", token], { "GPU-0": "" }]).to_string();
    assert!(RemoteAnswer::parse(answer.as_bytes()).unwrap_err().detail.contains("larger"));
}

/// The bits of an answer, from `first` on in steps, after whose change it is still believed.
fn believed_bits(service: &Service, answer: &[u8], first: usize, step: usize) -> Vec<usize> {
    let believed = |bit: &usize| {
        let mut changed = answer.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        service.judge(&changed).is_ok()
    };
    (first..answer.len() * 8).step_by(step).filter(believed).collect()
}

#[test]
fn a_bit_changed_refuses() {
    let service = Service::new();
    assert_eq!(believed_bits(&service, service.answer().as_bytes(), 0, 61), [0; 0]);
}

#[test]
#[ignore = "every bit: ten seconds"]
fn every_single_bit_of_a_remote_answer() {
    let service = Service::new();
    assert_eq!(believed_bits(&service, service.answer().as_bytes(), 0, 1), [0; 0]);
}
