//! Distinguished names, compared attribute by attribute.

use crate::der::{DerError, Reader, tag};
use crate::error::shown;
use crate::x509::oid;

/// Attributes a name may have; AMD's have six.
const MAX_ATTRIBUTES: usize = 32;

/// A distinguished name: its attributes in order. Two names are equal when their attributes are,
/// whichever string type carries the text (vendors write UTF8String and PrintableString).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// Each with its position among the relative names, so that `{a, b}` is not `{a}, {b}`.
    attributes: Vec<(usize, Vec<u8>, Vec<u8>)>,
}

impl Name {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Name, DerError> {
        let mut sets = reader.sequence()?;
        let mut attributes = Vec::new();
        let mut position = 0usize;
        while !sets.is_empty() {
            let mut set = sets.expect(tag::SET)?.reader();
            if set.is_empty() {
                return Err(DerError::Value("Name"));
            }
            while !set.is_empty() {
                let mut attribute = set.sequence()?;
                let kind = attribute.oid()?.to_vec();
                let text = attribute.any()?;
                attribute.finish()?;
                // Other string types keep their tag, and so equal only themselves.
                let value = match text.tag {
                    tag::UTF8_STRING | tag::PRINTABLE_STRING => text.value.to_vec(),
                    _ => text.raw.to_vec(),
                };
                attributes.push((position, kind, value));
                if attributes.len() > MAX_ATTRIBUTES {
                    return Err(DerError::Value("Name"));
                }
            }
            position = position.saturating_add(1);
        }
        Ok(Name { attributes })
    }

    /// The common name, if there is exactly one and it is UTF-8.
    pub(crate) fn common_name(&self) -> Option<&str> {
        self.only(oid::COMMON_NAME)
    }

    /// The serial number of what is named (X.520 6.2.9), under the same conditions.
    pub(crate) fn serial_number(&self) -> Option<&str> {
        self.only(oid::SERIAL_NUMBER)
    }

    fn only(&self, wanted: &[u8]) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(_, kind, _)| kind == wanted);
        let (_, _, value) = found.next()?;
        if found.next().is_some() {
            return None;
        }
        std::str::from_utf8(value).ok()
    }

    /// The common name as it may be shown: control characters are replaced.
    pub(crate) fn shown(&self) -> String {
        let name = self.common_name().unwrap_or("(no common name)");
        shown(name, 64)
    }
}
