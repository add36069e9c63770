//! A simulated platform that counts the quotes it is asked for, and can be held back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use strongroom_channel::binding::Class;
use strongroom_runtime::{Collected, EvidenceError, EvidenceSource, Form, SimulatedMachine, SimulatedSource};

pub(crate) struct CountedSource {
    machine: SimulatedSource,
    quotes: AtomicUsize,
    held: Mutex<Option<Receiver<()>>>,
}

impl CountedSource {
    pub(crate) fn new(machine: impl Into<SimulatedMachine>) -> Self {
        Self { machine: SimulatedSource::new(machine), quotes: AtomicUsize::new(0), held: Mutex::new(None) }
    }

    /// How many quotes were asked for.
    pub(crate) fn quotes(&self) -> usize {
        self.quotes.load(Ordering::SeqCst)
    }

    fn count(&self) {
        self.quotes.fetch_add(1, Ordering::SeqCst);
        let held = self.held.lock().unwrap().take();
        if let Some(held) = held {
            // It ends with an error, when the other end is dropped.
            let _ = held.recv();
        }
    }

    /// The next quote takes until what this returns is dropped.
    pub(crate) fn hold(&self) -> Sender<()> {
        let (free, held) = channel();
        *self.held.lock().unwrap() = Some(held);
        free
    }
}

impl EvidenceSource for CountedSource {
    fn class(&self) -> Class {
        self.machine.class()
    }

    fn form(&self) -> Form {
        self.machine.form()
    }

    fn collect(&self, preimage: &[u8]) -> Result<Collected, EvidenceError> {
        self.count();
        self.machine.collect(preimage)
    }

    fn report(&self, report_data: &[u8; 64]) -> Result<Collected, EvidenceError> {
        self.count();
        self.machine.report(report_data)
    }
}
