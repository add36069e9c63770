//! `tests/vectors/nvidia-eat`: what NVIDIA's service and NVIDIA's own tool answered.

use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::unix_time::UnixTime;

fn file(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/nvidia-eat"));
    std::fs::read(folder.join(name)).unwrap()
}

fn refused(bytes: &[u8], keys: &ServiceKeys) -> (Code, String) {
    let rules = RemoteRules {
        pins: &[[7; 32]],
        keys,
        issuer: "https://nras.attestation.nvidia.com",
        nonce: None,
        now: UnixTime::from_secs(1_749_601_900),
    };
    judged(bytes, &rules).unwrap_err()
}

#[test]
fn the_service_s_answers_are_by_keys_that_nobody_pinned() {
    let (other, _) = service::published(&service::new_key(), "another");
    let published = serde_json::json!({ "keys": [other] }).to_string();
    for keys in [ServiceKeys::default(), ServiceKeys::parse(published.as_bytes()).unwrap()] {
        for (name, key_id) in [
            ("nras_hopper_claims_v3_detached_eat.json", "nv-eat-kid-prod-20250609211310110-"),
            ("nras_switch_detached_eat.json", "nv-eat-kid-stg-20250627231638491-"),
        ] {
            let bytes = file(name);
            assert!(looks_like(&bytes), "{name}");
            let (code, detail) = refused(&bytes, &keys);
            assert_eq!(code, Code::NoEndorsement, "{name}: {detail}");
            assert!(detail.contains("no pinned key of the service") && detail.contains(key_id), "{name}: {detail}");
        }
    }
}

/// The tool signs nothing unless it is given a key.
#[test]
fn an_answer_that_nothing_signs_is_refused_by_name() {
    let file: Value = serde_json::from_slice(&file("nvat_local_alg_none_h100.json")).unwrap();
    let answer = file["detached_eat"].to_string();
    assert!(looks_like(answer.as_bytes()));
    let (code, detail) = refused(answer.as_bytes(), &ServiceKeys::default());
    assert_eq!(code, Code::Signature);
    assert!(detail.contains("\"none\""), "{detail}");
    // The tool's own output, which has it among its members, is refused for the same reason.
    let whole = file.to_string();
    assert!(looks_like(whole.as_bytes()));
    assert_eq!(RemoteAnswer::parse(whole.as_bytes()).unwrap_err().code, Code::Signature);
    // In there, too, no member stands twice.
    let twice = r#"{"detached_eat":[["JWT","a"],{"GPU-0":"b","GPU-0":"c"}]}"#;
    assert!(looks_like(twice.as_bytes()));
    assert!(RemoteAnswer::parse(twice.as_bytes()).unwrap_err().detail.contains("a member twice"));
}

/// They are read as NVIDIA's notes read them, and but for the key they would be believed: the switch's
/// not, since its issuer is not the production one.
#[test]
fn the_service_s_claims_are_what_its_notes_say() {
    for (name, decoded) in [
        ("nras_hopper_claims_v3_detached_eat.json", "nras_hopper_claims_v3_decoded.json"),
        ("nras_switch_detached_eat.json", "nras_switch_decoded.json"),
    ] {
        assert_eq!(RemoteAnswer::parse(&file(decoded)).unwrap_err().code, Code::Parse, "{decoded}");
        let answer = RemoteAnswer::parse(&file(name)).unwrap();
        let wanted: Value = serde_json::from_slice(&file(decoded)).unwrap();
        for (device, token) in &answer.devices {
            assert_eq!(Value::Object(token.claims().clone()), wanted[device], "{name}: {device}");
            let judged = device::judge(device, token).unwrap();
            assert_eq!(judged.ueid, wanted[device]["ueid"]);
        }
        assert_eq!(answer.devices.len(), 1);
        let issuer = answer.overall.text("iss");
        assert_eq!(issuer == "https://nras.attestation.nvidia.com", name.contains("hopper"), "{issuer}");
    }
}
