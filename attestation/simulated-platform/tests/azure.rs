//! Evidence of machines with a virtual TPM has the genuine structure: a reader that shares no
//! code with the writer follows every length, verifies every signature and every binding of
//! one part to the next, over both kinds of hardware.

#[path = "support/reader.rs"]
mod reader;

use base64::{Engine as _, engine::general_purpose};
use reader::{Fields, assert_says_development, extension, is_signed_by, parse, public_key};
use serde_json::Value;
use sev::{
    certs::snp::{Certificate as SevCertificate, Chain, Verifiable as _},
    firmware::guest::AttestationReport,
    parser::ByteParser as _,
};
use sha2::{Digest as _, Sha256, Sha384};
use strongroom_attestation::Code;
use strongroom_simulated_platform::{
    AzureEvidence, AzureFault, AzureHardware, AzurePlatform, EvidenceVersion, HclVersion, PckCa, Product, SimulatedAmd,
    SimulatedAzure, SimulatedAzureVm, SimulatedIntel, SimulationError, TdBody, TpmQuote, VtpmKeys,
};
use x509_cert::der::{Decode as _, Encode as _, asn1::Uint, oid::ObjectIdentifier};

const NOW: u64 = 1_800_000_000;
const NONCE: &[u8] = b"the nonce that was asked for, 48 bytes of it ...";
const HARDWARE: [AzureHardware; 2] = [AzureHardware::Snp, AzureHardware::Tdx];

fn vendor() -> SimulatedAzure {
    SimulatedAzure::published(NOW).unwrap()
}

fn platform(hardware: AzureHardware) -> AzurePlatform {
    match hardware {
        AzureHardware::Snp => {
            let amd = SimulatedAmd::published(Product::Milan, NOW).unwrap();
            amd.device([3; 32], [0xab; 48], [0; 32], NOW).unwrap().into()
        }
        AzureHardware::Tdx => {
            let intel = SimulatedIntel::published(NOW).unwrap();
            let body = TdBody { mr_td: [0xab; 48], ..TdBody::healthy() };
            intel.td([3; 32], PckCa::Platform, body, NOW).unwrap().into()
        }
    }
}

fn vm(vendor: &SimulatedAzure, hardware: AzureHardware) -> SimulatedAzureVm {
    vendor.vm(platform(hardware), VtpmKeys::published().unwrap(), NOW).unwrap()
}

/// Where the SHA-256 bank, the nonce and the runtime data stand in evidence that holds.
struct Read {
    runtime: Value,
    extra_data: Vec<u8>,
    hardware: AzureHardware,
    hcl_version: u32,
}

/// Follows every length, signature and binding, or panics.
fn read(evidence: &AzureEvidence, root: &[u8]) -> Read {
    let report = evidence.hcl_report.as_slice();
    assert_eq!(report.len(), 2600);
    let mut fields = Fields(report);
    assert_eq!(fields.take(4), b"HCLA");
    let (hcl_version, report_size) = (fields.u32(), fields.u32());
    assert!(hcl_version == 1 || hcl_version == 2);
    assert_eq!((fields.u32(), fields.u32()), (2, 0));
    assert_eq!(fields.take(12), [0; 12]);
    let hardware_report = fields.take(1184);
    let (data_size, version, report_type) = (fields.u32(), fields.u32(), fields.u32());
    let (hash_type, runtime_size) = (fields.u32(), fields.u32());
    assert_eq!((version, hash_type), (1, 1));
    assert_eq!(data_size, runtime_size + 20);
    assert_eq!(report_size, 0x20 + 1184 + data_size);
    let runtime_bytes = fields.take(usize::try_from(runtime_size).unwrap());
    assert!(fields.0.iter().all(|byte| *byte == 0));

    let binding = [Sha256::digest(runtime_bytes).as_slice(), &[0; 32]].concat();
    let hardware = match report_type {
        2 => {
            assert!(evidence.td_quote.is_none());
            verify_snp(hardware_report, &evidence.endorsements);
            assert_eq!(hardware_report[0x50..0x90], binding);
            assert_eq!(hardware_report[0x30..0x34], [0; 4]);
            AzureHardware::Snp
        }
        4 => {
            let quote = evidence.td_quote.as_ref().unwrap();
            verify_td_report(hardware_report, quote);
            assert_eq!(hardware_report[0x80..0xc0], binding);
            AzureHardware::Tdx
        }
        other => panic!("{other}"),
    };

    let runtime: Value = serde_json::from_slice(runtime_bytes).unwrap();
    let keys = runtime["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    let (attestation, endorsement) = (&keys[0], &keys[1]);
    assert_eq!((&attestation["kid"], &endorsement["kid"]), (&"HCLAkPub".into(), &"HCLEkPub".into()));
    let modulus = general_purpose::URL_SAFE_NO_PAD.decode(attestation["n"].as_str().unwrap()).unwrap();
    assert_eq!(modulus.len(), 256);
    let key = [Uint::new(&modulus).unwrap(), Uint::new(&[1, 0, 1]).unwrap()].to_vec().to_der().unwrap();

    let leaf = parse(&evidence.ak_certificates[0]);
    assert_eq!(public_key(&leaf), key);
    assert!(is_signed_by(&evidence.ak_certificates[0], &evidence.ak_certificates[1]));
    assert!(is_signed_by(&evidence.ak_certificates[1], &evidence.ak_certificates[2]));
    assert_eq!(evidence.ak_certificates[2], root);

    let extra_data = verify_tpm_quote(&evidence.tpm_quote, &key);
    Read { runtime, extra_data, hardware, hcl_version }
}

fn verify_snp(report: &[u8], endorsements: &[Vec<u8>]) {
    let certificate = |index: usize| SevCertificate::from_der(&endorsements[index]).unwrap();
    let chain = Chain::from((certificate(1), certificate(2), certificate(0)));
    let report = AttestationReport::from_bytes(report).unwrap();
    (&chain, &report).verify().unwrap();
}

/// The report hashes its own parts, and the quote says the same. The quote's own signatures
/// are the business of the tests of TDX.
fn verify_td_report(report: &[u8], quote: &[u8]) {
    assert_eq!(report[..16], [&[0x81], [0; 15].as_slice()].concat());
    assert_eq!(report[0x20..0x50], *Sha384::digest(&report[256..495]));
    assert_eq!(report[0x50..0x80], *Sha384::digest(&report[512..1024]));
    assert_eq!(report[1024..], [0; 160]);
    let body = &quote[48..48 + 584];
    assert_eq!(body[0x208..0x248], report[0x80..0xc0]); // report data
    assert_eq!(body[..0x10], report[264..280]); // security versions
    assert_eq!(body[0x10..0x40], report[280..328]); // module
    assert_eq!(body[0x78..0x208], report[512..512 + 400]); // attributes to registers
}

/// Returns the qualifying data.
fn verify_tpm_quote(quote: &TpmQuote, key: &[u8]) -> Vec<u8> {
    let algorithm = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
    assert!(reader::verifies(algorithm, key, &quote.message, &quote.signature));
    let mut fields = Fields(&quote.message);
    assert_eq!(fields.take(6), [0xff, 0x54, 0x43, 0x47, 0x80, 0x18]);
    let signer = fields.sized();
    assert!(signer.len() == 34 && signer[..2] == [0, 0xb]);
    let extra_data = fields.sized().to_vec();
    fields.take(8 + 4 + 4 + 1 + 8);
    assert_eq!(fields.take(4 + 2 + 1 + 3), [0, 0, 0, 1, 0, 0xb, 3, 0xff, 0xff, 0xff]);
    assert_eq!(quote.pcrs.len(), 24);
    assert_eq!(fields.sized(), Sha256::digest(quote.pcrs.concat()).as_slice());
    assert!(fields.0.is_empty());
    extra_data
}

#[test]
fn every_variant_is_read_and_verified_independently() {
    let vendor = vendor();
    for hardware in HARDWARE {
        for hcl_version in HclVersion::ALL {
            let vm = vm(&vendor, hardware).with_hcl_version(hcl_version);
            for version in EvidenceVersion::ALL {
                let evidence = vm.evidence(NONCE, version).unwrap();
                let read = read(&evidence, vendor.root_certificate_der());
                assert_eq!(read.hardware, hardware);
                assert_eq!(read.hcl_version, hcl_version.number());
                assert_eq!(read.extra_data, NONCE);
                assert_eq!(evidence.tpm_quote.pcrs, vm.pcrs());
                let user_data = hex::decode(read.runtime["user-data"].as_str().unwrap()).unwrap();
                let nonce = [NONCE, &[0; 16]].concat();
                assert_eq!(user_data, if version == EvidenceVersion::V2 { nonce } else { vec![0; 64] });
            }
        }
    }
}

#[test]
fn runtime_data_has_the_genuine_fields_in_their_order() {
    let vendor = vendor();
    for (hcl_version, configuration) in [
        (HclVersion::V1, r#"{"console-enabled":true,"secure-boot":true,"tpm-enabled":true,"vmUniqueId":""#),
        (HclVersion::V2, r#"{"console-enabled":true,"root-cert-thumbprint":"#),
    ] {
        let vm = vm(&vendor, AzureHardware::Snp).with_hcl_version(hcl_version).with_user_data([0xab; 64]);
        let report = vm.evidence(NONCE, EvidenceVersion::V1).unwrap().hcl_report;
        let text = str::from_utf8(&report[0x4d4..]).unwrap().trim_end_matches('\0');
        assert!(text.starts_with(r#"{"keys":[{"kid":"HCLAkPub","key_ops":["sign"],"kty":"RSA","e":"AQAB","n":""#));
        assert!(text.contains(r#"{"kid":"HCLEkPub","key_ops":["encrypt"],"kty":"RSA","e":"AQAB","n":""#));
        assert!(text.contains(&format!(r#"],"vm-configuration":{configuration}"#)), "{text}");
        assert!(text.ends_with(&format!(r#""user-data":"{}"}}"#, "AB".repeat(64))));
        // As long as genuine ones, but for the length of the names.
        assert_eq!(text.len(), if hcl_version == HclVersion::V1 { 1110 } else { 1200 });
    }
    let vm = vm(&vendor, AzureHardware::Tdx).with_secure_boot(false);
    let evidence = vm.evidence(NONCE, EvidenceVersion::V1).unwrap();
    let runtime = read(&evidence, vendor.root_certificate_der()).runtime;
    assert_eq!(runtime["vm-configuration"]["secure-boot"], false);
}

#[test]
fn certificates_say_development_and_have_the_genuine_extensions_in_their_order() {
    let vendor = vendor();
    let vm = vm(&vendor, AzureHardware::Snp);
    // Read off the genuine root and intermediate; of the leaf only its purposes are known.
    let orders: [&[&str]; 3] = [
        &["2.5.29.15", "2.5.29.37", "2.5.29.14", "2.5.29.35"],
        &["2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.14", "2.5.29.35", "2.5.29.31", "1.3.6.1.5.5.7.1.1"],
        &["2.5.29.15", "2.5.29.19", "2.5.29.14", "1.3.6.1.4.1.311.21.1"],
    ];
    for (der, order) in vm.ak_certificates().iter().zip(orders) {
        assert_says_development(der, NOW);
        let certificate = parse(der);
        let oids = certificate.tbs_certificate().extensions().unwrap().iter().map(|e| e.extn_id.to_string());
        let oids: Vec<String> = oids.filter(|oid| !oid.starts_with("1.3.6.1.4.1.32473")).collect();
        assert_eq!(oids, order);
    }
    let [leaf, intermediate, root] = [0, 1, 2].map(|index| parse(&vm.ak_certificates()[index]));
    let value = |certificate, oid| hex::encode(extension(certificate, oid).unwrap().1);
    assert_eq!(value(&root, "2.5.29.15"), "03020186");
    assert_eq!(value(&root, "2.5.29.19"), "30030101ff");
    assert_eq!(value(&root, "1.3.6.1.4.1.311.21.1"), "020100");
    assert_eq!(value(&intermediate, "2.5.29.15"), "03020204");
    assert_eq!(value(&intermediate, "2.5.29.19"), "30060101ff020100");
    assert_eq!(value(&intermediate, "2.5.29.37"), "300e0605678105080106056781050803");
    assert!(value(&leaf, "2.5.29.37").ends_with("06056781050803"));
    for (certificate, algorithm, bits) in [(&root, "12", 4096), (&intermediate, "12", 2048), (&leaf, "11", 2048)] {
        let oid = certificate.signature_algorithm().oid.to_string();
        assert_eq!(oid, format!("1.2.840.113549.1.1.{algorithm}"));
        let numbers = Vec::<Uint>::from_der(&public_key(certificate)).unwrap();
        assert_eq!(numbers[0].as_bytes().len() * 8, bits);
    }
    let stored = vm.stored_ak_certificate();
    assert_eq!(stored.len(), 4096);
    assert!(stored.starts_with(&vm.ak_certificates()[0]));
}

#[test]
fn the_json_is_that_of_confidential_containers() {
    let vendor = vendor();
    for hardware in HARDWARE {
        for version in EvidenceVersion::ALL {
            let evidence = vm(&vendor, hardware).evidence(NONCE, version).unwrap();
            let json: Value = serde_json::from_str(&evidence.to_json().unwrap()).unwrap();
            let bytes = |value: &Value| general_purpose::URL_SAFE.decode(value.as_str().unwrap()).unwrap();
            assert_eq!(json["version"], version.number());
            assert_eq!(bytes(&json["hcl_report"]), evidence.hcl_report);
            match &evidence.td_quote {
                None => assert_eq!(bytes(&json["vcek"]), evidence.endorsements[0]),
                Some(quote) => assert_eq!(&bytes(&json["td_quote"]), quote),
            }
            assert_eq!(json.as_object().unwrap().len(), 4);
            let quote = &json["tpm_quote"];
            assert_eq!(quote.as_object().unwrap().len(), 3);
            assert_eq!(hex::decode(quote["message"].as_str().unwrap()).unwrap(), evidence.tpm_quote.message);
            assert_eq!(hex::decode(quote["signature"].as_str().unwrap()).unwrap(), evidence.tpm_quote.signature);
            let pcrs: Vec<String> = evidence.tpm_quote.pcrs.iter().map(hex::encode).collect();
            assert_eq!(quote["pcrs"], Value::from(pcrs));
        }
    }
}

#[test]
fn a_nonce_longer_than_its_place_is_refused() {
    let vm = vm(&vendor(), AzureHardware::Snp);
    assert!(vm.evidence(&[1; 64], EvidenceVersion::V2).is_ok());
    assert!(matches!(vm.evidence(&[1; 65], EvidenceVersion::V2), Err(SimulationError::TooLong { .. })));
}

#[test]
fn generated_keys_are_nobody_else_s() {
    let vendor = SimulatedAzure::generate(NOW).unwrap();
    let vm = vendor.vm(platform(AzureHardware::Snp), VtpmKeys::generate().unwrap(), NOW).unwrap();
    let evidence = vm.evidence(NONCE, EvidenceVersion::V1).unwrap();
    read(&evidence, vendor.root_certificate_der());
    let published = self::vendor();
    let key = |vendor: &SimulatedAzure| public_key(&parse(vendor.root_certificate_der()));
    assert_ne!(key(&vendor), key(&published));
}

#[test]
fn every_fault_changes_something_and_names_a_code_that_exists() {
    let vendor = vendor();
    for hardware in HARDWARE {
        for hcl_version in HclVersion::ALL {
            let vm = vm(&vendor, hardware).with_hcl_version(hcl_version);
            for fault in AzureFault::ALL.iter().copied() {
                let made = vendor.evidence_with_fault(&vm, NONCE, EvidenceVersion::V1, fault, NOW);
                if !fault.is_possible_on(hardware) {
                    assert!(matches!(made, Err(SimulationError::OtherHardware { .. })), "{}", fault.name());
                    continue;
                }
                let sound = vm.evidence(NONCE, EvidenceVersion::V1).unwrap();
                let (broken, sound) = (essence(&made.unwrap(), &vendor), essence(&sound, &vendor));
                assert!(broken != sound, "{} {hardware:?}", fault.name());
                assert!(Code::from_text(fault.expected_code()).is_some(), "{}", fault.name());
            }
        }
    }
}

/// What does not change from one sound piece of evidence to the next: whether it holds, and
/// what it says without its signatures.
fn essence(evidence: &AzureEvidence, vendor: &SimulatedAzure) -> (bool, Vec<Vec<u8>>) {
    let root = vendor.root_certificate_der();
    let holds = std::panic::catch_unwind(|| read(evidence, root)).is_ok();
    let mut parts = vec![evidence.tpm_quote.message.clone()];
    // Policy, level, versions and measurement of a chip's report; most of a TD report.
    parts.push(evidence.hcl_report.get(..0x20 + 0x1f8).unwrap_or_default().to_vec());
    parts.push(vec![u8::try_from(evidence.endorsements.len()).unwrap()]);
    if let Some(quote) = &evidence.td_quote {
        parts.push(quote[..48 + 584].to_vec());
        // `read` leaves the quote's own signature and chain to the tests of TDX.
        let has_chain = quote.windows(11).any(|window| window == b"CERTIFICATE");
        parts.push(vec![u8::from(signature_holds(quote)), u8::from(has_chain)]);
    }
    parts.extend(evidence.ak_certificates.iter().map(|der| parse(der).tbs_certificate().to_der().unwrap()));
    (holds, parts)
}

/// Of a version 4 quote, by the key in it.
fn signature_holds(quote: &[u8]) -> bool {
    let key = [&[4], &quote[48 + 584 + 4 + 64..][..64]].concat();
    reader::verifies_fixed(&key, &quote[..48 + 584], &quote[48 + 584 + 4..][..64])
}

#[test]
fn a_machine_alone_makes_every_fault_but_those_of_certificates() {
    let vm = vm(&vendor(), AzureHardware::Snp);
    let mut made = 0;
    for fault in AzureFault::ALL.iter().copied().filter(|fault| fault.is_possible_on(AzureHardware::Snp)) {
        match vm.evidence_with_fault(NONCE, EvidenceVersion::V2, fault) {
            Ok(_) => made += usize::from(!fault.needs_vendor()),
            Err(SimulationError::NeedsVendor { .. }) => assert!(fault.needs_vendor(), "{}", fault.name()),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(made > 30);
}

#[test]
fn the_three_catalogues_have_a_hundred_and_twenty_faults_and_more() {
    let faults = strongroom_simulated_platform::Fault::ALL.len()
        + strongroom_simulated_platform::TdxFault::ALL.len()
        + AzureFault::ALL.len();
    assert!(faults >= 120, "{faults}");
}
