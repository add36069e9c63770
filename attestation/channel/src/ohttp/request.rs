//! The request: sealed by the client, opened by the server.

use std::sync::Arc;

use super::chunk::{ChunkReader, seal_chunks, seal_final};
use super::key_config::Shared;
use super::response::{ResponseOpener, ResponseSealer};
use super::suite::{ENC_LEN, HEADER_LEN, Receiver, Sender, Suite};
use super::{KeyConfig, KeyPair, Limits, OhttpError};

/// The client's side of a request under way.
pub struct RequestSealer {
    suite: Suite,
    sender: Sender,
    enc: Vec<u8>,
}

impl RequestSealer {
    /// Encapsulates to a key. Also gives the bytes to send first: the header and the encapsulated key.
    ///
    /// # Errors
    /// [`OhttpError::Suite`] when the configuration does not offer the suite.
    ///
    /// # Panics
    /// When the operating system has no randomness.
    pub fn new(config: &KeyConfig, suite: Suite) -> Result<(Self, Vec<u8>), OhttpError> {
        if !config.suites().contains(&suite) {
            return Err(OhttpError::Suite);
        }
        let header = suite.header(config.key_id());
        let (sender, enc) = Sender::new(suite, config.public(), header)?;
        let first = [&header[..], &enc].concat();
        Ok((RequestSealer { suite, sender, enc }, first))
    }

    /// Seals the next bytes; gives the bytes to send, nothing for nothing.
    ///
    /// # Errors
    /// [`OhttpError::Invalid`] past 2^64 chunks.
    pub fn seal_chunk(&mut self, plain: &[u8]) -> Result<Vec<u8>, OhttpError> {
        seal_chunks(&mut self.sender, plain)
    }

    /// Seals the last bytes (which may be none) as the end of the request; gives the bytes to send, and what opens
    /// the response.
    ///
    /// # Errors
    /// [`OhttpError::Invalid`] past 2^64 chunks.
    pub fn finish(mut self, plain: &[u8]) -> Result<(Vec<u8>, ResponseOpener), OhttpError> {
        let last = seal_final(&mut self.sender, plain)?;
        let secret = self.sender.response_secret(self.suite)?;
        Ok((last, ResponseOpener::new(self.suite, secret, self.enc)))
    }
}

/// The server's side of a request under way.
pub struct RequestOpener {
    limits: Limits,
    state: State,
    opened_any: bool,
}

enum State {
    /// Collecting the header and the encapsulated key.
    Header {
        keys: Vec<Arc<Shared>>,
        bytes: Vec<u8>,
    },
    Chunks {
        suite: Suite,
        receiver: Receiver,
        enc: Vec<u8>,
        reader: ChunkReader,
    },
    Refused(OhttpError),
}

impl RequestOpener {
    /// Opens requests to one key, with [`Limits::request`].
    #[must_use]
    pub fn new(key: &KeyPair) -> Self {
        Self::with_keys(&[key], Limits::request())
    }

    /// Opens requests to any of these keys (the current one, and a retired one during overlap); key ids should
    /// differ, the first with the named id is taken.
    #[must_use]
    pub fn with_keys(keys: &[&KeyPair], limits: Limits) -> Self {
        RequestOpener {
            limits,
            state: State::Header { keys: keys.iter().map(|key| Arc::clone(&key.shared)).collect(), bytes: Vec::new() },
            opened_any: false,
        }
    }

    /// Takes the next bytes; gives the plaintext of the chunks that they complete. The final chunk comes from
    /// [`RequestOpener::finish`].
    ///
    /// # Errors
    /// [`OhttpError::UnknownKey`], [`OhttpError::Invalid`] or [`OhttpError::TooLarge`]; it then stays refused.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, OhttpError> {
        let outcome = self.header(bytes).and_then(|rest| match &mut self.state {
            State::Chunks { receiver, reader, .. } => reader.push(receiver, rest),
            State::Header { .. } => Ok(Vec::new()),
            State::Refused(error) => Err(*error),
        });
        match outcome {
            Ok(opened) => {
                self.opened_any |= !opened.is_empty();
                Ok(opened)
            }
            Err(error) => {
                self.state = State::Refused(error);
                Err(error)
            }
        }
    }

    /// The stream has ended: opens the final chunk and gives its plaintext, which is often empty.
    ///
    /// # Errors
    /// [`OhttpError::Truncated`] when the final chunk has not come, [`OhttpError::Invalid`] when it does not open.
    pub fn finish(&mut self) -> Result<Vec<u8>, OhttpError> {
        let outcome = match &mut self.state {
            State::Chunks { receiver, reader, .. } => reader.finish(receiver),
            State::Header { .. } => Err(OhttpError::Truncated),
            State::Refused(error) => Err(*error),
        };
        self.opened_any |= outcome.is_ok();
        outcome
    }

    /// Whether the whole request has come and opened.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(&self.state, State::Chunks { reader, .. } if reader.is_finished())
    }

    /// The encapsulated key, to be remembered against replay; `None` before a chunk has opened, since until then
    /// anybody could have made it up (protocol.md A8).
    #[must_use]
    pub fn enc(&self) -> Option<&[u8]> {
        match &self.state {
            State::Chunks { enc, .. } if self.opened_any => Some(enc),
            _ => None,
        }
    }

    /// Goes on to the response. Allowed once a chunk has opened, so that a request can also be refused early, under
    /// encryption.
    ///
    /// # Errors
    /// [`OhttpError::Misuse`] before, [`OhttpError::Randomness`] without randomness.
    pub fn into_response(self) -> Result<ResponseSealer, OhttpError> {
        match self.state {
            State::Chunks { suite, receiver, enc, .. } if self.opened_any => {
                ResponseSealer::new(suite, &receiver.response_secret(suite)?, &enc)
            }
            State::Refused(error) => Err(error),
            _ => Err(OhttpError::Misuse),
        }
    }

    /// Collects the header; once it is whole, decapsulates. Gives the bytes after it.
    fn header<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], OhttpError> {
        let State::Header { keys, bytes } = &mut self.state else {
            return Ok(input);
        };
        let wanted = (HEADER_LEN + ENC_LEN).saturating_sub(bytes.len());
        let (piece, rest) = input.split_at_checked(wanted.min(input.len())).ok_or(OhttpError::Misuse)?;
        bytes.extend_from_slice(piece);
        let Some((header, enc)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Ok(rest);
        };
        let (key_id, suite) = Suite::of_header(*header);
        let key = keys.iter().find(|key| key.key_id == key_id);
        let (Some(key), Some(suite)) = (key, suite) else {
            return Err(OhttpError::UnknownKey);
        };
        if enc.len() < ENC_LEN {
            return Ok(rest);
        }
        let receiver = Receiver::new(suite, &key.secret, enc, *header)?;
        let enc = enc.to_vec();
        self.state = State::Chunks { suite, receiver, enc, reader: ChunkReader::new(self.limits) };
        Ok(rest)
    }
}
