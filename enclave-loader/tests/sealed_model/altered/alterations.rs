//! Ways to alter a sealed model as a host could that holds other sealed models of the same publisher.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use strongroom_channel::cbor::{Value, byte_strings};

use super::library::{CHUNKS_A_BLOB, Files, LIBRARY};
use crate::fixture::CHUNK;

const SEALED_CHUNK: usize = CHUNK as usize + 16;
const HASH: usize = 32;

/// One alteration. A donor is any model of the library, the altered one too: then parts are
/// reordered or repeated within it.
#[derive(Clone, Debug)]
pub(crate) enum Alteration {
    /// A file ends early.
    Cut {
        file: Index,
        at: Index,
    },
    /// A file goes on.
    Extend {
        file: Index,
        with: Vec<u8>,
    },
    Remove {
        file: Index,
    },
    Flip {
        file: Index,
        at: Index,
        mask: u8,
    },
    /// Two files, blobs or not, change places.
    Swap {
        first: Index,
        second: Index,
    },
    /// The donor's file takes the place of one here.
    File {
        donor: Index,
        from: Index,
        to: Index,
    },
    /// A chunk takes the place of another, perhaps with its leaf.
    Chunk {
        donor: Index,
        from: Index,
        to: Index,
        with_leaf: bool,
    },
    /// Two chunks of this model change places, perhaps with their leaves.
    SwapChunks {
        first: Index,
        second: Index,
        with_leaves: bool,
    },
    /// A chunk is there twice, or not at all, and the rest moves.
    RepeatChunk {
        chunk: Index,
    },
    DropChunk {
        chunk: Index,
    },
    /// The leaf list of a blob.
    Leaves {
        donor: Index,
        from: Index,
        to: Index,
    },
    /// One half of the manifest.
    SignedCore {
        donor: Index,
    },
    PrivatePart {
        donor: Index,
    },
}

pub(crate) fn alteration() -> impl Strategy<Value = Alteration> {
    let index = any::<Index>;
    prop_oneof![
        (index(), index()).prop_map(|(file, at)| Alteration::Cut { file, at }),
        (index(), vec(any::<u8>(), 1..100)).prop_map(|(file, with)| Alteration::Extend { file, with }),
        index().prop_map(|file| Alteration::Remove { file }),
        (index(), index(), 1..=u8::MAX).prop_map(|(file, at, mask)| Alteration::Flip { file, at, mask }),
        (index(), index()).prop_map(|(first, second)| Alteration::Swap { first, second }),
        (index(), index(), index()).prop_map(|(donor, from, to)| Alteration::File { donor, from, to }),
        (index(), index(), index(), any::<bool>()).prop_map(|(donor, from, to, with_leaf)| Alteration::Chunk {
            donor,
            from,
            to,
            with_leaf
        }),
        (index(), index(), any::<bool>()).prop_map(|(first, second, with_leaves)| Alteration::SwapChunks {
            first,
            second,
            with_leaves
        }),
        index().prop_map(|chunk| Alteration::RepeatChunk { chunk }),
        index().prop_map(|chunk| Alteration::DropChunk { chunk }),
        (index(), index(), index()).prop_map(|(donor, from, to)| Alteration::Leaves { donor, from, to }),
        index().prop_map(|donor| Alteration::SignedCore { donor }),
        index().prop_map(|donor| Alteration::PrivatePart { donor }),
    ]
}

/// Alters `files`. What an earlier alteration made impossible is left out.
pub(crate) fn apply(alteration: &Alteration, files: &mut Files) {
    match alteration {
        Alteration::Cut { file, at } => {
            let content = pick(files, file);
            content.truncate(at.index(content.len().max(1)));
        }
        Alteration::Extend { file, with } => pick(files, file).extend_from_slice(with),
        Alteration::Remove { file } => {
            let path = path(files, file);
            files.remove(&path);
        }
        Alteration::Flip { file, at, mask } => {
            let content = pick(files, file);
            if !content.is_empty() {
                *at.get_mut(content) ^= mask;
            }
        }
        Alteration::Swap { first, second } => {
            let (first, second) = (path(files, first), path(files, second));
            let content = files[&first].clone();
            let other = files.insert(second, content).unwrap_or_default();
            files.insert(first, other);
        }
        Alteration::File { donor, from, to } => {
            let donor = &donor.get(&*LIBRARY).files;
            *pick(files, to) = donor[&path(donor, from)].clone();
        }
        Alteration::Chunk { donor, from, to, with_leaf } => {
            let donor = &donor.get(&*LIBRARY).files;
            let chunk = Chunk::pick(from).read(donor);
            Chunk::pick(to).write(files, &chunk, *with_leaf);
        }
        Alteration::SwapChunks { first, second, with_leaves } => {
            let (first, second) = (Chunk::pick(first), Chunk::pick(second));
            let (one, other) = (first.read(files), second.read(files));
            first.write(files, &other, *with_leaves);
            second.write(files, &one, *with_leaves);
        }
        Alteration::RepeatChunk { chunk } => {
            let chunk = Chunk::pick(chunk);
            let (sealed, _) = chunk.read(files);
            let at = chunk.at(files);
            chunk.blob(files).splice(at..at, sealed);
        }
        Alteration::DropChunk { chunk } => {
            let chunk = Chunk::pick(chunk);
            let (sealed, _) = chunk.read(files);
            let at = chunk.at(files);
            chunk.blob(files).drain(at..at + sealed.len());
        }
        Alteration::Leaves { donor, from, to } => {
            let donor = &donor.get(&*LIBRARY).files;
            let leaves = Chunk::pick(from).leaves(donor);
            let to = Chunk::pick(to);
            let old = to.leaves(files).len();
            let blob = to.blob(files);
            let from = blob.len().saturating_sub(old);
            blob.splice(from.., leaves);
        }
        Alteration::SignedCore { donor } => halves(files, &donor.get(&*LIBRARY).files, 0),
        Alteration::PrivatePart { donor } => halves(files, &donor.get(&*LIBRARY).files, 1),
    }
}

fn path(files: &Files, index: &Index) -> String {
    files.keys().nth(index.index(files.len().max(1))).cloned().unwrap_or_default()
}

fn pick<'a>(files: &'a mut Files, index: &Index) -> &'a mut Vec<u8> {
    let path = path(files, index);
    files.entry(path).or_default()
}

/// Takes one of the two halves of the manifest from the donor.
fn halves(files: &mut Files, donor: &Files, half: usize) {
    let Some(manifest) = files.get_mut("manifest.cbor") else { return };
    let (Ok(mut parts), Ok(donor)) = (byte_strings::<2>(manifest), byte_strings::<2>(&donor["manifest.cbor"])) else {
        return;
    };
    parts[half] = donor[half];
    *manifest = Value::byte_strings(&parts).encode();
}

/// The place of a chunk.
struct Chunk {
    path: String,
    index: usize,
    chunks: usize,
}

impl Chunk {
    /// Any chunk of any blob that is there; blobs are cut as the sealer of the library cuts them.
    fn pick(index: &Index) -> Self {
        let chunks: Vec<_> = ["0000", "0000", "0001", "0001", "0002"].into_iter().zip(0_usize..).collect();
        let (name, number) = index.get(&chunks);
        let path = format!("blobs/{name}.bin");
        let chunks = if *name == "0002" { 1 } else { CHUNKS_A_BLOB as usize };
        Self { path, index: number % chunks, chunks }
    }

    fn blob<'a>(&self, files: &'a mut Files) -> &'a mut Vec<u8> {
        // A blob that an earlier alteration removed comes back, altered still.
        files.entry(self.path.clone()).or_default()
    }

    fn content<'a>(&self, files: &'a Files) -> &'a [u8] {
        files.get(&self.path).map_or(&[], Vec::as_slice)
    }

    fn at(&self, files: &Files) -> usize {
        (self.index * SEALED_CHUNK).min(self.content(files).len())
    }

    /// The chunk with its tag, and its leaf.
    fn read(&self, files: &Files) -> (Vec<u8>, Vec<u8>) {
        let leaves = self.leaves(files);
        let content = self.content(files);
        let at = self.at(files);
        let end = (at + SEALED_CHUNK).min(content.len().saturating_sub(leaves.len())).max(at);
        let leaf = leaves.chunks(HASH).nth(self.index).unwrap_or_default();
        (content[at..end].to_vec(), leaf.to_vec())
    }

    fn write(&self, files: &mut Files, (sealed, leaf): &(Vec<u8>, Vec<u8>), with_leaf: bool) {
        let (old, old_leaf) = self.read(files);
        let at = self.at(files);
        let leaves = self.leaves(files).len();
        let blob = self.blob(files);
        if with_leaf {
            let from = (blob.len().saturating_sub(leaves) + self.index * HASH).min(blob.len());
            blob.splice(from..from + old_leaf.len(), leaf.iter().copied());
        }
        blob.splice(at..at + old.len(), sealed.iter().copied());
    }

    fn leaves(&self, files: &Files) -> Vec<u8> {
        let content = self.content(files);
        content[content.len().saturating_sub(self.chunks * HASH)..].to_vec()
    }
}
