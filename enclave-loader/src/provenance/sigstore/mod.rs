//! Signatures through Sigstore: a certificate of minutes for an identity, and a public log that
//! proves when it was used. Verified offline, under a trusted root that the caller chose.

mod log_entry;
mod precertificate;
mod proof;
mod trusted_root;

use serde_json::Value;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};

use self::log_entry::LogEntry;
pub(super) use self::precertificate::without_extension;
pub use self::trusted_root::TrustedRoot;
use super::certificate::Certificate;
use super::chain::find_path;
use super::dsse::Envelope;
use super::error::shown;
use super::{ProvenanceError, Signer};

/// The issuer of the identity, as text in DER, and as bare text before 2023 (Fulcio, oid-info.md).
const ISSUER_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
const ISSUER_V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");

/// Whose signature is wanted.
pub(super) struct Wanted<'a> {
    pub(super) identity: &'a str,
    pub(super) issuer: &'a str,
}

/// What a bundle brings along.
pub(super) struct Material<'a> {
    pub(super) certificate: &'a [u8],
    pub(super) entries: &'a [Value],
}

/// Verifies in this order, and hands out the payload:
///
/// 1. The log of the trusted root promised the entry at a time, and proves that it is in its tree.
/// 2. At that time, a path leads from the certificate to an authority of the trusted root.
/// 3. A certificate log of the trusted root has seen the certificate.
/// 4. The certificate is for the identity that is wanted, from the issuer that is wanted.
/// 5. The signature over the statement verifies with the certificate's key.
/// 6. The log's entry is of this very signature, certificate and statement.
///
/// # Errors
/// `Log`, `Certificate`, `CertificateDates`, `Identity`, `Signature`, `Unsupported`, `Malformed`.
pub(super) fn verify<'a>(
    root: &TrustedRoot,
    wanted: &Wanted<'_>,
    material: &Material<'_>,
    envelope: &'a Envelope,
) -> Result<(Signer, &'a [u8]), ProvenanceError> {
    let certificate = Certificate::read(material.certificate)?;
    let [entry] = material.entries else {
        return Err(ProvenanceError::Log("a bundle has one entry"));
    };
    let entry = LogEntry::read(entry)?;
    let logged = entry.verify(root)?; // 1

    let authorities = root.authorities_at(logged)?;
    let path = find_path(&certificate, &authorities.intermediates, &authorities.roots, logged)?; // 2
    precertificate::require_seen(&certificate, path.issuer, root)?; // 3

    let found = Identity::of(&certificate)?;
    let is_wanted = found.names.iter().any(|name| name == wanted.identity) && found.issuer == wanted.issuer;
    if !is_wanted {
        let wanted = format!("{} of {}", shown(wanted.identity), shown(wanted.issuer));
        let found = format!("{} of {}", shown(&found.names.join(", ")), shown(&found.issuer));
        return Err(ProvenanceError::Identity { wanted, found }); // 4
    }
    let payload = envelope.verified(&certificate.key()?)?; // 5
    entry.require_about(&certificate, envelope, payload)?; // 6
    let signer = Signer::Sigstore { identity: wanted.identity.to_owned(), issuer: wanted.issuer.to_owned(), logged };
    Ok((signer, payload))
}

struct Identity {
    names: Vec<String>,
    issuer: String,
}

impl Identity {
    fn of(certificate: &Certificate) -> Result<Self, ProvenanceError> {
        let malformed = ProvenanceError::Malformed("the issuer in a certificate");
        let issuer = match (certificate.raw_extension(ISSUER_V2), certificate.raw_extension(ISSUER_V1)) {
            (Some(der), _) => Utf8StringRef::from_der(der).map_err(|_| malformed)?.as_str(),
            (None, Some(text)) => std::str::from_utf8(text).map_err(|_| malformed)?,
            (None, None) => return Err(ProvenanceError::Certificate("it names no issuer of an identity".to_owned())),
        };
        Ok(Self { names: certificate.alternative_names()?, issuer: issuer.to_owned() })
    }
}
