//! The transformer on our own kernels: one arena of packed weights, pages of keys and values, and
//! scratch that is kept from step to step.

mod layer;
mod pages;
mod prefixes;
mod rotary;
mod scratch;
mod transformer;

pub(crate) use transformer::{Room, Transformer};

#[cfg(test)]
mod tests;
