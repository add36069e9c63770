//! What vendors publish about the evidence, fetched through the cache before it is verified, and what a refusal says
//! about that.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use strongroom_attestation::{Artefacts, AttestationResult, Check, Product, State, Status, Submission, UnixTime};
use strongroom_endorsements::{
    Collateral, CollateralSource, Evaluation, FetchError, Purpose, Settings, evidence_wants, not_given,
};

use crate::collateral::{Addresses, freshness, freshness_text, mirrors, open, patiently};
use crate::exit_code::Exit;
use crate::output::{Failure, Output};
use crate::trust::now;

/// Long enough for the pace at which AMD answers; a vendor that is down is given up earlier.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether and from where to fetch.
#[derive(Args)]
#[command(mut_group("Addresses", |addresses| addresses.requires("fetch")))]
pub(crate) struct Fetching {
    /// Fetch what the vendor publishes about this platform, where no file has it: through the cache, so that a vendor
    /// that is down does not stop verification. What could not be had is left to the policy; where it refuses for
    /// want of that, the exit code is 5: try again later.
    #[arg(long, requires = "evidence", conflicts_with = "development_root")]
    fetch: bool,
    /// Ask nobody: what the cache has must do.
    #[arg(long, requires = "fetch")]
    offline: bool,
    /// The cache's directory [default: the user's cache directory].
    #[arg(long, value_name = "DIR", requires = "fetch")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    addresses: Addresses,
}

/// What was fetched, and from where.
pub(super) struct Fetched {
    source: CollateralSource,
    collateral: Collateral,
}

/// Fetches what these artefacts need and do not hold, if that is asked for. `at` is the time of which dates are judged.
pub(super) async fn fetch(
    arguments: &Fetching,
    artefacts: &[Vec<u8>],
    at: UnixTime,
    output: Output,
) -> Result<Option<Fetched>, Failure> {
    if !arguments.fetch {
        return Ok(None);
    }
    let settings = Settings {
        mirrors: mirrors(&arguments.addresses)?,
        offline: arguments.offline,
        patience: PATIENCE,
        // Who judges as of last month wants what the cache had last month; the verifier decides on dates.
        past_expiry: Duration::from_secs(now().saturating_secs_since(at)),
        as_of: Some(at),
        ..Settings::default()
    };
    let source = open(settings, arguments.cache.as_deref())?;
    let mut fetched = Fetched { source, collateral: Collateral::default() };
    let Some(Submission { machine, devices, endorsements: given, .. }) = submission(artefacts) else {
        return Ok(Some(fetched));
    };
    let wants = machine.map(|evidence| evidence_wants(&evidence, &given, &Product::ALL, Evaluation::Standard));
    let of_machine = wants.transpose().unwrap_or_else(|error| {
        let what = if devices.is_empty() { "nothing" } else { "nothing for the machine" };
        output.note(format!("{what} is fetched: {error}"));
        None
    });
    let of_machine = not_given(of_machine.unwrap_or_default(), &given, at);
    let work = async {
        let mut got = fetched.source.first_of(&of_machine).await;
        got.extend(fetched.source.for_devices(&devices, &given, at, Purpose::Verify).await);
        got
    };
    fetched.collateral = patiently("what the vendor publishes", work, output).await;
    fetched.tell(output);
    Ok(Some(fetched))
}

/// `None` where the artefacts are no evidence: the verifier says what is wrong with them.
fn submission(artefacts: &[Vec<u8>]) -> Option<Submission> {
    let mut sorted = Artefacts::default();
    for bytes in artefacts {
        sorted.add(bytes).ok()?;
    }
    sorted.into_submission().ok()
}

impl Fetched {
    /// For the examination.
    pub(super) fn artefacts(&self) -> impl Iterator<Item = Vec<u8>> {
        let items = self.collateral.answers.iter().map(|answer| &answer.item);
        items.flat_map(|item| item.artefacts().iter().map(|artefact| artefact.bytes.clone()))
    }

    /// Every item with its age, and those that could not be had.
    pub(super) fn to_json(&self) -> Value {
        let got = self.collateral.answers.iter().map(|answer| {
            let (state, age, why) = freshness(answer);
            json!({ "want": answer.item.want().to_string(), "freshness": state, "age": age, "why": why })
        });
        let missing = self.collateral.missing.iter().map(|error| {
            let want = error.want().to_string();
            json!({ "want": want, "freshness": "missing", "age": null, "code": error.code(), "why": error.to_string() })
        });
        got.chain(missing).collect()
    }

    /// The exit of a command with this result. An item that is not the vendor's is forgotten, so that the next call
    /// fetches another.
    pub(super) fn conclude(&self, result: &AttestationResult, output: Output) -> Exit {
        let exit = Exit::from_code(result.exit_code());
        let failed = result.checks.iter().find(|check| check.state == State::Fail);
        let Some(check) = failed.filter(|_| result.status == Status::Refused) else {
            return exit;
        };
        for item in self.collateral.answers.iter().map(|answer| &answer.item) {
            if !item.want().is_refused_by(check) {
                continue;
            }
            output.note(match self.source.cache().discard(item.want()) {
                Ok(()) => {
                    format!("{} from {} is forgotten: try again to fetch another", item.want().in_short(), item.url())
                }
                Err(error) => format!("{} could not be removed from the cache: {error}", item.want().in_short()),
            });
        }
        if self.waits_for(check) { Exit::Unavailable } else { exit }
    }

    /// Whether a service that did not answer may have what was lacking.
    fn waits_for(&self, check: &Check) -> bool {
        let down = self.collateral.missing.iter().filter(|error| matches!(error, FetchError::Unavailable { .. }));
        down.map(FetchError::want).any(|want| want.is_lacked_by(check))
    }

    fn tell(&self, output: Output) {
        for answer in &self.collateral.answers {
            output.note(format!("{}: {}", answer.item.want().in_short(), freshness_text(answer)));
            if let Some(why) = &answer.not_kept {
                output.note(format!("warning: it could not be kept in the cache: {why}"));
            }
        }
        for error in &self.collateral.missing {
            output.note(error);
        }
    }
}
