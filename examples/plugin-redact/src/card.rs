//! Payment card numbers (ISO/IEC 7812): 13 to 19 digits whose last one checks the rest,
//! written together or in groups with single spaces or dashes between.

use std::ops::Range;

/// The fewest digits of a card number in use.
const SHORTEST: usize = 13;
/// The most digits that ISO/IEC 7812 allows.
const LONGEST: usize = 19;

/// The byte ranges of all card numbers in `text`, in order, not overlapping.
pub(crate) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for run in runs(text) {
        found.extend(cards_of_run(text, &run));
    }
    found
}

/// Digit groups that single separators hold together, as byte ranges.
fn runs(text: &str) -> Vec<Vec<Range<usize>>> {
    let mut runs: Vec<Vec<Range<usize>>> = Vec::new();
    let mut rest = 0;
    while let Some(offset) = text[rest..].find(|c: char| c.is_ascii_digit()) {
        let start = rest + offset;
        let length = text[start..].bytes().take_while(u8::is_ascii_digit).count();
        let group = start..start + length;
        rest = group.end;
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| is_separator(&text[last.end..start])) => run.push(group),
            _ => runs.push(vec![group]),
        }
    }
    runs
}

fn is_separator(between: &str) -> bool {
    matches!(between, " " | "-" | "\u{a0}" | "\u{2010}" | "\u{2011}" | "\u{2012}" | "\u{2013}")
}

/// A card may stand next to other numbers ("order 12 4111 1111 ..."): every stretch of
/// whole groups is tried, and stretches that share a group become one, so that no digit
/// of a possible number is left.
fn cards_of_run(text: &str, groups: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut cards: Vec<Range<usize>> = Vec::new();
    for (first, start) in groups.iter().enumerate() {
        let mut digits = String::new();
        for end in &groups[first..] {
            digits.push_str(&text[end.clone()]);
            if digits.len() > LONGEST {
                break;
            }
            if digits.len() < SHORTEST || !passes_luhn(&digits) {
                continue;
            }
            match cards.last_mut() {
                Some(card) if start.start < card.end => card.end = card.end.max(end.end),
                _ => cards.push(start.start..end.end),
            }
        }
    }
    cards
}

/// The check digit of ISO/IEC 7812-1, annex B.
fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') << (place % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::find;

    fn cards(text: &str) -> Vec<&str> {
        find(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn published_test_numbers_are_found_however_grouped() {
        for text in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111\u{a0}1111\u{2011}1111 1111",
            "378282246310005",
            "3782 822463 10005",
            "6011 0009 9013 9424",
            "5555-5555 5555-4444",
            "4222222222222",
            "6304000000000000000",
        ] {
            assert_eq!(cards(text), [text]);
        }
    }

    #[test]
    fn numbers_that_are_no_cards_stay() {
        for text in [
            "4111111111111112", // check digit
            "4111 1111 1111 1112",
            "411111111111",            // 12 digits
            "41111111111111111111111", // 23 digits
            "4111  1111  1111  1111",  // two spaces
            "4111\n1111\n1111\n1111",
            "4111.1111.1111.1111",
            "2026-11-22 12:30:59",
        ] {
            assert!(cards(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_card_beside_other_numbers_is_found() {
        assert_eq!(cards("7 4111 1111 1111 1111"), ["4111 1111 1111 1111"]);
        assert_eq!(cards("4111111111111111 12/29"), ["4111111111111111"]);
        assert_eq!(cards("x4111111111111111y"), ["4111111111111111"]);
    }

    #[test]
    fn two_cards_side_by_side_are_two() {
        assert_eq!(cards("4111111111111111 5500000000000004"), ["4111111111111111", "5500000000000004"]);
    }

    #[test]
    fn stretches_that_share_a_group_are_hidden_whole() {
        // 16 digits pass from each of the first three groups on.
        let text = "0000 0000 0000 0000 0000 0000";
        assert_eq!(cards(text), [text]);
    }
}
