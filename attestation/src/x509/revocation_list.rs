//! One certificate revocation list (RFC 5280 section 5).

use crate::der::{DerError, Reader, tag};
use crate::remembered::Remembered;
use crate::unix_time::UnixTime;
use crate::x509::certificate::extensions;
use crate::x509::{Certificate, Extension, Name, SignatureAlgorithm, signature_algorithm};

/// Serial numbers a list may name; AMD's name at most one today.
const MAX_REVOKED: usize = 4096;

/// A revocation list read once and kept as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RevocationList {
    der: Vec<u8>,
    to_be_signed: Vec<u8>,
    pub(crate) issuer: Name,
    pub(crate) this_update: UnixTime,
    /// Absent means: valid for ever; that is never accepted here.
    pub(crate) next_update: Option<UnixTime>,
    revoked: Vec<Vec<u8>>,
    /// A critical extension of the list or of an entry, which this reader cannot honour.
    pub(crate) has_critical_extension: bool,
    algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
}

impl RevocationList {
    /// Reads the list at the front of `bytes`, and says what follows it.
    pub(crate) fn read(bytes: &[u8]) -> Result<(RevocationList, &[u8]), DerError> {
        let mut input = Reader::new(bytes);
        let whole = input.expect(tag::SEQUENCE)?;
        let mut parts = whole.reader();
        let to_be_signed = parts.expect(tag::SEQUENCE)?;
        let outer_algorithm = parts.expect(tag::SEQUENCE)?;
        let signature = parts.whole_bits()?.to_vec();
        parts.finish()?;

        let mut fields = to_be_signed.reader();
        if fields.small()? != 1 {
            return Err(DerError::Value("revocation list version"));
        }
        let inner_algorithm = fields.expect(tag::SEQUENCE)?;
        if inner_algorithm.raw != outer_algorithm.raw {
            return Err(DerError::Value("signature algorithm"));
        }
        let issuer = Name::read(&mut fields)?;
        let this_update = fields.time()?;
        let next_update = match fields.peek() {
            Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => Some(fields.time()?),
            _ => None,
        };
        let mut has_critical_extension = false;
        let mut revoked = Vec::new();
        if let Some(entries) = fields.optional(tag::SEQUENCE)? {
            let mut entries = entries.reader();
            while !entries.is_empty() {
                let mut entry = entries.sequence()?;
                revoked.push(entry.unsigned()?.to_vec());
                entry.time()?;
                if !entry.is_empty() {
                    has_critical_extension |= any_critical(&extensions(entry)?);
                }
                if revoked.len() > MAX_REVOKED {
                    return Err(DerError::Value("revocation list"));
                }
            }
        }
        if let Some(element) = fields.optional(tag::context(0))? {
            has_critical_extension |= any_critical(&extensions(element.reader())?);
        }
        fields.finish()?;

        let list = RevocationList {
            der: whole.raw.to_vec(),
            to_be_signed: to_be_signed.raw.to_vec(),
            issuer,
            this_update,
            next_update,
            revoked,
            has_critical_extension,
            algorithm: signature_algorithm(inner_algorithm.raw)?,
            signature,
        };
        Ok((list, input.rest()))
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether `issuer` is named as the issuer and its key made the signature, now or as it is
    /// remembered.
    pub(crate) fn is_signed_by(&self, issuer: &Certificate, remembered: &Remembered) -> bool {
        let parts = [self.algorithm.name(), issuer.public_key.bytes(), &self.to_be_signed, &self.signature];
        let verifies = || issuer.verify(self.algorithm, &self.to_be_signed, &self.signature).is_ok();
        self.issuer == issuer.subject && remembered.holds(parts, verifies)
    }

    /// How many serial numbers it names.
    pub(crate) fn len(&self) -> usize {
        self.revoked.len()
    }

    pub(crate) fn revokes(&self, serial: &[u8]) -> bool {
        self.revoked.iter().any(|revoked| revoked == serial)
    }
}

fn any_critical(extensions: &[Extension]) -> bool {
    extensions.iter().any(|extension| extension.critical)
}
