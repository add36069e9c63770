//! Whatever bytes come, the answer is a refusal and never a panic.

use proptest::collection::vec;
use proptest::prelude::*;
use strongroom_attestation::{Code, Endorsements, Evidence, Policy};

use crate::vector::Vector;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn evidence_of_any_bytes_is_refused(bytes in vec(any::<u8>(), 0..5000)) {
        prop_assert_eq!(Evidence::parse(&bytes).unwrap_err().code, Code::Parse);
    }

    #[test]
    fn endorsements_of_any_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Endorsements::default().add(&bytes);
    }

    #[test]
    fn a_policy_of_any_text_does_not_panic(text in ".{0,200}") {
        let _ = Policy::from_toml(&text);
    }

    #[test]
    fn cut_and_changed_endorsements_do_not_panic(
        cut in 0usize..1400,
        index in 0usize..1400,
        value in any::<u8>(),
    ) {
        for name in ["012-genoa-v5", "018-certificate-table", "017-milan-v2-pem-chain"] {
            let vector = Vector::named(name);
            let mut bytes = vector.endorsements[0].clone();
            if let Some(byte) = bytes.get_mut(index) {
                *byte = value;
            }
            bytes.truncate(cut.max(1));
            let mut bag = Endorsements::default();
            let _ = bag.add(&bytes);
        }
    }
}

#[test]
fn a_bag_has_limits() {
    let vector = Vector::named("012-genoa-v5");
    let mut bag = Endorsements::default();
    // The same certificate counts once, but its bytes count each time.
    let refusal = (0..8000).find_map(|_| bag.add(&vector.endorsements[0]).err()).unwrap();
    assert_eq!(refusal.code, Code::Parse);
    assert!(refusal.detail.contains("larger"), "{refusal}");

    // Different certificates: as many as there is room for.
    let mut bag = Endorsements::default();
    let refusal = (0..200u8).find_map(|index| {
        let mut der = vector.endorsements[0].clone();
        *der.last_mut().unwrap() ^= index;
        bag.add(&der).err()
    });
    assert!(refusal.unwrap().detail.contains("more than 128"));
}

#[test]
fn nothing_at_all_is_an_empty_bag() {
    let mut bag = Endorsements::default();
    assert!(bag.add(b"").is_ok());
    assert!(bag.add(&[0; 24]).is_ok(), "an empty certificate table");
    assert!(bag.add(b"no certificate").is_err());
}
