//! Intel TDX: quotes of version 4 and 5 over TD reports 1.0 and 1.5, signed by a quoting enclave that
//! a PCK certificate vouches for, appraised with Intel's TCB info and QE identity.

mod appraise;
mod authenticate;
mod body;
mod claims;
mod collateral;
mod hint;
mod level;
mod pck;
mod policy;
mod qe;
mod qe_identity;
mod quote;
mod signed_json;
mod status;
mod tcb_info;

pub(crate) use appraise::appraise;
pub(crate) use authenticate::{Given, authenticate};
pub use body::TdBody;
pub use claims::{Pck, TdAttributes, TdxClaims, TdxTcb};
pub use hint::PlatformHint;
pub use pck::PckCa;
pub(crate) use pck::PckExtension;
pub use policy::TdxPolicy;
pub(crate) use qe_identity::QeIdentity;
pub use quote::TdxQuote;
pub(crate) use signed_json::SignedJson;
pub use status::TcbStatus;
pub(crate) use tcb_info::TcbInfo;
