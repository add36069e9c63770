//! What the comparison and the benchmark share: captured evidence, and each verifier as a function.

mod collateral;
pub mod ours;
pub mod random;
pub mod samples;
pub mod theirs;
