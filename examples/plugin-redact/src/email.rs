//! E-mail addresses as people write them: `local@label.label`, dots and all.
//! Quoted local parts and address literals (RFC 5321) are left alone.

use std::ops::Range;

/// A host's last label has at least this many letters: "a@1.2" is not an address.
const SHORTEST_TOP_LEVEL: usize = 2;

/// The byte ranges of all addresses in `text`, in order, not overlapping.
pub(crate) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut searched = 0;
    for (at, _) in text.match_indices('@') {
        let local = local_part(&text[searched..at]);
        let domain = domain(&text[at + 1..]);
        if local > 0 && domain > 0 {
            found.push(at - local..at + 1 + domain);
            searched = at + 1 + domain;
        } else {
            searched = at + 1;
        }
    }
    found
}

/// The length of the local part that ends `before`; 0 when there is none.
fn local_part(before: &str) -> usize {
    let tail = before.trim_end_matches(|c: char| is_word(c) || ".!#$%&'*+-/=?^_`{|}~".contains(c));
    let candidate = &before[tail.len()..];
    if candidate.ends_with('.') {
        return 0;
    }
    // Punctuation before the name belongs to the sentence.
    candidate.trim_start_matches(|c: char| !is_word(c) && c != '_').len()
}

/// The length of the host name that `after` starts with; 0 when there is none.
fn domain(after: &str) -> usize {
    let end = after.find(|c: char| !is_word(c) && c != '-' && c != '.').unwrap_or(after.len());
    let mut length = 0;
    let mut accepted = 0;
    for (i, label) in after[..end].split('.').enumerate() {
        if label.is_empty() || label.starts_with('-') {
            break;
        }
        let label = label.trim_end_matches('-');
        let starts = if i == 0 { 0 } else { length + 1 };
        length = starts + label.len();
        let letters = label.chars().filter(|c| c.is_alphabetic()).count();
        if i > 0 && letters >= SHORTEST_TOP_LEVEL {
            accepted = length;
        }
        if after[length..end].starts_with('-') {
            break;
        }
    }
    accepted
}

/// Letters and digits of any script: internationalised addresses count (RFC 6531).
fn is_word(c: char) -> bool {
    c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::find;

    fn addresses(text: &str) -> Vec<&str> {
        find(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn addresses_are_found_without_the_punctuation_around_them() {
        for (text, wanted) in [
            ("ann@example.com", "ann@example.com"),
            ("mail <Ann.O'Neil+tag@sub.example.co.uk>!", "Ann.O'Neil+tag@sub.example.co.uk"),
            ("mailto:ann@example.com.", "ann@example.com"),
            ("'ann@example.com'", "ann@example.com"),
            ("(ann@example.com)", "ann@example.com"),
            ("ann@example.com-", "ann@example.com"),
            ("...ann_b@xn--bcher-kva.example, yes", "ann_b@xn--bcher-kva.example"),
            ("jürgen@bücher.example", "jürgen@bücher.example"),
            ("ann@host-1.example", "ann@host-1.example"),
        ] {
            assert_eq!(addresses(text), [wanted], "{text}");
        }
    }

    #[test]
    fn two_addresses_in_a_row() {
        assert_eq!(addresses("a@b.example;c@d.example"), ["a@b.example", "c@d.example"]);
    }

    #[test]
    fn handles_numbers_and_fragments_are_not_addresses() {
        for text in
            ["@handle", "a@", "@", "a@b", "a@.b.example", "5@1.2", "a @ b.example", "x.@b.example", "a@-b.example"]
        {
            assert!(addresses(text).is_empty(), "{text}");
        }
    }
}
