//! The core: the public, signed description of a sealed model (spec section "Core").

use aws_lc_rs::digest;
use strongroom_channel::cbor::{self, CborError, Value};
use strongroom_channel::trust_file::Environment;

use super::limits::{
    CHUNK_LOG2_MAX, CHUNK_LOG2_MIN, FORMAT_VERSION, HASH_BYTES, MAX_BLOBS, MAX_CHUNKS, MAX_NAME_BYTES,
    MAX_PRIVATE_BYTES, MAX_RUNS, MIN_BUCKET_BYTES, TAG_BYTES,
};
use crate::error::LoadError;

/// A hash, salt or commitment.
pub(crate) type Hash = [u8; HASH_BYTES];

/// The algorithms of a sealed model. AES-256-GCM and HKDF-SHA-256 are in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Suite 1: ciphertext trees of BLAKE3, the default.
    Blake3,
    /// Suite 2: ciphertext trees of SHA-256, where FIPS algorithms are asked for.
    Sha256,
}

impl Suite {
    /// The number of the suite in the format.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Blake3 => 1,
            Self::Sha256 => 2,
        }
    }

    fn from_number(number: u64) -> Result<Self, LoadError> {
        match number {
            1 => Ok(Self::Blake3),
            2 => Ok(Self::Sha256),
            _ => Err(LoadError::Unsupported { what: "another suite of algorithms" }),
        }
    }
}

/// The fields that are known before the first chunk is sealed, and bound into each chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) suite: Suite,
    pub(crate) artifact_id: [u8; 16],
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) chunk_log2: u8,
    pub(crate) environment: Environment,
    /// Seconds since 1970.
    pub(crate) created: u64,
    /// Model id of the version before this one.
    pub(crate) previous: Option<Hash>,
    /// Model id of the model that this is an adapter or an update of.
    pub(crate) base: Option<Hash>,
}

impl Header {
    /// Bytes of plaintext in a full chunk.
    pub(crate) fn chunk_bytes(&self) -> u32 {
        1 << self.chunk_log2
    }

    /// SHA-256 of the det-CBOR of fields 1 to 6, 12 and 14 to 16: the part of the associated data
    /// that binds a chunk to its artifact, version and purpose.
    pub(crate) fn digest(&self) -> Hash {
        sha256(&Value::map(self.fields()).encode())
    }

    fn fields(&self) -> Vec<(u64, Value<'_>)> {
        let mut fields = vec![
            (1, Value::Uint(FORMAT_VERSION)),
            (2, Value::Uint(self.suite.number().into())),
            (3, Value::Bytes(&self.artifact_id)),
            (4, Value::Text(&self.name)),
            (5, Value::Uint(self.version)),
            (6, Value::Uint(self.chunk_log2.into())),
            (12, Value::Text(self.environment.as_str())),
            (14, Value::Uint(self.created)),
        ];
        if let Some(previous) = &self.previous {
            fields.push((15, Value::Bytes(previous)));
        }
        if let Some(base) = &self.base {
            fields.push((16, Value::Bytes(base)));
        }
        fields
    }
}

/// Field 7: one blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlobRecord {
    /// Number of chunks, at least 1.
    pub(crate) chunks: u32,
    /// Bytes of plaintext in the last chunk, at least 1.
    pub(crate) last_len: u32,
    /// The sealing run whose key the blob is under.
    pub(crate) run: u32,
    pub(crate) salt: Hash,
    pub(crate) root: Hash,
}

impl BlobRecord {
    fn value(&self) -> Value<'_> {
        Value::array([
            Value::Uint(self.chunks.into()),
            Value::Uint(self.last_len.into()),
            Value::Uint(self.run.into()),
            Value::Bytes(&self.salt),
            Value::Bytes(&self.root),
        ])
    }

    fn read(value: Value<'_>) -> Result<Self, LoadError> {
        let [chunks, last_len, run, salt, root] = value.items_exactly().map_err(malformed)?;
        Ok(Self {
            chunks: small(chunks)?,
            last_len: small(last_len)?,
            run: small(run)?,
            salt: salt.fixed().map_err(malformed)?,
            root: root.fixed().map_err(malformed)?,
        })
    }

    /// Bytes of plaintext in chunk `index`.
    pub(crate) fn chunk_len(&self, index: u64, chunk_bytes: u32) -> u32 {
        if index + 1 == u64::from(self.chunks) { self.last_len } else { chunk_bytes }
    }

    /// Bytes of plaintext in the blob.
    pub(crate) fn plain_len(&self, chunk_bytes: u32) -> u64 {
        u64::from(self.chunks.saturating_sub(1)) * u64::from(chunk_bytes) + u64::from(self.last_len)
    }

    /// Where the leaf list begins in the blob's file.
    pub(crate) fn leaves_at(&self, chunk_bytes: u32) -> u64 {
        self.plain_len(chunk_bytes) + u64::from(self.chunks) * TAG_BYTES as u64
    }

    /// Bytes of the blob's file: chunks with their tags, then the leaf list.
    pub(crate) fn file_len(&self, chunk_bytes: u32) -> u64 {
        self.leaves_at(chunk_bytes) + u64::from(self.chunks) * HASH_BYTES as u64
    }
}

/// Field 11: the private part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PrivateRecord {
    /// Bytes of its padded plaintext.
    pub(crate) len: u64,
    pub(crate) root: Hash,
}

/// The whole core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Core {
    pub(crate) header: Header,
    pub(crate) blobs: Vec<BlobRecord>,
    /// One a sealing run.
    pub(crate) commitments: Vec<Hash>,
    pub(crate) private: PrivateRecord,
}

impl Core {
    /// The bytes that are signed.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut fields = self.header.fields();
        fields.push((7, Value::array(self.blobs.iter().map(BlobRecord::value))));
        fields.push((10, Value::byte_strings(&self.commitments)));
        fields.push((11, Value::array([Value::Uint(self.private.len), Value::Bytes(&self.private.root)])));
        Value::map(fields).encode()
    }

    /// Reads the bytes that were signed.
    ///
    /// # Errors
    /// `Unsupported` for another version or suite, `Format` for anything else that is not
    /// exactly what [`Core::encode`] writes, or that breaks a limit.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, LoadError> {
        let core = read_core(bytes)?;
        // Also refuses fields with negative keys, which other messages ignore: here every
        // signed byte has a meaning.
        if core.encode() != bytes {
            return Err(MALFORMED);
        }
        core.check()?;
        Ok(core)
    }

    /// Bytes of the logical address space.
    pub(crate) fn total_len(&self) -> u64 {
        let chunk_bytes = self.header.chunk_bytes();
        self.blobs.iter().map(|blob| blob.plain_len(chunk_bytes)).sum()
    }

    /// SHA-256 of the core's bytes: what names this model everywhere.
    pub(crate) fn model_id(&self) -> Hash {
        sha256(&self.encode())
    }

    fn check(&self) -> Result<(), LoadError> {
        let chunk_bytes = self.header.chunk_bytes();
        if !valid_name(&self.header.name) {
            return Err(LoadError::Format("the name is not 1 to 128 printable ASCII characters"));
        }
        let Some((last, full)) = self.blobs.split_last() else {
            return Err(LoadError::Format("the core names no blobs"));
        };
        // Equal blobs make an offset's blob a division, and leave one way to cut a model.
        let chunks = full.first().map_or(last.chunks, |first| first.chunks);
        let sizes_hold = full.iter().all(|blob| blob.chunks == chunks && blob.last_len == chunk_bytes)
            && (1..=chunks).contains(&last.chunks)
            && (1..=chunk_bytes).contains(&last.last_len)
            && chunks <= MAX_CHUNKS;
        if !sizes_hold {
            return Err(LoadError::Format("the sizes of the blobs are out of range"));
        }
        if self.commitments.is_empty() || self.blobs.iter().any(|blob| blob.run as usize >= self.commitments.len()) {
            return Err(LoadError::Format("a blob names a sealing run without key"));
        }
        if !(MIN_BUCKET_BYTES..=MAX_PRIVATE_BYTES).contains(&self.private.len) {
            return Err(LoadError::Format("the size of the private part is out of range"));
        }
        Ok(())
    }
}

/// Whether `name` can be the name of a model: 1 to 128 printable ASCII characters, no blanks.
pub(crate) fn valid_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

fn read_core(bytes: &[u8]) -> Result<Core, LoadError> {
    let mut fields = cbor::decode(bytes).and_then(Value::fields).map_err(malformed)?;
    let mut field = |key| fields.require(key).map_err(malformed);
    if field(1)?.uint().map_err(malformed)? != FORMAT_VERSION {
        return Err(LoadError::Unsupported { what: "another version of the format" });
    }
    let suite = Suite::from_number(field(2)?.uint().map_err(malformed)?)?;
    let artifact_id = field(3)?.fixed().map_err(malformed)?;
    let name = field(4)?.text().map_err(malformed)?.to_owned();
    let version = field(5)?.uint().map_err(malformed)?;
    let chunk_log2 = u8::try_from(field(6)?.uint().map_err(malformed)?)
        .ok()
        .filter(|log2| (CHUNK_LOG2_MIN..=CHUNK_LOG2_MAX).contains(log2))
        .ok_or(LoadError::Format("the chunk size is out of range"))?;
    let blobs = bounded(field(7)?, MAX_BLOBS)?.into_iter().map(BlobRecord::read).collect::<Result<_, _>>()?;
    let commitments = bounded(field(10)?, MAX_RUNS)?
        .into_iter()
        .map(|commitment| commitment.fixed().map_err(malformed))
        .collect::<Result<_, _>>()?;
    let [len, root] = field(11)?.items_exactly().map_err(malformed)?;
    let private = PrivateRecord { len: len.uint().map_err(malformed)?, root: root.fixed().map_err(malformed)? };
    let environment = Environment::parse(field(12)?.text().map_err(malformed)?).ok_or(MALFORMED)?;
    let created = field(14)?.uint().map_err(malformed)?;
    let previous = fields.take(15).map(|previous| previous.fixed().map_err(malformed)).transpose()?;
    let base = fields.take(16).map(|base| base.fixed().map_err(malformed)).transpose()?;
    fields.finish().map_err(malformed)?;
    Ok(Core {
        header: Header { suite, artifact_id, name, version, chunk_log2, environment, created, previous, base },
        blobs,
        commitments,
        private,
    })
}

const MALFORMED: LoadError = LoadError::Format("the core");

fn malformed(_: CborError) -> LoadError {
    MALFORMED
}

fn small(value: Value<'_>) -> Result<u32, LoadError> {
    u32::try_from(value.uint().map_err(malformed)?).map_err(|_| MALFORMED)
}

fn bounded(value: Value<'_>, limit: usize) -> Result<Vec<Value<'_>>, LoadError> {
    let items = value.items().map_err(malformed)?;
    if items.len() > limit {
        return Err(LoadError::Format("more blobs or runs than the format allows"));
    }
    Ok(items)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn header() -> Header {
        Header {
            suite: Suite::Blake3,
            artifact_id: [7; 16],
            name: "model".to_owned(),
            version: 3,
            chunk_log2: 16,
            environment: Environment::Development,
            created: 1_700_000_000,
            previous: None,
            base: None,
        }
    }

    fn core() -> Core {
        let blob = |chunks, last_len| BlobRecord { chunks, last_len, run: 0, salt: [1; 32], root: [2; 32] };
        Core {
            header: header(),
            blobs: vec![blob(2, 1 << 16), blob(2, 1 << 16), blob(1, 5)],
            commitments: vec![[3; 32]],
            private: PrivateRecord { len: 4096, root: [4; 32] },
        }
    }

    #[test]
    fn comes_back_with_and_without_a_previous_version_and_a_base() {
        let mut core = core();
        assert_eq!(Core::decode(&core.encode()), Ok(core.clone()));
        core.header.previous = Some([9; 32]);
        assert_eq!(Core::decode(&core.encode()), Ok(core.clone()));
        core.header.base = Some([8; 32]);
        assert_eq!(Core::decode(&core.encode()), Ok(core.clone()));
        assert_eq!(core.total_len(), 4 * 65_536 + 5);
    }

    #[test]
    fn every_header_field_changes_the_digest() {
        let base = header().digest();
        let changes: [fn(&mut Header); 9] = [
            |header| header.suite = Suite::Sha256,
            |header| header.artifact_id[0] ^= 1,
            |header| header.name.push('x'),
            |header| header.version += 1,
            |header| header.chunk_log2 += 1,
            |header| header.environment = Environment::Production,
            |header| header.created += 1,
            |header| header.previous = Some([0; 32]),
            |header| header.base = Some([0; 32]),
        ];
        for change in changes {
            let mut changed = header();
            change(&mut changed);
            assert_ne!(changed.digest(), base);
        }
    }

    #[test]
    fn refuses_what_breaks_a_limit() {
        let breaks: [fn(&mut Core); 11] = [
            |core| core.header.name.clear(),
            |core| core.header.name.push('\n'),
            |core| core.header.chunk_log2 = 15,
            |core| core.header.chunk_log2 = 24,
            |core| core.blobs.clear(),
            |core| core.blobs[0].last_len = 5,
            |core| core.blobs[1].chunks = 1,
            |core| core.blobs[2].last_len = 0,
            |core| core.blobs[2].run = 1,
            |core| core.commitments.clear(),
            |core| core.private.len = MAX_PRIVATE_BYTES + 1,
        ];
        for (number, change) in breaks.iter().enumerate() {
            let mut broken = core();
            change(&mut broken);
            let result = Core::decode(&broken.encode());
            assert!(matches!(result, Err(LoadError::Format(_))), "{number}: {result:?}");
        }
    }

    #[test]
    fn refuses_fields_that_left_the_core() {
        // Field 13 (min_runtime) between 12 and 14.
        let mut bytes = core().encode();
        bytes[0] += 1;
        let field = b"\x0c\x63dev";
        let at =
            bytes.windows(field.len()).position(|window| window == field).expect("field 12 is there") + field.len();
        bytes.splice(at..at, [13, 1]);
        assert_eq!(Core::decode(&bytes), Err(LoadError::Format("the core")));
    }

    #[test]
    fn another_version_or_suite_is_unsupported_not_malformed() {
        let mut bytes = core().encode();
        bytes[2] = 2;
        assert_eq!(Core::decode(&bytes).map_err(|error| error.code()), Err("SEALED_UNSUPPORTED"));
        let mut bytes = core().encode();
        bytes[4] = 3;
        assert_eq!(Core::decode(&bytes).map_err(|error| error.code()), Err("SEALED_UNSUPPORTED"));
    }
}
