//! SNP evidence of the KBS protocol: not the report's bytes, but a JSON dump of the structure
//! that one Rust library reads them into. The bytes are put together again here, since the
//! signature is over them; whatever the dump lost (reserved bytes that were not zero) then
//! fails the signature, and nothing is believed for being in the JSON.

use serde::Deserialize;

/// An attestation report's length (AMD 56860, table "ATTESTATION_REPORT").
const REPORT_BYTES: usize = 1184;
/// Where the signed part ends and the signature begins.
const SIGNED_BYTES: usize = 0x2a0;

/// Members of the certificate list.
const MAX_CERTIFICATES: usize = 8;

/// `{"attestation_report":…,"cert_chain":[…]|null}`
#[derive(Deserialize)]
pub(super) struct SnpEvidence {
    attestation_report: ReportDump,
    cert_chain: Option<Vec<CertificateDump>>,
}

#[derive(Deserialize)]
struct CertificateDump {
    data: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportDump {
    version: u32,
    guest_svn: u32,
    policy: u64,
    family_id: Vec<u8>,
    image_id: Vec<u8>,
    vmpl: u32,
    sig_algo: u32,
    current_tcb: TcbDump,
    plat_info: u64,
    key_info: u32,
    report_data: Vec<u8>,
    measurement: Vec<u8>,
    host_data: Vec<u8>,
    id_key_digest: Vec<u8>,
    author_key_digest: Vec<u8>,
    report_id: Vec<u8>,
    report_id_ma: Vec<u8>,
    reported_tcb: TcbDump,
    cpuid_fam_id: Option<u8>,
    cpuid_mod_id: Option<u8>,
    cpuid_step: Option<u8>,
    chip_id: Vec<u8>,
    committed_tcb: TcbDump,
    current: VersionDump,
    committed: VersionDump,
    launch_tcb: TcbDump,
    #[serde(default)]
    launch_mit_vector: Option<u64>,
    #[serde(default)]
    current_mit_vector: Option<u64>,
    signature: SignatureDump,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TcbDump {
    /// Present on Turin, whose TCB has another layout.
    #[serde(default)]
    fmc: Option<u8>,
    bootloader: u8,
    tee: u8,
    snp: u8,
    microcode: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionDump {
    major: u8,
    minor: u8,
    build: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureDump {
    r: Vec<u8>,
    s: Vec<u8>,
}

impl SnpEvidence {
    /// The certificates that came along, DER or PEM, untrusted.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.cert_chain.iter().flatten().take(MAX_CERTIFICATES).map(|certificate| certificate.data.as_slice())
    }

    /// The 1184 bytes that the chip signed; `None` when a field has the wrong length.
    pub(super) fn report_bytes(&self) -> Option<Vec<u8>> {
        let report = &self.attestation_report;
        let mut out = Vec::with_capacity(REPORT_BYTES);
        out.extend(report.version.to_le_bytes());
        out.extend(report.guest_svn.to_le_bytes());
        out.extend(report.policy.to_le_bytes());
        out.extend(exactly::<16>(&report.family_id)?);
        out.extend(exactly::<16>(&report.image_id)?);
        out.extend(report.vmpl.to_le_bytes());
        out.extend(report.sig_algo.to_le_bytes());
        out.extend(report.current_tcb.bytes());
        out.extend(report.plat_info.to_le_bytes());
        out.extend(report.key_info.to_le_bytes());
        out.extend([0; 4]);
        out.extend(exactly::<64>(&report.report_data)?);
        out.extend(exactly::<48>(&report.measurement)?);
        out.extend(exactly::<32>(&report.host_data)?);
        out.extend(exactly::<48>(&report.id_key_digest)?);
        out.extend(exactly::<48>(&report.author_key_digest)?);
        out.extend(exactly::<32>(&report.report_id)?);
        out.extend(exactly::<32>(&report.report_id_ma)?);
        out.extend(report.reported_tcb.bytes());
        // Absent before report version 3, where these bytes are reserved and zero.
        let cpuid = [report.cpuid_fam_id, report.cpuid_mod_id, report.cpuid_step];
        out.extend(cpuid.map(Option::unwrap_or_default));
        out.extend([0; 21]);
        out.extend(exactly::<64>(&report.chip_id)?);
        out.extend(report.committed_tcb.bytes());
        out.extend(report.current.bytes());
        out.extend(report.committed.bytes());
        out.extend(report.launch_tcb.bytes());
        out.extend(report.launch_mit_vector.unwrap_or_default().to_le_bytes());
        out.extend(report.current_mit_vector.unwrap_or_default().to_le_bytes());
        out.resize(SIGNED_BYTES, 0);
        out.extend(exactly::<72>(&report.signature.r)?);
        out.extend(exactly::<72>(&report.signature.s)?);
        out.resize(REPORT_BYTES, 0);
        Some(out)
    }
}

impl TcbDump {
    fn bytes(&self) -> [u8; 8] {
        match self.fmc {
            None => [self.bootloader, self.tee, 0, 0, 0, 0, self.snp, self.microcode],
            Some(fmc) => [fmc, self.bootloader, self.tee, self.snp, 0, 0, 0, self.microcode],
        }
    }
}

impl VersionDump {
    fn bytes(&self) -> [u8; 4] {
        [self.build, self.minor, self.major, 0]
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use sev::firmware::guest::AttestationReport;
    use sev::parser::ByteParser as _;
    use strongroom_simulated_platform::{Product, ReportVersion, SimulatedAmd};

    use super::*;

    const NOW: u64 = 1_795_255_200;

    /// The golden test: a report read by the library whose dump the protocol carries, dumped,
    /// and put together again, for each product and report version.
    #[test]
    fn the_dump_of_the_sev_library_gives_back_the_reports_bytes() {
        for product in [Product::Milan, Product::Genoa, Product::Turin] {
            let vendor = SimulatedAmd::published(product, NOW).unwrap();
            for version in [ReportVersion::V3, ReportVersion::V5] {
                let device = vendor.device([1; 32], [2; 48], [3; 32], NOW).unwrap().with_report_version(version);
                let bytes = device.report(&[4; 64]).unwrap().report;
                let report = AttestationReport::from_bytes(&bytes).unwrap();
                let json = serde_json::json!({ "attestation_report": report, "cert_chain": null });
                let evidence: SnpEvidence = serde_json::from_value(json).unwrap();
                assert_eq!(evidence.report_bytes().unwrap(), bytes, "{product:?} {version:?}");
            }
        }
    }

    #[test]
    fn a_field_of_the_wrong_length_or_name_is_refused() {
        let vendor = SimulatedAmd::published(Product::Genoa, NOW).unwrap();
        let bytes = vendor.device([1; 32], [2; 48], [3; 32], NOW).unwrap().report(&[4; 64]).unwrap().report;
        let report = AttestationReport::from_bytes(&bytes).unwrap();
        let mut json = serde_json::json!({ "attestation_report": report, "cert_chain": null });
        json["attestation_report"]["chip_id"].as_array_mut().unwrap().pop();
        let short: SnpEvidence = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(short.report_bytes(), None);
        json["attestation_report"]["new_field"] = 1.into();
        assert!(serde_json::from_value::<SnpEvidence>(json).is_err());
    }
}
