//! Python pickles are programs. None is sealed, by name or by content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{SealError, shown};

/// File names that weights in pickles have.
const EXTENSIONS: [&str; 8] = ["bin", "pt", "pth", "ckpt", "pkl", "pickle", "joblib", "dill"];
/// Newest version of the pickle protocol.
const NEWEST_PROTOCOL: u8 = 5;
/// As many bytes as tell a pickle from the head of safetensors.
const FIRST_BYTES: u64 = 9;

/// Refuses the file at `location`, called `path` in the model, if it is or looks like a pickle.
pub(crate) fn refuse(location: &Path, path: &str) -> Result<(), SealError> {
    let sign = match sign_by_name(path) {
        Some(sign) => Some(sign),
        None => sign_by_content(path, &first_bytes(location)?),
    };
    match sign {
        Some(sign) => Err(SealError::Pickle { path: shown(location), sign }),
        None => Ok(()),
    }
}

fn sign_by_name(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    EXTENSIONS.into_iter().find(|pickle| extension.eq_ignore_ascii_case(pickle)).map(|_| "by the ending of its name")
}

/// A pickle since protocol 2 begins with 0x80 and the protocol; PyTorch puts it into a zip archive.
/// Safetensors begin with the length of a JSON header, which can have the same two bytes.
fn sign_by_content(path: &str, first: &[u8]) -> Option<&'static str> {
    match first {
        [_, _, _, _, 0, 0, 0, 0, b'{'] if path.ends_with(".safetensors") => None,
        [0x80, 2..=NEWEST_PROTOCOL, ..] => Some("by its first bytes"),
        [b'P', b'K', 3, 4, ..] => Some("a zip archive, the container of PyTorch's pickles"),
        _ => None,
    }
}

fn first_bytes(location: &Path) -> Result<Vec<u8>, SealError> {
    let mut first = Vec::with_capacity(FIRST_BYTES as usize);
    File::open(location)
        .and_then(|file| file.take(FIRST_BYTES).read_to_end(&mut first))
        .map_err(|error| SealError::io("read", location, &error))?;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pickles_are_known_by_name_and_by_content() {
        for name in ["pytorch_model.bin", "a/b.PT", "x.pkl", "model.ckpt"] {
            assert!(sign_by_name(name).is_some(), "{name}");
        }
        for name in ["model.safetensors", "bin", "pt/config.json", "model.gguf"] {
            assert!(sign_by_name(name).is_none(), "{name}");
        }
        assert!(sign_by_content("x", &[0x80, 2, b'}', b'q']).is_some());
        assert!(sign_by_content("x", b"PK\x03\x04").is_some());
        assert!(sign_by_content("x", b"GGUF").is_none());
        assert!(sign_by_content("x", &[0x80]).is_none());
    }

    #[test]
    fn a_header_length_is_not_taken_for_a_pickle() {
        let first = [0x80, 2, 0, 0, 0, 0, 0, 0, b'{'];
        assert!(sign_by_content("model.safetensors", &first).is_none());
        assert!(sign_by_content("model.txt", &first).is_some());
        assert!(sign_by_content("model.safetensors", &[0x80, 2, b'c', b'o', b's', b'\n', b's', b'y', b's']).is_some());
    }
}
