//! Faults in reports: before one is signed, and after.

use super::{
    fault::NvidiaFault,
    opaque::{
        CHIP_INFO, DISABLED, DRIVER_VERSION, ENABLED, FEATURE_FLAG, FWID, NVDEC0_STATUS, OPAQUE_DATA_VERSION,
        PROTECTED_PCIE_STATUS, SWITCH_GPU_PDIS, SWITCH_PDI,
    },
    report::{Field, Report},
};

/// SPDM's request for certificates.
const GET_CERTIFICATE: u8 = 0x82;
/// A field type that nobody has specified.
const UNKNOWN_FIELD: u16 = 37;
/// The golden indices that are altered: of a driver and of a VBIOS on both lines, nonzero.
const DRIVER_INDEX: [u8; 2] = [22, 40];
const BIOS_INDEX: u8 = 3;
/// Within the value of the second measurement.
const WITHIN_MEASUREMENT: usize = 37 + 8 + 55 + 20;

/// Where a device stands among the members.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) number: usize,
    pub(crate) first_switch: Option<usize>,
}

impl Place {
    pub(crate) fn is_first(self) -> bool {
        self.number == 0
    }

    fn is_first_switch(self) -> bool {
        self.first_switch == Some(self.number)
    }

    fn is_switch(self) -> bool {
        self.first_switch.is_some_and(|first| self.number >= first)
    }
}

/// What the device is asked.
pub(crate) fn challenge(fault: Option<NvidiaFault>, number: usize, nonce: &[u8; 32]) -> [u8; 32] {
    let mut challenge = *nonce;
    let other = match fault {
        Some(NvidiaFault::WrongNonce) => true,
        Some(NvidiaFault::NoncesDiffer) => number == 1,
        _ => false,
    };
    if other {
        challenge[31] ^= 1;
    }
    challenge
}

/// Before the report is signed.
pub(crate) fn alter_report(fault: Option<NvidiaFault>, place: Place, report: &mut Report) {
    let Some(fault) = fault else { return };
    if place.is_switch() {
        alter_switch(fault, place, report);
    } else if place.is_first() {
        alter_form(fault, report);
        alter_fields(fault, report);
        alter_measurements(fault, report);
    }
}

/// After it was signed.
pub(crate) fn alter_report_bytes(fault: Option<NvidiaFault>, place: Place, report: &mut Vec<u8>) {
    if !place.is_first() {
        return;
    }
    match fault {
        Some(NvidiaFault::TruncatedReport) => {
            report.pop();
        }
        Some(NvidiaFault::ExtendedReport) => report.push(0),
        Some(NvidiaFault::FlippedReport) => {
            if let Some(byte) = report.get_mut(WITHIN_MEASUREMENT) {
                *byte ^= 1;
            }
        }
        Some(NvidiaFault::FlippedReportSignature) => {
            if let Some(byte) = report.last_mut() {
                *byte ^= 1;
            }
        }
        _ => {}
    }
}

fn alter_form(fault: NvidiaFault, report: &mut Report) {
    match fault {
        NvidiaFault::Spdm12 => report.version = 0x12,
        NvidiaFault::OtherRequest => report.request_code = GET_CERTIFICATE,
        NvidiaFault::NoSignatureRequested => report.wants_signature = false,
        NvidiaFault::LongMeasurementRecord => report.blocks_excess = 1,
        _ => {}
    }
    let Some(block) = report.blocks.first_mut() else { return };
    match fault {
        NvidiaFault::MeasurementIndexZero => block.index = 0,
        NvidiaFault::RepeatedMeasurementIndex => block.index = 2,
        NvidiaFault::ShortMeasurement => block.value.truncate(32),
        NvidiaFault::MeasurementSpecification => block.specification = 2,
        _ => {}
    }
}

fn alter_fields(fault: NvidiaFault, report: &mut Report) {
    let set = |report: &mut Report, kind, value: &[u8]| {
        if let Some(field) = report.field_mut(kind) {
            field.value = value.to_vec();
        }
    };
    match fault {
        NvidiaFault::RepeatedField => {
            let again = report.field_mut(DRIVER_VERSION).map(|field| Field::new(field.kind, field.value.clone()));
            report.opaque.extend(again);
        }
        NvidiaFault::UnknownField => report.opaque.push(Field::new(UNKNOWN_FIELD, [0; 4])),
        NvidiaFault::TruncatedField => {
            if let Some(last) = report.opaque.last_mut() {
                last.excess = 1;
            }
        }
        NvidiaFault::OtherChipInfo => set(report, CHIP_INFO, b"GB102\0"),
        NvidiaFault::OpaqueDataVersion2 => set(report, OPAQUE_DATA_VERSION, &[2, 0]),
        NvidiaFault::UnknownDecoderStatus => set(report, NVDEC0_STATUS, &[0]),
        NvidiaFault::FwidMissingFromReport => report.opaque.retain(|field| field.kind != FWID),
        NvidiaFault::OtherMode => {
            let single = report.field_mut(FEATURE_FLAG).is_some_and(|field| field.value == [0, 0]);
            let (flag, status) = if single { (2, ENABLED) } else { (0, DISABLED) };
            set(report, FEATURE_FLAG, &[flag, 0]);
            set(report, PROTECTED_PCIE_STATUS, &[status]);
        }
        NvidiaFault::ProtectedPcieOff => set(report, PROTECTED_PCIE_STATUS, &[DISABLED]),
        NvidiaFault::GpuWithoutSwitch => {
            if let Some(field) = report.field_mut(SWITCH_PDI) {
                let last = field.value.iter().rev().take(8).rev().copied().collect::<Vec<u8>>();
                for link in field.value.chunks_exact_mut(8).filter(|link| *link == last) {
                    link.fill(0);
                }
            }
        }
        _ => {}
    }
}

fn alter_measurements(fault: NvidiaFault, report: &mut Report) {
    let hopper = report.field_mut(PROTECTED_PCIE_STATUS).is_some();
    let driver_index = DRIVER_INDEX[usize::from(!hopper)];
    let flip = |report: &mut Report, index: u8| {
        let block = report.blocks.iter_mut().find(|block| block.index == index + 1);
        if let Some(byte) = block.and_then(|block| block.value.first_mut()) {
            *byte ^= 1;
        }
    };
    match fault {
        NvidiaFault::DriverMeasurement => flip(report, driver_index),
        NvidiaFault::VbiosMeasurement => flip(report, BIOS_INDEX),
        NvidiaFault::MissingMeasurement => report.blocks.retain(|block| block.index != driver_index + 1),
        _ => {}
    }
}

fn alter_switch(fault: NvidiaFault, place: Place, report: &mut Report) {
    let everywhere = fault == NvidiaFault::SwitchesWithOtherGpu;
    let here = fault == NvidiaFault::SwitchWithOtherGpu && place.is_first_switch();
    if (everywhere || here)
        && let Some(byte) = report.field_mut(SWITCH_GPU_PDIS).and_then(|field| field.value.first_mut())
    {
        *byte ^= 1; // of the first GPU's PDI
    }
    if fault == NvidiaFault::SwitchIdentityMismatch
        && place.is_first_switch()
        && let Some(byte) = report.field_mut(SWITCH_PDI).and_then(|field| field.value.first_mut())
    {
        *byte ^= 1;
    }
    if fault == NvidiaFault::SwitchMeasurement
        && place.is_first_switch()
        && let Some(byte) = report.blocks.first_mut().and_then(|block| block.value.first_mut())
    {
        *byte ^= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nvidia::{
        architecture::NvidiaArchitecture,
        layout::{Layout, ManifestKind},
    };

    #[test]
    fn the_altered_measurements_are_compared_and_not_zero() {
        for (architecture, driver) in
            [NvidiaArchitecture::Hopper, NvidiaArchitecture::Blackwell].into_iter().zip(DRIVER_INDEX)
        {
            let layout = Layout::of(architecture);
            assert!(layout.is_active(ManifestKind::Driver, driver) && layout.count(driver) > 0);
            assert!(layout.is_active(ManifestKind::Bios, BIOS_INDEX) && layout.count(BIOS_INDEX) > 0);
        }
    }
}
