//! What Intel publishes for a verifier of quotes, in the forms in which it is passed on.

use serde::Serialize;

use super::json::SignedJson;
use crate::error::SimulationError;

/// The collateral of one platform. A part is absent only where a fault leaves it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntelCollateral {
    /// TCB info, JSON, with its signature.
    pub tcb_info: Option<String>,
    /// PEM: the certificate that signs it, and the root's.
    pub tcb_info_issuer_chain: Option<String>,
    /// Identity of the TD quoting enclave, JSON, with its signature.
    pub qe_identity: Option<String>,
    /// PEM: the certificate that signs it, and the root's.
    pub qe_identity_issuer_chain: Option<String>,
    /// The root's revocation list, DER.
    pub root_ca_crl: Option<Vec<u8>>,
    /// The revocation list of the authority that issued the PCK certificate, DER.
    pub pck_crl: Option<Vec<u8>>,
    /// PEM: that authority's certificate, and the root's.
    pub pck_crl_issuer_chain: Option<String>,
}

impl IntelCollateral {
    /// Every part that is there, as bytes, in the order of the fields.
    #[must_use]
    pub fn artefacts(&self) -> Vec<Vec<u8>> {
        let text = |part: &Option<String>| part.as_ref().map(|text| text.as_bytes().to_vec());
        [
            text(&self.tcb_info),
            text(&self.tcb_info_issuer_chain),
            text(&self.qe_identity),
            text(&self.qe_identity_issuer_chain),
            self.root_ca_crl.clone(),
            self.pck_crl.clone(),
            text(&self.pck_crl_issuer_chain),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The same in one JSON object, as `dcap-qvl` keeps collateral: the inner objects as
    /// strings, their signatures beside them, revocation lists as hexadecimal DER.
    ///
    /// # Errors
    /// [`SimulationError::Incomplete`] where a part is absent, or is not a signed object.
    pub fn to_collateral_json(&self) -> Result<String, SimulationError> {
        let (tcb_info, tcb_info_signature) = split(need(&self.tcb_info, "TCB info")?, "TCB info")?;
        let (qe_identity, qe_identity_signature) = split(need(&self.qe_identity, "QE identity")?, "QE identity")?;
        let file = CollateralFile {
            pck_crl_issuer_chain: need(&self.pck_crl_issuer_chain, "the PCK CRL's issuer chain")?,
            root_ca_crl: hex::encode(need(&self.root_ca_crl, "the root's CRL")?),
            pck_crl: hex::encode(need(&self.pck_crl, "the PCK CRL")?),
            tcb_info_issuer_chain: need(&self.tcb_info_issuer_chain, "the TCB info's issuer chain")?,
            tcb_info,
            tcb_info_signature,
            qe_identity_issuer_chain: need(&self.qe_identity_issuer_chain, "the QE identity's issuer chain")?,
            qe_identity,
            qe_identity_signature,
        };
        serde_json::to_string(&file).map_err(|source| SimulationError::Json { what: "collateral", source })
    }

    pub(crate) fn set_tcb_info(&mut self, signed: &SignedJson) {
        self.tcb_info = Some(signed.document());
    }

    pub(crate) fn set_qe_identity(&mut self, signed: &SignedJson) {
        self.qe_identity = Some(signed.document());
    }
}

#[derive(Serialize)]
struct CollateralFile<'a> {
    pck_crl_issuer_chain: &'a str,
    root_ca_crl: String,
    pck_crl: String,
    tcb_info_issuer_chain: &'a str,
    tcb_info: &'a str,
    tcb_info_signature: &'a str,
    qe_identity_issuer_chain: &'a str,
    qe_identity: &'a str,
    qe_identity_signature: &'a str,
}

fn need<'a, T>(part: &'a Option<T>, what: &'static str) -> Result<&'a T, SimulationError> {
    part.as_ref().ok_or(SimulationError::Incomplete { what })
}

/// The inner object and the signature of a document that [`SignedJson`] wrote, byte for byte.
fn split<'a>(document: &'a str, what: &'static str) -> Result<(&'a str, &'a str), SimulationError> {
    let parts = || {
        let (inner, signature) = document.strip_suffix("\"}")?.rsplit_once(",\"signature\":\"")?;
        Some((inner.split_once(':')?.1, signature))
    };
    parts().ok_or(SimulationError::Incomplete { what })
}
