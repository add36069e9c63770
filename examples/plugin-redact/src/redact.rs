//! What is found, and what is put in its place.

use crate::{card, email};
use std::ops::Range;

/// Replaces each e-mail address with `[EMAIL]` and each payment card number with
/// `[CARD]`. Everything else keeps its bytes.
///
/// Where the two overlap (a card number as the local part of an address) the address
/// wins: nothing of either is left.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for address in email::find(text) {
        redact_cards(&text[done..address.start], &mut out);
        out.push_str("[EMAIL]");
        done = address.end;
    }
    redact_cards(&text[done..], &mut out);
    out
}

fn redact_cards(text: &str, out: &mut String) {
    let mut done = 0;
    for Range { start, end } in card::find(text) {
        out.push_str(&text[done..start]);
        out.push_str("[CARD]");
        done = end;
    }
    out.push_str(&text[done..]);
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn both_kinds_in_one_sentence() {
        assert_eq!(
            redact("Charge 4111 1111 1111 1111, receipt to Jo.Doe+x@mail.example.org."),
            "Charge [CARD], receipt to [EMAIL]."
        );
    }

    #[test]
    fn an_address_that_starts_with_a_card_number_leaves_nothing() {
        assert_eq!(redact("<4111111111111111@bank.example>"), "<[EMAIL]>");
    }

    #[test]
    fn redacting_twice_changes_nothing_more() {
        for text in
            ["a@b.example@c.example 4111111111111111 5500000000000004", "x 4111-1111-1111-1111-1111 y@z.museum."]
        {
            let once = redact(text);
            assert_eq!(redact(&once), once);
        }
    }

    /// Texts over an alphabet without `@` and with too few digits for a card.
    #[test]
    fn other_text_keeps_its_bytes() {
        let alphabet: Vec<char> = "abzÅß日🙂 .,-_+%:\n\t\u{a0}()".chars().collect();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % bound
        };
        for _ in 0..500 {
            let mut text: String = (0..next(80)).map(|_| alphabet[next(alphabet.len())]).collect();
            let digits: String = (0..next(13)).map(|_| char::from(b'0' + next(10) as u8)).collect();
            text.push_str(&digits);
            assert_eq!(redact(&text), text);
        }
    }
}
