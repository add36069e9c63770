//! The bill of materials, by the rules of the CycloneDX 1.6 schema that can be told without it. The
//! schema itself judges it in `.ci/model-signing-interop.sh`.

use serde_json::{Value, json};
use strongroom_attestation::UnixTime;

use super::world::code;
use crate::provenance::*;

fn bom(licences: &[Licence]) -> ModelBom<'_> {
    ModelBom {
        name: "llama",
        version: 3,
        model_id: [7; 32],
        licences,
        task: Some("text-generation"),
        architecture_family: Some("llama"),
        architecture: Some("LlamaForCausalLM"),
        tool_version: "0.1.0",
        timestamp: UnixTime::from_secs(1_790_000_000),
    }
}

fn read(bom: &ModelBom<'_>) -> Value {
    serde_json::from_slice(&bom.to_json().expect("written")).expect("JSON")
}

#[test]
fn has_the_members_that_the_schema_wants_and_the_same_bytes_each_time() {
    let licences = [Licence::Spdx("Apache-2.0".to_owned()), Licence::Named("Our Terms".to_owned())];
    let bill = read(&bom(&licences));
    assert_eq!((bill["bomFormat"].as_str(), bill["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    assert_eq!(bill["version"], json!(1));
    assert_eq!(bill["metadata"]["timestamp"], json!("2026-09-21T14:13:20Z"));
    let model = &bill["metadata"]["component"];
    assert_eq!(model["type"], json!("machine-learning-model"));
    assert_eq!((&model["name"], &model["version"]), (&json!("llama"), &json!("3")));
    assert_eq!(model["hashes"], json!([{"alg": "SHA-256", "content": "07".repeat(32)}]));
    assert_eq!(model["licenses"], json!([{"license": {"id": "Apache-2.0"}}, {"license": {"name": "Our Terms"}}]));
    let parameters = &model["modelCard"]["modelParameters"];
    let wanted = json!({
        "task": "text-generation", "architectureFamily": "llama", "modelArchitecture": "LlamaForCausalLM",
    });
    assert_eq!(parameters, &wanted);
    assert_eq!(bom(&licences).to_json(), bom(&licences).to_json());
}

#[test]
fn what_is_not_known_is_not_there() {
    let bill = read(&ModelBom { task: None, architecture_family: None, architecture: None, ..bom(&[]) });
    let model = bill["metadata"]["component"].as_object().expect("an object");
    assert!(!model.contains_key("licenses") && !model.contains_key("modelCard"));
    let expression = [Licence::Expression("Apache-2.0 OR MIT".to_owned())];
    assert_eq!(
        read(&bom(&expression))["metadata"]["component"]["licenses"],
        json!([{"expression": "Apache-2.0 OR MIT"}])
    );
}

#[test]
fn the_serial_number_is_a_uuid_that_follows_from_the_model_id() {
    let serial = bom(&[]).serial_number();
    let uuid = serial.strip_prefix("urn:uuid:").expect("a URN");
    assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    assert!(uuid.chars().all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c)));
    assert_eq!(&uuid[14..15], "8", "the version");
    assert!("89ab".contains(&uuid[19..20]), "the variant");
    assert_eq!(serial, ModelBom { version: 4, name: "other", ..bom(&[]) }.serial_number());
    assert_ne!(serial, ModelBom { model_id: [8; 32], ..bom(&[]) }.serial_number());
}

#[test]
fn what_the_schema_forbids_is_not_written() {
    let both = [Licence::Expression("MIT".to_owned()), Licence::Spdx("MIT".to_owned())];
    let empty = [Licence::Named(String::new())];
    for bom in [
        bom(&both),
        bom(&empty),
        ModelBom { name: "", ..bom(&[]) },
        ModelBom { task: Some(""), ..bom(&[]) },
        ModelBom { name: "a\u{1b}b", ..bom(&[]) },
        ModelBom { timestamp: UnixTime::from_secs(u64::MAX), ..bom(&[]) },
    ] {
        assert_eq!(code(&bom.to_json()), "PROVENANCE_OPTIONS");
    }
}
