//! Everything between text and tokens: tokenizer, chat template, special tokens.

mod alphabet;
mod constraint;
mod decoder;
mod prompt;
mod python;
mod sentencepiece;
mod source;
mod spaces;
mod template;
mod tokenizer;
mod tool_parser;
mod tools;
mod whole;

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use crate::error::{ConstraintError, EngineError, TemplateError, TokenizeError};
use crate::families::Family;
use crate::limits::TURN_ENDS;
use constraint::Grammars;
use template::{ChatTemplate, Conversation};
use tokenizer::Tokenizer;

pub(crate) use alphabet::character;
pub use constraint::Constraint;
pub use decoder::Decoder;
pub(crate) use source::{TextParts, from_gguf, from_json, json_tokens};
pub(crate) use tokenizer::Kind;
#[cfg(test)]
pub(crate) use tokenizer::{Method, Splitting, Vocabulary};
pub use tool_parser::{Said, ToolParser};
pub use tools::{Tool, ToolCall, ToolFormat};

/// One message of a chat.
#[derive(Clone, PartialEq)]
pub struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What it says: any text, taken literally.
    pub content: String,
    /// Functions that the assistant called.
    pub tool_calls: Vec<ToolCall>,
    /// The call that a message of a tool answers.
    pub tool_call_id: Option<String>,
}

impl ChatMessage {
    /// A message that calls nothing and answers no call.
    #[must_use]
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), tool_calls: Vec::new(), tool_call_id: None }
    }
}

/// Contents stay out of logs.
impl std::fmt::Debug for ChatMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChatMessage({}, {} bytes)", self.role, self.content.len())
    }
}

/// A model's tokenizer, chat template and special tokens. Shared by the server, which turns
/// messages into tokens, and the engine, which turns tokens into text.
pub struct TextModel {
    tokenizer: Arc<Tokenizer>,
    template: Option<ChatTemplate>,
    /// The token that starts a text, where the model wants one before plain completions.
    start: Option<u32>,
    /// Tokens that end a turn.
    ends: Vec<u32>,
    context: usize,
    family: &'static Family,
    /// Made when first wanted.
    grammars: OnceLock<Result<Grammars, ConstraintError>>,
}

impl TextModel {
    pub(crate) fn new(parts: TextParts, family: &'static Family, context: usize) -> Result<Self, EngineError> {
        let TextParts { vocabulary, start, ends, template, start_text, end_text } = parts;
        let tokenizer = Tokenizer::new(vocabulary)?;
        if ends.is_empty() || ends.iter().any(|&token| token as usize >= tokenizer.len()) {
            return Err(EngineError::malformed("the tokenizer", "no token ends a turn"));
        }
        if ends.len() > TURN_ENDS {
            return Err(EngineError::malformed("the tokenizer", format!("{} tokens end a turn", ends.len())));
        }
        let template = template.map(|source| ChatTemplate::new(&source, start_text, end_text)).transpose()?;
        let (tokenizer, grammars) = (Arc::new(tokenizer), OnceLock::new());
        Ok(Self { tokenizer, template, start, ends, context, family, grammars })
    }

    /// The tokens of a plain text. What looks like a special token in it is only text.
    ///
    /// # Errors
    /// [`TokenizeError`] for a text that the model's splitting rule gives up on.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        self.tokenizer.encode(text)
    }

    /// The same with the token that starts a text in front, where the model was trained with
    /// one: the prompt of a plain completion.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_completion(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        let mut tokens: Vec<u32> = self.start.into_iter().collect();
        tokens.extend(self.encode(text)?);
        Ok(tokens)
    }

    /// The prompt of a chat: the template's special tokens as such, the messages' contents as
    /// plain text whatever they contain.
    ///
    /// # Errors
    /// [`TemplateError`] says who is to blame: messages, template, or limits.
    pub fn encode_chat(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<Vec<u32>, TemplateError> {
        let conversation = Conversation { messages, tools: &[] };
        prompt::encode_chat(self.template()?, &self.tokenizer, conversation, add_generation_prompt, "")
    }

    /// The same with functions that the model may call. `opening` is what its answer begins with
    /// ([`ToolFormat::opening`] where it must be a call): our text, as trusted as the template.
    ///
    /// # Errors
    /// As [`Self::encode_chat`].
    pub fn encode_tool_chat(
        &self,
        messages: &[ChatMessage],
        tools: &[Tool],
        opening: &'static str,
    ) -> Result<Vec<u32>, TemplateError> {
        prompt::encode_chat(self.template()?, &self.tokenizer, Conversation { messages, tools }, true, opening)
    }

    /// How the model writes calls of functions; `None` where its template takes none, or in a way that
    /// is not known here.
    #[must_use]
    pub fn tool_format(&self) -> Option<ToolFormat> {
        ToolFormat::of_template(self.template.as_ref()?.source())
    }

    /// The rendered template, to look at. Its tokens are *not* `encode` of it, since a text does
    /// not say which of its parts came from a user: see [`Self::encode_chat`].
    ///
    /// # Errors
    /// As [`Self::encode_chat`].
    pub fn apply_chat_template(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<String, TemplateError> {
        self.template()?.render(Conversation { messages, tools: &[] }, add_generation_prompt)
    }

    /// Holds an answer to a JSON schema. Takes milliseconds, and the first time longer: the vocabulary
    /// is sorted then.
    ///
    /// # Errors
    /// [`ConstraintError`] when the schema is too large, is none, or asks for what is not supported.
    pub fn constraint(&self, schema: &Map<String, Value>) -> Result<Constraint, ConstraintError> {
        let grammars = self.grammars.get_or_init(|| Grammars::new(&self.tokenizer, self.end_of_turn()));
        grammars.as_ref().map_err(Clone::clone)?.compile(schema.clone())
    }

    /// A decoder for one answer.
    #[must_use]
    pub fn decoder(&self) -> Decoder {
        Decoder::new(self.tokenizer.clone())
    }

    /// The text of some tokens, special ones left out, broken characters replaced.
    #[must_use]
    pub fn decode(&self, tokens: &[u32]) -> String {
        let mut decoder = self.decoder();
        let mut text: String = tokens.iter().map(|&token| decoder.push(token)).collect();
        text.push_str(&decoder.finish());
        text
    }

    /// Positions that a sequence may have, prompt and answer together.
    #[must_use]
    pub fn context_length(&self) -> usize {
        self.context
    }

    /// The model's family, as its file names it.
    #[must_use]
    pub fn architecture(&self) -> &'static str {
        self.family.name
    }

    /// Number of tokens.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.tokenizer.len()
    }

    /// Whether the model brings a chat template.
    #[must_use]
    pub fn has_chat_template(&self) -> bool {
        self.template.is_some()
    }

    /// The bytes of a token; for a special one, its name.
    pub(crate) fn token_bytes(&self, token: u32) -> &[u8] {
        self.tokenizer.special_text(token).map_or_else(|| self.tokenizer.bytes(token), str::as_bytes)
    }

    pub(crate) fn ends_turn(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    pub(crate) fn end_of_turn(&self) -> u32 {
        self.ends[0]
    }

    pub(crate) fn is_special(&self, token: u32) -> bool {
        self.tokenizer.is_special(token)
    }

    fn template(&self) -> Result<&ChatTemplate, TemplateError> {
        self.template.as_ref().ok_or(TemplateError::Absent)
    }
}

#[cfg(test)]
mod sentencepiece_tests;
#[cfg(test)]
mod tests;
