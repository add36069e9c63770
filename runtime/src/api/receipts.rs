//! What the API leaves for the receipt of a request.

use std::sync::{Arc, Mutex, PoisonError};

use strongroom_channel::receipt::Finish;

/// Facts that only the API knows.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) model_id: [u8; 32],
    pub(crate) model_name: String,
    pub(crate) plugins: Vec<[u8; 32]>,
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    pub(crate) finish: Finish,
}

/// The place where a handler leaves them before its body ends; empty for answers that no
/// model gave, which have no receipt. It travels as an extension of the request.
#[derive(Debug, Default, Clone)]
pub(crate) struct ReceiptSlot(Arc<Mutex<Option<Facts>>>);

impl ReceiptSlot {
    pub(crate) fn put(&self, facts: Facts) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts);
    }

    pub(crate) fn take(&self) -> Option<Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
