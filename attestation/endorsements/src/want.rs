//! What can be wanted of a vendor. Each want has one text, by which it is cached and carried.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use strongroom_attestation::{HexBytes, OcspRequest, Product, Tcb};

use crate::error::WantError;
use crate::nvidia::{ManifestId, NvidiaList};

/// One item that a vendor of processors or GPUs publishes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Want {
    /// AMD's certificate for one chip's key at one firmware level.
    AmdVcek(Vcek),
    /// AMD's intermediate and root of a product line, for one kind of key.
    AmdChain {
        /// The product line.
        product: Product,
        /// The kind of key that the intermediate signs.
        kind: KeyKind,
    },
    /// AMD's revocation list of a product line.
    AmdCrl {
        /// The product line.
        product: Product,
    },
    /// Intel's TCB levels for TDX on one family of platforms.
    IntelTcbInfo {
        /// Family, model, stepping, platform and SKU, from the PCK certificate.
        fmspc: HexBytes<6>,
        /// Which of the sets in force.
        evaluation: Evaluation,
    },
    /// Intel's identity of the TD quoting enclave.
    IntelQeIdentity {
        /// Which of the sets in force.
        evaluation: Evaluation,
    },
    /// The revocation list of one of Intel's PCK authorities.
    IntelPckCrl {
        /// The authority that issued the PCK certificate.
        ca: PckCa,
    },
    /// The revocation list of Intel's root.
    IntelRootCrl,
    /// NVIDIA's manifest of what a driver or a firmware measures.
    NvidiaManifest {
        /// The name under which it is published.
        id: ManifestId,
    },
    /// What NVIDIA's responder says of the revocation of one certificate.
    NvidiaStatus {
        /// The question, which the want's text determines to the last bit.
        request: OcspRequest,
    },
    /// One of NVIDIA's revocation lists.
    NvidiaCrl {
        /// Which.
        list: NvidiaList,
    },
}

/// Names a VCEK: product line, hardware id and reported TCB, in the form that AMD's service takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vcek {
    product: Product,
    hwid: Vec<u8>,
    tcb: [u8; 8],
}

/// The kind of key that signs SNP reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// The chip's own key, under the ASK.
    Vcek,
    /// The provider's key, under the ASVK.
    Vlek,
}

/// Which set of TCB levels: Intel publishes a new one before the old one goes out of force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evaluation {
    /// What Intel serves when nothing is said.
    Standard,
    /// The newest.
    Early,
    /// The one with this tcbEvaluationDataNumber.
    Number(u32),
}

/// Intel's authorities that issue PCK certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PckCa {
    /// For multi-package platforms.
    Platform,
    /// For single-package platforms.
    Processor,
}

impl Want {
    /// The want's name in the cache: SHA-256 of its text, in hexadecimal.
    pub fn key(&self) -> String {
        hex::encode(Sha256::digest(self.to_string()))
    }
}

impl Vcek {
    /// The VCEK of the chip with this CHIP_ID field at this reported TCB, both as in the report.
    ///
    /// # Errors
    /// A chip id of zeros is masked; Turin's has eight bytes and then zeros.
    pub fn new(product: Product, chip_id: &[u8; 64], reported_tcb: [u8; 8]) -> Result<Vcek, WantError> {
        let (hwid, rest) = chip_id.split_at_checked(product.hwid_len()).unwrap_or((chip_id, &[]));
        if hwid.iter().all(|byte| *byte == 0) {
            return Err(WantError::MaskedChip);
        }
        if rest.iter().any(|byte| *byte != 0) {
            return Err(WantError::ChipOfAnotherProduct { product: product.name(), zeros: rest.len() });
        }
        Ok(Vcek { product, hwid: hwid.to_vec(), tcb: reported_tcb })
    }

    /// The product line.
    pub fn product(&self) -> Product {
        self.product
    }

    /// The hardware id as AMD's service takes it: 64 bytes, on Turin 8.
    pub fn hwid(&self) -> &[u8] {
        &self.hwid
    }

    /// The firmware level that the certificate must be for.
    pub fn tcb(&self) -> Tcb {
        Tcb::from_bytes(self.tcb, self.product)
    }
}

impl Want {
    /// For people: the same as the text, but a certificate whose status is wanted by its serial number alone.
    /// The digests of its issuer, of 192 digits, tell a reader nothing.
    pub fn in_short(&self) -> String {
        match self {
            Want::NvidiaStatus { request } => format!("nvidia/ocsp of certificate {}", hex::encode(request.serial())),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Want::AmdVcek(Vcek { product, hwid, tcb }) => {
                write!(f, "amd/vcek/{product}/{}/{}", hex::encode(hwid), hex::encode(tcb))
            }
            Want::AmdChain { product, kind } => write!(f, "amd/chain/{product}/{kind}"),
            Want::AmdCrl { product } => write!(f, "amd/crl/{product}"),
            Want::IntelTcbInfo { fmspc, evaluation } => write!(f, "intel/tdx-tcb-info/{fmspc}/{evaluation}"),
            Want::IntelQeIdentity { evaluation } => write!(f, "intel/td-qe-identity/{evaluation}"),
            Want::IntelPckCrl { ca } => write!(f, "intel/pck-crl/{ca}"),
            Want::IntelRootCrl => f.write_str("intel/root-crl"),
            Want::NvidiaManifest { id } => write!(f, "nvidia/rim/{id}"),
            Want::NvidiaStatus { request } => {
                let (name, key) = (request.issuer_name_hash(), request.issuer_key_hash());
                write!(f, "nvidia/ocsp/{name}/{key}/{}", hex::encode(request.serial()))
            }
            Want::NvidiaCrl { list } => write!(f, "nvidia/crl/{list}"),
        }
    }
}

impl FromStr for Want {
    type Err = WantError;

    /// Reads exactly what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Want, WantError> {
        let parts: Vec<&str> = text.splitn(6, '/').collect();
        read(&parts)
            // One want, one text: upper-case digits or a leading zero would be a second file of the same thing.
            .filter(|want| want.to_string() == text)
            .ok_or_else(|| WantError::text(text))
    }
}

fn read(parts: &[&str]) -> Option<Want> {
    Some(match parts {
        ["amd", "vcek", product, hwid, tcb] => {
            let product = Product::from_name(product)?;
            let hwid = hex::decode(hwid).ok().filter(|hwid| hwid.len() == product.hwid_len())?;
            let mut chip_id = [0; 64];
            chip_id.get_mut(..hwid.len())?.copy_from_slice(&hwid);
            Want::AmdVcek(Vcek::new(product, &chip_id, HexBytes::from_hex(tcb)?.0).ok()?)
        }
        ["amd", "chain", product, kind] => {
            let kind = [KeyKind::Vcek, KeyKind::Vlek].into_iter().find(|known| known.as_str() == *kind)?;
            Want::AmdChain { product: Product::from_name(product)?, kind }
        }
        ["amd", "crl", product] => Want::AmdCrl { product: Product::from_name(product)? },
        ["intel", "tdx-tcb-info", fmspc, evaluation] => {
            Want::IntelTcbInfo { fmspc: HexBytes::from_hex(fmspc)?, evaluation: evaluation.parse().ok()? }
        }
        ["intel", "td-qe-identity", evaluation] => Want::IntelQeIdentity { evaluation: evaluation.parse().ok()? },
        ["intel", "pck-crl", ca] => Want::IntelPckCrl {
            ca: [PckCa::Platform, PckCa::Processor].into_iter().find(|known| known.as_str() == *ca)?,
        },
        ["intel", "root-crl"] => Want::IntelRootCrl,
        ["nvidia", "rim", id] => Want::NvidiaManifest { id: ManifestId::new(id).ok()? },
        ["nvidia", "ocsp", name, key, serial] => {
            let serial = hex::decode(serial).ok()?;
            let request = OcspRequest::new(HexBytes::from_hex(name)?, HexBytes::from_hex(key)?, serial)?;
            Want::NvidiaStatus { request }
        }
        ["nvidia", "crl", list] => Want::NvidiaCrl { list: NvidiaList::from_name(list)? },
        _ => return None,
    })
}

impl KeyKind {
    /// The word in AMD's paths.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyKind::Vcek => "vcek",
            KeyKind::Vlek => "vlek",
        }
    }
}

impl PckCa {
    /// The word in Intel's queries.
    pub fn as_str(self) -> &'static str {
        match self {
            PckCa::Platform => "platform",
            PckCa::Processor => "processor",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for PckCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evaluation::Standard => f.write_str("standard"),
            Evaluation::Early => f.write_str("early"),
            Evaluation::Number(number) => write!(f, "{number}"),
        }
    }
}

impl FromStr for Evaluation {
    type Err = WantError;

    /// `standard`, `early` or a number.
    fn from_str(text: &str) -> Result<Evaluation, WantError> {
        match text {
            "standard" => Ok(Evaluation::Standard),
            "early" => Ok(Evaluation::Early),
            number => number.parse().map(Evaluation::Number).map_err(|_| WantError::Text(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_want_has_one_text() {
        let mut chip = [7; 64];
        let genoa = Vcek::new(Product::Genoa, &chip, [10, 0, 0, 0, 0, 0, 25, 84]).unwrap();
        chip[8..].fill(0);
        let turin = Vcek::new(Product::Turin, &chip, [0, 1, 0, 2, 0, 0, 0, 71]).unwrap();
        let fmspc = HexBytes([0x90, 0xC0, 0x6F, 0, 0, 0]);
        let wants = [
            Want::AmdVcek(genoa),
            Want::AmdVcek(turin),
            Want::AmdChain { product: Product::Milan, kind: KeyKind::Vlek },
            Want::AmdCrl { product: Product::Genoa },
            Want::IntelTcbInfo { fmspc, evaluation: Evaluation::Early },
            Want::IntelTcbInfo { fmspc, evaluation: Evaluation::Number(18) },
            Want::IntelQeIdentity { evaluation: Evaluation::Standard },
            Want::IntelPckCrl { ca: PckCa::Platform },
            Want::IntelRootCrl,
            Want::NvidiaManifest { id: ManifestId::new("NV_GPU_DRIVER_GH100_550.90.07").unwrap() },
            Want::NvidiaStatus { request: OcspRequest::new(HexBytes([1; 48]), HexBytes([2; 48]), [0xD6, 1]).unwrap() },
            Want::NvidiaCrl { list: NvidiaList::CorimL2Gb100 },
        ];
        let keys: std::collections::BTreeSet<String> = wants.iter().map(Want::key).collect();
        assert_eq!(keys.len(), wants.len());
        for want in wants {
            assert_eq!(want.to_string().parse(), Ok(want.clone()), "{want}");
        }
        assert_eq!(Want::AmdCrl { product: Product::Genoa }.to_string(), "amd/crl/Genoa");
    }

    #[test]
    fn another_text_of_the_same_want_is_refused() {
        for text in [
            "",
            "amd/crl/genoa",
            "amd/crl/Genoa/",
            "amd/crl/../x",
            "intel/tdx-tcb-info/90C06F000000/standard",
            "intel/tdx-tcb-info/90c06f000000/018",
            "intel/tdx-tcb-info/90c06f00000/early",
            "intel/td-qe-identity/+18",
            "amd/vcek/Turin/0000000000000000/0000000000000000",
            "amd/vcek/Genoa/0707070707070707/0a00000000001954",
            "intel/root-crl/a/b/c/d/e/f/g",
            "nvidia/rim/",
            "nvidia/rim/..",
            "nvidia/rim/NV_GPU/..",
            "nvidia/crl/root",
            "nvidia/crl/l1-root.crl",
            &format!("nvidia/ocsp/{}/{}/00d6", "01".repeat(48), "02".repeat(48)),
            &format!("nvidia/ocsp/{}/{}/D6", "01".repeat(48), "02".repeat(48)),
            &format!("nvidia/ocsp/{}/{}/", "01".repeat(48), "02".repeat(48)),
            &format!("nvidia/ocsp/{}/d6", "01".repeat(48)),
        ] {
            assert_eq!(text.parse::<Want>(), Err(WantError::text(text)), "{text}");
        }
    }

    #[test]
    fn a_masked_or_foreign_chip_has_no_vcek() {
        assert_eq!(Vcek::new(Product::Milan, &[0; 64], [0; 8]), Err(WantError::MaskedChip));
        let foreign = Vcek::new(Product::Turin, &[7; 64], [0; 8]);
        assert_eq!(foreign, Err(WantError::ChipOfAnotherProduct { product: "Turin", zeros: 56 }));
    }

    #[test]
    fn a_status_is_named_in_short_by_its_certificate() {
        let text = format!("nvidia/ocsp/{}/{}/41431d", "a".repeat(96), "b".repeat(96));
        let want: Want = text.parse().unwrap();
        assert_eq!((want.in_short().as_str(), want.to_string()), ("nvidia/ocsp of certificate 41431d", text));
        assert_eq!(Want::IntelRootCrl.in_short(), "intel/root-crl");
    }
}
