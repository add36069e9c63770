//! `strongroom verify`: a server, or evidence in files.

mod artefacts;
mod fetching;
mod server;

use std::path::PathBuf;

use clap::Args;
use strongroom_attestation::{Check, State, UnixTime};

use crate::arguments::Trust;
use crate::exit_code::Exit;
use crate::output::{Failure, Output};

/// Asks a server for fresh evidence and verifies it against the tenant's trust file; or, with
/// --evidence, verifies raw vendor artefacts against a policy, offline unless --fetch is given.
///
/// Files may be given in any order: their kind is told by their content. Vendors' roots and AMD's
/// intermediates are built in. A check that could not be made is SKIP, and never counts as a pass.
#[derive(Args)]
pub(crate) struct Verify {
    /// The server.
    #[arg(required_unless_present = "evidence", conflicts_with = "evidence")]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// Say of every check what was wanted, what was found and what to do.
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) files: Files,
}

/// Evidence in files, and what to hold it against.
#[derive(Args)]
pub(crate) struct Files {
    /// A report, quote, TPM quote (message, signature, PCR list), event log, or evidence in JSON; repeat it.
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence: Vec<PathBuf>,
    /// Certificates, revocation lists, TCB info, QE identity, collateral; repeat it.
    #[arg(long, value_name = "FILE", requires = "evidence")]
    pub(crate) endorsement: Vec<PathBuf>,
    /// The nonce that the evidence must hold, at most 64 bytes: report data that are it and then zeros; under a
    /// paravisor, the whole nonce of the vTPM's quote.
    #[arg(long, value_name = "HEX", requires = "evidence", value_parser = bytes)]
    pub(crate) nonce: Option<HexText>,
    /// All 64 bytes of report data.
    #[arg(long, value_name = "HEX", requires = "evidence", value_parser = bytes)]
    pub(crate) report_data: Option<HexText>,
    /// Judge dates as of this time [default: now].
    #[arg(long, value_name = "RFC3339", requires = "evidence", value_parser = time)]
    pub(crate) at: Option<UnixTime>,
    /// `strict`, `authentic` (cryptography, dates, revocation and the vendor's own word only), or a policy file (TOML).
    #[arg(long, value_name = "strict|authentic|FILE", default_value = "strict")]
    pub(crate) policy: String,
    /// Warn of certificates, lists and collateral that end within this many days.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub(crate) warn_days: u32,
    /// Print an EAT Attestation Result (unsigned claims set, JSON).
    #[arg(long, requires = "evidence")]
    pub(crate) ear: bool,
    /// The root of a simulated vendor (DER), under which evidence proves nothing about real hardware; repeat it.
    #[arg(long, value_name = "FILE", requires = "evidence", requires = "accept_simulated")]
    pub(crate) development_root: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) fetching: fetching::Fetching,
}

/// Bytes that were typed as hexadecimal.
#[derive(Clone)]
pub(crate) struct HexText(pub(crate) Vec<u8>);

pub(crate) async fn run(arguments: Verify, output: Output) -> Result<Exit, Failure> {
    match &arguments.url {
        Some(url) => server::run(url, &arguments.trust, arguments.explain, output).await,
        None => artefacts::run(&arguments.files, &arguments.trust, arguments.explain, output).await,
    }
}

/// What was wanted and found of every check, and what to do about those that failed.
fn explain(checks: &[Check], output: Output) {
    for (number, check) in checks.iter().enumerate() {
        let state = match check.state {
            State::Pass => "PASS",
            State::Fail => "FAIL",
            State::Skip => "SKIP (does not count as a pass)",
        };
        output.note(format!(
            "{:>3}. {} [{}]\n     wanted  {}\n     found   {}\n     result  {state}",
            number + 1,
            check.title,
            check.code.as_str(),
            check.wanted,
            check.found
        ));
        if check.state == State::Fail {
            output.note(format!("     to do   {}", check.code.advice()));
        }
    }
}

fn bytes(text: &str) -> Result<HexText, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).map(HexText).map_err(|_| "an even number of hexadecimal digits is wanted".to_owned())
}

fn time(text: &str) -> Result<UnixTime, String> {
    UnixTime::parse_rfc3339(text).ok_or_else(|| "a time such as 2026-05-12T00:00:00Z is wanted".to_owned())
}
