//! What the tests share: the whole system in one process, the enemy between its parts, and
//! plugins written as text.

mod clients;
pub(crate) mod clock;
pub(crate) mod files;
pub(crate) mod gateway;
pub(crate) mod gpus;
pub(crate) mod guests;
pub(crate) mod line;
pub(crate) mod machines;
pub(crate) mod source;
pub(crate) mod system;
