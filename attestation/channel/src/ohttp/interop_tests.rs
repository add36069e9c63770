//! Against the `ohttp` crate's streaming ends, with the suite that it gets right (AES-128-GCM), both ways.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use ::ohttp::hpke::{Aead, Kdf, Kem};
use ::ohttp::{ClientRequest, KeyConfig as TheirKeyConfig, Server, SymmetricSuite};
use futures_util::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt};

use super::*;

/// A place to write to that can be read while the writer lives.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Vec<u8>>>);

impl Wire {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn read_all(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut out = Vec::new();
    stream.read_to_end(&mut out).now_or_never().expect("memory is always ready").expect("their end accepts it");
    out
}

fn write_all(mut stream: impl AsyncWrite + Unpin, bytes: &[u8]) {
    async {
        stream.write_all(bytes).await.unwrap();
        stream.close().await.unwrap();
    }
    .now_or_never()
    .expect("memory is always ready");
}

fn bodies() -> [Vec<u8>; 3] {
    [b"some bytes".to_vec(), (0..40_000_u32).flat_map(u32::to_le_bytes).collect(), Vec::new()]
}

#[test]
fn their_client_our_server() {
    for body in bodies() {
        let key = KeyPair::generate(1);
        let client = ClientRequest::from_encoded_config_list(&key.config_list()).unwrap();
        let wire = Wire::default();
        let mut request = client.encapsulate_stream(wire.clone()).unwrap();
        write_all(&mut request, &body);

        let mut opener = RequestOpener::new(&key);
        let mut plain = Vec::new();
        for piece in wire.bytes().chunks(1000) {
            plain.extend(opener.push(piece).unwrap().concat());
        }
        plain.extend(opener.finish().unwrap());
        assert_eq!(plain, body);

        let mut sealer = opener.into_response().unwrap();
        let mut answer = sealer.header();
        answer.extend(sealer.seal_chunk(b"first ").unwrap());
        answer.extend(sealer.finish(&body).unwrap());
        assert_eq!(read_all(request.response(&answer[..]).unwrap()), [b"first ", &body[..]].concat());
    }
}

#[test]
fn our_client_their_server() {
    for body in bodies() {
        let theirs =
            TheirKeyConfig::new(9, Kem::XWing, vec![SymmetricSuite::new(Kdf::HkdfSha256, Aead::Aes128Gcm)]).unwrap();
        let list = TheirKeyConfig::encode_list(&[&theirs]).unwrap();
        let config = KeyConfig::parse_list(&list).unwrap().remove(0);
        assert_eq!(config.suites(), [Suite::Aes128Gcm]);
        assert_eq!(RequestSealer::new(&config, Suite::Aes256Gcm).err(), Some(OhttpError::Suite));

        let (mut sealer, mut wire) = RequestSealer::new(&config, Suite::Aes128Gcm).unwrap();
        wire.extend(sealer.seal_chunk(b"first ").unwrap());
        wire.extend(sealer.seal_chunk(&body).unwrap());
        let (end, mut opener) = sealer.finish(&body).unwrap();
        wire.extend(end);

        let mut request = Server::new(theirs).unwrap().decapsulate_stream(&wire[..]);
        assert_eq!(read_all(&mut request), [b"first ", &body[..], &body[..]].concat());

        let answer = Wire::default();
        write_all(request.response(answer.clone()).unwrap(), &body);
        let mut plain = Vec::new();
        for piece in answer.bytes().chunks(777) {
            plain.extend(opener.push(piece).unwrap().concat());
        }
        plain.extend(opener.finish().unwrap());
        assert_eq!(plain, body);
    }
}
