//! The product lines, and what differs between them: processor signature, certificate
//! names and serial numbers, and the layout of a TCB version.

/// A line of AMD processors with SEV-SNP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004 (Genoa, and Bergamo and Siena which share its keys).
    Genoa,
    /// EPYC 9005: its TCB version starts with the FMC, its hardware id has 8 bytes.
    Turin,
}

impl Product {
    /// Every product line, oldest first.
    pub const ALL: [Self; 3] = [Self::Milan, Self::Genoa, Self::Turin];

    /// The name as in certificates and policies, "Genoa" for example.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// The product line of that [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|product| product.name() == name)
    }

    /// The versions that a current, healthy device of this line runs here.
    #[must_use]
    pub fn current_tcb(self) -> Tcb {
        let (fmc, bootloader, snp, microcode) = match self {
            Self::Milan => (None, 4, 24, 219),
            Self::Genoa => (None, 10, 25, 84),
            Self::Turin => (Some(1), 1, 2, 71),
        };
        Tcb { fmc, bootloader, tee: 0, snp, microcode }
    }

    /// Family, model and stepping as a report carries them from version 3 on.
    pub(crate) fn cpuid(self) -> [u8; 3] {
        match self {
            Self::Milan => [0x19, 0x01, 0x01],
            Self::Genoa => [0x19, 0x11, 0x01],
            Self::Turin => [0x1a, 0x02, 0x01],
        }
    }

    /// The product name inside a VCEK; only Milan's has the silicon stepping.
    pub(crate) fn vcek_product_name(self) -> &'static str {
        match self {
            Self::Milan => "Milan-B0",
            Self::Genoa | Self::Turin => self.name(),
        }
    }

    /// Another line, for the faults that mix two.
    pub(crate) fn another(self) -> Self {
        match self {
            Self::Milan | Self::Turin => Self::Genoa,
            Self::Genoa => Self::Milan,
        }
    }

    /// How many bytes of the chip id are the hardware id; the rest of the field is zero.
    pub(crate) fn hardware_id_length(self) -> usize {
        match self {
            Self::Milan | Self::Genoa => 64,
            Self::Turin => 8,
        }
    }

    /// Serial numbers of the genuine ARK, ASK and ASVK of the line.
    pub(crate) fn authority_serials(self) -> [u32; 3] {
        match self {
            Self::Milan => [0x1_0000, 0x1_0001, 0x1_0101],
            Self::Genoa => [0x2_0000, 0x2_0002, 0x2_0101],
            Self::Turin => [0x3_0000, 0x3_0001, 0x3_0101],
        }
    }
}

/// The security versions of a device's firmware (AMD SEV-SNP ABI 56860, TCB_VERSION).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcb {
    /// First mutable code; only Turin and later have it.
    pub fmc: Option<u8>,
    /// PSP bootloader.
    pub bootloader: u8,
    /// PSP operating system.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode patch level.
    pub microcode: u8,
}

impl Tcb {
    /// The eight bytes of a report: with an FMC in Turin's layout, else in Milan's and Genoa's.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        let Self { fmc, bootloader, tee, snp, microcode } = self;
        match fmc {
            None => [bootloader, tee, 0, 0, 0, 0, snp, microcode],
            Some(fmc) => [fmc, bootloader, tee, snp, 0, 0, 0, microcode],
        }
    }

    /// One SNP firmware version older.
    pub(crate) fn older(self) -> Self {
        Self { snp: self.snp.saturating_sub(1), ..self }
    }

    /// One microcode version newer.
    pub(crate) fn newer(self) -> Self {
        Self { microcode: self.microcode.saturating_add(1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcb_layouts_are_those_of_captured_reports() {
        // Values of real reports: Milan v3, Genoa v5, Turin v5 (its FMC was 0).
        assert_eq!(hex::encode(Product::Milan.current_tcb().to_bytes()), "04000000000018db");
        assert_eq!(hex::encode(Product::Genoa.current_tcb().to_bytes()), "0a00000000001954");
        assert_eq!(hex::encode(Product::Turin.current_tcb().to_bytes()), "0101000200000047");
    }

    #[test]
    fn names_lead_back() {
        for product in Product::ALL {
            assert_eq!(Product::from_name(product.name()), Some(product));
            assert_ne!(product.another(), product);
        }
        assert_eq!(Product::from_name("Venice"), None);
    }
}
