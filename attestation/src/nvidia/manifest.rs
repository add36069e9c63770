//! Reference integrity manifests (RIMs): what a device with this firmware or driver measures, signed by NVIDIA.
//!
//! One is an XML document: a SWID tag (ISO/IEC 19770-2:2015) with the attributes of the TCG Reference
//! Integrity Manifest Information Model, and an enveloped signature (W3C XML Signature 1.1). Only the one
//! profile that NVIDIA's manifests have is read; everything else is refused, so that there is little to
//! get wrong.

mod authenticate;
mod canonical;
mod payload;
mod signature;
#[cfg(test)]
mod tests;
mod xml;

use std::fmt;

use crate::crypto;
use crate::error::{Code, Refusal};
use crate::x509::Certificate;

use signature::Signature;
use xml::{ISO, Name, TCG, attributes, children, empty, printable};

pub use authenticate::authenticate_manifest;
pub(crate) use authenticate::{Given, authenticate};
pub(crate) use payload::Golden;

/// A manifest as received; nothing in it is believed.
///
/// The canonical forms that the signature is over were made from the tree that the content was read
/// from, when it was read: there is no second reading that could see something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    sha256: [u8; 32],
    tag: Tag,
    golden: Vec<Golden>,
    signature: Signature,
    /// SHA-384 of the canonical document without its signature: what DigestValue must be.
    digest: [u8; 48],
}

/// What the tag says of itself (ISO/IEC 19770-2 SoftwareIdentity and Meta; TCG RIM IM 3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    name: String,
    tag_id: String,
    version: String,
    edition: Edition,
    product: String,
    colloquial_version: String,
    firmware_manufacturer_id: String,
}

/// The kind of device that a manifest is for (Meta, edition).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edition {
    /// A GPU: its driver or its VBIOS.
    Gpu,
    /// An NVSwitch: its BIOS.
    Switch,
}

const ROOT: Name = (Some(ISO), "SoftwareIdentity");
const ENTITY: Name = (Some(ISO), "Entity");
const META: Name = (Some(ISO), "Meta");
const PAYLOAD: Name = (Some(ISO), "Payload");

impl Manifest {
    /// Whether `bytes` are an XML text whose root is called SoftwareIdentity. A byte order mark, an XML
    /// declaration and white space may stand before it.
    pub(crate) fn looks_like(bytes: &[u8]) -> bool {
        std::str::from_utf8(bytes).is_ok_and(|text| xml::root_name(text) == Some(ROOT.1))
    }

    /// Reads a manifest; `PARSE` says what is not as in NVIDIA's.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Manifest, Refusal> {
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        let document = xml::read(text)?;
        let root = document.root_element();
        if !xml::is(root, ROOT) {
            return Err(malformed("its root is not a SoftwareIdentity"));
        }
        let [entity, meta, payload, signature] = children(root, [ENTITY, META, PAYLOAD, signature::SIGNATURE])?;
        let tag = Tag::read(root, entity, meta)?;
        let golden = payload::read(payload)?;
        let digest = crypto::sha384(canonical::canonical(root, Some(signature))?.as_bytes());
        let signature = Signature::read(signature)?;
        Ok(Manifest { sha256: crypto::sha256(bytes), tag, golden, signature, digest })
    }

    /// SHA-256 of the bytes as received: what a policy pins, because the same version was issued with
    /// different content.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// SoftwareIdentity, name: the chip, for example "GH100".
    pub(crate) fn name(&self) -> &str {
        &self.tag.name
    }

    /// SoftwareIdentity, tagId.
    pub(crate) fn tag_id(&self) -> &str {
        &self.tag.tag_id
    }

    /// SoftwareIdentity, version: of the tag's format, not of the firmware.
    pub(crate) fn version(&self) -> &str {
        &self.tag.version
    }

    /// Meta, edition.
    pub(crate) fn edition(&self) -> Edition {
        self.tag.edition
    }

    /// Meta, product: "GH100", "GB100", "LS10".
    pub(crate) fn product(&self) -> &str {
        &self.tag.product
    }

    /// Meta, colloquialVersion: the driver's or firmware's version, as the device reports it.
    pub(crate) fn colloquial_version(&self) -> &str {
        &self.tag.colloquial_version
    }

    /// Meta, FirmwareManufacturerId (TCG): a private enterprise number; NVIDIA's is 5703.
    pub(crate) fn firmware_manufacturer_id(&self) -> &str {
        &self.tag.firmware_manufacturer_id
    }

    /// The measurements, in order of their indices.
    pub(crate) fn golden(&self) -> &[Golden] {
        &self.golden
    }

    /// KeyInfo, X509Data: in the order of the document.
    pub(crate) fn certificates(&self) -> &[Certificate] {
        self.signature.certificates()
    }

    /// In a few words, for checks: "GH100 GPU 550.90.07".
    pub(crate) fn shown(&self) -> String {
        format!("{} {} {}", self.tag.product, self.tag.edition, self.tag.colloquial_version)
    }
}

impl Tag {
    /// Reads what stands on the three elements. Each attribute that the genuine ones have must be there,
    /// and no other.
    fn read(root: xml::Node<'_>, entity: xml::Node<'_>, meta: xml::Node<'_>) -> Result<Tag, Refusal> {
        let plain = |name: &'static str| -> Name { (None, name) };
        let tcg = |name: &'static str| -> Name { (Some(TCG), name) };
        let [name, tag_id, version, tag_version, corpus, patch, supplemental] =
            attributes(root, ["name", "tagId", "version", "tagVersion", "corpus", "patch", "supplemental"].map(plain))?;
        if [corpus, patch, supplemental] != ["false"; 3] {
            return Err(malformed("it is a corpus, patch or supplemental tag"));
        }
        let [entity_name, role] = attributes(entity, ["name", "role"].map(plain))?;
        let [
            colloquial_version,
            edition,
            product,
            revision,
            payload_type,
            spec,
            spec_version,
            id,
            text,
            model,
            by,
            by_id,
        ] = attributes(
            meta,
            [
                plain("colloquialVersion"),
                plain("edition"),
                plain("product"),
                plain("revision"),
                plain("PayloadType"),
                tcg("BindingSpec"),
                tcg("BindingSpecVersion"),
                tcg("PlatformManufacturerId"),
                tcg("PlatformManufacturerStr"),
                tcg("PlatformModel"),
                tcg("FirmwareManufacturer"),
                tcg("FirmwareManufacturerId"),
            ],
        )?;
        // TCG RIM IM: "direct" is the one type whose payload holds the values themselves.
        if payload_type != "direct" {
            return Err(malformed("its payload is not direct"));
        }
        empty(entity)?;
        empty(meta)?;
        for value in [tag_version, entity_name, role, revision, spec, spec_version, id, text, model, by] {
            printable(value)?;
        }
        Ok(Tag {
            name: printable(name)?,
            tag_id: printable(tag_id)?,
            version: printable(version)?,
            edition: match edition {
                "GPU" => Edition::Gpu,
                "SWITCH" => Edition::Switch,
                _ => return Err(malformed("its edition is neither GPU nor SWITCH")),
            },
            product: printable(product)?,
            colloquial_version: printable(colloquial_version)?,
            firmware_manufacturer_id: printable(by_id)?,
        })
    }
}

impl Edition {
    /// As manifests write it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Edition::Gpu => "GPU",
            Edition::Switch => "SWITCH",
        }
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn malformed(detail: impl fmt::Display) -> Refusal {
    Refusal::new(Code::Parse, format!("NVIDIA manifest: {detail}"))
}
