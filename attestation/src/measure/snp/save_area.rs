//! The state of a vCPU at start: the save area (VMSA), of which every byte is measured.
//!
//! Layout: AMD APM volume 2, table B-4; each offset is given at its field. The values are those
//! of a processor after reset, but for what each VMM does in its own way.

use super::Vmm;
use crate::cursor::put;
use crate::measure::PAGE;

/// Where the boot processor starts.
pub(super) const RESET_VECTOR: u32 = 0xffff_fff0;

/// PAT after reset: AMD APM volume 2, section 7.8.2.
const PAT_AFTER_RESET: u64 = 0x0007_0406_0007_0406;

/// The page of a vCPU that starts at `start`, with `guest_features` as its SEV_FEATURES.
pub(super) fn page(start: u32, guest_features: u64, vmm: Vmm) -> Box<[u8; PAGE]> {
    let own = Own::of(vmm, start == RESET_VECTOR);
    let mut area = SaveArea(Box::new([0; PAGE]));
    area.segment::<0x000>(0, 0x93, 0); // ES
    area.segment::<0x010>(0xf000, own.code_attributes, start & 0xffff_0000); // CS
    area.segment::<0x020>(0, own.stack_attributes, 0); // SS
    area.segment::<0x030>(0, 0x93, 0); // DS
    area.segment::<0x040>(0, 0x93, 0); // FS
    area.segment::<0x050>(0, 0x93, 0); // GS
    area.segment::<0x060>(0, 0, 0); // GDTR
    area.segment::<0x070>(0, 0x82, 0); // LDTR
    area.segment::<0x080>(0, 0, 0); // IDTR
    area.segment::<0x090>(0, own.task_attributes, 0); // TR
    area.u64::<0x0D0>(0x1000); // EFER: SVME, which KVM sets
    area.u64::<0x148>(0x40); // CR4: MCE, which KVM sets
    area.u64::<0x158>(0x10); // CR0: ET
    area.u64::<0x160>(0x400); // DR7
    area.u64::<0x168>(0xffff_0ff0); // DR6
    area.u64::<0x170>(2); // RFLAGS
    area.u64::<0x178>(u64::from(start & 0xffff)); // RIP
    area.u64::<0x268>(own.page_attributes); // G_PAT
    area.u64::<0x310>(own.rdx); // RDX
    area.u64::<0x3B0>(guest_features); // SEV_FEATURES
    area.u64::<0x3E8>(1); // XCR0: x87
    area.put::<0x408, 4>(own.mxcsr.to_le_bytes()); // MXCSR
    area.put::<0x410, 2>(own.x87_control.to_le_bytes()); // x87 control word
    area.0
}

/// What a VMM sets in its own way.
struct Own {
    code_attributes: u16,
    stack_attributes: u16,
    task_attributes: u16,
    page_attributes: u64,
    rdx: u64,
    mxcsr: u32,
    x87_control: u16,
}

impl Own {
    fn of(vmm: Vmm, boots: bool) -> Own {
        match vmm {
            Vmm::Qemu { vcpu_signature } => Own {
                code_attributes: 0x9b,
                stack_attributes: 0x93,
                task_attributes: 0x8b,
                page_attributes: PAT_AFTER_RESET,
                rdx: u64::from(vcpu_signature),
                mxcsr: 0x1f80,
                x87_control: 0x37f,
            },
            Vmm::Ec2 => Own {
                code_attributes: if boots { 0x9a } else { 0x9b },
                stack_attributes: 0x92,
                task_attributes: 0x83,
                page_attributes: PAT_AFTER_RESET,
                rdx: 0x600,
                mxcsr: 0,
                x87_control: 0,
            },
            Vmm::Gce => Own {
                code_attributes: 0x9b,
                stack_attributes: 0x93,
                task_attributes: 0x8b,
                page_attributes: 0x0007_0106,
                rdx: 0x600,
                mxcsr: 0,
                x87_control: 0,
            },
        }
    }
}

struct SaveArea(Box<[u8; PAGE]>);

impl SaveArea {
    /// Segment register: selector, attributes, limit (0xffff in all of them), base.
    fn segment<const O: usize>(&mut self, selector: u16, attributes: u16, base: u32) {
        let mut register = [0; 16];
        register[0..2].copy_from_slice(&selector.to_le_bytes());
        register[2..4].copy_from_slice(&attributes.to_le_bytes());
        register[4..8].copy_from_slice(&0xffffu32.to_le_bytes());
        register[8..16].copy_from_slice(&u64::from(base).to_le_bytes());
        self.put::<O, 16>(register);
    }

    fn u64<const O: usize>(&mut self, value: u64) {
        self.put::<O, 8>(value.to_le_bytes());
    }

    /// Writes `N` bytes at offset `O`; that they lie inside the page is proved when compiling.
    fn put<const O: usize, const N: usize>(&mut self, value: [u8; N]) {
        put::<O, N, PAGE>(&mut self.0, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vmms_differ_where_they_are_known_to() {
        let differing = |one: Vmm, other: Vmm, start: u32| -> Vec<usize> {
            let (one, other) = (page(start, 1, one), page(start, 1, other));
            (0..PAGE).filter(|index| one[*index] != other[*index]).collect()
        };
        let qemu = Vmm::Qemu { vcpu_signature: 0x0080_0f12 };
        let features = [0x408, 0x409, 0x410, 0x411];
        assert_eq!(
            differing(qemu, Vmm::Ec2, RESET_VECTOR),
            [&[0x012, 0x022, 0x092, 0x310, 0x311, 0x312][..], &features].concat()
        );
        assert_eq!(
            differing(qemu, Vmm::Gce, 0x0080_b004),
            [&[0x269, 0x26C, 0x26D, 0x26E, 0x310, 0x311, 0x312][..], &features].concat()
        );
        assert_eq!(page(0x0080_b004, 1, Vmm::Ec2)[0x012], 0x9b, "only the boot processor differs in CS");
    }

    #[test]
    fn the_start_address_is_split_between_code_segment_and_instruction_pointer() {
        let page = page(0x0080_b004, 0x21, Vmm::Ec2);
        assert_eq!(page[0x018..0x020], [0, 0, 0x80, 0, 0, 0, 0, 0]);
        assert_eq!(page[0x178..0x180], [0x04, 0xb0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(page[0x3B0], 0x21);
    }
}
