//! Functions that a model may call: how its template writes calls, and what a call must look like
//! when there has to be one.

use serde_json::{Map, Value, json};

use super::tool_parser::ToolParser;

/// A function that may be called.
#[derive(Clone, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    pub parameters: Option<Map<String, Value>>,
}

/// A call of a function, from an earlier answer.
#[derive(Clone, PartialEq)]
pub struct ToolCall {
    /// The name of the call.
    pub id: String,
    /// The name of the function.
    pub name: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
}

/// How a family of models writes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolFormat {
    /// `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, as often as wanted, beside text: Qwen 2.5
    /// and 3, Hermes.
    Hermes,
    /// The whole answer is `{"name": …, "parameters": {…}}`: Llama 3.
    Llama,
    /// The whole answer is `[TOOL_CALLS] [{"name": …, "arguments": {…}}, …]`: Mistral.
    Mistral,
}

pub(super) const HERMES_OPEN: &str = "<tool_call>";
pub(super) const HERMES_CLOSE: &str = "</tool_call>";
pub(super) const LLAMA_TAG: &str = "<|python_tag|>";
pub(super) const MISTRAL_TAG: &str = "[TOOL_CALLS]";

impl ToolFormat {
    /// The format that a chat template writes; `None` when it takes no tools, or writes calls in a way
    /// that is not known here.
    pub(super) fn of_template(source: &str) -> Option<Self> {
        if !source.contains("tools") {
            return None;
        }
        let has = |text: &str| source.contains(text);
        match () {
            // Qwen 3's coder writes `<function=…>` between the tags.
            () if has(HERMES_OPEN) && !has("<function=") => Some(Self::Hermes),
            () if has(MISTRAL_TAG) && !has("[ARGS]") => Some(Self::Mistral),
            () if has(LLAMA_TAG) || (has("\"parameters\": ") && has("ipython")) => Some(Self::Llama),
            () => None,
        }
    }

    /// What an answer that must be a call begins with: it goes at the prompt's end.
    #[must_use]
    pub fn opening(self) -> &'static str {
        match self {
            Self::Hermes => "<tool_call>\n",
            Self::Llama => "",
            Self::Mistral => MISTRAL_TAG,
        }
    }

    /// The schema of what follows the opening: one call of one of `tools`.
    #[must_use]
    pub fn schema(self, tools: &[Tool]) -> Map<String, Value> {
        let (inside, at) = match self {
            Self::Hermes | Self::Llama => ("", "#"),
            Self::Mistral => ("/items", "#/items"),
        };
        let call = match tools {
            [tool] => self.call(tool, at),
            tools => {
                let call = |(number, tool)| self.call(tool, &format!("#{inside}/anyOf/{number}"));
                json!({ "anyOf": tools.iter().enumerate().map(call).collect::<Vec<_>>() })
            }
        };
        let schema = match self {
            Self::Hermes | Self::Llama => call,
            Self::Mistral => json!({ "type": "array", "minItems": 1, "maxItems": 1, "items": call }),
        };
        match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        }
    }

    /// A reader of one answer. `opened`: the opening stands in the prompt. `most`: calls beyond so many,
    /// and what comes with them, are left out.
    #[must_use]
    pub fn parser(self, tools: &[Tool], opened: bool, most: usize) -> ToolParser {
        ToolParser::new(self, tools.iter().map(|tool| tool.name.clone()).collect(), opened, most)
    }

    /// What the format calls the arguments.
    pub(super) fn arguments(self) -> &'static str {
        match self {
            Self::Hermes | Self::Mistral => "arguments",
            Self::Llama => "parameters",
        }
    }

    /// The schema of a call of `tool`, which stands `at` this place of a schema.
    fn call(self, tool: &Tool, at: &str) -> Value {
        let key = self.arguments();
        let parameters = match &tool.parameters {
            Some(parameters) => moved(&Value::Object(parameters.clone()), &format!("{at}/properties/{key}")),
            None => json!({ "type": "object" }),
        };
        json!({
            "type": "object",
            "properties": { "name": { "const": tool.name }, key: parameters },
            "required": ["name", key],
            "additionalProperties": false,
        })
    }
}

/// A schema that stands inside another: its references to itself name the new place.
fn moved(schema: &Value, to: &str) -> Value {
    match schema {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let inside =
                    value.as_str().filter(|_| name == "$ref").and_then(|reference| reference.strip_prefix('#'));
                let value = match inside {
                    Some(rest) => format!("{to}{}", rest.trim_end_matches('/')).into(),
                    None => moved(value, to),
                };
                (name.clone(), value)
            };
            Value::Object(members.iter().map(member).collect())
        }
        Value::Array(items) => items.iter().map(|item| moved(item, to)).collect(),
        other => other.clone(),
    }
}

/// Contents stay out of logs.
impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tool(…)")
    }
}

/// Contents stay out of logs.
impl std::fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ToolCall(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_what_templates_write() {
        let format = ToolFormat::of_template;
        assert_eq!(format("{% if tools %}<tool_call>{% endif %}"), Some(ToolFormat::Hermes));
        assert_eq!(format("{% if tools %}[TOOL_CALLS]{% endif %}"), Some(ToolFormat::Mistral));
        assert_eq!(format("{{ tools }}{{ '\"parameters\": ' }}ipython"), Some(ToolFormat::Llama));
        for other in ["<tool_call>", "{% if tools %}<tool_call><function=x>{% endif %}", "{{ tools }}", ""] {
            assert_eq!(format(other), None, "{other}");
        }
    }

    #[test]
    fn references_follow_the_schema_to_its_place() {
        let parameters = json!({
            "type": "object", "properties": { "a": { "$ref": "#/$defs/A" }, "b": { "$ref": "#" } },
            "$defs": { "A": { "type": "null" } },
        });
        let tool =
            |name: &str| Tool { name: name.into(), description: None, parameters: parameters.as_object().cloned() };
        let schema = Value::Object(ToolFormat::Llama.schema(&[tool("f"), tool("g")]));
        let properties = &schema["anyOf"][1]["properties"]["parameters"]["properties"];
        assert_eq!(properties["a"]["$ref"], "#/anyOf/1/properties/parameters/$defs/A");
        assert_eq!(properties["b"]["$ref"], "#/anyOf/1/properties/parameters");
        let schema = Value::Object(ToolFormat::Mistral.schema(&[tool("f")]));
        let properties = &schema["items"]["properties"]["arguments"]["properties"];
        assert_eq!(properties["a"]["$ref"], "#/items/properties/arguments/$defs/A");
    }
}
