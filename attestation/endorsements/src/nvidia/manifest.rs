//! Manifests of drivers and firmware: the service's answer, and what a document says of itself.
//!
//! The verifier's own reader says what it is about and when its certificates end. Whether anything of it is true is
//! decided when it is used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use strongroom_attestation::{Endorsement, Endorsements, HexBytes};

use crate::content::Description;
use crate::error::shown;
use crate::nvidia::ManifestId;

/// Characters that are shown of a product or version.
const MAX_WORD: usize = 32;

/// What the service says (NVIDIA RIM service, `GET /v1/rim/{id}`); other members are passed over.
#[derive(Deserialize)]
struct RimAnswer {
    id: String,
    rim: String,
    sha256: HexBytes<32>,
}

/// The document in the service's answer for `id`.
///
/// # Errors
/// A sentence: another name, or bytes that do not have the digest beside them.
pub(crate) fn from_answer(id: &ManifestId, body: &[u8]) -> Result<Vec<u8>, String> {
    let answer: RimAnswer =
        serde_json::from_slice(body).map_err(|error| format!("not an answer with a manifest: {error}"))?;
    if answer.id != id.as_str() {
        return Err(format!("the manifest \"{}\", wanted \"{id}\"", shown(&answer.id, MAX_WORD)));
    }
    let document = STANDARD.decode(&answer.rim).map_err(|_| "a manifest that is not base64")?;
    if Sha256::digest(&document).as_slice() != answer.sha256.as_slice() {
        return Err("a manifest that does not have the digest beside it".to_owned());
    }
    Ok(document)
}

/// What the document says of itself, if it is about what `id` names.
///
/// # Errors
/// A sentence that says what was wanted and found.
pub(crate) fn describe(id: &ManifestId, bytes: &[u8]) -> Result<Description, String> {
    let mut bag = Endorsements::default();
    bag.add(bytes).map_err(|refusal| refusal.detail)?;
    let mut objects = bag.objects();
    let (Some(Endorsement::Manifest { product, edition, version, issued, expires }), None) =
        (objects.next(), objects.next())
    else {
        return Err("not a manifest".to_owned());
    };
    if !id.fits(product, version) {
        return Err(format!("a manifest of {} {}, wanted {id}", shown(product, MAX_WORD), shown(version, MAX_WORD)));
    }
    Ok(Description {
        subject: format!("{} {edition} {}", shown(product, MAX_WORD), shown(version, MAX_WORD)),
        issued,
        expires: Some(expires),
        evaluation: None,
        sha256: Some(HexBytes(Sha256::digest(bytes).into())),
        status: None,
    })
}
