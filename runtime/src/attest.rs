//! Fresh evidence for many clients at the cost of one quote (protocol.md 1.3).
//!
//! One task owns the questions: it gathers those that come while it waits or while the
//! platform works, makes a Merkle tree of them, asks the platform once, and answers each
//! with its own proof.

use std::sync::Arc;
use std::time::Duration;

use strongroom_channel::attest::{AttestResponse, Collection};
use strongroom_channel::binding::Purpose;
use strongroom_channel::cose::media;
use strongroom_channel::freshness::{self, Tree};
use tokio::sync::{mpsc, oneshot};

use crate::clock::InstanceClock;
use crate::epochs::{Epoch, Epochs};
use crate::evidence::{Collected, EvidenceSource, collect};
use crate::instance::Instance;

/// Questions that one quote answers at most.
const LEAVES_MAX: usize = 4_096;
/// How long an idle server waits for company before it asks the platform.
const WINDOW: Duration = Duration::from_millis(25);

/// A handle to the task.
#[derive(Clone)]
pub(crate) struct Attester {
    questions: mpsc::Sender<Question>,
}

struct Question {
    body: Vec<u8>,
    answer: oneshot::Sender<Result<Vec<u8>, AttestError>>,
}

/// Why a client gets no evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttestError {
    /// Too many ask at once.
    Busy,
    /// The platform did not answer.
    Platform,
}

/// What the task works with.
pub(crate) struct Parts {
    pub(crate) instance: Arc<Instance>,
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) source: Arc<dyn EvidenceSource>,
    pub(crate) clock: InstanceClock,
}

impl Attester {
    /// Starts the task.
    pub(crate) fn spawn(parts: Parts) -> Self {
        let (questions, inbox) = mpsc::channel(LEAVES_MAX);
        tokio::spawn(work(parts, inbox));
        Self { questions }
    }

    /// The response to an attest request with these exact bytes.
    pub(crate) async fn attest(&self, body: Vec<u8>) -> Result<Vec<u8>, AttestError> {
        let (answer, response) = oneshot::channel();
        self.questions.try_send(Question { body, answer }).map_err(|_| AttestError::Busy)?;
        response.await.unwrap_or(Err(AttestError::Platform))
    }
}

async fn work(parts: Parts, mut inbox: mpsc::Receiver<Question>) {
    let mut questions = Vec::new();
    while inbox.recv_many(&mut questions, LEAVES_MAX).await > 0 {
        // What came while the platform worked is a batch of its own; a lone question
        // after idleness waits for company.
        if questions.len() == 1 {
            tokio::time::sleep(WINDOW).await;
            while questions.len() < LEAVES_MAX {
                let Ok(question) = inbox.try_recv() else { break };
                questions.push(question);
            }
        }
        let batch = std::mem::take(&mut questions);
        let leaves: Vec<[u8; 32]> = batch.iter().map(|question| freshness::leaf(&question.body)).collect();
        let tree = Tree::new(leaves);
        let epoch = parts.epochs.current();
        match quote(&parts, &epoch, &tree).await {
            Ok((collected, signature)) => {
                let submission = epoch.submission(&collected);
                for (i, question) in (0u64..).zip(batch) {
                    let response = respond(&parts, &epoch, &tree, i, submission.clone(), &signature);
                    // The client may have gone; that is its business.
                    let _ = question.answer.send(Ok(response));
                }
            }
            Err(error) => {
                for question in batch {
                    let _ = question.answer.send(Err(error));
                }
            }
        }
    }
}

async fn quote(parts: &Parts, epoch: &Epoch, tree: &Tree) -> Result<(Collected, Vec<u8>), AttestError> {
    let preimage = epoch.preimage(parts.source.class(), Purpose::Session, &tree.root(), tree.size());
    let collected = collect(parts.source.clone(), preimage.clone()).await.map_err(|_| AttestError::Platform)?;
    Ok((collected, parts.instance.key.sign1(media::PROOF, &preimage)))
}

fn respond(
    parts: &Parts,
    epoch: &Epoch,
    tree: &Tree,
    index: u64,
    (evidence, endorsements): (Collection, Collection),
    signature: &[u8],
) -> Vec<u8> {
    AttestResponse {
        statement: epoch.statement.clone(),
        leaf_index: index,
        proof: tree.proof(index),
        tree_size: tree.size(),
        time: parts.clock.now(),
        instance_signature: signature.to_vec(),
        evidence,
        endorsements,
        instance_certificate: parts.instance.certificate().as_ref().clone(),
    }
    .to_bytes()
}
