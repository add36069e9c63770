//! What is given out about the model besides its answers (protocol.md, threat 15). Log
//! probabilities together with a say over which token comes give away the model's last layer
//! (arXiv 2403.06634, 2403.09539): one is served without the other, if at all.

use serde_json::{Value, json};
use strongroom_engine::{ScoredToken, TokenLogprobs};

use super::App;
use super::error::ApiError;
use super::openai::Common;
use crate::plugins::Pipeline;

/// Steps in 1 of what is told of a log probability: exact ones tell more of the weights than
/// anybody needs to judge an answer.
const STEPS: f64 = 1000.0;

/// Whether log probabilities with `likeliest` others may be given. `parameter` is the request's
/// name for them; `steered` says that the client chose what the answer must be.
pub(super) fn check(
    app: &App,
    likeliest: Option<usize>,
    parameter: &'static str,
    common: &Common,
    steered: bool,
    plugins: &Pipeline,
) -> Result<(), ApiError> {
    let Some(likeliest) = likeliest else { return Ok(()) };
    let refused = |message: String| Err(ApiError::invalid("unsupported_parameter", Some(parameter), message));
    let Some(most) = app.max_top_logprobs else {
        return refused("this deployment gives no log probabilities (`max_top_logprobs` in its configuration)".into());
    };
    if likeliest > most {
        let message = format!("`{parameter}` is {likeliest}; this deployment gives at most {most}");
        return Err(ApiError::invalid("invalid_value", Some(parameter), message));
    }
    if common.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty()) {
        return refused("log probabilities and `logit_bias` are not served together: leave one of them out".into());
    }
    // A schema names a token as well as a bias does.
    if steered {
        return refused("log probabilities are not served where a schema steers the answer".into());
    }
    // The tokens would show what a plugin takes out of the text.
    if plugins.reads_answers() {
        return refused("log probabilities are not served where a plugin reads the answers".into());
    }
    Ok(())
}

/// Chat's form: `content` of the field `logprobs`.
pub(super) fn of_chat(tokens: &[TokenLogprobs]) -> Value {
    let one = |token: &ScoredToken| {
        json!({
            "token": String::from_utf8_lossy(&token.bytes), "logprob": rounded(token.logprob), "bytes": token.bytes,
        })
    };
    let content: Vec<Value> = tokens
        .iter()
        .map(|token| {
            let mut described = one(&token.token);
            described["top_logprobs"] = token.likeliest.iter().map(one).collect();
            described
        })
        .collect();
    json!({ "content": content, "refusal": null })
}

/// Completions' form. `offset` is the place of the first token in the answer, in characters, and
/// moves on.
pub(super) fn of_completion(tokens: &[TokenLogprobs], offset: &mut usize) -> Value {
    let mut offsets = Vec::with_capacity(tokens.len());
    for token in tokens {
        offsets.push(*offset);
        // Bytes that continue a character begin none.
        *offset += token.token.bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
    }
    let likeliest = |token: &TokenLogprobs| -> Value {
        let pairs = token.likeliest.iter().map(|other| (name(other), json!(rounded(other.logprob))));
        Value::Object(pairs.collect())
    };
    json!({
        "tokens": tokens.iter().map(|token| name(&token.token)).collect::<Vec<_>>(),
        "token_logprobs": tokens.iter().map(|token| rounded(token.token.logprob)).collect::<Vec<_>>(),
        "top_logprobs": tokens.iter().map(likeliest).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}

/// A token as text; one that is no text by its bytes, as OpenAI writes them.
fn name(token: &ScoredToken) -> String {
    match std::str::from_utf8(&token.bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let bytes = token.bytes.iter().map(|byte| format!("\\x{byte:02x}"));
            std::iter::once("bytes:".to_owned()).chain(bytes).collect()
        }
    }
}

fn rounded(logprob: f32) -> f64 {
    // Adding 0 makes a rounded -0.0 plain.
    (f64::from(logprob) * STEPS).round() / STEPS + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(bytes: &[u8], logprob: f32) -> ScoredToken {
        ScoredToken { bytes: bytes.to_vec(), logprob }
    }

    fn answer() -> Vec<TokenLogprobs> {
        let likeliest = vec![token(b"a", -0.000_04), token(b" b", -2.345_678)];
        vec![
            TokenLogprobs { token: token(b" b", -2.345_678), likeliest },
            TokenLogprobs { token: token(b"\xE2\x82", -1.0), likeliest: Vec::new() },
            TokenLogprobs { token: token(b"\xAC", -1.0), likeliest: Vec::new() },
            TokenLogprobs { token: token(b"c", -1.0), likeliest: Vec::new() },
        ]
    }

    #[test]
    fn chat_has_bytes_and_rounded_numbers() {
        let found = of_chat(&answer());
        assert_eq!(
            found["content"][0],
            json!({
                "token": " b", "logprob": -2.346, "bytes": [32, 98],
                "top_logprobs": [
                    { "token": "a", "logprob": 0.0, "bytes": [97] },
                    { "token": " b", "logprob": -2.346, "bytes": [32, 98] },
                ],
            })
        );
        assert_eq!(found["content"][1]["bytes"], json!([0xE2, 0x82]));
    }

    #[test]
    fn completions_count_characters() {
        let mut offset = 0;
        let found = of_completion(&answer(), &mut offset);
        assert_eq!(found["tokens"], json!([" b", "bytes:\\xe2\\x82", "bytes:\\xac", "c"]));
        assert_eq!(found["text_offset"], json!([0, 2, 3, 3]));
        assert_eq!(found["top_logprobs"][0], json!({ "a": 0.0, " b": -2.346 }));
        assert_eq!(offset, 4);
    }
}
