//! All metric names in one place. Labels are bounded, and none comes from a request. No
//! counter counts tokens: whoever may read it before and after a request would learn sizes
//! that padding hides.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// The server's counters.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) attest_requests: Counter,
    pub(crate) refused_outside: Counter,
    pub(crate) requests: Counter,
    pub(crate) broken_off: Counter,
    pub(crate) receipts: Counter,
    pub(crate) heartbeats: Counter,
    pub(crate) heartbeats_missed: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("strongroom");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        Self {
            attest_requests: counter("attest_requests", "Attest requests that were answered or tried"),
            refused_outside: counter("refused_outside", "Requests refused before anything was decrypted"),
            requests: counter("generation_requests", "Requests that reached the engine"),
            broken_off: counter("answers_broken_off", "Answers that ended without their final chunk"),
            receipts: counter("receipts", "Receipts signed"),
            heartbeats: counter("heartbeats", "Heartbeats that the broker answered"),
            heartbeats_missed: counter("heartbeats_missed", "Heartbeats without an answer"),
            registry,
        }
    }

    /// OpenMetrics text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
