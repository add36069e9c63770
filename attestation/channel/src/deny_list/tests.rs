use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const END: UnixTime = UnixTime::from_secs(1_700_000_100);

fn key() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn pinned() -> [u8; 32] {
    key().verifying_key().thumbprint()
}

fn entries() -> Vec<Denied> {
    [
        DeniedSubject::Platform(PlatformIdentity(vec![1; 8])),
        DeniedSubject::Platform(PlatformIdentity(vec![2; 16])),
        DeniedSubject::Platform(PlatformIdentity(vec![3; 64])),
        DeniedSubject::Fmspc(HexBytes([4; 6])),
        DeniedSubject::Measurement(HexBytes([5; 48])),
        DeniedSubject::Certificate(HexBytes([6; 32])),
        DeniedSubject::Advisory("INTEL-SA-00615".to_owned()),
    ]
    .into_iter()
    .map(|subject| Denied { subject, reason: "seen in our own tests".to_owned() })
    .collect()
}

fn list() -> DenyList {
    DenyList::new("Example Bank".to_owned(), 7, Some(END), entries()).unwrap()
}

fn signed() -> Vec<u8> {
    sign(&list(), NOW, &key()).unwrap()
}

/// What the key signed, in its envelope, whatever it is.
fn with_payload(media_type: &str, payload: &Value<'_>) -> Vec<u8> {
    key_and_message::sign(&key(), media_type, &payload.encode())
}

/// The payload of [`list`] with one field changed, added, or left out.
fn with_field(field: u64, value: Option<Value<'_>>) -> Vec<u8> {
    let payload = encode(&list(), NOW, END);
    let Value::Map(mut fields) = cbor::decode(&payload).unwrap() else { unreachable!() };
    fields.retain(|(key, _)| *key != Value::Uint(field));
    fields.extend(value.map(|value| (Value::Uint(field), value)));
    with_payload(media::DENY_LIST, &Value::Map(fields))
}

#[test]
fn a_signed_list_comes_back() {
    let found = verify(&signed(), &pinned(), 7, NOW).unwrap();
    assert_eq!((found.created, found.not_after, &found.list, found.key), (NOW, END, &list(), pinned()));
    assert_eq!(signed(), signed(), "one list has one form");
    assert_eq!(found.digest, <[u8; 32]>::from(Sha256::digest(encode(&list(), NOW, END))));
}

/// The bytes are an interface: other programs write and read them.
#[test]
fn the_signed_form_is_this() {
    let one = vec![Denied { subject: DeniedSubject::Fmspc(HexBytes([4; 6])), reason: "r".to_owned() }];
    let small = DenyList::new("b".to_owned(), 1, Some(END), one).unwrap();
    let wanted = "a601010261620301041a6553f100051a6553f16406818302460404040404046172";
    assert_eq!(hex::encode(encode(&small, NOW, END)), wanted);
    let bytes = hex::encode(sign(&small, NOW, &key()).unwrap());
    let public = hex::encode(key().verifying_key().to_bytes());
    assert!(bytes.starts_with(&format!("a2015820{public}02586b8443a10127a05821{wanted}5840")), "{bytes}");
    assert_eq!(media::DENY_LIST, "application/strongroom-deny-list+cose");
}

#[test]
fn another_key_or_anothers_signature_is_refused() {
    let other = SigningKey::from_seed([9; 32]);
    let found = other.verifying_key().thumbprint();
    let by_other = sign(&list(), NOW, &other).unwrap();
    assert_eq!(verify(&by_other, &pinned(), 0, NOW), Err(DenyListError::WrongKey { pinned: pinned(), found }));
    let message = other.sign1(media::DENY_LIST, &encode(&list(), NOW, END));
    let public = key().verifying_key().to_bytes();
    let borrowed = Value::map([(1, Value::Bytes(&public)), (2, Value::Bytes(&message))]);
    assert_eq!(verify(&borrowed.encode(), &pinned(), 0, NOW), Err(DenyListError::Signature));
    let payload = encode(&list(), NOW, END);
    let lease = key_and_message::sign(&key(), media::LEASE, &payload);
    assert_eq!(verify(&lease, &pinned(), 0, NOW), Err(DenyListError::Signature), "another kind of message");
}

#[test]
fn an_older_or_ended_list_is_refused() {
    assert_eq!(verify(&signed(), &pinned(), 8, NOW), Err(DenyListError::Older { seen: 8, found: 7 }));
    assert!(verify(&signed(), &pinned(), 7, END).is_ok());
    let after = END.saturating_add_secs(1);
    assert_eq!(verify(&signed(), &pinned(), 7, after), Err(DenyListError::Expired { at: END }));
    assert!(read(&signed()).is_ok(), "its author still reads it");
}

#[test]
fn a_list_without_an_end_is_not_signed() {
    for end in [None, Some(NOW)] {
        let endless = DenyList::new("b".to_owned(), 1, end, vec![]).unwrap();
        assert!(matches!(sign(&endless, NOW, &key()), Err(MalformedDenyList::Value { field: 5, .. })));
    }
}

#[test]
fn what_is_no_list_is_refused_though_it_is_signed() {
    let entry = |kind, subject, reason| Value::array([Value::Uint(kind), subject, Value::Text(reason)]);
    let fmspc = || entry(FMSPC, Value::Bytes(&[4; 6]), "r");
    let platform = || entry(PLATFORM, Value::Bytes(&[1; 8]), "r");
    assert!(read(&with_field(6, Some(Value::array([platform(), fmspc()])))).is_ok());
    for (what, bytes) in [
        ("another version", with_field(1, Some(Value::Uint(2)))),
        ("no issuer", with_field(2, None)),
        ("an empty issuer", with_field(2, Some(Value::Text("")))),
        ("no sequence", with_field(3, None)),
        ("an end before its creation", with_field(5, Some(Value::Uint(1)))),
        ("an unknown field", with_field(7, Some(Value::Null))),
        ("out of order", with_field(6, Some(Value::array([fmspc(), platform()])))),
        ("one twice", with_field(6, Some(Value::array([fmspc(), fmspc()])))),
        ("an unknown kind", with_field(6, Some(Value::array([entry(6, Value::Bytes(&[4; 6]), "r")])))),
        ("a short value", with_field(6, Some(Value::array([entry(FMSPC, Value::Bytes(&[4; 5]), "r")])))),
        ("text for bytes", with_field(6, Some(Value::array([entry(FMSPC, Value::Text("a"), "r")])))),
        ("no reason", with_field(6, Some(Value::array([entry(FMSPC, Value::Bytes(&[4; 6]), "")])))),
        ("a strange advisory", with_field(6, Some(Value::array([entry(ADVISORY, Value::Text("x"), "r")])))),
        ("no map", with_payload(media::DENY_LIST, &Value::Null)),
    ] {
        let refused = verify(&bytes, &pinned(), 0, NOW);
        assert!(matches!(refused, Err(DenyListError::Malformed(_))), "{what}: {refused:?}");
    }
    // A longer form of a number, under a good signature.
    let mut payload = encode(&list(), NOW, END);
    assert_eq!(payload[1..3], [1, 1]);
    payload.splice(2..3, [0x18, 1]);
    let bytes = key_and_message::sign(&key(), media::DENY_LIST, &payload);
    let refused = verify(&bytes, &pinned(), 0, NOW);
    let wanted = MalformedDenyList::Cbor(CborError::NotDeterministic);
    assert_eq!(refused, Err(DenyListError::Malformed(wanted)));
}

#[test]
fn any_flipped_bit_and_any_cut_is_refused() {
    let bytes = signed();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&changed, &pinned(), 0, NOW).is_err(), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(verify(&bytes[..length], &pinned(), 0, NOW).is_err(), "{length} bytes");
    }
    assert!(verify(&[bytes.as_slice(), &[0]].concat(), &pinned(), 0, NOW).is_err());
    assert!(verify(&vec![0; MAX_DENY_LIST + 1], &pinned(), 0, NOW).is_err());
}

#[test]
fn the_longest_list_that_is_signed_is_also_read() {
    let long = |reason: usize| {
        let entries = (0..4096_u64).map(|number| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            Denied { subject: DeniedSubject::Certificate(HexBytes(digest)), reason: "r".repeat(reason) }
        });
        DenyList::new("b".to_owned(), 1, Some(END), entries.collect()).unwrap()
    };
    let bytes = sign(&long(200), NOW, &key()).unwrap();
    assert_eq!(verify(&bytes, &pinned(), 0, NOW).unwrap().list.entries().len(), 4096);
    assert_eq!(sign(&long(256), NOW, &key()), Err(MalformedDenyList::TooLong));
}
