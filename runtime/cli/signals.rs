//! Ctrl-C, and what service managers send.

use std::future::Future;
use std::time::Duration;

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
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a handler the system's default ends the process, which is what is asked.
    let _ = tokio::signal::ctrl_c().await;
}
