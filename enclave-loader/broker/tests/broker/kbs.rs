//! The CoCo KBS protocol from a stock client's side: its JSON, its hash, its JWE.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser as _;
use strongroom_attestation::{UnixTime, crypto};
use strongroom_broker::{BrokerError, TrustOptions};
use strongroom_channel::trust_file;
use strongroom_enclave_loader::ArtifactKey;
use strongroom_enclave_loader::open_manifest;
use strongroom_enclave_loader::release::AnsweredModel;
use strongroom_simulated_platform::{SimulatedDevice, launch_measurement};
use tower::ServiceExt as _;

use crate::gpus;
use crate::world::{CONFIG_DIGEST, NOW, World, policy, vendor};

/// A stock client: an EC key, a cookie jar with one cookie, a device.
struct Client<'a> {
    world: &'a World,
    key: PrivateKey,
    device: SimulatedDevice,
    cookie: Option<String>,
    token: Option<String>,
}

impl<'a> Client<'a> {
    fn new(world: &'a World) -> Self {
        let device = vendor().device([1; 32], launch_measurement(b"the image"), CONFIG_DIGEST, NOW).unwrap();
        Self { world, key: PrivateKey::generate(&ECDH_P256).unwrap(), device, cookie: None, token: None }
    }

    async fn send(&mut self, method: &str, path: &str, body: String) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(format!("/kbs/v0/{path}"));
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", format!("other=1; kbs-session-id={cookie}"));
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = self.world.router().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        if let Some(cookie) = response.headers().get("set-cookie") {
            let cookie = cookie.to_str().unwrap().strip_prefix("kbs-session-id=").unwrap();
            self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        }
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn auth(&mut self) -> String {
        let body = json!({"version": "0.4.0", "tee": "snp", "extra-params": {"supported-hash-algorithms": ["sha384"]}});
        let (status, challenge) = self.send("POST", "auth", body.to_string()).await;
        assert_eq!((status, &challenge["extra-params"]), (200, &"".into()));
        challenge["nonce"].as_str().unwrap().to_owned()
    }

    fn jwk(&self) -> Value {
        let point = self.key.compute_public_key().unwrap();
        let (x, y) = point.as_ref()[1..].split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    /// The attest request, with the evidence as the `sev` crate dumps it.
    fn attestation(&self, nonce: &str) -> Value {
        self.attestation_with(nonce, "")
    }

    /// The same with evidence of devices.
    fn attestation_with(&self, nonce: &str, additional: &str) -> Value {
        let hashed = sorted(&json!({"additional-evidence": additional, "nonce": nonce, "tee-pubkey": self.jwk()}));
        let mut report_data = [0; 64];
        report_data[..48].copy_from_slice(&crypto::sha384(hashed.as_bytes()));
        let evidence = self.device.report(&report_data).unwrap();
        let report = AttestationReport::from_bytes(&evidence.report).unwrap();
        let names = ["VCEK", "ASK", "ARK", "CRL"];
        let chain: Vec<Value> = names
            .iter()
            .zip(&evidence.endorsements)
            .map(|(name, der)| json!({"cert_type": name, "data": der}))
            .collect();
        json!({
            "init-data": null,
            "runtime-data": {"nonce": nonce, "tee-pubkey": self.jwk()},
            "tee-evidence": {
                "primary_evidence": {"attestation_report": report, "cert_chain": chain},
                "additional_evidence": additional,
            },
        })
    }

    async fn attest(&mut self) -> (u16, Value) {
        let nonce = self.auth().await;
        let body = self.attestation(&nonce).to_string();
        self.send("POST", "attest", body).await
    }

    async fn resource(&mut self, path: &str) -> (u16, Value) {
        self.send("GET", &format!("resource/{path}"), String::new()).await
    }

    /// Opens a JWE as stock clients do: with the header parsed, and written anew.
    fn open(&self, jwe: &Value) -> Vec<u8> {
        let part = |name: &str| URL_SAFE_NO_PAD.decode(jwe[name].as_str().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&part("protected")).unwrap();
        let epk = &header["epk"];
        let rewritten = format!(
            r#"{{"alg":{},"enc":{},"epk":{{"crv":{},"kty":{},"x":{},"y":{}}}}}"#,
            header["alg"], header["enc"], epk["crv"], epk["kty"], epk["x"], epk["y"]
        );
        let aad = URL_SAFE_NO_PAD.encode(rewritten);
        assert_eq!(aad, jwe["protected"].as_str().unwrap(), "the header is not in the form that clients rewrite");
        let mut point = vec![4];
        for name in ["x", "y"] {
            point.extend(URL_SAFE_NO_PAD.decode(epk[name].as_str().unwrap()).unwrap());
        }
        let kek = agreement::agree(&self.key, UnparsedPublicKey::new(&ECDH_P256, point), (), |secret| {
            let mut input = vec![0, 0, 0, 1];
            input.extend_from_slice(secret);
            input.extend(b"\x00\x00\x00\x0eECDH-ES+A256KW\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00");
            Ok::<_, ()>(crypto::sha256(&input))
        })
        .unwrap();
        let mut content_key = [0; 32];
        AesKek::new(&AES_256, &kek).unwrap().unwrap(&part("encrypted_key"), &mut content_key).unwrap();
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &content_key).unwrap());
        let nonce = Nonce::assume_unique_for_key(part("iv").try_into().unwrap());
        let mut ciphertext = [part("ciphertext"), part("tag")].concat();
        cipher.open_in_place(nonce, Aad::from(aad.as_bytes()), &mut ciphertext).unwrap().to_vec()
    }
}

/// Canonical JSON of an object of objects and plain strings.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().collect();
            let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{}", sorted(value))).collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

fn world() -> World {
    let world = World::new();
    world.broker.activate_policy(&format!("kbs = true\n{}", policy())).unwrap();
    world
}

fn kind(answer: &Value) -> &str {
    answer["type"].as_str().unwrap().strip_prefix("https://github.com/confidential-containers/kbs/errors/").unwrap()
}

#[tokio::test]
async fn the_whole_handshake_brings_keys_that_open_the_model() {
    let world = world();
    let mut client = Client::new(&world);
    let (status, answer) = client.attest().await;
    assert_eq!(status, 200, "{answer}");
    for token in [None, answer["token"].as_str().map(str::to_owned)] {
        // By cookie, then by bearer token alone.
        client.token = token;
        let (status, jwe) = client.resource("llama/model-key/3").await;
        assert_eq!(status, 200, "{jwe}");
        let keys = AnsweredModel::from_bytes(&client.open(&jwe)).unwrap();
        assert_eq!((keys.model_id, keys.version), (world.model.model_id, 3));
        let keys: Vec<ArtifactKey> = keys.keys.into_iter().map(ArtifactKey::from_bytes).collect();
        let manifest = open_manifest(&world.sealed("llama", 3), &world.publisher.verifying_key()).unwrap();
        assert!(manifest.unlock(&keys).is_ok());
        client.cookie = None;
    }
    let log = world.log_text();
    assert!(log.contains("kbs-attestation") && log.contains("kbs-resource"));
}

#[tokio::test]
async fn the_token_is_an_ear_with_the_claims_where_relying_parties_look() {
    let world = world();
    let mut client = Client::new(&world);
    let (_, answer) = client.attest().await;
    let parts: Vec<&str> = answer["token"].as_str().unwrap().split('.').collect();
    let json = |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let (header, claims) = (json(parts[0]), json(parts[1]));
    assert_eq!((&header["alg"], &header["typ"]), (&"ES256".into(), &"JWT".into()));
    let jwk = &header["jwk"];
    let mut point = vec![4];
    for name in ["x", "y"] {
        point.extend(URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap());
    }
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED, point);
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    key.verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature).unwrap();
    assert_eq!(claims["eat_profile"], "tag:github.com,2024:confidential-containers/Trustee");
    let cpu = &claims["submods"]["cpu0"];
    assert_eq!(cpu["ear.status"], "contraindicated", "a simulated platform never affirms");
    assert_eq!(cpu["ear.trustworthiness-vector"]["hardware"], 97);
    assert_eq!(cpu["ear.veraison.annotated-evidence"]["runtime_data_claims"]["tee-pubkey"], client.jwk());
}

#[tokio::test]
async fn nothing_is_released_without_the_policys_word() {
    let world = World::new();
    let mut client = Client::new(&world);
    assert_eq!(client.attest().await.0, 200);
    let (status, answer) = client.resource("llama/model-key/3").await;
    assert_eq!((status, kind(&answer)), (401, "PolicyDeny"));
    assert!(answer["detail"].as_str().unwrap().contains("kbs = true"), "{answer}");
    assert!(world.log_text().lines().last().unwrap().contains(r#""decision":"refused""#));
}

#[tokio::test]
async fn another_configuration_an_unknown_model_and_a_rollback_are_denied() {
    let world = world();
    let mut other = Client::new(&world);
    other.device = other.device.with_host_data([0; 32]);
    assert_eq!(other.attest().await.0, 200);
    let (_, answer) = other.resource("llama/model-key/3").await;
    assert_eq!(kind(&answer), "PolicyDeny");
    assert!(answer["detail"].as_str().unwrap().starts_with("HOST_DATA"), "{answer}");

    let mut client = Client::new(&world);
    client.attest().await;
    assert_eq!(kind(&client.resource("llama/model-key/4").await.1), "PolicyDeny");
    world.deposit("llama", 4);
    assert_eq!(client.resource("llama/model-key/4").await.0, 200);
    let (_, answer) = client.resource("llama/model-key/3").await;
    assert!(answer["detail"].as_str().unwrap().contains("rollback"), "{answer}");
    let (status, answer) = client.resource("llama/other-kind/4").await;
    assert_eq!((status, kind(&answer)), (404, "InvalidRequestPath"));
    let (status, answer) = client.send("GET", "pkcs11/x", String::new()).await;
    assert_eq!((status, kind(&answer)), (404, "PluginNotFound"));
}

#[tokio::test]
async fn evidence_of_another_image_or_for_another_key_or_nonce_is_refused() {
    let world = world();
    let mut other_image = Client::new(&world);
    other_image.device = other_image.device.with_measurement([0; 48]);
    let (status, answer) = other_image.attest().await;
    assert_eq!((status, kind(&answer)), (401, "AttestationError"));
    assert!(answer["detail"].as_str().unwrap().starts_with("MEASUREMENT"), "{answer}");
    assert_eq!(kind(&other_image.resource("llama/model-key/3").await.1), "TokenNotFound");

    // Somebody on the way puts in a key of his own.
    let mut client = Client::new(&world);
    let thief = Client::new(&world);
    let nonce = client.auth().await;
    let mut body = client.attestation(&nonce);
    body["runtime-data"]["tee-pubkey"] = thief.jwk();
    let (_, answer) = client.send("POST", "attest", body.to_string()).await;
    assert!(answer["detail"].as_str().unwrap().starts_with("REPORT_DATA"), "{answer}");

    // Evidence for one nonce in the session of another.
    let mut client = Client::new(&world);
    let old = client.auth().await;
    let body = client.attestation(&old);
    client.auth().await;
    let (_, answer) = client.send("POST", "attest", body.to_string()).await;
    assert!(answer["detail"].as_str().unwrap().contains("nonce"), "{answer}");
}

#[tokio::test]
async fn a_session_attests_once() {
    let world = world();
    let mut client = Client::new(&world);
    let nonce = client.auth().await;
    let body = client.attestation(&nonce).to_string();
    assert_eq!(client.send("POST", "attest", body.clone()).await.0, 200);
    let (status, answer) = client.send("POST", "attest", body).await;
    assert_eq!((status, kind(&answer)), (401, "AttestationError"));
    // The first attempt still stands.
    assert_eq!(client.resource("llama/model-key/3").await.0, 200);
}

#[tokio::test]
async fn sessions_and_tokens_end_and_forged_tokens_are_none() {
    let world = world();
    let mut client = Client::new(&world);
    let (_, answer) = client.attest().await;
    let token = answer["token"].as_str().unwrap().to_owned();
    let (signed, _) = token.rsplit_once('.').unwrap();
    for forged in [format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 64])), signed.to_owned(), "x".to_owned()] {
        client.token = Some(forged);
        let (status, answer) = client.resource("llama/model-key/3").await;
        assert_eq!((status, kind(&answer)), (401, "TokenNotFound"));
    }
    client.token = Some(token);
    world.clock.advance(300);
    assert_eq!(kind(&client.resource("llama/model-key/3").await.1), "TokenNotFound");
    client.token = None;
    assert_eq!(kind(&client.resource("llama/model-key/3").await.1), "TokenNotFound");
}

#[tokio::test]
async fn other_versions_platforms_and_keys_are_refused_with_a_reason() {
    let world = world();
    let mut client = Client::new(&world);
    for (body, reason) in [
        (json!({"version": "0.3.0", "tee": "snp", "extra-params": ""}), "0.4.0"),
        (json!({"version": "0.4.0", "tee": "sample", "extra-params": ""}), "sample"),
        (json!({"version": "0.4.0", "tee": "tdx", "extra-params": ""}), "tdx"),
    ] {
        let (status, answer) = client.send("POST", "auth", body.to_string()).await;
        assert_eq!((status, kind(&answer)), (401, "AttestationError"));
        assert!(answer["detail"].as_str().unwrap().contains(reason), "{answer}");
    }
    let nonce = client.auth().await;
    let mut body = client.attestation(&nonce);
    body["runtime-data"]["tee-pubkey"]["alg"] = "RSA1_5".into();
    let (_, answer) = client.send("POST", "attest", body.to_string()).await;
    assert!(answer["detail"].as_str().unwrap().contains("ECDH-ES+A256KW"), "{answer}");

    for (additional, reason) in
        [(r#"{"nvidia-dpu":{}}"#, "nvidia-dpu"), ("[]", "additional"), (r#"{"nvidia":{}}"#, "PARSE")]
    {
        let nonce = client.auth().await;
        let body = client.attestation_with(&nonce, additional);
        let (_, answer) = client.send("POST", "attest", body.to_string()).await;
        assert!(answer["detail"].as_str().unwrap().contains(reason), "{answer}");
    }
}

#[tokio::test]
async fn gpus_of_the_additional_evidence_are_appraised_and_bound() {
    let gpus = gpus::set();
    let world = gpus::world_with(&gpus, "kbs = true\n");
    // What vendors say about GPUs is the tenant's to keep beside the store: the protocol has no place for it.
    let folder = world.broker_dir().join("endorsements");
    std::fs::create_dir_all(&folder).unwrap();
    let published = gpus.evidence(&[0; 32]).unwrap();
    let manifests = published.manifests.iter().map(|manifest| manifest.xml.clone().into_bytes());
    for (number, value) in manifests.chain(published.ocsp_responses.clone()).enumerate() {
        std::fs::write(folder.join(format!("{number}")), value).unwrap();
    }
    let mut client = Client::new(&world);
    let challenge = |client: &Client<'_>, nonce: &str| {
        let hashed = sorted(&json!({"nonce": nonce, "tee-pubkey": client.jwk()}));
        <[u8; 32]>::try_from(&crypto::sha384(hashed.as_bytes())[..32]).unwrap()
    };
    let additional = |nonce: &[u8; 32]| {
        let list: Value = serde_json::from_str(&gpus.evidence(nonce).unwrap().to_json().unwrap()).unwrap();
        json!({"nvidia": {"device_evidence_list": list}}).to_string()
    };

    let nonce = client.auth().await;
    let shown = additional(&challenge(&client, &nonce));
    let body = client.attestation_with(&nonce, &shown).to_string();
    let (status, answer) = client.send("POST", "attest", body).await;
    assert_eq!(status, 200, "{answer}");
    let payload = answer["token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    for (name, gpu) in [("gpu0", &gpus.gpus()[0]), ("gpu1", &gpus.gpus()[1])] {
        let shown = &claims["submods"][name]["ear.veraison.annotated-evidence"]["nvidia"];
        assert_eq!(shown["ueid"], gpu.ueid(), "{name}");
    }
    assert_eq!(client.resource("llama/model-key/3").await.0, 200);

    for (defect, shown, reason) in [
        ("devices that answered another challenge", additional(&[9; 32]), "NONCE"),
        ("no devices", String::new(), "PLATFORM_NOT_ALLOWED"),
    ] {
        let nonce = client.auth().await;
        let body = client.attestation_with(&nonce, &shown).to_string();
        let (status, answer) = client.send("POST", "attest", body).await;
        assert_eq!(status, 401, "{defect}");
        assert!(answer["detail"].as_str().unwrap().contains(reason), "{defect}: {answer}");
    }
}

#[tokio::test]
async fn init_data_must_be_what_the_host_data_says() {
    let world = world();
    let init_data = "algorithm = \"sha256\"\nversion = \"0.1.0\"\n[data]\n\"a\" = \"b\"\n";
    for (device_data, body, granted) in [
        (crypto::sha256(init_data.as_bytes()), init_data.to_owned(), true),
        (CONFIG_DIGEST, init_data.to_owned(), false),
        (crypto::sha256(init_data.as_bytes()), init_data.replace("sha256", "sha384"), false),
    ] {
        let mut client = Client::new(&world);
        client.device = client.device.with_host_data(device_data);
        let nonce = client.auth().await;
        let mut request = client.attestation(&nonce);
        request["init-data"] = json!({"format": "toml", "body": body});
        let (status, answer) = client.send("POST", "attest", request.to_string()).await;
        assert_eq!(status == 200, granted, "{answer}");
        if !granted {
            assert!(answer["detail"].as_str().unwrap().starts_with("HOST_DATA"), "{answer}");
        }
    }
}

#[tokio::test]
async fn missing_certificates_may_lie_beside_the_store() {
    let world = world();
    let mut client = Client::new(&world);
    let nonce = client.auth().await;
    let mut body = client.attestation(&nonce);
    body["tee-evidence"]["primary_evidence"]["cert_chain"] = Value::Null;
    let (_, answer) = client.send("POST", "attest", body.to_string()).await;
    assert!(answer["detail"].as_str().unwrap().starts_with("NO_ENDORSEMENT"), "{answer}");

    let directory = world.broker_dir().join("endorsements");
    std::fs::create_dir(&directory).unwrap();
    for (index, der) in client.device.endorsements().iter().enumerate() {
        std::fs::write(directory.join(format!("{index}.der")), der).unwrap();
    }
    std::fs::write(directory.join("README"), "not a certificate").unwrap();
    let nonce = client.auth().await;
    let mut body = client.attestation(&nonce);
    body["tee-evidence"]["primary_evidence"]["cert_chain"] = Value::Null;
    assert_eq!(client.send("POST", "attest", body.to_string()).await.0, 200);
}

#[test]
fn keys_leave_for_another_kbs_only_where_the_policy_says_so_and_the_log_tells() {
    let silent = World::new();
    assert!(matches!(silent.broker.kbs_resource_of("llama", 3), Err(BrokerError::Value { .. })));
    let world = world();
    for (name, version) in [("llama", 1), ("unnamed", 3)] {
        assert!(matches!(world.broker.kbs_resource_of(name, version), Err(BrokerError::Value { .. })), "{name}");
    }
    assert!(matches!(world.broker.kbs_resource_of("llama", 4), Err(BrokerError::Unknown { what: "model", .. })));
    let resource = AnsweredModel::from_bytes(&world.broker.kbs_resource_of("llama", 3).unwrap()).unwrap();
    assert_eq!((resource.model_id, resource.version), (world.model.model_id, 3));
    let keys: Vec<ArtifactKey> = resource.keys.into_iter().map(ArtifactKey::from_bytes).collect();
    let manifest = open_manifest(&world.sealed("llama", 3), &world.publisher.verifying_key()).unwrap();
    assert!(manifest.unlock(&keys).is_ok());
    let log = world.log_text();
    assert_eq!(log.matches(r#""event":"keys-published""#).count(), 1);
}

#[test]
fn a_trust_file_for_the_protocol_names_no_ca_and_needs_the_policys_word() {
    let options = TrustOptions { kbs: true, ..TrustOptions::default() };
    assert!(matches!(World::new().broker.export_trust(&options), Err(BrokerError::Value { .. })));
    let world = world();
    let exported = |options: &TrustOptions| {
        let file = world.broker.export_trust(options).unwrap();
        trust_file::verify(&file, &world.broker.trust_root(), 0, UnixTime::from_secs(NOW)).unwrap()
    };
    assert_eq!(exported(&options).instance_ca, None);
    assert!(exported(&TrustOptions::default()).instance_ca.is_some());
}
