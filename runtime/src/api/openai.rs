//! OpenAI's wire types, as far as they are served. A parameter that would change the
//! answer and is not served is an error that names it, never ignored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::ApiError;

/// Stop strings of a request at most (OpenAI's limit).
const STOP_MAX: usize = 4;

/// `POST /v1/chat/completions`.
#[derive(Deserialize)]
pub(super) struct ChatRequest {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
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
    pub(super) top_k: Option<usize>,
    pub(super) seed: Option<u64>,
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
    pub(super) content: Content,
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
    pub(super) prompt_tokens: usize,
    pub(super) completion_tokens: usize,
    pub(super) total_tokens: usize,
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

impl Common {
    /// The stop strings.
    pub(super) fn stops(&self) -> Result<Vec<String>, ApiError> {
        let stops = match &self.stop {
            None => Vec::new(),
            Some(Stop::One(stop)) => vec![stop.clone()],
            Some(Stop::Many(stops)) => stops.clone(),
        };
        if stops.len() > STOP_MAX || stops.iter().any(String::is_empty) {
            let message = format!("`stop` takes up to {STOP_MAX} strings, none of them empty");
            return Err(ApiError::invalid("invalid_value", Some("stop"), message));
        }
        Ok(stops)
    }

    /// Refuses what is out of range or not served.
    pub(super) fn check(&self, other: &Map<String, Value>) -> Result<(), ApiError> {
        if let Some((name, _)) = other.iter().find(|(_, value)| means_something(value)) {
            let message = format!("the parameter `{name}` is not served; leave it out");
            return Err(ApiError::invalid("unsupported_parameter", Some(name), message));
        }
        range("temperature", self.temperature, 0.0, 2.0)?;
        range("top_p", self.top_p, 0.0, 1.0)?;
        if self.n.is_some_and(|n| n != 1) {
            return Err(ApiError::invalid("unsupported_parameter", Some("n"), "`n` other than 1 is not served"));
        }
        if self.max_tokens == Some(0) || self.max_completion_tokens == Some(0) {
            let message = "`max_tokens` must be at least 1";
            return Err(ApiError::invalid("invalid_value", Some("max_tokens"), message));
        }
        Ok(())
    }
}

/// A parameter given as null, false, zero or empty asks for what happens anyway.
fn means_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) => true,
    }
}

fn range(name: &str, value: Option<f32>, least: f32, most: f32) -> Result<(), ApiError> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            let message = format!("`{name}` is {value}; {least} to {most} is wanted");
            Err(ApiError::invalid("invalid_value", Some(name), message))
        }
        _ => Ok(()),
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
    fn parameters_that_would_change_the_answer_are_refused_by_name() {
        let request: ChatRequest =
            parse(br#"{"model":"m","messages":[],"tools":[{"type":"function"}],"presence_penalty":0}"#).unwrap();
        let error = request.common.check(&request.other).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), ("unsupported_parameter", Some("tools")));
        let request: ChatRequest = parse(br#"{"model":"m","messages":[],"logprobs":false,"tools":null}"#).unwrap();
        assert!(request.common.check(&request.other).is_ok());
    }

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
        let text = request.messages.into_iter().next().unwrap().content.into_text().unwrap();
        assert_eq!(text, "ab");
        let image = Content::Parts(vec![Part { kind: "image_url".into(), text: String::new() }]);
        assert_eq!(image.into_text().unwrap_err().code, "unsupported_content");
    }
}
