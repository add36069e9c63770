//! Extensions that NVIDIA's certificates have and the other vendors' here have not.

use x509_cert::der::Error;

use super::{
    architecture::NvidiaArchitecture,
    measurement::{Measurement, ZERO},
};
use crate::{
    der::{Der, explicit, implicit, integer, null, object_identifier, octet_string, sequence, utf8_string},
    extension::extension,
};

const SHA384: &str = "2.16.840.1.101.3.4.2.2";
const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";
const OCSP_NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";
const OCSP_URL: &str = "http://ocsp.simulated-nvidia.invalid";

/// Where one would ask whether the certificate is revoked.
pub(crate) fn responder_location() -> Result<Der, Error> {
    let location = sequence(&[&object_identifier("1.3.6.1.5.5.7.48.1")?, &implicit(6, OCSP_URL.as_bytes())?])?;
    extension("1.3.6.1.5.5.7.1.1", false, &sequence(&[&location])?)
}

/// The device's name and serial number, as the TPM profile of DICE has them.
pub(crate) fn device_alternative_name(chip: &str, serial: [u8; 8]) -> Result<Der, Error> {
    let text = format!("NVIDIA:{chip}:{}", hex::encode_upper(serial));
    let value = explicit(0, &utf8_string(&text)?)?;
    let other_name = [object_identifier("1.3.6.1.4.1.412.274.1")?, value].concat();
    extension("2.5.29.17", false, &sequence(&[&explicit(0, &other_name)?])?)
}

/// The digest of the firmware that holds the leaf's key, in the form of the line: Hopper and
/// LS10 with the key of the device below it, Blackwell within what the TCG calls "TCB info".
pub(crate) fn firmware_identity(
    architecture: NvidiaArchitecture,
    brom_key_info: &[u8],
    fwid: &Measurement,
) -> Result<Der, Error> {
    match architecture {
        NvidiaArchitecture::Hopper | NvidiaArchitecture::Ls10 => {
            let value = sequence(&[&integer(1)?, brom_key_info, &digest(fwid)?])?;
            extension("2.23.133.5.4.1", false, &value)
        }
        NvidiaArchitecture::Blackwell => {
            let value = sequence(&[
                &implicit(0, b"NVIDIA")?,
                &implicit(1, architecture.device_name().as_bytes())?,
                &implicit(2, b"01")?,
                &implicit(3, &[1])?, // security version
                &implicit(4, &[0])?, // layer
                &implicit(5, &[0])?, // index
                &explicit(6, &[digest(fwid)?, digest(&ZERO)?].concat())?,
                &implicit(7, &[0, 0x80, 0, 0, 1])?, // flags
                &implicit(8, &[0xc0])?,             // the vendor's own
                &implicit(9, &[0])?,                // type
            ])?;
            extension("2.23.133.5.4.1.1", false, &value)
        }
    }
}

/// What a responder's key is for: answers, which need no answer about the responder itself.
/// Responders of devices say the latter among the purposes, those of manifests beside them.
pub(crate) fn answers(of_devices: bool) -> Result<Der, Error> {
    let mut purposes = object_identifier(OCSP_SIGNING)?;
    if of_devices {
        purposes.append(&mut object_identifier(OCSP_NO_CHECK)?);
    }
    let purposes = extension("2.5.29.37", true, &sequence(&[&purposes])?)?;
    let no_check = if of_devices { Vec::new() } else { extension(OCSP_NO_CHECK, false, &null()?)? };
    Ok([purposes, no_check].concat())
}

/// Another purpose than answering, for the fault of that name.
pub(crate) fn authenticates_servers() -> Result<Der, Error> {
    extension("2.5.29.37", true, &sequence(&[&object_identifier("1.3.6.1.5.5.7.3.1")?])?)
}

/// Not a certificate authority, and not critical: so responders have it.
pub(crate) fn no_authority_uncritical() -> Result<Der, Error> {
    extension("2.5.29.19", false, &sequence(&[])?)
}

/// SHA-384 and a digest.
fn digest(value: &Measurement) -> Result<Der, Error> {
    sequence(&[&object_identifier(SHA384)?, &octet_string(value)?])
}
