//! Ctrl-C, and what service managers send.

use std::future::Future;
use std::time::Duration;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long what runs may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// Runs `work`, which ends when asked to, and gives up waiting for it after a while.
pub(crate) async fn within_grace<T>(work: impl Future<Output = T>) -> Option<T> {
    let given_up = async {
        asked_to_end().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = given_up => None,
    }
}

/// Waits until the process is asked to end.
pub(crate) async fn asked_to_end() {
    Asked::listen().next().await;
}

/// What asks the process to end. It listens from the start: what comes while nobody waits is told to whoever waits
/// next, since a service manager asks once.
pub(crate) struct Asked {
    /// Ctrl-C, and the service manager's. `None` where the system gives no handler.
    #[cfg(unix)]
    signals: Option<[Signal; 2]>,
}

impl Asked {
    pub(crate) fn listen() -> Self {
        Self {
            #[cfg(unix)]
            signals: signal(SignalKind::interrupt()).and_then(|one| Ok([one, signal(SignalKind::terminate())?])).ok(),
        }
    }

    /// Waits until the process is asked to end; after that, until it is asked once more.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some([interrupt, terminate]) = &mut self.signals {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        // Without a handler the system's default ends the process, which is what is asked.
        let _ = tokio::signal::ctrl_c().await;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::{Command, id};

    use super::*;

    #[tokio::test]
    async fn what_comes_while_nobody_waits_is_told_to_who_waits_next() {
        let (mut asked, mut witness) = (Asked::listen(), Asked::listen());
        assert!(Command::new("kill").arg(id().to_string()).status().unwrap().success());
        witness.next().await;
        tokio::time::timeout(GRACE, asked.next()).await.unwrap();
    }
}
