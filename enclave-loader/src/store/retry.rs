//! What a download does about a network that fails: it goes on where it stopped, a few times.

use std::io;
use std::thread;
use std::time::Duration;

/// Tries of one span. Each may have brought a part of it, which is kept.
const TRIES: u32 = 6;
/// How long to wait before the second try; each further one waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// How a try ended that brought not everything.
pub(super) enum Failed {
    /// The next one may do better.
    Passing(io::Error),
    /// It will be the same again.
    Final(io::Error),
}

/// Calls `attempt` until it succeeds, fails for good, or has failed too often.
///
/// # Errors
/// The last failure.
pub(super) fn insist<T>(mut attempt: impl FnMut() -> Result<T, Failed>) -> io::Result<T> {
    let mut wait = FIRST_WAIT;
    let mut tries = 1;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(Failed::Final(error)) => return Err(error),
            Err(Failed::Passing(error)) if tries == TRIES => return Err(error),
            Err(Failed::Passing(_)) => {}
        }
        thread::sleep(wait);
        wait *= 2;
        tries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passing_failure_is_tried_again_and_a_final_one_is_not() {
        let mut calls = 0;
        let outcome = insist(|| {
            calls += 1;
            if calls < 3 { Err(Failed::Passing(io::ErrorKind::TimedOut.into())) } else { Ok(calls) }
        });
        assert_eq!(outcome.ok(), Some(3));
        let mut calls = 0;
        let outcome: io::Result<()> = insist(|| {
            calls += 1;
            Err(Failed::Final(io::ErrorKind::NotFound.into()))
        });
        assert_eq!((outcome.map_err(|error| error.kind()), calls), (Err(io::ErrorKind::NotFound), 1));
    }
}
