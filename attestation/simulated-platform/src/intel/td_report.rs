//! The report of the TDX module (TDREPORT_STRUCT, 1024 bytes), which only the platform that
//! made it can check, by its MAC.

use sha2::{Digest, Sha256, Sha384};

use super::td_body::TdBody;

/// Bytes of a TD report.
const TD_REPORT_LENGTH: usize = 1024;

const MAC_LABEL: &[u8] = b"strongroom/simulated-platform/td-report-mac/v1\0";
/// Type 0x81: TDX, of version 0.
const REPORT_TYPE: [u8; 16] = [0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Which fields of TEE_TCB_INFO are set, as current modules write it.
const VALID: u64 = 0x3_01ff;

/// The report of a TD in that state.
pub(crate) fn td_report(body: &TdBody, cpusvn: &[u8; 16], report_data: &[u8; 64]) -> Vec<u8> {
    let (tcb, td) = (tcb_info(body), td_info(body));
    let mut report = Vec::with_capacity(TD_REPORT_LENGTH);
    report.extend_from_slice(&REPORT_TYPE);
    report.extend_from_slice(cpusvn);
    report.extend_from_slice(&Sha384::digest(&tcb));
    report.extend_from_slice(&Sha384::digest(&td));
    report.extend_from_slice(report_data);
    report.extend_from_slice(&[0; 32]);
    // Nobody checks it here: quotes are made from the TD itself.
    let mac = Sha256::new().chain_update(MAC_LABEL).chain_update(&report).finalize();
    report.extend_from_slice(&mac);
    report.extend_from_slice(&tcb);
    report.extend_from_slice(&[0; 17]);
    report.extend_from_slice(&td);
    report
}

/// TEE_TCB_INFO, 239 bytes.
fn tcb_info(body: &TdBody) -> Vec<u8> {
    let mut bytes = VALID.to_le_bytes().to_vec();
    bytes.extend_from_slice(&body.tee_tcb_svn);
    bytes.extend_from_slice(&body.mr_seam);
    bytes.extend_from_slice(&body.mr_signer_seam);
    bytes.extend_from_slice(&body.seam_attributes.to_le_bytes());
    bytes.extend_from_slice(&body.tee_tcb_svn2);
    bytes.extend_from_slice(&[0; 95]);
    bytes
}

/// TDINFO, 512 bytes.
fn td_info(body: &TdBody) -> Vec<u8> {
    let mut bytes = body.td_attributes.to_le_bytes().to_vec();
    bytes.extend_from_slice(&body.xfam.to_le_bytes());
    bytes.extend_from_slice(&body.mr_td);
    bytes.extend_from_slice(&body.mr_config_id);
    bytes.extend_from_slice(&body.mr_owner);
    bytes.extend_from_slice(&body.mr_owner_config);
    bytes.extend_from_slice(&body.rtmrs.concat());
    bytes.extend_from_slice(&body.mr_service_td);
    bytes.extend_from_slice(&[0; 64]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_where_genuine_reports_have_them() {
        let body = TdBody { mr_td: [5; 48], ..TdBody::healthy() };
        let report = td_report(&body, &[3; 16], &[7; 64]);
        assert_eq!(report.len(), TD_REPORT_LENGTH);
        assert_eq!(report[0x80..0xc0], [7; 64]);
        assert_eq!(report[512 + 16..512 + 64], [5; 48]);
        assert_eq!(report[32..80], *Sha384::digest(&report[256..495]));
        assert_eq!(report[80..128], *Sha384::digest(&report[512..]));
    }
}
