//! The transformer on candle: the reference that our own kernels are measured against, and the way
//! to devices other than processors.

mod attention;
mod kv_cache;
mod linear;
mod rotation;
mod transformer;

pub(crate) use linear::Linear;
pub(crate) use transformer::Transformer;
