//! Changes to captured evidence.

use dcap_qvl::QuoteCollateralV3;
use strongroom_oracles::random::Random;

/// `base` with one to three changes; `other` is a sample of the same kind, to take pieces from.
pub fn mutated(base: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = base.to_vec();
    for _ in 0..=random.below(8) / 6 {
        change(&mut bytes, other, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if bytes.is_empty() {
        return bytes.push(random.byte());
    }
    let at = random.below(bytes.len());
    match random.below(12) {
        0..=4 => bytes[at] ^= 1 << random.below(8),
        5 => bytes[at] = random.byte(),
        6 => bytes[at] = *random.of(&[0, 1, 0x7F, 0x80, 0xFF]),
        7 => bytes.truncate(at),
        8 => {
            let more = random.below(48) + 1;
            let fill = *random.of(&[0, 0, 0xFF, 0x41]);
            bytes.extend(std::iter::repeat_n(fill, more));
        }
        9 => {
            // A field's worth of another sample at the same place.
            let end = (at + *random.of(&[2, 4, 8, 16, 48, 64, 256])).min(bytes.len()).min(other.len());
            if at < end {
                bytes[at..end].copy_from_slice(&other[at..end]);
            }
        }
        10 => {
            // A field of four bytes, as lengths and versions are.
            if let Some(field) = bytes.get_mut(at..at + 4) {
                let number = u32::from_le_bytes([field[0], field[1], field[2], field[3]]);
                let change = *random.of(&[1, u32::MAX, 2, 0x100, 0x8000_0000]);
                field.copy_from_slice(&number.wrapping_add(change).to_le_bytes());
            }
        }
        _ => {
            let end = (at + random.below(16) + 1).min(bytes.len());
            bytes.drain(at..end);
        }
    }
}

/// Changes one field of `collateral`; says which.
pub fn mutated_collateral(
    collateral: &mut QuoteCollateralV3,
    other: Option<&QuoteCollateralV3>,
    random: &mut Random,
) -> &'static str {
    let other = other.unwrap_or(&*collateral).clone();
    let text = |mine: &mut String, other: &str, random: &mut Random| {
        // Text stays text: what is not is refused by whoever reads the file.
        *mine = String::from_utf8_lossy(&mutated(mine.as_bytes(), other.as_bytes(), random)).into_owned();
    };
    match random.below(9) {
        0 => {
            text(&mut collateral.pck_crl_issuer_chain, &other.pck_crl_issuer_chain, random);
            "PCK list's issuer chain"
        }
        1 => {
            collateral.root_ca_crl = mutated(&collateral.root_ca_crl, &other.root_ca_crl, random);
            "root's list"
        }
        2 => {
            collateral.pck_crl = mutated(&collateral.pck_crl, &other.pck_crl, random);
            "PCK list"
        }
        3 => {
            text(&mut collateral.tcb_info_issuer_chain, &other.tcb_info_issuer_chain, random);
            "TCB info's issuer chain"
        }
        4 => {
            text(&mut collateral.tcb_info, &other.tcb_info, random);
            "TCB info"
        }
        5 => {
            collateral.tcb_info_signature = mutated(&collateral.tcb_info_signature, &other.tcb_info_signature, random);
            "TCB info's signature"
        }
        6 => {
            text(&mut collateral.qe_identity_issuer_chain, &other.qe_identity_issuer_chain, random);
            "QE identity's issuer chain"
        }
        7 => {
            text(&mut collateral.qe_identity, &other.qe_identity, random);
            "QE identity"
        }
        _ => {
            collateral.qe_identity_signature =
                mutated(&collateral.qe_identity_signature, &other.qe_identity_signature, random);
            "QE identity's signature"
        }
    }
}
