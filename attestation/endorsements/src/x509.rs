//! Names, dates and a few extensions of certificates and revocation lists, to tell whether they are the ones asked
//! for. Signatures are not looked at.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_attestation::{Endorsements, UnixTime};
use x509_cert::Certificate as X509;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;
use x509_cert::name::Name;
use x509_cert::time::Time;

use crate::error::shown;

/// Certificates in one artefact: a chain has three.
const MAX_CERTIFICATES: usize = 8;

/// What counts of one certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) common_name: String,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    /// Object identifier in dots, and value.
    extensions: Vec<(String, Vec<u8>)>,
}

/// What counts of one revocation list.
#[derive(Clone, Debug)]
pub(crate) struct RevocationList {
    pub(crate) issuer: String,
    pub(crate) this_update: UnixTime,
    pub(crate) next_update: Option<UnixTime>,
}

impl Certificate {
    pub(crate) fn extension(&self, oid: &str) -> Option<&[u8]> {
        self.extensions.iter().find(|(known, _)| known == oid).map(|(_, value)| value.as_slice())
    }
}

/// The certificates in `bytes`, PEM or DER, in order; at least one, and nothing else. The verifier can read them too.
pub(crate) fn certificates(bytes: &[u8]) -> Result<Vec<Certificate>, String> {
    readable_by_the_verifier(bytes)?;
    let mut certificates = Vec::new();
    for der in objects(bytes, "CERTIFICATE")? {
        let mut rest = der.as_slice();
        while !rest.iter().all(|byte| *byte == 0) {
            let (certificate, after) =
                X509::from_der_partial(rest).map_err(|error| format!("not a certificate: {error}"))?;
            certificates.push(read(&certificate));
            if certificates.len() > MAX_CERTIFICATES {
                return Err(format!("more than {MAX_CERTIFICATES} certificates"));
            }
            rest = after;
        }
    }
    if certificates.is_empty() { Err("no certificate".to_owned()) } else { Ok(certificates) }
}

/// The common name of who issued the certificate in `der`; `None` where it is no certificate.
pub(crate) fn issuer_name(der: &[u8]) -> Option<String> {
    X509::from_der(der).ok().map(|certificate| common_name(certificate.tbs_certificate().issuer()))
}

/// The one revocation list in `bytes`, PEM or DER. The verifier can read it too.
pub(crate) fn revocation_list(bytes: &[u8]) -> Result<RevocationList, String> {
    readable_by_the_verifier(bytes)?;
    let objects = objects(bytes, "X509 CRL")?;
    let [der] = objects.as_slice() else {
        return Err(format!("{} revocation lists where one was wanted", objects.len()));
    };
    let list: CertificateList =
        CertificateList::from_der(der).map_err(|error| format!("not a revocation list: {error}"))?;
    let fields = list.tbs_cert_list;
    Ok(RevocationList {
        issuer: common_name(&fields.issuer),
        this_update: seconds(fields.this_update),
        next_update: fields.next_update.map(seconds),
    })
}

/// What the verifier cannot read is of no use in a cache, however well something else reads it.
pub(crate) fn readable_by_the_verifier(bytes: &[u8]) -> Result<(), String> {
    Endorsements::default().add(bytes).map_err(|refusal| refusal.detail)
}

/// The DER of every object with this PEM label, or `bytes` themselves when they are DER.
fn objects(bytes: &[u8], label: &str) -> Result<Vec<Vec<u8>>, String> {
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes.to_vec()]);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "neither DER nor PEM".to_owned())?;
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut objects = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(begin.as_str()) {
        let (body, after) = after.split_once(end.as_str()).ok_or("a PEM object without an end")?;
        let digits: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        objects.push(STANDARD.decode(digits).map_err(|_| "a PEM object that is not base64")?);
        rest = after;
    }
    if objects.is_empty() { Err(format!("no {label} in it")) } else { Ok(objects) }
}

fn read(certificate: &X509) -> Certificate {
    let fields = certificate.tbs_certificate();
    let extensions = fields.extensions().map(Vec::as_slice).unwrap_or_default();
    Certificate {
        common_name: common_name(fields.subject()),
        not_before: seconds(fields.validity().not_before),
        not_after: seconds(fields.validity().not_after),
        extensions: extensions
            .iter()
            .map(|extension| (extension.extn_id.to_string(), extension.extn_value.as_bytes().to_vec()))
            .collect(),
    }
}

/// The common name as it may be shown; empty where there is none, which equals no wanted name.
fn common_name(name: &Name) -> String {
    let name = name.common_name().ok().flatten();
    let text = name.as_ref().map_or_else(Default::default, |name| name.value());
    shown(&text, 64)
}

fn seconds(time: Time) -> UnixTime {
    UnixTime::from_secs(time.to_unix_duration().as_secs())
}
