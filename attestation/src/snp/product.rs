//! AMD's product lines: each has its own root, and Turin its own layout of TCB and chip id.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A product line with a root of its own. Bergamo and Siena belong to Genoa's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Product {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004 and 8004 (Genoa, Bergamo, Siena).
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl Product {
    /// Every product line whose root is known.
    pub const ALL: [Product; 3] = [Product::Milan, Product::Genoa, Product::Turin];

    /// The name as AMD writes it in certificates and paths, for example `"Genoa"`.
    pub fn name(self) -> &'static str {
        match self {
            Product::Milan => "Milan",
            Product::Genoa => "Genoa",
            Product::Turin => "Turin",
        }
    }

    /// The product line of exactly this name.
    pub fn from_name(name: &str) -> Option<Product> {
        Product::ALL.into_iter().find(|product| product.name() == name)
    }

    /// Whether the TCB begins with a firmware component "FMC" (the layout of Turin).
    pub fn has_fmc(self) -> bool {
        self == Product::Turin
    }

    /// Length in bytes of the hardware id in a VCEK, and of the significant part of CHIP_ID.
    pub fn hwid_len(self) -> usize {
        if self == Product::Turin { 8 } else { 64 }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The processor as a report of version 3 or later names it: family and model with their
/// extended parts added, and the stepping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Cpuid {
    /// Combined family, 19h for Zen 3 and 4.
    pub family: u8,
    /// Combined model.
    pub model: u8,
    /// Stepping.
    pub stepping: u8,
}

impl Cpuid {
    /// The product line of this processor; `None` when its root is not known here.
    pub fn product(self) -> Option<Product> {
        match (self.family, self.model) {
            (0x19, 0x00..=0x0F) => Some(Product::Milan),
            (0x19, 0x10..=0x1F | 0xA0..=0xAF) => Some(Product::Genoa),
            (0x1A, 0x00..=0x11) => Some(Product::Turin),
            _ => None,
        }
    }
}

impl fmt::Display for Cpuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "family {:02X}h model {:02X}h stepping {}", self.family, self.model, self.stepping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_map_to_the_line_of_their_root() {
        let product = |family, model| Cpuid { family, model, stepping: 1 }.product();
        assert_eq!(product(0x19, 0x01), Some(Product::Milan));
        assert_eq!(product(0x19, 0x11), Some(Product::Genoa));
        assert_eq!(product(0x19, 0xA0), Some(Product::Genoa));
        assert_eq!(product(0x1A, 0x02), Some(Product::Turin));
        // Venice: no root is public.
        assert_eq!(product(0x1A, 0x50), None);
        assert_eq!(product(0x17, 0x31), None);
    }
}
