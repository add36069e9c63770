//! The line between instance and broker: it can be cut, it remembers what it carried, and somebody may
//! sit on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The line. Clones are the same line.
#[derive(Clone, Default)]
pub(crate) struct Line {
    cut: Arc<AtomicBool>,
    carried: Arc<Mutex<Vec<u8>>>,
    forger: Arc<Mutex<Option<Forger>>>,
}

/// Makes of a path, what was sent there, and the genuine answer's status and body, what arrives.
pub(crate) type Forger = Box<dyn FnMut(&str, &[u8], (u16, Vec<u8>)) -> (u16, Vec<u8>) + Send>;

impl Line {
    /// Cuts the line: nothing that is sent arrives. Or mends it.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    /// From now on every answer goes through this.
    pub(crate) fn forge(&self, forger: Forger) {
        *self.forger.lock().unwrap() = Some(forger);
    }

    /// Every byte in both directions so far, headers as text.
    pub(crate) fn carried(&self) -> Vec<u8> {
        self.carried.lock().unwrap().clone()
    }

    /// The middleware in front of the broker's routes.
    pub(crate) async fn pass(State(line): State<Self>, request: Request, next: Next) -> Response {
        if line.cut.load(Ordering::SeqCst) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        line.note(&format!("{head:?}"), &body);
        let (path, sent) = (head.uri.path().to_owned(), body.clone());
        let (mut head, body) = next.run(Request::from_parts(head, Body::from(body))).await.into_parts();
        let mut body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        line.note(&format!("{head:?}"), &body);
        if let Some(forger) = line.forger.lock().unwrap().as_mut() {
            let (status, forged) = forger(&path, &sent, (head.status.as_u16(), body));
            head.status = StatusCode::from_u16(status).unwrap();
            head.headers.remove("content-length");
            body = forged;
        }
        Response::from_parts(head, Body::from(body))
    }

    fn note(&self, head: &str, body: &[u8]) {
        let mut carried = self.carried.lock().unwrap();
        carried.extend_from_slice(head.as_bytes());
        carried.extend_from_slice(body);
    }
}
