//! Who may have signed which model: what a policy says counts at each release.

use strongroom_broker::Environment;
use strongroom_enclave_loader::provenance::{
    EcPublicKey, EcSigningKey, SIGNATURE_FILE, Trust, hash_directory, sign_model,
};
use strongroom_enclave_loader::release::WantedModel;
use strongroom_enclave_loader::{SealOptions, open_manifest, seal};

use crate::world::{Instance, World, policy};

/// Whoever signed the files is judged at each release, by the policy in force then.
#[tokio::test]
async fn a_model_whose_files_nobody_or_somebody_else_signed() {
    let world = World::new();
    let producer = EcSigningKey::generate().unwrap();
    let signers = |key: &EcPublicKey| {
        format!("{}[[signers.models.llama]]\nmethod = \"key\"\nfingerprint = \"{}\"\n", policy(), key.fingerprint())
    };
    world.broker.activate_policy(&signers(producer.public())).unwrap();
    let refusal = world.release(&Instance::new(&world)).await.err().unwrap();
    assert!(refusal.to_string().contains("signer of llama"), "{refusal}");

    let sealed = world.dir.path().join("signed");
    seal_signed(&world, &sealed, &producer);
    let trust = Trust::Key(producer.public());
    world.broker.deposit_signed(&sealed, &world.publisher.verifying_key(), None, Some(&trust)).unwrap();
    let mut instance = Instance::new(&world);
    let manifest = open_manifest(&sealed, &world.publisher.verifying_key()).unwrap();
    instance.models = vec![WantedModel { model_id: manifest.model_id(), version: 4 }];
    world.release(&instance).await.unwrap();

    world.broker.activate_policy(&signers(EcSigningKey::generate().unwrap().public())).unwrap();
    let mut instance = Instance::new(&world);
    instance.models = vec![WantedModel { model_id: manifest.model_id(), version: 4 }];
    let refusal = world.release(&instance).await.err().unwrap();
    assert!(refusal.to_string().contains("signer of llama"), "{refusal}");
}

/// `llama` version 4, whose files `producer` signed.
fn seal_signed(world: &World, sealed: &std::path::Path, producer: &EcSigningKey) {
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("model.gguf"), b"weights").unwrap();
    let files = hash_directory(source.path(), &[]).unwrap();
    let signature = sign_model("llama", &files, &[SIGNATURE_FILE], producer).unwrap();
    std::fs::write(source.path().join(SIGNATURE_FILE), signature).unwrap();
    let options = SealOptions::new("llama", 4, Environment::Development, &world.publisher, world.broker.deposit_key());
    seal(source.path(), sealed, &options, &|_| ()).unwrap();
}
