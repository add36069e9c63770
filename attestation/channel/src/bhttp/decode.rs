//! Reading messages that arrive in pieces.

use super::machine::{Control, Kind, Machine, Part};
use super::{BhttpError, Fields, Limits, RequestHead};

/// Reads one request. The body is collected, since nothing may act on a request before its last byte is known to be
/// its last (protocol.md 1.3).
#[derive(Debug)]
pub struct RequestDecoder {
    machine: Machine,
    head: Option<RequestHead>,
    body: Vec<u8>,
}

impl Default for RequestDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestDecoder {
    /// A decoder with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// A decoder with these limits.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        RequestDecoder { machine: Machine::new(Kind::Request, limits), head: None, body: Vec::new() }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`BhttpError`] for what is malformed or too large; the decoder then stays refused.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), BhttpError> {
        for part in self.machine.push(bytes)? {
            match part {
                Part::Head(Control::Request(mut head), headers) => {
                    head.headers = headers;
                    self.head = Some(head);
                }
                Part::Content(content) => self.body.extend_from_slice(&content),
                // Nothing here uses a request's trailers; they were checked, and go.
                Part::Head(Control::Response(_), _) | Part::Trailers(_) => {}
            }
        }
        Ok(())
    }

    /// The head, once it has arrived.
    #[must_use]
    pub fn head(&self) -> Option<&RequestHead> {
        self.head.as_ref()
    }

    /// The input has ended.
    ///
    /// # Errors
    /// [`BhttpError::Truncated`] when the message was not whole.
    pub fn finish(self) -> Result<(RequestHead, Vec<u8>), BhttpError> {
        self.machine.check_end()?;
        let head = self.head.ok_or(BhttpError::Truncated)?;
        Ok((head, self.body))
    }
}

/// A part of a response, in order: one head, content pieces, one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseEvent {
    /// The final status and its headers. Informational responses are left out.
    Head {
        /// 200 to 599.
        status: u16,
        /// The header fields.
        headers: Fields,
    },
    /// The next bytes of content, as they arrived.
    Content(Vec<u8>),
    /// The content is complete.
    End {
        /// The trailer fields.
        trailers: Fields,
    },
}

/// Reads one response as it streams in.
#[derive(Debug)]
pub struct ResponseDecoder {
    machine: Machine,
    ended: bool,
}

impl Default for ResponseDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseDecoder {
    /// A decoder with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// A decoder with these limits.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        ResponseDecoder { machine: Machine::new(Kind::Response, limits), ended: false }
    }

    /// Takes the next bytes; gives the parts that they complete.
    ///
    /// # Errors
    /// [`BhttpError`] for what is malformed or too large; the decoder then stays refused.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<ResponseEvent>, BhttpError> {
        let mut events = Vec::new();
        for part in self.machine.push(bytes)? {
            match part {
                Part::Head(Control::Response(status), headers) => {
                    events.push(ResponseEvent::Head { status, headers });
                }
                Part::Content(content) => events.push(ResponseEvent::Content(content)),
                Part::Trailers(trailers) => {
                    self.ended = true;
                    events.push(ResponseEvent::End { trailers });
                }
                Part::Head(Control::Request(_), _) => {}
            }
        }
        Ok(events)
    }

    /// The input has ended. Gives [`ResponseEvent::End`] with no trailers when the message left them out, which
    /// RFC 9292 section 3.8 allows; `None` when the end was given before.
    ///
    /// # Errors
    /// [`BhttpError::Truncated`] when the message was not whole.
    pub fn finish(self) -> Result<Option<ResponseEvent>, BhttpError> {
        self.machine.check_end()?;
        Ok((!self.ended).then(|| ResponseEvent::End { trailers: Fields::new() }))
    }
}
