//! One OCSP response (RFC 6960 section 4.2): what an authority, or a responder in its name, says of some
//! of its certificates at a time. Read strictly, and kept as received.

mod single;

pub(crate) use single::{CertStatus, SingleResponse};

use crate::crypto;
use crate::der::{DerError, Reader, tag};
use crate::remembered::Remembered;
use crate::unix_time::UnixTime;
use crate::x509::certificate::extensions;
use crate::x509::{Certificate, Extension, Name, SignatureAlgorithm, oid, signature_algorithm};

/// Certificates that one response may speak of; requests of NVIDIA's tools ask about one.
const MAX_STATUSES: usize = 64;
/// Certificates that a response may carry; only one of them can be the responder's.
const MAX_CERTIFICATES: usize = 4;

/// A response read once and kept as received. Its status is `successful`: others say nothing of any
/// certificate, and are errors here.
///
/// A nonce in its extensions is not compared: it answers a request that this verifier did not make.
/// Dates say how fresh it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OcspResponse {
    der: Vec<u8>,
    to_be_signed: Vec<u8>,
    pub(crate) responder: ResponderId,
    /// When it was signed.
    pub(crate) produced_at: UnixTime,
    pub(crate) statuses: Vec<SingleResponse>,
    /// A critical extension of the response or of a status, which this reader cannot honour.
    pub(crate) has_critical_extension: bool,
    algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
    /// Certificates that came inside, believed in nothing.
    pub(crate) certificates: Vec<Certificate>,
}

/// Who says that it signed (RFC 6960 4.2.1, ResponderID).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResponderId {
    ByName(Name),
    /// SHA-1 of the public key's bits.
    ByKey([u8; 20]),
}

impl OcspResponse {
    /// Whether `bytes` begin as an OCSP response does and nothing else here: a SEQUENCE whose first
    /// element is an ENUMERATED.
    pub(crate) fn looks_like(bytes: &[u8]) -> bool {
        Reader::new(bytes).sequence().is_ok_and(|inside| inside.peek() == Some(tag::ENUMERATED))
    }

    /// Reads the response at the front of `bytes`, and says what follows it. One that is an error of the
    /// responder is refused with the error's name (RFC 6960 4.2.1, OCSPResponseStatus).
    pub(crate) fn read(bytes: &[u8]) -> Result<(OcspResponse, &[u8]), DerError> {
        let mut input = Reader::new(bytes);
        let whole = input.expect(tag::SEQUENCE)?;
        let mut parts = whole.reader();
        if let Some(error) = responder_error(parts.enumerated()?)? {
            return Err(DerError::Unsuccessful(error));
        }
        let mut wrapper = parts.expect(tag::context(0))?.reader();
        parts.finish()?;
        let mut response = wrapper.sequence()?;
        wrapper.finish()?;
        if response.oid()? != oid::OCSP_BASIC {
            return Err(DerError::Value("OCSP response type"));
        }
        let mut basic = response.expect(tag::OCTET_STRING)?.reader();
        response.finish()?;
        let basic_response = OcspResponse::read_basic(whole.raw, basic.sequence()?)?;
        basic.finish()?;
        Ok((basic_response, input.rest()))
    }

    /// BasicOCSPResponse.
    fn read_basic(der: &[u8], mut parts: Reader<'_>) -> Result<OcspResponse, DerError> {
        let to_be_signed = parts.expect(tag::SEQUENCE)?;
        // Nothing signs the algorithm (RFC 6960 has it once). Each kind of key verifies with its own.
        let algorithm = parts.expect(tag::SEQUENCE)?;
        let signature = parts.whole_bits()?.to_vec();
        let certificates = match parts.optional(tag::context(0))? {
            Some(element) => certificates(element.reader())?,
            None => Vec::new(),
        };
        parts.finish()?;

        // A version would be the default one, which DER does not write.
        let mut fields = to_be_signed.reader();
        let responder = ResponderId::read(&mut fields)?;
        let produced_at = fields.generalized_time()?;
        let mut has_critical_extension = false;
        let mut list = fields.sequence()?;
        let mut statuses = Vec::new();
        while !list.is_empty() {
            if statuses.len() >= MAX_STATUSES {
                return Err(DerError::Value("list of OCSP statuses"));
            }
            let (status, extensions) = SingleResponse::read(list.sequence()?)?;
            has_critical_extension |= any_critical(&extensions);
            statuses.push(status);
        }
        if let Some(element) = fields.optional(tag::context(1))? {
            has_critical_extension |= any_critical(&extensions(element.reader())?);
        }
        fields.finish()?;
        Ok(OcspResponse {
            der: der.to_vec(),
            to_be_signed: to_be_signed.raw.to_vec(),
            responder,
            produced_at,
            statuses,
            has_critical_extension,
            algorithm: signature_algorithm(algorithm.raw)?,
            signature,
            certificates,
        })
    }

    /// The response as received.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether `signer` is the responder that is named and its key made the signature, now or as it is
    /// remembered. It does not ask whether `signer` may answer.
    pub(crate) fn is_signed_by(&self, signer: &Certificate, remembered: &Remembered) -> bool {
        let parts = [self.algorithm.name(), signer.public_key.bytes(), &self.to_be_signed, &self.signature];
        let verifies = || signer.verify(self.algorithm, &self.to_be_signed, &self.signature).is_ok();
        self.responder.is(signer) && remembered.holds(parts, verifies)
    }
}

impl ResponderId {
    fn read(fields: &mut Reader<'_>) -> Result<ResponderId, DerError> {
        if let Some(element) = fields.optional(tag::context(1))? {
            let mut inside = element.reader();
            let name = Name::read(&mut inside)?;
            inside.finish()?;
            return Ok(ResponderId::ByName(name));
        }
        let mut inside = fields.expect(tag::context(2))?.reader();
        let hash = inside.expect(tag::OCTET_STRING)?.value;
        inside.finish()?;
        let hash = hash.try_into().map_err(|_| DerError::Value("OCSP responder's key hash"))?;
        Ok(ResponderId::ByKey(hash))
    }

    /// Whether this names `certificate`.
    pub(crate) fn is(&self, certificate: &Certificate) -> bool {
        match self {
            ResponderId::ByName(name) => *name == certificate.subject,
            ResponderId::ByKey(hash) => *hash == crypto::sha1(certificate.public_key.bytes()),
        }
    }

    /// The name, or the key's hash, as it may be shown.
    pub(crate) fn shown(&self) -> String {
        match self {
            ResponderId::ByName(name) => name.shown(),
            ResponderId::ByKey(hash) => format!("key sha1:{}", hex::encode(hash)),
        }
    }
}

/// The name of a status that is an error; `None` for `successful`.
fn responder_error(status: u8) -> Result<Option<&'static str>, DerError> {
    Ok(Some(match status {
        0 => return Ok(None),
        1 => "malformedRequest",
        2 => "internalError",
        3 => "tryLater",
        5 => "sigRequired",
        6 => "unauthorized",
        _ => return Err(DerError::Value("OCSP response status")),
    }))
}

fn certificates(mut wrapper: Reader<'_>) -> Result<Vec<Certificate>, DerError> {
    let mut list = wrapper.sequence()?;
    wrapper.finish()?;
    let mut certificates = Vec::new();
    while !list.is_empty() {
        if certificates.len() >= MAX_CERTIFICATES {
            return Err(DerError::Value("list of an OCSP response's certificates"));
        }
        certificates.push(Certificate::parse(list.any()?.raw)?);
    }
    Ok(certificates)
}

fn any_critical(extensions: &[Extension]) -> bool {
    extensions.iter().any(|extension| extension.critical)
}
