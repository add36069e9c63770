//! SNP evidence of the KBS protocol: not the report's bytes, but a JSON dump of the structure
//! that one Rust library (`sev`) reads them into.
//!
//! A server puts the bytes together again, since the signature is over them; whatever the dump lost
//! (reserved bytes that were not zero) then fails the signature, and nothing is believed for being
//! in the JSON. A client makes the same dump.

use serde::{Deserialize, Serialize};
use strongroom_attestation::{Endorsement, Endorsements, SnpCertificateKind};

/// An attestation report's length (AMD 56860, table "ATTESTATION_REPORT").
const REPORT_BYTES: usize = 1184;
/// Where the signed part ends and the signature begins.
const SIGNED_BYTES: usize = 0x2a0;
/// The first version that names the processor; stock servers take none before it.
const NAMES_PROCESSOR: u32 = 3;
/// The first version that says which mitigations are active.
const NAMES_MITIGATIONS: u32 = 5;
/// The processor family whose TCB versions begin with that of the FMC: Turin's.
const WITH_FMC: u8 = 0x1a;

/// Members of the certificate list.
const MAX_CERTIFICATES: usize = 8;

/// `{"attestation_report":…,"cert_chain":[…]|null}`
#[derive(Debug, Serialize, Deserialize)]
pub struct SnpEvidence {
    attestation_report: ReportDump,
    cert_chain: Option<Vec<CertificateDump>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CertificateDump {
    /// The place in AMD's table; what it says decides nothing.
    #[serde(default)]
    cert_type: serde_json::Value,
    data: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
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

#[derive(Debug, Serialize, Deserialize)]
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

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionDump {
    major: u8,
    minor: u8,
    build: u8,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureDump {
    r: Vec<u8>,
    s: Vec<u8>,
}

impl SnpEvidence {
    /// The dump of a report of version 3 or later, with the vendor's certificates and revocation
    /// lists; `None` for other bytes.
    #[must_use]
    pub fn of(report: &[u8], endorsements: &Endorsements) -> Option<Self> {
        let report: &[u8; REPORT_BYTES] = report.try_into().ok()?;
        let certificates = endorsements.snp_certificates().map(|(kind, der)| certificate(slot(kind), der));
        let lists = endorsements.objects().filter_map(|object| match object {
            Endorsement::RevocationList(der) => Some(certificate("CRL", der)),
            _ => None,
        });
        let chain: Vec<_> = certificates.chain(lists).take(MAX_CERTIFICATES).collect();
        let cert_chain = (!chain.is_empty()).then_some(chain);
        Some(Self { attestation_report: ReportDump::of(report)?, cert_chain })
    }

    /// The certificates that came along, DER or PEM, untrusted.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.cert_chain.iter().flatten().take(MAX_CERTIFICATES).map(|certificate| certificate.data.as_slice())
    }

    /// The 1184 bytes that the chip signed; `None` when a field has the wrong length.
    #[must_use]
    pub fn report_bytes(&self) -> Option<Vec<u8>> {
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

impl ReportDump {
    fn of(report: &[u8; REPORT_BYTES]) -> Option<Self> {
        let version = u32::from_le_bytes(at(report, 0)?);
        if version < NAMES_PROCESSOR {
            return None;
        }
        let [family, model, stepping]: [u8; 3] = at(report, 0x188)?;
        let tcb = |offset: usize| Some(TcbDump::of(at(report, offset)?, family));
        let mitigations =
            |offset: usize| Some(u64::from_le_bytes(at(report, offset)?)).filter(|_| version >= NAMES_MITIGATIONS);
        Some(Self {
            version,
            guest_svn: u32::from_le_bytes(at(report, 4)?),
            policy: u64::from_le_bytes(at(report, 8)?),
            family_id: part(report, 0x10, 16)?,
            image_id: part(report, 0x20, 16)?,
            vmpl: u32::from_le_bytes(at(report, 0x30)?),
            sig_algo: u32::from_le_bytes(at(report, 0x34)?),
            current_tcb: tcb(0x38)?,
            plat_info: u64::from_le_bytes(at(report, 0x40)?),
            key_info: u32::from_le_bytes(at(report, 0x48)?),
            report_data: part(report, 0x50, 64)?,
            measurement: part(report, 0x90, 48)?,
            host_data: part(report, 0xc0, 32)?,
            id_key_digest: part(report, 0xe0, 48)?,
            author_key_digest: part(report, 0x110, 48)?,
            report_id: part(report, 0x140, 32)?,
            report_id_ma: part(report, 0x160, 32)?,
            reported_tcb: tcb(0x180)?,
            cpuid_fam_id: Some(family),
            cpuid_mod_id: Some(model),
            cpuid_step: Some(stepping),
            chip_id: part(report, 0x1a0, 64)?,
            committed_tcb: tcb(0x1e0)?,
            current: VersionDump::of(at(report, 0x1e8)?),
            committed: VersionDump::of(at(report, 0x1ec)?),
            launch_tcb: tcb(0x1f0)?,
            launch_mit_vector: mitigations(0x1f8),
            current_mit_vector: mitigations(0x200),
            signature: SignatureDump { r: part(report, SIGNED_BYTES, 72)?, s: part(report, SIGNED_BYTES + 72, 72)? },
        })
    }
}

impl TcbDump {
    fn of(bytes: [u8; 8], family: u8) -> Self {
        if family >= WITH_FMC {
            let [fmc, bootloader, tee, snp, _, _, _, microcode] = bytes;
            return Self { fmc: Some(fmc), bootloader, tee, snp, microcode };
        }
        let [bootloader, tee, _, _, _, _, snp, microcode] = bytes;
        Self { fmc: None, bootloader, tee, snp, microcode }
    }

    fn bytes(&self) -> [u8; 8] {
        match self.fmc {
            None => [self.bootloader, self.tee, 0, 0, 0, 0, self.snp, self.microcode],
            Some(fmc) => [fmc, self.bootloader, self.tee, self.snp, 0, 0, 0, self.microcode],
        }
    }
}

impl VersionDump {
    fn of([build, minor, major, _]: [u8; 4]) -> Self {
        Self { major, minor, build }
    }

    fn bytes(&self) -> [u8; 4] {
        [self.build, self.minor, self.major, 0]
    }
}

fn certificate(slot: &str, der: &[u8]) -> CertificateDump {
    CertificateDump { cert_type: slot.into(), data: der.to_vec() }
}

/// The library's name for the place in AMD's table.
fn slot(kind: SnpCertificateKind) -> &'static str {
    match kind {
        SnpCertificateKind::Ark => "ARK",
        SnpCertificateKind::Ask => "ASK",
        SnpCertificateKind::Vcek => "VCEK",
        SnpCertificateKind::Vlek => "VLEK",
    }
}

/// The bytes at `offset`.
fn at<const N: usize>(report: &[u8], offset: usize) -> Option<[u8; N]> {
    report.get(offset..)?.first_chunk().copied()
}

fn part(report: &[u8], offset: usize, length: usize) -> Option<Vec<u8>> {
    Some(report.get(offset..)?.get(..length)?.to_vec())
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

    /// The other way: what a client sends is what that library writes, and reads.
    #[test]
    fn our_dump_is_the_librarys() {
        for product in [Product::Milan, Product::Genoa, Product::Turin] {
            let vendor = SimulatedAmd::published(product, NOW).unwrap();
            for version in [ReportVersion::V3, ReportVersion::V5] {
                let device = vendor.device([1; 32], [2; 48], [3; 32], NOW).unwrap().with_report_version(version);
                let shown = device.report(&[4; 64]).unwrap();
                let mut endorsements = Endorsements::default();
                shown.endorsements.iter().for_each(|der| endorsements.add(der).unwrap());
                let ours = SnpEvidence::of(&shown.report, &endorsements).unwrap();
                let ours = serde_json::to_value(ours).unwrap();
                let theirs = AttestationReport::from_bytes(&shown.report).unwrap();
                let theirs = serde_json::to_value(theirs).unwrap();
                for (field, value) in theirs.as_object().unwrap() {
                    // Their dump has no `fmc` member where there is none; ours has null, which they read so.
                    let tcb = field.ends_with("_tcb") && value.get("fmc").is_none();
                    match tcb {
                        true => assert!(ours["attestation_report"][field]["fmc"].is_null()),
                        false => assert_eq!(&ours["attestation_report"][field], value, "{field}"),
                    }
                }
                let read: AttestationReport = serde_json::from_value(ours["attestation_report"].clone()).unwrap();
                assert_eq!(read.to_bytes().unwrap().as_slice(), shown.report, "{product:?} {version:?}");
                let kinds: Vec<_> = ours["cert_chain"].as_array().unwrap().iter().map(|c| &c["cert_type"]).collect();
                assert_eq!(kinds, ["VCEK", "ASK", "ARK", "CRL"]);
            }
        }
    }

    #[test]
    fn a_report_that_names_no_processor_or_is_cut_has_no_dump() {
        let vendor = SimulatedAmd::published(Product::Milan, NOW).unwrap();
        let device = vendor.device([1; 32], [2; 48], [3; 32], NOW).unwrap();
        let mut report = device.report(&[4; 64]).unwrap().report;
        assert!(SnpEvidence::of(&report[..1183], &Endorsements::default()).is_none());
        report[0] = 2;
        assert!(SnpEvidence::of(&report, &Endorsements::default()).is_none());
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
