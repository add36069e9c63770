//! Where collateral comes from, and how long a person is left without a word.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
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
#[derive(Args)]
pub(crate) struct Addresses {
    /// A mirror of AMD's service; several are tried in order [default: AMD's].
    #[arg(long, value_name = "URL")]
    amd_url: Vec<String>,
    /// A PCCS or mirror of Intel's service; several are tried in order [default: Intel's].
    #[arg(long, value_name = "URL")]
    intel_url: Vec<String>,
    /// A mirror of NVIDIA's service of manifests; several are tried in order [default: NVIDIA's].
    #[arg(long, value_name = "URL")]
    nvidia_rim_url: Vec<String>,
    /// A mirror of NVIDIA's OCSP responder; several are tried in order [default: NVIDIA's].
    #[arg(long, value_name = "URL")]
    nvidia_ocsp_url: Vec<String>,
    /// A mirror of NVIDIA's revocation lists; several are tried in order [default: NVIDIA's].
    #[arg(long, value_name = "URL")]
    nvidia_crl_url: Vec<String>,
    /// A folder with NVIDIA's manifests, <ID>.xml or <ID>.swidtag, that is asked before anybody; repeat it.
    #[arg(long, value_name = "DIR")]
    nvidia_rim_store: Vec<PathBuf>,
}

/// The services at these addresses; the vendors' where none is given.
pub(crate) fn mirrors(addresses: &Addresses) -> Result<Mirrors, Failure> {
    let parse = |urls: &[String], public: Vec<Mirror>| {
        let given = urls.iter().map(|url| Mirror::new(url)).collect::<Result<Vec<_>, _>>().map_err(Failure::usage)?;
        Ok::<_, Failure>(if given.is_empty() { public } else { given })
    };
    if let Some(folder) = addresses.nvidia_rim_store.iter().find(|folder| !folder.is_dir()) {
        return Err(Failure::usage(format!("{} is no folder with manifests", folder.display())));
    }
    let public = Mirrors::default();
    Ok(Mirrors {
        amd: parse(&addresses.amd_url, public.amd)?,
        intel: parse(&addresses.intel_url, public.intel)?,
        nvidia_rim: parse(&addresses.nvidia_rim_url, public.nvidia_rim)?,
        nvidia_ocsp: parse(&addresses.nvidia_ocsp_url, public.nvidia_ocsp)?,
        nvidia_crl: parse(&addresses.nvidia_crl_url, public.nvidia_crl)?,
        nvidia_rim_stores: addresses.nvidia_rim_store.clone(),
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
