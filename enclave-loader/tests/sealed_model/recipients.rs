//! Who can open a sealed model, and passing it on to another broker.

use std::fs;

use strongroom_enclave_loader::{ArtifactKey, LoadError, SealError, open_manifest, rewrap};
use zeroize::Zeroizing;

use crate::fixture::{Tenant, Workshop, read_all};

#[test]
fn a_new_recipient_opens_the_same_model_and_the_old_one_no_longer() {
    let (old, new) = (Tenant::new(1), Tenant::new(2));
    let workshop = Workshop::new(&[("config.json", b"{\"a\": 1}")]);
    workshop.seal(&old.options(1));
    let manifest = fs::read(workshop.sealed().join("manifest.cbor")).expect("reads");

    rewrap(&workshop.sealed(), &old.verifying_key(), &old.broker, new.broker.public()).expect("rewraps");
    assert_eq!(fs::read(workshop.sealed().join("manifest.cbor")).expect("reads"), manifest, "id and signature");
    assert_eq!(old.keys(&workshop.sealed()).err(), Some(LoadError::WrongKey));
    let keys = new.keys(&workshop.sealed()).expect("unwraps");
    let opened = open_manifest(&workshop.sealed(), &old.verifying_key()).expect("opens");
    assert_eq!(read_all(&opened.unlock(&keys).expect("unlocks"), "config.json"), b"{\"a\": 1}");
    assert!(!workshop.sealed().join("keys.new").exists());
}

#[test]
fn only_the_recipient_of_a_model_of_the_publisher_can_pass_it_on() {
    let (owner, other) = (Tenant::new(1), Tenant::new(2));
    let workshop = Workshop::new(&[("config.json", b"{}")]);
    workshop.seal(&owner.options(1));
    let before = fs::read(workshop.sealed().join("keys.cbor")).expect("reads");
    let wrong_recipient = rewrap(&workshop.sealed(), &owner.verifying_key(), &other.broker, other.broker.public());
    assert_eq!(wrong_recipient, Err(SealError::Open(LoadError::WrongKey)));
    let wrong_publisher = rewrap(&workshop.sealed(), &other.verifying_key(), &owner.broker, other.broker.public());
    assert_eq!(wrong_publisher, Err(SealError::Open(LoadError::Signature)));
    assert_eq!(fs::read(workshop.sealed().join("keys.cbor")).expect("reads"), before);
}

#[test]
fn wrong_missing_and_surplus_keys_are_one_and_the_same_refusal() {
    let tenant = Tenant::new(1);
    let workshop = Workshop::new(&[("config.json", b"{}")]);
    workshop.seal(&tenant.options(1));
    let wrong = || ArtifactKey::from_bytes(Zeroizing::new([0; 32]));
    let right = || tenant.keys(&workshop.sealed()).expect("keys").remove(0);
    for keys in [vec![], vec![wrong()], vec![right(), wrong()], vec![right(), right()], vec![wrong(), right()]] {
        let manifest = open_manifest(&workshop.sealed(), &tenant.verifying_key()).expect("opens");
        assert_eq!(manifest.check_keys(&keys), Err(LoadError::WrongKey));
        assert_eq!(manifest.unlock(&keys).err(), Some(LoadError::WrongKey));
    }
}
