//! `strongroom receipt verify`: who answered this, with what; later and offline.

use std::fs;
use std::path::Path;

use serde_json::json;
use strongroom_channel::trust_file;
use strongroom_client::ReceiptBundle;

use crate::arguments::Receipt;
use crate::exit_code::Exit;
use crate::output::{Failure, Output};
use crate::trust;

pub(crate) fn run(command: Receipt, output: Output) -> Result<Exit, Failure> {
    let Receipt::Verify { file, trust: trust_path, trust_root, accept_simulated, request, response } = command;
    let bytes = fs::read(&file).map_err(|e| Failure::file(&file, &e))?;
    let bundle = ReceiptBundle::from_json(&bytes).map_err(|error| trust::failure(&error))?;
    let bytes = fs::read(&trust_path).map_err(|e| Failure::file(&trust_path, &e))?;
    // As at the time of the answer: the trust file of its day is what counts.
    let time = bundle.time().map_err(|error| trust::failure(&error))?;
    let trusted = trust_file::verify(&bytes, &trust::root(&trust_root)?, 0, time)
        .map_err(|error| trust::failure(&error.into()))?;
    let (request, response) = (read(request.as_deref())?, read(response.as_deref())?);
    let checked = bundle
        .check(&trusted, accept_simulated, request.as_deref(), response.as_deref())
        .map_err(|error| trust::failure(&error))?;
    let receipt = &checked.receipt;
    let plugins: Vec<String> = receipt.plugins.iter().map(hex::encode).collect();
    let time = strongroom_attestation::UnixTime::from_secs(receipt.time);
    let value = json!({
        "result": "holds", "request_id": hex::encode(receipt.request_id), "model": receipt.model_name,
        "model_id": hex::encode(receipt.model_id), "plugins": plugins, "prompt_tokens": receipt.prompt_tokens,
        "completion_tokens": receipt.completion_tokens, "time": time, "finish": receipt.finish.as_str(),
        "statement": hex::encode(receipt.statement_hash), "simulated": checked.simulated,
        "request_compared": checked.request_compared, "response_compared": checked.response_compared, "checks": checked.checks,
    });
    let text = format!(
        "the receipt holds{}\nmodel      {} ({})\nplugins    {}\ntokens     {} in, {} out ({})\ntime       {time}\nstatement  {}\ncompared   request {}, response {}",
        if checked.simulated { ", of a SIMULATED platform: this proves nothing about real hardware" } else { "" },
        receipt.model_name,
        hex::encode(receipt.model_id),
        if plugins.is_empty() { "none".into() } else { plugins.join(", ") },
        receipt.prompt_tokens,
        receipt.completion_tokens,
        receipt.finish.as_str(),
        hex::encode(receipt.statement_hash),
        compared(checked.request_compared),
        compared(checked.response_compared),
    );
    output.result(&value, text);
    Ok(Exit::Done)
}

fn read(file: Option<&Path>) -> Result<Option<Vec<u8>>, Failure> {
    file.map(|file| fs::read(file).map_err(|e| Failure::file(file, &e))).transpose()
}

fn compared(compared: bool) -> &'static str {
    if compared { "equal" } else { "not compared" }
}
