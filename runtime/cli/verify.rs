//! `strongroom verify`: ask a server for evidence, and say of each check how it ended.

use serde_json::json;
use strongroom_attestation::{Check, State};

use crate::arguments::Verify;
use crate::exit_code::Exit;
use crate::output::{Failure, Output};
use crate::trust;

pub(crate) async fn run(arguments: Verify, output: Output) -> Result<Exit, Failure> {
    let connector = trust::connector(&arguments.url, &arguments.trust)?;
    let session = match connector.connect().await {
        Ok(session) => session,
        Err(error) => {
            if arguments.explain && !output.json {
                explain(error.checks(), output);
            }
            return Err(trust::failure(&error));
        }
    };
    if !output.json {
        output.checks(session.checks());
    }
    if arguments.explain {
        explain(session.checks(), output);
    }
    let simulated = session.is_simulated();
    let word = if simulated { "accepted, SIMULATED: this proves nothing about real hardware" } else { "accepted" };
    let verified = session.verified();
    let value = json!({
        "result": "accepted", "simulated": simulated, "checks": session.checks(),
        "deployment": connector.trust().deployment.to_string(),
        "epoch": verified.statement().epoch, "valid_until": verified.valid_until(),
    });
    output.result(&value, format!("{word}, until {}", verified.valid_until()));
    Ok(Exit::Done)
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
