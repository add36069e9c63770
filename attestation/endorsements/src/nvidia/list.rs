//! NVIDIA's revocation lists: a closed list of them.

use std::fmt;

use crate::content::Description;
use crate::x509;

/// One of NVIDIA's revocation lists. Certificates name them by their addresses; only these are asked for, of whatever
/// service is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NvidiaList {
    /// Of the root of devices.
    L1Root,
    /// Of the authority of Hopper's provisioners, and of the switches'.
    L2Gh100,
    /// Of the authority of Blackwell's provisioners.
    L2Gb100,
    /// Of the root of manifests.
    CorimL1,
    /// Of the authority of Blackwell's manifests.
    CorimL2Gb100,
}

/// Each with its name here, its folder and file at NVIDIA, and what its issuer's common name begins with.
const LISTS: [(NvidiaList, &str, &str, &str, &str); 5] = [
    (NvidiaList::L1Root, "l1-root", "crl", "l1-root", "NVIDIA Device Identity CA"),
    (NvidiaList::L2Gh100, "l2-gh100", "crl", "l2-gh100", "NVIDIA GH100 Identity"),
    (NvidiaList::L2Gb100, "l2-gb100", "crl", "l2-gb100", "NVIDIA GB100 Identity"),
    (NvidiaList::CorimL1, "corim-l1", "crl-corim", "l1-corim", "NVIDIA CoRIM signing Root CA"),
    // There may be more than one of these (… CA 001).
    (NvidiaList::CorimL2Gb100, "corim-l2-gb100", "crl-corim", "l2-gb100", "NVIDIA Reference Value GB1XX CA"),
];

impl NvidiaList {
    /// The list with this name, if there is one.
    pub fn from_name(name: &str) -> Option<NvidiaList> {
        LISTS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The list at this address in a certificate, by the last two parts of its path; the rest is not looked at. Older
    /// certificates leave out the `.crl`.
    pub fn from_address(address: &str) -> Option<NvidiaList> {
        let mut parts = address.rsplit('/');
        let (file, folder) = (parts.next()?, parts.next()?);
        let file = file.strip_suffix(".crl").unwrap_or(file);
        LISTS.iter().find(|row| row.2 == folder && row.3 == file).map(|row| row.0)
    }

    /// Its name in the texts of wants.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Whether it is about certificates of manifests; else of devices.
    pub(crate) fn is_of_manifests(self) -> bool {
        matches!(self, NvidiaList::CorimL1 | NvidiaList::CorimL2Gb100)
    }

    /// Its path at NVIDIA.
    pub(crate) fn path(self) -> String {
        let (_, _, folder, file, _) = self.row();
        format!("/{folder}/{file}.crl")
    }

    fn row(self) -> &'static (NvidiaList, &'static str, &'static str, &'static str, &'static str) {
        // The table has every variant (a test holds this).
        LISTS.iter().find(|row| row.0 == self).unwrap_or(&LISTS[0])
    }
}

impl fmt::Display for NvidiaList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a revocation list says of itself, if it is `wanted`.
///
/// # Errors
/// A sentence that says what was wanted and found.
pub(crate) fn describe(wanted: NvidiaList, bytes: &[u8]) -> Result<Description, String> {
    let list = x509::revocation_list(bytes)?;
    let issuer = wanted.row().4;
    if !list.issuer.starts_with(issuer) {
        return Err(format!("a revocation list of \"{}\", wanted one of \"{issuer}\"", list.issuer));
    }
    Ok(Description::of(list.issuer, list.this_update, list.next_update))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_has_a_row_and_an_address() {
        for (list, name, ..) in LISTS {
            assert_eq!((list.as_str(), NvidiaList::from_name(name)), (name, Some(list)));
            assert_eq!(NvidiaList::from_address(&format!("http://a{}", list.path())), Some(list));
        }
    }

    #[test]
    fn an_address_is_looked_up_and_not_followed() {
        let read = NvidiaList::from_address;
        assert_eq!(read("http://crl.ndis.nvidia.com/crl-corim/l1-corim"), Some(NvidiaList::CorimL1), "as some have it");
        assert_eq!(read("ldap://evil/crl/l2-gh100.crl"), Some(NvidiaList::L2Gh100), "wherever it points");
        for unknown in
            ["", "/", "l1-root.crl", "http://a/crl/l1-root.crl?x", "http://a/other/l1-root.crl", "crl/../etc"]
        {
            assert_eq!(read(unknown), None, "{unknown}");
        }
    }
}
