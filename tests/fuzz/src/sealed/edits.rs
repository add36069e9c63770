//! A sound sealed model (tests/vectors/sealed-model/000-sound), and edits of it: small inputs that
//! reach all of its bytes.

use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use strongroom_channel::cose::VerifyingKey;
use strongroom_enclave_loader::{ArtifactKey, open_manifest};
use zeroize::Zeroizing;

/// The files that are edited.
pub(super) const FILES: [&str; 4] = ["manifest.cbor", "blobs/0000.bin", "blobs/0001.bin", "blobs/0002.bin"];

pub(super) static SOUND: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
    [
        include_bytes!("../../../vectors/sealed-model/000-sound/manifest.cbor").to_vec(),
        include_bytes!("../../../vectors/sealed-model/000-sound/blobs/0000.bin").to_vec(),
        include_bytes!("../../../vectors/sealed-model/000-sound/blobs/0001.bin").to_vec(),
        include_bytes!("../../../vectors/sealed-model/000-sound/blobs/0002.bin").to_vec(),
    ]
});

/// Its publisher: tests/vectors/sealed-model/keys.json.
pub(super) fn publisher() -> VerifyingKey {
    let key = bytes("c050c5637a44fa8629fff3cccce2300cb362a63d99d95fc54145266f4332445a");
    VerifyingKey::from_bytes(&key).expect("a key")
}

/// Its key, from there, too.
pub(super) fn key() -> ArtifactKey {
    let key = bytes("a0dcd4138084c07f5fa55bd1ddc4b9a52851dff49f4e312efec37a0bdea05ced");
    ArtifactKey::from_bytes(Zeroizing::new(key))
}

/// What was sealed under `path`, as the sound model gives it: the vectors' own tests compare that with
/// its published hashes.
pub(super) fn content(path: &str) -> &'static [u8] {
    static CONTENT: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/sealed-model/000-sound");
        let manifest = open_manifest(Path::new(directory), &publisher()).expect("opens");
        let model = manifest.unlock(&[key()]).expect("unlocks");
        let read = |path: &str| {
            let mut content = Vec::new();
            model.reader(path).expect("the file").read_to_end(&mut content).expect("reads");
            content
        };
        model.files().iter().map(|file| (file.path.clone(), read(&file.path))).collect()
    });
    &CONTENT.iter().find(|(known, _)| known == path).expect("a file of the sound model").1
}

/// The files after the edits that `input` is: eight bytes each, an operation, two files, two places of
/// 16 bits in them, and a byte.
pub(super) fn edited(input: &[u8]) -> [Vec<u8>; 4] {
    let mut files = SOUND.clone();
    for edit in input.as_chunks::<8>().0 {
        let &[operation, first, second, a, b, c, d, byte] = edit;
        let (first, second) = (usize::from(first) % 4, usize::from(second) % 4);
        // Files are a little longer than 16 bits reach.
        let at = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low])) + usize::from(byte % 64);
        let (from, to) = (at(a, b), at(c, d));
        match operation % 6 {
            0 => {
                if let Some(found) = files[first].get_mut(from) {
                    *found ^= byte.max(1);
                }
            }
            1 => files[first].truncate(from),
            2 => files[first].extend(std::iter::repeat_n(byte, from % 100)),
            3 => files.swap(first, second),
            4 => {
                // A piece of one file over another.
                let piece: Vec<u8> = files[first].iter().skip(from).take(1 + usize::from(byte) * 16).copied().collect();
                files[second].iter_mut().skip(to).zip(piece).for_each(|(old, new)| *old = new);
            }
            _ => {
                let removed = from.min(files[first].len())..(from + usize::from(byte)).min(files[first].len());
                files[first].drain(removed);
            }
        }
    }
    files
}

/// The 32 bytes that `hex` stands for.
fn bytes(hex: &str) -> [u8; 32] {
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal digits"))
}
