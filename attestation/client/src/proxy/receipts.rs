//! The receipts of recent answers, for the application to fetch.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Proxy, error_shape};
use crate::receipt::ReceiptBundle;

/// How many are kept. Those of one session share its evidence, so each adds about 600 bytes.
const KEPT: usize = 1024;

/// The last receipts, oldest first.
#[derive(Clone, Default)]
pub(super) struct Receipts(Arc<Mutex<VecDeque<Kept>>>);

struct Kept {
    request_id: [u8; 16],
    bundle: ReceiptBundle,
}

impl Receipts {
    pub(super) fn keep(&self, request_id: [u8; 16], bundle: ReceiptBundle) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Kept { request_id, bundle });
    }

    fn find(&self, request_id: &[u8; 16]) -> Option<ReceiptBundle> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().find(|kept| kept.request_id == *request_id).map(|kept| kept.bundle.clone())
    }
}

/// `GET /receipts/{id}`: the bundle as JSON.
pub(super) async fn show(State(proxy): State<Proxy>, Path(id): Path<String>) -> Response {
    let mut request_id = [0; 16];
    let found = hex::decode_to_slice(&id, &mut request_id).ok().and_then(|()| proxy.receipts.find(&request_id));
    match found {
        Some(bundle) => Json(bundle.to_json()).into_response(),
        None => error_shape::plain(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "there is no receipt with this id; receipts exist after an answer is complete, and the last 1024 are kept",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::SessionProof;

    #[test]
    fn the_oldest_goes_first() {
        let receipts = Receipts::default();
        let proof = Arc::new(SessionProof { request: vec![], response: vec![] });
        for number in 0..=KEPT {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_le_bytes());
            receipts.keep(id, ReceiptBundle::new(vec![], Arc::clone(&proof)));
        }
        assert!(receipts.find(&[0; 16]).is_none());
        let mut last = [0; 16];
        last[..8].copy_from_slice(&KEPT.to_le_bytes());
        assert!(receipts.find(&last).is_some());
    }
}
