//! Answers wants: from the cache while it is young, else from the vendor, else from the cache all the same and
//! saying so. One request at a time for one item, however many wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use reqwest::Client;
use strongroom_attestation::UnixTime;

use crate::age;
use crate::backoff::{Hosts, Wait};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::content;
use crate::error::FetchError;
use crate::exchange::{self, NoReply};
use crate::item::Item;
use crate::mirror::{Mirror, Mirrors};
use crate::nvidia;
use crate::want::Want;

/// Rounds over the mirrors in one call.
const MAX_ROUNDS: u32 = 3;
/// How long "no such item" is believed: a chip's certificate can be published after its first report.
const ABSENT_FOR: Duration = Duration::from_secs(10 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How a source behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to ask.
    pub mirrors: Mirrors,
    /// Ask nobody: what is in the cache is all there is.
    pub offline: bool,
    /// Use the proxies that the environment names.
    pub proxy: bool,
    /// How long one request may take, from first to last byte.
    pub timeout: Duration,
    /// How long one call may wait in all, for a service to be ready again, before it gives up. A call that has a copy
    /// to serve waits for nothing.
    pub patience: Duration,
    /// How old certificates may be before they are fetched again. They name a key and a firmware, and do not change.
    pub refresh_certificates: Duration,
    /// The same of NVIDIA's manifests, of which one name can be given to another document; at most that of certificates.
    pub refresh_manifests: Duration,
    /// How old revocation lists and Intel's objects may be before they are fetched again. An OCSP answer is
    /// fetched again at half of its own time.
    pub refresh_lists: Duration,
    /// How long after its own expiry an item may still be served when the vendor is down. The verifier decides on
    /// dates; by default nothing past them is handed out. An OCSP answer never is.
    pub past_expiry: Duration,
    /// The time as of which somebody judges, where it is not now: an OCSP answer that had not ended then is handed out.
    pub as_of: Option<UnixTime>,
    /// How old an item without an expiry may be and still be served.
    pub longest_age: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mirrors: Mirrors::default(),
            offline: false,
            proxy: true,
            timeout: Duration::from_secs(10),
            patience: Duration::from_secs(5),
            refresh_certificates: DAY.saturating_mul(90),
            refresh_manifests: DAY.saturating_mul(7),
            refresh_lists: DAY,
            past_expiry: Duration::ZERO,
            as_of: None,
            longest_age: DAY.saturating_mul(30),
        }
    }
}

/// An item, and how young it is.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The item. Its bytes are unproved.
    pub item: Item,
    /// How young it is.
    pub freshness: Freshness,
    /// Why the item could not be kept in the cache, if so.
    pub not_kept: Option<String>,
}

/// How young an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The vendor, or a folder of manifests, gave it in this call.
    Fresh,
    /// It was fetched this long ago, and is not due yet.
    Cached {
        /// Since it was fetched.
        age: Duration,
    },
    /// It is due, and could not be fetched again.
    Stale {
        /// Since it was fetched.
        age: Duration,
        /// Why it could not be fetched.
        why: String,
    },
}

/// Gets what vendors publish.
#[derive(Clone)]
pub struct CollateralSource {
    inner: Arc<Inner>,
}

type Flight = BoxFuture<'static, Result<Answer, FetchError>>;

struct Inner {
    settings: Settings,
    cache: Cache,
    clock: Arc<dyn Clock>,
    http: Client,
    hosts: Hosts,
    /// Until when a want is believed to be absent, and who said so.
    absent: Mutex<HashMap<Want, (Duration, Vec<String>)>>,
    /// Requests under way. Those who wait own them; when nobody waits any more they end.
    flights: Mutex<HashMap<Want, WeakShared<Flight>>>,
}

/// Why one mirror gave no item.
enum Fault {
    Absent,
    Failed(Failure),
}

struct Failure {
    why: String,
    /// How long the mirror is not asked again.
    rest: Duration,
    /// Whether this call may wait for it.
    is_worth_a_wait: bool,
}

impl CollateralSource {
    /// A source with this cache.
    ///
    /// # Errors
    /// The HTTP client cannot start; the text says why.
    pub fn new(settings: Settings, cache: Cache, clock: Arc<dyn Clock>) -> Result<CollateralSource, String> {
        let http =
            exchange::client(settings.proxy).map_err(|error| format!("the HTTP client cannot start: {error}"))?;
        let (hosts, absent, flights) = (Hosts::default(), Mutex::default(), Mutex::default());
        Ok(CollateralSource { inner: Arc::new(Inner { settings, cache, clock, http, hosts, absent, flights }) })
    }

    /// The cache.
    pub fn cache(&self) -> &Cache {
        &self.inner.cache
    }

    /// The item for `want`. All who ask for it at one time get the answer to one request.
    ///
    /// # Errors
    /// See [`FetchError`]; there is then no copy that may be served either.
    pub async fn get(&self, want: &Want) -> Result<Answer, FetchError> {
        self.flight(want).await
    }

    fn flight(&self, want: &Want) -> Shared<Flight> {
        let mut flights = self.inner.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(want).and_then(WeakShared::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.upgrade().is_some());
        let (inner, wanted) = (self.inner.clone(), want.clone());
        let flight = async move { inner.answer(wanted).await }.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            flights.insert(want.clone(), weak);
        }
        flight
    }
}

impl Inner {
    async fn answer(&self, want: Want) -> Result<Answer, FetchError> {
        let now = self.clock.now();
        let (stored, faults) = self.in_stores(&want, now).await;
        if let Some(item) = stored {
            return Ok(self.fresh(item).await);
        }
        let kept = self.load(&want).await;
        let age = |item: &Item| Duration::from_secs(now.saturating_secs_since(item.fetched_at));
        let kept = match kept {
            Some(item) if !age::is_due(&self.settings, &item, now) => {
                let freshness = Freshness::Cached { age: age(&item) };
                return Ok(Answer { item, freshness, not_kept: None });
            }
            kept => kept.filter(|item| age::may_be_served(&self.settings, item, now)),
        };
        let fetched = match self.settings.offline {
            true => Err(FetchError::NotCached { want: want.clone() }),
            false => {
                // Whoever has something to serve does not let others wait.
                let patience = if kept.is_some() { Duration::ZERO } else { self.settings.patience };
                self.fetch(&want, patience).await
            }
        };
        match (fetched, kept) {
            (Ok(item), _) => Ok(self.fresh(item).await),
            (Err(error), Some(item)) => {
                let why = if self.settings.offline { "fetching is off".to_owned() } else { error.to_string() };
                Ok(Answer { freshness: Freshness::Stale { age: age(&item), why }, item, not_kept: None })
            }
            (Err(error), None) => Err(error.beside(faults)),
        }
    }

    /// A new item, kept as far as that is possible.
    async fn fresh(&self, item: Item) -> Answer {
        let not_kept = self.store(&item).await.err();
        Answer { item, freshness: Freshness::Fresh, not_kept }
    }

    /// Asks the mirrors in order until one gives a sound item. At most [`MAX_ROUNDS`] rounds, and at most `patience`
    /// of waiting between them.
    async fn fetch(&self, want: &Want, mut patience: Duration) -> Result<Item, FetchError> {
        if let Some(asked) = self.known_absent(want) {
            return Err(FetchError::NotFound { want: want.clone(), asked });
        }
        let mut open: Vec<&Mirror> = self.settings.mirrors.for_want(want).iter().collect();
        if open.is_empty() {
            let causes = vec!["no service is configured".to_owned()];
            return Err(FetchError::Unavailable { want: want.clone(), retry_after: Duration::ZERO, causes });
        }
        let mut absent = Vec::new();
        for round in 1.. {
            let mut failures = Vec::new();
            for mirror in open {
                match self.ask(want, mirror).await {
                    Ok(item) => return Ok(item),
                    Err(Fault::Absent) => absent.push(mirror.name()),
                    Err(Fault::Failed(failure)) => failures.push((mirror, failure)),
                }
            }
            if failures.is_empty() {
                break;
            }
            // The last word of each counts.
            let causes =
                failures.iter().map(|(mirror, failure)| format!("{}: {}", mirror.name(), failure.why)).collect();
            let worth_it = failures.iter().filter(|(_, failure)| failure.is_worth_a_wait);
            let wait = worth_it.map(|(_, failure)| failure.rest).min().filter(|wait| *wait <= patience);
            let Some(wait) = wait.filter(|_| round < MAX_ROUNDS) else {
                let retry_after = failures.iter().map(|(_, failure)| failure.rest).min().unwrap_or_default();
                return Err(FetchError::Unavailable { want: want.clone(), retry_after, causes });
            };
            patience = patience.saturating_sub(wait);
            self.clock.sleep(wait).await;
            open = failures.into_iter().map(|(mirror, _)| mirror).collect();
        }
        // All that are left said so: one that is down beside them would have ended above.
        self.remember_absent(want, &absent);
        Err(FetchError::NotFound { want: want.clone(), asked: absent })
    }

    /// Asks one mirror, if it may be asked now. A failure says how long it rests.
    async fn ask(&self, want: &Want, mirror: &Mirror) -> Result<Item, Fault> {
        let paced = matches!(want, Want::AmdVcek(_));
        if let Err(Wait { time, why, is_known }) = self.hosts.admit(mirror, self.clock.elapsed(), paced) {
            return Err(Fault::Failed(Failure { why, rest: time, is_worth_a_wait: is_known }));
        }
        let url = mirror.address(want);
        let reply = exchange::ask(&self.http, self.clock.as_ref(), &url, self.settings.timeout).await;
        let item = reply.and_then(|reply| {
            let (now, artefacts) = (self.clock.now(), content::artefacts(want, reply)?);
            let item =
                Item::new(want.clone(), url.to_string(), now, artefacts).map_err(|why| NoReply::of_content(&why))?;
            match age::may_be_taken(&self.settings, &item, now) {
                true => Ok(item),
                false => Err(NoReply::of_content("a status that has ended")),
            }
        });
        match item {
            Ok(item) => {
                self.hosts.succeeded(mirror);
                Ok(item)
            }
            Err(NoReply::Absent) => {
                self.hosts.succeeded(mirror);
                Err(Fault::Absent)
            }
            Err(NoReply::Failed { why, retry_after }) => {
                let rest = self.hosts.failed(mirror, self.clock.elapsed(), retry_after, &why);
                Err(Fault::Failed(Failure { why, rest, is_worth_a_wait: true }))
            }
        }
    }

    fn known_absent(&self, want: &Want) -> Option<Vec<String>> {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.elapsed();
        absent.retain(|_, (until, _)| *until > now);
        absent.get(want).map(|(_, asked)| asked.clone())
    }

    fn remember_absent(&self, want: &Want, asked: &[String]) {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        let until = self.clock.elapsed().saturating_add(ABSENT_FOR);
        absent.insert(want.clone(), (until, asked.to_vec()));
    }

    /// What a folder of manifests has for `want`, and what is wrong with the files there.
    async fn in_stores(&self, want: &Want, now: UnixTime) -> (Option<Item>, Vec<String>) {
        let folders = self.settings.mirrors.nvidia_rim_stores.clone();
        if folders.is_empty() {
            return (None, Vec::new());
        }
        let want = want.clone();
        // A task that could not run read nothing.
        tokio::task::spawn_blocking(move || nvidia::from_stores(&want, &folders, now)).await.unwrap_or_default()
    }

    async fn load(&self, want: &Want) -> Option<Item> {
        let (cache, want) = (self.cache.clone(), want.clone());
        // A task that could not run read nothing.
        tokio::task::spawn_blocking(move || cache.load(&want)).await.ok().flatten()
    }

    async fn store(&self, item: &Item) -> Result<(), String> {
        let (cache, item) = (self.cache.clone(), item.clone());
        let stored = tokio::task::spawn_blocking(move || cache.store(&item)).await;
        stored.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}
