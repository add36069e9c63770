//! The remote service's tokens: the claims of genuine ones, signed with the published key, and
//! each named by the one over all.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use strongroom_simulated_platform::{GpuTopology, SimulatedNvidia};

use crate::{NONCE, NOW, set, vendor};

const GPU_CLAIMS: &str = include_str!("../../../../tests/vectors/nvidia-eat/nras_hopper_claims_v3_decoded.json");
const SWITCH_CLAIMS: &str = include_str!("../../../../tests/vectors/nvidia-eat/nras_switch_decoded.json");

#[test]
fn tokens_have_the_claims_of_genuine_ones_and_are_signed() {
    let (vendor, set) = (vendor(), set(GpuTopology::ProtectedPcie));
    let answer: Value = serde_json::from_str(&vendor.attestation_token(&set, &NONCE, NOW).unwrap()).unwrap();
    assert_eq!(answer[0][0], "JWT");
    let overall = claims(&vendor, answer[0][1].as_str().unwrap());
    let wanted = "eat_nonce exp iat iss jti nbf sub submods x-nvidia-overall-att-result x-nvidia-ver";
    assert_eq!(names(&overall), wanted.split(' ').map(str::to_owned).collect());
    assert_eq!(overall["x-nvidia-overall-att-result"], true);

    let tokens = answer[1].as_object().unwrap();
    assert_eq!(tokens.len(), 12);
    assert_eq!(overall["submods"].as_object().unwrap().len(), tokens.len());
    for (name, token) in tokens {
        let token = token.as_str().unwrap();
        let device = claims(&vendor, token);
        let digest = hex::encode(Sha256::digest(token));
        assert_eq!(overall["submods"][name], serde_json::json!(["DIGEST", ["SHA-256", digest]]));
        let (kind, number) = name.split_once('-').unwrap();
        let number: usize = number.parse().unwrap();
        let (genuine, ueid) = match kind {
            "GPU" => (genuine(GPU_CLAIMS, "GPU-0"), set.gpus()[number].ueid()),
            _ => (genuine(SWITCH_CLAIMS, "SWITCH-0"), set.switches()[number].ueid()),
        };
        assert_eq!(names(&device), names(&genuine), "{name}");
        for (claim, value) in genuine.as_object().unwrap() {
            // All that says how the appraisal ended is the same; one of the two has no manufacturer.
            if value.is_boolean() || ["measres", "dbgstat", "hwmodel"].contains(&claim.as_str()) {
                assert_eq!(&device[claim], value, "{name} {claim}");
            }
            if value.is_object() {
                assert_eq!(names(&device[claim]), names(value), "{name} {claim}");
            }
        }
        assert_eq!(device["ueid"], ueid);
        assert_eq!(device["eat_nonce"], hex::encode(NONCE));
        assert_eq!(device["iss"], SimulatedNvidia::ATTESTATION_SERVICE);
    }
}

#[test]
fn the_key_s_digest_is_that_of_the_key_set() {
    let vendor = vendor();
    let point = point(&vendor);
    let header = hex::decode("3076301006072a8648ce3d020106052b8104002203620004").unwrap();
    let info = [header, point[1..].to_vec()].concat();
    assert_eq!(vendor.attestation_service_key_digest().unwrap().as_slice(), Sha256::digest(info).as_slice());
}

/// The claims of a token whose signature verifies.
fn claims(vendor: &SimulatedNvidia, token: &str) -> Value {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(header["alg"], "ES384");
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point(vendor))
        .verify(signed.as_bytes(), &decode(signature))
        .unwrap();
    serde_json::from_slice(&decode(claims)).unwrap()
}

/// The one key of the key set, uncompressed.
fn point(vendor: &SimulatedNvidia) -> Vec<u8> {
    let keys: Value = serde_json::from_str(&vendor.attestation_service_keys().unwrap()).unwrap();
    let [key] = keys["keys"].as_array().unwrap().as_slice() else { panic!("one key") };
    let [x, y] = ["x", "y"].map(|name| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap());
    [vec![4], x, y].concat()
}

fn genuine(claims: &str, name: &str) -> Value {
    serde_json::from_str::<Value>(claims).unwrap()[name].clone()
}

fn names(claims: &Value) -> BTreeSet<String> {
    claims.as_object().unwrap().keys().cloned().collect()
}
