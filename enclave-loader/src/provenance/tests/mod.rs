//! Signatures, provenance, bills and policies from outside.

mod bill;
mod certificates;
mod decisions;
mod defects;
mod hostile;
mod keys;
mod sealing;
mod sigstore;
mod world;
