//! From messages to tokens, so that nothing a user writes becomes a special token.
//!
//! A template mixes its own text, in which `<|im_end|>` ends a turn, with the users' contents,
//! in which it must be ten ordinary characters. The rendered text alone does not tell them
//! apart. So, before rendering, every character of a content with which some special token
//! begins or ends (`<` and `>` as a rule) is replaced by a stand-in, a private-use character
//! that occurs neither in a content nor in the template. Then:
//!
//! 1. the template renders; strings pass through it whole, trimmed, or cut;
//! 2. special tokens are looked for in the result: none can begin or end in a content, because
//!    the characters for it are not there;
//! 3. in the text between them, stand-ins turn back into the characters they stand for;
//! 4. each piece is tokenized as plain text, by a tokenizer that knows no special tokens, without the
//!    white space that the special token before it takes in some models.
//!
//! Tools and their calls are treated the same, every string and every name in them, though a template
//! writes them as JSON: a stand-in passes through that too (were `"` itself the edge of a special
//! token, the JSON in the prompt would lack its escapes, and still hold no special token).
//!
//! Roles are a closed set and are passed as they are. What remains is a template that by its own
//! design encloses a content in the two halves of a special token; the template is the model
//! publisher's word on how prompts look, and such a one would be meant so.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::template::{ChatTemplate, Conversation};
use super::tokenizer::Tokenizer;
use super::{ChatMessage, Tool, ToolCall};
use crate::error::{TemplateError, TokenizeError};

/// The private-use planes, from which stand-ins are taken.
const PRIVATE: std::ops::Range<u32> = 0xF_0000..0xF_FFFE;

/// The prompt's tokens. See the module for why they are made this way.
pub(super) fn encode_chat(
    template: &ChatTemplate,
    tokenizer: &Tokenizer,
    conversation: Conversation<'_>,
    add_generation_prompt: bool,
    opening: &str,
) -> Result<Vec<u32>, TemplateError> {
    let stand_ins = StandIns::new(tokenizer, template.source(), &conversation)?;
    let messages: Vec<ChatMessage> =
        conversation.messages.iter().map(|message| stand_ins.hide_message(message)).collect();
    let tools: Vec<Tool> = conversation.tools.iter().map(|tool| stand_ins.hide_tool(tool)).collect();
    let hidden = Conversation { messages: &messages, tools: &tools };
    let rendered = template.render(hidden, add_generation_prompt)? + opening;
    let mut tokens: Vec<u32> = Vec::new();
    for piece in split(&rendered, tokenizer.specials()) {
        match piece {
            Piece::Special(token) => tokens.push(token),
            // Of two texts in a row there is none: the last token is the special one before this text.
            Piece::Text(text) => {
                let trims = tokens.last().is_some_and(|&before| tokenizer.trims_behind(before));
                let text = if trims { text.trim_start() } else { text };
                let part = tokenizer.encode_part(&stand_ins.reveal(text), tokens.is_empty())?;
                tokens.extend(part);
            }
        }
    }
    Ok(tokens)
}

/// The characters to hide, and the first of the characters that stand for them.
struct StandIns {
    hidden: Vec<char>,
    first: u32,
}

impl StandIns {
    fn new(tokenizer: &Tokenizer, template: &str, conversation: &Conversation<'_>) -> Result<Self, TokenizeError> {
        let edges: BTreeSet<char> = tokenizer
            .specials()
            .iter()
            .flat_map(|(text, _)| [text.chars().next(), text.chars().next_back()])
            .flatten()
            .collect();
        let hidden: Vec<char> = edges.into_iter().collect();
        let mut used = BTreeSet::new();
        let mut note = |text: &str| used.extend(text.chars().map(u32::from).filter(|number| PRIVATE.contains(number)));
        note(template);
        for message in conversation.messages {
            note(&message.content);
            note(message.tool_call_id.as_deref().unwrap_or_default());
            for call in &message.tool_calls {
                note(&call.id);
                note(&call.name);
                // JSON writes private characters as they are.
                note(&Value::Object(call.arguments.clone()).to_string());
            }
        }
        for tool in conversation.tools {
            note(&tool.name);
            note(tool.description.as_deref().unwrap_or_default());
            note(&Value::Object(tool.parameters.clone().unwrap_or_default()).to_string());
        }
        // A run of unused private characters, long enough for all.
        let length = hidden.len() as u32;
        let mut first = PRIVATE.start;
        while let Some(&taken) = used.range(first..first.saturating_add(length)).next_back() {
            first = taken + 1;
        }
        if first.saturating_add(length) > PRIVATE.end {
            return Err(TokenizeError);
        }
        Ok(Self { hidden, first })
    }

    fn hide(&self, content: &str) -> String {
        let stand_in = |character| {
            let index = self.hidden.binary_search(&character).ok()?;
            char::from_u32(self.first + index as u32)
        };
        content.chars().map(|character| stand_in(character).unwrap_or(character)).collect()
    }

    fn hide_message(&self, message: &ChatMessage) -> ChatMessage {
        let hide_call = |call: &ToolCall| ToolCall {
            id: self.hide(&call.id),
            name: self.hide(&call.name),
            arguments: self.hide_members(&call.arguments),
        };
        ChatMessage {
            role: message.role.clone(),
            content: self.hide(&message.content),
            tool_calls: message.tool_calls.iter().map(hide_call).collect(),
            tool_call_id: message.tool_call_id.as_deref().map(|id| self.hide(id)),
        }
    }

    fn hide_tool(&self, tool: &Tool) -> Tool {
        Tool {
            name: self.hide(&tool.name),
            description: tool.description.as_deref().map(|text| self.hide(text)),
            parameters: tool.parameters.as_ref().map(|schema| self.hide_members(schema)),
        }
    }

    fn hide_members(&self, members: &Map<String, Value>) -> Map<String, Value> {
        members.iter().map(|(name, value)| (self.hide(name), self.hide_value(value))).collect()
    }

    fn hide_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.hide(text).into(),
            Value::Array(items) => items.iter().map(|item| self.hide_value(item)).collect(),
            Value::Object(members) => self.hide_members(members).into(),
            other => other.clone(),
        }
    }

    fn reveal(&self, text: &str) -> String {
        let original = |character| {
            let index = u32::from(character).checked_sub(self.first)?;
            self.hidden.get(index as usize).copied()
        };
        text.chars().map(|character| original(character).unwrap_or(character)).collect()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Special(u32),
}

/// Cuts `text` at special tokens, which are sorted: at the earliest, and of those at the longest.
fn split<'a>(text: &'a str, specials: &[(String, u32)]) -> Vec<Piece<'a>> {
    let beginnings: BTreeSet<char> = specials.iter().filter_map(|(special, _)| special.chars().next()).collect();
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = text[at..].find(|character| beginnings.contains(&character)) {
        at += found;
        let rest = &text[at..];
        if let Some((special, token)) = longest(rest, specials) {
            if from < at {
                pieces.push(Piece::Text(&text[from..at]));
            }
            pieces.push(Piece::Special(*token));
            at += special.len();
            from = at;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    if from < text.len() {
        pieces.push(Piece::Text(&text[from..]));
    }
    pieces
}

/// The longest of the sorted `specials` that `text` begins with. A vocabulary may have a million of them,
/// and a prompt as many places where one could begin, so they are not tried one by one.
fn longest<'a>(text: &str, specials: &'a [(String, u32)]) -> Option<&'a (String, u32)> {
    let mut head = text.as_bytes();
    loop {
        // Whatever `head` begins with is not after it in the order, and it begins with nothing longer than
        // what it shares with the last one that is not after it.
        let before = specials.partition_point(|(special, _)| special.as_bytes() <= head);
        let candidate = specials.get(before.checked_sub(1)?)?;
        let shared = candidate.0.bytes().zip(head).take_while(|(one, other)| one == *other).count();
        if shared == candidate.0.len() {
            return Some(candidate);
        }
        head = &head[..shared];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_special_token_wins() {
        let specials = [("<|a|>".to_owned(), 1), ("<|a|>b".to_owned(), 2)];
        let pieces = split("x<|a|><|a|>b<|", &specials);
        assert_eq!(pieces, [Piece::Text("x"), Piece::Special(1), Piece::Special(2), Piece::Text("<|")]);
        assert_eq!(split("", &specials), []);
        assert_eq!(split("é<é", &specials), [Piece::Text("é<é")]);
    }

    #[test]
    fn one_that_begins_like_another_is_found_behind_it() {
        let sorted = ["<", "<a", "<ab", "<abcd", "<b", "é"].map(|text| (text.to_owned(), text.len() as u32));
        for (text, wanted) in
            [("<abce", Some(3)), ("<abcd", Some(5)), ("<ac", Some(2)), ("<c", Some(1)), ("ab", None), ("éa", Some(2))]
        {
            assert_eq!(longest(text, &sorted).map(|(_, len)| *len), wanted, "{text}");
        }
        assert_eq!(longest("<abcd", &[]), None);
    }

    proptest::proptest! {
        #[test]
        fn the_search_finds_what_trying_all_finds(
            specials in proptest::collection::btree_set("[ab]{1,6}", 0..20),
            text in "[abc]{0,10}",
        ) {
            let sorted: Vec<_> = specials.into_iter().zip(0..).collect();
            let tried = sorted.iter().filter(|(special, _)| text.starts_with(special.as_str()));
            proptest::prop_assert_eq!(longest(&text, &sorted), tried.max_by_key(|(special, _)| special.len()));
        }
    }

    #[test]
    fn stand_ins_avoid_what_users_write() {
        let hidden = vec!['<', '>'];
        let stand_ins = StandIns { hidden, first: PRIVATE.start };
        let text = "a<|im_end|>b";
        let hidden = stand_ins.hide(text);
        assert!(!hidden.contains('<') && !hidden.contains('>'));
        assert_eq!(stand_ins.reveal(&hidden), text);
    }
}
