//! TCB info and QE identity from the bag: the newest that is for this platform and in its dates, under
//! Intel's signature.

use crate::class::Anchored;
use crate::endorsements::Endorsements;
use crate::error::{Check, Code};
use crate::pki::{ListRules, Path, PathRules, check_lists};
use crate::tdx::pck::PckExtension;
use crate::tdx::signed_json::SignedBytes;
use crate::tdx::{QeIdentity, TcbInfo};
use crate::trail::Trail;
use crate::trust_anchors::plain_name;
use crate::unix_time::UnixTime;
use crate::x509::Certificate;

/// The common name of the certificate that signs both.
const SIGNER: &str = "Intel SGX TCB Signing";
/// Certificates of that name that are tried.
const MAX_SIGNERS: usize = 8;

/// What everything about one piece of collateral is checked against.
pub(super) struct Collateral<'a> {
    pub(super) bag: &'a Endorsements,
    pub(super) anchored: Anchored<'a>,
    /// Refuse without the collateral.
    pub(super) required: bool,
    /// Refuse without a revocation list of the root.
    pub(super) lists_required: bool,
    pub(super) now: UnixTime,
}

/// Collateral whose signature holds, and until when.
pub(super) struct Checked<'a, T> {
    pub(super) item: &'a T,
    pub(super) until: UnixTime,
}

impl<'a> Collateral<'a> {
    /// The TCB info of this platform. `None` inside when there is none and none is required.
    pub(super) fn tcb_info(&self, trail: &mut Trail, pck: &PckExtension) -> Option<Option<Checked<'a, TcbInfo>>> {
        let wanted = format!("TDX TCB info of FMSPC {}, PCE {}", hex::encode(pck.fmspc), hex::encode(pck.pce_id));
        let all = self.bag.tcb_infos();
        let fits =
            |info: &&TcbInfo| info.is_tdx() && info.fields.fmspc.0 == pck.fmspc && info.fields.pce_id.0 == pck.pce_id;
        let other = all.iter().find(|info| !fits(info)).map(TcbInfo::shown);
        let candidates: Vec<_> = all.iter().filter(fits).map(Candidate::of_tcb_info).collect();
        self.newest(trail, "TCB info", wanted, &candidates, other)
    }

    /// The identity of the quoting enclave.
    pub(super) fn qe_identity(&self, trail: &mut Trail) -> Option<Option<Checked<'a, QeIdentity>>> {
        let all = self.bag.qe_identities();
        let other = all.iter().find(|identity| !identity.is_td_qe()).map(QeIdentity::shown);
        let candidates: Vec<_> =
            all.iter().filter(|identity| identity.is_td_qe()).map(Candidate::of_qe_identity).collect();
        self.newest(trail, "QE identity", "the identity of TD_QE, version 2".to_owned(), &candidates, other)
    }

    /// Chooses the highest evaluation number, then the latest issue, among those in their dates;
    /// refuses when any of the candidates has a bad signature, when none is in its dates, and when
    /// only others' were supplied.
    fn newest<T>(
        &self,
        trail: &mut Trail,
        title: &str,
        wanted: String,
        candidates: &[Candidate<'a, T>],
        other: Option<String>,
    ) -> Option<Option<Checked<'a, T>>> {
        if candidates.is_empty() {
            trail.step(match other {
                Some(other) => Check::fail(Code::Chain, title, wanted, other),
                None if self.required => Check::fail(Code::Tcb, title, wanted, Check::NONE_SUPPLIED),
                None => {
                    let why = format!("nothing: the policy does not require {title}");
                    Check::skip(Code::Tcb, title, why, Check::NONE_SUPPLIED)
                }
            })?;
            return Some(None);
        }
        let signer = self.signer(trail, title, candidates)?;
        let now = self.now;
        let dates = format!("{title} dates");
        let in_date = candidates.iter().filter(|candidate| candidate.issued <= now && now <= candidate.ends);
        let newest = in_date.max_by_key(|candidate| (candidate.evaluation, candidate.issued));
        let Some(newest) = newest else {
            let found = candidates.iter().map(|candidate| candidate.shown.as_str()).collect::<Vec<_>>().join("; ");
            trail.step(Check::fail(Code::CollateralExpired, dates, format!("valid at {now}"), found))?;
            return None;
        };
        trail.lasts(title, newest.ends);
        trail.step(Check::pass(Code::CollateralExpired, dates, format!("valid at {now}"), newest.shown.clone()))?;
        Some(Some(Checked { item: newest.item, until: newest.ends.min(signer) }))
    }

    /// Checks every candidate's signature; gives the end of the signer's chain.
    fn signer<T>(&self, trail: &mut Trail, title: &str, candidates: &[Candidate<'a, T>]) -> Option<UnixTime> {
        let named = |certificate: &&Certificate| certificate.subject.common_name().map(plain_name) == Some(SIGNER);
        let known = self.anchored.roots.intel.iter().flat_map(|vendor| &vendor.known);
        let mut signers: Vec<&'a Certificate> = known.chain(self.bag.certificates()).filter(named).collect();
        signers.truncate(MAX_SIGNERS);
        // Intel certified the same key again: the certificate that is valid now counts.
        signers.sort_by_key(|signer| self.now < signer.not_before || self.now > signer.not_after);
        let remembered = self.anchored.remembered;
        let mut until: Option<UnixTime> = None;
        let mut used: Option<&Certificate> = None;
        for candidate in candidates {
            let signature = format!("{title} signature");
            let wanted = format!("made by {SIGNER}");
            let Some(signer) = signers.iter().find(|signer| candidate.signed.is_signed_by(signer, remembered)) else {
                let (code, found) = match signers.first() {
                    None => (Code::NoEndorsement, "no certificate of that name".to_owned()),
                    Some(_) => (Code::Signature, format!("it does not verify: {}", candidate.shown)),
                };
                trail.step(Check::fail(code, signature, wanted, found))?;
                return None;
            };
            trail.step(Check::pass(Code::Signature, signature, wanted, candidate.shown.clone()))?;
            if used != Some(signer) {
                let end = self.signer_path(trail, title, signer)?;
                until = Some(until.map_or(end, |until| until.min(end)));
                used = Some(signer);
            }
        }
        until
    }

    fn signer_path(&self, trail: &mut Trail, title: &str, signer: &'a Certificate) -> Option<UnixTime> {
        let chain = format!("{title} signer's chain");
        let rules = PathRules {
            title: &chain,
            anchored: self.anchored,
            roots: &self.anchored.roots.intel,
            intermediates: 0,
            now: self.now,
        };
        let path = Path::build(trail, &rules, signer, &[])?;
        let until = path.check_dates(trail, &format!("{title} signer's dates"), self.now)?;
        let revocation = format!("revocation of the {title} signer");
        let lists = ListRules {
            title: &revocation,
            lists: self.bag.revocation_lists(),
            required: self.lists_required,
            remembered: self.anchored.remembered,
            now: self.now,
        };
        let list_end = check_lists(trail, &lists, path.root, &[signer])?;
        Some(list_end.map_or(until, |end| until.min(end)))
    }
}

/// One item as the choice among several sees it.
struct Candidate<'a, T> {
    item: &'a T,
    signed: &'a SignedBytes,
    evaluation: u32,
    issued: UnixTime,
    ends: UnixTime,
    shown: String,
}

impl<'a> Candidate<'a, TcbInfo> {
    fn of_tcb_info(item: &'a TcbInfo) -> Self {
        let fields = &item.fields;
        Candidate {
            item,
            signed: &item.signed,
            evaluation: fields.tcb_evaluation_data_number,
            issued: fields.issue_date,
            ends: fields.next_update,
            shown: item.shown(),
        }
    }
}

impl<'a> Candidate<'a, QeIdentity> {
    fn of_qe_identity(item: &'a QeIdentity) -> Self {
        let fields = &item.fields;
        Candidate {
            item,
            signed: &item.signed,
            evaluation: fields.tcb_evaluation_data_number,
            issued: fields.issue_date,
            ends: fields.next_update,
            shown: item.shown(),
        }
    }
}
