//! What filters read and write. Printing any of it shows sizes, never text: prompts and
//! answers stay out of logs.

use std::fmt;

/// A conversation on its way to the model.
#[derive(Clone, PartialEq, Eq)]
pub struct ChatRequest {
    /// The model that will answer.
    pub model: String,
    /// The turns, oldest first.
    pub messages: Vec<Message>,
}

/// One turn of a conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks: "system", "user", "assistant" or "tool", or one of the roles for tools in
    /// docs/specs/plugin-interface.md. What a filter hands back is not checked here; the server
    /// validates it like a client's.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// What a filter decided about a request.
#[derive(Clone, PartialEq, Eq)]
pub enum OnRequest {
    /// Go on with this request. Its model is the one that was asked for.
    Continue(ChatRequest),
    /// Do not ask the model.
    Refuse {
        /// The filter's words for the client. They may quote the prompt: never log them.
        reason: String,
    },
}

impl fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChatRequest({:?}, {} messages)", self.model, self.messages.len())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes)", self.content.len())
    }
}

impl fmt::Debug for OnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue(request) => write!(f, "Continue({request:?})"),
            Self::Refuse { reason } => write!(f, "Refuse({} bytes)", reason.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ChatRequest, Message, OnRequest};

    #[test]
    fn printing_shows_no_text() {
        let message = Message { role: "canary-role".into(), content: "canary-content".into() };
        let request = ChatRequest { model: "m".into(), messages: vec![message.clone()] };
        let refusal = OnRequest::Refuse { reason: "canary-reason".into() };
        let printed = format!("{message:?} {request:?} {refusal:?} {:?}", OnRequest::Continue(request.clone()));
        assert!(!printed.contains("canary"), "{printed}");
    }
}
