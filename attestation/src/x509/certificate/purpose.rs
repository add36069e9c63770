//! What a certificate says that its key is for, and its issuer's name as it is written.

use crate::der::{DerError, Reader, tag};
use crate::x509::{Certificate, oid};

impl Certificate {
    /// Whether the extended key usage names this purpose itself (RFC 5280 4.2.1.12). Absent, unreadable
    /// and "any" are no.
    pub(crate) fn is_for(&self, purpose: &[u8]) -> bool {
        let Some(extension) = self.extension(oid::EXTENDED_KEY_USAGE) else { return false };
        purposes(&extension.value).is_ok_and(|purposes| purposes.contains(&purpose))
    }

    /// Whether nothing in the key usage speaks against signing messages (RFC 5280 4.2.1.3): there is
    /// none, or it has digitalSignature.
    pub(crate) fn may_sign_messages(&self) -> bool {
        self.extension(oid::KEY_USAGE).is_none() || self.may_sign_data()
    }

    /// The issuer's name as this certificate writes it (RFC 5280 4.1.2.4), DER.
    pub(crate) fn issuer_der(&self) -> Result<&[u8], DerError> {
        let mut fields = Reader::new(&self.to_be_signed).sequence()?;
        fields.expect(tag::context(0))?;
        fields.expect(tag::INTEGER)?;
        fields.expect(tag::SEQUENCE)?;
        Ok(fields.expect(tag::SEQUENCE)?.raw)
    }
}

fn purposes(extension: &[u8]) -> Result<Vec<&[u8]>, DerError> {
    let mut outer = Reader::new(extension);
    let mut list = outer.sequence()?;
    outer.finish()?;
    let mut purposes = Vec::new();
    while !list.is_empty() {
        purposes.push(list.oid()?);
    }
    Ok(purposes)
}
