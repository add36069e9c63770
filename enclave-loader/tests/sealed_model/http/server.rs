//! A web server of a few lines that serves a directory in ranges, well or badly.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

/// What is wrong with a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    None,
    /// Every so many answers end half-way.
    BreaksEvery(usize),
    /// The first answers are 503.
    Busy(usize),
    /// Sends each request elsewhere first.
    Redirects,
    /// Sends whole files.
    IgnoresRanges,
    /// Sends another range than was asked for.
    WrongRange,
    /// Says after so many answers that the file is another one.
    ChangesAfter(usize),
    /// 403.
    Forbids,
    /// This file is not there.
    Lacks(&'static str),
}

pub(crate) struct Server {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    directory: PathBuf,
    fault: Fault,
    answers: AtomicUsize,
    sent: AtomicU64,
}

impl Server {
    /// Serves `directory` until the test's process ends.
    pub(crate) fn new(directory: PathBuf, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { directory, fault, answers: AtomicUsize::new(0), sent: AtomicU64::new(0) });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, serving) = (stream.unwrap(), serving.clone());
                // A client that went away is its own business.
                thread::spawn(move || serving.answer(stream).unwrap_or_default());
            }
        });
        Self { url, shared }
    }

    /// Bytes of bodies so far.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let (path, range, if_match) = request(&stream)?;
        let number = self.answers.fetch_add(1, Ordering::SeqCst);
        let empty = |status: &str, header: &str| {
            format!("HTTP/1.1 {status}\r\n{header}content-length: 0\r\nconnection: close\r\n\r\n")
        };
        let moved = path.strip_prefix("elsewhere/");
        let file = moved.unwrap_or(&path);
        let refusal = match self.fault {
            Fault::Busy(times) if number < times => Some(empty("503 Busy", "")),
            Fault::Redirects if moved.is_none() => {
                Some(empty("302 Found", &format!("location: /elsewhere/{path}\r\n")))
            }
            Fault::Forbids => Some(empty("403 Forbidden", "")),
            Fault::Lacks(lacking) if lacking == file => Some(empty("404 Not Found", "")),
            Fault::ChangesAfter(answers) if number >= answers && if_match.is_some() => {
                Some(empty("412 Precondition Failed", ""))
            }
            _ => None,
        };
        let Ok(content) = fs::read(self.directory.join(file)) else {
            return stream.write_all(empty("404 Not Found", "").as_bytes());
        };
        if let Some(refusal) = refusal {
            return stream.write_all(refusal.as_bytes());
        }
        let (first, last) = range.unwrap_or((0, content.len() - 1));
        let last = last.min(content.len() - 1);
        let (status, first, last) = match self.fault {
            Fault::IgnoresRanges => ("200 OK", 0, content.len() - 1),
            Fault::WrongRange if first > 0 => ("206 Partial Content", first - 1, last),
            _ => ("206 Partial Content", first, last),
        };
        let body = &content[first..=last];
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-range: bytes {first}-{last}/{}\r\netag: \"one\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            content.len(),
            body.len()
        );
        let breaks = matches!(self.fault, Fault::BreaksEvery(every) if number % every == every - 1);
        let body = if breaks { &body[..body.len() / 2] } else { body };
        self.sent.fetch_add(body.len() as u64, Ordering::SeqCst);
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)
    }
}

type Asked = (String, Option<(usize, usize)>, Option<String>);

/// Path without the slash, range, If-Match.
fn request(stream: &TcpStream) -> std::io::Result<Asked> {
    let (mut path, mut range, mut if_match) = (String::new(), None, None);
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(rest) = line.strip_prefix("GET /") {
            path = rest.split(' ').next().unwrap().to_owned();
        }
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => {
                let (first, last) = value.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                range = Some((first.parse().unwrap(), last.parse().unwrap()));
            }
            Some((name, value)) if name.eq_ignore_ascii_case("if-match") => if_match = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok((path, range, if_match))
}
