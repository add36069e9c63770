//! Errors by cause: the model's files, what this engine supports, the machine.

use std::io;

use crate::limits::QUOTED;

/// Why a model could not be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No file of the model is one that the engine reads.
    #[error("no model weights found: wanted one *.gguf file, or config.json with model.safetensors (found: {found})")]
    NoWeights {
        /// The names that were there.
        found: String,
    },
    /// A file that the model needs is missing.
    #[error("the model has no file {path}")]
    MissingFile {
        /// Its path inside the model.
        path: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// Its path inside the model.
        path: String,
        /// What reading said.
        source: io::Error,
    },
    /// A file is not what it says it is, or passes a limit.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// Which file or part.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The model is of a family that this engine has no code for.
    #[error("unknown architecture {found:?}; this engine knows {known}")]
    UnknownArchitecture {
        /// What the model says it is.
        found: String,
        /// The names that would have been understood.
        known: String,
    },
    /// The family is known, but the model uses something of it that is not.
    #[error("{feature} is not supported: {found}")]
    Unsupported {
        /// Which part of the model.
        feature: &'static str,
        /// What it asks for.
        found: String,
    },
    /// A weight is absent.
    #[error("the model has no tensor {name}")]
    MissingTensor {
        /// Its name in the file.
        name: String,
    },
    /// A weight has another shape than the model's own figures imply.
    #[error("tensor {name} has shape {found:?}, wanted {wanted:?}")]
    TensorShape {
        /// Its name in the file.
        name: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// The shape that the configuration implies.
        wanted: Vec<usize>,
    },
    /// The model computed something that is not a number.
    #[error("the model computed no finite score for any token")]
    NotFinite,
    /// What an answer must follow took more work than it may, or allows nothing that the model can say.
    #[error("the answer's schema took too much work, or allows no token")]
    Constraint,
    /// Tensor arithmetic failed.
    #[error("tensor arithmetic failed")]
    Arithmetic(#[from] candle_core::Error),
    /// The machine gave no memory for weights, keys or values.
    #[error("not enough memory for the model")]
    Memory(#[source] io::Error),
    /// The operating system gave no thread.
    #[error("cannot start the engine's thread")]
    Thread(#[source] io::Error),
}

impl EngineError {
    pub(crate) fn malformed(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Malformed { what, reason: quoted(reason.into()) }
    }

    pub(crate) fn unsupported(feature: &'static str, found: impl Into<String>) -> Self {
        Self::Unsupported { feature, found: quoted(found.into()) }
    }

    pub(crate) fn missing_file(path: impl Into<String>) -> Self {
        Self::MissingFile { path: quoted(path.into()) }
    }
}

/// What a file says of itself, cut to what a reader of errors can use: it may have megabytes.
fn quoted(text: String) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Why a generation was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Every stream and every place in the queue is taken: try again later.
    #[error("all {streams} streams and {queue} places in the queue are taken")]
    Busy {
        /// Streams that run at once.
        streams: usize,
        /// Places for those that wait.
        queue: usize,
    },
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {tokens} tokens, the limit is {limit}")]
    PromptTooLong {
        /// Tokens in the prompt.
        tokens: usize,
        /// Tokens that a prompt may have.
        limit: usize,
    },
    /// The request has no meaning for this model.
    #[error("invalid request: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The engine was stopped, or its thread died.
    #[error("the engine has stopped")]
    Stopped,
}

/// Why texts were not embedded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// A text has more tokens than the model takes. Nothing is ever cut off in silence.
    #[error("a text has {tokens} tokens, the limit is {limit}")]
    TooLong {
        /// Tokens of the text, those around it included.
        tokens: usize,
        /// Tokens that a text may have, those included.
        limit: usize,
    },
    /// A text has no token at all.
    #[error("a text has no tokens")]
    Empty,
    /// A number names no token, or one that no text has.
    #[error("{token} is no token that a text may have")]
    Token {
        /// The number.
        token: u32,
    },
    /// Every place is taken: try again later.
    #[error("all {places} places are taken")]
    Busy {
        /// Requests that run or wait.
        places: usize,
    },
    /// The model computed something that is not a number.
    #[error("the model computed no finite embedding")]
    NotFinite,
    /// The engine was stopped, or its thread died.
    #[error("the engine has stopped")]
    Stopped,
}

/// Why an answer cannot be held to a JSON schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// The schema is longer than is taken.
    #[error("the schema has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of its JSON.
        bytes: usize,
        /// Bytes that it may have.
        limit: usize,
    },
    /// The schema has an error, asks for what is not supported, or takes too much work.
    #[error("the schema cannot be followed: {reason}")]
    Schema {
        /// The library's own words.
        reason: String,
    },
    /// As many schemas as may be are being compiled: try again.
    #[error("too many schemas are being compiled")]
    Busy,
    /// The model's vocabulary is not fit for it.
    #[error("this model cannot be held to a schema: its vocabulary is not fit for it")]
    Vocabulary,
}

/// Why messages could not be made into a prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The model brings no chat template.
    #[error("the model has no chat template: use plain completions")]
    Absent,
    /// There is no message.
    #[error("a chat needs at least one message")]
    NoMessages,
    /// A role that no template knows.
    #[error("unknown role {found:?}, wanted system, developer, user, assistant or tool")]
    Role {
        /// What the message says.
        found: String,
    },
    /// The template itself refused the messages.
    #[error("the model's chat template refuses these messages: {reason}")]
    Refused {
        /// The template's own words.
        reason: String,
    },
    /// The template ran longer or wrote more than it may.
    #[error("the model's chat template passed the limit on {what}")]
    Limit {
        /// Which limit.
        what: &'static str,
    },
    /// The template has an error.
    #[error("the model's chat template fails: {reason}")]
    Broken {
        /// What the template engine said.
        reason: String,
    },
    /// The text could not be split into tokens.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
}

/// A text that the tokenizer's splitting rule gave up on (for example a million spaces in a row).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the text cannot be split into tokens")]
pub struct TokenizeError;
