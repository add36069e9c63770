//! The running engine: a handle for the server, one thread that owns the model.

mod handle;
mod logprobs;
mod penalties;
mod sampling;
mod schedule;
mod sequence;
mod stop;

pub use handle::{EngineHandle, Event, FinishReason, Generation, GenerationRequest, Limits};
pub use logprobs::{ScoredToken, TokenLogprobs};
pub(crate) use sampling::SplitMix64;
pub(crate) use schedule::{Forward, Part};
pub(crate) use stop::overlap;

#[cfg(test)]
mod tests;
