//! The report of the TD quoting enclave: an SGX report (384 bytes) that binds the key which
//! signs quotes.

use sha2::{Digest, Sha256};

use super::platform::SGX_COMPONENTS;

/// Bytes of an SGX report body.
pub(crate) const QE_REPORT_LENGTH: usize = 384;
/// Where the measurement of the enclave lies in it.
pub(crate) const MRENCLAVE: usize = 64;

const QE_LABEL: &[u8] = b"strongroom/simulated-platform/td-qe/v1\0";
const QE_SIGNER_LABEL: &[u8] = b"strongroom/simulated-platform/td-qe-signer/v1\0";
/// INIT, MODE64BIT, PROVISION_KEY and key separation, as in every genuine TD QE report.
const ATTRIBUTES: [u8; 16] = [0x15, 0, 0, 0, 0, 0, 0, 0, 0xe7, 0, 0, 0, 0, 0, 0, 0];
/// Product id of the TD quoting enclave.
pub(crate) const ISVPRODID: u16 = 2;
/// Its security version here.
pub(crate) const ISVSVN: u16 = 6;

/// What the report says. A fault changes one field before the platform signs.
#[derive(Clone)]
pub(crate) struct QeReport {
    pub(crate) miscselect: u32,
    pub(crate) attributes: [u8; 16],
    pub(crate) mrenclave: [u8; 32],
    pub(crate) mrsigner: [u8; 32],
    pub(crate) isvprodid: u16,
    pub(crate) isvsvn: u16,
    pub(crate) report_data: [u8; 64],
}

impl QeReport {
    /// The report of a current quoting enclave that holds that attestation key (x and y).
    pub(crate) fn binding(attestation_key: &[u8], auth_data: &[u8]) -> Self {
        Self {
            miscselect: 0,
            attributes: ATTRIBUTES,
            mrenclave: Sha256::digest(QE_LABEL).into(),
            mrsigner: signer(),
            isvprodid: ISVPRODID,
            isvsvn: ISVSVN,
            report_data: binding(attestation_key, auth_data),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(QE_REPORT_LENGTH);
        bytes.extend_from_slice(&SGX_COMPONENTS); // CPUSVN
        bytes.extend_from_slice(&self.miscselect.to_le_bytes());
        bytes.extend_from_slice(&[0; 28]);
        bytes.extend_from_slice(&self.attributes);
        bytes.extend_from_slice(&self.mrenclave);
        bytes.extend_from_slice(&[0; 32]);
        bytes.extend_from_slice(&self.mrsigner);
        bytes.extend_from_slice(&[0; 96]);
        bytes.extend_from_slice(&self.isvprodid.to_le_bytes());
        bytes.extend_from_slice(&self.isvsvn.to_le_bytes());
        bytes.extend_from_slice(&[0; 60]);
        bytes.extend_from_slice(&self.report_data);
        bytes
    }
}

/// Who signed the quoting enclave: nobody real.
pub(crate) fn signer() -> [u8; 32] {
    Sha256::digest(QE_SIGNER_LABEL).into()
}

/// SHA-256 of the attestation key and the authentication data, then zeros.
fn binding(attestation_key: &[u8], auth_data: &[u8]) -> [u8; 64] {
    let digest = Sha256::new().chain_update(attestation_key).chain_update(auth_data).finalize();
    let mut report_data = [0; 64];
    report_data[..32].copy_from_slice(&digest);
    report_data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_genuine_reports_have_them() {
        let report = QeReport::binding(&[1; 64], &[2; 32]);
        let bytes = report.to_bytes();
        assert_eq!(bytes.len(), QE_REPORT_LENGTH);
        assert_eq!(bytes[48..64], ATTRIBUTES);
        assert_eq!(bytes[MRENCLAVE..96], report.mrenclave);
        assert_eq!(bytes[128..160], signer());
        assert_eq!(bytes[256..260], [2, 0, 6, 0]);
        assert_eq!(bytes[320..], report.report_data);
        assert_eq!(bytes[352..], [0; 32]);
    }
}
