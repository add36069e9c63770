//! What is refused whatever else holds: platforms, firmware images, certificates and advisories that
//! somebody has lost faith in (docs/specs/deny-list.md).

mod answer;

use serde::{Deserialize, Serialize};

use crate::hex_bytes::HexBytes;
use crate::policy::{PlatformIdentity, PolicyError};
use crate::unix_time::UnixTime;

pub(crate) use answer::{answer, answer_devices, is_of_denied_platform, is_of_deny_list};

/// Most entries of one list.
const MAX_ENTRIES: usize = 4096;
/// Longest name of an issuer, and longest reason, in bytes.
const MAX_TEXT: usize = 256;
/// How Intel names an advisory, before its digits.
const ADVISORY: &str = "INTEL-SA-";

/// One edition of somebody's list. Its entries are in order and none stands twice.
///
/// As TOML: `issuer`, `sequence`, `not_after` (may be absent) and `[[entries]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ListText", into = "ListText")]
pub struct DenyList {
    issuer: String,
    sequence: u64,
    not_after: Option<UnixTime>,
    entries: Vec<Denied>,
}

/// One entry: what is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "EntryText", into = "EntryText")]
pub struct Denied {
    /// What is refused.
    pub subject: DeniedSubject,
    /// Why, for people: 1 to 256 bytes without control characters.
    pub reason: String,
}

/// What an entry refuses. The order is that of the kinds, then of the values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeniedSubject {
    /// One machine: an SNP CHIP_ID of 64 bytes, the 8 bytes of a Turin HWID, or a PPID of 16.
    Platform(PlatformIdentity),
    /// A kind of Intel platform.
    Fmspc(HexBytes<6>),
    /// A launch measurement: MEASUREMENT (SNP) or MRTD (TDX).
    Measurement(HexBytes<48>),
    /// A certificate, by SHA-256 of its DER.
    Certificate(HexBytes<32>),
    /// An advisory of Intel that is not borne, such as `INTEL-SA-00615`.
    Advisory(String),
}

impl DenyList {
    /// A list of `entries`, in any order. Refused with [`PolicyError::Value`]: an issuer or a reason
    /// that is empty, longer than 256 bytes or not printable, more than 4096 entries, one subject
    /// twice, an identity of no known length or all zero, an advisory that is not named as Intel
    /// names them.
    pub fn new(
        issuer: String,
        sequence: u64,
        not_after: Option<UnixTime>,
        mut entries: Vec<Denied>,
    ) -> Result<DenyList, PolicyError> {
        printable("deny.issuer", &issuer)?;
        if entries.len() > MAX_ENTRIES {
            return Err(wrong("deny.entries", format!("{} entries", entries.len()), "at most 4096"));
        }
        entries.iter().try_for_each(Denied::check)?;
        entries.sort();
        let twice = entries.iter().zip(entries.iter().skip(1)).find(|(one, next)| one.subject == next.subject);
        if let Some((one, _)) = twice {
            return Err(wrong("deny.entries", format!("{} twice", one.subject.shown()), "each once"));
        }
        Ok(DenyList { issuer, sequence, not_after, entries })
    }

    /// Reads a list from its TOML text.
    pub fn from_toml(text: &str) -> Result<DenyList, PolicyError> {
        toml::from_str(text).map_err(|error| PolicyError::Text { message: error.to_string() })
    }

    /// This list as TOML text, which [`DenyList::from_toml`] reads back.
    #[cfg_attr(not(test), expect(clippy::expect_used, reason = "no value of any field is without a TOML form"))]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field of a deny list has a TOML form")
    }

    /// Who keeps the list; a name for people, and no proof.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Rises with every edition.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Its last second. After it nothing is accepted until there is another edition.
    pub fn not_after(&self) -> Option<UnixTime> {
        self.not_after
    }

    /// The entries, by kind and value.
    pub fn entries(&self) -> &[Denied] {
        &self.entries
    }

    fn shown(&self) -> String {
        format!("the list of {}, sequence {}", self.issuer, self.sequence)
    }
}

impl Denied {
    fn check(&self) -> Result<(), PolicyError> {
        printable("deny.entries.reason", &self.reason)?;
        match &self.subject {
            DeniedSubject::Platform(identity) => {
                let (length, zero) = (identity.0.len(), identity.0.iter().all(|byte| *byte == 0));
                if zero || !matches!(length, 8 | 16 | 64) {
                    let found = if zero { "all zero".to_owned() } else { format!("{length} bytes") };
                    return Err(wrong("deny.entries.platform", found, "an identity of 8, 16 or 64 bytes"));
                }
            }
            DeniedSubject::Advisory(name) => {
                let digits = name.strip_prefix(ADVISORY).unwrap_or_default();
                if !matches!(digits.len(), 5..=8) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    let found = format!("{name:?}");
                    return Err(wrong("deny.entries.advisory", found, "a name such as INTEL-SA-00615"));
                }
            }
            DeniedSubject::Fmspc(_) | DeniedSubject::Measurement(_) | DeniedSubject::Certificate(_) => {}
        }
        Ok(())
    }
}

impl DeniedSubject {
    /// The kind of subject and its value, for people.
    pub fn shown(&self) -> String {
        match self {
            DeniedSubject::Platform(identity) => format!("platform {}", hex::encode(&identity.0)),
            DeniedSubject::Fmspc(fmspc) => format!("FMSPC {fmspc}"),
            DeniedSubject::Measurement(measurement) => format!("measurement {measurement}"),
            DeniedSubject::Certificate(digest) => format!("certificate sha256:{digest}"),
            DeniedSubject::Advisory(name) => format!("advisory {name}"),
        }
    }
}

fn printable(field: &str, text: &str) -> Result<(), PolicyError> {
    if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
        let found = format!("{} bytes, or with control characters", text.len());
        return Err(wrong(field, found, "1 to 256 bytes of printable text"));
    }
    Ok(())
}

fn wrong(field: &str, found: String, wanted: &'static str) -> PolicyError {
    PolicyError::Value { field: field.to_owned(), found, wanted }
}

/// [`DenyList`] before its check.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListText {
    issuer: String,
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<UnixTime>,
    #[serde(default)]
    entries: Vec<Denied>,
}

/// An entry as people write it: exactly one subject, by the name of its kind.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryText {
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<PlatformIdentity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fmspc: Option<HexBytes<6>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measurement: Option<HexBytes<48>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<HexBytes<32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advisory: Option<String>,
    reason: String,
}

impl TryFrom<ListText> for DenyList {
    type Error = PolicyError;

    fn try_from(text: ListText) -> Result<DenyList, PolicyError> {
        DenyList::new(text.issuer, text.sequence, text.not_after, text.entries)
    }
}

impl From<DenyList> for ListText {
    fn from(list: DenyList) -> ListText {
        let DenyList { issuer, sequence, not_after, entries } = list;
        ListText { issuer, sequence, not_after, entries }
    }
}

impl TryFrom<EntryText> for Denied {
    type Error = String;

    fn try_from(text: EntryText) -> Result<Denied, String> {
        let EntryText { platform, fmspc, measurement, certificate, advisory, reason } = text;
        let mut subjects = [
            platform.map(DeniedSubject::Platform),
            fmspc.map(DeniedSubject::Fmspc),
            measurement.map(DeniedSubject::Measurement),
            certificate.map(DeniedSubject::Certificate),
            advisory.map(DeniedSubject::Advisory),
        ]
        .into_iter()
        .flatten();
        match (subjects.next(), subjects.next()) {
            (Some(subject), None) => Ok(Denied { subject, reason }),
            _ => Err("an entry names one platform, fmspc, measurement, certificate or advisory".to_owned()),
        }
    }
}

impl From<Denied> for EntryText {
    fn from(denied: Denied) -> EntryText {
        let text = EntryText { reason: denied.reason, ..EntryText::default() };
        match denied.subject {
            DeniedSubject::Platform(identity) => EntryText { platform: Some(identity), ..text },
            DeniedSubject::Fmspc(fmspc) => EntryText { fmspc: Some(fmspc), ..text },
            DeniedSubject::Measurement(measurement) => EntryText { measurement: Some(measurement), ..text },
            DeniedSubject::Certificate(digest) => EntryText { certificate: Some(digest), ..text },
            DeniedSubject::Advisory(name) => EntryText { advisory: Some(name), ..text },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn entry(line: &str) -> String {
        format!("[[entries]]\n{line}\nreason = \"r\"\n")
    }

    fn list(entries: &str) -> Result<DenyList, PolicyError> {
        DenyList::from_toml(&format!("issuer = \"bank\"\nsequence = 7\n{entries}"))
    }

    #[test]
    fn a_list_survives_its_text_in_order() {
        let entries = [
            entry("advisory = \"INTEL-SA-00615\""),
            entry(&format!("certificate = \"{}\"", "ab".repeat(32))),
            entry(&format!("measurement = \"{}\"", "cd".repeat(48))),
            entry("fmspc = \"00806f050000\""),
            entry("platform = \"0102030405060708\""),
            entry(&format!("platform = \"{}\"", "01".repeat(16))),
        ];
        let read = list(&entries.concat()).unwrap();
        assert_eq!((read.issuer(), read.sequence(), read.not_after()), ("bank", 7, None));
        assert!(read.entries().is_sorted() && read.entries().len() == entries.len());
        assert_eq!(DenyList::from_toml(&read.to_toml()).unwrap(), read);
        let mut other_order = entries.to_vec();
        other_order.reverse();
        assert_eq!(list(&other_order.concat()).unwrap(), read);

        let inline = format!("[deny]\n{}", read.to_toml().replace("[[entries]]", "[[deny.entries]]"));
        let policy = Policy::from_toml(&inline).unwrap();
        assert_eq!(policy.deny, Some(read.clone()));
        assert_eq!(Policy::from_toml(&policy.to_toml()).unwrap(), policy);

        let fed = Policy { deny_feeds: vec![read], ..Policy::strict() };
        assert_eq!(fed.to_toml(), Policy::strict().to_toml(), "a feed is no part of the text");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let measurement = format!("measurement = \"{}\"", "cd".repeat(48));
        for wrong in [
            "unknown = 1".to_owned(),
            "[[entries]]\nreason = \"r\"".to_owned(),
            format!("[[entries]]\n{measurement}"),
            format!("[[entries]]\n{measurement}\nreason = \"\""),
            format!("[[entries]]\n{measurement}\nreason = \"a\\u001b[1m\""),
            format!("[[entries]]\n{measurement}\nreason = \"{}\"", "r".repeat(257)),
            format!("{}more = 1", entry(&measurement)),
            entry(&format!("{measurement}\nfmspc = \"00806f050000\"")),
            entry("measurement = \"ab\""),
            entry("fmspc = \"00806f0500\""),
            entry("platform = \"01\""),
            entry("platform = \"0000000000000000\""),
            entry("advisory = \"INTEL-SA-\""),
            entry("advisory = \"intel-sa-00615\""),
            entry("advisory = \"INTEL-SA-0061x\""),
            format!("{}[[entries]]\n{measurement}\nreason = \"other\"\n", entry(&measurement)),
        ] {
            assert!(list(&wrong).is_err(), "{wrong}");
        }
        assert!(DenyList::from_toml("issuer = \"bank\"").is_err(), "without a sequence");
        assert!(DenyList::from_toml("issuer = \"\"\nsequence = 1").is_err());
        assert!(list("").is_ok(), "an edition may deny nothing");
        let many = |count: u32| {
            let entries = (0..count).map(|number| Denied {
                subject: DeniedSubject::Advisory(format!("{ADVISORY}{number:05}")),
                reason: "r".to_owned(),
            });
            DenyList::new("bank".to_owned(), 1, None, entries.collect())
        };
        assert!(many(4096).is_ok() && many(4097).is_err());
    }
}
