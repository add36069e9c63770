//! What is emitted has the genuine structure: another implementation (the `sev` crate)
//! parses and verifies it, and certificates compare with captured ones field by field.

use sev::{
    certs::snp::{Certificate as SevCertificate, Chain, Verifiable as _},
    firmware::guest::AttestationReport,
    parser::ByteParser as _,
};
use strongroom_simulated_platform::{
    DEVELOPMENT_EXTENSION_OID, DEVELOPMENT_NAME_SUFFIX, LONGEST_VALIDITY_SECONDS, Product, REPORT_LENGTH,
    ReportVersion, SimulatedAmd, SimulatedDevice, SimulatedEvidence,
};
use x509_cert::{
    Certificate,
    crl::CertificateList,
    der::{Decode as _, Encode as _, oid::ObjectIdentifier},
};

const NOW: u64 = 1_800_000_000;
const REPORT_DATA: [u8; 64] = [0x5a; 64];

fn device(product: Product) -> SimulatedDevice {
    SimulatedAmd::published(product, NOW).unwrap().device([3; 32], [0xab; 48], [0xcd; 32], NOW).unwrap()
}

fn sev_verify(evidence: &SimulatedEvidence) -> std::io::Result<()> {
    let certificate = |index: usize| SevCertificate::from_der(&evidence.endorsements[index]);
    let chain = Chain::from((certificate(1)?, certificate(2)?, certificate(0)?));
    let report = AttestationReport::from_bytes(&evidence.report)?;
    (&chain, &report).verify()
}

#[test]
fn another_implementation_reads_and_verifies_every_variant() {
    for product in Product::ALL {
        for version in ReportVersion::ALL {
            let device = device(product).with_report_version(version);
            let evidence = device.report(&REPORT_DATA).unwrap();
            sev_verify(&evidence).unwrap();

            let report = AttestationReport::from_bytes(&evidence.report).unwrap();
            assert_eq!(report.to_bytes().unwrap().as_slice(), evidence.report);
            assert_eq!(report.version, version.number());
            assert_eq!(report.report_data.as_ref(), REPORT_DATA);
            assert_eq!(report.measurement.as_ref(), device.measurement());
            assert_eq!(report.host_data.as_ref(), device.host_data());
            assert_eq!(report.chip_id.as_ref(), device.chip_id());
            assert_eq!(report.vmpl, 0);
            assert!(!report.policy.debug_allowed());
            assert!(!report.policy.migrate_ma_allowed());
            assert_eq!(report.key_info.signing_key(), 0);
            for tcb in [report.reported_tcb, report.committed_tcb] {
                assert_eq!(tcb.fmc, device.tcb().fmc);
                assert_eq!(tcb.bootloader, device.tcb().bootloader);
                assert_eq!(tcb.tee, device.tcb().tee);
                assert_eq!(tcb.snp, device.tcb().snp);
                assert_eq!(tcb.microcode, device.tcb().microcode);
            }
            assert_eq!(report.launch_mit_vector.is_some(), version == ReportVersion::V5);
        }
    }
}

#[test]
fn another_implementation_verifies_a_loaded_key() {
    let evidence = SimulatedAmd::published(Product::Milan, NOW)
        .unwrap()
        .device_with_loaded_key([3; 32], "CN=csp.invalid", [0; 48], [0; 32], NOW)
        .unwrap()
        .report(&REPORT_DATA)
        .unwrap();
    // `sev` cannot tell a report's layout without a chip id, so only the chain is compared.
    let certificate = |index: usize| SevCertificate::from_der(&evidence.endorsements[index]);
    let (asvk, ark, vlek) = (certificate(1), certificate(2), certificate(0));
    Chain::from((asvk.unwrap(), ark.unwrap(), vlek.unwrap())).verify().unwrap();
    assert_eq!(evidence.report[0x048], 1 << 2);
    assert_eq!(evidence.report[0x1a0..0x1e0], [0; 64]);
}

#[test]
fn another_implementation_refuses_one_flipped_bit() {
    let mut evidence = device(Product::Genoa).report(&REPORT_DATA).unwrap();
    assert_eq!(evidence.report.len(), REPORT_LENGTH);
    evidence.report[0x090] ^= 1;
    assert!(sev_verify(&evidence).is_err());
}

#[test]
fn every_certificate_says_development_and_ends_within_seven_days() {
    for product in Product::ALL {
        let vendor = SimulatedAmd::published(product, NOW).unwrap();
        let mut certificates = device(product).endorsements()[..3].to_vec();
        certificates.push(vendor.loaded_key_chain()[0].clone());
        for der in certificates {
            let certificate = Certificate::from_der(&der).unwrap();
            let fields = certificate.tbs_certificate();
            let extension = fields
                .extensions()
                .unwrap()
                .iter()
                .find(|extension| extension.extn_id.to_string() == DEVELOPMENT_EXTENSION_OID)
                .unwrap();
            assert!(extension.critical);
            assert_eq!(extension.extn_value.as_bytes(), b"\x0c\x17DEVELOPMENT - NOT A TEE");
            for name in [fields.subject(), fields.issuer()] {
                assert!(common_name(name).ends_with(DEVELOPMENT_NAME_SUFFIX));
                assert!(!name.to_string().contains("Advanced Micro Devices"));
            }
            let from = fields.validity().not_before.to_unix_duration().as_secs();
            let until = fields.validity().not_after.to_unix_duration().as_secs();
            assert!(from < NOW && NOW < until && until - from <= LONGEST_VALIDITY_SECONDS);
            assert_eq!(certificate.to_der().unwrap(), der, "not DER");
        }
    }
}

#[test]
fn extensions_are_those_of_genuine_certificates_in_their_order() {
    // Read off the genuine Genoa ARK and ASK, and VCEKs of the three lines.
    let ark = ["2.5.29.15", "2.5.29.14", "2.5.29.19", "2.5.29.31"];
    let ask = ["2.5.29.14", "2.5.29.35", "2.5.29.19", "2.5.29.15", "2.5.29.31"];
    let genoa = "1 2 3.1 3.2 3.4 3.5 3.6 3.7 3.3 3.8 4";
    let turin = "1 2 3.9 3.1 3.2 3.3 3.5 3.6 3.7 3.8 4";
    for (product, vcek) in [(Product::Milan, genoa), (Product::Genoa, genoa), (Product::Turin, turin)] {
        let device = device(product);
        let oids: Vec<Vec<String>> = device.endorsements()[..3].iter().map(|der| extension_oids(der)).collect();
        let vcek: Vec<String> = vcek.split(' ').map(|suffix| format!("1.3.6.1.4.1.3704.1.{suffix}")).collect();
        assert_eq!(oids[0], vcek);
        assert_eq!(oids[1], ask);
        assert_eq!(oids[2], ark);
    }
}

#[test]
fn a_vcek_has_serial_zero_and_the_raw_hardware_id() {
    for (product, length) in [(Product::Milan, 64), (Product::Genoa, 64), (Product::Turin, 8)] {
        let device = device(product);
        let vcek = Certificate::from_der(&device.endorsements()[0]).unwrap();
        let fields = vcek.tbs_certificate();
        assert_eq!(fields.serial_number().as_bytes(), [0]);
        let hardware_id = fields
            .extensions()
            .unwrap()
            .iter()
            .find(|extension| extension.extn_id == ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.4"))
            .unwrap();
        assert_eq!(hardware_id.extn_value.as_bytes(), &device.chip_id()[..length]);
        assert!(device.chip_id()[length..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn the_revocation_list_is_the_root_s_and_empty() {
    let vendor = SimulatedAmd::published(Product::Turin, NOW).unwrap();
    let crl = vendor.crl();
    let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&crl).unwrap();
    let ark = Certificate::from_der(vendor.root_certificate_der()).unwrap();
    assert_eq!(&list.tbs_cert_list.issuer, ark.tbs_certificate().subject());
    assert_eq!(list.tbs_cert_list.revoked_certificates, None);
    let next = list.tbs_cert_list.next_update.unwrap();
    assert!(next.to_unix_duration().as_secs() > NOW);
}

#[test]
fn two_generated_vendors_share_no_key() {
    let one = SimulatedAmd::generate(Product::Genoa, NOW).unwrap();
    let published = SimulatedAmd::published(Product::Genoa, NOW).unwrap();
    let key = |vendor: &SimulatedAmd| {
        let root = Certificate::from_der(vendor.root_certificate_der()).unwrap();
        root.tbs_certificate().subject_public_key_info().clone()
    };
    assert_ne!(key(&one), key(&published));
    let device = one.device([1; 32], [0; 48], [0; 32], NOW).unwrap();
    sev_verify(&device.report(&REPORT_DATA).unwrap()).unwrap();
}

fn common_name(name: &x509_cert::name::Name) -> String {
    let text = name.to_string();
    let (_, rest) = text.split_once("CN=").unwrap();
    rest.split(',').next().unwrap().to_owned()
}

/// The OIDs of a certificate's extensions, without the development one.
fn extension_oids(der: &[u8]) -> Vec<String> {
    let certificate = Certificate::from_der(der).unwrap();
    let extensions = certificate.tbs_certificate().extensions().unwrap().iter();
    extensions.map(|extension| extension.extn_id.to_string()).filter(|oid| oid != DEVELOPMENT_EXTENSION_OID).collect()
}
