//! `response_format`: what an answer must be.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use strongroom_engine::{Constraint, ConstraintError, TextModel};

use super::error::ApiError;

/// The request's field.
const FIELD: &str = "response_format";

/// As clients write it.
#[derive(Deserialize)]
pub(super) struct ResponseFormat {
    #[serde(rename = "type")]
    kind: String,
    json_schema: Option<JsonSchema>,
}

/// Its name and description are for people. `strict` or not, the answer follows the schema.
#[derive(Deserialize)]
struct JsonSchema {
    schema: Option<Map<String, Value>>,
}

impl ResponseFormat {
    /// The schema that the answer must follow; `None` for text.
    pub(super) fn schema(self) -> Result<Option<Map<String, Value>>, ApiError> {
        match (self.kind.as_str(), self.json_schema.and_then(|wanted| wanted.schema)) {
            ("text", _) => Ok(None),
            ("json_object", _) => Ok(Some(object())),
            ("json_schema", Some(schema)) => Ok(Some(schema)),
            ("json_schema", None) => {
                let message = "`response_format` of type `json_schema` wants `json_schema` with an object `schema`";
                Err(ApiError::invalid("invalid_value", Some(FIELD), message))
            }
            (other, _) => {
                let message =
                    format!("`response_format` of type `{other}` is not served; text, json_object and json_schema are");
                Err(ApiError::invalid("unsupported_parameter", Some(FIELD), message))
            }
        }
    }
}

/// Any object.
pub(super) fn object() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!("object"))])
}

/// Compiles a schema; `parameter` is the request's name for it. Takes milliseconds.
pub(super) fn compile(
    text: &TextModel,
    schema: &Map<String, Value>,
    parameter: &'static str,
) -> Result<Constraint, ApiError> {
    text.constraint(schema).map_err(|error| match error {
        ConstraintError::TooLarge { .. } | ConstraintError::Schema { .. } => {
            ApiError::invalid("invalid_schema", Some(parameter), error.to_string())
        }
        ConstraintError::Vocabulary => ApiError::invalid("unsupported_parameter", Some(parameter), error.to_string()),
        ConstraintError::Busy => ApiError::busy(),
    })
}
