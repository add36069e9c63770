//! Paths from a certificate to a pinned root, and what revocation lists (RFC 5280) and OCSP responses
//! (RFC 6960) say of the certificates on them, as Intel, Microsoft and NVIDIA use them. AMD's have rules
//! of their own ([`crate::snp`]).

mod fitness;
mod path;
mod revocation;
mod status;

pub(crate) use fitness::unfit;
pub(crate) use path::{Path, PathRules, check_dates};
pub(crate) use revocation::{ListRules, check_lists};
pub(crate) use status::{StatusRules, check_status};
