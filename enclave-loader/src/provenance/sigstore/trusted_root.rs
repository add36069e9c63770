//! `trusted_root.json`: the keys of Sigstore's authority and logs, and when each was in use
//! (sigstore/protobuf-specs, `sigstore_trustroot.proto`).

use serde::Deserialize;
use strongroom_attestation::UnixTime;

use crate::provenance::certificate::Certificate;
use crate::provenance::chain::CertificateRoots;
use crate::provenance::dsse::base64;
use crate::provenance::limits::MAX_PEM_BYTES;
use crate::provenance::{EcPublicKey, ProvenanceError, json};

const MEDIA_TYPES: [&str; 2] =
    ["application/vnd.dev.sigstore.trustedroot+json;version=0.1", "application/vnd.dev.sigstore.trustedroot.v0.2+json"];

/// Whom Sigstore's signatures are verified under. It is as trustworthy as the file that it is read
/// from: take it from an authenticated source, as Sigstore's TUF repository.
#[derive(Clone, Debug)]
pub struct TrustedRoot {
    transparency_logs: Vec<Log>,
    certificate_logs: Vec<Log>,
    authorities: Vec<Authority>,
}

/// A log and its key.
#[derive(Clone, Debug)]
pub(super) struct Log {
    id: Vec<u8>,
    pub(super) key: EcPublicKey,
    period: Period,
}

/// An authority's certificates, the root last.
#[derive(Clone, Debug)]
struct Authority {
    chain: Vec<Vec<u8>>,
    period: Period,
}

/// The authorities of a moment.
pub(super) struct Authorities {
    pub(super) intermediates: Vec<Certificate>,
    pub(super) roots: CertificateRoots,
}

impl TrustedRoot {
    /// Reads `trusted_root.json`. Keys that this version cannot verify with, as those of the log's
    /// second generation, are passed over: nothing under them is accepted.
    ///
    /// # Errors
    /// `TooLarge`, `Malformed`, `Unsupported` for another version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProvenanceError> {
        let text: RootText = json::read(bytes, MAX_PEM_BYTES, "the trusted root")?;
        if !MEDIA_TYPES.contains(&text.media_type.as_str()) {
            return Err(ProvenanceError::unsupported("trusted root", &text.media_type));
        }
        let authority = |text: AuthorityText| {
            let chain = text.cert_chain.certificates.iter().map(|one| base64(&one.raw_bytes));
            Ok(Authority { chain: chain.collect::<Result<_, ProvenanceError>>()?, period: text.valid_for })
        };
        Ok(Self {
            transparency_logs: logs(text.tlogs)?,
            certificate_logs: logs(text.ctlogs)?,
            authorities: text.certificate_authorities.into_iter().map(authority).collect::<Result<_, _>>()?,
        })
    }

    /// The transparency log of this id, if it was in use at `at`.
    pub(super) fn transparency_log(&self, id: &[u8], at: UnixTime) -> Option<&Log> {
        self.transparency_logs.iter().find(|log| log.id == id && log.period.holds(at))
    }

    /// The certificate log of this id, if it was in use at `at`.
    pub(super) fn certificate_log(&self, id: &[u8], at: UnixTime) -> Option<&Log> {
        self.certificate_logs.iter().find(|log| log.id == id && log.period.holds(at))
    }

    /// The authorities that were in use at `at`.
    pub(super) fn authorities_at(&self, at: UnixTime) -> Result<Authorities, ProvenanceError> {
        let chains = || self.authorities.iter().filter(|one| one.period.holds(at)).map(|one| one.chain.as_slice());
        let roots = CertificateRoots::read(chains().filter_map(|chain| chain.last()).map(Vec::as_slice))?;
        let below = chains().filter_map(|chain| chain.split_last()).flat_map(|(_, below)| below);
        Ok(Authorities { intermediates: below.map(|der| Certificate::read(der)).collect::<Result<_, _>>()?, roots })
    }
}

fn logs(texts: Vec<LogText>) -> Result<Vec<Log>, ProvenanceError> {
    let mut logs = Vec::new();
    for text in texts {
        let (id, spki) = (base64(&text.log_id.key_id)?, base64(&text.public_key.raw_bytes)?);
        if let Ok(key) = EcPublicKey::from_spki(&spki) {
            logs.push(Log { id, key, period: text.public_key.valid_for });
        }
    }
    Ok(logs)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RootText {
    media_type: String,
    #[serde(default)]
    tlogs: Vec<LogText>,
    #[serde(default)]
    ctlogs: Vec<LogText>,
    certificate_authorities: Vec<AuthorityText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogText {
    public_key: KeyText,
    log_id: LogIdText,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyText {
    raw_bytes: String,
    valid_for: Period,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogIdText {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityText {
    cert_chain: ChainText,
    valid_for: Period,
}

#[derive(Deserialize)]
struct ChainText {
    certificates: Vec<CertificateText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertificateText {
    raw_bytes: String,
}

/// When a key is in use; open at its end while it still is.
#[derive(Clone, Debug, Deserialize)]
struct Period {
    start: UnixTime,
    #[serde(default)]
    end: Option<UnixTime>,
}

impl Period {
    fn holds(&self, at: UnixTime) -> bool {
        self.start <= at && self.end.is_none_or(|end| at <= end)
    }
}
