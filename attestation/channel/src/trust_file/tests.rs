use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

fn root() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn pinned() -> [u8; 32] {
    root().verifying_key().thumbprint()
}

fn file() -> TrustFile {
    TrustFile {
        sequence: 7,
        deployment: DeploymentId::parse("bank-prod").unwrap(),
        environment: Environment::Production,
        created: UnixTime::from_secs(NOW.as_secs() - 10),
        not_after: NOW.saturating_add_secs(100),
        instance_ca: Some(vec![1, 2, 3]),
        broker_key: SigningKey::from_seed([2; 32]).verifying_key(),
        policy: Policy::strict(),
        config_digests: vec![[3; 32], [4; 32]],
        logging: vec!["none".to_owned()],
        models: vec![TrustedModel { name: "qwen".to_owned(), model_id: [5; 32], least_version: 2 }],
        plugins: vec![[6; 32]],
        padding: "bucket".to_owned(),
        log_key: Some(SigningKey::from_seed([3; 32]).verifying_key()),
        hints: vec!["https://inference.example/".to_owned()],
        development_anchors: Vec::new(),
    }
}

#[test]
fn a_signed_file_comes_back() {
    let bytes = file().sign(&root());
    assert_eq!(root_thumbprint(&bytes), Ok(pinned()));
    assert_eq!(verify(&bytes, &pinned(), 7, NOW), Ok(file()));
    let development = TrustFile {
        environment: Environment::Development,
        development_anchors: vec![vec![9]],
        log_key: None,
        ..file()
    };
    assert_eq!(verify(&development.sign(&root()), &pinned(), 0, NOW), Ok(development));
    let without_ca = TrustFile { instance_ca: None, ..file() };
    assert_eq!(verify(&without_ca.sign(&root()), &pinned(), 0, NOW), Ok(without_ca));
}

#[test]
fn another_root_is_refused() {
    let thief = SigningKey::from_seed([9; 32]);
    let found = thief.verifying_key().thumbprint();
    assert_eq!(
        verify(&file().sign(&thief), &pinned(), 0, NOW),
        Err(TrustFileError::WrongRoot { pinned: pinned(), found })
    );
}

#[test]
fn the_pinned_roots_name_on_anothers_signature_is_refused() {
    let message = SigningKey::from_seed([9; 32]).sign1(media::TRUST_FILE, &file().encode());
    let bytes =
        Value::map([(1, Value::Bytes(&root().verifying_key().to_bytes())), (2, Value::Bytes(&message))]).encode();
    assert_eq!(verify(&bytes, &pinned(), 0, NOW), Err(TrustFileError::Signature));
}

#[test]
fn another_kind_of_message_by_the_root_is_refused() {
    let message = root().sign1(media::LEASE, &file().encode());
    let bytes =
        Value::map([(1, Value::Bytes(&root().verifying_key().to_bytes())), (2, Value::Bytes(&message))]).encode();
    assert_eq!(verify(&bytes, &pinned(), 0, NOW), Err(TrustFileError::Signature));
}

#[test]
fn an_older_file_is_refused() {
    assert_eq!(verify(&file().sign(&root()), &pinned(), 8, NOW), Err(TrustFileError::Older { seen: 8, found: 7 }));
}

#[test]
fn an_expired_file_is_refused() {
    let bytes = file().sign(&root());
    assert!(verify(&bytes, &pinned(), 0, file().not_after).is_ok());
    assert_eq!(
        verify(&bytes, &pinned(), 0, NOW.saturating_add_secs(101)),
        Err(TrustFileError::Expired { at: file().not_after })
    );
}

#[test]
fn development_anchors_in_a_production_file_are_refused() {
    let mixed = TrustFile { development_anchors: vec![vec![9]], ..file() };
    let refused = verify(&mixed.sign(&root()), &pinned(), 0, NOW);
    assert!(matches!(refused, Err(TrustFileError::Malformed(MalformedTrustFile::Value { field: 17, .. }))));
}

#[test]
fn unknown_fields_inside_and_outside_are_refused() {
    let payload = file().encode();
    let Value::Map(mut entries) = cbor::decode(&payload).unwrap() else { unreachable!() };
    entries.push((Value::Uint(18), Value::Null));
    let message = root().sign1(media::TRUST_FILE, &Value::Map(entries).encode());
    let key = root().verifying_key().to_bytes();
    let inside = Value::map([(1, Value::Bytes(&key)), (2, Value::Bytes(&message))]).encode();
    assert!(matches!(
        verify(&inside, &pinned(), 0, NOW),
        Err(TrustFileError::Malformed(MalformedTrustFile::Cbor(CborError::UnknownField { key: 18 })))
    ));
    let message = root().sign1(media::TRUST_FILE, &payload);
    let outside = Value::Map(vec![
        (Value::Uint(1), Value::Bytes(&key)),
        (Value::Uint(2), Value::Bytes(&message)),
        (Value::Negative(0), Value::Null),
    ]);
    assert!(matches!(verify(&outside.encode(), &pinned(), 0, NOW), Err(TrustFileError::Malformed(_))));
}

#[test]
fn an_envelope_of_another_form_is_refused_before_its_root_is_compared() {
    let (key, message) = ([7; 32], [1, 2]);
    let with = |entries: Vec<(u64, Value<'_>)>| Value::map(entries).encode();
    let good = with(vec![(1, Value::Bytes(&key)), (2, Value::Bytes(&message))]);
    assert!(root_thumbprint(&good).is_ok());
    let nested = Value::array([Value::array([Value::Null])]);
    for bad in [
        with(vec![(1, Value::Bytes(&key))]),
        with(vec![(1, Value::Bytes(&key[..31])), (2, Value::Bytes(&message))]),
        with(vec![(1, Value::Bytes(&key)), (3, Value::Bytes(&message))]),
        with(vec![(1, Value::Bytes(&key)), (2, nested.clone())]),
        with(vec![(1, nested), (2, Value::Bytes(&message))]),
        [good.as_slice(), &[0]].concat(),
        good[..good.len() - 1].to_vec(),
        vec![0x81; 1 << 16],
        Vec::new(),
    ] {
        assert!(
            matches!(root_thumbprint(&bad), Err(TrustFileError::Malformed(_))),
            "{}",
            hex::encode(&bad[..bad.len().min(48)])
        );
    }
}

#[test]
fn a_policy_that_is_none_is_refused() {
    let payload = file().encode();
    let Value::Map(mut entries) = cbor::decode(&payload).unwrap() else { unreachable!() };
    entries.retain(|(key, _)| *key != Value::Uint(9));
    entries.push((Value::Uint(9), Value::Text("no_such_field = true")));
    let message = root().sign1(media::TRUST_FILE, &Value::Map(entries).encode());
    let bytes =
        Value::map([(1, Value::Bytes(&root().verifying_key().to_bytes())), (2, Value::Bytes(&message))]).encode();
    assert!(matches!(verify(&bytes, &pinned(), 0, NOW), Err(TrustFileError::Malformed(MalformedTrustFile::Policy(_)))));
}

#[test]
fn any_flipped_bit_is_refused() {
    let bytes = file().sign(&root());
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1 << (at % 8);
        assert!(verify(&other, &pinned(), 0, NOW).is_err(), "byte {at}");
    }
}
