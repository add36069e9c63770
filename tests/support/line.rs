//! The line between instance and broker: it can be cut, and it remembers what it carried.

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
}

impl Line {
    /// Cuts the line: nothing that is sent arrives. Or mends it.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
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
        let (head, body) = next.run(Request::from_parts(head, Body::from(body))).await.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        line.note(&format!("{head:?}"), &body);
        Response::from_parts(head, Body::from(body))
    }

    fn note(&self, head: &str, body: &[u8]) {
        let mut carried = self.carried.lock().unwrap();
        carried.extend_from_slice(head.as_bytes());
        carried.extend_from_slice(body);
    }
}
