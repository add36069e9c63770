//! The relying party: connect, verify, and only then send.
//!
//! ```text
//! trust file ─► StateDirectory (pinned root, highest sequence)
//!                    │
//!                    ▼
//! Connector ── attest ──► verify ──► Session ── seal, send, open, check the receipt ──► Answer
//!                                       ▲
//! Keeper: one fresh session for many requests          Proxy: the OpenAI API on loopback, through a Keeper
//! ```
//!
//! A [`Session`] exists only for evidence that was verified, and sends only while the verdict is fresh. An
//! [`Answer`] ends without error only when its final chunk and its receipt hold.

mod clock;
mod connect;
mod error;
mod exchange;
mod keeper;
mod proxy;
mod receipt;
mod sender;
mod state;

pub use clock::{Clock, SystemClock};
pub use connect::{Connector, Session};
pub use error::{ClientError, ReceiptFault};
pub use exchange::{OutgoingRequest, VerifiedReceipt};
pub use keeper::{Keeper, Verdict};
pub use proxy::{Proxy, bind};
pub use receipt::{CheckedReceipt, ReceiptBundle};
pub use sender::Answer;
pub use state::{StateDirectory, parse_trust_root};

#[cfg(test)]
mod test_instance;
