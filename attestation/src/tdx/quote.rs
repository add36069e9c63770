//! A TDX quote as bytes: structure checked, nothing believed.
//!
//! Layout: Intel TDX DCAP Quoting Library API, appendix "Quote Format"; the table is in
//! docs/specs/evidence.md.

use std::fmt;

use crate::cursor::{Cursor, EndsEarly};
use crate::endorsements::pem;
use crate::error::{Code, Refusal};
use crate::tdx::body::{TD10_LEN, TD15_EXTENDED_LEN, TD15_LEN, TdBody};
use crate::tdx::qe::QeReport;
use crate::x509::Certificate;

/// Largest quote that is read, padding included; real ones have five thousand bytes, padded at
/// most to eight.
pub(crate) const MAX_LEN: usize = 64 << 10;
const HEADER_LEN: usize = 48;
/// att_key_type: ECDSA on P-256 with SHA-256, the only one in the field.
const ECDSA_P256: u16 = 2;
const TEE_SGX: u32 = 0;
const TEE_TDX: u32 = 0x81;
/// Intel's QE_VENDOR_ID, 939a7233-f79c-4ca9-940a-0db3957f0607 in the order of its text.
const INTEL: [u8; 16] = *b"\x93\x9a\x72\x33\xf7\x9c\x4c\xa9\x94\x0a\x0d\xb3\x95\x7f\x06\x07";
/// Certification data: a QE report and its own certification data.
const QE_REPORT_DATA: u16 = 6;
/// Certification data: a PCK certificate chain as PEM.
const PCK_CHAIN: u16 = 5;
/// Certificates that a quote's chain may have; a genuine one has three.
const MAX_CHAIN: usize = 8;

/// A quote of version 4 or 5 over a TD's report.
///
/// Its fields are what a stranger wrote until [`crate::verify`] has passed; they help to find the
/// collateral to fetch, and decide nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct TdxQuote {
    /// The quote alone, without what follows it.
    bytes: Vec<u8>,
    version: u16,
    body: TdBody,
    /// The signature covers the bytes before this.
    signed_len: usize,
    signature: [u8; 64],
    attestation_key: [u8; 64],
    qe_report: QeReport,
    qe_signature: [u8; 64],
    qe_auth_data: Vec<u8>,
    chain: Vec<Certificate>,
    /// How many bytes follow the quote, and whether any of them is set.
    trailing: (usize, bool),
}

impl TdxQuote {
    /// Whether `bytes` begin like a DCAP quote of any version and kind of enclave.
    pub(crate) fn looks_like(bytes: &[u8]) -> bool {
        let version_and_key = bytes.first_chunk::<4>().map(|head| (u16::from_le_bytes([head[0], head[1]]), head[2]));
        matches!(version_and_key, Some((3..=5, 2 | 3))) && bytes.get(12..28) == Some(INTEL.as_slice())
    }

    /// Reads a quote from the front of `bytes`; what follows it is never part of it. Refuses with
    /// `PARSE` what has not the structure of a version 4 or 5 quote over a TD's report, and with
    /// `PLATFORM_NOT_ALLOWED` a quote of an SGX enclave.
    pub fn parse(bytes: &[u8]) -> Result<TdxQuote, Refusal> {
        if bytes.len() > MAX_LEN {
            return Err(malformed(format!("a TDX quote of {} bytes, wanted at most {MAX_LEN}", bytes.len())));
        }
        TdxQuote::read(bytes).map_err(|error| match error {
            Error::EndsEarly(at) => malformed(format!("the TDX quote ends inside its {at}")),
            Error::Other(refusal) => refusal,
        })
    }

    /// The quote byte for byte, without any padding it came with.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Version of the layout, 4 or 5.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The TD's report.
    pub fn body(&self) -> &TdBody {
        &self.body
    }

    /// Bytes after the quote, and whether any of them is set. They are never read.
    pub fn trailing(&self) -> (usize, bool) {
        self.trailing
    }

    /// The 64 bytes that the TD had signed.
    pub fn report_data(&self) -> [u8; 64] {
        self.body.report_data
    }

    pub(crate) fn signed_bytes(&self) -> &[u8] {
        self.bytes.get(..self.signed_len).unwrap_or_default()
    }

    pub(crate) fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// The attestation key's point, x and y.
    pub(crate) fn attestation_key(&self) -> &[u8; 64] {
        &self.attestation_key
    }

    pub(crate) fn qe_report(&self) -> &QeReport {
        &self.qe_report
    }

    pub(crate) fn qe_signature(&self) -> &[u8; 64] {
        &self.qe_signature
    }

    pub(crate) fn qe_auth_data(&self) -> &[u8] {
        &self.qe_auth_data
    }

    /// The certificates that the quote carries, in its order; empty when it carries none.
    pub(crate) fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    fn read(bytes: &[u8]) -> Result<TdxQuote, Error> {
        let mut cursor = Cursor::new(bytes);
        let version = read_header(&mut cursor)?;
        let body_len = match version {
            4 => TD10_LEN,
            _ => read_body_kind(&mut cursor)?,
        };
        let body = cursor.slice(body_len).and_then(TdBody::read).map_err(ends("TD report"))?;
        let signed_len = bytes.len().saturating_sub(cursor.rest().len());

        let length = cursor.u32_le().map_err(ends("signature length"))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut signed = Cursor::new(cursor.slice(length).map_err(ends("signature data"))?);
        let signature = signed.array().map_err(ends("signature"))?;
        let attestation_key = signed.array().map_err(ends("attestation key"))?;
        let mut certification = certification_data(&mut signed, "certification data")?;
        exactly(&signed, "signature data")?;
        if certification.kind != QE_REPORT_DATA {
            let found = certification.kind;
            return Err(malformed(format!("certification data of type {found}, wanted 6, a QE report")).into());
        }

        let inner = &mut certification.data;
        let qe_report = inner.array().map(|bytes| QeReport::new(&bytes)).map_err(ends("QE report"))?;
        let qe_signature = inner.array().map_err(ends("QE report's signature"))?;
        let auth_len = inner.u16_le().map_err(ends("QE authentication data"))?;
        let qe_auth_data = inner.slice(usize::from(auth_len)).map_err(ends("QE authentication data"))?.to_vec();
        let pck = certification_data(inner, "PCK certification data")?;
        exactly(inner, "QE certification data")?;

        let (quote, rest) = bytes.split_at(bytes.len().saturating_sub(cursor.rest().len()));
        Ok(TdxQuote {
            bytes: quote.to_vec(),
            version,
            body,
            signed_len,
            signature,
            attestation_key,
            qe_report,
            qe_signature,
            qe_auth_data,
            chain: chain(&pck)?,
            trailing: (rest.len(), rest.iter().any(|byte| *byte != 0)),
        })
    }
}

impl fmt::Debug for TdxQuote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TdxQuote").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Reads the 48 bytes in front; gives the version.
fn read_header(cursor: &mut Cursor<'_>) -> Result<u16, Error> {
    let mut header = Cursor::new(cursor.slice(HEADER_LEN).map_err(ends("header"))?);
    let at = ends("header");
    let (version, key_type) = (header.u16_le().map_err(&at)?, header.u16_le().map_err(&at)?);
    let tee = header.u32_le().map_err(&at)?;
    header.slice(4).map_err(&at)?; // reserved, or SVNs that the signed QE report has too
    let vendor: [u8; 16] = header.array().map_err(&at)?;
    if version == 3 || (matches!(version, 4 | 5) && tee == TEE_SGX) {
        return Err(sgx(version).into());
    }
    if !matches!(version, 4 | 5) {
        return Err(malformed(format!("quote version {version}, wanted 4 or 5")).into());
    }
    if tee != TEE_TDX {
        return Err(malformed(format!("quote of TEE type {tee:#x}, wanted 0x81, TDX")).into());
    }
    if key_type != ECDSA_P256 {
        let wanted = "2, ECDSA P-256 with SHA-256";
        return Err(malformed(format!("attestation key of type {key_type}, wanted {wanted}")).into());
    }
    if vendor != INTEL {
        let found = hex::encode(vendor);
        return Err(malformed(format!("a quoting enclave of vendor {found}, wanted Intel's")).into());
    }
    Ok(version)
}

/// Version 5 names the kind and size of the body; gives the size.
fn read_body_kind(cursor: &mut Cursor<'_>) -> Result<usize, Error> {
    let kind = cursor.u16_le().map_err(ends("body type"))?;
    let size = cursor.u32_le().map_err(ends("body size"))?;
    let wanted = match kind {
        1 => return Err(sgx(5).into()),
        2 => TD10_LEN,
        3 => TD15_LEN,
        4 => TD15_EXTENDED_LEN,
        _ => return Err(malformed(format!("quote body of type {kind}, wanted 2, 3 or 4, a TD's report")).into()),
    };
    if usize::try_from(size) != Ok(wanted) {
        return Err(malformed(format!("quote body of type {kind} with {size} bytes, wanted {wanted}")).into());
    }
    Ok(wanted)
}

struct CertificationData<'a> {
    kind: u16,
    data: Cursor<'a>,
}

fn certification_data<'a>(cursor: &mut Cursor<'a>, at: &'static str) -> Result<CertificationData<'a>, Error> {
    let kind = cursor.u16_le().map_err(ends(at))?;
    let length = cursor.u32_le().map_err(ends(at))?;
    let data = cursor.slice(usize::try_from(length).unwrap_or(usize::MAX)).map_err(ends(at))?;
    Ok(CertificationData { kind, data: Cursor::new(data) })
}

/// The PEM chain. Other kinds of data name the PCK without carrying it: then it must be supplied.
fn chain(pck: &CertificationData<'_>) -> Result<Vec<Certificate>, Refusal> {
    if pck.kind != PCK_CHAIN {
        return Ok(Vec::new());
    }
    let objects = pem::certificates_only(pck.data.rest())?;
    if objects.len() > MAX_CHAIN {
        return Err(malformed(format!("a chain of {} certificates, wanted at most {MAX_CHAIN}", objects.len())));
    }
    let parse = |der: &Vec<u8>| {
        Certificate::parse(der)
            .map_err(|error| malformed(format!("a certificate in the quote cannot be read: {error}")))
    };
    objects.iter().map(parse).collect()
}

fn exactly(cursor: &Cursor<'_>, at: &'static str) -> Result<(), Error> {
    if cursor.is_empty() {
        return Ok(());
    }
    let more = cursor.rest().len();
    Err(malformed(format!("{more} bytes of the quote's {at} belong to nothing")).into())
}

fn sgx(version: u16) -> Refusal {
    let found = format!("an SGX quote (version {version}): an enclave's, and no confidential virtual machine's");
    Refusal::new(Code::PlatformNotAllowed, format!("{found}; wanted a TDX quote, version 4 or 5"))
}

enum Error {
    EndsEarly(&'static str),
    Other(Refusal),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::Other(refusal)
    }
}

fn ends(at: &'static str) -> impl Fn(EndsEarly) -> Error {
    move |_| Error::EndsEarly(at)
}

fn malformed(detail: String) -> Refusal {
    Refusal::new(Code::Parse, detail)
}
