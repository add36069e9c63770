//! What a chat says to the model: messages, calls, tools. All that a client wrote and the model
//! reads passes the plugins, so tools and calls go to them as messages with roles of their own:
//!
//! | role | content |
//! |---|---|
//! | `tools` | the tools, a JSON list; the first message |
//! | `tool_calls` | the calls of the assistant's message before it, a JSON list |
//! | `tool_call_id` | the name of the call that the `tool` message after it answers |
//!
//! What comes back is read as strictly as what a client sent.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_engine::{ChatMessage, Tool, ToolCall};
use strongroom_plugins as plugin;

use super::error::ApiError;
use super::openai::Message;

/// Roles that a message may have.
const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];
/// Tools of a request at most (OpenAI's limit).
const TOOLS_MAX: usize = 128;
/// Characters of the name of a tool or a call at most (OpenAI's limit).
const NAME_MAX: usize = 64;

/// The roles that only plugins see.
const TOOLS: &str = "tools";
const TOOL_CALLS: &str = "tool_calls";
const TOOL_CALL_ID: &str = "tool_call_id";

/// A chat.
pub(super) struct Conversation {
    pub(super) messages: Vec<ChatMessage>,
    pub(super) tools: Vec<Tool>,
}

/// A tool, as OpenAI writes it.
#[derive(Deserialize, Serialize)]
pub(super) struct WireTool {
    #[serde(rename = "type")]
    kind: String,
    function: WireFunction,
}

#[derive(Deserialize, Serialize)]
struct WireFunction {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Map<String, Value>>,
}

/// A call, as OpenAI writes it.
#[derive(Deserialize, Serialize)]
pub(super) struct WireCall {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    function: WireCalled,
}

#[derive(Deserialize, Serialize)]
struct WireCalled {
    name: String,
    /// A JSON object, as a string.
    arguments: String,
}

impl Conversation {
    /// What a client sent.
    pub(super) fn read(messages: Vec<Message>, tools: Vec<WireTool>) -> Result<Self, ApiError> {
        if messages.is_empty() {
            return Err(invalid("messages", "`messages` is empty"));
        }
        let messages = messages.into_iter().map(message).collect::<Result<_, _>>()?;
        Ok(Self { messages, tools: read_tools(tools)? })
    }

    /// As plugins see it.
    pub(super) fn into_plugins(self) -> Vec<plugin::Message> {
        let as_message = |role: &str, content: String| plugin::Message { role: role.to_owned(), content };
        let mut messages = Vec::with_capacity(self.messages.len());
        if !self.tools.is_empty() {
            messages.push(as_message(TOOLS, json_text(&self.tools.iter().map(write_tool).collect::<Vec<_>>())));
        }
        for message in self.messages {
            messages.extend(message.tool_call_id.map(|id| as_message(TOOL_CALL_ID, id)));
            messages.push(as_message(&message.role, message.content));
            if !message.tool_calls.is_empty() {
                let calls: Vec<WireCall> = message.tool_calls.iter().map(write_call).collect();
                messages.push(as_message(TOOL_CALLS, json_text(&calls)));
            }
        }
        messages
    }

    /// What plugins handed back.
    pub(super) fn from_plugins(messages: Vec<plugin::Message>) -> Result<Self, ApiError> {
        let mut conversation = Self { messages: Vec::new(), tools: Vec::new() };
        let mut id = None;
        for plugin::Message { role, content } in messages {
            match role.as_str() {
                TOOLS => conversation.tools = read_tools(parsed(&content)?)?,
                TOOL_CALL_ID => id = Some(name(content)?),
                TOOL_CALLS => {
                    let calls: Vec<WireCall> = parsed(&content)?;
                    let message = conversation.messages.last_mut().filter(|message| message.role == "assistant");
                    message.ok_or_else(changed)?.tool_calls =
                        calls.into_iter().map(read_call).collect::<Result<_, _>>()?;
                }
                _ => {
                    let message = ChatMessage::new(known_role(role)?, content);
                    conversation.messages.push(ChatMessage { tool_call_id: id.take(), ..message });
                }
            }
        }
        Ok(conversation)
    }
}

fn message(message: Message) -> Result<ChatMessage, ApiError> {
    let role = known_role(message.role)?;
    let calls = message.tool_calls.unwrap_or_default();
    if role != "assistant" && !calls.is_empty() {
        return Err(invalid("messages", "only a message of the assistant has `tool_calls`"));
    }
    if role == "tool" && message.tool_call_id.is_none() {
        return Err(invalid("messages", "a message of role `tool` wants `tool_call_id`"));
    }
    let content = match message.content {
        Some(content) => content.into_text()?,
        None if !calls.is_empty() => String::new(),
        None => {
            return Err(ApiError::invalid("missing_field", Some("content"), "the field `content` is missing"));
        }
    };
    Ok(ChatMessage {
        tool_calls: calls.into_iter().map(read_call).collect::<Result<_, _>>()?,
        tool_call_id: message.tool_call_id.filter(|_| role == "tool").map(name).transpose()?,
        ..ChatMessage::new(role, content)
    })
}

fn known_role(role: String) -> Result<String, ApiError> {
    if !ROLES.contains(&role.as_str()) {
        return Err(invalid("messages", format!("a message's role is not one of {}", ROLES.join(", "))));
    }
    // What newer clients call developer, the models know as system.
    Ok(if role == "developer" { "system".into() } else { role })
}

fn read_tools(tools: Vec<WireTool>) -> Result<Vec<Tool>, ApiError> {
    if tools.len() > TOOLS_MAX {
        return Err(invalid("tools", format!("`tools` has {} functions, at most {TOOLS_MAX} are taken", tools.len())));
    }
    tools
        .into_iter()
        .map(|tool| {
            if tool.kind != "function" {
                return Err(invalid("tools", "a tool's type is not `function`"));
            }
            let WireFunction { name, description, parameters } = tool.function;
            Ok(Tool { name: self::name(name)?, description, parameters })
        })
        .collect()
}

fn write_tool(tool: &Tool) -> WireTool {
    let Tool { name, description, parameters } = tool.clone();
    WireTool { kind: "function".into(), function: WireFunction { name, description, parameters } }
}

fn read_call(call: WireCall) -> Result<ToolCall, ApiError> {
    let arguments = match call.function.arguments.trim() {
        "" => Map::new(),
        text => serde_json::from_str(text)
            .map_err(|_| invalid("messages", "the `arguments` of a call are not a JSON object as a string"))?,
    };
    Ok(ToolCall { id: name(call.id)?, name: name(call.function.name)?, arguments })
}

fn write_call(call: &ToolCall) -> WireCall {
    let arguments = Value::Object(call.arguments.clone()).to_string();
    let function = WireCalled { name: call.name.clone(), arguments };
    WireCall { id: call.id.clone(), kind: "function".into(), function }
}

/// The name of a tool or of a call.
fn name(name: String) -> Result<String, ApiError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(name);
    }
    let message = format!("names of tools and calls have 1 to {NAME_MAX} of a-z, A-Z, 0-9, _ and -");
    Err(ApiError::invalid("invalid_value", Some("tools"), message))
}

fn json_text(value: &impl Serialize) -> String {
    // Strings and JSON always have a JSON form.
    serde_json::to_string(value).unwrap_or_default()
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    serde_json::from_str(text).map_err(|_| changed())
}

fn changed() -> ApiError {
    invalid("messages", "a plugin made of the tools or their calls what is none")
}

fn invalid(parameter: &str, message: impl Into<String>) -> ApiError {
    ApiError::invalid("invalid_value", Some(parameter), message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::openai::{ChatRequest, parse};
    use super::*;

    fn conversation() -> Conversation {
        let body = json!({
            "model": "m",
            "tools": [{ "type": "function", "function": {
                "name": "weather", "description": "of a place", "parameters": { "type": "object", "a": 1 },
            }}],
            "messages": [
                { "role": "developer", "content": "be brief" },
                { "role": "user", "content": "weather?" },
                { "role": "assistant", "content": null, "tool_calls": [
                    { "id": "call_1", "type": "function", "function": { "name": "weather", "arguments": "{\"z\": 1, \"a\": 2}" } },
                ]},
                { "role": "tool", "tool_call_id": "call_1", "content": "sunny" },
            ],
        });
        let request: ChatRequest = parse(body.to_string().as_bytes()).unwrap();
        Conversation::read(request.messages, request.tools.unwrap_or_default()).unwrap()
    }

    #[test]
    fn plugins_see_everything_and_hand_it_back() {
        let (messages, tools) = (conversation().messages, conversation().tools);
        let seen = conversation().into_plugins();
        let roles: Vec<&str> = seen.iter().map(|message| message.role.as_str()).collect();
        assert_eq!(roles, ["tools", "system", "user", "assistant", "tool_calls", "tool_call_id", "tool"]);
        assert!(seen[0].content.contains("of a place") && seen[4].content.contains("weather"));
        let back = Conversation::from_plugins(seen).unwrap();
        assert!(back.messages == messages && back.tools == tools);
    }

    #[test]
    fn what_a_plugin_breaks_is_refused() {
        for (index, content) in [(0, "[{}]"), (0, "no JSON"), (4, "[]]"), (5, "a b")] {
            let mut seen = conversation().into_plugins();
            seen[index].content = content.into();
            assert!(Conversation::from_plugins(seen).is_err(), "{index} {content}");
        }
        let mut seen = conversation().into_plugins();
        seen.swap(3, 4);
        assert!(Conversation::from_plugins(seen).is_err());
        let strange = plugin::Message { role: "emperor".into(), content: String::new() };
        assert!(Conversation::from_plugins(vec![strange]).is_err());
    }

    #[test]
    fn messages_that_do_not_fit_are_refused() {
        let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "[]" } });
        for message in [
            json!({ "role": "user" }),
            json!({ "role": "tool", "content": "x" }),
            json!({ "role": "tool", "content": "x", "tool_call_id": "a b" }),
            json!({ "role": "assistant", "tool_calls": [call] }),
            json!({ "role": "user", "content": "x", "tool_calls": [
                { "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } }] }),
        ] {
            let body = json!({ "model": "m", "messages": [message] });
            let request: ChatRequest = parse(body.to_string().as_bytes()).unwrap();
            assert!(Conversation::read(request.messages, Vec::new()).is_err(), "{message}");
        }
    }
}
