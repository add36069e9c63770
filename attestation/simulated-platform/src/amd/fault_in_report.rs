//! Faults in the report: in a field, before the device signs, or in a byte, afterwards.

use super::{
    device::SimulatedDevice,
    fault::Fault,
    product::Product,
    report::{
        AFTER_SIGNATURE, MEASUREMENT, RESERVED_TAIL, RESERVED_WORD, ReportFields, SIGNATURE_R, SIGNATURE_S, SigningKey,
    },
};

/// VMPL of a report that the hypervisor asked for, not the guest.
const HYPERVISOR_VMPL: u32 = 0xffff_ffff;
const POLICY_ALWAYS_ONE: u64 = 1 << 17;
const POLICY_MIGRATION_AGENT: u64 = 1 << 18;
const POLICY_DEBUG: u64 = 1 << 19;
const POLICY_RESERVED: u64 = 1 << 40;
const KEY_INFO_MASK_CHIP_KEY: u32 = 1 << 1;
const KEY_INFO_RESERVED: u32 = 1 << 31;

/// Changes what the device is about to sign.
pub(crate) fn alter_fields(fault: Fault, fields: &mut ReportFields, device: &SimulatedDevice) {
    match fault {
        Fault::UnknownReportVersion => fields.version = 6,
        Fault::SignatureAlgorithmUnknown => fields.signature_algorithm = 2,
        Fault::ReservedWordSet => fields.reserved_byte_set = Some(RESERVED_WORD),
        Fault::ReservedTailSet => fields.reserved_byte_set = Some(RESERVED_TAIL),
        Fault::KeyInfoReservedBit => fields.key_info |= KEY_INFO_RESERVED,
        Fault::PolicyReservedBit => fields.policy |= POLICY_RESERVED,
        Fault::PolicyRequiredBitClear => fields.policy &= !POLICY_ALWAYS_ONE,
        Fault::WrongReportData => fields.report_data = fields.report_data.map(|byte| !byte),
        Fault::ReportDataPrefixOnly => fields.report_data[63] ^= 1,
        Fault::DebugOn => fields.policy |= POLICY_DEBUG,
        Fault::Migratable => fields.policy |= POLICY_MIGRATION_AGENT,
        Fault::Vmpl1 => fields.vmpl = 1,
        Fault::HypervisorReport => fields.vmpl = HYPERVISOR_VMPL,
        Fault::OldReportedTcb => fields.reported_tcb = device.tcb.older().to_bytes(),
        Fault::OldCommittedTcb => fields.committed_tcb = device.tcb.older().to_bytes(),
        Fault::OldTcbAtLaunch => fields.launch_tcb = device.tcb.older().to_bytes(),
        Fault::OtherMeasurement => fields.measurement[0] ^= 1,
        Fault::OtherHostData => fields.host_data[0] ^= 1,
        Fault::SigningKeySaysVlek => fields.key_info = SigningKey::Vlek.key_info(),
        Fault::SigningKeyNone => fields.key_info = SigningKey::None.key_info(),
        Fault::MaskedChipKey => fields.key_info |= KEY_INFO_MASK_CHIP_KEY,
        Fault::MaskedChipId => fields.chip_id = [0; 64],
        Fault::ProcessorOfAnotherProduct => fields.cpuid = another_processor(device.product),
        Fault::OtherChip => fields.chip_id = device.other_chip_id(),
        Fault::LoadedKey => {
            fields.key_info = SigningKey::Vlek.key_info();
            fields.chip_id = [0; 64];
        }
        _ => {}
    }
}

/// Changes the signed report.
pub(crate) fn alter_bytes(fault: Fault, report: &mut Vec<u8>) {
    match fault {
        Fault::FlippedSignature => report[SIGNATURE_R] ^= 1,
        Fault::FlippedMeasurement => report[MEASUREMENT] ^= 1,
        // What the firmware writes where the chip key is masked.
        Fault::ZeroSignature | Fault::MaskedChipKey => {
            report[SIGNATURE_R..AFTER_SIGNATURE].fill(0);
        }
        Fault::LongSignature => report[SIGNATURE_S - 1] = 1,
        Fault::BytesAfterSignature => report[AFTER_SIGNATURE] = 1,
        Fault::TruncatedReport => report.truncate(report.len() - 1),
        Fault::ExtendedReport => report.push(0),
        _ => {}
    }
}

fn another_processor(product: Product) -> [u8; 3] {
    product.another().cpuid()
}
