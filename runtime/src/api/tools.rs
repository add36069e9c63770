//! Which tools an answer may call, or must.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use strongroom_engine::{Said, TextModel, Tool, ToolFormat, ToolParser};

use super::error::ApiError;

/// `tool_choice`, as clients write it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum ToolChoice {
    /// `none`, `auto` or `required`.
    Word(String),
    /// One of them.
    Named { function: NamedFunction },
}

#[derive(Deserialize)]
pub(super) struct NamedFunction {
    name: String,
}

/// What becomes of a request's tools.
pub(super) struct ToolUse {
    format: ToolFormat,
    /// Those that may be called.
    pub(super) tools: Vec<Tool>,
    /// One must be called.
    pub(super) must: bool,
    most: usize,
}

impl ToolUse {
    /// `None` where nothing may be called.
    pub(super) fn new(
        mut tools: Vec<Tool>,
        choice: Option<&ToolChoice>,
        parallel: Option<bool>,
        text: &TextModel,
    ) -> Result<Option<Self>, ApiError> {
        let refused = |code, parameter, message: &str| Err(ApiError::invalid(code, Some(parameter), message));
        let must = match choice {
            None => false,
            Some(ToolChoice::Word(word)) => match word.as_str() {
                "none" => return Ok(None),
                "auto" => false,
                "required" => true,
                _ => {
                    return refused(
                        "invalid_value",
                        "tool_choice",
                        "`tool_choice` is none, auto, required or one of the tools",
                    );
                }
            },
            Some(ToolChoice::Named { function }) => {
                tools.retain(|tool| tool.name == function.name);
                if tools.is_empty() {
                    return refused("invalid_value", "tool_choice", "`tool_choice` names no function of `tools`");
                }
                true
            }
        };
        match (text.tool_format(), tools.is_empty()) {
            (_, true) if must => refused("invalid_value", "tool_choice", "`tool_choice` wants `tools`"),
            (_, true) => Ok(None),
            (None, false) => refused("unsupported_parameter", "tools", "this model's chat template takes no tools"),
            (Some(format), false) => {
                let most = if parallel == Some(false) { 1 } else { usize::MAX };
                Ok(Some(Self { format, tools, must, most }))
            }
        }
    }

    /// What the prompt ends with, and the schema of what must follow.
    pub(super) fn forced(&self) -> Option<(&'static str, Map<String, Value>)> {
        self.must.then(|| (self.format.opening(), self.format.schema(&self.tools)))
    }

    /// A reader of one answer.
    pub(super) fn parser(&self) -> ToolParser {
        self.format.parser(&self.tools, self.must, self.most)
    }
}

/// What an answer says, call by call.
pub(super) struct Reader {
    /// The ids of its calls begin so.
    id: String,
    parser: Option<ToolParser>,
    pub(super) calls: usize,
}

/// A part of an answer, as it is told.
pub(super) enum Part {
    Text(String),
    /// The number of a call, and the call as an entry of `tool_calls`.
    Call(usize, Value),
}

impl Reader {
    /// `id` is the answer's, and names a choice of it.
    pub(super) fn new(id: String, tools: Option<&ToolUse>) -> Self {
        Self { id, parser: tools.map(ToolUse::parser), calls: 0 }
    }

    pub(super) fn push(&mut self, text: &str) -> Vec<Part> {
        match &mut self.parser {
            Some(parser) => {
                let said = parser.push(text);
                self.told(said)
            }
            None => vec![Part::Text(text.to_owned())],
        }
    }

    pub(super) fn finish(&mut self) -> Vec<Part> {
        let said = self.parser.as_mut().map(ToolParser::finish).unwrap_or_default();
        self.told(said)
    }

    /// OpenAI's name of how it ended.
    pub(super) fn reason<'a>(&self, reason: &'a str) -> &'a str {
        if self.calls > 0 && reason == "stop" { "tool_calls" } else { reason }
    }

    fn told(&mut self, said: Vec<Said>) -> Vec<Part> {
        let part = |said| match said {
            Said::Text(text) => Part::Text(text),
            Said::Call { name, arguments } => {
                let index = self.calls;
                self.calls += 1;
                let id = format!("call_{}_{index}", self.id);
                let function = json!({ "name": name, "arguments": arguments });
                Part::Call(index, json!({ "id": id, "type": "function", "function": function }))
            }
        };
        said.into_iter().map(part).collect()
    }
}
