//! A model's chat template (Jinja), run with limits and without reach: no loader, no clock
//! (`strftime_now` is undefined, for which templates bring a default), no randomness.

use std::error::Error as _;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, Error, ErrorKind, context};
use serde::Serialize;
use serde_json::json;

use super::{ChatMessage, Tool, ToolCall, python};
use crate::error::{EngineError, TemplateError};
use crate::limits::{
    TEMPLATE_BYTES, TEMPLATE_FUEL, TEMPLATE_INDENT, TEMPLATE_OUTPUT_BYTES, TEMPLATE_RECURSION, TEMPLATE_REFUSAL,
};

const NAME: &str = "chat_template";
const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];

/// What a template renders.
#[derive(Clone, Copy)]
pub(super) struct Conversation<'a> {
    pub(super) messages: &'a [ChatMessage],
    pub(super) tools: &'a [Tool],
}

/// A compiled template.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    start_text: String,
    end_text: String,
}

impl ChatTemplate {
    pub(super) fn new(source: &str, start_text: String, end_text: String) -> Result<Self, EngineError> {
        if source.len() > TEMPLATE_BYTES {
            let reason = format!("{} bytes, the limit is {TEMPLATE_BYTES}", source.len());
            return Err(EngineError::malformed("the chat template", reason));
        }
        let mut environment = Environment::new();
        // As the reference renderer sets them.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| EngineError::malformed("the chat template", error.to_string()))?);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_fuel(Some(TEMPLATE_FUEL));
        environment.set_recursion_limit(TEMPLATE_RECURSION);
        // Errors must not carry the variables, which are prompts.
        environment.set_debug(false);
        environment.set_unknown_method_callback(python::method);
        environment.add_filter("tojson", tojson);
        environment.add_filter("indent", indent);
        // They make long values of a number in one instruction, and templates have no use for them.
        for filter in ["batch", "slice", "format"] {
            environment.remove_filter(filter);
        }
        environment.add_function("raise_exception", raise_exception);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| {
            EngineError::malformed(
                "the chat template",
                format!("{} in line {}", error.kind(), error.line().unwrap_or(0)),
            )
        })?;
        Ok(Self { environment, source: source.to_owned(), start_text, end_text })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn render(
        &self,
        conversation: Conversation<'_>,
        add_generation_prompt: bool,
    ) -> Result<String, TemplateError> {
        let Conversation { messages, tools } = conversation;
        if messages.is_empty() {
            return Err(TemplateError::NoMessages);
        }
        if let Some(other) = messages.iter().find(|message| !ROLES.contains(&message.role.as_str())) {
            return Err(TemplateError::Role { found: other.role.chars().take(64).collect() });
        }
        let messages: Vec<Value> = messages.iter().map(as_value).collect();
        // Templates ask whether there are any with a plain `if`.
        let tools = (!tools.is_empty()).then(|| Value::from(Serde(tools.iter().map(definition).collect::<Vec<_>>())));
        let variables = context! {
            messages,
            tools,
            add_generation_prompt,
            bos_token => self.start_text.as_str(),
            eos_token => self.end_text.as_str(),
        };
        let mut output = Capped(Vec::new());
        let template = self.environment.get_template(NAME).map_err(|error| explain(&error))?;
        template.render_captured_to(variables, &mut output).map_err(|error| explain(&error))?;
        String::from_utf8(output.0).map_err(|_| TemplateError::Broken { reason: "it wrote half a character".into() })
    }
}

/// A message. What it does not have is not defined: templates ask for `'tool_calls' in message`.
fn as_value(message: &ChatMessage) -> Value {
    let mut fields = vec![("role", Value::from(message.role.as_str())), ("content", message.content.as_str().into())];
    if !message.tool_calls.is_empty() {
        let call = |call: &ToolCall| {
            json!({
                "id": call.id, "type": "function",
                "function": { "name": call.name, "arguments": call.arguments },
            })
        };
        fields.push(("tool_calls", Value::from(Serde(message.tool_calls.iter().map(call).collect::<Vec<_>>()))));
    }
    fields.extend(message.tool_call_id.as_deref().map(|id| ("tool_call_id", id.into())));
    Value::from_pairs(fields)
}

/// A tool in the shape, and the order, that models were trained on.
fn definition(tool: &Tool) -> serde_json::Value {
    let mut function = serde_json::Map::from_iter([("name".to_owned(), tool.name.as_str().into())]);
    function.extend(tool.description.as_deref().map(|text| ("description".to_owned(), text.into())));
    function.extend(tool.parameters.clone().map(|schema| ("parameters".to_owned(), schema.into())));
    json!({ "type": "function", "function": function })
}

/// Output with a limit.
struct Capped(Vec<u8>);

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > TEMPLATE_OUTPUT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a template said with `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(String);

fn raise_exception(reason: &str) -> Result<Value, Error> {
    let refusal = Refusal(reason.chars().take(TEMPLATE_REFUSAL).collect());
    Err(Error::new(ErrorKind::InvalidOperation, "the template refuses").with_source(refusal))
}

fn explain(error: &Error) -> TemplateError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(Refusal(reason)) = cause.downcast_ref() {
            return TemplateError::Refused { reason: reason.clone() };
        }
        source = cause.source();
    }
    match error.kind() {
        ErrorKind::OutOfFuel => TemplateError::Limit { what: "instructions" },
        ErrorKind::WriteFailure => TemplateError::Limit { what: "output" },
        // The detail may quote a message.
        kind => TemplateError::Broken { reason: format!("{kind} in line {}", error.line().unwrap_or(0)) },
    }
}

/// Jinja's filter, for a width that a prompt could want; minijinja's own takes any.
#[expect(clippy::needless_pass_by_value, reason = "minijinja hands arguments over by value")]
fn indent(text: &str, width: Option<usize>, options: Kwargs) -> Result<String, Error> {
    let width = width.or(options.get("width")?).unwrap_or(4);
    let first = options.get::<Option<bool>>("first")?.unwrap_or(false);
    let blank = options.get::<Option<bool>>("blank")?.unwrap_or(false);
    options.assert_all_used()?;
    if width > TEMPLATE_INDENT {
        return Err(Error::new(ErrorKind::InvalidOperation, "too wide"));
    }
    let spaces = " ".repeat(width);
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n').enumerate();
    let mut indented = String::new();
    for (number, line) in lines {
        if number > 0 {
            indented.push('\n');
        }
        if (number > 0 || first) && (blank || !line.is_empty()) {
            indented.push_str(&spaces);
        }
        indented.push_str(line);
    }
    Ok(indented)
}

/// JSON as Python writes it, which is what models were trained on; minijinja's own filter
/// escapes for HTML.
#[expect(clippy::needless_pass_by_value, reason = "minijinja hands arguments over by value")]
fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    for ignored in ["ensure_ascii", "sort_keys", "separators"] {
        let _: Option<Value> = options.get(ignored)?;
    }
    options.assert_all_used()?;
    let mut bytes = Vec::new();
    let result = match indent {
        Some(width) => {
            let spaces = vec![b' '; width.min(16)];
            let formatter = serde_json::ser::PrettyFormatter::with_indent(&spaces);
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, python::JsonSpacing)),
    };
    result.map_err(|_| Error::new(ErrorKind::BadSerialization, "not JSON"))?;
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::BadSerialization, "not JSON"))
}
