//! Verifies raw vendor artefacts, as auditors and incident responders have them: offline, but for what `--fetch` asks for.

use std::fs;
use std::path::{Path, PathBuf};

use strongroom_attestation::{AttestationResult, Examination, Policy, Status, examine};

use super::fetching::{self, Fetched};
use super::{Files, explain};
use crate::arguments::Trust;
use crate::exit_code::Exit;
use crate::file;
use crate::output::{Failure, Output};
use crate::trust;

const DAY: u64 = 24 * 60 * 60;

pub(super) async fn run(files: &Files, which: &Trust, explained: bool, output: Output) -> Result<Exit, Failure> {
    let mut artefacts = read_all(files.evidence.iter().chain(&files.endorsement))?;
    let mut policy = policy(&files.policy)?;
    let at = files.at.unwrap_or_else(trust::now);
    policy.deny_feeds.extend(which.denied.accept(|| trust::state(which), at)?);
    let report_data = files.report_data.as_ref().map(|text| report_data(&text.0)).transpose()?;
    let development_roots = read_all(&files.development_root)?;
    // Last of what can fail: a wrong argument costs no request.
    let fetched = fetching::fetch(&files.fetching, &artefacts, at, output).await?;
    artefacts.extend(fetched.iter().flat_map(Fetched::artefacts));
    let examination = Examination {
        artefacts: &artefacts,
        report_data,
        nonce: files.nonce.as_ref().map(|text| text.0.as_slice()),
        policy: &policy,
        now: at,
        development_roots: &development_roots,
        warn_within: u64::from(files.warn_days) * DAY,
    };
    let result = examine(&examination);
    if files.ear {
        output.value(&result.to_ear(env!("CARGO_PKG_VERSION")));
    } else if output.json {
        let mut value = result.to_json();
        if let Some(fetched) = &fetched {
            value["endorsements"] = fetched.to_json();
        }
        output.value(&value);
    } else {
        show(&result, explained, output);
    }
    Ok(match &fetched {
        Some(fetched) => fetched.conclude(&result, output),
        None => Exit::from_code(result.exit_code()),
    })
}

/// People get every check, then the answer, then what will end soon.
fn show(result: &AttestationResult, explained: bool, output: Output) {
    if explained {
        explain(&result.checks, output);
    } else {
        output.checks(&result.checks);
    }
    for warning in &result.warnings {
        let days = warning.until.saturating_secs_since(result.at) / DAY;
        output.note(format!("warning: {} ends at {}, in {days} days; have it renewed", warning.what, warning.until));
    }
    let platform = result.platform.map_or_else(String::new, |platform| format!(" ({platform})"));
    match (result.status, result.code) {
        (Status::Accepted, _) => output.result(&(), accepted(result, &platform)),
        (status, Some(code)) => {
            let detail = result.detail.clone().unwrap_or_default();
            output.note(format!("error[{code}]: {}{platform}: {detail}. {}", status.as_str(), code.advice()));
        }
        (status, None) => output.note(format!("error: {}{platform}", status.as_str())),
    }
}

fn accepted(result: &AttestationResult, platform: &str) -> String {
    let until = result.claims.as_ref().map_or_else(String::new, |claims| format!(", until {}", claims.valid_until()));
    let simulated = if result.simulated { ", SIMULATED: this proves nothing about real hardware" } else { "" };
    let bound = if result.bound { "" } else { "; bound to no nonce: it may be a replay" };
    format!("accepted{platform} under policy {}{simulated}{until}{bound}", result.policy)
}

fn read_all<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<Vec<Vec<u8>>, Failure> {
    paths.into_iter().map(|path| file::read_artefact(path)).collect()
}

fn policy(named: &str) -> Result<Policy, Failure> {
    match named {
        "strict" => Ok(Policy::strict()),
        "authentic" => Ok(Policy::authentic()),
        path => {
            let text = fs::read_to_string(path).map_err(|error| Failure::file(Path::new(path), &error))?;
            Policy::from_toml(&text).map_err(|error| Failure::usage(format!("{path}: {error}")))
        }
    }
}

fn report_data(bytes: &[u8]) -> Result<[u8; 64], Failure> {
    bytes.try_into().map_err(|_| {
        let found = bytes.len();
        Failure::usage(format!("--report-data has {found} bytes, wanted 64; use --nonce for what is shorter"))
    })
}
