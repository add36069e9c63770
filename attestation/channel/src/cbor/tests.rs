use proptest::prelude::*;

use super::*;

fn decoded(hex: &str) -> Result<String, CborError> {
    let bytes = hex::decode(hex).unwrap();
    decode(&bytes).map(|value| format!("{value:?}"))
}

#[test]
fn encodes_as_rfc_8949_appendix_a() {
    let cases = [
        (Value::Uint(0), "00"),
        (Value::Uint(23), "17"),
        (Value::Uint(24), "1818"),
        (Value::Uint(1000), "1903e8"),
        (Value::Uint(1_000_000), "1a000f4240"),
        (Value::Uint(u64::MAX), "1bffffffffffffffff"),
        (Value::Negative(0), "20"),
        (Value::Negative(99), "3863"),
        (Value::Negative(u64::MAX), "3bffffffffffffffff"),
        (Value::Bytes(&[1, 2, 3, 4]), "4401020304"),
        (Value::Text("\u{fc}"), "62c3bc"),
        (Value::array([Value::Uint(1), Value::Bool(true), Value::Null]), "8301f5f6"),
    ];
    for (value, hex) in cases {
        assert_eq!(hex::encode(value.encode()), hex);
        assert_eq!(value.encoded_len(), hex.len() / 2);
        assert_eq!(decode(&hex::decode(hex).unwrap()).unwrap(), value);
    }
}

#[test]
fn map_keys_are_sorted_by_their_encodings() {
    // RFC 8949 4.2.1: 10, 100, -1, "z", "aa", [100], [-1], false.
    let map = Value::Map(vec![
        (Value::Bool(false), Value::Null),
        (Value::array([Value::Negative(0)]), Value::Null),
        (Value::Text("aa"), Value::Null),
        (Value::Negative(0), Value::Null),
        (Value::Text("z"), Value::Null),
        (Value::Uint(100), Value::Null),
        (Value::array([Value::Uint(100)]), Value::Null),
        (Value::Uint(10), Value::Null),
    ]);
    assert_eq!(hex::encode(map.encode()), "a80af61864f620f6617af6626161f6811864f68120f6f4f6");
    assert!(decode(&map.encode()).is_ok());
}

#[test]
fn refuses_longer_forms() {
    for hex in
        ["1800", "190001", "1a00000001", "1b0000000000000001", "3800", "580100", "780161", "980100", "b8010000", "f814"]
    {
        assert!(decoded(hex).is_err(), "{hex}");
    }
}

#[test]
fn refuses_indefinite_lengths_tags_floats_and_simple_values() {
    for hex in [
        "5f4100ff",
        "7f6161ff",
        "9f00ff",
        "bf0000ff",
        "c000",
        "d81800",
        "f90000",
        "fa00000000",
        "fb0000000000000000",
        "f7",
        "e0",
        "ff",
    ] {
        assert_eq!(decoded(hex), Err(CborError::Malformed), "{hex}");
    }
}

#[test]
fn refuses_keys_out_of_order_or_twice() {
    assert_eq!(decoded("a201000000"), Err(CborError::NotDeterministic));
    assert_eq!(decoded("a201000100"), Err(CborError::NotDeterministic));
    assert_eq!(decoded("a220000000"), Err(CborError::NotDeterministic));
    assert!(decoded("a200000100").is_ok());
}

#[test]
fn refuses_trailing_and_missing_bytes_and_false_utf8() {
    assert_eq!(decoded("0000"), Err(CborError::TrailingBytes));
    assert_eq!(decoded(""), Err(CborError::Malformed));
    assert_eq!(decoded("4200"), Err(CborError::Malformed));
    assert_eq!(decoded("9bffffffffffffffff"), Err(CborError::Malformed));
    assert_eq!(decoded("61ff"), Err(CborError::Malformed));
}

#[test]
fn refuses_deep_nesting_before_the_stack_ends() {
    let deep = [0x81; 100_000];
    assert_eq!(decode(&deep), Err(CborError::Malformed));
}

#[test]
fn refuses_more_items_than_the_limit() {
    // Wide: an array of integers. It has one item more than its length.
    let wide = |len: usize| Value::array(vec![Value::Uint(0); len]).encode();
    assert!(decode(&wide(MAX_ITEMS - 1)).is_ok());
    assert_eq!(decode(&wide(MAX_ITEMS)), Err(CborError::Malformed));
    assert!(decode_within(&wide(MAX_ITEMS), MAX_ITEMS + 1).is_ok());
    // Deep: one-item arrays, the form that takes most memory for a byte.
    let nested = [[0x81; 15].as_slice(), &[0x00]].concat().repeat(MAX_ITEMS / 16);
    let nested = [&[0x99][..], &u16::try_from(MAX_ITEMS / 16).unwrap().to_be_bytes(), &nested].concat();
    assert_eq!(decode(&nested), Err(CborError::Malformed));
    assert!(decode_within(&nested, MAX_ITEMS + 1).is_ok());
    // A map counts its keys.
    assert_eq!(decode_within(&[0xa1, 0x00, 0x00], 2), Err(CborError::Malformed));
    assert!(decode_within(&[0xa1, 0x00, 0x00], 3).is_ok());
}

#[test]
fn reads_a_fixed_number_of_byte_strings_and_nothing_else() {
    let two = |hex: &str| {
        let bytes = hex::decode(hex).unwrap();
        byte_strings::<2>(&bytes).map(|[a, b]| (a.to_vec(), b.to_vec()))
    };
    assert_eq!(two("8241014103"), Ok((vec![1], vec![3])));
    assert_eq!(two("824040"), Ok((vec![], vec![])));
    let wanted_array = Err(CborError::WrongType { wanted: "an array of the fixed length" });
    for other in ["814101", "83410141034104", "a241014103", "420101", "9f41014103ff", "024040", "00"] {
        assert_eq!(two(other), wanted_array, "{other}");
    }
    assert_eq!(two("98024040"), wanted_array, "a longer form of the head");
    assert_eq!(two("8258010140"), Err(CborError::NotDeterministic));
    assert_eq!(two("82404000"), Err(CborError::TrailingBytes));
    for other in ["", "82", "8240", "824042", "825bffffffffffffffff"] {
        assert_eq!(two(other), Err(CborError::Malformed), "{other}");
    }
    for other in ["824000", "82814040", "826040", "82405f4100ff"] {
        assert_eq!(two(other), Err(CborError::WrongType { wanted: "a byte string" }), "{other}");
    }
    assert_eq!(
        byte_strings::<2>(&[0x81; 1 << 20]),
        Err(CborError::WrongType { wanted: "an array of the fixed length" })
    );
}

#[test]
fn unread_positive_fields_are_refused_and_negative_ones_ignored() {
    let map = Value::Map(vec![
        (Value::Uint(1), Value::Null),
        (Value::Negative(4), Value::Null),
        (Value::Uint(2), Value::Null),
    ]);
    let mut fields = map.fields().unwrap();
    assert_eq!(fields.require(3), Err(CborError::Missing { key: 3 }));
    assert_eq!(fields.require(1), Ok(Value::Null));
    assert!(matches!(fields.finish(), Err(CborError::UnknownField { key: 2 })));
    let only_negative = Value::Map(vec![(Value::Negative(4), Value::Null)]);
    assert_eq!(only_negative.fields().unwrap().finish(), Ok(()));
}

#[test]
fn a_fixed_length_is_never_padded_or_cut() {
    assert_eq!(Value::Bytes(&[1, 2]).fixed::<2>(), Ok([1, 2]));
    assert!(Value::Bytes(&[1]).fixed::<2>().is_err());
    assert!(Value::Bytes(&[1, 2, 3]).fixed::<2>().is_err());
}

#[test]
fn debug_prints_no_string() {
    let shown = format!("{:?}", Value::map([(1, Value::Bytes(b"secret")), (2, Value::Text("secret"))]));
    assert!(!shown.contains("secret"), "{shown}");
}

/// An owned mirror of `Value`, since proptest makes owned values.
#[derive(Clone, Debug)]
enum Owned {
    Uint(u64),
    Negative(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Owned>),
    Map(std::collections::BTreeMap<i64, Owned>),
    Bool(bool),
    Null,
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Owned::Uint(n) => Value::Uint(*n),
            Owned::Negative(n) => Value::Negative(*n),
            Owned::Bytes(bytes) => Value::Bytes(bytes),
            Owned::Text(text) => Value::Text(text),
            Owned::Array(items) => Value::array(items.iter().map(Owned::value)),
            Owned::Map(entries) => {
                Value::Map(entries.iter().map(|(key, value)| (integer(*key), value.value())).collect())
            }
            Owned::Bool(boolean) => Value::Bool(*boolean),
            Owned::Null => Value::Null,
        }
    }
}

fn integer(n: i64) -> Value<'static> {
    u64::try_from(n).map_or_else(|_| Value::Negative(u64::try_from(-1 - i128::from(n)).unwrap()), Value::Uint)
}

fn any_value() -> impl Strategy<Value = Owned> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Owned::Uint),
        (0u64..300).prop_map(Owned::Uint),
        any::<u64>().prop_map(Owned::Negative),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Owned::Bytes),
        ".{0,12}".prop_map(Owned::Text),
        any::<bool>().prop_map(Owned::Bool),
        Just(Owned::Null),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Owned::Array),
            proptest::collection::btree_map(-300i64..300, inner, 0..6).prop_map(Owned::Map),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_comes_back(owned in any_value()) {
        let encoded = owned.value().encode();
        prop_assert_eq!(encoded.len(), owned.value().encoded_len());
        // Maps come back sorted, so the encoding is what is compared.
        prop_assert_eq!(decode(&encoded).unwrap().encode(), encoded);
    }

    #[test]
    fn whatever_decodes_is_the_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = decode(&bytes) {
            prop_assert_eq!(value.encode(), bytes);
        }
    }

    #[test]
    fn a_flipped_bit_never_gives_the_same_value(owned in any_value(), position in any::<prop::sample::Index>(), bit in 0u8..8) {
        let encoded = owned.value().encode();
        let mut other = encoded.clone();
        other[position.index(encoded.len())] ^= 1 << bit;
        if let Ok(value) = decode(&other) {
            prop_assert_eq!(value.encode(), other);
        }
    }
}
