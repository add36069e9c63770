//! What the evidence must be bound to: this conversation, and no other.

use crate::crypto;
use crate::error::{Check, Code};
use crate::evidence::Evidence;

const REPORT_DATA: &str = "report data";
const NONCE: &str = "nonce of the vTPM quote";

/// What the evidence must be bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Report data of a guest that asks the hardware itself.
    direct: Vec<[u8; 64]>,
    /// Report data of a paravisor, which are not the guest's to choose.
    paravisor: Option<[u8; 64]>,
    /// Extra data of a virtual TPM's quote.
    nonce: Option<Vec<u8>>,
}

impl Expected {
    /// All 64 bytes of report data must be these. Under a paravisor they are its own, so that this
    /// alone binds nothing there.
    pub fn report_data(report_data: [u8; 64]) -> Expected {
        Expected { direct: vec![report_data], paravisor: Some(report_data), nonce: None }
    }

    /// The evidence must be over this preimage of a protocol: its SHA-512 is the report data, or,
    /// under a paravisor, its SHA-256 the nonce of the virtual TPM's quote.
    pub fn preimage(preimage: &[u8]) -> Expected {
        let nonce = crypto::sha256(preimage).to_vec();
        Expected { direct: vec![crypto::sha512(preimage)], paravisor: None, nonce: Some(nonce) }
    }

    /// Compares nothing, and says so in the checks and in the verdict: for looking at evidence.
    /// Such evidence may be a replay of anybody's.
    pub fn unbound_for_inspection() -> Expected {
        Expected { direct: Vec::new(), paravisor: None, nonce: None }
    }

    /// Besides, a nonce of at most 64 bytes: the report data are it and then zeros, or, under a
    /// paravisor, it is the whole nonce of the virtual TPM's quote. `None` for a longer one.
    pub fn and_nonce(mut self, nonce: &[u8]) -> Option<Expected> {
        let mut padded = [0; 64];
        padded.get_mut(..nonce.len())?.copy_from_slice(nonce);
        self.direct.push(padded);
        self.nonce = Some(nonce.to_vec());
        Some(self)
    }

    /// Whether anything fresh is compared in this evidence.
    pub(crate) fn binds(&self, evidence: &Evidence) -> bool {
        match evidence {
            Evidence::Azure(_) => self.nonce.is_some(),
            Evidence::Snp(_) | Evidence::Tdx(_) => !self.direct.is_empty(),
        }
    }

    /// The checks for a guest that asks the hardware itself.
    pub(crate) fn direct(&self, found: &[u8; 64]) -> Vec<Check> {
        if self.direct.is_empty() {
            let wanted = "nothing: the evidence is only looked at, and is bound to no conversation";
            return vec![Check::skip(Code::ReportData, REPORT_DATA, wanted, hex::encode(found))];
        }
        self.direct.iter().map(|wanted| report_data(wanted, found)).collect()
    }

    /// The checks for a guest under a paravisor.
    pub(crate) fn through_paravisor(&self, found: &[u8; 64], nonce: Option<&[u8]>) -> Vec<Check> {
        let mut checks = Vec::new();
        checks.extend(self.paravisor.iter().map(|wanted| report_data(wanted, found)));
        let shown = nonce.map_or_else(|| "no quote".to_owned(), hex::encode);
        checks.push(match &self.nonce {
            Some(wanted) => {
                let holds = nonce == Some(wanted.as_slice());
                Check::when(holds, Code::Nonce, NONCE, hex::encode(wanted), shown)
            }
            None => {
                let wanted = "nothing: the evidence is only looked at, and is bound to no conversation";
                Check::skip(Code::Nonce, NONCE, wanted, shown)
            }
        });
        checks
    }
}

fn report_data(wanted: &[u8; 64], found: &[u8; 64]) -> Check {
    Check::when(wanted == found, Code::ReportData, REPORT_DATA, hex::encode(wanted), hex::encode(found))
}
