//! `strongroom evidence`: what a file says, without any judgement of it.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;
use strongroom_attestation::describe;

use crate::exit_code::Exit;
use crate::file;
use crate::output::{Failure, Output};

#[derive(Subcommand)]
pub(crate) enum Evidence {
    /// Print every field of a report, quote, event log, certificate or piece of collateral. Nothing is verified.
    Show {
        /// Files of any kind; their content tells it.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

pub(crate) fn run(command: Evidence, output: Output) -> Result<Exit, Failure> {
    let Evidence::Show { files } = command;
    for path in &files {
        let account = describe(&file::read_artefact(path)?).map_err(|refusal| {
            let message = format!("{}: {}", path.display(), refusal.detail);
            Failure::new(Exit::from_code(refusal.code.exit_code()), refusal.code.as_str(), message)
        })?;
        let mut text = format!("{} (nothing here is verified)\n", path.display());
        for (name, value) in account.as_object().into_iter().flatten().filter(|(name, _)| *name != "verified") {
            write_value(&mut text, 1, name, value);
        }
        output.result(&account, text.trim_end());
    }
    Ok(Exit::Done)
}

/// One line a field, indented by depth; lists number their items.
fn write_value(text: &mut String, depth: usize, name: &str, value: &Value) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            text.push_str(&format!("{indent}{name}\n"));
            for (name, value) in fields {
                write_value(text, depth + 1, name, value);
            }
        }
        Value::Array(items) => {
            text.push_str(&format!("{indent}{name} ({})\n", items.len()));
            for (number, item) in items.iter().enumerate() {
                write_value(text, depth + 1, &number.to_string(), item);
            }
        }
        Value::String(word) => text.push_str(&format!("{indent}{name}: {word}\n")),
        other => text.push_str(&format!("{indent}{name}: {other}\n")),
    }
}
