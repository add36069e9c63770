//! What evidence of any platform needs, and getting it. The evidence is not believed: a lie leads to endorsements that
//! do not verify it.

use strongroom_attestation::{Endorsements, Evidence, PckCa as Authority, Product, Refusal, UnixTime};

use crate::error::{FetchError, WantError};
use crate::snp::snp_wants;
use crate::source::{Answer, CollateralSource};
use crate::want::{Evaluation, PckCa, Want};

/// One set of items that may be what evidence needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alternative {
    /// The chip's certificate: where the vendor does not know it, the next alternative is tried. `None` where the
    /// evidence or the host brings the key's certificate: a VLEK, a PCK.
    pub key: Option<Want>,
    /// The other items: authorities, revocation lists, TCB levels.
    pub others: Vec<Want>,
}

/// What was got for evidence.
#[derive(Clone, Debug, Default)]
pub struct Collateral {
    /// What was got, the chip's certificate first.
    pub answers: Vec<Answer>,
    /// What was not.
    pub missing: Vec<FetchError>,
}

/// What `evidence` needs, in the order in which to try it: SNP reports and TD quotes, and those in Azure's evidence.
///
/// `given` is what came with it, and names the platform of a quote that carries no certificate. An SNP report of
/// version 2 does not say its product line: `candidates` are then what may be. `evaluation` is the set of Intel's
/// levels.
///
/// # Errors
/// Evidence that does not name its platform, or whose key nothing published vouches for.
pub fn evidence_wants(
    evidence: &Evidence,
    given: &Endorsements,
    candidates: &[Product],
    evaluation: Evaluation,
) -> Result<Vec<Alternative>, WantError> {
    if let Some(report) = evidence.snp_report() {
        return snp_wants(report, candidates);
    }
    let hint = evidence.td_quote().and_then(|quote| quote.platform_hint(given)).ok_or(WantError::NoPck)?;
    let mut others = vec![Want::IntelTcbInfo { fmspc: hint.fmspc, evaluation }, Want::IntelQeIdentity { evaluation }];
    let ca = hint.ca.map(|ca| match ca {
        Authority::Platform => PckCa::Platform,
        Authority::Processor => PckCa::Processor,
    });
    others.extend(ca.map(|ca| Want::IntelPckCrl { ca }));
    others.push(Want::IntelRootCrl);
    Ok(vec![Alternative { key: None, others }])
}

/// The same without what `given` holds and is in its dates at `now`. A given certificate of the chip decides for its
/// alternative.
pub fn not_given(alternatives: Vec<Alternative>, given: &Endorsements, now: UnixTime) -> Vec<Alternative> {
    let is_given = |want: &Want| want.is_met_by(given, now);
    let has_key = |alternative: &&Alternative| alternative.key.as_ref().is_some_and(is_given);
    let decided = alternatives.iter().find(has_key).cloned();
    let open = decided.map_or(alternatives, |decided| vec![decided]);
    let without = |Alternative { key, others }| Alternative {
        key: key.filter(|want| !is_given(want)),
        others: others.into_iter().filter(|want| !is_given(want)).collect(),
    };
    open.into_iter().map(without).collect()
}

impl CollateralSource {
    /// Gets the first of `alternatives` whose key the vendor knows; where it knows none, the first says so. What could
    /// not be got is in the result, because a verifier may have it from elsewhere.
    pub async fn first_of(&self, alternatives: &[Alternative]) -> Collateral {
        let mut unknown = None;
        for Alternative { key, others } in alternatives {
            let mut collateral = Collateral::default();
            if let Some(want) = key {
                match self.get(want).await {
                    // The chip is of another product line.
                    Err(error @ FetchError::NotFound { .. }) => {
                        unknown.get_or_insert(error);
                        continue;
                    }
                    got => collateral.take(got),
                }
            }
            for want in others {
                collateral.take(self.get(want).await);
            }
            return collateral;
        }
        Collateral { answers: Vec::new(), missing: unknown.into_iter().collect() }
    }
}

impl Collateral {
    /// Puts everything into the verifier's bag.
    ///
    /// # Errors
    /// The bag's limits.
    pub fn add_to(&self, endorsements: &mut Endorsements) -> Result<(), Refusal> {
        self.answers.iter().try_for_each(|answer| answer.item.add_to(endorsements))
    }

    /// Adds what was got for something else.
    pub fn extend(&mut self, other: Collateral) {
        self.answers.extend(other.answers);
        self.missing.extend(other.missing);
    }

    pub(crate) fn take(&mut self, got: Result<Answer, FetchError>) {
        match got {
            Ok(answer) => self.answers.push(answer),
            Err(error) => self.missing.push(error),
        }
    }
}
