//! `strongroom collateral fetch`: what was named, and what evidence needs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use strongroom_attestation::{Artefacts, DeviceEvidence, Endorsements, HexBytes, Product, Refusal, Submission};
use strongroom_endorsements::{
    Alternative, Answer, Evaluation, FetchError, KeyKind, ManifestId, PckCa, Purpose, Settings, Want, evidence_wants,
};

use super::show::{fetched_json, item_text};
use super::{Addresses, Place, freshness_text, mirrors, open, patiently};
use crate::exit_code::Exit;
use crate::file;
use crate::output::{Failure, Output};
use crate::trust::now;

/// A person waits for this command: longer than a server would, for a vendor that limits requests.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to fetch, and from where.
#[derive(Args)]
#[group(id = "wanted", required = true, multiple = true, args = ["evidence", "product", "fmspc", "nvidia_manifest"])]
pub(crate) struct Fetch {
    /// The files of one machine's evidence (SNP report, TDX quote, Azure's, reports of NVIDIA devices and their
    /// certificates), in any order: fetch what verifies it.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    evidence: Vec<PathBuf>,
    /// Chains and revocation list of this AMD product line; with --evidence, the lines that a report which does not
    /// name its own can be of, in the order in which to try them [default: all].
    #[arg(long, value_parser = ["Milan", "Genoa", "Turin"])]
    product: Vec<String>,
    /// TCB info, identity and revocation lists for Intel TDX platforms of this FMSPC (12 hexadecimal digits).
    #[arg(long, value_name = "HEX")]
    fmspc: Vec<String>,
    /// NVIDIA's manifest of this name, for example NV_GPU_DRIVER_GH100_550.90.07; repeat it.
    #[arg(long, value_name = "ID")]
    nvidia_manifest: Vec<String>,
    /// The authority of the platform's PCK certificate [default: both].
    #[arg(long, value_parser = ["platform", "processor"], requires = "fmspc")]
    ca: Option<String>,
    /// Which set of Intel's TCB levels: standard, early, or a number.
    #[arg(long, value_name = "SET", default_value = "standard")]
    evaluation: String,
    #[command(flatten)]
    addresses: Addresses,
    #[command(flatten)]
    place: Place,
}

/// Fetches what was asked for, and says what came.
pub(super) async fn run(arguments: Fetch, output: Output) -> Result<Exit, Failure> {
    let mirrors = mirrors(&arguments.addresses)?;
    let settings = Settings { mirrors, patience: PATIENCE, ..Settings::default() };
    let evaluation = evaluation(&arguments)?;
    let wants = wants(&arguments, evaluation)?;
    let products: Vec<Product> = arguments.product.iter().filter_map(|name| Product::from_name(name)).collect();
    let candidates = if products.is_empty() { Product::ALL.to_vec() } else { products };
    let needed = needed(&arguments.evidence, &candidates, evaluation)?;
    let source = open(settings, arguments.place.cache.as_deref())?;

    let work = async {
        let mut got = source.first_of(&needed.machine).await;
        // What is given is fetched as well; it may not travel with the next evidence of the same machine.
        got.extend(source.for_devices(&needed.devices, &needed.certificates, now(), Purpose::Carry).await);
        got
    };
    let got = patiently("what verifies the evidence", work, output).await;
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

/// What evidence in files needs.
#[derive(Default)]
struct Needed {
    machine: Vec<Alternative>,
    devices: DeviceEvidence,
    /// What came with the devices; it tells which they are.
    certificates: Endorsements,
}

/// What verifies the evidence in these files; of no files, nothing.
fn needed(files: &[PathBuf], candidates: &[Product], evaluation: Evaluation) -> Result<Needed, Failure> {
    if files.is_empty() {
        return Ok(Needed::default());
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
    let submission = artefacts.into_submission().map_err(|refusal| refused(&all, &refusal))?;
    let Submission { machine, devices, endorsements: certificates, .. } = submission;
    // What travels with this evidence may not travel with the next of the same machine: all of it is fetched.
    let machine = machine.map(|evidence| evidence_wants(&evidence, &certificates, candidates, evaluation)).transpose();
    let machine =
        machine.map_err(|error| Failure::new(Exit::Refused, "NOTHING_TO_FETCH", format!("{all}: {error}")))?;
    Ok(Needed { machine: machine.unwrap_or_default(), devices, certificates })
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
    for name in &arguments.nvidia_manifest {
        let wrong =
            |_| Failure::usage(format!("`{name}` is no manifest's name: letters, digits, `.` and `_` are wanted"));
        wants.push(Want::NvidiaManifest { id: ManifestId::new(name).map_err(wrong)? });
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
