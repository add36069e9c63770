//! TCB versions: eight bytes whose order depends on the product, compared component by component.

use std::fmt;

use serde::Serialize;

use crate::snp::policy::MinimumTcb;
use crate::snp::product::Product;

/// The security versions of a platform's firmware (AMD 56860 "TCB_VERSION").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Tcb {
    /// Firmware of the FMC; Turin only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fmc: Option<u8>,
    /// Secure processor boot loader.
    pub bootloader: u8,
    /// Secure processor operating system.
    pub tee: u8,
    /// SEV-SNP firmware.
    pub snp: u8,
    /// Microcode patch level.
    pub microcode: u8,
}

impl Tcb {
    /// Reads the eight bytes in the order of `product`.
    pub fn from_bytes(bytes: [u8; 8], product: Product) -> Tcb {
        if product.has_fmc() {
            let [fmc, bootloader, tee, snp, _, _, _, microcode] = bytes;
            Tcb { fmc: Some(fmc), bootloader, tee, snp, microcode }
        } else {
            let [bootloader, tee, _, _, _, _, snp, microcode] = bytes;
            Tcb { fmc: None, bootloader, tee, snp, microcode }
        }
    }

    /// Whether every component is at least the minimum's.
    pub fn meets(&self, minimum: &MinimumTcb) -> bool {
        self.fmc.unwrap_or(0) >= minimum.fmc.unwrap_or(0)
            && self.bootloader >= minimum.bootloader
            && self.tee >= minimum.tee
            && self.snp >= minimum.snp
            && self.microcode >= minimum.microcode
    }
}

impl fmt::Display for Tcb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fmc) = self.fmc {
            write!(f, "fmc {fmc}, ")?;
        }
        let Tcb { bootloader, tee, snp, microcode, .. } = self;
        write!(f, "bootloader {bootloader}, tee {tee}, snp {snp}, microcode {microcode}")
    }
}

/// The last arc of the SPL extension (1.3.6.1.4.1.3704.1.3.*) that stands for each byte of a TCB
/// version, and whether a certificate must have it. A reserved one that is absent stands for zero.
pub(crate) fn spl_arcs(product: Product) -> [(u8, bool); 8] {
    if product.has_fmc() {
        [(9, true), (1, true), (2, true), (3, true), (5, false), (6, false), (7, false), (8, true)]
    } else {
        [(1, true), (2, true), (4, false), (5, false), (6, false), (7, false), (3, true), (8, true)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_bytes_follows_the_product() {
        let bytes = [0, 1, 0, 2, 0, 0, 0, 71];
        let turin = Tcb::from_bytes(bytes, Product::Turin);
        assert_eq!(turin.to_string(), "fmc 0, bootloader 1, tee 0, snp 2, microcode 71");
        let genoa = Tcb::from_bytes([10, 0, 0, 0, 0, 0, 25, 84], Product::Genoa);
        assert_eq!(genoa.to_string(), "bootloader 10, tee 0, snp 25, microcode 84");
    }

    #[test]
    fn one_component_below_the_minimum_is_below() {
        let tcb = Tcb::from_bytes([9, 9, 9, 9, 0, 0, 0, 9], Product::Turin);
        let minimum = MinimumTcb { fmc: Some(9), bootloader: 9, tee: 9, snp: 9, microcode: 9 };
        assert!(tcb.meets(&minimum));
        for raise in [
            MinimumTcb { fmc: Some(10), ..MinimumTcb::default() },
            MinimumTcb { bootloader: 10, ..MinimumTcb::default() },
            MinimumTcb { tee: 10, ..MinimumTcb::default() },
            MinimumTcb { snp: 10, ..MinimumTcb::default() },
            MinimumTcb { microcode: 10, ..MinimumTcb::default() },
        ] {
            assert!(!tcb.meets(&raise), "{raise:?}");
        }
    }
}
