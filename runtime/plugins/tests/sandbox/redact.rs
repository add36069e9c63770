//! The example plugin, as it is committed.

use std::sync::LazyLock;

use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
use sha2::{Digest, Sha256};
use strongroom_plugins::{Grants, Limits, OnRequest, Plugin, PluginHost};

use crate::guests::chat;

const WASM: &[u8] = include_bytes!("../../../../examples/plugin-redact/redact.wasm");
const SHA256: &str = include_str!("../../../../examples/plugin-redact/redact.wasm.sha256");

static REDACT: LazyLock<Plugin> =
    LazyLock::new(|| PluginHost::new(Limits::default()).unwrap().load("redact", WASM, &Grants::none()).unwrap());

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// What the model would see of a user's message.
fn redacted(text: &str) -> String {
    let OnRequest::Continue(request) = REDACT.on_request(chat(&[("user", text)])).unwrap() else {
        panic!("refused");
    };
    let [message] = request.messages.try_into().unwrap();
    assert_eq!(message.role, "user");
    message.content
}

#[test]
fn the_committed_component_has_the_committed_digest() {
    let hex: String = REDACT.digest().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(SHA256, format!("{hex}  redact.wasm\n"));
}

#[test]
fn it_is_small_and_leaves_answers_to_be_streamed() {
    assert!(WASM.len() < 64 << 10, "{} bytes", WASM.len());
    assert!(REDACT.filters_requests() && !REDACT.filters_responses());
}

#[test]
fn addresses_and_cards_of_users_are_redacted() {
    for (text, wanted) in [
        ("Write to jo.doe+x@mail.example.org.", "Write to [EMAIL]."),
        ("Card 4111 1111 1111 1111, thanks", "Card [CARD], thanks"),
        ("5555-5555-5555-4444/378282246310005", "[CARD]/[CARD]"),
        ("Order 4111 1111 1111 1112 by 12:30", "Order 4111 1111 1111 1112 by 12:30"),
    ] {
        assert_eq!(redacted(text), wanted);
    }
}

#[test]
fn only_what_users_wrote_changes() {
    let secret = "a@b.example 4111111111111111";
    let asked = chat(&[("system", secret), ("user", secret), ("assistant", secret), ("tool", secret)]);
    let mut wanted = asked.clone();
    wanted.messages[1].content = "[EMAIL] [CARD]".to_owned();
    assert_eq!(REDACT.on_request(asked), Ok(OnRequest::Continue(wanted)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Without an `@` and with at most twelve digits there is nothing to redact.
    #[test]
    fn other_text_is_unchanged(before in "[^@0-9]{0,60}", digits in "[0-9 -]{0,12}", after in "[^@0-9]{0,60}") {
        let text = format!("{before}{digits}{after}");
        prop_assert_eq!(redacted(&text), text);
    }

    /// Around a card and an address, every byte stays.
    #[test]
    fn only_the_card_and_the_address_go(
        before in "[^@0-9]{0,40}",
        between in "[^@0-9]{0,40}",
        after in "[^@0-9]{0,40}",
        account in "[1-9][0-9]{11,17}",
    ) {
        let card = with_check_digit(&account);
        let text = format!("{before} {card}\n{between} <ann@example.com> {after}");
        let wanted = format!("{before} [CARD]\n{between} <[EMAIL]> {after}");
        prop_assert_eq!(redacted(&text), wanted);
    }

    /// However a card is grouped, no stretch of its digits is left.
    #[test]
    fn grouping_hides_no_card(account in "[1-9][0-9]{14}", cut in 1usize..15, dash in proptest::bool::ANY) {
        let card = with_check_digit(&account);
        let (head, tail) = card.split_at(cut);
        let separator = if dash { '-' } else { ' ' };
        let left = redacted(&format!("pay {head}{separator}{tail} now"));
        prop_assert!(!left.chars().any(|c| c.is_ascii_digit()), "{}", left);
    }
}

/// ISO/IEC 7812-1, annex B, written another way than the plugin's.
fn with_check_digit(account: &str) -> String {
    const DOUBLED: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let mut sum = 0;
    for (place, digit) in account.chars().rev().filter_map(|c| c.to_digit(10)).enumerate() {
        sum += if place % 2 == 0 { DOUBLED[digit as usize] } else { digit };
    }
    format!("{account}{}", (10 - sum % 10) % 10)
}
