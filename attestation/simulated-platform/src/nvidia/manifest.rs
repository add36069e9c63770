//! A reference integrity manifest: XML as NVIDIA writes it, byte for byte but for the values.

use std::fmt::Write as _;

use super::{
    architecture::NvidiaArchitecture,
    layout::ManifestKind,
    measurement::{Golden, golden},
};

pub(crate) const SWID: &str = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd";
/// NVIDIA writes the digest's name where a namespace should stand.
pub(crate) const HASHES: &str = "http://www.w3.org/2001/04/xmlenc#sha384";
pub(crate) const RIM: &str =
    "https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/";

/// A manifest and the name under which it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NvidiaManifest {
    /// Such as `NV_GPU_DRIVER_GH100_900.10.01`. Only the store says so: it is not signed.
    pub id: String,
    /// The signed document.
    pub xml: String,
}

/// What a manifest says. A fault changes one field.
pub(crate) struct Manifest {
    pub(crate) tag_id: String,
    /// Driver or BIOS version.
    pub(crate) version: String,
    pub(crate) edition: String,
    pub(crate) product: String,
    pub(crate) entries: Vec<Entry>,
}

/// One measurement.
pub(crate) struct Entry {
    pub(crate) index: String,
    pub(crate) active: bool,
    /// How many values it says that it has.
    pub(crate) alternatives: String,
    /// Hexadecimal.
    pub(crate) hashes: Vec<String>,
    pub(crate) name: String,
    pub(crate) size: String,
}

impl Manifest {
    /// The sound one of that version.
    pub(crate) fn sound(architecture: NvidiaArchitecture, kind: ManifestKind, version: &str) -> Self {
        let edition = if architecture.is_switch() { "SWITCH" } else { "GPU" };
        let entries: Vec<Entry> = golden(architecture, kind, version).iter().map(Entry::new).collect();
        Self {
            tag_id: tag_id(architecture, version, &entries),
            version: version.to_owned(),
            edition: edition.to_owned(),
            product: architecture.product().to_owned(),
            entries,
        }
    }

    /// The document with that signature, which is an element, as its last child.
    pub(crate) fn document(&self, signature: &str) -> String {
        let product = attribute_value(&self.product);
        let mut text = format!(
            "<SoftwareIdentity xmlns=\"{SWID}\" xmlns:ns0=\"{SWID}\" xmlns:ns2=\"{HASHES}\" corpus=\"false\" \
             name=\"{product}\" patch=\"false\" supplemental=\"false\" tagId=\"{}\" version=\"1.0\" tagVersion=\"0\">\n",
            attribute_value(&self.tag_id),
        );
        text += "    <ns0:Entity name=\"NVIDIA Corporation\" role=\"softwareCreator tagCreator\"/>\n";
        text += &format!(
            "    <ns0:Meta xmlns:ns1=\"{RIM}\" colloquialVersion=\"{}\" edition=\"{}\" product=\"{product}\" \
             revision=\"r1\" PayloadType=\"direct\" ns1:BindingSpec=\"RIMIM\" ns1:BindingSpecVersion=\"1.01\" \
             ns1:PlatformManufacturerId=\"5703\" ns1:PlatformManufacturerStr=\"NVIDIA Corporation\" \
             ns1:PlatformModel=\"{product}\" ns1:FirmwareManufacturer=\"NVIDIA Corporation\" \
             ns1:FirmwareManufacturerId=\"5703\"/>\n",
            attribute_value(&self.version),
            attribute_value(&self.edition),
        );
        text += &format!("    <ns0:Payload xmlns:SHA384=\"{HASHES}\">\n");
        for entry in &self.entries {
            text += &entry.element();
        }
        text += "    </ns0:Payload>\n";
        text += signature;
        text += "</SoftwareIdentity>";
        text
    }
}

impl Entry {
    fn new(golden: &Golden) -> Self {
        Self {
            index: golden.index.to_string(),
            active: golden.active,
            alternatives: golden.alternatives.len().to_string(),
            hashes: golden.alternatives.iter().map(hex::encode).collect(),
            name: golden.name.clone(),
            size: "48".to_owned(),
        }
    }

    /// `True` or `False`, as NVIDIA's generator spells them.
    pub(crate) fn active_text(&self) -> &'static str {
        if self.active { "True" } else { "False" }
    }

    fn element(&self) -> String {
        let mut hashes = String::new();
        for (number, hash) in self.hashes.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(hashes, "ns2:Hash{number}=\"{}\" ", attribute_value(hash));
        }
        format!(
            "        <ns0:Resource type=\"Measurement\" index=\"{}\" active=\"{}\" alternatives=\"{}\" \
             {hashes}name=\"{}\" size=\"{}\"/>\n",
            attribute_value(&self.index),
            self.active_text(),
            attribute_value(&self.alternatives),
            attribute_value(&self.name),
            attribute_value(&self.size),
        )
    }
}

/// Escaped as both the document and its canonical form have it. Line breaks and tabs, which
/// would need more, are in no value here.
pub(crate) fn attribute_value(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// 48 bytes that follow from the content, in hexadecimal.
fn tag_id(architecture: NvidiaArchitecture, version: &str, entries: &[Entry]) -> String {
    use sha2::{Digest as _, Sha384};
    let mut digest = Sha384::new().chain_update(architecture.product()).chain_update(version);
    for hash in entries.iter().flat_map(|entry| &entry.hashes) {
        digest.update(hash);
    }
    hex::encode(digest.finalize())
}
