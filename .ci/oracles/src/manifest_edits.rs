//! Changes to NVIDIA's manifests, as bytes and as XML.

use strongroom_oracles::random::Random;

/// What is put between two tags.
const SNIPPETS: [&str; 14] = [
    "<!-- -->",
    "<?x y?>",
    "<![CDATA[ ]]>",
    "<![CDATA[x]]>",
    " ",
    "\n",
    "\r\n",
    "\r",
    "&#13;",
    "&#x20;",
    "x",
    "&lt;",
    "<ns0:Link/>",
    "<x xmlns=\"\"/>",
];
/// Attributes that are put into a tag.
const ATTRIBUTES: [&str; 8] = [
    " Id=\"x\"",
    " xml:lang=\"en\"",
    " xml:base=\"x\"",
    " xmlns=\"\"",
    " xmlns:x=\"urn:x\"",
    " xmlns:ns2=\"http://www.w3.org/2001/04/xmlenc#sha384\"",
    " ns0:name=\"x\"",
    "\t\n",
];
/// Identifiers, and what they are replaced with.
const REPLACED: [(&str, &str); 14] = [
    ("http://www.w3.org/2006/12/xml-c14n11", "http://www.w3.org/2001/10/xml-exc-c14n#"),
    ("http://www.w3.org/2006/12/xml-c14n11", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
    ("http://www.w3.org/2006/12/xml-c14n11", "http://www.w3.org/2006/12/xml-c14n11#WithComments"),
    ("http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha256"),
    ("#ecdsa-sha384", "#hmac-sha384"),
    ("#ecdsa-sha384", "#ecdsa-sha256"),
    ("URI=\"\"", "URI=\"#x\""),
    ("ns1:", "tcg:"),
    ("ns0:", ""),
    (" xmlns:SHA384=\"http://www.w3.org/2001/04/xmlenc#sha384\"", ""),
    ("active=\"False\"", "active=\"True\""),
    ("\n", "\r\n"),
    ("\"", "'"),
    ("/>", " />"),
];
/// What is put in front of the whole.
const BEGINNINGS: [&str; 6] = [
    "\u{FEFF}",
    "<?xml version=\"1.0\"?>",
    "<?xml version='1.0' encoding='UTF-8'?>\n",
    "<!DOCTYPE SoftwareIdentity>",
    "<!DOCTYPE SoftwareIdentity [<!ENTITY x \"y\">]>",
    "\n",
];
const ELEMENTS: [&str; 12] = [
    "ds:X509Certificate",
    "ds:X509Data",
    "ds:KeyInfo",
    "ds:Signature",
    "ds:SignedInfo",
    "ds:Reference",
    "ds:Transforms",
    "ds:SignatureValue",
    "ns0:Resource",
    "ns0:Payload",
    "ns0:Meta",
    "ns0:Entity",
];

/// `base` with one change or two; `other` is another manifest, to take pieces from.
pub fn edited(base: &str, other: &str, random: &mut Random) -> String {
    let mut text = base.to_owned();
    for _ in 0..=random.below(4) / 3 {
        text = match random.below(8) {
            0 | 1 => byte(text, random),
            2 => inserted(&text, random),
            3 => attribute(text, random),
            4 => replaced(&text, random),
            5 => format!("{}{text}", random.of(&BEGINNINGS)),
            _ => element(text, other, random),
        };
    }
    text
}

/// One other byte. What is no text then is refused by whoever reads files.
fn byte(text: String, random: &mut Random) -> String {
    let mut bytes = text.clone().into_bytes();
    let at = random.below(bytes.len());
    match random.below(4) {
        0 | 1 => bytes[at] ^= 1 << random.below(7),
        2 => bytes[at] = random.byte() & 0x7F,
        _ => drop(bytes.remove(at)),
    }
    String::from_utf8(bytes).unwrap_or(text)
}

/// Something between two tags.
fn inserted(text: &str, random: &mut Random) -> String {
    let Some(at) = place(text, "<", random) else { return text.to_owned() };
    format!("{}{}{}", &text[..at], random.of(&SNIPPETS), &text[at..])
}

/// An attribute more, one less, or two that change places.
fn attribute(mut text: String, random: &mut Random) -> String {
    let Some(at) = place(&text, " ", random) else { return text };
    let end = |from: usize| {
        let value = text[from..].find("=\"")? + from + 2;
        Some(text[value..].find('"')? + value + 1)
    };
    let Some(first) = end(at) else { return text };
    match (random.below(4), end(first)) {
        (0, _) => text.replace_range(at..first, ""),
        (1, Some(second)) if text[first..].starts_with(' ') => {
            let swapped = format!("{}{}", &text[first..second], &text[at..first]);
            text.replace_range(at..second, &swapped);
        }
        (2, _) => text.insert_str(first, &text[at..first].to_owned()),
        _ => {
            let at = place(&text, ">", random).unwrap_or(0);
            let at = if text[..at].ends_with('/') { at - 1 } else { at };
            let more: &str = random.of::<&str>(&ATTRIBUTES);
            text.insert_str(at, more);
        }
    }
    text
}

/// One of the places, or all, where an identifier stands.
fn replaced(text: &str, random: &mut Random) -> String {
    let (from, to) = *random.of(&REPLACED);
    match (random.below(2), place(text, from, random)) {
        (0, Some(at)) => format!("{}{to}{}", &text[..at], &text[at + from.len()..]),
        _ => text.replace(from, to),
    }
}

/// An element less, twice, elsewhere, or another manifest's.
fn element(mut text: String, other: &str, random: &mut Random) -> String {
    let name = *random.of(&ELEMENTS);
    let (Some(mine), Some(theirs)) = (find(&text, name, random), find(other, name, random)) else { return text };
    let whole = text[mine.clone()].to_owned();
    match random.below(5) {
        0 => text.replace_range(mine, ""),
        1 => text.insert_str(mine.end, &whole),
        2 => text.replace_range(mine, &other[theirs]),
        3 => text.insert_str(mine.end, &other[theirs]),
        _ => {
            text.replace_range(mine, "");
            let target = *random.of(&ELEMENTS);
            let at = find(&text, target, random)
                .map_or(0, |found| if random.below(2) == 0 { found.start } else { found.end });
            text.insert_str(at, &whole);
        }
    }
    text
}

/// One of the elements with that name.
fn find(text: &str, name: &str, random: &mut Random) -> Option<std::ops::Range<usize>> {
    let starts: Vec<usize> = text.match_indices(&format!("<{name}")).map(|(at, _)| at).collect();
    let start = *starts.get(random.below(starts.len().max(1)))?;
    let tag = start + text[start..].find('>')? + 1;
    if text[..tag].ends_with("/>") {
        return Some(start..tag);
    }
    let close = format!("</{name}>");
    Some(start..tag + text[tag..].find(&close)? + close.len())
}

/// One of the places where `what` stands.
fn place(text: &str, what: &str, random: &mut Random) -> Option<usize> {
    let places: Vec<usize> = text.match_indices(what).map(|(at, _)| at).collect();
    places.get(random.below(places.len().max(1))).copied()
}
