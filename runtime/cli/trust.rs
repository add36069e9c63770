//! Which deployment is meant: the trust file, its pinned root, what was seen before.

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use strongroom_attestation::UnixTime;
use strongroom_channel::trust_file::TrustFile;
use strongroom_client::{ClientError, Connector, StateDirectory, parse_trust_root};

use crate::arguments::Trust;
use crate::exit_code::Exit;
use crate::output::Failure;

/// What is left open where the trust file names no CA.
pub(crate) const UNCERTIFIED: &str = "the trust file names no CA for instances: which of the machines that run this \
    answers is not proven (diversion is not prevented), and its right to serve is not revocable";

/// A connector to `url` for the deployment of the trust file, which is remembered.
pub(crate) fn connector(url: &str, arguments: &Trust) -> Result<Connector, Failure> {
    let trust = accept(arguments)?;
    Connector::new(url, trust, arguments.accept_simulated).map_err(|error| failure(&error))
}

/// Reads the trust file, checks it against the pinned root and what was seen before, and
/// remembers it.
fn accept(arguments: &Trust) -> Result<TrustFile, Failure> {
    let Some(path) = &arguments.trust else {
        let message = "without a trust file a server is at best authentic, and not known to be yours; \
                       get one from the tenant's broker (`strongroom broker trust export`) and give it with --trust";
        return Err(Failure::new(Exit::Refused, "NO_TRUST_FILE", message));
    };
    let bytes = fs::read(path).map_err(|e| Failure::file(path, &e))?;
    let root = arguments.trust_root.as_deref().map(root).transpose()?;
    let mut trust = state(arguments)?.accept_trust(&bytes, root, now()).map_err(|error| failure(&error))?;
    trust.policy.deny_feeds.extend(arguments.denied.accept(|| state(arguments), now())?);
    Ok(trust)
}

/// Where this machine remembers what it has seen.
pub(crate) fn state(arguments: &Trust) -> Result<StateDirectory, Failure> {
    match &arguments.state {
        Some(state) => Ok(StateDirectory::new(state.clone())),
        None => usual_state(),
    }
}

/// The thumbprint that the user typed.
pub(crate) fn root(text: &str) -> Result<[u8; 32], Failure> {
    parse_trust_root(text).ok_or_else(|| {
        Failure::usage(format!("`{text}` is no trust root: sha256: and 64 hexadecimal digits are wanted"))
    })
}

/// This machine's time.
pub(crate) fn now() -> UnixTime {
    UnixTime::from_secs(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()))
}

fn usual_state() -> Result<StateDirectory, Failure> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (state, home) = (variable("XDG_STATE_HOME"), variable("HOME"));
    StateDirectory::usual(state.as_ref().map(|p| p.as_os_str()), home.as_ref().map(|p| p.as_os_str()))
        .ok_or_else(|| Failure::usage("no home directory is known: say `--state DIR`"))
}

/// A client's error, with its checks.
pub(crate) fn failure(error: &ClientError) -> Failure {
    let message = match error {
        ClientError::Refused(refusal) => format!("{}. {}", refusal.detail, refusal.code.advice()),
        ClientError::Unavailable { .. } => format!("{error}; check the address, and try again"),
        other => other.to_string(),
    };
    Failure {
        checks: error.checks().to_vec(),
        ..Failure::new(Exit::from_code(error.exit_code()), error.code(), message)
    }
}
