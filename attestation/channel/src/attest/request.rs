//! The attest request: a nonce, and the question that the answer must fit.

use serde::{Deserialize, Serialize};

use super::{AttestError, VERSION, bounded, fixed_from_text, to_text, version_1};
use crate::deployment::DeploymentId;

/// Most bytes of a request that an instance reads.
pub const MAX_REQUEST: usize = 4096;
/// The one profile: chunked OHTTP to the attested key.
pub const PROFILE_OHTTP: &str = "ohttp";
/// Most entries of each list.
const MAX_LIST: usize = 32;

/// An encapsulation suite: KEM, KDF and AEAD by their HPKE numbers (RFC 9180 section 7).
pub type SuiteId = [u16; 3];

/// The suites of this version.
pub mod suite {
    use super::SuiteId;

    /// X-Wing, HKDF-SHA256, AES-256-GCM: the default.
    pub const X_WING_AES_256_GCM: SuiteId = [0x647a, 0x0001, 0x0002];
    /// X-Wing, HKDF-SHA256, AES-128-GCM: for small targets.
    pub const X_WING_AES_128_GCM: SuiteId = [0x647a, 0x0001, 0x0001];
}

/// What a client asks. Its bytes as sent are hashed into the freshness leaf, so an answer to
/// another question does not verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestRequest {
    /// Random, fresh for this request.
    pub nonce: [u8; 32],
    /// The deployment that the client expects.
    pub deployment: DeploymentId,
    /// Profiles that the client speaks; [`PROFILE_OHTTP`].
    pub profiles: Vec<String>,
    /// Suites that the client speaks, the preferred first.
    pub suites: Vec<SuiteId>,
    /// SHA-256 of endorsements that the client has already (A14). An instance may send them
    /// all the same.
    pub have: Vec<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u64,
    nonce: String,
    deployment: String,
    profiles: Vec<String>,
    suites: Vec<SuiteId>,
    #[serde(default)]
    have: Vec<String>,
}

impl AttestRequest {
    /// The usual request: profile `ohttp`, both suites, nothing at hand.
    #[must_use]
    pub fn new(nonce: [u8; 32], deployment: DeploymentId) -> AttestRequest {
        AttestRequest {
            nonce,
            deployment,
            profiles: vec![PROFILE_OHTTP.to_owned()],
            suites: vec![suite::X_WING_AES_256_GCM, suite::X_WING_AES_128_GCM],
            have: Vec::new(),
        }
    }

    /// The body to send, and to keep for [`crate::session::SessionWanted::request_body`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            v: VERSION,
            nonce: to_text(&self.nonce),
            deployment: self.deployment.as_str().to_owned(),
            profiles: self.profiles.clone(),
            suites: self.suites.clone(),
            have: self.have.iter().map(hex::encode).collect(),
        };
        // Strings and numbers only: a Vec takes them all.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Reads a request of at most [`MAX_REQUEST`] bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<AttestRequest, AttestError> {
        let wire: Wire = serde_json::from_slice(bounded(MAX_REQUEST, bytes)?)?;
        version_1(wire.v)?;
        if wire.profiles.len().max(wire.suites.len()).max(wire.have.len()) > MAX_LIST {
            return Err(AttestError::field("profiles, suites, have", "at most 32 entries each"));
        }
        let have = wire.have.iter().map(|text| sha256_from_hex(text)).collect::<Result<_, _>>()?;
        Ok(AttestRequest {
            nonce: fixed_from_text("nonce", &wire.nonce)?,
            deployment: DeploymentId::parse(&wire.deployment)
                .map_err(|_| AttestError::field("deployment", "a lower-case DNS label"))?,
            profiles: wire.profiles,
            suites: wire.suites,
            have,
        })
    }
}

fn sha256_from_hex(text: &str) -> Result<[u8; 32], AttestError> {
    let wanted = AttestError::field("have", "SHA-256 digests in lower-case hex");
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(wanted);
    }
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).map_err(|_| wanted)?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> AttestRequest {
        let mut request = AttestRequest::new([7; 32], DeploymentId::parse("bank-prod").unwrap());
        request.have = vec![[8; 32]];
        request
    }

    #[test]
    fn a_request_has_the_documented_form_and_comes_back() {
        let bytes = request().to_bytes();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.starts_with(r#"{"v":1,"nonce":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","deployment":"bank-prod","profiles":["ohttp"],"suites":[[25722,1,2],[25722,1,1]],"have":["0808"#), "{text}");
        assert_eq!(AttestRequest::from_bytes(&bytes), Ok(request()));
    }

    #[test]
    fn other_shapes_are_refused() {
        let text = String::from_utf8(request().to_bytes()).unwrap();
        let refused = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            AttestRequest::from_bytes(text.replacen(from, to, 1).as_bytes()).unwrap_err()
        };
        assert!(matches!(refused(r#""v":1"#, r#""v":2"#), AttestError::Field { field: "v", .. }));
        assert!(matches!(refused(r#"{"v":1"#, r#"{"x":1,"v":1"#), AttestError::Json { .. }));
        assert!(matches!(refused(r#"{"v":1"#, r#"{"v":1,"v":1"#), AttestError::Json { .. }));
        assert!(matches!(refused("BwcHB", "BwcH"), AttestError::Field { field: "nonce", .. }));
        assert!(matches!(refused("wc\"", "wd\""), AttestError::Field { field: "nonce", .. }), "stray bits");
        assert!(matches!(refused("wc\"", "wc=\""), AttestError::Field { field: "nonce", .. }), "padding");
        assert!(matches!(refused("bank-prod", "Bank"), AttestError::Field { field: "deployment", .. }));
        assert!(matches!(refused("0808", "08"), AttestError::Field { field: "have", .. }));
        assert!(matches!(refused("25722", "65536"), AttestError::Json { .. }));
    }

    #[test]
    fn a_long_request_is_refused_unread() {
        assert_eq!(AttestRequest::from_bytes(&[b' '; 4097]), Err(AttestError::TooLong { limit: 4096, found: 4097 }));
    }
}
