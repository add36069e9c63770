//! The response: sealed by the server, opened by the client, under a key that only these two can derive
//! (RFC 9458, section 4.4, with the draft's label and its counter).

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::chunk::{ChunkReader, Open, Seal, seal_chunks, seal_final};
use super::suite::{NONCE_LEN, Suite};
use super::{Limits, OhttpError};

/// The server's side of a response under way.
pub struct ResponseSealer {
    nonce: Vec<u8>,
    cipher: ChunkCipher,
}

impl ResponseSealer {
    pub(super) fn new(suite: Suite, secret: &[u8], enc: &[u8]) -> Result<Self, OhttpError> {
        let mut nonce = vec![0; suite.key_len()];
        getrandom::fill(&mut nonce).map_err(|_| OhttpError::Randomness)?;
        let cipher = ChunkCipher::new(suite, secret, enc, &nonce)?;
        Ok(ResponseSealer { nonce, cipher })
    }

    /// The bytes to send first: the response nonce.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        self.nonce.clone()
    }

    /// Seals the next bytes; gives the bytes to send, nothing for nothing.
    ///
    /// # Errors
    /// [`OhttpError::Invalid`] past 2^64 chunks.
    pub fn seal_chunk(&mut self, plain: &[u8]) -> Result<Vec<u8>, OhttpError> {
        seal_chunks(&mut self.cipher, plain)
    }

    /// Seals the last bytes (which may be none) as the end of the response. A response that is dropped without it is
    /// seen as truncated, which is what should happen when an answer cannot be completed.
    ///
    /// # Errors
    /// [`OhttpError::Invalid`] past 2^64 chunks.
    pub fn finish(mut self, plain: &[u8]) -> Result<Vec<u8>, OhttpError> {
        seal_final(&mut self.cipher, plain)
    }
}

/// The client's side of a response under way.
pub struct ResponseOpener {
    suite: Suite,
    enc: Vec<u8>,
    secret: Zeroizing<Vec<u8>>,
    limits: Limits,
    state: State,
}

enum State {
    /// Collecting the response nonce.
    Nonce(Vec<u8>),
    Chunks {
        cipher: ChunkCipher,
        reader: ChunkReader,
    },
    Refused(OhttpError),
}

impl ResponseOpener {
    pub(super) fn new(suite: Suite, secret: Zeroizing<Vec<u8>>, enc: Vec<u8>) -> Self {
        ResponseOpener { suite, enc, secret, limits: Limits::response(), state: State::Nonce(Vec::new()) }
    }

    /// The same with other limits; to be set before the first bytes.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes the next bytes; gives the plaintext of the chunks that they complete. The final chunk comes from
    /// [`ResponseOpener::finish`].
    ///
    /// # Errors
    /// [`OhttpError::Invalid`] or [`OhttpError::TooLarge`]; it then stays refused.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, OhttpError> {
        let outcome = self.nonce(bytes).and_then(|rest| match &mut self.state {
            State::Chunks { cipher, reader } => reader.push(cipher, rest),
            State::Nonce(_) => Ok(Vec::new()),
            State::Refused(error) => Err(*error),
        });
        if let Err(error) = outcome {
            self.state = State::Refused(error);
        }
        outcome
    }

    /// The stream has ended: opens the final chunk and gives its plaintext, which is often empty. Only then is the
    /// response known to be complete.
    ///
    /// # Errors
    /// [`OhttpError::Truncated`] when the final chunk has not come, [`OhttpError::Invalid`] when it does not open.
    pub fn finish(&mut self) -> Result<Vec<u8>, OhttpError> {
        match &mut self.state {
            State::Chunks { cipher, reader } => reader.finish(cipher),
            State::Nonce(_) => Err(OhttpError::Truncated),
            State::Refused(error) => Err(*error),
        }
    }

    /// Whether the whole response has come and opened.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(&self.state, State::Chunks { reader, .. } if reader.is_finished())
    }

    fn nonce<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], OhttpError> {
        let State::Nonce(nonce) = &mut self.state else {
            return Ok(input);
        };
        let wanted = self.suite.key_len().saturating_sub(nonce.len());
        let (piece, rest) = input.split_at_checked(wanted.min(input.len())).ok_or(OhttpError::Misuse)?;
        nonce.extend_from_slice(piece);
        if nonce.len() == self.suite.key_len() {
            let cipher = ChunkCipher::new(self.suite, &self.secret, &self.enc, nonce)?;
            self.secret.zeroize();
            self.state = State::Chunks { cipher, reader: ChunkReader::new(self.limits) };
        }
        Ok(rest)
    }
}

/// The AEAD of one response: its key is used in one direction only, with a counter that never repeats.
struct ChunkCipher {
    aead: Aead,
    base_nonce: Zeroizing<[u8; NONCE_LEN]>,
    /// The next chunk's number; `None` when every number is used up.
    counter: Option<u64>,
}

enum Aead {
    Aes256Gcm(Box<Aes256Gcm>),
    Aes128Gcm(Box<Aes128Gcm>),
}

impl ChunkCipher {
    fn new(suite: Suite, secret: &[u8], enc: &[u8], nonce: &[u8]) -> Result<Self, OhttpError> {
        let hkdf = Hkdf::<Sha256>::new(Some(&[enc, nonce].concat()), secret);
        let mut key = Zeroizing::new(vec![0; suite.key_len()]);
        let mut base_nonce = Zeroizing::new([0; NONCE_LEN]);
        hkdf.expand(b"key", &mut key).map_err(|_| OhttpError::Invalid)?;
        hkdf.expand(b"nonce", base_nonce.as_mut_slice()).map_err(|_| OhttpError::Invalid)?;
        let aead = match suite {
            Suite::Aes256Gcm => Aes256Gcm::new_from_slice(&key)
                .map(|aead| Aead::Aes256Gcm(Box::new(aead)))
                .map_err(|_| OhttpError::Invalid)?,
            Suite::Aes128Gcm => Aes128Gcm::new_from_slice(&key)
                .map(|aead| Aead::Aes128Gcm(Box::new(aead)))
                .map_err(|_| OhttpError::Invalid)?,
        };
        Ok(ChunkCipher { aead, base_nonce, counter: Some(0) })
    }

    /// The nonce of the next chunk: the base nonce XOR the counter.
    fn next_nonce(&mut self) -> Result<[u8; NONCE_LEN], OhttpError> {
        let counter = self.counter.ok_or(OhttpError::Invalid)?;
        self.counter = counter.checked_add(1);
        let mut nonce = *self.base_nonce;
        for (byte, mask) in nonce.iter_mut().rev().zip(counter.to_le_bytes()) {
            *byte ^= mask;
        }
        Ok(nonce)
    }
}

impl Seal for ChunkCipher {
    fn seal(&mut self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, OhttpError> {
        let nonce = self.next_nonce()?.into();
        let mut buffer = plain.to_vec();
        match &self.aead {
            Aead::Aes256Gcm(aead) => aead.encrypt_in_place(&nonce, aad, &mut buffer),
            Aead::Aes128Gcm(aead) => aead.encrypt_in_place(&nonce, aad, &mut buffer),
        }
        .map_err(|_| OhttpError::Invalid)?;
        Ok(buffer)
    }
}

impl Open for ChunkCipher {
    fn open(&mut self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OhttpError> {
        let nonce = self.next_nonce()?.into();
        let mut buffer = sealed.to_vec();
        match &self.aead {
            Aead::Aes256Gcm(aead) => aead.decrypt_in_place(&nonce, aad, &mut buffer),
            Aead::Aes128Gcm(aead) => aead.decrypt_in_place(&nonce, aad, &mut buffer),
        }
        .map_err(|_| OhttpError::Invalid)?;
        Ok(buffer)
    }
}
