//! Whose word there is on a model: the producer's before it is sealed, the sealer's beside it, and a
//! broker that wants the right one.

use std::fs;

use strongroom_enclave_loader::provenance::{EcSigningKey, SIGNATURE_FILE, hash_directory, sign_model};

use super::scene::Scene;
use super::tenant::{Tenant, policy};

/// A tenant with a folder `signed/`, whose files the owner of `producer.pub` signed.
fn tenant() -> Tenant {
    let tenant = Tenant::new();
    let scene = &tenant.scene;
    fs::create_dir(scene.path("signed")).unwrap();
    scene.write("signed/model.gguf", scene.read("model.gguf"));
    scene.write("signed/LICENSE", "text");
    let producer = EcSigningKey::generate().unwrap();
    let files = hash_directory(&scene.path("signed"), &[]).unwrap();
    scene.write("signed/model.sig", sign_model("signed", &files, &[SIGNATURE_FILE], &producer).unwrap());
    scene.write("producer.pub", producer.public().to_pem());
    scene.write("other.pub", EcSigningKey::generate().unwrap().public().to_pem());
    tenant
}

const SEAL: [&str; 14] = [
    "model",
    "seal",
    "signed",
    "new.sealed",
    "--to",
    "broker/deposit.pub",
    "--publisher",
    "publisher.key",
    "--name",
    "tiny",
    "--version",
    "2",
    "--development",
    "--signer-key",
];

#[test]
fn only_what_the_producer_signed_is_sealed_and_it_is_seen_again_inside() {
    let mut tenant = tenant();
    let publisher = tenant.publisher.clone();
    let scene = &mut tenant.scene;
    let seal = |key| [&SEAL[..], &[key]].concat();
    let refused = |scene: &mut Scene, key| {
        assert_eq!(scene.show(&seal(key)).exit, 3);
        assert!(!scene.path("new.sealed").exists());
    };
    refused(scene, "other.pub");
    scene.write("signed/LICENSE", "another text");
    refused(scene, "producer.pub");
    scene.write("signed/LICENSE", "text");
    scene.write("signed/extra.json", "{}");
    refused(scene, "producer.pub");
    fs::remove_file(scene.path("signed/extra.json")).unwrap();
    assert_eq!(scene.show(&seal("producer.pub")).exit, 0);

    let verify = ["model", "verify", "new.sealed", "--publisher", &publisher, "--signer-key"];
    assert_eq!(scene.show(&[&verify[..], &["producer.pub"]].concat()).exit, 2, "it is inside");
    let inside = |key| [&verify[..], &[key, "--broker", "broker", "--deep"]].concat();
    assert_eq!(scene.show(&inside("producer.pub")).exit, 0);
    assert_eq!(scene.show(&inside("other.pub")).exit, 3);
    scene.agrees_with("model-signature");
}

#[test]
fn a_sealer_says_what_it_sealed_and_everything_public_counts() {
    let mut tenant = tenant();
    let publisher = tenant.publisher.clone();
    let scene = &mut tenant.scene;
    assert_eq!(scene.show(&["model", "signing-key", "sealer.key"]).exit, 0);
    let seal = [&SEAL[..], &["producer.pub", "--signing-key", "sealer.key", "--licence", "Apache-2.0"]].concat();
    assert_eq!(scene.show(&seal).exit, 0);
    let verify = ["model", "verify", "new.sealed", "--publisher", &publisher, "--sealer-key"];
    let sealer = [&verify[..], &["sealer.key.pub"]].concat();
    assert_eq!(scene.show(&sealer).exit, 0);
    assert_eq!(scene.show(&[&verify[..], &["other.pub"]].concat()).exit, 3);

    let bom: serde_json::Value = serde_json::from_slice(&scene.read("new.sealed/bom.cdx.json")).unwrap();
    let component = &bom["metadata"]["component"];
    assert_eq!((&component["type"], &component["name"]), (&"machine-learning-model".into(), &"tiny".into()));
    assert_eq!(component["licenses"][0]["license"]["id"], "Apache-2.0");
    // No digest of plaintext: whoever has one could confirm a guess.
    let plain = hash_directory(&scene.path("signed"), &[]).unwrap();
    for name in ["bom.cdx.json", "provenance.intoto.jsonl", "model.sig"] {
        let text = String::from_utf8(scene.read(&format!("new.sealed/{name}"))).unwrap();
        assert!(plain.iter().all(|file| !text.contains(&file.sha256.to_string())), "{name}");
    }

    // Other keys for another broker change nothing that is signed; anything else does.
    let init = ["broker", "init", "--dir", "next", "--tenant", "bank", "--deployment", "bank"];
    scene.done(&[&init[..], &["--development", "--development-root", "root.der"]].concat());
    let rewrap = ["model", "rewrap", "new.sealed", "--publisher", &publisher, "--broker", "broker", "--to"];
    scene.done(&[&rewrap[..], &["next/deposit.pub"]].concat());
    assert_eq!(scene.run(&sealer).exit, 0);
    for file in ["bom.cdx.json", "provenance.intoto.jsonl"] {
        let sound = scene.read(&format!("new.sealed/{file}"));
        scene.write(&format!("new.sealed/{file}"), [&sound[..], b" "].concat());
        let said = scene.run(&[&["--json"], &sealer[..]].concat());
        assert_eq!((said.exit, &said.json()["error"]["code"]), (3, &"PROVENANCE_FILE_DIGEST".into()), "{file}");
        scene.write(&format!("new.sealed/{file}"), sound);
    }
    scene.agrees_with("model-sealer");
}

#[test]
fn a_broker_wants_the_signer_that_its_policy_names() {
    let mut tenant = tenant();
    let publisher = tenant.publisher.clone();
    let scene = &mut tenant.scene;
    scene.done(&[&SEAL[..], &["producer.pub"]].concat());
    let deposit = ["broker", "deposit", "--dir", "broker", "new.sealed", "--publisher", &publisher, "--signer-key"];
    assert_eq!(scene.show(&[&deposit[..], &["other.pub"]].concat()).exit, 3);
    assert_eq!(scene.show(&[&deposit[..], &["producer.pub"]].concat()).exit, 0);
    let unsigned = ["broker", "deposit", "--dir", "broker", "model.sealed", "--publisher", &publisher];
    assert_eq!(scene.show(&[&unsigned[..], &["--signer-key", "producer.pub"]].concat()).exit, 3, "nobody signed it");
    let rules = "[[signers.models.tiny]]\nmethod = \"key\"\nfingerprint = \"";
    for (fingerprint, exit) in [("ab".repeat(32), 0), ("ab".to_owned(), 2)] {
        scene.write("signers.toml", format!("{}\n{rules}{fingerprint}\"\n", policy(&"00".repeat(32))));
        assert_eq!(scene.show(&["broker", "policy", "--dir", "broker", "signers.toml"]).exit, exit);
    }
    scene.agrees_with("model-signers");
}
