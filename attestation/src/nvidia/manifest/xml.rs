//! The XML that manifests may use (XML 1.0, Namespaces in XML 1.0): elements, attributes, namespaces and
//! text. Whatever readers of XML disagree about is refused before the tree is made, and so is what would
//! make that work long.

use roxmltree::{Document, ParsingOptions};

use super::malformed;
use crate::error::{self, Refusal};

/// A node of a manifest's tree.
pub(super) type Node<'a> = roxmltree::Node<'a, 'a>;
/// An expanded name: namespace and local part.
pub(super) type Name = (Option<&'static str>, &'static str);

/// ISO/IEC 19770-2:2015, the schema's target namespace.
pub(super) const ISO: &str = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd";
/// TCG Reference Integrity Manifest Information Model, its attributes' namespace.
pub(super) const TCG: &str =
    "https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/";
/// The namespace of SHA-384 hashes, which is the algorithm's identifier in XML Encryption 1.1.
pub(super) const SHA384: &str = "http://www.w3.org/2001/04/xmlenc#sha384";
/// XML Signature 1.1.
pub(super) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Five times the largest that is known.
const MAX_BYTES: usize = 128 << 10;
/// Elements and texts; a manifest has about 170.
const MAX_NODES: u32 = 1024;
/// Start and end tags; a manifest has about 110.
const MAX_TAGS: usize = 2048;
/// Attributes and declarations of one element, for which the reader's work is quadratic; a manifest has
/// 13.
const MAX_ATTRIBUTES: usize = 32;
/// Attributes and declarations in all; a manifest has about 600.
const MAX_ATTRIBUTES_IN_ALL: usize = 2048;
/// Namespace declarations; a manifest has six.
const MAX_DECLARATIONS: usize = 16;
/// What a shown attribute may have in characters; a tag's id has 96.
const MAX_TEXT: usize = 128;

const BYTE_ORDER_MARK: char = '\u{FEFF}';
/// S of XML 1.0: what counts as white space.
const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];
/// What an XML declaration may say, in lower case and double quotes. None of it shows in the canonical
/// form. Of another version or encoding, the same bytes would be another text.
const DECLARATIONS: [&str; 4] = [
    "version=\"1.0\"",
    "version=\"1.0\" encoding=\"utf-8\"",
    "version=\"1.0\" encoding=\"utf-8\" standalone=\"no\"",
    "version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"",
];

/// The local part of the root's name, if `text` begins as XML does.
pub(super) fn root_name(text: &str) -> Option<&str> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_start_matches(WHITE);
    let text = match text.strip_prefix("<?xml ") {
        Some(declaration) => declaration.split_once("?>")?.1.trim_start_matches(WHITE),
        None => text,
    };
    let tag = text.strip_prefix('<')?;
    let name = tag.split(|c| WHITE.contains(&c) || matches!(c, '/' | '>')).next()?;
    Some(name.split_once(':').map_or(name, |(_, local)| local))
}

/// The tree of a text.
pub(super) fn read(text: &str) -> Result<Document<'_>, Refusal> {
    within_limits(text)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, entity_resolver: None };
    Document::parse_with_options(text, options).map_err(|error| {
        // Its words may hold what the text held.
        malformed(format!("it is not well-formed XML: {}", error::shown(&error.to_string(), 160)))
    })
}

/// Refuses a text that is too long, that holds other than elements and text, and names that the reader
/// would not read as others do.
fn within_limits(text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_BYTES {
        return Err(malformed(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let content = match text.strip_prefix("<?xml ") {
        Some(after) => {
            let (declaration, content) =
                after.split_once("?>").ok_or_else(|| malformed("its declaration has no end"))?;
            let said = declaration.trim_matches(WHITE).replace('\'', "\"").to_ascii_lowercase();
            if !DECLARATIONS.contains(&said.as_str()) {
                return Err(malformed("its declaration is not that of XML 1.0 in UTF-8"));
            }
            content
        }
        None => text,
    };
    let (mut tags, mut attributes, mut declarations) = (0_usize, 0_usize, 0_usize);
    // A raw `<` stands only before a tag, or before what is not wanted here.
    for tag in content.split('<') {
        if tag.starts_with(['!', '?']) {
            return Err(malformed("a comment, CDATA section, document type or processing instruction"));
        }
        tags = tags.saturating_add(1);
        let mut in_tag = 0_usize;
        for (before, _) in tag.match_indices('=').map(|(at, _)| tag.split_at(at)) {
            in_tag = in_tag.saturating_add(1);
            let name = before.trim_end_matches(WHITE).rsplit(WHITE).next().unwrap_or_default();
            if name.ends_with(":xmlns") {
                return Err(malformed("a prefix before xmlns"));
            }
            declarations = declarations.saturating_add(usize::from(name.starts_with("xmlns")));
        }
        attributes = attributes.saturating_add(in_tag);
        if in_tag > MAX_ATTRIBUTES {
            return Err(malformed("too many attributes"));
        }
    }
    if tags > MAX_TAGS || attributes > MAX_ATTRIBUTES_IN_ALL || declarations > MAX_DECLARATIONS {
        return Err(malformed("too many tags, attributes or namespaces"));
    }
    Ok(())
}

/// Whether the node is an element of that name.
pub(super) fn is(node: Node<'_>, (namespace, local): Name) -> bool {
    node.is_element() && node.tag_name().name() == local && node.tag_name().namespace() == namespace
}

/// The elements in `parent`, which must be these, in this order, with nothing but white space around them.
pub(super) fn children<const N: usize>(parent: Node<'_>, names: [Name; N]) -> Result<[Node<'_>; N], Refusal> {
    let unexpected = || malformed(format!("{} does not hold {}", shown(parent), listed(&names)));
    let mut elements = elements(parent)?.into_iter();
    let found = names.map(|name| elements.next().filter(|element| is(*element, name)));
    if elements.next().is_some() || found.iter().any(Option::is_none) {
        return Err(unexpected());
    }
    Ok(found.map(|element| element.unwrap_or(parent)))
}

/// The elements in `parent`, with nothing but white space around them.
pub(super) fn elements(parent: Node<'_>) -> Result<Vec<Node<'_>>, Refusal> {
    let (elements, others): (Vec<_>, Vec<_>) = parent.children().partition(Node::is_element);
    let white = |node: &Node<'_>| node.is_text() && node.text().is_some_and(|text| text.trim_matches(WHITE).is_empty());
    match others.iter().all(white) {
        true => Ok(elements),
        false => Err(malformed(format!("text in {}", shown(parent)))),
    }
}

/// Refuses an element with anything in it but white space.
pub(super) fn empty(element: Node<'_>) -> Result<(), Refusal> {
    children(element, []).map(|[]| ())
}

/// The values of an element's attributes, which must be exactly these, in any order.
pub(super) fn attributes<'a, const N: usize>(element: Node<'a>, names: [Name; N]) -> Result<[&'a str; N], Refusal> {
    let values = names.map(|name| attribute(element, name));
    // No attribute stands twice: that would not be well-formed.
    if element.attributes().len() != N || values.iter().any(Option::is_none) {
        return Err(malformed(format!("the attributes of {} are not {}", shown(element), listed(&names))));
    }
    Ok(values.map(Option::unwrap_or_default))
}

/// The value of one attribute.
pub(super) fn attribute<'a>(element: Node<'a>, (namespace, local): Name) -> Option<&'a str> {
    let mut attributes = element.attributes();
    attributes.find(|a| a.name() == local && a.namespace() == namespace).map(|attribute| attribute.value())
}

/// The text in an element that has neither attributes nor elements.
pub(super) fn text(element: Node<'_>) -> Result<&str, Refusal> {
    attributes(element, [])?;
    // Comments and the like are refused, so texts are never apart.
    match element.children().all(|child| child.is_text()) {
        true => Ok(element.text().unwrap_or_default()),
        false => Err(malformed(format!("an element in {}", shown(element)))),
    }
}

/// A value that may be shown to people.
pub(super) fn printable(value: &str) -> Result<String, Refusal> {
    let fits = (1..=MAX_TEXT).contains(&value.len()) && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if fits { Ok(value.to_owned()) } else { Err(malformed("an attribute that is empty, long or not printable ASCII")) }
}

fn shown(element: Node<'_>) -> String {
    element.tag_name().name().chars().take(64).collect()
}

fn listed(names: &[Name]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.iter().map(|(_, local)| *local).collect::<Vec<_>>().join(", "),
    }
}
