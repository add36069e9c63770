//! What a want has to do with a verifier's bag and its checks: whether the bag meets it already, and whether a refusal
//! was for want of it or because of it.

use strongroom_attestation::{Check, Code, Endorsement, Endorsements, State, UnixTime};

use crate::content::{self, Description};
use crate::want::{Evaluation, Want};
use crate::x509;

impl Want {
    /// Whether `given` holds this item, in its dates at `now`. Nothing of it is verified.
    pub fn is_met_by(&self, given: &Endorsements, now: UnixTime) -> bool {
        given.objects().any(|object| match (self, object) {
            (Want::AmdChain { product, kind }, Endorsement::Certificate(der)) => {
                // The root is the verifier's own.
                let wanted = content::intermediate_name(*product, *kind);
                let found = x509::certificates(der).unwrap_or_default();
                found.iter().any(|one| one.common_name == wanted && one.not_before <= now && now <= one.not_after)
            }
            (Want::AmdVcek(_), Endorsement::Certificate(der))
            | (
                Want::AmdCrl { .. } | Want::IntelPckCrl { .. } | Want::IntelRootCrl,
                Endorsement::RevocationList(der),
            ) => content::describe_object(self, der).is_ok_and(|found| is_in_force(&found, now)),
            (
                Want::IntelTcbInfo { fmspc: wanted, evaluation: Evaluation::Standard },
                Endorsement::TdxTcbInfo { fmspc, issued, expires },
            ) => fmspc == *wanted && issued <= now && now <= expires,
            (
                Want::IntelQeIdentity { evaluation: Evaluation::Standard },
                Endorsement::TdQeIdentity { issued, expires },
            ) => issued <= now && now <= expires,
            _ => false,
        })
    }

    /// Whether `check` failed because nobody had supplied this item.
    pub fn is_lacked_by(&self, check: &Check) -> bool {
        check.state == State::Fail && check.found == Check::NONE_SUPPLIED && self.is_subject_of(check)
    }

    /// Whether `check` failed because an item like this one is not the vendor's: a signature or a chain does not hold.
    /// A list that revokes the platform, and an item out of its dates, are not refused: they say what they say.
    pub fn is_refused_by(&self, check: &Check) -> bool {
        let forged = matches!(check.code, Code::Chain | Code::Signature) || check.found == Check::FOREIGN_LIST;
        check.state == State::Fail && forged && self.is_subject_of(check)
    }

    /// By the checks' names, which are stable (docs/specs/evidence.md).
    fn is_subject_of(&self, check: &Check) -> bool {
        let id = check.id();
        match self {
            Want::AmdVcek(_) => {
                matches!(id.as_str(), "certificate-of-the-signing-key" | "certificate-chain-to-a-pinned-root")
            }
            Want::AmdChain { .. } => id == "certificate-chain-to-a-pinned-root",
            Want::AmdCrl { .. } => id == "revocation",
            Want::IntelTcbInfo { .. } => id.starts_with("tcb-info"),
            Want::IntelQeIdentity { .. } => id.starts_with("qe-identity"),
            Want::IntelPckCrl { .. } => id == "revocation-of-the-pck",
            Want::IntelRootCrl => matches!(
                id.as_str(),
                "revocation-of-the-pck-authority"
                    | "revocation-of-the-tcb-info-signer"
                    | "revocation-of-the-qe-identity-signer"
            ),
        }
    }
}

fn is_in_force(found: &Description, now: UnixTime) -> bool {
    found.issued <= now && found.expires.is_some_and(|expires| now <= expires)
}
