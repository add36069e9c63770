//! CMW collections (draft-ietf-rats-msg-wrap): labelled records of evidence or endorsements.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AttestError, from_text, to_text};
use crate::device_digest::{self, CPU_LABEL};

/// Most records of one collection: eight GPUs, four switches and their endorsements, twice over.
const MAX_RECORDS: usize = 64;
/// Longest label.
const MAX_LABEL: usize = 32;
/// Longest media type.
const MAX_MEDIA_TYPE: usize = 128;
/// The member that says what a collection holds.
const TYPE_MEMBER: &str = "__cmwc_t";

/// The indicator bits of a record.
pub mod indicator {
    /// Reference values.
    pub const REFERENCE_VALUES: u8 = 1;
    /// Endorsements.
    pub const ENDORSEMENTS: u8 = 2;
    /// Evidence.
    pub const EVIDENCE: u8 = 4;
}

/// What a collection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionKind {
    /// Evidence of one instance: `cpu0` and its devices.
    Evidence,
    /// What vendors publish about them.
    Endorsements,
}

impl CollectionKind {
    /// The tag in the collection's `__cmwc_t` (A12).
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            CollectionKind::Evidence => "tag:strongroom.dev,2026:strongroom-composite-v1",
            CollectionKind::Endorsements => "tag:strongroom.dev,2026:strongroom-endorsements-v1",
        }
    }
}

/// One record: `[media type, base64url, indicator]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Media type of the value.
    pub media_type: String,
    /// The value's bytes.
    pub value: Vec<u8>,
    /// Bits of [`indicator`].
    pub indicator: u8,
}

/// Records by label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    kind: CollectionKind,
    records: BTreeMap<String, Record>,
}

impl Collection {
    /// A collection without records.
    #[must_use]
    pub fn new(kind: CollectionKind) -> Collection {
        Collection { kind, records: BTreeMap::new() }
    }

    /// Adds a record. A label is 1 to 32 of `a-z`, `0-9` and `-`, and occurs once.
    pub fn insert(&mut self, label: &str, record: Record) -> Result<(), AttestError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=MAX_LABEL).contains(&label.len()) || !label.bytes().all(allowed) {
            return Err(AttestError::field("label", "1 to 32 of a-z, 0-9 and '-'"));
        }
        let media_type = &record.media_type;
        if !(1..=MAX_MEDIA_TYPE).contains(&media_type.len()) || !media_type.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(AttestError::field("media type", "1 to 128 printable ASCII characters"));
        }
        if self.records.len() >= MAX_RECORDS {
            return Err(AttestError::field("records", "at most 64 records"));
        }
        if self.records.contains_key(label) {
            return Err(AttestError::field("label", "each label once"));
        }
        self.records.insert(label.to_owned(), record);
        Ok(())
    }

    /// What the collection holds.
    #[must_use]
    pub fn kind(&self) -> CollectionKind {
        self.kind
    }

    /// The record of `label`.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&Record> {
        self.records.get(label)
    }

    /// Records in the order of their labels.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.records.iter().map(|(label, record)| (label.as_str(), record))
    }

    /// Field 14 of the statement: the digest over all records but `cpu0`.
    #[must_use]
    pub fn device_digest(&self) -> [u8; 32] {
        let devices = self.iter().filter(|(label, _)| *label != CPU_LABEL);
        device_digest::digest(
            devices.map(|(label, record)| (label, record.media_type.as_str(), record.value.as_slice())),
        )
    }
}

impl Serialize for Collection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(TYPE_MEMBER, self.kind.tag())?;
        for (label, record) in &self.records {
            map.serialize_entry(label, &(&record.media_type, to_text(&record.value), record.indicator))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Collection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Collection, D::Error> {
        deserializer.deserialize_map(CollectionVisitor)
    }
}

/// By hand, because a derived map lets the last of two equal labels win.
struct CollectionVisitor;

impl<'de> Visitor<'de> for CollectionVisitor {
    type Value = Collection;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CMW collection of evidence or endorsements")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Collection, A::Error> {
        // The type is written first; reading asks for that too, so there is one spelling.
        if map.next_key::<String>()?.as_deref() != Some(TYPE_MEMBER) {
            return Err(A::Error::custom("__cmwc_t first"));
        }
        let tag = map.next_value::<String>()?;
        let kind = [CollectionKind::Evidence, CollectionKind::Endorsements].into_iter().find(|kind| kind.tag() == tag);
        let mut collection = Collection::new(kind.ok_or_else(|| A::Error::custom("a known __cmwc_t"))?);
        while let Some(label) = map.next_key::<String>()? {
            let (media_type, text, indicator) = map.next_value::<(String, String, u8)>()?;
            let value = from_text("record", &text).map_err(A::Error::custom)?;
            collection.insert(&label, Record { media_type, value, indicator }).map_err(A::Error::custom)?;
        }
        Ok(collection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record { media_type: "application/x".to_owned(), value: vec![1, 2, 3], indicator: indicator::EVIDENCE }
    }

    fn collection() -> Collection {
        let mut collection = Collection::new(CollectionKind::Evidence);
        collection.insert("cpu0", record()).unwrap();
        collection
    }

    #[test]
    fn a_collection_has_the_documented_form_and_comes_back() {
        let text = serde_json::to_string(&collection()).unwrap();
        assert_eq!(
            text,
            r#"{"__cmwc_t":"tag:strongroom.dev,2026:strongroom-composite-v1","cpu0":["application/x","AQID",4]}"#
        );
        assert_eq!(serde_json::from_str::<Collection>(&text).unwrap(), collection());
    }

    #[test]
    fn a_label_twice_is_refused() {
        let text = r#"{"__cmwc_t":"tag:strongroom.dev,2026:strongroom-composite-v1","cpu0":["a/b","AQID",4],"cpu0":["a/b","AQIE",4]}"#;
        assert!(serde_json::from_str::<Collection>(text).is_err());
    }

    #[test]
    fn other_tags_labels_and_records_are_refused() {
        for text in [
            r#"{"cpu0":["a/b","AQID",4]}"#,
            r#"{"__cmwc_t":"tag:other","cpu0":["a/b","AQID",4]}"#,
            r#"{"__cmwc_t":"tag:strongroom.dev,2026:strongroom-composite-v1","CPU 0":["a/b","AQID",4]}"#,
            r#"{"__cmwc_t":"tag:strongroom.dev,2026:strongroom-composite-v1","cpu0":["a/b","AQID"]}"#,
            r#"{"__cmwc_t":"tag:strongroom.dev,2026:strongroom-composite-v1","cpu0":["a/b","AQID",4,5]}"#,
            r#"{"__cmwc_t":"tag:strongroom.dev,2026:strongroom-composite-v1","cpu0":["","AQID",4]}"#,
            r#"{"__cmwc_t":"tag:strongroom.dev,2026:strongroom-composite-v1","cpu0":["a/b","AQI=",4]}"#,
        ] {
            assert!(serde_json::from_str::<Collection>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_digest_leaves_out_the_cpu() {
        assert_eq!(collection().device_digest(), device_digest::digest([]));
        let mut with_gpu = collection();
        with_gpu.insert("gpu0", record()).unwrap();
        assert_eq!(with_gpu.device_digest(), device_digest::digest([("gpu0", "application/x", [1, 2, 3].as_slice())]));
    }

    #[test]
    fn too_many_records_are_refused() {
        let mut full = Collection::new(CollectionKind::Endorsements);
        for n in 0..MAX_RECORDS {
            full.insert(&format!("r{n}"), record()).unwrap();
        }
        assert!(full.insert("one-more", record()).is_err());
    }
}
