//! TDX evidence has the genuine structure: a reader that shares no code with the writer
//! follows every length and verifies every signature, and certificates and JSON compare with
//! captured ones field by field.

#[path = "support/reader.rs"]
mod reader;

use std::collections::HashSet;

use reader::{Fields, assert_says_development, extension, from_pem, is_signed_by, parse, public_key, verifies_fixed};
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha384};
use strongroom_attestation::Code;
use strongroom_simulated_platform::{
    EventLog, PckCa, QuoteFormat, SimulatedIntel, SimulatedTd, SimulationError, TdBody, TdEvidence, TdxFault,
};
use x509_cert::{
    crl::CertificateList,
    der::{Decode as _, Encode as _},
};

const NOW: u64 = 1_800_000_000;
const REPORT_DATA: [u8; 64] = [0x5a; 64];

fn vendor() -> SimulatedIntel {
    SimulatedIntel::published(NOW).unwrap()
}

fn td(vendor: &SimulatedIntel, ca: PckCa) -> SimulatedTd {
    let body = TdBody { mr_td: [0xab; 48], mr_config_id: [0xcd; 48], ..TdBody::healthy() };
    vendor.td([3; 32], ca, body, NOW).unwrap().with_event_log(EventLog::of_boot(b"kernel", "quiet"))
}

/// What an independent reader finds in a quote whose signatures hold.
struct Quote {
    body: Vec<u8>,
    qe_report: Vec<u8>,
    /// DER, leaf first.
    chain: Vec<Vec<u8>>,
}

/// Follows every length and verifies every signature, or panics.
fn read(quote: &[u8], format: QuoteFormat, padding: usize) -> Quote {
    let mut fields = Fields(quote);
    assert_eq!(fields.u16(), format.version());
    assert_eq!(fields.u16(), 2);
    assert_eq!(fields.u32(), 0x81);
    assert_eq!(fields.u32(), 0);
    assert_eq!(hex::encode(fields.take(16)), "939a7233f79c4ca9940a0db3957f0607");
    let user_data = fields.take(20);
    assert!(user_data[..16].iter().any(|byte| *byte != 0) && user_data[16..] == [0; 4]);
    let length = match format {
        QuoteFormat::V4 => 584,
        QuoteFormat::V5Td10 | QuoteFormat::V5Td15 => {
            let (kind, length) = (fields.u16(), fields.u32());
            assert_eq!((kind, length), if format == QuoteFormat::V5Td10 { (2, 584) } else { (3, 648) });
            usize::try_from(length).unwrap()
        }
    };
    let body = fields.take(length).to_vec();
    let signed = &quote[..quote.len() - fields.0.len()];

    let signature_data_length = usize::try_from(fields.u32()).unwrap();
    let mut data = Fields(fields.take(signature_data_length));
    assert_eq!(fields.0, vec![0; padding]);
    let signature = data.take(64);
    let attestation_key = data.take(64);
    assert!(verifies_fixed(&uncompressed(attestation_key), signed, signature));

    assert_eq!(data.u16(), 6);
    let length = usize::try_from(data.u32()).unwrap();
    let mut certification = Fields(data.take(length));
    assert!(data.0.is_empty());
    let qe_report = certification.take(384);
    let qe_signature = certification.take(64);
    let length = usize::from(certification.u16());
    let auth_data = certification.take(length);
    assert_eq!(auth_data, (0..32).collect::<Vec<u8>>());
    let binding = Sha256::new().chain_update(attestation_key).chain_update(auth_data).finalize();
    assert_eq!(qe_report[320..352], *binding);
    assert_eq!(qe_report[352..], [0; 32]);

    assert_eq!(certification.u16(), 5);
    let length = usize::try_from(certification.u32()).unwrap();
    let pem = certification.take(length);
    assert!(certification.0.is_empty());
    let (pem, end) = pem.split_at(pem.len() - 1);
    assert_eq!(end, [0]);
    let chain = from_pem(str::from_utf8(pem).unwrap());
    assert_eq!(chain.len(), 3);
    assert!(verifies_fixed(&public_key(&parse(&chain[0])), qe_report, qe_signature));
    for pair in chain.windows(2) {
        assert!(is_signed_by(&pair[0], &pair[1]));
    }
    assert!(is_signed_by(&chain[2], &chain[2]));
    Quote { body, qe_report: qe_report.to_vec(), chain }
}

fn uncompressed(coordinates: &[u8]) -> Vec<u8> {
    [&[4], coordinates].concat()
}

#[test]
fn every_variant_is_read_and_verified_independently() {
    let vendor = vendor();
    for ca in PckCa::ALL {
        for format in QuoteFormat::ALL {
            let td = td(&vendor, ca).with_format(format).with_padding(70);
            let quote = read(&td.evidence(&REPORT_DATA).unwrap().quote, format, 70);
            assert_eq!(quote.chain[2], vendor.root_certificate_der());
            let body = td.body();
            assert_eq!(quote.body[..16], body.tee_tcb_svn);
            assert_eq!(quote.body[0x010..0x040], body.mr_seam);
            assert_eq!(quote.body[0x078..0x080], body.td_attributes.to_le_bytes());
            assert_eq!(quote.body[0x080..0x088], body.xfam.to_le_bytes());
            assert_eq!(quote.body[0x088..0x0b8], body.mr_td);
            assert_eq!(quote.body[0x0b8..0x0e8], body.mr_config_id);
            assert_eq!(quote.body[0x148..0x208], body.rtmrs.concat());
            assert_eq!(quote.body[0x208..0x248], REPORT_DATA);
            if format == QuoteFormat::V5Td15 {
                assert_eq!(quote.body[0x248..0x258], body.tee_tcb_svn2);
                assert_eq!(quote.body[0x258..], body.mr_service_td);
            }
        }
    }
}

#[test]
fn every_field_of_the_body_can_be_set() {
    let body = TdBody {
        tee_tcb_svn: [1; 16],
        mr_seam: [2; 48],
        mr_signer_seam: [3; 48],
        seam_attributes: u64::from_le_bytes([4; 8]),
        td_attributes: u64::from_le_bytes([5; 8]),
        xfam: u64::from_le_bytes([6; 8]),
        mr_td: [7; 48],
        mr_config_id: [8; 48],
        mr_owner: [9; 48],
        mr_owner_config: [10; 48],
        rtmrs: [[11; 48], [12; 48], [13; 48], [14; 48]],
        tee_tcb_svn2: [16; 16],
        mr_service_td: [17; 48],
    };
    let td = td(&vendor(), PckCa::Platform).with_body(body).with_format(QuoteFormat::V5Td15);
    let found = read(&td.evidence(&[15; 64]).unwrap().quote, QuoteFormat::V5Td15, 0).body;
    let lengths = [16, 48, 48, 8, 8, 8, 48, 48, 48, 48, 48, 48, 48, 48, 64, 16, 48];
    let expected: Vec<u8> = (1..).zip(lengths).flat_map(|(byte, length)| vec![byte; length]).collect();
    assert_eq!(found, expected);
}

#[test]
fn certificates_say_development_and_have_intel_s_extensions_in_their_order() {
    let vendor = vendor();
    // Read off the genuine root, platform CA, TCB signing and PCK certificates.
    let order = ["2.5.29.35", "2.5.29.31", "2.5.29.14", "2.5.29.15", "2.5.29.19"];
    let td = td(&vendor, PckCa::Platform);
    let mut certificates = from_pem(str::from_utf8(td.pck_chain()).unwrap().trim_end_matches('\0'));
    certificates.extend(from_pem(td.collateral().tcb_info_issuer_chain.as_ref().unwrap()));
    for (index, der) in certificates.iter().enumerate() {
        assert_says_development(der, NOW);
        let certificate = parse(der);
        let oids = certificate.tbs_certificate().extensions().unwrap().iter().map(|e| e.extn_id.to_string());
        let oids: Vec<String> = oids.filter(|oid| oid.starts_with("2.5.29")).collect();
        assert_eq!(oids, order);
        let leaf = index == 0;
        assert_eq!(extension(&certificate, "1.2.840.113741.1.13.1").is_some(), leaf);
        let (_, usage) = extension(&certificate, "2.5.29.15").unwrap();
        let signs_documents = leaf || index == 3;
        assert_eq!(usage, if signs_documents { [3, 2, 6, 0xc0] } else { [3, 2, 1, 6] });
    }
}

#[test]
fn the_sgx_extension_has_the_bytes_of_a_genuine_one() {
    // A genuine extension of the platform CA, with what this platform is put into its place.
    let genuine = "30820226301e060a2a864886f84d010d01010410PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP30820163060a2a864886f84d\
                   010d0102308201533010060b2a864886f84d010d0102010201043010060b2a864886f84d010d0102020201043010060b2a86\
                   4886f84d010d0102030201023010060b2a864886f84d010d0102040201023010060b2a864886f84d010d0102050201043010\
                   060b2a864886f84d010d0102060201013010060b2a864886f84d010d0102070201003010060b2a864886f84d010d01020802\
                   01053010060b2a864886f84d010d0102090201003010060b2a864886f84d010d01020a0201003010060b2a864886f84d010d\
                   01020b0201003010060b2a864886f84d010d01020c0201003010060b2a864886f84d010d01020d0201003010060b2a864886\
                   f84d010d01020e0201003010060b2a864886f84d010d01020f0201003010060b2a864886f84d010d0102100201003010060b\
                   2a864886f84d010d01021102010d301f060b2a864886f84d010d0102120410040402020401000500000000000000003010\
                   060a2a864886f84d010d0103040200003014060a2a864886f84d010d01040406FFFFFFFFFFFF300f060a2a864886f84d010d\
                   01050a0101301e060a2a864886f84d010d01060410IIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII3044060a2a864886f84d010d01\
                   0730363010060b2a864886f84d010d0107010101ff3010060b2a864886f84d010d0107020101ff3010060b2a864886f84d\
                   010d0107030101ff";
    let td = td(&vendor(), PckCa::Platform);
    let chain = from_pem(str::from_utf8(td.pck_chain()).unwrap().trim_end_matches('\0'));
    let (critical, value) = extension(&parse(&chain[0]), "1.2.840.113741.1.13.1").unwrap();
    assert!(!critical);
    let instance = genuine.find('I').unwrap();
    let expected = genuine
        .replace(&"P".repeat(32), &hex::encode(td.ppid()))
        .replace(&"F".repeat(12), &hex::encode(SimulatedIntel::FMSPC))
        .replace(&"I".repeat(32), &hex::encode(&value)[instance..instance + 32]);
    assert_eq!(hex::encode(value), expected);
}

#[test]
fn collateral_is_signed_in_date_and_has_the_genuine_fields() {
    let vendor = vendor();
    for ca in PckCa::ALL {
        let td = td(&vendor, ca);
        let collateral = td.collateral();
        let signing = from_pem(collateral.tcb_info_issuer_chain.as_ref().unwrap());
        assert_eq!(collateral.tcb_info_issuer_chain, collateral.qe_identity_issuer_chain);
        assert!(is_signed_by(&signing[0], &signing[1]));
        let key = public_key(&parse(&signing[0]));
        let tcb_info = signed_object(collateral.tcb_info.as_ref().unwrap(), "tcbInfo", &key);
        let identity = signed_object(collateral.qe_identity.as_ref().unwrap(), "enclaveIdentity", &key);
        assert_eq!(
            shape(&tcb_info),
            shape(&serde_json::from_str(GENUINE_TCB_INFO).unwrap()),
            "keys of TCB info, of its first level and component"
        );
        let keys: Vec<&String> = identity.as_object().unwrap().keys().collect();
        assert!(keys.iter().all(|key| GENUINE_IDENTITY_KEYS.contains(&key.as_str())), "{keys:?}");
        assert_eq!(keys.len(), GENUINE_IDENTITY_KEYS.len());
        assert_eq!(tcb_info["fmspc"], hex::encode_upper(SimulatedIntel::FMSPC));
        for object in [&tcb_info, &identity] {
            assert_eq!(object["issueDate"], "2027-01-15T07:00:00Z");
            assert_eq!(object["nextUpdate"], "2027-01-21T08:00:00Z");
        }

        let ca_chain = from_pem(collateral.pck_crl_issuer_chain.as_ref().unwrap());
        for (list, issuer) in [
            (collateral.root_ca_crl.as_ref().unwrap(), &ca_chain[1]),
            (collateral.pck_crl.as_ref().unwrap(), &ca_chain[0]),
        ] {
            let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(list).unwrap();
            let issuer = parse(issuer);
            assert_eq!(&list.tbs_cert_list.issuer, issuer.tbs_certificate().subject());
            assert_eq!(list.tbs_cert_list.revoked_certificates, None);
            let message = list.tbs_cert_list.to_der().unwrap();
            let algorithm = list.signature_algorithm.oid;
            assert!(reader::verifies(algorithm, &public_key(&issuer), &message, list.signature.raw_bytes()));
        }
    }
}

/// Every key, first levels and components only.
const GENUINE_TCB_INFO: &str = r#"{"id":"","version":3,"issueDate":"","nextUpdate":"","fmspc":"","pceId":"","tcbType":0,
    "tcbEvaluationDataNumber":18,"tdxModule":{"mrsigner":"","attributes":"","attributesMask":""},
    "tdxModuleIdentities":[{"id":"","mrsigner":"","attributes":"","attributesMask":"",
    "tcbLevels":[{"tcb":{"isvsvn":3},"tcbDate":"","tcbStatus":""}]}],
    "tcbLevels":[{"tcb":{"sgxtcbcomponents":[{"svn":3,"category":"","type":""}],"pcesvn":13,
    "tdxtcbcomponents":[{"svn":5,"category":"","type":""}]},"tcbDate":"","tcbStatus":""}]}"#;
const GENUINE_IDENTITY_KEYS: &[&str] = &[
    "id",
    "version",
    "issueDate",
    "nextUpdate",
    "tcbEvaluationDataNumber",
    "miscselect",
    "miscselectMask",
    "attributes",
    "attributesMask",
    "mrsigner",
    "isvprodid",
    "tcbLevels",
];

/// The inner object, whose exact bytes the signature covers.
fn signed_object(document: &str, name: &str, key: &[u8]) -> Value {
    let inner = document.strip_prefix(&format!("{{\"{name}\":")).unwrap();
    let (inner, signature) = inner.rsplit_once(",\"signature\":\"").unwrap();
    let signature = hex::decode(signature.strip_suffix("\"}").unwrap()).unwrap();
    assert!(verifies_fixed(key, inner.as_bytes(), &signature), "{name}");
    assert!(serde_json::from_str::<Value>(document).is_ok());
    serde_json::from_str(inner).unwrap()
}

/// Keys and kinds of values, of the first element of each list.
fn shape(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            object.iter().map(|(key, value)| format!("{key}:{{{}}}", shape(value))).collect::<Vec<_>>().join(",")
        }
        Value::Array(list) => format!("[{}]", list.first().map(shape).unwrap_or_default()),
        Value::String(_) => "text".to_owned(),
        Value::Number(_) => "number".to_owned(),
        other => panic!("{other}"),
    }
}

#[test]
fn the_collateral_file_has_the_parts_of_the_documents() {
    let td = td(&vendor(), PckCa::Platform);
    let collateral = td.collateral();
    let file: Value = serde_json::from_str(&collateral.to_collateral_json().unwrap()).unwrap();
    let text = |key: &str| file[key].as_str().unwrap().to_owned();
    let tcb_info = format!("{{\"tcbInfo\":{},\"signature\":\"{}\"}}", text("tcb_info"), text("tcb_info_signature"));
    assert_eq!(Some(tcb_info), collateral.tcb_info);
    assert_eq!(hex::decode(text("root_ca_crl")).ok(), collateral.root_ca_crl);
    assert_eq!(hex::decode(text("pck_crl")).ok(), collateral.pck_crl);
    assert_eq!(file.as_object().unwrap().len(), 9);
    assert_eq!(collateral.artefacts().len(), 7);
}

#[test]
fn both_forms_of_the_event_log_replay_to_the_quoted_registers() {
    let evidence = td(&vendor(), PckCa::Platform).evidence(&REPORT_DATA).unwrap();
    let quoted = &read(&evidence.quote, QuoteFormat::V4, 0).body[0x148..0x208];
    assert!(quoted.chunks(48).all(|register| register != [0; 48]));

    let area = evidence.event_log.to_ccel(4096).unwrap();
    assert_eq!(area.len(), 4096);
    let mut registers = [[0; 48]; 4];
    let mut fields = Fields(&area);
    assert_eq!((fields.u32(), fields.u32()), (1, 3));
    fields.take(20);
    let length = fields.u32();
    fields.take(usize::try_from(length).unwrap());
    loop {
        let index = fields.u32();
        if index == 0xffff_ffff {
            break;
        }
        let (_, count, algorithm) = (fields.u32(), fields.u32(), fields.u16());
        assert_eq!((count, algorithm), (1, 0xc));
        let digest = fields.take(48);
        let length = fields.u32();
        let data = fields.take(usize::try_from(length).unwrap());
        assert_eq!(*Sha384::digest(data), *digest);
        extend(&mut registers[usize::try_from(index).unwrap() - 1], digest);
    }
    assert_eq!(registers.concat(), quoted);

    for with_digests in [true, false] {
        let log: Value = serde_json::from_str(&evidence.event_log.to_dstack_json(with_digests).unwrap()).unwrap();
        let mut registers = [[0; 48]; 4];
        for event in log.as_array().unwrap() {
            let text = |key: &str| event[key].as_str().unwrap();
            let (kind, payload) = (event["event_type"].as_u64().unwrap(), hex::decode(text("event_payload")).unwrap());
            let kind = u32::try_from(kind).unwrap();
            let computed = if kind == 0x0800_0001 {
                let name = text("event").as_bytes();
                Sha384::digest([&kind.to_le_bytes(), b":".as_slice(), name, b":", &payload].concat())
            } else {
                Sha384::digest(&payload)
            };
            if with_digests || kind != 0x0800_0001 {
                assert_eq!(hex::decode(text("digest")).unwrap(), *computed);
            } else {
                assert_eq!(text("digest"), "");
            }
            extend(&mut registers[usize::try_from(event["imr"].as_u64().unwrap()).unwrap()], &computed);
        }
        assert_eq!(registers.concat(), quoted);
    }
}

fn extend(register: &mut [u8; 48], digest: &[u8]) {
    *register = Sha384::new().chain_update(*register).chain_update(digest).finalize().into();
}

#[test]
fn published_keys_are_always_the_same_and_generated_ones_never() {
    let key = |vendor: &SimulatedIntel| public_key(&parse(vendor.root_certificate_der()));
    assert_eq!(key(&vendor()), key(&vendor()));
    let (one, two) = (SimulatedIntel::generate(NOW).unwrap(), SimulatedIntel::generate(NOW).unwrap());
    assert_ne!(key(&one), key(&two));
    assert_ne!(key(&one), key(&vendor()));
    let evidence = td(&one, PckCa::Platform).evidence(&REPORT_DATA).unwrap();
    assert_eq!(read(&evidence.quote, QuoteFormat::V4, 0).chain[2], one.root_certificate_der());
}

#[test]
fn every_fault_changes_something_and_names_a_code_that_exists() {
    let vendor = vendor();
    for ca in PckCa::ALL {
        for format in QuoteFormat::ALL {
            let td = td(&vendor, ca).with_format(format);
            for fault in TdxFault::ALL.iter().copied() {
                let broken = vendor.evidence_with_fault(&td, &REPORT_DATA, fault, NOW).unwrap();
                let sound = td.evidence(&REPORT_DATA).unwrap();
                assert!(essence(&broken) != essence(&sound), "{} {format:?}", fault.name());
                assert!(Code::from_text(fault.expected_code()).is_some(), "{}", fault.name());
            }
        }
    }
}

/// What does not change from one sound piece of evidence to the next: all but signatures.
/// Where a fault is in a signature, that fault's effect is on whether it verifies.
fn essence(evidence: &TdEvidence) -> (Vec<bool>, Vec<u8>, Vec<Vec<u8>>, EventLog) {
    let holds = std::panic::catch_unwind(|| {
        let version = u16::from_le_bytes([evidence.quote[0], evidence.quote[1]]);
        let format = match (version, evidence.quote[48]) {
            (4, _) => QuoteFormat::V4,
            (_, 2) => QuoteFormat::V5Td10,
            _ => QuoteFormat::V5Td15,
        };
        read(&evidence.quote, format, 0)
    });
    let unsigned = |der: &Vec<u8>| parse(der).tbs_certificate().to_der().unwrap();
    let mut parts = Vec::new();
    if let Ok(quote) = &holds {
        parts.extend(quote.chain.iter().map(unsigned));
        parts.push(quote.qe_report.clone());
    }
    let collateral = &evidence.collateral;
    let mut verdicts = vec![holds.is_ok()];
    for (document, chain) in [
        (&collateral.tcb_info, &collateral.tcb_info_issuer_chain),
        (&collateral.qe_identity, &collateral.qe_identity_issuer_chain),
    ] {
        let chain = from_pem(chain.as_ref().unwrap());
        parts.extend(chain.iter().map(unsigned));
        verdicts.push(is_signed_by(&chain[0], &chain[1]));
        let Some((inner, signature)) = document.as_ref().and_then(|text| text.rsplit_once(",\"signature\":\"")) else {
            parts.push(document.clone().unwrap_or_default().into_bytes());
            continue;
        };
        let (_, inner) = inner.split_once(':').unwrap();
        let signature = hex::decode(signature.trim_end_matches("\"}")).unwrap();
        verdicts.push(verifies_fixed(&public_key(&parse(&chain[0])), inner.as_bytes(), &signature));
        parts.push(inner.as_bytes().to_vec());
    }
    let issuers = from_pem(collateral.pck_crl_issuer_chain.as_ref().unwrap());
    parts.extend(issuers.iter().map(unsigned));
    for (list, issuer) in [(&collateral.root_ca_crl, issuers.last().unwrap()), (&collateral.pck_crl, &issuers[0])] {
        let Some(list) = list else {
            parts.push(Vec::new());
            continue;
        };
        let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(list).unwrap();
        let message = list.tbs_cert_list.to_der().unwrap();
        let key = public_key(&parse(issuer));
        verdicts.push(reader::verifies(list.signature_algorithm.oid, &key, &message, list.signature.raw_bytes()));
        parts.push(message);
    }
    let signed = match (&holds, evidence.quote.get(..2)) {
        (Ok(quote), Some([4, 0])) => 48 + quote.body.len(),
        (Ok(quote), _) => 54 + quote.body.len(),
        (Err(_), _) => 0,
    };
    (verdicts, evidence.quote[..signed].to_vec(), parts, evidence.event_log.clone())
}

#[test]
fn a_platform_alone_makes_the_faults_of_its_quotes_and_no_other() {
    let td = td(&vendor(), PckCa::Platform);
    let mut made = HashSet::new();
    for fault in TdxFault::ALL.iter().copied() {
        match td.evidence_with_fault(&REPORT_DATA, fault) {
            Ok(_) => assert!(!fault.needs_vendor() && made.insert(fault)),
            Err(SimulationError::NeedsVendor { fault: name }) => {
                assert!(fault.needs_vendor());
                assert_eq!(name, fault.name());
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(made.len() > 50);
}
