//! `strongroom collateral`: what CPU vendors publish, fetched ahead of need, and carried to sites without a network.

mod source;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_attestation::{Artefacts, HexBytes, Product, Refusal, UnixTime};
use strongroom_endorsements::{
    Alternative, Answer, Bundle, BundleError, Evaluation, FetchError, Item, KeyKind, PckCa, Settings, Want,
    evidence_wants,
};

pub(crate) use source::{freshness, freshness_text, mirrors, open, patiently};

use crate::exit_code::Exit;
use crate::file;
use crate::output::{Failure, Output};
use crate::trust::now;

/// A person waits for this command: longer than a server would, for a vendor that limits requests.
const PATIENCE: Duration = Duration::from_secs(60);
const MAX_BUNDLE: u64 = (64 << 20) + 1;
const DAY: u64 = 24 * 60 * 60;

#[derive(Subcommand)]
pub(crate) enum Collateral {
    /// Fetch what vendors publish into the cache. What is there and young is not fetched again.
    Fetch(Fetch),
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

#[derive(Args)]
#[group(id = "wanted", required = true, multiple = true, args = ["evidence", "product", "fmspc"])]
pub(crate) struct Fetch {
    /// The files of one machine's evidence (SNP report, TDX quote, Azure's), in any order: fetch what verifies it.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    evidence: Vec<PathBuf>,
    /// Chains and revocation list of this AMD product line; with --evidence, the lines that a report which does not
    /// name its own can be of, in the order in which to try them [default: all].
    #[arg(long, value_parser = ["Milan", "Genoa", "Turin"])]
    product: Vec<String>,
    /// TCB info, identity and revocation lists for Intel TDX platforms of this FMSPC (12 hexadecimal digits).
    #[arg(long, value_name = "HEX")]
    fmspc: Vec<String>,
    /// The authority of the platform's PCK certificate [default: both].
    #[arg(long, value_parser = ["platform", "processor"], requires = "fmspc")]
    ca: Option<String>,
    /// Which set of Intel's TCB levels: standard, early, or a number.
    #[arg(long, value_name = "SET", default_value = "standard")]
    evaluation: String,
    /// A mirror of AMD's service; several are tried in order [default: AMD's].
    #[arg(long, value_name = "URL")]
    amd_url: Vec<String>,
    /// A PCCS or mirror of Intel's service; several are tried in order [default: Intel's].
    #[arg(long, value_name = "URL")]
    intel_url: Vec<String>,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(command: Collateral, output: Output) -> Result<Exit, Failure> {
    match command {
        Collateral::Fetch(arguments) => fetch(arguments, output).await,
        Collateral::Export { file, place } => export(&file, &place, output),
        Collateral::Import { file, place } => import(&file, &place, output),
        Collateral::Show { file, place } => show(file.as_deref(), &place, output),
    }
}

async fn fetch(arguments: Fetch, output: Output) -> Result<Exit, Failure> {
    let mirrors = mirrors(&arguments.amd_url, &arguments.intel_url)?;
    let settings = Settings { mirrors, patience: PATIENCE, ..Settings::default() };
    let evaluation = evaluation(&arguments)?;
    let wants = wants(&arguments, evaluation)?;
    let products: Vec<Product> = arguments.product.iter().filter_map(|name| Product::from_name(name)).collect();
    let candidates = if products.is_empty() { Product::ALL.to_vec() } else { products };
    let needed = needed(&arguments.evidence, &candidates, evaluation)?;
    let source = open(settings, arguments.place.cache.as_deref())?;

    let got = patiently("what verifies the evidence", source.first_of(&needed), output).await;
    let (mut answers, mut missing) = (got.answers, got.missing);
    for want in &wants {
        match patiently(&want.to_string(), source.get(want), output).await {
            Ok(answer) => answers.push(answer),
            Err(error) => missing.push(error),
        }
    }
    // Evidence and arguments can name the same item.
    let mut seen = std::collections::BTreeSet::new();
    answers.retain(|answer| seen.insert(answer.item.want().clone()));
    report_fetched(&answers, &missing, output)
}

/// What verifies the evidence in these files; of no files, nothing.
fn needed(files: &[PathBuf], candidates: &[Product], evaluation: Evaluation) -> Result<Vec<Alternative>, Failure> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let refused = |about: &str, refusal: &Refusal| {
        let exit = Exit::from_code(refusal.code.exit_code());
        Failure::new(exit, refusal.code.as_str(), format!("{about}: {}", refusal.detail))
    };
    let mut artefacts = Artefacts::default();
    for file in files {
        let name = file.display().to_string();
        artefacts.add(&file::read_artefact(file)?).map_err(|refusal| refused(&name, &refusal))?;
    }
    let all = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
    let (evidence, given) = artefacts.into_evidence().map_err(|refusal| refused(&all, &refusal))?;
    // What travels with this evidence may not travel with the next of the same machine: all of it is fetched.
    evidence_wants(&evidence, &given, candidates, evaluation)
        .map_err(|error| Failure::new(Exit::Refused, "NOTHING_TO_FETCH", format!("{all}: {error}")))
}

/// Says what was got, and ends with the worst of what was not.
fn report_fetched(answers: &[Answer], missing: &[FetchError], output: Output) -> Result<Exit, Failure> {
    for answer in answers {
        if let Some(why) = &answer.not_kept {
            output.note(format!("warning: {} could not be kept in the cache: {why}", answer.item.want()));
        }
    }
    let items: Vec<Value> = answers.iter().map(fetched_json).collect();
    let failed = missing.iter().map(|error| {
        let retry_after = error.retry_after().map(|time| time.as_secs());
        json!({ "want": error.want().to_string(), "code": error.code(), "retry_after": retry_after, "message": error.to_string() })
    });
    let value = json!({ "items": items, "missing": failed.collect::<Vec<_>>() });
    let lines = answers.iter().map(|answer| format!("{}\n    {}", item_text(&answer.item), freshness_text(answer)));
    let text = lines.collect::<Vec<_>>().join("\n");
    if output.json || !text.is_empty() {
        output.result(&value, text);
    }
    let messages = || missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let of_kind = |code: &str| missing.iter().any(|error| error.code() == code);
    if of_kind("UNAVAILABLE") {
        return Err(Failure::new(Exit::Unavailable, "UNAVAILABLE", messages()));
    }
    match missing.first() {
        None => Ok(Exit::Done),
        Some(error) => Err(Failure::new(Exit::Refused, error.code(), messages())),
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
    let value = json!({ "items": items.iter().map(item_json).collect::<Vec<_>>() });
    let text = items.iter().map(item_text).collect::<Vec<_>>().join("\n");
    output.result(&value, if items.is_empty() { "no items".to_owned() } else { text });
    Ok(Exit::Done)
}

fn evaluation(arguments: &Fetch) -> Result<Evaluation, Failure> {
    let text = &arguments.evaluation;
    let wrong = || format!("`{text}` is no set of TCB levels: standard, early or a number is wanted");
    text.parse().map_err(|_| Failure::usage(wrong()))
}

fn wants(arguments: &Fetch, evaluation: Evaluation) -> Result<Vec<Want>, Failure> {
    let mut wants = Vec::new();
    if arguments.evidence.is_empty() {
        for product in arguments.product.iter().filter_map(|name| Product::from_name(name)) {
            wants.extend([KeyKind::Vcek, KeyKind::Vlek].map(|kind| Want::AmdChain { product, kind }));
            wants.push(Want::AmdCrl { product });
        }
    }
    if arguments.fmspc.is_empty() {
        return Ok(wants);
    }
    for text in &arguments.fmspc {
        let fmspc = HexBytes::from_hex(text)
            .ok_or_else(|| Failure::usage(format!("`{text}` is no FMSPC: 12 hexadecimal digits are wanted")))?;
        wants.push(Want::IntelTcbInfo { fmspc, evaluation });
    }
    wants.push(Want::IntelQeIdentity { evaluation });
    let authorities = [PckCa::Platform, PckCa::Processor].into_iter();
    let chosen = authorities.filter(|ca| arguments.ca.as_deref().is_none_or(|wanted| wanted == ca.as_str()));
    wants.extend(chosen.map(|ca| Want::IntelPckCrl { ca }));
    wants.push(Want::IntelRootCrl);
    Ok(wants)
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

fn item_json(item: &Item) -> Value {
    let description = item.description();
    let left = description.expires.map(|expires| days_left(expires, now()));
    json!({
        "want": item.want().to_string(), "url": item.url(), "fetched_at": item.fetched_at(),
        "subject": description.subject, "issued": description.issued, "expires": description.expires,
        "evaluation": description.evaluation, "days_left": left,
    })
}

fn fetched_json(answer: &Answer) -> Value {
    let mut value = item_json(&answer.item);
    let (state, age, why) = freshness(answer);
    value["freshness"] = json!({ "state": state, "age": age, "why": why });
    value
}

fn item_text(item: &Item) -> String {
    let description = item.description();
    let evaluation = description.evaluation.map_or_else(String::new, |number| format!(", evaluation {number}"));
    let expires = match description.expires {
        None => "no expiry".to_owned(),
        Some(expires) => match days_left(expires, now()) {
            0 if expires > now() => format!("expires {expires}, within a day"),
            days if days > 0 => format!("expires {expires}, {days} days left"),
            _ => format!("EXPIRED {expires}"),
        },
    };
    format!(
        "{}\n    {}{evaluation}, issued {}, {expires}, fetched {}",
        item.want(),
        description.subject,
        description.issued,
        item.fetched_at()
    )
}

/// Whole days; negative when it is over.
fn days_left(expires: UnixTime, now: UnixTime) -> i64 {
    let days = |from: UnixTime, to: UnixTime| i64::try_from(to.saturating_secs_since(from) / DAY).unwrap_or(i64::MAX);
    if expires > now { days(now, expires) } else { days(expires, now).saturating_neg().min(-1) }
}
