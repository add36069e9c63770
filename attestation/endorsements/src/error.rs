//! Why there is no answer: absent, unavailable, or not at hand.

use std::time::Duration;

use thiserror::Error;

use crate::want::Want;

/// Why a want was not met. The same error goes to all who waited for one request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Every mirror answered that it has no such item. Asking again soon will not help.
    #[error("{}: not known at {}; check the product and what was asked for", want.in_short(), asked.join(", "))]
    NotFound {
        /// What was wanted.
        want: Want,
        /// The services that said so.
        asked: Vec<String>,
    },
    /// No mirror gave a sound answer, and there is no copy that may still be served.
    #[error("{}: unavailable, try again in {} s ({})", want.in_short(), retry_after.as_secs(), causes.join("; "))]
    Unavailable {
        /// What was wanted.
        want: Want,
        /// When trying again can help. Earlier calls are answered from here, without a request.
        retry_after: Duration,
        /// What each mirror did.
        causes: Vec<String>,
    },
    /// There is no copy that may still be served, and fetching is switched off.
    #[error("{}: not in the cache, and fetching is off; import a bundle that has it", want.in_short())]
    NotCached {
        /// What was wanted.
        want: Want,
    },
}

impl FetchError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            FetchError::NotFound { .. } => "NOT_FOUND",
            FetchError::Unavailable { .. } => "UNAVAILABLE",
            FetchError::NotCached { .. } => "NOT_CACHED",
        }
    }

    /// What was wanted.
    pub fn want(&self) -> &Want {
        match self {
            FetchError::NotFound { want, .. }
            | FetchError::Unavailable { want, .. }
            | FetchError::NotCached { want } => want,
        }
    }

    /// The same error, and beside it what was wrong with files of one's own that were looked at first. These are in the
    /// way until somebody mends them, so that the item is not absent but unavailable.
    pub(crate) fn beside(self, mut faults: Vec<String>) -> FetchError {
        if faults.is_empty() {
            return self;
        }
        let (want, retry_after) = (self.want().clone(), self.retry_after().unwrap_or_default());
        match self {
            FetchError::Unavailable { causes, .. } => faults.extend(causes),
            FetchError::NotFound { asked, .. } => faults.push(format!("not known at {}", asked.join(", "))),
            FetchError::NotCached { .. } => faults.push("not in the cache, and fetching is off".to_owned()),
        }
        FetchError::Unavailable { want, retry_after, causes: faults }
    }

    /// When trying again can help; `None` where time alone will not.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            FetchError::Unavailable { retry_after, .. } => Some(*retry_after),
            FetchError::NotFound { .. } | FetchError::NotCached { .. } => None,
        }
    }
}

/// Why evidence leads to no want, or a text names none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WantError {
    /// The report hides which chip it is of.
    #[error("the report's chip id is masked: no vendor can be asked for its VCEK")]
    MaskedChip,
    /// The chip id does not have the form of this product.
    #[error("the chip id is not one of {product}: there its last {zeros} bytes are zero")]
    ChipOfAnotherProduct {
        /// The product line.
        product: &'static str,
        /// Bytes of CHIP_ID that this product leaves zero.
        zeros: usize,
    },
    /// The report says that nothing signed it.
    #[error("no known kind of key signed the report: there is nothing to fetch")]
    NoSigningKey,
    /// The processor's product line is not known, and no candidate fits.
    #[error("the product line is not known: say which ones to try")]
    NoProduct,
    /// A TDX platform that nothing in the evidence names.
    #[error("no PCK certificate says which platform it is: pass the TD quote, or the certificate beside it")]
    NoPck,
    /// The text names nothing that a vendor publishes.
    #[error("\"{0}\" names nothing that a vendor publishes")]
    Text(String),
}

impl WantError {
    /// That `text` names nothing, shown as far as it may be.
    pub(crate) fn text(text: &str) -> WantError {
        WantError::Text(shown(text, 200))
    }
}

/// A stranger's text as it may be shown: at most `most` characters, control characters replaced.
pub(crate) fn shown(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Why an address cannot be a mirror.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{text}\" is no base address: http or https, a host and perhaps a path are wanted, nothing else")]
pub struct MirrorError {
    /// The address, without what could be a secret.
    pub(crate) text: String,
}

/// Why a bundle or one of its items is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// More than a bundle may have.
    #[error("the bundle has {found} {what}, at most {most} are read")]
    TooLarge {
        /// Bytes or items.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// Not JSON of the bundle's shape.
    #[error("not a collateral bundle: {0}")]
    Shape(String),
    /// Another version of the format.
    #[error("the bundle has version {0}, wanted 1; use the program that wrote it or a newer one")]
    Version(u64),
    /// One item is not what it says.
    #[error("item {number} of the bundle: {why}; nothing was imported, export the bundle again")]
    Item {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        why: String,
    },
}
