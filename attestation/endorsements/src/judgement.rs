//! What a want has to do with a verifier's bag and its checks: whether the bag meets it already, and whether a refusal
//! was for want of it or because of it.

use strongroom_attestation::{Check, Code, Endorsement, Endorsements, State, UnixTime};

use crate::content::{self, Description};
use crate::nvidia::ManifestId;
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
            (Want::NvidiaManifest { id }, Endorsement::Manifest { product, version, issued, expires, .. }) => {
                id.fits(product, version) && issued <= now && now <= expires
            }
            (Want::NvidiaStatus { .. }, Endorsement::OcspResponse(der))
            | (Want::NvidiaCrl { .. }, Endorsement::RevocationList(der)) => {
                content::describe_object(self, der).is_ok_and(|found| is_in_force(&found, now))
            }
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
        let forged = matches!(check.code, Code::Chain | Code::Signature)
            || check.found == Check::FOREIGN_LIST
            // An OCSP answer that its authority's responder did not sign.
            || (check.code == Code::Revoked && check.found.starts_with("about "));
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
            Want::NvidiaManifest { id: name } => {
                let measured = if name.is_of_driver() { "driver-s-measurements" } else { "firmware-s-measurements" };
                (is_of_device(&id) && id.ends_with(measured)) || is_of_manifest(&id, name)
            }
            Want::NvidiaStatus { .. } => (is_of_device(&id) || id.starts_with(MANIFEST)) && id.ends_with(REVOCATION),
            Want::NvidiaCrl { list } => {
                let of_its_kind = if list.is_of_manifests() { id.starts_with(MANIFEST) } else { is_of_device(&id) };
                of_its_kind && id.ends_with(REVOCATION)
            }
        }
    }
}

/// What begins the names of checks of manifests, and ends those of revocation of devices and of manifests.
const MANIFEST: &str = "manifest-of-";
const REVOCATION: &str = "-revocation-of-the-certificates";

fn is_of_device(id: &str) -> bool {
    id.starts_with("gpu-") || id.starts_with("switch-")
}

/// Whether a check is of the manifest with this name: "manifest-of-gh100-gpu-550-90-07-…", of what is published as
/// "NV_GPU_DRIVER_GH100_550.90.07" or, of a firmware, as "NV_GPU_VBIOS_1010_0200_882_96009F0001". What does not hold for
/// want of a status is not the manifest's fault.
fn is_of_manifest(id: &str, name: &ManifestId) -> bool {
    let Some((product, about)) = id.strip_prefix(MANIFEST).and_then(|about| about.split_once('-')) else {
        return false;
    };
    let version = name.as_str().rsplit('_').next().unwrap_or_default().to_ascii_lowercase();
    let Some((_edition, about)) = about.split_once('-').filter(|_| !id.ends_with(REVOCATION)) else {
        return false;
    };
    match name.is_of_driver() {
        true => {
            let of_product = name.as_str().to_ascii_lowercase().contains(&format!("_{product}_"));
            of_product && about.starts_with(&format!("{}-", version.replace('.', "-")))
        }
        // The name has the digits without what stands between them.
        false => about.replace('-', "").starts_with(&version),
    }
}

fn is_in_force(found: &Description, now: UnixTime) -> bool {
    found.issued <= now && found.expires.is_some_and(|expires| now <= expires)
}
