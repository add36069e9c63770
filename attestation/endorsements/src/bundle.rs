//! One file with a cache's items, for sites without a network: docs/specs/collateral-bundle.md.

use std::collections::BTreeSet;
use std::io;

use serde::{Deserialize, Serialize};
use strongroom_attestation::UnixTime;

use crate::cache::Cache;
use crate::error::BundleError;
use crate::item::{Item, ItemJson};

/// Bytes of a bundle that are read.
const MAX_BUNDLE: usize = 64 << 20;
/// Items of a bundle that are read.
const MAX_ITEMS: usize = 16_384;
const FORMAT: &str = "strongroom-collateral";
const VERSION: u64 = 1;
/// A vendor's date this far ahead of this machine's clock is no difference between clocks. Such an item would win
/// over every genuine one.
const AHEAD_SECS: u64 = 24 * 60 * 60;

/// Items that travel together, each want once, in the order of the wants' texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    items: Vec<Item>,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// Items that were not there before.
    pub added: usize,
    /// Items that took the place of older ones.
    pub replaced: usize,
    /// Items that were left out, because the cache had the same or newer ones.
    pub older: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleJson {
    format: String,
    version: u64,
    created: UnixTime,
    items: Vec<ItemJson>,
}

/// Read first, so that another version is told as such whatever else it holds.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

impl Bundle {
    /// A bundle of these items; of two with one want, the newer.
    pub fn of(mut items: Vec<Item>) -> Bundle {
        items.sort_by(|one, other| {
            let newer_first =
                (other.description.issued, other.fetched_at).cmp(&(one.description.issued, one.fetched_at));
            one.want.to_string().cmp(&other.want.to_string()).then(newer_first)
        });
        items.dedup_by(|later, first| later.want == first.want);
        Bundle { items }
    }

    /// The items.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The time of the newest item. A bundle has no other date, so that one cache always gives the same bytes.
    pub fn created(&self) -> UnixTime {
        self.items.iter().map(|item| item.fetched_at).max().unwrap_or(UnixTime::from_secs(0))
    }

    /// The file.
    pub fn to_json(&self) -> Vec<u8> {
        let json = BundleJson {
            format: FORMAT.to_owned(),
            version: VERSION,
            created: self.created(),
            items: self.items.iter().map(Item::to_json).collect(),
        };
        // Strings and numbers only: there is nothing that JSON could not carry.
        let mut bytes = serde_json::to_vec_pretty(&json).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads a file: every digest is checked, and every item is of the kind that it says. `now` refuses items that
    /// the vendor is said to have issued after it.
    ///
    /// # Errors
    /// The first thing that is wrong; a bundle is taken whole or not at all.
    pub fn from_json(bytes: &[u8], now: UnixTime) -> Result<Bundle, BundleError> {
        let too_large = |what, found, most| Err(BundleError::TooLarge { what, found, most });
        if bytes.len() > MAX_BUNDLE {
            return too_large("bytes", bytes.len(), MAX_BUNDLE);
        }
        let shape = |error: serde_json::Error| BundleError::Shape(error.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(shape)?;
        if head.format != FORMAT {
            return Err(BundleError::Shape(format!("the format is not \"{FORMAT}\"")));
        }
        if head.version != VERSION {
            return Err(BundleError::Version(head.version));
        }
        let json: BundleJson = serde_json::from_slice(bytes).map_err(shape)?;
        if json.items.len() > MAX_ITEMS {
            return too_large("items", json.items.len(), MAX_ITEMS);
        }
        let mut wants = BTreeSet::new();
        let mut items = Vec::new();
        for (index, item) in json.items.into_iter().enumerate() {
            let wrong = |why| BundleError::Item { number: index.saturating_add(1), why };
            let mut item = Item::try_from(item).map_err(wrong)?;
            if !wants.insert(item.want.clone()) {
                return Err(wrong(format!("{} a second time", item.want)));
            }
            if item.description.issued > now.saturating_add_secs(AHEAD_SECS) {
                let issued = item.description.issued;
                return Err(wrong(format!(
                    "{} was issued at {issued}, it is {now}: check this machine's clock",
                    item.want
                )));
            }
            // The other machine's clock may be ahead; what is fetched here later is not older than that.
            item.fetched_at = item.fetched_at.min(now);
            items.push(item);
        }
        Ok(Bundle::of(items))
    }

    /// Keeps every item in `cache` that is newer than what is there.
    ///
    /// # Errors
    /// Of the file system; items before the failure are kept.
    pub fn merge_into(&self, cache: &Cache) -> io::Result<Merged> {
        let mut merged = Merged::default();
        for item in &self.items {
            match cache.load(&item.want) {
                None => merged.added += 1,
                Some(kept) if item.is_newer_than(&kept) => merged.replaced += 1,
                Some(_) => {
                    merged.older += 1;
                    continue;
                }
            }
            cache.store(item)?;
        }
        Ok(merged)
    }
}
