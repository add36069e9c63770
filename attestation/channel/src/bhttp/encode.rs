//! Writing messages, indeterminate-length.

use super::{BhttpError, Fields, RequestHead, fields, framing, varint};
use crate::padding;

/// Encodes a whole request: head, body, empty trailers, and with `pad_to_bucket` zero bytes up to the next bucket.
///
/// # Errors
/// [`BhttpError::Malformed`] when a part of the head is not what HTTP allows.
pub fn encode_request(head: &RequestHead, body: &[u8], pad_to_bucket: bool) -> Result<Vec<u8>, BhttpError> {
    check_control(head)?;
    let mut out = Vec::with_capacity(padding::bucket(body.len().saturating_add(1024)));
    out.push(framing::INDETERMINATE_REQUEST as u8);
    for part in [&head.method, &head.scheme, &head.authority, &head.path] {
        varint::write_bytes(part.as_bytes(), &mut out);
    }
    fields::write_terminated(&head.headers, &mut out)?;
    write_content(body, &mut out);
    varint::write(0, &mut out); // end of content
    varint::write(0, &mut out); // no trailers
    if pad_to_bucket {
        out.resize(padding::bucket(out.len()), 0);
    }
    Ok(out)
}

/// Writes one response in pieces. It exists only once the head is written, so content cannot come first.
#[derive(Debug)]
pub struct ResponseEncoder {
    written: usize,
}

impl ResponseEncoder {
    /// Begins with the final status (200 to 599) and the headers; gives the bytes to send first.
    ///
    /// # Errors
    /// [`BhttpError::Malformed`] for another status, or a field that HTTP does not allow.
    pub fn head(status: u16, headers: &Fields) -> Result<(Self, Vec<u8>), BhttpError> {
        if !(200..=599).contains(&status) {
            return Err(BhttpError::Malformed("status"));
        }
        let mut out = Vec::new();
        out.push(framing::INDETERMINATE_RESPONSE as u8);
        varint::write(usize::from(status), &mut out);
        fields::write_terminated(headers, &mut out)?;
        Ok((ResponseEncoder { written: out.len() }, out))
    }

    /// The bytes of one piece of content; none for an empty piece, which would end the content.
    #[must_use]
    pub fn content(&mut self, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(content.len().saturating_add(varint::MOST));
        write_content(content, &mut out);
        self.written = self.written.saturating_add(out.len());
        out
    }

    /// The bytes that end the message: the end of content, the trailers, and with `pad_to_bucket` zero bytes that
    /// bring the whole message to a bucket.
    ///
    /// # Errors
    /// [`BhttpError::Malformed`] for a trailer that HTTP does not allow.
    pub fn finish(self, trailers: &Fields, pad_to_bucket: bool) -> Result<Vec<u8>, BhttpError> {
        let mut out = Vec::new();
        varint::write(0, &mut out);
        fields::write_terminated(trailers, &mut out)?;
        if pad_to_bucket {
            let whole = self.written.saturating_add(out.len());
            let zeros = padding::bucket(whole).saturating_sub(whole);
            out.resize(out.len().saturating_add(zeros), 0);
        }
        Ok(out)
    }
}

fn write_content(content: &[u8], out: &mut Vec<u8>) {
    if !content.is_empty() {
        varint::write_bytes(content, out);
    }
}

/// Holds control data to what RFC 9110 and RFC 9292 section 4 allow. The decoder asks the same.
pub(super) fn check_control(head: &RequestHead) -> Result<(), BhttpError> {
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if !fields::is_token(&head.method) {
        return Err(BhttpError::Malformed("method"));
    }
    if !matches!(head.scheme.as_str(), "https" | "http") {
        return Err(BhttpError::Malformed("scheme"));
    }
    if !visible(&head.authority) || head.authority.contains(['/', '?', '#', '@']) {
        return Err(BhttpError::Malformed("authority"));
    }
    if !visible(&head.path) || !head.path.starts_with('/') || head.path.contains('#') {
        return Err(BhttpError::Malformed("path"));
    }
    Ok(())
}
