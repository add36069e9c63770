//! Inference on processors: weights, kernels, tokenizer, chat template, sampling and batching, and
//! nothing of confidential computing. A model's files arrive through [`ModelFiles`] (the sealed-model
//! reader is one), so plaintext weights meet neither a disk nor a memory map.
//!
//! ```text
//! ModelFiles ─► load ─┬─► TextModel: chat template ─► tokens, tokens ─► text
//!                     └─► the transformer ─► EngineHandle::spawn ─► one thread, many streams
//! submit(tokens) ─► Generation: Text, Text, …, Done
//!
//! ModelFiles ─► load_encoder ─► EncoderHandle::spawn ─► embed(texts) ─► a vector for each
//! ```
//!
//! Read: GGUF and safetensors (`config.json`) of the families in `families/`, and of encoders (BERT).
//! Weights are packed once, as they come, into one locked arena for the kernels in `kernels/`, the only `unsafe` code here; candle
//! computes the same from the same files, as a reference, and slower.
//! The files are taken as hostile: they are bounded and checked, and what is not understood is
//! refused with its name. What a user writes never becomes a special token (`text/prompt.rs`).

mod candle_model;
mod config;
mod encoder;
mod engine;
mod error;
mod families;
mod files;
mod gguf;
#[cfg(test)]
mod hostile;
mod kernels;
mod limits;
mod load;
mod model;
mod score;
mod scripted;
mod text;
mod tiny;
mod weights;

pub use encoder::{
    EncoderHandle, EncoderText, LoadedEncoder, is_encoder, load_encoder, tiny_encoder, tiny_encoder_gguf,
};
pub use engine::{
    EngineHandle, Event, FinishReason, Generation, GenerationRequest, Limits, ScoredToken, TokenLogprobs,
};
pub use error::{ConstraintError, EmbedError, EngineError, SubmitError, TemplateError, TokenizeError};
pub use files::{MemoryFiles, ModelFile, ModelFiles, PlainDirectory, PlainFile, ReadSeek};
pub use kernels::CacheFormat;
pub use load::{Arithmetic, LoadOptions, Loaded, Machine, load};
pub use scripted::{Gate, Script};
pub use text::{ChatMessage, Constraint, Decoder, Said, TextModel, Tool, ToolCall, ToolFormat, ToolParser};
pub use tiny::tiny_model;
