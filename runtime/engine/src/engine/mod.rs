//! The running engine: a handle for the server, one thread that owns the model.

mod handle;
mod logprobs;
mod penalties;
mod sampling;
mod schedule;
mod scores;
mod sequence;
mod stop;

pub use handle::{EngineHandle, Event, FinishReason, Generation, GenerationRequest, Limits};
pub use logprobs::{ScoredToken, TokenLogprobs};
pub(crate) use sampling::SplitMix64;
#[cfg(test)]
pub(crate) use schedule::scores_of;
pub(crate) use schedule::{Forward, Part};
pub(crate) use scores::Scores;
pub(crate) use stop::overlap;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod timing;
