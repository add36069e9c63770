//! What vendors say about keys, as a bag of bytes from anywhere: sorted by content, bounded, and
//! believed in nothing. No trust anchor is ever taken from here.

mod certificate_table;
mod json;
pub(crate) mod pem;

use std::fmt;

use crate::error::{Code, Refusal};
use crate::hex_bytes::HexBytes;
use crate::nvidia::{self, Manifest, ServiceKeys};
use crate::snp::SnpCertificateKind;
use crate::tdx::{QeIdentity, SignedJson, TcbInfo};
use crate::unix_time::UnixTime;
use crate::x509::{Certificate, OcspResponse, RevocationList};

/// Bytes that may be added in all: a hundred times what one platform needs, ten times what one with
/// eight GPUs and four switches does.
const MAX_BYTES: usize = 4 << 20;
/// Certificates a bag holds; a platform needs three, a bundle of all products about twenty, and each
/// device beside the processor five.
const MAX_CERTIFICATES: usize = 128;
/// Revocation lists a bag holds; a platform needs one.
const MAX_REVOCATION_LISTS: usize = 12;
/// OCSP responses a bag holds; of eight GPUs and four switches each has one of its own, and they share
/// about ten.
const MAX_OCSP_RESPONSES: usize = 64;
/// TCB infos and QE identities a bag holds; a platform needs one of each.
const MAX_SIGNED_JSON: usize = 24;

/// Manifests a bag holds; a machine of GPUs and switches needs three.
const MAX_MANIFESTS: usize = 16;
/// Chains of devices a bag holds; a machine has at most twelve devices.
const MAX_DEVICE_CHAINS: usize = 24;

/// Untrusted certificates, revocation lists, OCSP responses, Intel's TCB infos and QE identities, and
/// NVIDIA's manifests.
#[derive(Clone, Debug, Default)]
pub struct Endorsements {
    certificates: Vec<Certificate>,
    revocation_lists: Vec<RevocationList>,
    ocsp_responses: Vec<OcspResponse>,
    tcb_infos: Vec<TcbInfo>,
    qe_identities: Vec<QeIdentity>,
    manifests: Vec<Manifest>,
    /// Of NVIDIA's remote service, as it publishes them.
    service_keys: ServiceKeys,
    /// Of NVIDIA's devices, each as it came: in order, from the key that signs reports up.
    device_chains: Vec<Vec<Certificate>>,
    bytes: usize,
}

/// One object of the bag, by what it says of itself: enough to see that it need not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endorsement<'a> {
    /// A certificate, DER.
    Certificate(&'a [u8]),
    /// A revocation list, DER.
    RevocationList(&'a [u8]),
    /// An OCSP response, DER.
    OcspResponse(&'a [u8]),
    /// NVIDIA's manifest of a driver or of a firmware.
    Manifest {
        /// The chip, for example "GH100".
        product: &'a str,
        /// The kind of device: "GPU" or "SWITCH".
        edition: &'static str,
        /// The driver's or firmware's version, as devices report it.
        version: &'a str,
        /// Since when its signer's certificate is valid.
        issued: UnixTime,
        /// The earliest end of its certificates.
        expires: UnixTime,
    },
    /// Intel's TCB info for TDX.
    TdxTcbInfo {
        /// The kind of platform.
        fmspc: HexBytes<6>,
        /// issueDate.
        issued: UnixTime,
        /// nextUpdate.
        expires: UnixTime,
    },
    /// Intel's identity of the TD quoting enclave.
    TdQeIdentity {
        /// issueDate.
        issued: UnixTime,
        /// nextUpdate.
        expires: UnixTime,
    },
}

impl Endorsements {
    /// Adds what `bytes` hold, told apart by content: DER certificates, revocation lists and
    /// OCSP responses (one or several in a row, zero padding after them), PEM text with any of these (percent-encoded,
    /// as services put it into headers, too), AMD's certificate table (which may be empty), Intel's
    /// TCB info or QE identity as its service answers, or JSON with these in its fields: the
    /// collateral file of DCAP tools, the answer of Azure's certificate service. The same object
    /// twice counts once.
    ///
    /// Refuses with `PARSE` what is none of these or exceeds the limits, and an OCSP response that is an
    /// error of the responder: it says nothing of any certificate. The bag then holds what
    /// it held before and perhaps some of the objects before the bad one, which is harmless
    /// because all of them are checked when used.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MAX_BYTES {
            return Err(malformed(format!("the endorsements are larger than {MAX_BYTES} bytes")));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(entries) = certificate_table::entries(bytes) {
            for entry in entries? {
                self.add_objects(entry)?;
            }
            return Ok(());
        }
        if Manifest::looks_like(bytes) {
            return self.keep_manifest(Manifest::parse(bytes)?);
        }
        match json::text(bytes) {
            Some(text) => self.add_json(text),
            None => self.add_objects(bytes),
        }
    }

    /// Adds AMD's certificate table, and nothing else.
    pub(crate) fn add_table(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        match certificate_table::entries(bytes) {
            Some(_) => self.add(bytes),
            None => Err(malformed("what follows the SNP report is no certificate table".to_owned())),
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
            && self.revocation_lists.is_empty()
            && self.ocsp_responses.is_empty()
            && self.tcb_infos.is_empty()
            && self.qe_identities.is_empty()
            && self.manifests.is_empty()
            && self.service_keys == ServiceKeys::default()
            && self.device_chains.is_empty()
    }

    /// Every object in the bag, in no order that means anything.
    pub fn objects(&self) -> impl Iterator<Item = Endorsement<'_>> {
        let certificates = self.certificates.iter().map(|certificate| Endorsement::Certificate(certificate.der()));
        let lists = self.revocation_lists.iter().map(|list| Endorsement::RevocationList(list.der()));
        let responses = self.ocsp_responses.iter().map(|response| Endorsement::OcspResponse(response.der()));
        let tcb_infos = self.tcb_infos.iter().filter(|info| info.is_tdx()).map(|info| Endorsement::TdxTcbInfo {
            fmspc: info.fields.fmspc,
            issued: info.fields.issue_date,
            expires: info.fields.next_update,
        });
        let identities = self.qe_identities.iter().filter(|identity| identity.is_td_qe());
        let identities = identities.map(|identity| Endorsement::TdQeIdentity {
            issued: identity.fields.issue_date,
            expires: identity.fields.next_update,
        });
        let manifests = self.manifests.iter().filter_map(|manifest| {
            Some(Endorsement::Manifest {
                product: manifest.product(),
                edition: manifest.edition().as_str(),
                version: manifest.colloquial_version(),
                issued: manifest.certificates().first()?.not_before,
                expires: manifest.certificates().iter().map(|certificate| certificate.not_after).min()?,
            })
        });
        certificates.chain(lists).chain(responses).chain(tcb_infos).chain(identities).chain(manifests)
    }

    /// The certificates that AMD's table has a place for, DER, by what their names claim.
    pub fn snp_certificates(&self) -> impl Iterator<Item = (SnpCertificateKind, &[u8])> {
        self.certificates
            .iter()
            .filter_map(|certificate| Some((SnpCertificateKind::claimed(certificate)?, certificate.der())))
    }

    pub(crate) fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    pub(crate) fn revocation_lists(&self) -> &[RevocationList] {
        &self.revocation_lists
    }

    pub(crate) fn ocsp_responses(&self) -> &[OcspResponse] {
        &self.ocsp_responses
    }

    pub(crate) fn tcb_infos(&self) -> &[TcbInfo] {
        &self.tcb_infos
    }

    pub(crate) fn qe_identities(&self) -> &[QeIdentity] {
        &self.qe_identities
    }

    pub(crate) fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    pub(crate) fn service_keys(&self) -> &ServiceKeys {
        &self.service_keys
    }

    pub(crate) fn device_chains(&self) -> &[Vec<Certificate>] {
        &self.device_chains
    }

    fn add_json(&mut self, text: &str) -> Result<(), Refusal> {
        if let Some(signed) = SignedJson::read(text) {
            return self.keep_signed_json(signed?);
        }
        if json::is_key_set(text) {
            self.service_keys = ServiceKeys::parse(text.as_bytes())?;
            return Ok(());
        }
        let contents = json::contents(text)?;
        for signed in contents.signed {
            self.keep_signed_json(signed)?;
        }
        for bytes in contents.objects {
            self.add_objects(&bytes)?;
        }
        Ok(())
    }

    fn keep_signed_json(&mut self, signed: SignedJson) -> Result<(), Refusal> {
        if self.tcb_infos.len().saturating_add(self.qe_identities.len()) >= MAX_SIGNED_JSON {
            return Err(malformed(format!("more than {MAX_SIGNED_JSON} TCB infos and QE identities")));
        }
        match signed {
            SignedJson::TcbInfo(info) if !self.tcb_infos.contains(&info) => self.tcb_infos.push(*info),
            SignedJson::QeIdentity(identity) if !self.qe_identities.contains(&identity) => {
                self.qe_identities.push(*identity);
            }
            SignedJson::TcbInfo(_) | SignedJson::QeIdentity(_) => {}
        }
        Ok(())
    }

    /// PEM or DER; tables by GUID say DER and in the field hold PEM.
    fn add_objects(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if pem::is_pem(bytes) {
            let objects = pem::objects(bytes)?;
            if objects.first().and_then(|first| Certificate::parse(first).ok()).is_some_and(|it| nvidia::is_leaf(&it)) {
                return self.keep_device_chain(device_chain(bytes)?);
            }
            for der in objects {
                self.add_der(&der)?;
            }
            return Ok(());
        }
        self.add_der(bytes)
    }

    fn add_der(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut rest = bytes;
        loop {
            rest = self.add_one(rest)?;
            // Memory of fixed size is handed over with what it was padded with.
            if rest.iter().all(|byte| *byte == 0) {
                return Ok(());
            }
        }
    }

    /// Adds the object at the front and returns what follows it.
    fn add_one<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Refusal> {
        if OcspResponse::looks_like(bytes) {
            let (response, rest) =
                OcspResponse::read(bytes).map_err(|error| malformed(format!("an OCSP response: {error}")))?;
            self.keep_ocsp_response(response)?;
            return Ok(rest);
        }
        let as_certificate = match Certificate::read(bytes) {
            Ok((certificate, rest)) => {
                self.keep_certificate(certificate)?;
                return Ok(rest);
            }
            Err(error) => error,
        };
        match RevocationList::read(bytes) {
            Ok((list, rest)) => {
                self.keep_revocation_list(list)?;
                Ok(rest)
            }
            Err(as_list) => Err(malformed(format!(
                "an endorsement is neither a certificate ({as_certificate}) nor a revocation \
                 list ({as_list}) nor an OCSP response"
            ))),
        }
    }

    fn keep_manifest(&mut self, manifest: Manifest) -> Result<(), Refusal> {
        keep(&mut self.manifests, manifest, MAX_MANIFESTS, format_args!("more than {MAX_MANIFESTS} manifests"))
    }

    fn keep_device_chain(&mut self, chain: Vec<Certificate>) -> Result<(), Refusal> {
        let too_many = format_args!("certificates of more than {MAX_DEVICE_CHAINS} devices");
        keep(&mut self.device_chains, chain, MAX_DEVICE_CHAINS, too_many)
    }

    fn keep_certificate(&mut self, certificate: Certificate) -> Result<(), Refusal> {
        let too_many = format_args!("more than {MAX_CERTIFICATES} certificates");
        keep(&mut self.certificates, certificate, MAX_CERTIFICATES, too_many)
    }

    fn keep_revocation_list(&mut self, list: RevocationList) -> Result<(), Refusal> {
        let too_many = format_args!("more than {MAX_REVOCATION_LISTS} revocation lists");
        keep(&mut self.revocation_lists, list, MAX_REVOCATION_LISTS, too_many)
    }

    fn keep_ocsp_response(&mut self, response: OcspResponse) -> Result<(), Refusal> {
        let too_many = format_args!("more than {MAX_OCSP_RESPONSES} OCSP responses");
        keep(&mut self.ocsp_responses, response, MAX_OCSP_RESPONSES, too_many)
    }
}

/// Adds what is not there yet; refuses with `too_many` where there are `most` already.
fn keep<T: PartialEq>(place: &mut Vec<T>, value: T, most: usize, too_many: fmt::Arguments<'_>) -> Result<(), Refusal> {
    if place.contains(&value) {
        return Ok(());
    }
    if place.len() >= most {
        return Err(malformed(too_many.to_string()));
    }
    place.push(value);
    Ok(())
}

/// The certificates of a device's PEM text, in its order; nothing else may be in it, as devices write it.
pub(crate) fn device_chain(text: &[u8]) -> Result<Vec<Certificate>, Refusal> {
    let objects = pem::certificates_only(text)?;
    let read = |der: &Vec<u8>| {
        Certificate::parse(der).map_err(|error| malformed(format!("a certificate of a device: {error}")))
    };
    objects.iter().map(read).collect()
}

fn malformed(detail: String) -> Refusal {
    Refusal::new(Code::Parse, detail)
}
