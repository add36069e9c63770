//! The attested channel, as a pure core: bytes and a time in, bytes and decisions out.
//!
//! ```text
//!  request body ─► leaf ─► tree root ─┐
//!  epoch statement ─► its hash ───────┴► preimage ─► report data ─► the platform's quote
//!        │                                  └► instance signature ◄─ instance certificate
//!        └ key configuration ─► encapsulated requests ─► answers with receipts
//! ```
//!
//! [`session::verify_session`] is the one door: it takes the trust file, the request that
//! was sent and the response that came back, and only it can make a
//! [`session::VerifiedSession`], which holds the key that a prompt may be encrypted to.
//! The formats are specified in `docs/specs/channel.md`.
//!
//! No sockets, files or clock; nothing here needs more than wasm32 offers.

// Encodings and signatures.
pub mod cbor;
pub mod cose;

// What an instance says, and what one quote proves.
pub mod attest;
pub mod binding;
pub mod deployment;
pub mod device_digest;
pub mod devices;
pub mod freshness;
pub mod statement;

// What the tenant says, and whoever keeps a deny list.
pub mod deny_list;
pub mod instance_certificate;
mod key_and_message;
pub mod trust_file;

// The client's decision, and what follows from it.
pub mod receipt;
pub mod session;

// Encapsulation: chunked OHTTP around binary HTTP.
pub mod bhttp;
pub mod ohttp;
pub mod padding;
