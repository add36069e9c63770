//! The verifier for a web page: JSON in, JSON out, and everything decided by the same code as on
//! a server.
//!
//! ```text
//!  page ──► JSON text ──► verify ──► strongroom-attestation ──► checks ──► JSON text
//!                    └──► verify_session ──► strongroom-channel ──┘
//! ```
//!
//! [`verify`] is for evidence from files; [`attest_request`] and [`verify_session`] are for a server:
//! the question, and the judgement of what it answered. The verifications read nothing but their
//! argument: the time is the page's to say. Every request has an answer; what is wrong with a
//! request stands in the answer.

mod answer;
mod attest;
mod evidence;
mod request;
mod session;

pub use attest::attest_request;
pub use evidence::verify;
pub use session::verify_session;
