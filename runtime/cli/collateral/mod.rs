//! `strongroom collateral`: what vendors publish, fetched ahead of need, and carried to sites without a network.

mod fetch;
mod show;
mod source;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_endorsements::{Bundle, BundleError, Item};

pub(crate) use source::{Addresses, freshness, freshness_text, mirrors, open, patiently};

use crate::exit_code::Exit;
use crate::file;
use crate::output::{Failure, Output};
use crate::trust::now;

const MAX_BUNDLE: u64 = (64 << 20) + 1;

#[derive(Subcommand)]
pub(crate) enum Collateral {
    /// Fetch what vendors publish into the cache. What is there and young is not fetched again.
    Fetch(Box<fetch::Fetch>),
    /// Write the cache's items into one file, for a site without a network.
    Export {
        /// The file; it must not exist.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Take the items of an exported file into the cache, where they are newer.
    Import {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// List the items of the cache, or of a file, with their dates.
    Show {
        /// An exported file [default: the cache].
        file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
}

/// Where items are kept.
#[derive(Args)]
pub(crate) struct Place {
    /// The cache's directory [default: the user's cache directory].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

pub(crate) async fn run(command: Collateral, output: Output) -> Result<Exit, Failure> {
    match command {
        Collateral::Fetch(arguments) => fetch::run(*arguments, output).await,
        Collateral::Export { file, place } => export(&file, &place, output),
        Collateral::Import { file, place } => import(&file, &place, output),
        Collateral::Show { file, place } => show(file.as_deref(), &place, output),
    }
}

fn export(file: &Path, place: &Place, output: Output) -> Result<Exit, Failure> {
    let items = items(place, output)?;
    let bundle = Bundle::of(items);
    let bytes = bundle.to_json();
    // What cannot be read again is of no use where it is carried to.
    Bundle::from_json(&bytes, now()).map_err(|error| bundle_failure(file, &error))?;
    file::write_new(file, &bytes)?;
    let count = bundle.items().len();
    let value = json!({ "result": "exported", "items": count, "bytes": bytes.len() });
    output.result(&value, format!("{count} items exported to {}", file.display()));
    Ok(Exit::Done)
}

fn import(file: &Path, place: &Place, output: Output) -> Result<Exit, Failure> {
    let bundle = read_bundle(file)?;
    let cache = source::cache(place.cache.as_deref())?;
    let merged = bundle.merge_into(&cache).map_err(|error| {
        Failure::new(Exit::Failed, "IO", format!("the cache cannot be written: {error}; import again when it can"))
    })?;
    let value =
        json!({ "result": "imported", "added": merged.added, "replaced": merged.replaced, "older": merged.older });
    let text = format!(
        "{} items added, {} replaced, {} no newer than the cache's",
        merged.added, merged.replaced, merged.older
    );
    output.result(&value, text);
    Ok(Exit::Done)
}

fn show(file: Option<&Path>, place: &Place, output: Output) -> Result<Exit, Failure> {
    let items = match file {
        Some(file) => read_bundle(file)?.items().to_vec(),
        None => items(place, output)?,
    };
    let value = json!({ "items": items.iter().map(show::item_json).collect::<Vec<_>>() });
    let text = items.iter().map(show::item_text).collect::<Vec<_>>().join("\n");
    output.result(&value, if items.is_empty() { "no items".to_owned() } else { text });
    Ok(Exit::Done)
}

/// The cache's items; files that hold none are named.
fn items(place: &Place, output: Output) -> Result<Vec<Item>, Failure> {
    let kept = source::cache(place.cache.as_deref())?.items();
    let kept = kept.map_err(|error| Failure::new(Exit::Failed, "IO", format!("the cache cannot be read: {error}")))?;
    for path in kept.unreadable {
        output.note(format!("warning: {} is damaged and left out; fetch to replace it", path.display()));
    }
    Ok(kept.items)
}

fn read_bundle(file: &Path) -> Result<Bundle, Failure> {
    let bytes = file::read_at_most(file, MAX_BUNDLE)?;
    Bundle::from_json(&bytes, now()).map_err(|error| bundle_failure(file, &error))
}

fn bundle_failure(file: &Path, error: &BundleError) -> Failure {
    Failure::new(Exit::Malformed, "MALFORMED", format!("{}: {error}", file.display()))
}
