//! What vendors say about keys, as a bag of bytes from anywhere: sorted by content, bounded, and
//! believed in nothing. No trust anchor is ever taken from here.

mod certificate_table;
mod pem;

use crate::error::{Code, Refusal};
use crate::x509::{Certificate, RevocationList};

/// Bytes that may be added in all: a hundred times what one platform needs.
const MAX_BYTES: usize = 1 << 20;
/// Certificates a bag holds; a platform needs three, a bundle of all products about twenty.
const MAX_CERTIFICATES: usize = 48;
/// Revocation lists a bag holds; a platform needs one.
const MAX_REVOCATION_LISTS: usize = 12;

/// Untrusted certificates and revocation lists.
#[derive(Clone, Debug, Default)]
pub struct Endorsements {
    certificates: Vec<Certificate>,
    revocation_lists: Vec<RevocationList>,
    bytes: usize,
}

impl Endorsements {
    /// Adds what `bytes` hold, told apart by content: DER certificates and revocation lists (one
    /// or several in a row, zero padding after them), PEM text with any of these, or AMD's
    /// certificate table (which may be empty). The same object twice counts once.
    ///
    /// Refuses with `PARSE` what is none of these or exceeds the limits; the bag then holds what
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
        self.add_objects(bytes)
    }

    pub(crate) fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    pub(crate) fn revocation_lists(&self) -> &[RevocationList] {
        &self.revocation_lists
    }

    /// PEM or DER; tables by GUID say DER and in the field hold PEM.
    fn add_objects(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if pem::is_pem(bytes) {
            for der in pem::objects(bytes)? {
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
                 list ({as_list})"
            ))),
        }
    }

    fn keep_certificate(&mut self, certificate: Certificate) -> Result<(), Refusal> {
        if self.certificates.iter().any(|known| known.der() == certificate.der()) {
            return Ok(());
        }
        if self.certificates.len() >= MAX_CERTIFICATES {
            return Err(malformed(format!("more than {MAX_CERTIFICATES} certificates")));
        }
        self.certificates.push(certificate);
        Ok(())
    }

    fn keep_revocation_list(&mut self, list: RevocationList) -> Result<(), Refusal> {
        if self.revocation_lists.iter().any(|known| known.der() == list.der()) {
            return Ok(());
        }
        if self.revocation_lists.len() >= MAX_REVOCATION_LISTS {
            return Err(malformed(format!("more than {MAX_REVOCATION_LISTS} revocation lists")));
        }
        self.revocation_lists.push(list);
        Ok(())
    }
}

fn malformed(detail: String) -> Refusal {
    Refusal::new(Code::Parse, detail)
}
