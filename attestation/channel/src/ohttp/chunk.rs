//! Framing of chunks: a length and a sealed chunk, again and again; then zero and the final chunk, which reaches to
//! the end of the stream. Chunks are numbered by the cipher's counter, and the final one has its own associated
//! data, so none can be dropped, repeated, moved, or taken for the last.

use super::{Limits, OhttpError, SEALED_CHUNK_MOST, suite::TAG_LEN};
use crate::bhttp::varint;

/// Associated data of every chunk but the final one.
const CHUNK_AAD: &[u8] = b"";
/// Associated data of the final chunk.
const FINAL_AAD: &[u8] = b"final";

/// Seals chunks in sequence.
pub(super) trait Seal {
    fn seal(&mut self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, OhttpError>;
}

/// Opens chunks in sequence.
pub(super) trait Open {
    fn open(&mut self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OhttpError>;
}

/// The wire bytes of `plain` in as many chunks as it needs; none for nothing.
pub(super) fn seal_chunks(cipher: &mut impl Seal, plain: &[u8]) -> Result<Vec<u8>, OhttpError> {
    let mut out = Vec::with_capacity(plain.len().saturating_add(varint::MOST + TAG_LEN));
    for piece in plain.chunks(SEALED_CHUNK_MOST) {
        varint::write_bytes(&cipher.seal(CHUNK_AAD, piece)?, &mut out);
    }
    Ok(out)
}

/// The wire bytes of `plain`, its last part as the final chunk.
pub(super) fn seal_final(cipher: &mut impl Seal, plain: &[u8]) -> Result<Vec<u8>, OhttpError> {
    let last = match plain.len() % SEALED_CHUNK_MOST {
        0 => plain.len().min(SEALED_CHUNK_MOST),
        rest => rest,
    };
    let (before, last) = plain.split_at_checked(plain.len().saturating_sub(last)).ok_or(OhttpError::Misuse)?;
    let mut out = seal_chunks(cipher, before)?;
    varint::write(0, &mut out);
    out.extend_from_slice(&cipher.seal(FINAL_AAD, last)?);
    Ok(out)
}

/// Takes a stream of chunks apart. After an error it stays with that error.
pub(super) struct ChunkReader {
    limits: Limits,
    total: u64,
    state: State,
}

enum State {
    Length(Vec<u8>),
    Chunk { len: usize, sealed: Vec<u8> },
    Final { sealed: Vec<u8> },
    Done,
    Refused(OhttpError),
}

impl ChunkReader {
    pub(super) fn new(limits: Limits) -> Self {
        ChunkReader { limits, total: 0, state: State::Length(Vec::new()) }
    }

    /// Takes the next bytes; gives the chunks that they complete, opened.
    pub(super) fn push(&mut self, cipher: &mut impl Open, bytes: &[u8]) -> Result<Vec<Vec<u8>>, OhttpError> {
        let mut opened = Vec::new();
        match self.run(cipher, bytes, &mut opened) {
            Ok(()) => Ok(opened),
            Err(error) => {
                self.state = State::Refused(error);
                Err(error)
            }
        }
    }

    /// The stream has ended: opens the final chunk.
    pub(super) fn finish(&mut self, cipher: &mut impl Open) -> Result<Vec<u8>, OhttpError> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Final { sealed } if sealed.len() >= TAG_LEN => {
                cipher.open(FINAL_AAD, &sealed).inspect_err(|error| {
                    self.state = State::Refused(*error);
                })
            }
            State::Refused(error) => {
                self.state = State::Refused(error);
                Err(error)
            }
            State::Done => Err(OhttpError::Misuse),
            State::Length(_) | State::Chunk { .. } | State::Final { .. } => {
                self.state = State::Refused(OhttpError::Truncated);
                Err(OhttpError::Truncated)
            }
        }
    }

    /// Whether the final chunk has opened.
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn run(&mut self, cipher: &mut impl Open, mut rest: &[u8], opened: &mut Vec<Vec<u8>>) -> Result<(), OhttpError> {
        if let State::Refused(error) = self.state {
            return Err(error);
        }
        let came = u64::try_from(rest.len()).map_err(|_| OhttpError::TooLarge)?;
        self.total = self.total.saturating_add(came);
        if self.total > self.limits.total {
            return Err(OhttpError::TooLarge);
        }
        while !rest.is_empty() {
            match &mut self.state {
                State::Length(prefix) => {
                    let (first, after) = take(rest, 1);
                    prefix.extend_from_slice(first);
                    rest = after;
                    if let Some((len, _)) = varint::read(prefix) {
                        self.state = self.after_length(len)?;
                    }
                }
                State::Chunk { len, sealed } => {
                    let (piece, after) = take(rest, len.saturating_sub(sealed.len()));
                    sealed.extend_from_slice(piece);
                    rest = after;
                    if sealed.len() == *len {
                        opened.push(cipher.open(CHUNK_AAD, sealed)?);
                        self.state = State::Length(Vec::new());
                    }
                }
                State::Final { sealed } => {
                    if sealed.len().saturating_add(rest.len()) > self.limits.chunk {
                        return Err(OhttpError::TooLarge);
                    }
                    sealed.extend_from_slice(rest);
                    rest = &[];
                }
                State::Done => return Err(OhttpError::Misuse),
                State::Refused(error) => return Err(*error),
            }
        }
        Ok(())
    }

    fn after_length(&self, len: u64) -> Result<State, OhttpError> {
        if len == 0 {
            return Ok(State::Final { sealed: Vec::new() });
        }
        let len = usize::try_from(len).map_err(|_| OhttpError::TooLarge)?;
        if len > self.limits.chunk {
            return Err(OhttpError::TooLarge);
        }
        if len < TAG_LEN {
            return Err(OhttpError::Invalid);
        }
        Ok(State::Chunk {
            len,
            // Grown as bytes arrive: a length alone must not cost memory.
            sealed: Vec::new(),
        })
    }
}

fn take(bytes: &[u8], most: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(most.min(bytes.len())).unwrap_or((bytes, &[]))
}
