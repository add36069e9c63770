//! `POST /v1/embeddings`: a vector for each text. There is no stream, and no answer in words.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_channel::receipt::Finish;
use strongroom_engine::{EmbedError, EncoderHandle, EncoderText};
use strongroom_plugins as plugin;

use super::deadline::Deadline;
use super::error::ApiError;
use super::identity::Tenant;
use super::receipts::{Facts, ReceiptSlot};
use super::{App, generate, identity, limits, openai, parameters};
use crate::budgets::Reservation;
use crate::model::ServedModel;
use crate::plugins::Pipeline;
use crate::serving::Served;

/// Texts of a request at most (OpenAI's limit).
const TEXTS_MAX: usize = 2048;
/// Tokens of all of them together (OpenAI's limit).
const TOKENS_MAX: usize = 300_000;
/// Bytes that the numbers of an answer may take: it is held back whole, and so is bounded (`gateway/respond.rs`).
const ANSWER_MAX: usize = 7 << 20;

/// The request.
#[derive(Deserialize)]
struct Request {
    model: String,
    input: Input,
    encoding_format: Option<String>,
    dimensions: Option<usize>,
    #[serde(rename = "user")]
    _user: Option<String>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// What is to be embedded.
#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    Lists(Vec<Vec<u32>>),
}

/// How vectors are written.
#[derive(Clone, Copy)]
enum Format {
    Float,
    /// The little-endian bytes of single precision.
    Base64,
}

/// The answer. Numbers go from single precision to text at once: by way of [`Value`] they would have twice the
/// digits.
#[derive(Serialize)]
struct Answer<'a> {
    object: &'static str,
    data: Vec<Embedding>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Written,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written {
    Numbers(Vec<f32>),
    Bytes(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

pub(super) async fn create(
    State(app): State<App>,
    Extension(served): Extension<Arc<Served>>,
    Extension(slot): Extension<ReceiptSlot>,
    Extension(tenant): Extension<Tenant>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    generate::want_json(&headers)?;
    let deadline = Deadline::new(&headers, app.answer_time)?;
    let request: Request = openai::parse(&body)?;
    parameters::refuse_unknown(&request.other)?;
    let model = identity::model_of(&served, &request.model)?;
    let encoder = identity::encoder_of(model)?;
    let text = encoder.text().clone();
    let format = Format::of(request.encoding_format.as_deref())?;
    check(&request, format, &text, &served.plugins)?;

    let plugins = served.plugins.clone();
    let tokens = generate::off_executor(move || tokens(&text, &plugins, request.model, request.input)).await?;
    let prompt_tokens: usize = tokens.iter().map(Vec::len).sum();
    if prompt_tokens > TOKENS_MAX {
        let message = format!("`input` has {prompt_tokens} tokens, at most {TOKENS_MAX} are taken; send fewer texts");
        return Err(invalid(message));
    }

    let reservation = app.budgets.reserve(&tenant.0, prompt_tokens as u64).map_err(limits::refused)?;
    app.metrics.requests.inc();
    let vectors = embed(&app, model, encoder, tokens, deadline, reservation).await?;
    slot.put(Facts {
        model_id: model.id,
        model_name: model.name.clone(),
        plugins: served.plugins.digests(),
        prompt_tokens: prompt_tokens as u64,
        completion_tokens: 0,
        finish: Finish::Stop,
    });
    let numbered = vectors.into_iter().enumerate();
    let one = |(index, vector)| Embedding { object: "embedding", index, embedding: format.written(vector) };
    let usage = Usage { prompt_tokens, total_tokens: prompt_tokens };
    let answer = Answer { object: "list", data: numbered.map(one).collect(), model: &model.name, usage };
    Ok(Json(answer).into_response())
}

/// What can be said before a text is looked at.
fn check(request: &Request, format: Format, text: &EncoderText, plugins: &Pipeline) -> Result<(), ApiError> {
    let (wanted, given) = (request.dimensions, text.dimensions());
    if let Some(wanted) = wanted.filter(|&wanted| wanted != given) {
        let message = format!("`dimensions` is {wanted}; this model's embeddings have {given}, and no other number");
        return Err(ApiError::invalid("invalid_value", Some("dimensions"), message));
    }
    // A plugin that reads answers reads words: it would never see these.
    if plugins.reads_answers() {
        let message = "embeddings are not served where a plugin reads the answers: it cannot read them";
        return Err(ApiError::invalid("unsupported_endpoint", None, message));
    }
    let count = match &request.input {
        Input::Text(_) | Input::Tokens(_) => 1,
        Input::Texts(texts) => texts.len(),
        Input::Lists(lists) => lists.len(),
    };
    if count > TEXTS_MAX {
        return Err(invalid(format!("`input` has {count} texts; 1 to {TEXTS_MAX} are wanted")));
    }
    let most = ANSWER_MAX / format.bytes(given);
    if count > most {
        let message = format!(
            "`input` has {count} texts; at most {most} are answered at once in this `encoding_format`: send fewer, \
             or ask for base64"
        );
        return Err(invalid(message));
    }
    Ok(())
}

/// The tokens of each text, after every plugin.
fn tokens(text: &EncoderText, plugins: &Pipeline, model: String, input: Input) -> Result<Vec<Vec<u32>>, ApiError> {
    let texts = match input {
        Input::Text(text) => vec![text],
        Input::Texts(texts) => texts,
        Input::Tokens(tokens) => return lists(text, plugins, &[tokens]),
        Input::Lists(all) => return lists(text, plugins, &all),
    };
    refuse_empty(texts.is_empty() || texts.iter().any(String::is_empty))?;
    let texts = filtered(plugins, model, texts)?;
    texts.iter().enumerate().map(|(number, one)| text.encode(one).map_err(|error| refused(&error, number))).collect()
}

/// Texts that come as tokens. They are no text that a plugin could read.
fn lists(text: &EncoderText, plugins: &Pipeline, all: &[Vec<u32>]) -> Result<Vec<Vec<u32>>, ApiError> {
    refuse_empty(all.is_empty() || all.iter().any(Vec::is_empty))?;
    if !plugins.digests().is_empty() {
        let message = "`input` as tokens is not served where plugins read what is asked: send text";
        return Err(ApiError::invalid("unsupported_content", Some("input"), message));
    }
    all.iter().enumerate().map(|(number, one)| text.surround(one).map_err(|error| refused(&error, number))).collect()
}

/// The texts after every plugin, which sees each as a message of a user. What it hands back is as many of
/// them, or nothing is embedded.
fn filtered(plugins: &Pipeline, model: String, texts: Vec<String>) -> Result<Vec<String>, ApiError> {
    let count = texts.len();
    let messages = texts.into_iter().map(|content| plugin::Message { role: "user".into(), content }).collect();
    let messages = plugins.on_request(plugin::ChatRequest { model, messages })?.messages;
    if messages.len() != count || messages.iter().any(|message| message.role != "user") {
        return Err(invalid("a plugin made of the texts what is not as many texts".into()));
    }
    Ok(messages.into_iter().map(|message| message.content).collect())
}

/// Waits for the vectors. Going away cancels the work, which counts: how much of it was done is not known.
async fn embed(
    app: &App,
    model: &ServedModel,
    encoder: &EncoderHandle,
    tokens: Vec<Vec<u32>>,
    deadline: Deadline,
    mut reservation: Reservation,
) -> Result<Vec<Vec<f32>>, ApiError> {
    let mut breaks = model.breaks().ok_or_else(|| ApiError::model_loading(&model.name))?;
    reservation.used(tokens.iter().map(|text| text.len() as u64).sum());
    let vectors = tokio::select! {
        biased;
        // The lease ended or the broker fell silent; an error means that the model is gone.
        _ = breaks.changed() => return Err(ApiError::loading()),
        () = deadline.passed() => return Err(deadline.error()),
        vectors = encoder.embed(tokens) => vectors,
    };
    vectors.map_err(|error| match error {
        EmbedError::Busy { .. } => {
            reservation.not_used();
            ApiError::busy()
        }
        EmbedError::Stopped if app.serving.now().is_none() => ApiError::loading(),
        _ => ApiError::internal(),
    })
}

/// The blame for text number `number`.
fn refused(error: &EmbedError, number: usize) -> ApiError {
    match error {
        EmbedError::TooLong { tokens, limit } => ApiError::invalid(
            "context_length_exceeded",
            Some("input"),
            format!("text {number} has {tokens} tokens, at most {limit} fit into the model's context; shorten it"),
        ),
        EmbedError::Token { token } => invalid(format!("text {number} has {token}, which is no token of a text")),
        EmbedError::Empty => invalid(format!("text {number} is empty")),
        EmbedError::Busy { .. } | EmbedError::NotFinite | EmbedError::Stopped => ApiError::internal(),
    }
}

fn refuse_empty(is_empty: bool) -> Result<(), ApiError> {
    match is_empty {
        true => Err(invalid("`input` is empty, or has an empty text".into())),
        false => Ok(()),
    }
}

fn invalid(message: String) -> ApiError {
    ApiError::invalid("invalid_value", Some("input"), message)
}

impl Format {
    fn of(name: Option<&str>) -> Result<Self, ApiError> {
        match name {
            None | Some("float") => Ok(Self::Float),
            Some("base64") => Ok(Self::Base64),
            Some(_) => {
                let message = "`encoding_format` is float or base64";
                Err(ApiError::invalid("invalid_value", Some("encoding_format"), message))
            }
        }
    }

    /// Bytes that a vector of so many numbers, and what is around it, takes at most.
    fn bytes(self, numbers: usize) -> usize {
        const AROUND: usize = 64;
        match self {
            Self::Float => AROUND + 16 * numbers,
            Self::Base64 => AROUND + (4 * numbers).div_ceil(3) * 4,
        }
    }

    fn written(self, vector: Vec<f32>) -> Written {
        match self {
            Self::Float => Written::Numbers(vector),
            Self::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Written::Bytes(STANDARD.encode(bytes))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(input: &Value) -> Result<Request, ApiError> {
        openai::parse(json!({ "model": "m", "input": input }).to_string().as_bytes())
    }

    #[test]
    fn each_form_of_input_is_understood() {
        assert!(matches!(request(&json!("a")).unwrap().input, Input::Text(text) if text == "a"));
        assert!(matches!(request(&json!(["a", "b"])).unwrap().input, Input::Texts(texts) if texts.len() == 2));
        assert!(matches!(request(&json!([1, 2, 3])).unwrap().input, Input::Tokens(tokens) if tokens == [1, 2, 3]));
        assert!(matches!(request(&json!([[1], [2, 3]])).unwrap().input, Input::Lists(lists) if lists.len() == 2));
        for input in [json!(1), json!(["a", 1]), json!([-1]), json!({}), json!(null), json!([[["a"]]])] {
            assert!(request(&input).is_err(), "{input}");
        }
    }

    #[test]
    fn vectors_are_written_as_numbers_or_bytes() {
        let written = |name: &str, vector: &[f32]| {
            let format = Format::of(Some(name)).unwrap();
            let text = serde_json::to_string(&format.written(vector.to_vec())).unwrap();
            assert!(text.len() + 50 < format.bytes(vector.len()));
            text
        };
        assert_eq!(written("float", &[0.1, -1.0]), "[0.1,-1.0]");
        assert_eq!(written("base64", &[0.5, -1.0]), "\"AAAAPwAAgL8=\"");
        written("float", &[-1.234_567_9e-10; 400]);
        assert!(Format::of(Some("int8")).is_err());
    }
}
