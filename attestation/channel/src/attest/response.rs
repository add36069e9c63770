//! The attest response: statement, proof, evidence, and what supports them.

use serde::{Deserialize, Serialize};

use super::collection::{Collection, CollectionKind};
use super::{AttestError, VERSION, bounded, fixed_from_text, from_text, to_text, version_1};
use crate::freshness::MAX_PROOF;

/// Most bytes of a response that a client reads: evidence of a full node with endorsements.
pub const MAX_RESPONSE: usize = 4 << 20;
/// The instance certificate and its CA.
const MAX_CERTIFICATES: usize = 2;

/// What an instance answers. Nothing in it is believed before
/// [`crate::session::verify_session`] has checked it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestResponse {
    /// The epoch statement's bytes.
    pub statement: Vec<u8>,
    /// Where the request's leaf is in the freshness tree.
    pub leaf_index: u64,
    /// Its inclusion proof, from below upwards.
    pub proof: Vec<[u8; 32]>,
    /// Leaves of the tree.
    pub tree_size: u64,
    /// The instance's time in Unix seconds: a hint for `strongroom-expires` (A8).
    pub time: u64,
    /// COSE_Sign1 by the instance key over the preimage (A2).
    pub instance_signature: Vec<u8>,
    /// The CPU's evidence as `cpu0`, and the devices'.
    pub evidence: Collection,
    /// What vendors publish about them; untrusted bytes.
    pub endorsements: Collection,
    /// The instance certificate, and its CA: DER.
    pub instance_certificate: Vec<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u64,
    statement: String,
    leaf_index: u64,
    proof: Vec<String>,
    tree_size: u64,
    time: u64,
    instance_signature: String,
    evidence: Collection,
    endorsements: Collection,
    instance_cert: Vec<String>,
}

impl AttestResponse {
    /// The body to send.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            v: VERSION,
            statement: to_text(&self.statement),
            leaf_index: self.leaf_index,
            proof: self.proof.iter().map(|hash| to_text(hash)).collect(),
            tree_size: self.tree_size,
            time: self.time,
            instance_signature: to_text(&self.instance_signature),
            evidence: self.evidence.clone(),
            endorsements: self.endorsements.clone(),
            instance_cert: self.instance_certificate.iter().map(|der| to_text(der)).collect(),
        };
        // Strings and numbers only: a Vec takes them all.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Reads a response of at most [`MAX_RESPONSE`] bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<AttestResponse, AttestError> {
        let wire: Wire = serde_json::from_slice(bounded(MAX_RESPONSE, bytes)?)?;
        version_1(wire.v)?;
        if wire.proof.len() > MAX_PROOF {
            return Err(AttestError::field("proof", "at most 12 hashes"));
        }
        if wire.instance_cert.len() > MAX_CERTIFICATES {
            return Err(AttestError::field("instance_cert", "a certificate and its CA"));
        }
        if wire.evidence.kind() != CollectionKind::Evidence || wire.endorsements.kind() != CollectionKind::Endorsements
        {
            return Err(AttestError::field("__cmwc_t", "the tag of evidence, and of endorsements"));
        }
        Ok(AttestResponse {
            statement: from_text("statement", &wire.statement)?,
            leaf_index: wire.leaf_index,
            proof: wire.proof.iter().map(|text| fixed_from_text("proof", text)).collect::<Result<_, _>>()?,
            tree_size: wire.tree_size,
            time: wire.time,
            instance_signature: from_text("instance_signature", &wire.instance_signature)?,
            evidence: wire.evidence,
            endorsements: wire.endorsements,
            instance_certificate: wire
                .instance_cert
                .iter()
                .map(|text| from_text("instance_cert", text))
                .collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> AttestResponse {
        AttestResponse {
            statement: vec![1, 2],
            leaf_index: 3,
            proof: vec![[4; 32], [5; 32]],
            tree_size: 4,
            time: 1_700_000_000,
            instance_signature: vec![6],
            evidence: Collection::new(CollectionKind::Evidence),
            endorsements: Collection::new(CollectionKind::Endorsements),
            instance_certificate: vec![vec![7], vec![8]],
        }
    }

    #[test]
    fn a_response_comes_back() {
        assert_eq!(AttestResponse::from_bytes(&response().to_bytes()), Ok(response()));
    }

    #[test]
    fn unknown_fields_long_proofs_and_swapped_collections_are_refused() {
        let text = String::from_utf8(response().to_bytes()).unwrap();
        assert!(matches!(
            AttestResponse::from_bytes(text.replacen("{\"v\"", "{\"class\":\"hw\",\"v\"", 1).as_bytes()),
            Err(AttestError::Json { .. })
        ));
        let mut long = response();
        long.proof = vec![[0; 32]; MAX_PROOF + 1];
        assert_eq!(AttestResponse::from_bytes(&long.to_bytes()), Err(AttestError::field("proof", "at most 12 hashes")));
        let mut swapped = response();
        std::mem::swap(&mut swapped.evidence, &mut swapped.endorsements);
        assert!(matches!(
            AttestResponse::from_bytes(&swapped.to_bytes()),
            Err(AttestError::Field { field: "__cmwc_t", .. })
        ));
        let mut chain = response();
        chain.instance_certificate.push(vec![9]);
        assert!(matches!(
            AttestResponse::from_bytes(&chain.to_bytes()),
            Err(AttestError::Field { field: "instance_cert", .. })
        ));
    }

    #[test]
    fn a_long_response_is_refused_unread() {
        assert!(matches!(AttestResponse::from_bytes(&vec![b' '; MAX_RESPONSE + 1]), Err(AttestError::TooLong { .. })));
    }
}
