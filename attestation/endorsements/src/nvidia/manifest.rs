//! Manifests of drivers and firmware: the service's answer, and what a document says of itself.
//!
//! Enough of the XML is read to tell whether this is the document that was asked for and when its signer's
//! certificates end. Whether anything of it is true is the verifier's question, with a reader of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use strongroom_attestation::HexBytes;

use crate::content::Description;
use crate::nvidia::ManifestId;
use crate::x509::{self, Certificate};

/// Certificates of one manifest; NVIDIA's have four.
const MAX_CERTIFICATES: usize = 8;
/// Characters of a product, edition or version.
const MAX_WORD: usize = 32;

/// What the service says (NVIDIA RIM service, `GET /v1/rim/{id}`); other members are passed over.
#[derive(Deserialize)]
struct RimAnswer {
    id: String,
    rim: String,
    sha256: HexBytes<32>,
}

/// The document in the service's answer for `id`.
///
/// # Errors
/// A sentence: another name, or bytes that do not have the digest beside them.
pub(crate) fn from_answer(id: &ManifestId, body: &[u8]) -> Result<Vec<u8>, String> {
    let answer: RimAnswer =
        serde_json::from_slice(body).map_err(|error| format!("not an answer with a manifest: {error}"))?;
    if answer.id != id.as_str() {
        return Err(format!("the manifest \"{}\", wanted \"{id}\"", shown(&answer.id)));
    }
    let document = STANDARD.decode(&answer.rim).map_err(|_| "a manifest that is not base64")?;
    if Sha256::digest(&document).as_slice() != answer.sha256.as_slice() {
        return Err("a manifest that does not have the digest beside it".to_owned());
    }
    Ok(document)
}

/// What the document says of itself, if it is about what `id` names.
///
/// # Errors
/// A sentence that says what was wanted and found.
pub(crate) fn describe(id: &ManifestId, bytes: &[u8]) -> Result<Description, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not a manifest: it is not UTF-8")?;
    let mut tags = Tags { rest: text };
    let root = tags.by_ref().find(|tag| !matches!(tag.name.as_bytes().first(), Some(b'?' | b'!')));
    let root = root.filter(|root| local(root.name) == "SoftwareIdentity");
    let root = root.ok_or("not a manifest: its root is no SoftwareIdentity")?;
    if !text.trim_end().ends_with(&format!("</{}>", root.name)) {
        return Err("not a whole manifest: its root does not end".to_owned());
    }
    let (mut about, mut certificates) = (None, Vec::new());
    for tag in tags {
        match local(tag.name) {
            "Meta" => about = about.or(about_of(&tag)),
            "X509Certificate" if !tag.is_end => certificates.push(certificate(&tag)?),
            _ => {}
        }
        if certificates.len() > MAX_CERTIFICATES {
            return Err(format!("a manifest with more than {MAX_CERTIFICATES} certificates"));
        }
    }
    let [product, edition, version] = about.ok_or("a manifest that does not say what it is about")?;
    if !id.fits(product, version) {
        return Err(format!("a manifest of {} {}, wanted {id}", shown(product), shown(version)));
    }
    let signer = certificates.first().ok_or("a manifest without its signer's certificate")?;
    Ok(Description {
        subject: format!("{} {} {}", shown(product), shown(edition), shown(version)),
        issued: signer.not_before,
        expires: certificates.iter().map(|certificate| certificate.not_after).min(),
        evaluation: None,
        sha256: Some(HexBytes(Sha256::digest(bytes).into())),
        status: None,
    })
}

/// A tag as it is written, with the text up to the next one.
struct Tag<'a> {
    /// Prefix and all.
    name: &'a str,
    attributes: &'a str,
    is_end: bool,
    text: &'a str,
}

/// The tags of a text, one after the other.
struct Tags<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let (_, after) = self.rest.split_once('<')?;
        let (tag, after) = after.split_once('>')?;
        self.rest = after;
        let inside = tag.strip_prefix('/');
        let (name, attributes) = inside.unwrap_or(tag).split_once(char::is_whitespace).unwrap_or((tag, ""));
        let text = after.split('<').next().unwrap_or_default();
        Some(Tag { name, attributes, is_end: inside.is_some(), text })
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or_default()
}

/// Product, edition and version.
fn about_of<'a>(meta: &Tag<'a>) -> Option<[&'a str; 3]> {
    let value = |name: &str| {
        let (_, after) = meta.attributes.split_once(&format!("{name}=\""))?;
        after.split('"').next().filter(|value| !value.is_empty() && value.len() <= MAX_WORD)
    };
    Some([value("product")?, value("edition")?, value("colloquialVersion")?])
}

fn certificate(tag: &Tag<'_>) -> Result<Certificate, String> {
    let digits: String = tag.text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(digits).map_err(|_| "a manifest with a certificate that is not base64")?;
    let mut certificates = x509::certificates(&der).map_err(|why| format!("a manifest with {why}"))?;
    let only = certificates.pop().filter(|_| certificates.is_empty());
    only.ok_or_else(|| "a manifest with two certificates in the place of one".to_owned())
}

fn shown(text: &str) -> String {
    text.chars().take(MAX_WORD).map(|c| if c.is_control() { '?' } else { c }).collect()
}
