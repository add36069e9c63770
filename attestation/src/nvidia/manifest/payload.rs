//! The payload: one Resource for each measurement (TCG RIM IM, direct payload; the attributes index,
//! active, alternatives and HashN are NVIDIA's).

use super::malformed;
use super::xml::{ISO, Name, Node, SHA384, attribute, attributes, elements, empty, is, printable};
use crate::error::Refusal;

/// Measurements that a report can have.
const MAX_INDEX: u8 = 63;
/// What is signed as `size`: bytes of SHA-384.
const SIZE: &str = "48";

const RESOURCE: Name = (Some(ISO), "Resource");
/// The names of hashes, in order; genuine resources have up to four.
const HASHES: [&str; 16] = [
    "Hash0", "Hash1", "Hash2", "Hash3", "Hash4", "Hash5", "Hash6", "Hash7", "Hash8", "Hash9", "Hash10", "Hash11",
    "Hash12", "Hash13", "Hash14", "Hash15",
];

/// What one measurement should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Golden {
    /// Counted from 0; a report counts from 1.
    pub(crate) index: u8,
    /// For people.
    pub(crate) name: String,
    /// Whether it is to be compared at all.
    pub(crate) active: bool,
    /// Any of these will do.
    pub(crate) alternatives: Vec<[u8; 48]>,
}

/// The measurements in order of their indices, none twice; at least one.
pub(super) fn read(payload: Node<'_>) -> Result<Vec<Golden>, Refusal> {
    attributes(payload, [])?;
    let mut all = elements(payload)?.into_iter().map(resource).collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() {
        return Err(malformed("an empty payload"));
    }
    all.sort_by_key(|golden| golden.index);
    let repeated = all.iter().zip(all.iter().skip(1)).find(|(one, next)| one.index == next.index);
    match repeated {
        Some((one, _)) => Err(malformed(format!("index {} twice", one.index))),
        None => Ok(all),
    }
}

fn resource(element: Node<'_>) -> Result<Golden, Refusal> {
    if !is(element, RESOURCE) {
        return Err(malformed("the payload holds other than resources"));
    }
    empty(element)?;
    let required = |name: &'static str| {
        attribute(element, (None, name)).ok_or_else(|| malformed(format!("a resource without {name}")))
    };
    let index = decimal(required("index")?).filter(|index| *index <= MAX_INDEX);
    let index = index.ok_or_else(|| malformed(format!("an index that is not in 0 to {MAX_INDEX}")))?;
    let about = |what: &str| malformed(format!("resource {index}: {what}"));
    if required("type")? != "Measurement" {
        return Err(about("it is no measurement"));
    }
    if required("size")? != SIZE {
        return Err(about("its size is not 48"));
    }
    let active = match required("active")? {
        "True" => true,
        "False" => false,
        _ => return Err(about("active is neither True nor False")),
    };
    let name = printable(required("name")?)?;
    let count = decimal(required("alternatives")?).map(usize::from).filter(|count| (1..=HASHES.len()).contains(count));
    let count = count.ok_or_else(|| about("the number of alternatives"))?;
    let hashes = HASHES.iter().take(count).map(|name| attribute(element, (Some(SHA384), name)).and_then(hash));
    let alternatives =
        hashes.collect::<Option<Vec<_>>>().ok_or_else(|| about("a hash is missing or is not SHA-384's"))?;
    // Six that are named above, and the hashes: with any other, there are more.
    if element.attributes().len() != count.saturating_add(6) {
        return Err(about("attributes that are not known, or more hashes than alternatives"));
    }
    Ok(Golden { index, name, active, alternatives })
}

/// A number of at most two digits in its one form.
fn decimal(text: &str) -> Option<u8> {
    let number = text.parse().ok()?;
    (u8::to_string(&number) == text).then_some(number)
}

fn hash(text: &str) -> Option<[u8; 48]> {
    let mut hash = [0; 48];
    hex::decode_to_slice(text, &mut hash).ok()?;
    Some(hash)
}
