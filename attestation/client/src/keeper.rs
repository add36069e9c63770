//! One fresh verdict for many requests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom_attestation::Check;

use crate::connect::{Connector, Session};
use crate::error::ClientError;
use crate::exchange::OutgoingRequest;
use crate::sender::{Answer, SendError};

/// How long a failure to connect is given to others that wait for the same, instead of trying for each of them.
const FAILURE_SHARED_FOR: Duration = Duration::from_secs(1);

/// Keeps the verdict fresh: renews it in the background at 80 % of its life, one attempt at a time, and never lets a
/// request use a stale one. Cheap to clone; clones share the verdict.
#[derive(Clone)]
pub struct Keeper {
    shared: Arc<Shared>,
}

struct Shared {
    connector: Connector,
    /// Who holds this connects; the others wait for the outcome.
    connecting: tokio::sync::Mutex<()>,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    session: Option<Arc<Session>>,
    failure: Option<(Duration, ClientError)>,
}

/// What is known of the instance now, for people to look at.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Accepted, and fresh.
    Accepted {
        /// Every check.
        checks: Vec<Check>,
        /// Whether the platform is simulated.
        simulated: bool,
    },
    /// Refused or unreachable; the checks are in the error.
    Refused(ClientError),
    /// Nothing asked yet, or the last verdict is no longer fresh.
    None,
}

impl Keeper {
    /// A keeper that has no verdict yet; the first request, or [`Keeper::session`], asks for it.
    #[must_use]
    pub fn new(connector: Connector) -> Self {
        Keeper {
            shared: Arc::new(Shared { connector, connecting: tokio::sync::Mutex::default(), last: Mutex::default() }),
        }
    }

    /// A session with a fresh verdict, asking for evidence when there is none.
    ///
    /// # Errors
    /// Those of [`Connector::connect`].
    pub async fn session(&self) -> Result<Arc<Session>, ClientError> {
        match self.fresh() {
            Some(session) => {
                if session.renewal_due() {
                    self.renew_in_background();
                }
                Ok(session)
            }
            None => self.connect_instead_of(None).await,
        }
    }

    /// Sends a request. When the instance has moved on, asks for evidence once and sends the request once more.
    ///
    /// # Errors
    /// Those of [`Connector::connect`] and [`Session::send`].
    pub async fn send(&self, request: &OutgoingRequest) -> Result<Answer, ClientError> {
        let session = self.session().await?;
        match session.try_send(request).await {
            Ok(answer) => return Ok(answer),
            Err(SendError::Failed(error)) => return Err(error),
            Err(SendError::Superseded) => {}
        }
        let session = self.connect_instead_of(Some(&session)).await?;
        match session.try_send(request).await {
            Ok(answer) => Ok(answer),
            Err(SendError::Failed(error)) => Err(error),
            Err(SendError::Superseded) => {
                Err(ClientError::unavailable("the instance changes its keys faster than it answers; try again"))
            }
        }
    }

    /// What is known now, without asking.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if let Some(session) = self.fresh() {
            return Verdict::Accepted { checks: session.checks().to_vec(), simulated: session.is_simulated() };
        }
        match &self.last().failure {
            Some((_, error)) => Verdict::Refused(error.clone()),
            None => Verdict::None,
        }
    }

    fn fresh(&self) -> Option<Arc<Session>> {
        self.last().session.clone().filter(|session| session.is_fresh())
    }

    /// A fresh session that is not `old`. Of many that call at once, one connects.
    async fn connect_instead_of(&self, old: Option<&Arc<Session>>) -> Result<Arc<Session>, ClientError> {
        let _turn = self.shared.connecting.lock().await;
        // Somebody may have done it while this call waited for its turn.
        if let Some(session) = self.fresh().filter(|session| !old.is_some_and(|old| Arc::ptr_eq(old, session))) {
            return Ok(session);
        }
        let now = self.shared.connector.clock().elapsed();
        if let Some((at, error)) = &self.last().failure
            && now.saturating_sub(*at) < FAILURE_SHARED_FOR
        {
            return Err(error.clone());
        }
        self.connect().await
    }

    fn renew_in_background(&self) {
        let keeper = self.clone();
        tokio::spawn(async move {
            // While somebody connects, there is nothing to do.
            if let Ok(_turn) = keeper.shared.connecting.try_lock()
                && keeper.fresh().is_none_or(|session| session.renewal_due())
            {
                // A failure changes nothing yet: the session in use stays fresh for a while, and after that a
                // request asks again and reports what it gets.
                let _ = keeper.connect().await;
            }
        });
    }

    /// Connects; the caller holds the turn. An instance that answers in the last seconds of an epoch is asked once
    /// more: the next epoch's statement is there, or as good as.
    async fn connect(&self) -> Result<Arc<Session>, ClientError> {
        let connector = &self.shared.connector;
        let outcome = match connector.connect().await {
            Ok(session) if session.is_ending() => connector.connect().await,
            outcome => outcome,
        };
        let outcome = outcome.map(Arc::new);
        let at = self.shared.connector.clock().elapsed();
        let mut last = self.last();
        match &outcome {
            Ok(session) => {
                last.session = Some(Arc::clone(session));
                last.failure = None;
            }
            Err(error) => last.failure = Some((at, error.clone())),
        }
        outcome
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        self.shared.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
