//! Reports: a strict reader, and the comparison with genuine ones.

use std::collections::BTreeMap;

use strongroom_simulated_platform::{GpuSetOptions, GpuTopology, SimulatedNvidia};

use crate::{NONCE, NOW, evidence, genuine, reader, set, vendor};

/// What a report says.
pub(crate) struct Report<'a> {
    pub(crate) nonce: &'a [u8],
    /// By golden index.
    pub(crate) measurements: BTreeMap<u8, &'a [u8]>,
    /// Type and value, in order.
    pub(crate) fields: Vec<(u16, &'a [u8])>,
    pub(crate) signed: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> Report<'a> {
    /// Follows every length, and refuses whatever a verifier must.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (request, response) = bytes.split_at_checked(37)?;
        if request[..4] != [0x11, 0xe0, 1, 0xff] || request[36] != 0 {
            return None;
        }
        let (header, mut rest) = response.split_at_checked(8)?;
        if header[..4] != [0x11, 0x60, 0, 0] {
            return None;
        }
        let length = usize::from(header[5]) | usize::from(header[6]) << 8 | usize::from(header[7]) << 16;
        let mut blocks = take(&mut rest, length)?;
        let mut measurements = BTreeMap::new();
        for _ in 0..header[4] {
            let block = take(&mut blocks, 55)?;
            // DMTF, 51 bytes, mutable firmware's digest, 48 bytes.
            if block[1..7] != [1, 51, 0, 1, 48, 0] {
                return None;
            }
            if measurements.insert(block[0].checked_sub(1)?, &block[7..]).is_some() {
                return None;
            }
        }
        take(&mut rest, 32)?;
        let length = u16::from_le_bytes(take(&mut rest, 2)?.try_into().ok()?);
        let mut opaque = take(&mut rest, usize::from(length))?;
        let mut fields: Vec<(u16, &[u8])> = Vec::new();
        while !opaque.is_empty() {
            let kind = u16::from_le_bytes(take(&mut opaque, 2)?.try_into().ok()?);
            let length = u16::from_le_bytes(take(&mut opaque, 2)?.try_into().ok()?);
            let value = take(&mut opaque, usize::from(length))?;
            if kind > 36 || fields.iter().any(|(other, _)| *other == kind) {
                return None;
            }
            fields.push((kind, value));
        }
        let known =
            |kind, wanted: &[&[u8]]| fields.iter().all(|(other, value)| *other != kind || wanted.contains(value));
        if !known(11, &[&[0xaa], &[0x55]]) || !known(34, &[&[0, 0], &[1, 0]]) {
            return None;
        }
        let signature = rest;
        (blocks.is_empty() && signature.len() == 96).then(|| Self {
            nonce: &request[4..36],
            measurements,
            fields,
            signed: &bytes[..bytes.len() - 96],
            signature,
        })
    }

    pub(crate) fn field(&self, kind: u16) -> Option<&'a [u8]> {
        self.fields.iter().find(|(other, _)| *other == kind).map(|(_, value)| *value)
    }
}

#[test]
fn fields_are_those_of_genuine_reports_in_their_order() {
    for genuine in genuine::DEVICES {
        let evidence = evidence(genuine.topology);
        let simulated = Report::read(&evidence.devices[genuine.device].report).unwrap();
        let captured = Report::read(genuine.report).unwrap();
        // The driver's version has another length.
        let shape = |report: &Report<'_>| -> Vec<(u16, usize)> {
            report.fields.iter().map(|(kind, value)| (*kind, if *kind == 3 { 0 } else { value.len() })).collect()
        };
        assert_eq!(shape(&simulated), shape(&captured), "{:?}", genuine.topology);
        // What says how the device is built and set up is the same.
        let same: &[u16] = &[4, 12, 13, 16, 19, 21, 23, 25, 33, 34, 35, 36];
        for kind in same {
            let decoder_differs = *kind == 12 && genuine.topology == GpuTopology::MultiGpu;
            let newer_driver = *kind == 12 && matches!(genuine.topology, GpuTopology::Hopper(_));
            if !decoder_differs && !newer_driver {
                assert_eq!(simulated.field(*kind), captured.field(*kind), "{:?} {kind}", genuine.topology);
            }
        }
        assert_eq!(simulated.measurements.len(), captured.measurements.len());
        assert_eq!(simulated.nonce, NONCE);
    }
}

#[test]
fn a_measurement_that_was_never_extended_is_zero() {
    for topology in crate::TOPOLOGIES {
        for device in evidence(topology).devices {
            let report = Report::read(&device.report).unwrap();
            let counts = report.field(12).unwrap();
            for (index, value) in &report.measurements {
                let place = usize::from(*index) * 4;
                let count = counts.get(place..place + 4).unwrap_or(&[0; 4]);
                assert_eq!(value.iter().all(|byte| *byte == 0), count == [0; 4], "{topology:?} {index}");
            }
        }
    }
    // So it is in genuine ones.
    for genuine in genuine::DEVICES {
        let report = Report::read(genuine.report).unwrap();
        let counts = report.field(12).unwrap();
        for (index, value) in &report.measurements {
            let place = usize::from(*index) * 4;
            let count = counts.get(place..place + 4).unwrap_or(&[0; 4]);
            assert_eq!(value.iter().all(|byte| *byte == 0), count == [0; 4], "{:?} {index}", genuine.topology);
        }
    }
}

#[test]
fn the_leaf_s_key_signed_everything_before_the_signature() {
    for topology in crate::TOPOLOGIES {
        for device in evidence(topology).devices {
            let report = Report::read(&device.report).unwrap();
            assert!(is_signed(&report, &device.certificates[0]), "{topology:?}");
        }
    }
    for genuine in genuine::DEVICES {
        let report = Report::read(genuine.report).unwrap();
        assert!(is_signed(&report, &reader::from_pem(genuine.chain)[0]));
    }
}

pub(crate) fn is_signed(report: &Report<'_>, leaf: &[u8]) -> bool {
    use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
    let key = reader::public_key(&reader::parse(leaf));
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key).verify(report.signed, report.signature).is_ok()
}

#[test]
fn a_secret_gives_one_set_and_a_report_differs_in_its_signature_only() {
    for topology in [GpuTopology::Blackwell(1), GpuTopology::ProtectedPcie] {
        let (one, two) = (set(topology), set(topology));
        for (one, two) in one.gpus().iter().zip(two.gpus()) {
            let (first, second) = (one.report(&NONCE).unwrap(), two.report(&NONCE).unwrap());
            assert_eq!(first[..first.len() - 96], second[..second.len() - 96]);
            assert_ne!(first, second);
            assert_eq!((one.uuid(), one.ueid(), one.pdi()), (two.uuid(), two.ueid(), two.pdi()));
        }
        let other = vendor().gpu_set([9; 32], topology, NOW).unwrap();
        assert_ne!(one.gpus()[0].ueid(), other.gpus()[0].ueid());
        assert_ne!(one.gpus()[0].pdi(), other.gpus()[0].pdi());
    }
    let fresh = SimulatedNvidia::generate(NOW).unwrap();
    let key = |root: &[u8]| reader::public_key(&reader::parse(root));
    assert_ne!(key(fresh.device_root_certificate_der()), key(vendor().device_root_certificate_der()));
}

#[test]
fn the_decoder_shows_where_it_does_on_genuine_devices() {
    for (topology, index) in [(GpuTopology::Hopper(1), 35), (GpuTopology::Blackwell(1), 61)] {
        let with = |decoder_enabled| {
            let options = GpuSetOptions { decoder_enabled, ..GpuSetOptions::of(topology) };
            vendor().gpu_set_with([3; 32], topology, options, NOW).unwrap().gpus()[0].report(&NONCE).unwrap()
        };
        let (enabled, disabled) = (with(true), with(false));
        let (enabled, disabled) = (Report::read(&enabled).unwrap(), Report::read(&disabled).unwrap());
        assert_eq!(enabled.field(11).unwrap(), [0xaa]);
        assert_eq!(disabled.field(11).unwrap(), [0x55]);
        for other in 0..64 {
            let differs = enabled.measurements[&other] != disabled.measurements[&other];
            assert_eq!(differs, other == index, "{topology:?} {other}");
        }
    }
}

fn take<'a>(from: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (front, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(front)
}
