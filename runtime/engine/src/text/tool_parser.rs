//! Calls in an answer, read as it comes. What begins like a call and turns out to be none, or names
//! a function that was not offered, is text like any other: nothing of an answer is lost.

use serde_json::{Deserializer, Map, Value};

use super::tools::{HERMES_CLOSE, HERMES_OPEN, LLAMA_TAG, MISTRAL_TAG, ToolFormat};
use crate::engine::overlap;

/// A part of an answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Said {
    /// Text for people.
    Text(String),
    /// A call, whole.
    Call {
        /// The function.
        name: String,
        /// Its arguments, a JSON object.
        arguments: String,
    },
}

/// The reader of one answer.
pub struct ToolParser {
    format: ToolFormat,
    /// Functions that were offered.
    names: Vec<String>,
    most: usize,
    calls: usize,
    state: State,
    /// What is not decided yet.
    held: String,
    /// Since a call there was nothing but white space, which is left out.
    between: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The beginning decides whether the whole answer is one.
    Beginning,
    /// Text, between calls where the format has them there.
    Text,
    /// Inside a call, or an answer that may be one.
    Call,
    /// There were as many calls as are wanted.
    Over,
}

impl ToolParser {
    pub(super) fn new(format: ToolFormat, names: Vec<String>, opened: bool, most: usize) -> Self {
        let state = match (format, opened) {
            (_, true) => State::Call,
            (ToolFormat::Hermes, false) => State::Text,
            (ToolFormat::Llama | ToolFormat::Mistral, false) => State::Beginning,
        };
        Self { format, names, most, calls: 0, state, held: String::new(), between: false }
    }

    /// Takes the next piece of the answer.
    pub fn push(&mut self, piece: &str) -> Vec<Said> {
        self.held.push_str(piece);
        let mut said = Vec::new();
        while self.step(&mut said) {}
        said
    }

    /// What was held back, once the answer has ended.
    pub fn finish(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Call => self.call(&held, "", &mut said),
            State::Beginning | State::Text => self.text(&held, &mut said),
            State::Over => {}
        }
        said
    }

    /// One decision; false when more text is wanted for the next.
    fn step(&mut self, said: &mut Vec<Said>) -> bool {
        match self.state {
            State::Beginning => self.begin(),
            State::Text => self.pass(said),
            State::Call => self.close(said),
            State::Over => {
                self.held.clear();
                false
            }
        }
    }

    fn begin(&mut self) -> bool {
        let start = self.held.trim_start();
        let beginnings: &[&str] = match self.format {
            ToolFormat::Llama => &[LLAMA_TAG, "{"],
            // A tokenizer may show the tag or not.
            ToolFormat::Hermes | ToolFormat::Mistral => &[MISTRAL_TAG, "[{"],
        };
        if beginnings.iter().any(|beginning| start.starts_with(beginning)) {
            self.state = State::Call;
        } else if !beginnings.iter().any(|beginning| beginning.starts_with(start)) {
            self.state = State::Text;
        } else {
            return false;
        }
        true
    }

    fn pass(&mut self, said: &mut Vec<Said>) -> bool {
        let found = self.held.find(HERMES_OPEN).filter(|_| self.format == ToolFormat::Hermes);
        let keep = match (found, self.format) {
            (Some(at), _) => self.held.len() - at,
            (None, ToolFormat::Hermes) => overlap(&self.held, HERMES_OPEN),
            (None, _) => 0,
        };
        let rest = self.held.split_off(self.held.len() - keep);
        let text = std::mem::replace(&mut self.held, rest);
        self.text(&text, said);
        if found.is_some() {
            self.held.drain(..HERMES_OPEN.len());
            self.state = State::Call;
        }
        found.is_some()
    }

    fn close(&mut self, said: &mut Vec<Said>) -> bool {
        if self.format != ToolFormat::Hermes {
            return false;
        }
        let Some(end) = self.held.find(HERMES_CLOSE) else { return false };
        let rest = self.held.split_off(end + HERMES_CLOSE.len());
        let mut call = std::mem::replace(&mut self.held, rest);
        call.truncate(end);
        self.state = State::Text;
        self.call(&call, HERMES_CLOSE, said);
        true
    }

    /// What stood where calls stand, and its end.
    fn call(&mut self, text: &str, close: &str, said: &mut Vec<Said>) {
        let Some(calls) = self.read(text) else {
            let open = if self.format == ToolFormat::Hermes { HERMES_OPEN } else { "" };
            return self.text(&format!("{open}{text}{close}"), said);
        };
        for call in calls {
            if self.calls < self.most {
                self.calls += 1;
                said.push(call);
            }
        }
        self.between = true;
        if self.calls >= self.most {
            self.state = State::Over;
        }
    }

    fn text(&mut self, text: &str, said: &mut Vec<Said>) {
        let text = if self.between { text.trim_start() } else { text };
        if !text.is_empty() {
            self.between = false;
            said.push(Said::Text(text.to_owned()));
        }
    }

    /// The calls, if it is nothing else.
    fn read(&self, text: &str) -> Option<Vec<Said>> {
        let text = text.trim();
        match self.format {
            ToolFormat::Hermes => Some(vec![self.one(&serde_json::from_str(text).ok()?)?]),
            ToolFormat::Mistral => {
                let list = text.strip_prefix(MISTRAL_TAG).unwrap_or(text);
                let list: Vec<Value> = serde_json::from_str(list).ok()?;
                list.iter().map(|call| self.one(call)).collect::<Option<Vec<_>>>().filter(|calls| !calls.is_empty())
            }
            ToolFormat::Llama => {
                let mut rest = text.strip_prefix(LLAMA_TAG).unwrap_or(text);
                let mut calls = Vec::new();
                // One or several, with semicolons between them.
                while !rest.trim().is_empty() {
                    let mut values = Deserializer::from_str(rest).into_iter::<Value>();
                    calls.push(self.one(&values.next()?.ok()?)?);
                    rest = rest.get(values.byte_offset()..)?.trim_start();
                    rest = rest.strip_prefix(';').unwrap_or(rest);
                }
                Some(calls).filter(|calls| !calls.is_empty())
            }
        }
    }

    fn one(&self, call: &Value) -> Option<Said> {
        let name = call.get("name")?.as_str()?;
        if !self.names.iter().any(|known| known == name) {
            return None;
        }
        let arguments = match call.get(self.format.arguments()) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(arguments)) => arguments.clone(),
            // Some models write the JSON as a string.
            Some(Value::String(text)) => serde_json::from_str(text).ok()?,
            Some(_) => return None,
        };
        Some(Said::Call { name: name.to_owned(), arguments: Value::Object(arguments).to_string() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parser(format: ToolFormat, opened: bool, most: usize) -> ToolParser {
        ToolParser::new(format, vec!["f".into(), "g".into()], opened, most)
    }

    /// Text, and calls as `name arguments`, from pieces of so many bytes.
    fn read(mut parser: ToolParser, answer: &str, size: usize) -> (String, Vec<String>) {
        let (mut text, mut calls) = (String::new(), Vec::new());
        let mut said = Vec::new();
        let characters: Vec<char> = answer.chars().collect();
        for piece in characters.chunks(size) {
            said.extend(parser.push(&piece.iter().collect::<String>()));
        }
        said.extend(parser.finish());
        for part in said {
            match part {
                Said::Text(piece) => text.push_str(&piece),
                Said::Call { name, arguments } => calls.push(format!("{name} {arguments}")),
            }
        }
        (text, calls)
    }

    #[test]
    fn each_format_in_pieces_of_any_size() {
        use ToolFormat::{Hermes, Llama, Mistral};
        let two = vec!["f {\"b\":1,\"a\":[\"x\"]}".to_owned(), "g {}".to_owned()];
        let f = r#"{"name": "f", "arguments": {"b": 1, "a": ["x"]}}"#;
        let cases = [
            (
                Hermes,
                format!("I ask. <tool_call>\n{f}\n</tool_call>\n<tool_call>{{\"name\": \"g\"}}</tool_call>\n"),
                "I ask. ",
            ),
            (Llama, r#"{"name": "f", "parameters": {"b": 1, "a": ["x"]}}; {"name": "g", "parameters": {}}"#.into(), ""),
            (Llama, r#"<|python_tag|>{"name": "f", "parameters": {"b": 1, "a": ["x"]}}{"name": "g"}"#.into(), ""),
            (Mistral, format!("[TOOL_CALLS] [{f}, {{\"name\": \"g\"}}]"), ""),
            (Mistral, format!(" [{f}, {{\"name\": \"g\", \"arguments\": \"{{}}\"}}]"), ""),
        ];
        for (format, answer, text) in cases {
            for size in 1..answer.len() {
                assert_eq!(read(parser(format, false, 9), &answer, size), (text.to_owned(), two.clone()), "{answer}");
            }
        }
    }

    #[test]
    fn what_is_no_call_is_text() {
        use ToolFormat::{Hermes, Llama, Mistral};
        let cases = [
            (Hermes, "a < b <tool_call"),
            (Hermes, "<tool_call>{\"name\": \"rm\"}</tool_call>"),
            (Hermes, "<tool_call>not JSON</tool_call> and on"),
            (Hermes, "<tool_call>{\"name\": \"f\", \"arguments\": 5}"),
            (Llama, "{\"name\": \"f\"} is how one calls"),
            (Llama, "The braces {} mean"),
            (Llama, "<tool_call>{\"name\": \"f\"}</tool_call>"),
            (Mistral, "[TOOL_CALLS] []"),
            (Mistral, "[1, 2]"),
            (Mistral, "[TOOL"),
        ];
        for (format, answer) in cases {
            for size in 1..=answer.len() {
                assert_eq!(read(parser(format, false, 9), answer, size), (answer.to_owned(), vec![]));
            }
        }
    }

    #[test]
    fn text_is_passed_on_as_it_comes() {
        let mut parser = parser(ToolFormat::Hermes, false, 9);
        assert!(parser.push("Good <t") == [Said::Text("Good ".into())]);
        assert!(parser.push("ea>") == [Said::Text("<tea>".into())]);
    }

    #[test]
    fn calls_beyond_the_most_are_left_out() {
        let call = "<tool_call>{\"name\": \"f\"}</tool_call>";
        let found = read(parser(ToolFormat::Hermes, false, 1), &format!("{call}{call} more"), 3);
        assert_eq!(found, (String::new(), vec!["f {}".to_owned()]));
    }

    #[test]
    fn an_opened_call_ends_with_the_answer() {
        let found = read(parser(ToolFormat::Hermes, true, 9), "{\"name\": \"g\"}", 2);
        assert_eq!(found, (String::new(), vec!["g {}".to_owned()]));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            answer in "([ab{}\\[\\]\"<>]|<tool_call>|</tool_call>|\\{\"name\":\"f\"\\}|\\[TOOL_CALLS\\]){0,12}",
            size in 1usize..5,
        ) {
            for format in [ToolFormat::Hermes, ToolFormat::Llama, ToolFormat::Mistral] {
                let whole = read(parser(format, false, 9), &answer, usize::MAX);
                prop_assert_eq!(read(parser(format, false, 9), &answer, size), whole);
            }
        }
    }
}
