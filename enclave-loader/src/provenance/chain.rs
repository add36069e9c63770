//! A path from a signer's certificate to a root that the caller trusts.

use strongroom_attestation::UnixTime;

use super::certificate::{Certificate, shown_name};
use super::limits::{MAX_CERTIFICATES, MAX_CHAIN_SIGNATURES, MAX_INTERMEDIATES};
use super::{ProvenanceError, pem};

/// Certificates of authorities that a caller trusts to name signers.
#[derive(Clone, Debug)]
pub struct CertificateRoots {
    roots: Vec<Certificate>,
}

impl CertificateRoots {
    /// Reads every certificate of a PEM text.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge`, and `Certificate` where there is none.
    pub fn from_pem(text: &str) -> Result<Self, ProvenanceError> {
        let objects = pem::objects(text)?;
        let ders = objects.iter().filter(|(label, _)| *label == pem::CERTIFICATE);
        Self::read(ders.map(|(_, der)| der.as_slice()))
    }

    pub(super) fn read<'a>(ders: impl Iterator<Item = &'a [u8]>) -> Result<Self, ProvenanceError> {
        let roots: Vec<Certificate> = ders.map(Certificate::read).collect::<Result<_, _>>()?;
        if roots.is_empty() {
            return Err(ProvenanceError::Certificate("no root certificate was given".to_owned()));
        }
        if roots.len() > MAX_CERTIFICATES {
            return Err(ProvenanceError::TooLarge { what: "the roots", limit: MAX_CERTIFICATES });
        }
        Ok(Self { roots })
    }
}

/// Who vouches for a signer's certificate.
#[derive(Debug)]
pub(super) struct Path<'a> {
    /// Whose key signed it.
    pub(super) issuer: &'a Certificate,
    /// The trusted root.
    pub(super) root: &'a Certificate,
}

/// Finds a path from `signer` to a root through any of `bag`, which is untrusted, and checks each
/// step (RFC 5280 6.1, without policies and revocation):
///
/// 1. The signer's certificate is for signing code, is no authority's, and is valid at `at`.
/// 2. Each issuer is an authority that may have as many below it, and is valid at `at`.
/// 3. Each signature verifies, up to a root.
///
/// # Errors
/// `CertificateDates`, and `Certificate` with the reason.
pub(super) fn find_path<'a>(
    signer: &'a Certificate,
    bag: &'a [Certificate],
    roots: &'a CertificateRoots,
    at: UnixTime,
) -> Result<Path<'a>, ProvenanceError> {
    if let Some(unfit) = signer.unfit_to_sign()? {
        return Err(ProvenanceError::Certificate(unfit.to_owned()));
    }
    signer.valid_at(at)?;
    let mut search = Search { bag, roots, at, budget: MAX_CHAIN_SIGNATURES, objection: None };
    let found = search.up_from(&mut vec![signer])?;
    found.ok_or_else(|| {
        search.objection.unwrap_or_else(|| {
            let issuer = shown_name(signer.issuer());
            ProvenanceError::Certificate(format!("no path leads from its issuer, {issuer}, to a root that was given"))
        })
    })
}

struct Search<'a> {
    bag: &'a [Certificate],
    roots: &'a CertificateRoots,
    at: UnixTime,
    /// Signatures that may still be checked: whoever fills the bag chooses how many bear a name.
    budget: u32,
    /// Why an issuer whose signature holds was passed over.
    objection: Option<ProvenanceError>,
}

impl<'a> Search<'a> {
    fn up_from(&mut self, below: &mut Vec<&'a Certificate>) -> Result<Option<Path<'a>>, ProvenanceError> {
        let Some(last) = below.last().copied() else { return Ok(None) };
        let authorities = below.len().saturating_sub(1);
        for root in &self.roots.roots {
            if self.issued(root, last, authorities)? {
                let issuer = below.get(1).copied().unwrap_or(root);
                return Ok(Some(Path { issuer, root }));
            }
        }
        if authorities >= MAX_INTERMEDIATES {
            return Ok(None);
        }
        for issuer in self.bag {
            let again = below.iter().any(|known| known.fingerprint() == issuer.fingerprint());
            if again || !self.issued(issuer, last, authorities)? {
                continue;
            }
            below.push(issuer);
            let path = self.up_from(below)?;
            below.pop();
            if path.is_some() {
                return Ok(path);
            }
        }
        Ok(None)
    }

    /// Whether `issuer` vouches for `certificate`, and may.
    fn issued(
        &mut self,
        issuer: &Certificate,
        certificate: &Certificate,
        below: usize,
    ) -> Result<bool, ProvenanceError> {
        if issuer.subject() != certificate.issuer() {
            return Ok(false);
        }
        let Some(left) = self.budget.checked_sub(1) else { return Ok(false) };
        self.budget = left;
        if !certificate.is_signed_by(issuer) {
            return Ok(false);
        }
        let objection = match issuer.unfit_to_issue(below)? {
            Some(unfit) => Some(ProvenanceError::Certificate(unfit.to_owned())),
            None => issuer.valid_at(self.at).err(),
        };
        let fit = objection.is_none();
        self.objection = objection.or_else(|| self.objection.take());
        Ok(fit)
    }
}
