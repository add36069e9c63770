//! Differential test: `compare EVIDENCE [MUTATIONS] [SEED]`. Every sample as captured, then mutated
//! ones, through our verifier and through others. Fails on a difference that [`explained`] does not
//! give a reason for.

mod explained;
mod mutate;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use strongroom_oracles::ours::{self, Outcome};
use strongroom_oracles::random::Random;
use strongroom_oracles::samples::{Samples, SnpSample, TdxSample};
use strongroom_oracles::theirs::{self, Answer};

use mutate::{mutated, mutated_collateral};

const MUTATIONS: usize = 10_000;
const SEED: u64 = 1;

/// Another implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    Sev,
    DcapQvl,
    TdxQuote,
}

/// One input on which the two did not decide the same.
struct Difference {
    peer: Peer,
    /// The sample and what was done to it.
    name: String,
    ours: Outcome,
    /// What we say in the peer's words.
    decision: Option<String>,
    theirs: Answer,
    /// The report or quote as it was given.
    evidence: Vec<u8>,
    /// Which bytes of the mutated part are not the captured ones (not told for collateral).
    changed: Vec<usize>,
    /// The part that was mutated.
    part: &'static str,
}

#[derive(Default)]
struct Comparison {
    inputs: BTreeMap<Peer, (usize, usize)>,
    explained: BTreeMap<&'static str, usize>,
    unexplained: Vec<Difference>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let evidence = PathBuf::from(arguments.next().ok_or("usage: compare EVIDENCE [MUTATIONS] [SEED]")?);
    let mutations = arguments.next().map_or(Ok(MUTATIONS), |count| count.parse())?;
    let mut random = Random(arguments.next().map_or(Ok(SEED), |seed| seed.parse())?);
    std::panic::set_hook(Box::new(|_| {}));

    let samples = Samples::read(&evidence)?;
    let complete = samples.tdx.iter().filter(|sample| sample.collateral.is_some()).count();
    println!(
        "{} SNP reports, {} TDX quotes, {complete} with complete collateral",
        samples.snp.len(),
        samples.tdx.len()
    );
    if samples.snp.len() < 10 {
        return Err(format!("too few samples: is {} a folder of evidence?", evidence.display()).into());
    }
    let mut comparison = Comparison::default();
    for sample in &samples.snp {
        comparison.snp(sample, sample, "nothing");
    }
    for sample in &samples.tdx {
        comparison.tdx(sample, sample, "nothing");
    }
    for _ in 0..mutations {
        if !samples.tdx.is_empty() && random.below(5) < 3 {
            let base = random.of(&samples.tdx);
            let (sample, part) = mutated_tdx(base, &samples.tdx, &mut random);
            comparison.tdx(base, &sample, part);
        } else {
            let base = random.of(&samples.snp);
            let (sample, part) = mutated_snp(base, &samples.snp, &mut random);
            comparison.snp(base, &sample, part);
        }
    }
    comparison.tell()
}

fn mutated_snp(base: &SnpSample, all: &[SnpSample], random: &mut Random) -> (SnpSample, &'static str) {
    let mut sample = base.clone();
    let other = random.of(all);
    let part = match random.below(10) {
        0 => {
            sample.certificate.clone_from(&other.certificate);
            "other certificate"
        }
        1..=5 => {
            sample.report = mutated(&base.report, &other.report, random);
            "report"
        }
        _ => {
            sample.certificate = mutated(&base.certificate, &other.certificate, random);
            "certificate"
        }
    };
    (sample, part)
}

fn mutated_tdx(base: &TdxSample, all: &[TdxSample], random: &mut Random) -> (TdxSample, &'static str) {
    let mut sample = base.clone();
    let other = random.of(all);
    let part = match &mut sample.collateral {
        Some(collateral) if random.below(2) == 0 => mutated_collateral(collateral, other.collateral.as_ref(), random),
        _ => {
            sample.quote = mutated(&base.quote, &other.quote, random);
            "quote"
        }
    };
    (sample, part)
}

impl Comparison {
    fn snp(&mut self, base: &SnpSample, sample: &SnpSample, part: &'static str) {
        let ours = ours::snp(&sample.report, &sample.certificate, sample.now);
        let decision = ours.authentic.then(|| "authentic".to_owned());
        let theirs = theirs::sev(&sample.report, &sample.certificate);
        let mut changed = differing(&base.report, &sample.report);
        changed.extend(differing(&base.certificate, &sample.certificate));
        self.note(Difference {
            peer: Peer::Sev,
            name: sample.name.clone(),
            ours,
            decision,
            theirs,
            evidence: sample.report.clone(),
            changed,
            part,
        });
    }

    fn tdx(&mut self, base: &TdxSample, sample: &TdxSample, part: &'static str) {
        let ours = ours::tdx(&sample.quote, sample.collateral.as_ref(), sample.now);
        let (peer, decision, theirs) = match &sample.collateral {
            Some(collateral) => {
                let decision = ours.status.clone().filter(|_| ours.authentic);
                (Peer::DcapQvl, decision, theirs::dcap_qvl(&sample.quote, collateral, sample.now.as_secs()))
            }
            None => {
                let decision = ours.authentic.then(|| "authentic".to_owned());
                (Peer::TdxQuote, decision, theirs::tdx_quote(&sample.quote))
            }
        };
        let changed = differing(&base.quote, &sample.quote);
        let (name, evidence) = (sample.name.clone(), sample.quote.clone());
        self.note(Difference { peer, name, ours, decision, theirs, evidence, changed, part });
    }

    fn note(&mut self, compared: Difference) {
        let (inputs, accepted) = self.inputs.entry(compared.peer).or_default();
        *inputs += 1;
        *accepted += usize::from(compared.decision.is_some());
        if compared.decision == compared.theirs.clone().ok() {
            return;
        }
        match explained::reason(&compared) {
            Some(reason) => *self.explained.entry(reason).or_default() += 1,
            None => self.unexplained.push(compared),
        }
    }

    fn tell(self) -> Result<(), Box<dyn Error>> {
        for (peer, (inputs, accepted)) in &self.inputs {
            println!("{peer:?}: {inputs} inputs, of which we accept {accepted}");
        }
        for (reason, count) in &self.explained {
            println!("{count:6} explained: {reason}");
        }
        let mut shown = std::collections::BTreeSet::new();
        for difference in &self.unexplained {
            let Difference { peer, name, part, decision, theirs, ours, changed, .. } = difference;
            let short = |text: &str| text.chars().take(60).collect::<String>();
            let theirs_shown = theirs.as_ref().map_or_else(|error| short(error), |_| "accepted".to_owned());
            // One of each sort is enough to look at.
            if !shown.insert((*peer, *part, short(&ours.objection), theirs_shown)) {
                continue;
            }
            let (first, last) = (changed.first(), changed.last());
            println!("UNEXPLAINED {peer:?} {name}, mutated {part} {first:x?}..{last:x?}");
            println!("    ours {decision:?} ({})\n    theirs {theirs:?}", ours.objection);
        }
        match self.unexplained.len() {
            0 => Ok(()),
            count => Err(format!("{count} differences without a reason").into()),
        }
    }
}

fn differing(base: &[u8], mutated: &[u8]) -> Vec<usize> {
    (0..base.len().max(mutated.len())).filter(|index| base.get(*index) != mutated.get(*index)).collect()
}
