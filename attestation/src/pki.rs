//! Paths from a certificate to a pinned root, and what the revocation lists on them say (RFC 5280),
//! as Intel and Microsoft use them. AMD's have rules of their own ([`crate::snp`]).

mod fitness;
mod path;
mod revocation;
mod status;

pub(crate) use fitness::unfit;
pub(crate) use path::{Path, PathRules};
pub(crate) use revocation::{ListRules, check_lists};
pub(crate) use status::{StatusRules, check_status};
