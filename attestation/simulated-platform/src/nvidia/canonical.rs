//! What is digested and signed of a manifest: its canonical form (Canonical XML 1.1, without
//! comments), written straight from the same values and not from the document. Canonical are:
//! namespaces before attributes, each in order of name, attributes of no namespace first; every
//! element with an end tag; and here nothing else, for these documents have no other freedom.

use super::manifest::{Entry, HASHES, Manifest, RIM, SWID, attribute_value};

pub(crate) const SIGNATURE_NAMESPACE: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const CANONICALIZATION: &str = "http://www.w3.org/2006/12/xml-c14n11";
pub(crate) const SIGNATURE_METHOD: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub(crate) const DIGEST_METHOD: &str = "http://www.w3.org/2001/04/xmldsig-more#sha384";

/// The document without its signature.
pub(crate) fn manifest(manifest: &Manifest) -> String {
    let product = attribute_value(&manifest.product);
    let mut text = format!(
        "<SoftwareIdentity xmlns=\"{SWID}\" xmlns:ns0=\"{SWID}\" xmlns:ns2=\"{HASHES}\" corpus=\"false\" \
         name=\"{product}\" patch=\"false\" supplemental=\"false\" tagId=\"{}\" tagVersion=\"0\" version=\"1.0\">\n",
        attribute_value(&manifest.tag_id),
    );
    text += "    <ns0:Entity name=\"NVIDIA Corporation\" role=\"softwareCreator tagCreator\"></ns0:Entity>\n";
    text += &format!(
        "    <ns0:Meta xmlns:ns1=\"{RIM}\" PayloadType=\"direct\" colloquialVersion=\"{}\" edition=\"{}\" \
         product=\"{product}\" revision=\"r1\" ns1:BindingSpec=\"RIMIM\" ns1:BindingSpecVersion=\"1.01\" \
         ns1:FirmwareManufacturer=\"NVIDIA Corporation\" ns1:FirmwareManufacturerId=\"5703\" \
         ns1:PlatformManufacturerId=\"5703\" ns1:PlatformManufacturerStr=\"NVIDIA Corporation\" \
         ns1:PlatformModel=\"{product}\"></ns0:Meta>\n",
        attribute_value(&manifest.version),
        attribute_value(&manifest.edition),
    );
    text += &format!("    <ns0:Payload xmlns:SHA384=\"{HASHES}\">\n");
    for resource in &manifest.entries {
        text += &entry(resource);
    }
    // The line break before the signature stays when the signature goes.
    text += "    </ns0:Payload>\n</SoftwareIdentity>";
    text
}

/// What the signature is over, with the namespaces that are in force where it stands.
pub(crate) fn signed_info(digest: &str) -> String {
    let element = |name: &str, algorithm: &str| format!("<ds:{name} Algorithm=\"{algorithm}\"></ds:{name}>");
    [
        format!(
            "<ds:SignedInfo xmlns=\"{SWID}\" xmlns:ds=\"{SIGNATURE_NAMESPACE}\" xmlns:ns0=\"{SWID}\" \
             xmlns:ns2=\"{HASHES}\">"
        ),
        element("CanonicalizationMethod", CANONICALIZATION),
        element("SignatureMethod", SIGNATURE_METHOD),
        "<ds:Reference URI=\"\"><ds:Transforms>".to_owned(),
        element("Transform", ENVELOPED),
        element("Transform", CANONICALIZATION),
        "</ds:Transforms>".to_owned(),
        element("DigestMethod", DIGEST_METHOD),
        format!("<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"),
    ]
    .concat()
}

fn entry(entry: &Entry) -> String {
    let hash = |(number, hash): (usize, &String)| format!(" ns2:Hash{number}=\"{}\"", attribute_value(hash));
    let hashes: String = entry.hashes.iter().enumerate().map(hash).collect();
    format!(
        "        <ns0:Resource active=\"{}\" alternatives=\"{}\" index=\"{}\" name=\"{}\" size=\"{}\" \
         type=\"Measurement\"{hashes}></ns0:Resource>\n",
        entry.active_text(),
        attribute_value(&entry.alternatives),
        attribute_value(&entry.index),
        attribute_value(&entry.name),
        attribute_value(&entry.size),
    )
}

#[cfg(test)]
mod tests;
