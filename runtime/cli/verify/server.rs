//! Asks a server for evidence, and says of each check how it ended.

use serde_json::json;

use super::explain;
use crate::arguments::Trust;
use crate::exit_code::Exit;
use crate::output::{Failure, Output};
use crate::trust;

pub(super) async fn run(url: &str, which: &Trust, explained: bool, output: Output) -> Result<Exit, Failure> {
    let connector = trust::connector(url, which)?;
    let session = match connector.connect().await {
        Ok(session) => session,
        Err(error) => {
            if explained && !output.json {
                explain(error.checks(), output);
            }
            return Err(trust::failure(&error));
        }
    };
    if !output.json {
        output.checks(session.checks());
    }
    if explained {
        explain(session.checks(), output);
    }
    if !session.is_certified() {
        output.note(trust::UNCERTIFIED);
    }
    let simulated = session.is_simulated();
    let word = if simulated { "accepted, SIMULATED: this proves nothing about real hardware" } else { "accepted" };
    let verified = session.verified();
    let value = json!({
        "result": "accepted", "simulated": simulated, "certified": session.is_certified(), "checks": session.checks(),
        "deployment": connector.trust().deployment.to_string(),
        "epoch": verified.statement().epoch, "valid_until": verified.valid_until(),
    });
    output.result(&value, format!("{word}, until {}", verified.valid_until()));
    Ok(Exit::Done)
}
