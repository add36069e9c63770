//! Where collateral comes from, and how long a person is left without a word.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use strongroom_endorsements::{Answer, Cache, CollateralSource, Freshness, Mirror, Mirrors, Settings, SystemClock};

use crate::exit_code::Exit;
use crate::output::{Failure, Output};
use crate::trust::now;

/// What takes longer than this says so, and again after the other.
const SAYS_AFTER: Duration = Duration::from_secs(1);
const SAYS_AGAIN: Duration = Duration::from_secs(5);

/// A source with the cache in `directory`, or the user's.
pub(crate) fn open(settings: Settings, directory: Option<&Path>) -> Result<CollateralSource, Failure> {
    CollateralSource::new(settings, cache(directory)?, Arc::new(SystemClock::new()))
        .map_err(|error| Failure::new(Exit::Failed, "IO", error))
}

/// Where a person says that vendors' items are.
pub(crate) struct Addresses<'a> {
    pub(crate) amd: &'a [String],
    pub(crate) intel: &'a [String],
    pub(crate) nvidia_rim: &'a [String],
    pub(crate) nvidia_ocsp: &'a [String],
    pub(crate) nvidia_crl: &'a [String],
    pub(crate) nvidia_rim_stores: &'a [PathBuf],
}

/// The services at these addresses; the vendors' where none is given.
pub(crate) fn mirrors(addresses: &Addresses<'_>) -> Result<Mirrors, Failure> {
    let parse = |urls: &[String], public: Vec<Mirror>| {
        let given = urls.iter().map(|url| Mirror::new(url)).collect::<Result<Vec<_>, _>>().map_err(Failure::usage)?;
        Ok::<_, Failure>(if given.is_empty() { public } else { given })
    };
    if let Some(folder) = addresses.nvidia_rim_stores.iter().find(|folder| !folder.is_dir()) {
        return Err(Failure::usage(format!("{} is no folder with manifests", folder.display())));
    }
    let public = Mirrors::default();
    Ok(Mirrors {
        amd: parse(addresses.amd, public.amd)?,
        intel: parse(addresses.intel, public.intel)?,
        nvidia_rim: parse(addresses.nvidia_rim, public.nvidia_rim)?,
        nvidia_ocsp: parse(addresses.nvidia_ocsp, public.nvidia_ocsp)?,
        nvidia_crl: parse(addresses.nvidia_crl, public.nvidia_crl)?,
        nvidia_rim_stores: addresses.nvidia_rim_stores.to_vec(),
    })
}

pub(super) fn cache(directory: Option<&Path>) -> Result<Cache, Failure> {
    let directory = match directory {
        Some(directory) => directory.to_owned(),
        None => usual_cache()?,
    };
    if directory.exists() && !directory.is_dir() {
        return Err(Failure::usage(format!("{} is no directory; give the cache's with --cache", directory.display())));
    }
    Cache::open(&directory, now()).map_err(|error| Failure::file(&directory, &error))
}

/// Where users keep what can be fetched again.
fn usual_cache() -> Result<PathBuf, Failure> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"))?;
        Some(Path::new(&home).join(".cache"))
    });
    let base = base.ok_or_else(|| Failure::usage("no home directory is known: say `--cache DIR`"))?;
    Ok(base.join("strongroom").join("collateral"))
}

/// Waits for `work`, and says so when it takes long.
pub(crate) async fn patiently<T>(what: &str, work: impl Future<Output = T>, output: Output) -> T {
    let mut work = std::pin::pin!(work);
    let mut pause = SAYS_AFTER;
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(pause) => output.note(format!("waiting for {what} …")),
        }
        pause = SAYS_AGAIN;
    }
}

/// A word for programs, the age in seconds, and of a stale item why.
pub(crate) fn freshness(answer: &Answer) -> (&'static str, u64, Option<&str>) {
    match &answer.freshness {
        Freshness::Fresh => ("fresh", 0, None),
        Freshness::Cached { age } => ("cached", age.as_secs(), None),
        Freshness::Stale { age, why } => ("stale", age.as_secs(), Some(why)),
    }
}

/// The same for people.
pub(crate) fn freshness_text(answer: &Answer) -> String {
    match &answer.freshness {
        Freshness::Fresh if answer.item.url().starts_with("file:") => "from the folder of manifests".to_owned(),
        Freshness::Fresh => "fresh from the vendor".to_owned(),
        Freshness::Cached { age } => format!("from the cache, {} s old", age.as_secs()),
        Freshness::Stale { age, why } => format!("STALE, {} s old: {why}", age.as_secs()),
    }
}
