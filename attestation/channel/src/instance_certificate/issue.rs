//! Writing certificates: the tenant's instance CA, and an instance's certificate.

use sha2::{Digest as _, Sha256};
use strongroom_attestation::UnixTime;
use x509_cert::der::asn1::{Ia5String, OctetString};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{self, DateTime, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

use super::parse::{CLAIMS_OID, ED25519, Parsed, TIME_LIMIT};
use super::{CertificateError, InstanceClaims, is_tenant, spiffe_path};
use crate::cose::{SigningKey, VerifyingKey};
use crate::trust_file::Environment;

/// The certificate of a tenant's instance CA, signed by itself. A development CA says so in
/// its name for ever (protocol.md 5.3).
pub fn make_ca(
    ca: &SigningKey,
    tenant: &str,
    environment: Environment,
    not_before: UnixTime,
    not_after: UnixTime,
) -> Result<Vec<u8>, CertificateError> {
    let title = match environment {
        Environment::Production => "Strongroom instance CA",
        Environment::Development => "Strongroom instance CA DEVELOPMENT - NOT A TEE",
    };
    let name = name(title, tenant)?;
    let key = ca.verifying_key();
    let usage = KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign);
    let extensions = [
        extension(true, &BasicConstraints { ca: true, path_len_constraint: Some(0) }),
        extension(true, &usage),
        extension(false, &SubjectKeyIdentifier(key_identifier(&key)?)),
    ];
    sign(ca, &name, &name, &key, not_before, not_after, &collect(extensions)?)
}

/// An instance's certificate over `key`. The broker issues it in the transaction of a
/// successful release and renews it with the heartbeat; it never outlives the lease (the
/// caller's duty) nor the CA (an error here).
pub fn issue(
    ca: &SigningKey,
    ca_cert_der: &[u8],
    claims: &InstanceClaims,
    key: &VerifyingKey,
    not_before: UnixTime,
    not_after: UnixTime,
    tenant: &str,
) -> Result<Vec<u8>, CertificateError> {
    let ca_certificate = Parsed::read("the instance CA's certificate", ca_cert_der)?;
    ca_certificate.require_ca()?;
    if ca_certificate.key != ca.verifying_key() {
        return Err(CertificateError::Issue { wanted: "the CA's certificate to be over the CA's key" });
    }
    if not_after > ca_certificate.not_after {
        return Err(CertificateError::Issue { wanted: "an end no later than the CA's own" });
    }
    if !claims.is_sound() {
        return Err(CertificateError::Issue { wanted: "claims within their limits, ueids sorted" });
    }
    let subject = name(&hex::encode(claims.instance_id), tenant)?;
    let id = format!("spiffe://{tenant}{}", spiffe_path(claims));
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(key_identifier(&ca.verifying_key())?),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    let extensions = [
        extension(true, &BasicConstraints { ca: false, path_len_constraint: None }),
        extension(true, &KeyUsage(KeyUsages::DigitalSignature.into())),
        extension(
            false,
            &SubjectAltName(vec![GeneralName::UniformResourceIdentifier(Ia5String::new(&id).map_err(unencodable)?)]),
        ),
        extension(false, &SubjectKeyIdentifier(key_identifier(key)?)),
        extension(false, &authority),
        OctetString::new(claims.encode()).map(|extn_value| Extension {
            extn_id: CLAIMS_OID,
            critical: false,
            extn_value,
        }),
    ];
    sign(ca, ca_certificate.subject(), &subject, key, not_before, not_after, &collect(extensions)?)
}

/// Encodes the TBSCertificate (RFC 5280 section 4.1) and signs it (RFC 8410).
fn sign(
    ca: &SigningKey,
    issuer: &Name,
    subject: &Name,
    key: &VerifyingKey,
    not_before: UnixTime,
    not_after: UnixTime,
    extensions: &Vec<Extension>,
) -> Result<Vec<u8>, CertificateError> {
    if not_before >= not_after {
        return Err(CertificateError::Issue { wanted: "an end after the beginning" });
    }
    let serial = serial_number(key, not_before, not_after)?;
    let validity: Validity = Validity::new(time(not_before)?, time(not_after)?);
    let encoded = || -> der::Result<[Vec<u8>; 5]> {
        Ok([serial.to_der()?, issuer.to_der()?, validity.to_der()?, subject.to_der()?, extensions.to_der()?])
    };
    let [serial, issuer, validity, subject, extensions] = encoded().map_err(unencodable)?;
    let version_3 = [0xa0, 0x03, 0x02, 0x01, 0x02];
    let public_key = tlv(0x03, &[&[0], &key.to_bytes()]);
    let key_info = tlv(0x30, &[&ED25519, &public_key]);
    let extensions = tlv(0xa3, &[&extensions]);
    let tbs = tlv(0x30, &[&version_3, &serial, &ED25519, &issuer, &validity, &subject, &key_info, &extensions]);
    let signature = tlv(0x03, &[&[0], &ca.sign_raw(&tbs)]);
    Ok(tlv(0x30, &[&tbs, &ED25519, &signature]))
}

/// One DER element: tag, definite length in its shortest form, contents.
fn tlv(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let length = contents.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut element = vec![tag];
    match significant.as_slice() {
        [] => element.push(0),
        [short] if *short < 0x80 => element.push(*short),
        // At most eight bytes, so the count fits beside the long form's flag.
        long => {
            element.push(0x80 | u8::try_from(long.len()).unwrap_or(0x7f));
            element.extend_from_slice(long);
        }
    }
    element.extend_from_slice(&contents);
    element
}

/// Unlike for each certificate without asking for randomness: a hash of what makes it unlike.
fn serial_number(
    key: &VerifyingKey,
    not_before: UnixTime,
    not_after: UnixTime,
) -> Result<SerialNumber, CertificateError> {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(key.to_bytes())
        .chain_update(not_before.as_secs().to_be_bytes())
        .chain_update(not_after.as_secs().to_be_bytes())
        .finalize()
        .into();
    let mut serial = [0x40; 16];
    for (to, from) in serial.iter_mut().skip(1).zip(hash) {
        *to = from;
    }
    SerialNumber::new(&serial).map_err(unencodable)
}

fn key_identifier(key: &VerifyingKey) -> Result<OctetString, CertificateError> {
    // RFC 7093 section 2, method 1: the leftmost 160 bits of SHA-256 of the key.
    OctetString::new(key.thumbprint().into_iter().take(20).collect::<Vec<u8>>()).map_err(unencodable)
}

fn name(common_name: &str, tenant: &str) -> Result<Name, CertificateError> {
    if !is_tenant(tenant) {
        return Err(CertificateError::Issue { wanted: "a tenant's name of 1 to 63 of a-z, 0-9, '.', '-' and '_'" });
    }
    // Both parts are of characters that RFC 4514 takes as they are.
    format!("CN={common_name},O={tenant}").parse().map_err(unencodable)
}

/// RFC 5280 section 4.1.2.5: UTCTime through 2049, which the encoder of `Validity` chooses.
fn time(at: UnixTime) -> Result<Time, CertificateError> {
    if at.as_secs() >= TIME_LIMIT {
        return Err(CertificateError::Issue { wanted: "dates before the year 10000" });
    }
    DateTime::from_unix_duration(std::time::Duration::from_secs(at.as_secs())).map(Time::from).map_err(unencodable)
}

fn extension<T: Encode + AssociatedOid>(critical: bool, value: &T) -> der::Result<Extension> {
    Ok(Extension { extn_id: T::OID, critical, extn_value: OctetString::new(value.to_der()?)? })
}

fn collect<const N: usize>(extensions: [der::Result<Extension>; N]) -> Result<Vec<Extension>, CertificateError> {
    extensions.into_iter().collect::<der::Result<_>>().map_err(unencodable)
}

fn unencodable(_: der::Error) -> CertificateError {
    CertificateError::Issue { wanted: "values that DER can hold" }
}
