//! Files behind HTTP with byte ranges (RFC 9110 section 14): object stores and plain web servers.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, IF_MATCH, RANGE};

use super::retry::{Failed, insist};
use super::spans::{Fetch, SPAN_BYTES, Spans};
use super::{ModelStore, StoredFile};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one request may take; a slow line brings a part in that time, and the next goes on there.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Object stores hand on to the place where an object is.
const REDIRECTS: usize = 5;

/// The files under one address.
pub(super) struct HttpStore {
    net: Arc<Net>,
    spans: Arc<Spans>,
}

/// What requests need; shared with the threads that fetch.
struct Net {
    base: String,
    client: Client,
    files: Mutex<Known>,
    /// Whether the server has ever answered: before that, nobody there is told at once.
    reached: AtomicBool,
}

/// Files that were asked for, numbered.
#[derive(Default)]
struct Known {
    numbers: HashMap<String, usize>,
    files: Vec<Arc<Remote>>,
}

/// One file as it was first seen.
struct Remote {
    path: String,
    len: u64,
    /// With it, a file that changes on the way is noticed before its chunks are.
    etag: Option<String>,
}

/// A file that is read.
struct HttpFile {
    number: usize,
    len: u64,
    spans: Arc<Spans>,
}

impl HttpStore {
    /// The files under `base`. Reads no proxy settings from the environment.
    ///
    /// # Errors
    /// Where no client can be made.
    pub(super) fn new(base: &str) -> io::Result<Self> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(|_| io::Error::other("no HTTP client can be made on this system"))?;
        let net =
            Arc::new(Net { base: base.to_owned(), client, files: Mutex::default(), reached: AtomicBool::default() });
        let spans = Arc::new(Spans::new(Fetcher(net.clone()))?);
        Ok(Self { net, spans })
    }
}

impl ModelStore for HttpStore {
    fn describe(&self, file: &str) -> String {
        self.net.url(file)
    }

    fn len(&self, file: &str) -> io::Result<u64> {
        match self.net.known(file) {
            Ok((_, remote)) => Ok(remote.len),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn read_all(&self, file: &str, limit: u64) -> io::Result<Vec<u8>> {
        let (_, remote) = self.net.known(file)?;
        if remote.len > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.net.read(&remote, 0, remote.len)
    }

    fn open(&self, file: &str) -> io::Result<Box<dyn StoredFile>> {
        let (number, remote) = self.net.known(file)?;
        Ok(Box::new(HttpFile { number, len: remote.len, spans: self.spans.clone() }))
    }
}

impl StoredFile for HttpFile {
    fn read_exact_at(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        let end = at.checked_add(out.len() as u64).filter(|end| *end <= self.len);
        if end.is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = self.len.div_ceil(SPAN_BYTES);
        let mut filled = 0;
        while filled < out.len() {
            let position = at + filled as u64;
            let bytes = self.spans.get(self.number, position / SPAN_BYTES, count)?;
            // Below the length of a span, which fits.
            let from = usize::try_from(position % SPAN_BYTES).unwrap_or(usize::MAX);
            let (_, rest) = out.split_at_mut(filled);
            let part = bytes.get(from..).filter(|part| !part.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
            let len = part.len().min(rest.len());
            rest[..len].copy_from_slice(&part[..len]);
            filled += len;
        }
        Ok(())
    }
}

struct Fetcher(Arc<Net>);

impl Fetch for Fetcher {
    fn fetch(&self, file: usize, span: u64) -> io::Result<Vec<u8>> {
        let remote = self.0.lock().files.get(file).cloned().ok_or(io::ErrorKind::NotFound)?;
        let start = span * SPAN_BYTES;
        self.0.read(&remote, start, SPAN_BYTES.min(remote.len.saturating_sub(start)))
    }
}

impl Net {
    fn url(&self, file: &str) -> String {
        format!("{}/{file}", self.base)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file's number, length and version; asked for once.
    fn known(&self, file: &str) -> io::Result<(usize, Arc<Remote>)> {
        if let Some(known) = self.lock().get(file) {
            return Ok(known);
        }
        // One byte tells what a HEAD would, and that ranges are served.
        let remote = insist(|| {
            let response = self.ask(file, "bytes=0-0", None)?;
            let len = match response.status() {
                StatusCode::RANGE_NOT_SATISFIABLE => 0,
                _ => total(response.headers()).ok_or_else(no_ranges)?,
            };
            let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok());
            // A weak one says only that the meaning is the same.
            let etag = etag.filter(|etag| !etag.starts_with("W/")).map(str::to_owned);
            Ok(Arc::new(Remote { path: file.to_owned(), len, etag }))
        })?;
        Ok(self.lock().insert(remote))
    }

    /// `len` bytes from `start` on. What a broken connection brought is kept: the next try goes on
    /// behind it.
    fn read(&self, remote: &Remote, start: u64, len: u64) -> io::Result<Vec<u8>> {
        let wanted = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = Vec::with_capacity(wanted);
        if wanted == 0 {
            return Ok(bytes);
        }
        let end = start + len - 1;
        insist(|| {
            let from = start + bytes.len() as u64;
            let response = self.ask(&remote.path, &format!("bytes={from}-{end}"), remote.etag.as_deref())?;
            if first(response.headers()) != Some(from) || total(response.headers()) != Some(remote.len) {
                return Err(changed());
            }
            let read = response.take((wanted - bytes.len()) as u64).read_to_end(&mut bytes);
            match (read, bytes.len() == wanted) {
                (_, true) => Ok(()),
                (Err(error), false) => Err(Failed::Passing(error)),
                (Ok(_), false) => Err(Failed::Passing(io::ErrorKind::UnexpectedEof.into())),
            }
        })?;
        Ok(bytes)
    }

    fn ask(&self, file: &str, range: &str, etag: Option<&str>) -> Result<Response, Failed> {
        let mut request = self.client.get(self.url(file)).header(RANGE, range);
        if let Some(etag) = etag {
            request = request.header(IF_MATCH, etag);
        }
        let response = request.send().map_err(|error| match transport(&error) {
            Failed::Passing(error) if !self.reached.load(Ordering::Relaxed) => Failed::Final(error),
            failed => failed,
        })?;
        self.reached.store(true, Ordering::Relaxed);
        let status = response.status();
        match status {
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            StatusCode::OK => Err(no_ranges()),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(refused(io::ErrorKind::NotFound, status)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(refused(io::ErrorKind::PermissionDenied, status)),
            StatusCode::PRECONDITION_FAILED => Err(changed()),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(passing(status)),
            _ if status.is_server_error() => Err(passing(status)),
            _ => Err(refused(io::ErrorKind::Other, status)),
        }
    }
}

impl Known {
    fn get(&self, file: &str) -> Option<(usize, Arc<Remote>)> {
        let number = *self.numbers.get(file)?;
        Some((number, self.files.get(number)?.clone()))
    }

    fn insert(&mut self, remote: Arc<Remote>) -> (usize, Arc<Remote>) {
        // Another thread may have asked at the same time; the first answer stands.
        if let Some(known) = self.get(&remote.path) {
            return known;
        }
        let number = self.files.len();
        self.numbers.insert(remote.path.clone(), number);
        self.files.push(remote.clone());
        (number, remote)
    }
}

/// Of `Content-Range: bytes 5-9/42`, the 5.
fn first(headers: &HeaderMap) -> Option<u64> {
    let (range, _) = content_range(headers)?;
    range.split_once('-')?.0.parse().ok()
}

/// The 42.
fn total(headers: &HeaderMap) -> Option<u64> {
    content_range(headers)?.1.parse().ok()
}

fn content_range(headers: &HeaderMap) -> Option<(&str, &str)> {
    headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')
}

fn no_ranges() -> Failed {
    let advice = "the server does not serve byte ranges: use one that does (an object store, nginx)";
    Failed::Final(io::Error::new(io::ErrorKind::Unsupported, advice))
}

fn changed() -> Failed {
    Failed::Final(io::Error::other("it changed while it was read: let it rest, then start again"))
}

fn refused(kind: io::ErrorKind, status: StatusCode) -> Failed {
    Failed::Final(io::Error::new(kind, format!("the server answered HTTP {status}")))
}

fn passing(status: StatusCode) -> Failed {
    Failed::Passing(io::Error::other(format!("the server answered HTTP {status}, and again")))
}

fn transport(error: &reqwest::Error) -> Failed {
    if error.is_builder() {
        return Failed::Final(io::Error::new(io::ErrorKind::InvalidInput, "not a usable address"));
    }
    let (kind, text) = match error {
        _ if error.is_timeout() => (io::ErrorKind::TimedOut, "no answer in time"),
        _ if error.is_connect() => (io::ErrorKind::ConnectionRefused, "no connection"),
        _ if error.is_redirect() => (io::ErrorKind::Other, "it is handed on too often"),
        _ => (io::ErrorKind::ConnectionAborted, "the connection broke"),
    };
    Failed::Passing(io::Error::new(kind, text))
}
