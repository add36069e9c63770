//! Canonical XML for documents of the manifests' shape, made from the text: every element gets
//! an end tag and its attributes in order. It shares nothing with the writer's.

const SWID: &str = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd";
const HASHES: &str = "http://www.w3.org/2001/04/xmlenc#sha384";
const RIM: &str = "https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/";

/// The document without its signature.
pub(crate) fn document(xml: &str) -> String {
    let (before, rest) = xml.split_once("<ds:Signature ").unwrap();
    let (_, after) = rest.split_once("</ds:Signature>").unwrap();
    canonical(&format!("{before}{}", after.trim_end()), &[])
}

/// The signed part of the signature, with the namespaces in force there.
pub(crate) fn signed_info(xml: &str) -> String {
    let (_, rest) = xml.split_once("<ds:SignedInfo>").unwrap();
    let (inner, _) = rest.split_once("</ds:SignedInfo>").unwrap();
    let inherited = [
        ("xmlns", SWID),
        ("xmlns:ds", "http://www.w3.org/2000/09/xmldsig#"),
        ("xmlns:ns0", SWID),
        ("xmlns:ns2", HASHES),
    ];
    canonical(&format!("<ds:SignedInfo>{inner}</ds:SignedInfo>"), &inherited)
}

/// The text with every tag made canonical; the first element gets the namespaces.
fn canonical(text: &str, namespaces: &[(&str, &str)]) -> String {
    let mut canonical = String::new();
    let mut more = namespaces;
    for part in text.split_inclusive('>') {
        let (between, tag) = part.split_once('<').unwrap();
        canonical += between;
        let tag = tag.trim_end_matches('>');
        if tag.starts_with('/') {
            canonical += &format!("<{tag}>");
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut found: Vec<(&str, &str)> = more.to_vec();
        more = &[];
        let mut pieces = attributes.split('"');
        while let (Some(name), Some(value)) = (pieces.next(), pieces.next()) {
            found.push((name.trim().trim_end_matches('='), value));
        }
        found.sort_by_key(|(name, _)| order(name));
        canonical += &format!("<{name}");
        for (name, value) in found {
            canonical += &format!(" {name}=\"{value}\"");
        }
        canonical += if closed { "></" } else { ">" };
        if closed {
            canonical += &format!("{name}>");
        }
    }
    canonical
}

/// Namespaces, then attributes without one, then attributes by namespace.
fn order(name: &str) -> (u8, &'static str, String) {
    match name.split_once(':') {
        None if name == "xmlns" => (0, "", String::new()),
        Some(("xmlns", prefix)) => (0, "", prefix.to_owned()),
        None => (1, "", name.to_owned()),
        Some(("ns1", name)) => (2, RIM, name.to_owned()),
        Some(("ns2", name)) => (2, HASHES, name.to_owned()),
        Some((prefix, _)) => panic!("{prefix}"),
    }
}
