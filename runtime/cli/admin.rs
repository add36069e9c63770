//! `strongroom admin …`: speaks to a server on this node through its Unix-domain socket.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::arguments::{Admin, AdminCommand};
use crate::exit_code::Exit;
use crate::output::{Failure, Output};

pub(crate) async fn run(arguments: Admin, output: Output) -> Result<Exit, Failure> {
    let socket = &arguments.socket;
    let answer = match &arguments.command {
        AdminCommand::Status => ask(socket, "status", None).await?,
        AdminCommand::Load { name } => ask(socket, "load", Some(json!({ "model": name }))).await?,
        AdminCommand::Unload { name } => ask(socket, "unload", Some(json!({ "model": name }))).await?,
        AdminCommand::Drain => ask(socket, "drain", Some(json!({}))).await?,
    };
    let text = match &arguments.command {
        AdminCommand::Status => status(&answer),
        AdminCommand::Load { name } => format!("{name} is loaded"),
        AdminCommand::Unload { name } => format!("{name} is unloaded"),
        AdminCommand::Drain => format!("draining: {} requests run", answer["running"]),
    };
    output.result(&answer, text);
    Ok(Exit::Done)
}

/// Without a body it is a question, with one an order.
async fn ask(socket: &Path, what: &str, body: Option<Value>) -> Result<Value, Failure> {
    let unavailable = |error: reqwest::Error| {
        // The address in the library's words is none that anybody typed.
        let cause = crate::output::with_causes(&error.without_url());
        let message =
            format!("no server answers on {}: {cause}; check --socket, and that it is ready", socket.display());
        Failure::new(Exit::Unavailable, "UNAVAILABLE", message)
    };
    // A load takes minutes: whoever asks waits, or goes away, which changes nothing.
    let http = reqwest::Client::builder().no_proxy().unix_socket(socket).build().map_err(unavailable)?;
    let url = format!("http://localhost/v1/{what}");
    let request = match body {
        None => http.get(url),
        Some(body) => http.post(url).json(&body),
    };
    let answer: Value = request.send().await.map_err(unavailable)?.json().await.map_err(unavailable)?;
    let Some(error) = answer.get("error") else { return Ok(answer) };
    let exit = error["exit"].as_u64().and_then(|code| u8::try_from(code).ok()).map_or(Exit::Failed, Exit::from_code);
    let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
    Err(Failure::new(exit, text("code"), text("message")))
}

fn status(answer: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = format!(
        "{}: {}, epoch {}, {} requests run",
        text(&answer["deployment"]),
        text(&answer["state"]),
        answer["epoch"],
        answer["running"],
    );
    for model in answer["models"].as_array().into_iter().flatten() {
        // Writing to a string does not fail.
        let _ =
            write!(lines, "\n  {:<24} {:<10} ({})", text(&model["name"]), text(&model["state"]), text(&model["load"]));
        if let Some(id) = model["model_id"].as_str() {
            let _ = write!(lines, "  version {}, model id {id}, {} run", model["version"], model["running"]);
        }
    }
    lines
}
