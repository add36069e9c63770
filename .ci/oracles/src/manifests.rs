//! Differential test of NVIDIA's manifests: `manifests EVIDENCE [MUTATIONS] [SEED]`. Every manifest as
//! captured, then mutated ones, through our verifier and through `bergshamra`'s XML signatures under the
//! same root. Fails on a difference that [`KNOWN`] does not give a reason for.

mod manifest_edits;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bergshamra_dsig::{DsigContext, VerifyResult, verify};
use bergshamra_keys::KeysManager;
use strongroom_attestation::{HardwareAnchors, UnixTime, authenticate_manifest};
use strongroom_oracles::ours::a_moment;
use strongroom_oracles::random::Random;

const MUTATIONS: usize = 10_000;
const SEED: u64 = 1;
const ROOT: &[u8] = include_bytes!("../../../attestation/anchors/nvidia/corim-signing-root-ca.der");
/// Moments at which some of the manifests are in their dates.
const MOMENTS: [u64; 5] = [1_700_000_000, 1_735_000_000, 1_755_000_000, 1_770_000_000, 1_790_000_000];

/// A manifest, and a moment at which we accept it, if there is one.
struct Sample {
    name: String,
    text: String,
    now: UnixTime,
}

/// One input on which the two did not decide the same.
struct Difference<'a> {
    base: &'a str,
    text: &'a str,
    now: UnixTime,
    ours: Result<(), String>,
    theirs: Result<(), String>,
}

/// One known difference.
struct Known {
    reason: &'static str,
    applies: fn(&Difference<'_>) -> bool,
}

/// In the order in which they are asked.
const KNOWN: &[Known] = &[
    Known {
        reason: "what stands in the signature beside SignedInfo is signed by nobody: we want the profile's elements, \
                 and exactly the certificates of the path in their order; bergshamra takes a path from what is there",
        applies: |it| they_accept(it) && we_accept(it, with_own_signature(it)),
    },
    Known {
        reason: "the signature is taken out of the document wherever it stands: we want it last, as it is in NVIDIA's",
        applies: |it| they_accept(it) && we_accept(it, with_own_signature_last(it)),
    },
    Known {
        reason: "comments and document types are not in the canonical form, CDATA is text there: we refuse a \
                 document that has them",
        applies: |it| they_accept(it) && objects(it, "a comment, CDATA section, document type"),
    },
];

fn they_accept(it: &Difference<'_>) -> bool {
    it.theirs.is_ok()
}

/// Our objection has these words.
fn objects(it: &Difference<'_>, words: &str) -> bool {
    it.ours.as_ref().is_err_and(|why| why.contains(words))
}

/// Whether we accept it with one thing mended, which was then all that we object to.
fn we_accept(it: &Difference<'_>, mended: Option<String>) -> bool {
    mended.is_some_and(|text| ours(&text, it.now).is_ok())
}

/// The input with the captured manifest's signature around the input's SignedInfo.
fn with_own_signature(it: &Difference<'_>) -> Option<String> {
    let signature = between(it.text, "<ds:Signature ", "</ds:Signature>")?;
    let signed = between(&it.text[signature.clone()], "<ds:SignedInfo", "</ds:SignedInfo>")?;
    let signed = &it.text[signature.clone()][signed];
    let own = &it.base[between(it.base, "<ds:Signature ", "</ds:Signature>")?];
    let place = between(own, "<ds:SignedInfo", "</ds:SignedInfo>")?;
    let (before, after) = (&it.text[..signature.start], &it.text[signature.end..]);
    Some([before, &own[..place.start], signed, &own[place.end..], after].concat())
}

/// From where `start` first stands to the end of the first `end` after it.
fn between(text: &str, start: &str, end: &str) -> Option<std::ops::Range<usize>> {
    let from = text.find(start)?;
    Some(from..from + text[from..].find(end)? + end.len())
}

/// The same, as the last child of the root.
fn with_own_signature_last(it: &Difference<'_>) -> Option<String> {
    let text = with_own_signature(it)?;
    let signature = between(&text, "<ds:Signature ", "</ds:Signature>")?;
    let (content, end) = text[signature.end..].rsplit_once("</SoftwareIdentity>")?;
    Some([&text[..signature.start], content, &text[signature], "</SoftwareIdentity>", end].concat())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let evidence = arguments.next().ok_or("usage: manifests EVIDENCE [MUTATIONS] [SEED]")?;
    let mutations = arguments.next().map_or(Ok(MUTATIONS), |count| count.parse())?;
    let mut random = Random(arguments.next().map_or(Ok(SEED), |seed| seed.parse())?);
    std::panic::set_hook(Box::new(|_| {}));

    let mut samples = Vec::new();
    collect(Path::new(&evidence), &mut samples)?;
    if samples.len() < 10 {
        return Err(format!("too few manifests: is {evidence} a folder of evidence?").into());
    }
    let mut told = Told::default();
    for sample in &samples {
        told.note(sample, &sample.text, "as captured");
    }
    println!("{} manifests as captured, of which we accept {}", samples.len(), told.accepted);
    for _ in 0..mutations {
        let base = random.of(&samples);
        let other = &random.of(&samples).text;
        let text = manifest_edits::edited(&base.text, other, &mut random);
        told.note(base, &text, "mutated");
    }
    told.tell()
}

fn collect(folder: &Path, samples: &mut Vec<Sample>) -> Result<(), Box<dyn Error>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, samples)?;
        } else if path.extension().is_some_and(|extension| extension == "xml" || extension == "swidtag") {
            let text = fs::read_to_string(&path)?;
            let now = a_moment(&MOMENTS, |now| ours(&text, now).is_ok());
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            samples.push(Sample { name, text, now });
        }
    }
    Ok(())
}

fn ours(text: &str, now: UnixTime) -> Result<(), String> {
    authenticate_manifest(text.as_bytes(), &HardwareAnchors::compiled_in(), now).map(drop).map_err(|no| no.to_string())
}

/// `bergshamra`: whether the signature in the document verifies under the root at that time.
fn theirs(text: &str, now: UnixTime) -> Result<(), String> {
    let verified = catch_unwind(AssertUnwindSafe(|| {
        let mut keys = KeysManager::new();
        keys.add_trusted_cert(ROOT.to_vec());
        let context = DsigContext::new_permissive(keys)
            .with_strict_verification(true)
            .with_enabled_key_data_x509(true)
            .with_verification_time(now.to_string().replace('T', "+").replace('Z', ""));
        match verify::verify(&context, text) {
            Ok(VerifyResult::Valid { .. }) => Ok(()),
            Ok(VerifyResult::Invalid { reason }) => Err(reason),
            Err(error) => Err(error.to_string()),
        }
    }));
    verified.unwrap_or_else(|_| Err("it panicked".to_owned()))
}

#[derive(Default)]
struct Told {
    inputs: usize,
    accepted: usize,
    explained: BTreeMap<&'static str, usize>,
    unexplained: usize,
    shown: BTreeSet<(String, String)>,
}

impl Told {
    fn note(&mut self, base: &Sample, text: &str, how: &str) {
        let found = Difference {
            base: &base.text,
            text,
            now: base.now,
            ours: ours(text, base.now),
            theirs: theirs(text, base.now),
        };
        self.inputs += 1;
        self.accepted += usize::from(found.ours.is_ok());
        if found.ours.is_ok() == found.theirs.is_ok() {
            return;
        }
        if let Some(known) = KNOWN.iter().find(|known| (known.applies)(&found)) {
            *self.explained.entry(known.reason).or_default() += 1;
            return;
        }
        self.unexplained += 1;
        let short = |answer: &Result<(), String>| match answer {
            Ok(()) => "accepted".to_owned(),
            Err(why) => why.chars().take(90).collect(),
        };
        // One of each sort is enough to look at.
        let sort = (short(&found.ours), short(&found.theirs));
        if self.shown.insert(sort.clone()) {
            println!("UNEXPLAINED {} {how}: {}", base.name, first_change(found.base, text));
            println!("    ours {}\n    theirs {}", sort.0, sort.1);
        }
    }

    fn tell(self) -> Result<(), Box<dyn Error>> {
        println!("{} inputs, of which we accept {}", self.inputs, self.accepted);
        for (reason, count) in &self.explained {
            println!("{count:6} explained: {reason}");
        }
        match self.unexplained {
            0 => Ok(()),
            count => Err(format!("{count} differences without a reason").into()),
        }
    }
}

/// Where the two texts part, and how the second goes on.
fn first_change(base: &str, text: &str) -> String {
    let at = base.chars().zip(text.chars()).take_while(|(one, other)| one == other).count();
    let near: String = text.chars().skip(at.saturating_sub(24)).take(96).collect();
    format!("at {at}: {near:?}")
}
