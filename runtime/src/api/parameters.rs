//! The parameters of a request that say how its answer is drawn: checked, and as the engine
//! wants them. What each does, and in which order, is in the engine's `sampling.rs`.

use serde_json::{Map, Number, Value};
use strongroom_engine::GenerationRequest;

use super::error::ApiError;
use super::openai::{Common, Stop};

/// Stop strings of a request at most (OpenAI's limit).
const STOP_MAX: usize = 4;
/// Answers of one request at most: each takes a place of its own.
const CHOICES_MAX: u64 = 16;
/// Tokens that `logit_bias` may name.
const BIASES_MAX: usize = 1024;

impl Common {
    /// Refuses what is out of range or not served.
    pub(super) fn check(&self, other: &Map<String, Value>) -> Result<(), ApiError> {
        refuse_unknown(other)?;
        range("temperature", self.temperature, 0.0, 2.0)?;
        range("top_p", self.top_p, 0.0, 1.0)?;
        range("min_p", self.min_p, 0.0, 1.0)?;
        range("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        range("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        range("repetition_penalty", self.repetition_penalty, 0.01, 10.0)?;
        range("n", self.n, 1, CHOICES_MAX)?;
        range("top_k", self.top_k, -1, i64::from(u32::MAX))?;
        self.biases()?;
        if self.max_tokens == Some(0) || self.max_completion_tokens == Some(0) {
            let message = "`max_tokens` must be at least 1";
            return Err(ApiError::invalid("invalid_value", Some("max_tokens"), message));
        }
        Ok(())
    }

    /// What the engine is asked for: at most `max_tokens` after `prompt`.
    pub(super) fn request(&self, prompt: Vec<u32>, max_tokens: usize) -> Result<GenerationRequest, ApiError> {
        Ok(GenerationRequest {
            temperature: self.temperature.unwrap_or(1.0),
            // 0 asks for the likeliest token alone.
            top_p: self.top_p.unwrap_or(1.0).max(f32::MIN_POSITIVE),
            // -1 is how some clients write "all".
            top_k: self.top_k.and_then(|count| usize::try_from(count).ok()).unwrap_or(0),
            min_p: self.min_p.unwrap_or(0.0),
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            repetition_penalty: self.repetition_penalty.unwrap_or(1.0),
            logit_bias: self.biases()?,
            choices: self.choices(),
            seed: self.seed.as_ref().map_or_else(random_seed, seed)?,
            stop: self.stops()?,
            ..GenerationRequest::greedy(prompt, max_tokens)
        })
    }

    /// How many answers are wanted.
    pub(super) fn choices(&self) -> usize {
        self.n.and_then(|n| usize::try_from(n).ok()).unwrap_or(1)
    }

    /// Tokens, and what is added to their scores.
    fn biases(&self) -> Result<Vec<(u32, f32)>, ApiError> {
        let invalid = |message: String| ApiError::invalid("invalid_value", Some("logit_bias"), message);
        let biases = self.logit_bias.iter().flatten();
        if biases.clone().count() > BIASES_MAX {
            return Err(invalid(format!("`logit_bias` names more than {BIASES_MAX} tokens")));
        }
        biases
            .map(|(token, &bias)| {
                let token =
                    token.parse().map_err(|_| invalid("`logit_bias` wants numbers of tokens as names".into()))?;
                range("logit_bias", Some(bias), -100.0, 100.0)?;
                Ok((token, bias))
            })
            .collect()
    }

    /// The stop strings.
    fn stops(&self) -> Result<Vec<String>, ApiError> {
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
}

/// Refuses parameters that nothing here knows.
pub(super) fn refuse_unknown(other: &Map<String, Value>) -> Result<(), ApiError> {
    match other.iter().find(|(_, value)| means_something(value)) {
        Some((name, _)) => {
            let message = format!("the parameter `{name}` is not served; leave it out");
            Err(ApiError::invalid("unsupported_parameter", Some(name), message))
        }
        None => Ok(()),
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

fn range<T: PartialOrd + Copy + std::fmt::Display>(
    name: &str,
    value: Option<T>,
    least: T,
    most: T,
) -> Result<(), ApiError> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            let message = format!("`{name}` is {value}; {least} to {most} is wanted");
            Err(ApiError::invalid("invalid_value", Some(name), message))
        }
        _ => Ok(()),
    }
}

/// Any whole number is a seed.
fn seed(number: &Number) -> Result<u64, ApiError> {
    let whole = number.as_u64().or_else(|| number.as_i64().map(i64::cast_unsigned));
    whole.ok_or_else(|| ApiError::invalid("invalid_value", Some("seed"), "`seed` wants a whole number of 64 bits"))
}

fn random_seed() -> Result<u64, ApiError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|_| ApiError::internal())?;
    Ok(u64::from_le_bytes(seed))
}

#[cfg(test)]
mod tests {
    use super::super::openai::{ChatRequest, parse};

    #[test]
    fn parameters_that_would_change_the_answer_are_refused_by_name() {
        let request: ChatRequest =
            parse(br#"{"model":"m","messages":[],"audio":{"voice":"x"},"presence_penalty":0}"#).unwrap();
        let error = request.common.check(&request.other).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), ("unsupported_parameter", Some("audio")));
        let request: ChatRequest = parse(br#"{"model":"m","messages":[],"logprobs":false,"audio":null}"#).unwrap();
        assert!(request.common.check(&request.other).is_ok());
    }

    #[test]
    fn what_clients_write_becomes_what_the_engine_wants() {
        let request: ChatRequest = parse(
            br#"{"model":"m","messages":[],"top_k":-1,"top_p":0,"seed":-1,"n":3,"min_p":0.25,
                 "logit_bias":{"7":-100,"12":3.5},"presence_penalty":-2,"repetition_penalty":1.1}"#,
        )
        .unwrap();
        request.common.check(&request.other).unwrap();
        let wanted = request.common.request(vec![1], 9).unwrap();
        assert_eq!((wanted.top_k, wanted.seed, wanted.choices, wanted.max_tokens), (0, u64::MAX, 3, 9));
        assert!(wanted.top_p > 0.0 && wanted.top_p < 1e-30);
        assert_eq!(wanted.logit_bias, [(12, 3.5), (7, -100.0)]);
        assert_eq!((wanted.min_p, wanted.presence_penalty, wanted.repetition_penalty), (0.25, -2.0, 1.1));
    }
}
