//! OpenAI's wire types, as far as they are served. A parameter that would change the
//! answer and is not served is an error that names it, never ignored (`parameters.rs`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::conversation::{WireCall, WireTool};
use super::error::ApiError;
use super::format::ResponseFormat;
use super::tools::ToolChoice;

/// `POST /v1/chat/completions`.
#[derive(Deserialize)]
pub(super) struct ChatRequest {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<usize>,
    pub(super) response_format: Option<ResponseFormat>,
    pub(super) tools: Option<Vec<WireTool>>,
    pub(super) tool_choice: Option<ToolChoice>,
    pub(super) parallel_tool_calls: Option<bool>,
    #[serde(flatten)]
    pub(super) common: Common,
    #[serde(flatten)]
    pub(super) other: Map<String, Value>,
}

/// `POST /v1/completions`.
#[derive(Deserialize)]
pub(super) struct CompletionRequest {
    pub(super) model: String,
    pub(super) prompt: String,
    pub(super) logprobs: Option<usize>,
    #[serde(flatten)]
    pub(super) common: Common,
    #[serde(flatten)]
    pub(super) other: Map<String, Value>,
}

/// What both have.
#[derive(Deserialize, Default)]
pub(super) struct Common {
    #[serde(default)]
    pub(super) stream: bool,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) max_tokens: Option<usize>,
    pub(super) max_completion_tokens: Option<usize>,
    pub(super) temperature: Option<f32>,
    pub(super) top_p: Option<f32>,
    pub(super) top_k: Option<i64>,
    pub(super) min_p: Option<f32>,
    pub(super) presence_penalty: Option<f32>,
    pub(super) frequency_penalty: Option<f32>,
    pub(super) repetition_penalty: Option<f32>,
    pub(super) logit_bias: Option<BTreeMap<String, f32>>,
    pub(super) seed: Option<Number>,
    pub(super) stop: Option<Stop>,
    pub(super) n: Option<u64>,
    #[serde(rename = "user")]
    _user: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct StreamOptions {
    #[serde(default)]
    pub(super) include_usage: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Stop {
    One(String),
    Many(Vec<String>),
}

/// One message.
#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) role: String,
    pub(super) content: Option<Content>,
    /// Of the assistant: what it called.
    pub(super) tool_calls: Option<Vec<WireCall>>,
    /// Of a tool: the call that it answers.
    pub(super) tool_call_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a message; only text is served.
#[derive(Deserialize)]
pub(super) struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

/// How many tokens a request took.
#[derive(Serialize, Clone, Copy)]
pub(super) struct Usage {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) total_tokens: u64,
    pub(super) prompt_tokens_details: PromptTokens,
}

/// What the prompt's tokens were.
#[derive(Serialize, Clone, Copy)]
pub(super) struct PromptTokens {
    /// Tokens that an earlier prompt of the same tenant had computed.
    pub(super) cached_tokens: u64,
}

impl Content {
    pub(super) fn into_text(self) -> Result<String, ApiError> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Parts(parts) => parts
                .into_iter()
                .map(|part| match part.kind.as_str() {
                    "text" => Ok(part.text),
                    other => Err(ApiError::invalid(
                        "unsupported_content",
                        Some("messages"),
                        format!("content of type `{other}` is not served; `text` is"),
                    )),
                })
                .collect(),
        }
    }
}

/// Parses a body, with the parser's own words on where it went wrong. They name places
/// and fields, never values.
pub(super) fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let what = match error.classify() {
            serde_json::error::Category::Syntax => "is not JSON",
            serde_json::error::Category::Eof => "ends too early to be JSON",
            serde_json::error::Category::Io | serde_json::error::Category::Data => "is not what this endpoint takes",
        };
        let field = error.to_string();
        let field = field.split_once("missing field ").map(|(_, rest)| rest.split('`').nth(1).unwrap_or_default());
        match field {
            Some(field) => ApiError::invalid("missing_field", Some(field), format!("the field `{field}` is missing")),
            None => ApiError::invalid("malformed_json", None, format!("the body {what} ({place})")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_json_says_where_and_never_what() {
        let error = parse::<ChatRequest>(b"{\"model\": secret").err().unwrap();
        assert_eq!(error.message, "the body is not JSON (line 1, column 11)");
        let error = parse::<ChatRequest>(br#"{"messages":[]}"#).err().unwrap();
        assert_eq!((error.code, error.param.as_deref()), ("missing_field", Some("model")));
    }

    #[test]
    fn text_parts_are_joined_and_others_refused() {
        let request: ChatRequest = parse(
            br#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#,
        )
        .unwrap();
        let text = request.messages.into_iter().next().unwrap().content.unwrap().into_text().unwrap();
        assert_eq!(text, "ab");
        let image = Content::Parts(vec![Part { kind: "image_url".into(), text: String::new() }]);
        assert_eq!(image.into_text().unwrap_err().code, "unsupported_content");
    }
}
