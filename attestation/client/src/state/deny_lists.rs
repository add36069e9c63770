//! Deny lists that were seen: for each key the highest sequence, and which edition that was.

use std::path::Path;

use serde::{Deserialize, Serialize};
use strongroom_attestation::{DenyList, UnixTime};
use strongroom_channel::deny_list::{self, DenyListError};

use super::{StateDirectory, damaged, lock, make_private_directory, read_record, write_record};
use crate::error::ClientError;

/// What is remembered of one key.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    sequence: u64,
    digest: String,
}

impl StateDirectory {
    /// Accepts a deny list by the key of this thumbprint, and remembers its sequence.
    ///
    /// # Errors
    /// [`ClientError::DenyList`] for another key, a bad signature, an edition older than one seen, another one of the
    /// same sequence, or one that has ended; [`ClientError::Malformed`] for a damaged record; [`ClientError::Io`] when
    /// the record cannot be read or written. Nothing is remembered then.
    pub fn accept_deny_list(&self, bytes: &[u8], key: &[u8; 32], now: UnixTime) -> Result<DenyList, ClientError> {
        let signed = deny_list::verify(bytes, key, 0, now)?;
        // Against what is remembered, with nobody else writing meanwhile.
        let directory = self.path.join("deny");
        make_private_directory(&directory)?;
        let _lock = lock(&directory)?;
        let path = directory.join(format!("{}.json", hex::encode(key)));
        let found = Record { sequence: signed.list.sequence(), digest: hex::encode(signed.digest) };
        if let Some(seen) = read_record::<Record>(&path).map_err(|error| explained(error, &path))? {
            if found.sequence < seen.sequence {
                return Err(DenyListError::Older { seen: seen.sequence, found: found.sequence }.into());
            }
            if found.sequence == seen.sequence && found.digest != seen.digest {
                return Err(DenyListError::TwoOfOneSequence { sequence: found.sequence }.into());
            }
        }
        write_record(&directory, &path, &found)?;
        Ok(signed.list)
    }
}

/// What to do about a damaged record is not what a trust file's record asks for.
fn explained(error: ClientError, path: &Path) -> ClientError {
    if error == damaged(path) {
        let what = format!("{} is damaged; restore it, or remove it and give the current deny list", path.display());
        return ClientError::Malformed(what);
    }
    error
}

#[cfg(test)]
mod tests {
    use std::fs;

    use strongroom_channel::cose::SigningKey;

    use super::*;
    use crate::test_instance::NOW;

    fn key() -> SigningKey {
        SigningKey::from_seed([1; 32])
    }

    fn thumbprint() -> [u8; 32] {
        key().verifying_key().thumbprint()
    }

    fn edition(issuer: &str, sequence: u64, by: &SigningKey) -> Vec<u8> {
        let list = DenyList::new(issuer.to_owned(), sequence, Some(NOW.saturating_add_secs(100)), vec![]).unwrap();
        deny_list::sign(&list, NOW, by).unwrap()
    }

    #[test]
    fn an_older_edition_is_refused_after_a_restart_too() {
        let directory = tempfile::tempdir().unwrap();
        // Each a process of its own: nothing is shared but the directory.
        let accept = |sequence| {
            let state = StateDirectory::new(directory.path().join("state"));
            state.accept_deny_list(&edition("bank", sequence, &key()), &thumbprint(), NOW).map(|list| list.sequence())
        };
        assert_eq!(accept(5), Ok(5));
        assert_eq!(accept(4), Err(DenyListError::Older { seen: 5, found: 4 }.into()));
        assert_eq!(accept(5), Ok(5), "the same again");
        assert_eq!(accept(9), Ok(9));
        let refused = accept(5).unwrap_err();
        assert_eq!((refused.code(), refused.exit_code()), ("STALE", 3));
    }

    #[test]
    fn two_editions_of_one_sequence_are_not_both_believed() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(directory.path());
        let accept = |issuer| state.accept_deny_list(&edition(issuer, 5, &key()), &thumbprint(), NOW);
        assert!(accept("bank").is_ok());
        assert_eq!(accept("bank 2"), Err(DenyListError::TwoOfOneSequence { sequence: 5 }.into()));
        assert!(accept("bank").is_ok());
    }

    #[test]
    fn each_key_has_a_sequence_of_its_own_and_what_is_refused_is_not_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(directory.path());
        let other = SigningKey::from_seed([2; 32]);
        let foreign = edition("x", 9, &other);
        assert!(matches!(
            state.accept_deny_list(&foreign, &thumbprint(), NOW),
            Err(ClientError::DenyList(DenyListError::WrongKey { .. }))
        ));
        let ended = NOW.saturating_add_secs(101);
        assert!(state.accept_deny_list(&edition("bank", 9, &key()), &thumbprint(), ended).is_err());
        assert!(state.accept_deny_list(&foreign, &other.verifying_key().thumbprint(), NOW).is_ok());
        assert!(state.accept_deny_list(&edition("bank", 1, &key()), &thumbprint(), NOW).is_ok());
    }

    #[test]
    fn a_damaged_record_is_not_first_use() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(directory.path());
        state.accept_deny_list(&edition("bank", 5, &key()), &thumbprint(), NOW).unwrap();
        let path = directory.path().join("deny").join(format!("{}.json", hex::encode(thumbprint())));
        for damage in [&b""[..], b"{", b"{\"sequence\":1}"] {
            fs::write(&path, damage).unwrap();
            let refused = state.accept_deny_list(&edition("bank", 6, &key()), &thumbprint(), NOW).unwrap_err();
            assert!(refused.to_string().contains("deny list"), "{refused}");
        }
    }
}
