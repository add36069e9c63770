//! Answers that a JSON schema allows, and no others: before each token, those that cannot go on
//! to a document of the schema are forbidden. The schema comes from a client, so its size, the
//! work of compiling it and the work for each token are bounded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::earley::SlicedBiasComputer;
use llguidance::{Matcher, ParserFactory};
use serde_json::{Map, Value, json};
use toktrie::{ApproximateTokEnv, InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie};

use super::tokenizer::Tokenizer;
use crate::error::{ConstraintError, EngineError};
use crate::limits::{
    COMPILING, GRAMMAR_ITEMS, GRAMMAR_SIZE, LEXER_STATES, QUOTED, SCHEMA_BYTES, SCHEMA_FUEL, STEP_FUEL,
};

/// White space between the parts of a document: enough for deep indentation, and an end for models
/// that would go on with it for ever.
const WHITE_SPACE: &str = r"[\x20\x0A\x0D\x09]{1,64}";

/// What an answer must be, and how far it is.
pub struct Constraint(Matcher);

/// Each answer of a request goes its own way.
impl Clone for Constraint {
    fn clone(&self) -> Self {
        Self(self.0.deep_clone())
    }
}

impl Constraint {
    /// The tokens that may come next.
    pub(crate) fn allowed(&mut self) -> Result<SimpleVob, EngineError> {
        // The library's words may quote the answer.
        self.0.compute_mask_or_eos().map_err(|_| EngineError::Constraint)
    }

    /// A token came. True when the document is whole and nothing may follow.
    pub(crate) fn accept(&mut self, token: u32) -> Result<bool, EngineError> {
        self.0.consume_token(token).map_err(|_| EngineError::Constraint)?;
        Ok(self.0.is_stopped())
    }
}

/// What all constraints of a model share: its vocabulary as a tree of bytes.
pub(super) struct Grammars {
    factory: ParserFactory,
    /// Schemas that are being compiled.
    compiling: AtomicUsize,
}

/// A place among those; dropping it frees it.
struct Compiling<'a>(&'a AtomicUsize);

impl Drop for Compiling<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Grammars {
    /// `end` is the token that ends a turn.
    pub(super) fn new(tokenizer: &Tokenizer, end: u32) -> Result<Self, ConstraintError> {
        // The tree has limits of its own, which it holds by panicking: a model's file may pass them.
        catch_unwind(AssertUnwindSafe(|| Self::build(tokenizer, end))).ok().flatten().ok_or(ConstraintError::Vocabulary)
    }

    fn build(tokenizer: &Tokenizer, end: u32) -> Option<Self> {
        let count = u32::try_from(tokenizer.len()).ok()?;
        let word = |token: u32| {
            let bytes = tokenizer.bytes(token);
            // What gives no text must never be taken for some.
            let special = tokenizer.special_text(token).filter(|_| bytes.is_empty());
            match special {
                Some(name) => [&[TokTrie::SPECIAL_TOKEN_MARKER], name.as_bytes()].concat(),
                None => bytes.to_vec(),
            }
        };
        let words: Vec<Vec<u8>> = (0..count).map(word).collect();
        let trie = TokTrie::from(&TokRxInfo::new(count, end), &words);
        // "Approximate": tokens are chosen by the model alone, and none are forced.
        let vocabulary: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = SlicedBiasComputer::json_slices();
        let mut factory = ParserFactory::new(&vocabulary, InferenceCapabilities::default(), &slices).ok()?;
        factory.quiet();
        *factory.limits_mut() = ParserLimits {
            initial_lexer_fuel: SCHEMA_FUEL,
            step_lexer_fuel: STEP_FUEL,
            step_max_items: GRAMMAR_ITEMS,
            max_grammar_size: GRAMMAR_SIZE,
            max_lexer_states: LEXER_STATES,
            verbose_errors: false,
            ..ParserLimits::default()
        };
        Some(Self { factory, compiling: AtomicUsize::new(0) })
    }

    pub(super) fn compile(&self, mut schema: Map<String, Value>) -> Result<Constraint, ConstraintError> {
        let bytes = serde_json::to_vec(&schema).map_or(usize::MAX, |json| json.len());
        if bytes > SCHEMA_BYTES {
            return Err(ConstraintError::TooLarge { bytes, limit: SCHEMA_BYTES });
        }
        let room = |running: usize| (running < COMPILING).then_some(running + 1);
        let place = self.compiling.fetch_update(Ordering::AcqRel, Ordering::Acquire, room);
        let _place = place.map(|_| Compiling(&self.compiling)).map_err(|_| ConstraintError::Busy)?;
        // The library takes its options from here; they are ours to choose.
        schema.insert("x-guidance".into(), json!({ "whitespace_pattern": WHITE_SPACE }));
        let grammar = TopLevelGrammar::from_json_schema(Value::Object(schema));
        let compiled = catch_unwind(AssertUnwindSafe(|| Matcher::new(self.factory.create_parser(grammar))));
        let matcher = compiled.map_err(|_| refused("the library failed on it"))?;
        match matcher.get_error() {
            None => Ok(Constraint(matcher)),
            // Behind a panic's words comes a backtrace.
            Some(error) if error.contains("panic") => Err(refused("the library failed on it")),
            Some(error) => Err(refused(&error)),
        }
    }
}

fn refused(reason: &str) -> ConstraintError {
    ConstraintError::Schema { reason: reason.chars().take(QUOTED).collect() }
}

#[cfg(test)]
mod tests;
