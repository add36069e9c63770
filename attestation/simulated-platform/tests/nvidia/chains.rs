//! Chains of devices: names, extensions and serial numbers as in genuine ones, links that hold.

use strongroom_simulated_platform::{DEVELOPMENT_EXTENSION_OID, DEVELOPMENT_NAME_SUFFIX};
use x509_cert::{
    Certificate,
    der::{Encode as _, asn1::Uint},
    name::Name,
};

use crate::{NOW, TOPOLOGIES, der::not_before_tag, evidence, genuine, reader, report::Report, set, vendor};

#[test]
fn every_chain_holds_and_says_development() {
    for topology in TOPOLOGIES {
        for device in evidence(topology).devices {
            assert_eq!(device.certificates.len(), 5);
            for pair in device.certificates.windows(2) {
                assert!(reader::is_signed_by(&pair[0], &pair[1]), "{topology:?}");
            }
            assert!(same_key(&device.certificates[4], vendor().device_root_certificate_der()));
            for certificate in &device.certificates {
                reader::assert_says_development(certificate, NOW);
            }
        }
    }
}

#[test]
fn names_and_extensions_are_those_of_genuine_certificates_in_their_order() {
    for genuine in genuine::DEVICES {
        let simulated = evidence(genuine.topology);
        let chain = reader::from_pem(genuine.chain);
        for (simulated, captured) in simulated.devices[genuine.device].certificates.iter().zip(&chain) {
            compare(simulated, captured);
        }
    }
}

/// Everything but values that differ from one certificate to the next.
pub(crate) fn compare(simulated_der: &[u8], captured_der: &[u8]) {
    let (simulated, captured) = (&reader::parse(simulated_der), &reader::parse(captured_der));
    let (ours, theirs) = (simulated.tbs_certificate(), captured.tbs_certificate());
    for (ours, theirs) in [(ours.subject(), theirs.subject()), (ours.issuer(), theirs.issuer())] {
        assert_eq!(attribute_types(ours), attribute_types(theirs));
        let wanted = format!("{}{DEVELOPMENT_NAME_SUFFIX}", common_name(theirs));
        assert_eq!(common_name(ours), wanted);
    }
    let name = common_name(theirs.subject());
    assert_eq!(extensions(simulated), extensions(captured), "{name}");
    // Key usage and basic constraints.
    for oid in ["2.5.29.15", "2.5.29.19"] {
        assert_eq!(reader::extension(simulated, oid), reader::extension(captured, oid), "{name} {oid}");
    }
    assert_eq!(simulated.signature_algorithm(), captured.signature_algorithm());
    assert_eq!(not_before_tag(simulated_der), not_before_tag(captured_der), "{name}");
}

#[test]
fn serial_numbers_and_the_firmware_s_digest_are_where_they_are_in_genuine_chains() {
    let simulated = TOPOLOGIES
        .into_iter()
        .flat_map(|topology| evidence(topology).devices.into_iter().map(|device| (device.report, device.certificates)));
    let captured = genuine::DEVICES.map(|genuine| (genuine.report.to_vec(), reader::from_pem(genuine.chain)));
    for (report, chain) in simulated.chain(captured) {
        let (leaf, brom) = (reader::parse(&chain[0]), reader::parse(&chain[1]));
        for certificate in [&leaf, &brom] {
            let serial = hex::encode_upper(serial(certificate));
            assert!(certificate.tbs_certificate().subject().to_string().to_uppercase().contains(&serial), "{serial}");
        }
        assert_eq!(serial(&leaf).len(), 20);
        assert_eq!(serial(&brom).len(), 9);

        let (composite, tcb_info) = ("2.23.133.5.4.1", "2.23.133.5.4.1.1");
        let values = [composite, tcb_info].map(|oid| reader::extension(&leaf, oid).map(|(_, value)| value));
        let fwid = match values {
            [Some(value), None] => {
                // The key in it is the boot ROM's.
                let key = brom.tbs_certificate().subject_public_key_info().to_der().unwrap();
                assert!(value.windows(key.len()).any(|window| window == key));
                value[value.len() - 48..].to_vec()
            }
            [None, Some(value)] => {
                // The second of two is zero.
                let second = value.windows(48).position(|window| window == [0; 48]).unwrap();
                value[second - 63..second - 15].to_vec()
            }
            _ => panic!("one of the two forms"),
        };
        if let Some(field) = Report::read(&report).unwrap().field(20) {
            assert_eq!(fwid, field);
        }
    }
}

#[test]
fn the_ueid_is_the_leaf_s_serial_number() {
    let set = set(crate::GpuTopology::Hopper(2));
    let evidence = set.evidence(&crate::NONCE).unwrap();
    for (gpu, device) in set.gpus().iter().zip(&evidence.devices) {
        let mut number = Vec::new();
        for digit in gpu.ueid().bytes() {
            // Times ten and a digit more, big-endian.
            let mut carry = u32::from(digit - b'0');
            for byte in number.iter_mut().rev() {
                carry += u32::from(*byte) * 10;
                *byte = u8::try_from(carry & 0xff).unwrap();
                carry >>= 8;
            }
            while carry > 0 {
                number.insert(0, u8::try_from(carry & 0xff).unwrap());
                carry >>= 8;
            }
        }
        assert_eq!(number, serial(&reader::parse(&device.certificates[0])));
        assert_eq!(gpu.uuid(), device.uuid);
    }
}

/// Each vendor of the same seed signs its root anew.
pub(crate) fn same_key(one: &[u8], other: &[u8]) -> bool {
    reader::public_key(&reader::parse(one)) == reader::public_key(&reader::parse(other))
}

pub(crate) fn serial(certificate: &Certificate) -> Vec<u8> {
    let serial = certificate.tbs_certificate().serial_number().as_bytes();
    Uint::new(serial).unwrap().as_bytes().to_vec()
}

fn attribute_types(name: &Name) -> Vec<String> {
    name.iter().map(|attribute| attribute.oid.to_string()).collect()
}

fn common_name(name: &Name) -> String {
    let text = name.to_string();
    let (_, rest) = text.split_once("CN=").unwrap();
    rest.split(',').next().unwrap().to_owned()
}

/// OID and criticality of each but the development one.
fn extensions(certificate: &Certificate) -> Vec<(String, bool)> {
    let extensions = certificate.tbs_certificate().extensions().unwrap().iter();
    extensions
        .map(|extension| (extension.extn_id.to_string(), extension.critical))
        .filter(|(oid, _)| oid != DEVELOPMENT_EXTENSION_OID)
        .collect()
}
