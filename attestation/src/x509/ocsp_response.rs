//! STUB
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OcspResponse {}
