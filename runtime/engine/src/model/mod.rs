//! The transformer of the Qwen2 and Llama families.

mod attention;
mod kv_cache;
mod linear;
mod rotation;
mod transformer;

pub(crate) use linear::Linear;
pub(crate) use transformer::Transformer;

#[cfg(test)]
mod tests;
