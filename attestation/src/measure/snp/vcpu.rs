//! Models of vCPUs by QEMU's names, as the CPUID signature that a vCPU starts with.

/// QEMU's models: name without version, then family, model and stepping (`builtin_x86_defs`).
/// Versions of a model differ in features and not in these.
const MODELS: &[(&str, u8, u8, u8)] = &[
    ("EPYC", 0x17, 0x01, 2),
    ("EPYC-IBPB", 0x17, 0x01, 2),
    ("EPYC-Rome", 0x17, 0x31, 0),
    ("EPYC-Milan", 0x19, 0x01, 1),
    ("EPYC-Genoa", 0x19, 0x11, 0),
    ("EPYC-Turin", 0x1A, 0x00, 0),
];

/// The CPUID signature (Fn0000_0001 EAX) of QEMU's model `name`, with or without a version
/// ("EPYC-Milan", "EPYC-v4"), in either case. `None` for another name; for `-cpu host` it is the
/// host's own.
pub fn vcpu_signature(name: &str) -> Option<u32> {
    let name = match name.rsplit_once(['v', 'V']) {
        Some((model, version)) if version.bytes().all(|c| c.is_ascii_digit()) && !version.is_empty() => {
            model.strip_suffix('-')?
        }
        _ => name,
    };
    let known = MODELS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
    known.map(|(_, family, model, stepping)| signature(*family, *model, *stepping))
}

/// Families above 0Fh are split: 0Fh and the rest (AMD APM volume 3, CPUID Fn0000_0001).
fn signature(family: u8, model: u8, stepping: u8) -> u32 {
    let [family, model, stepping] = [family, model, stepping].map(u32::from);
    let base = family.min(0xf);
    family.saturating_sub(base) << 20 | (model >> 4) << 16 | base << 8 | (model & 0xf) << 4 | stepping
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_signatures_of_their_processors() {
        for (name, wanted) in [
            ("EPYC", 0x0080_0f12),
            ("EPYC-v4", 0x0080_0f12),
            ("epyc-ibpb", 0x0080_0f12),
            ("EPYC-Rome-v3", 0x0083_0f10),
            ("EPYC-Milan-v2", 0x00a0_0f11),
            ("EPYC-Genoa", 0x00a1_0f10),
            ("EPYC-Turin", 0x00b0_0f00),
        ] {
            assert_eq!(vcpu_signature(name), Some(wanted), "{name}");
        }
        for name in ["", "host", "EPYC-v", "EPYC-vx", "EPYCv4", "v4", "-v4", "EPYC-Milan-v2-v3", "Opteron_G5"] {
            assert_eq!(vcpu_signature(name), None, "{name}");
        }
    }
}
