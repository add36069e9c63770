//! Inclusive canonical form without comments (Canonical XML 1.1; of documents without attributes of the
//! xml namespace, the same bytes as 1.0): the octets that signatures are over.
//!
//! It is written from the tree that everything else is read from, so two documents with one canonical
//! form say the same. Only the prefixes, which a tree does not keep, are taken from the text, at the place
//! where the tree's reader found the name.

use super::malformed;
use super::xml::Node;
use crate::error::Refusal;

/// How deep elements may be nested; in a manifest they are six deep.
const MAX_DEPTH: usize = 16;

/// Namespaces in scope, by prefix: the default one first, as C14N orders them.
type Namespaces<'a> = Vec<(&'a str, &'a str)>;

/// The canonical form of `apex` and what is in it, but for the element `without`: the enveloped
/// signature. All namespaces in scope are declared on the apex (Canonical XML 1.1, 2.4).
pub(super) fn canonical(apex: Node<'_>, without: Option<Node<'_>>) -> Result<String, Refusal> {
    let mut writer = Writer { out: String::with_capacity(apex.range().len()), without };
    writer.element(apex, None, MAX_DEPTH)?;
    Ok(writer.out)
}

struct Writer<'a> {
    out: String,
    without: Option<Node<'a>>,
}

impl Writer<'_> {
    /// Writes an element. `above` are the namespaces of the one around it, where that is written too.
    fn element(&mut self, element: Node<'_>, above: Option<&Namespaces<'_>>, depth: usize) -> Result<(), Refusal> {
        let depth = depth.checked_sub(1).ok_or_else(|| malformed("elements are nested too deep"))?;
        let name = element_name(element)?;
        self.put(&["<", name]);
        let own;
        let in_scope = match above.filter(|_| declares_nothing(element)) {
            Some(above) => above,
            None => {
                own = namespaces(element)?;
                self.declarations(&own, above);
                &own
            }
        };
        self.attributes(element)?;
        self.put(&[">"]);
        let without = self.without;
        for child in element.children().filter(|child| Some(*child) != without) {
            match child.text() {
                Some(text) if child.is_text() => self.text(text),
                _ => self.element(child, Some(in_scope), depth)?,
            }
        }
        self.put(&["</", name, ">"]);
        Ok(())
    }

    /// Declares the namespaces that are not declared above.
    fn declarations(&mut self, in_scope: &Namespaces<'_>, above: Option<&Namespaces<'_>>) {
        let declared = |namespace| above.is_some_and(|above| above.contains(namespace));
        for (prefix, uri) in in_scope.iter().filter(|namespace| !declared(namespace)) {
            match *prefix {
                "" => self.put(&[" xmlns=\""]),
                prefix => self.put(&[" xmlns:", prefix, "=\""]),
            }
            self.attribute_value(uri);
            self.put(&["\""]);
        }
    }

    /// Attributes are ordered by namespace, those of none first, and then by local name.
    fn attributes(&mut self, element: Node<'_>) -> Result<(), Refusal> {
        let mut attributes: Vec<_> = element.attributes().collect();
        attributes.sort_unstable_by_key(|attribute| (attribute.namespace(), attribute.name()));
        for attribute in attributes {
            let source = element.document().input_text().get(attribute.range_qname()).unwrap_or_default();
            let name = qualified(source, attribute.name())?;
            if name.starts_with("xml:") {
                return Err(malformed("an attribute of the xml namespace"));
            }
            self.put(&[" ", name, "=\""]);
            self.attribute_value(attribute.value());
            self.put(&["\""]);
        }
        Ok(())
    }

    fn attribute_value(&mut self, value: &str) {
        self.escaped(value, |byte| match byte {
            b'&' => Some("&amp;"),
            b'<' => Some("&lt;"),
            b'"' => Some("&quot;"),
            b'\t' => Some("&#x9;"),
            b'\n' => Some("&#xA;"),
            b'\r' => Some("&#xD;"),
            _ => None,
        });
    }

    fn text(&mut self, text: &str) {
        self.escaped(text, |byte| match byte {
            b'&' => Some("&amp;"),
            b'<' => Some("&lt;"),
            b'>' => Some("&gt;"),
            b'\r' => Some("&#xD;"),
            _ => None,
        });
    }

    /// What is escaped is ASCII, and so a byte each.
    fn escaped(&mut self, value: &str, replacement: impl Fn(u8) -> Option<&'static str>) {
        if !value.bytes().any(|byte| replacement(byte).is_some()) {
            self.put(&[value]);
            return;
        }
        for c in value.chars() {
            match u8::try_from(c).ok().and_then(&replacement) {
                Some(escape) => self.put(&[escape]),
                None => self.out.push(c),
            }
        }
    }

    fn put(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.out.push_str(part));
    }
}

/// Whether an element has the very namespaces of the one around it.
fn declares_nothing(element: Node<'_>) -> bool {
    let around = element.parent_element();
    around.is_some_and(|around| {
        let same = element.namespaces().zip(around.namespaces()).all(|(one, other)| std::ptr::eq(one, other));
        same && element.namespaces().len() == around.namespaces().len()
    })
}

/// The namespaces in scope on an element. Undoing a declaration (`xmlns=""`) is refused, and so is
/// declaring a prefix twice, which the reader lets pass.
fn namespaces<'a>(element: Node<'a>) -> Result<Namespaces<'a>, Refusal> {
    let mut all: Namespaces<'a> =
        element.namespaces().map(|namespace| (namespace.name().unwrap_or_default(), namespace.uri())).collect();
    all.sort_unstable();
    let repeated = all.iter().zip(all.iter().skip(1)).any(|(one, next)| one.0 == next.0);
    if repeated || all.iter().any(|(_, uri)| uri.is_empty()) {
        return Err(malformed("a namespace is declared twice, or as nothing"));
    }
    Ok(all)
}

/// An element's name as it is written: what stands behind the `<`.
fn element_name<'a>(element: Node<'a>) -> Result<&'a str, Refusal> {
    let source = element.document().input_text().get(element.range()).unwrap_or_default();
    let tag = source.strip_prefix('<').unwrap_or_default();
    let end = tag.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(tag.len());
    qualified(tag.get(..end).unwrap_or_default(), element.tag_name().name())
}

/// `name` if it is `local`, or `local` with a prefix before it.
fn qualified<'a>(name: &'a str, local: &str) -> Result<&'a str, Refusal> {
    let prefix = name.strip_suffix(local).ok_or_else(|| malformed("a name that was not found"))?;
    match prefix.strip_suffix(':') {
        Some(prefix) if !prefix.is_empty() && !prefix.contains(':') => Ok(name),
        None if prefix.is_empty() => Ok(name),
        _ => Err(malformed("a name with an empty prefix")),
    }
}
