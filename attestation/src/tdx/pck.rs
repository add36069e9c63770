//! What a PCK certificate says of the platform it is for: Intel's extension 1.2.840.113741.1.13.1
//! (Intel SGX PCK Certificate and CRL Profile Specification).

use serde::Serialize;

use crate::der::{DerError, Reader, tag};
use crate::trust_anchors::plain_name;
use crate::x509::Certificate;

/// 1.2.840.113741.1.13.1, encoded. Its parts are below it.
const SGX: [u8; 9] = [0x2A, 0x86, 0x48, 0x86, 0xF8, 0x4D, 1, 0x0D, 1];
const ENUMERATED: u8 = 0x0A;

/// The authority that signed a PCK certificate: each has a revocation list of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PckCa {
    /// Intel SGX PCK Processor CA.
    Processor,
    /// Intel SGX PCK Platform CA.
    Platform,
}

impl PckCa {
    /// The authority with this common name, development mark or not.
    pub(crate) fn of_name(name: &str) -> Option<PckCa> {
        match plain_name(name) {
            "Intel SGX PCK Platform CA" => Some(PckCa::Platform),
            "Intel SGX PCK Processor CA" => Some(PckCa::Processor),
            _ => None,
        }
    }
}

/// The fields of the extension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PckExtension {
    pub(crate) ppid: [u8; 16],
    /// The 16 component SVNs.
    pub(crate) components: [u8; 16],
    pub(crate) pce_svn: u16,
    pub(crate) pce_id: [u8; 2],
    pub(crate) fmspc: [u8; 6],
    pub(crate) platform_instance_id: Option<[u8; 16]>,
    pub(crate) smt_enabled: Option<bool>,
}

impl PckExtension {
    /// Whether the certificate has the extension at all, and so is of a PCK.
    pub(crate) fn is_in(certificate: &Certificate) -> bool {
        certificate.extension(&SGX).is_some()
    }

    /// Reads the extension. Every part stands once, and those that a verdict needs must be there.
    pub(crate) fn read(certificate: &Certificate) -> Result<PckExtension, DerError> {
        let extension = certificate.extension(&SGX).ok_or(DerError::Value("SGX extension"))?;
        let mut outer = Reader::new(&extension.value);
        let mut parts = outer.sequence()?;
        outer.finish()?;
        let mut seen = Once::default();
        let (mut ppid, mut tcb, mut pce_id, mut fmspc) = (None, None, None, None);
        let (mut platform_instance_id, mut smt_enabled) = (None, None);
        while !parts.is_empty() {
            let mut part = parts.sequence()?;
            match seen.arc(part.oid()?, &SGX)? {
                [1] => ppid = Some(octets(&mut part)?),
                [2] => tcb = Some(read_tcb(&mut part)?),
                [3] => pce_id = Some(octets(&mut part)?),
                [4] => fmspc = Some(octets(&mut part)?),
                [5] => drop(part.expect(ENUMERATED)?),
                [6] => platform_instance_id = Some(octets(&mut part)?),
                [7] => smt_enabled = read_configuration(&mut part)?,
                _ => drop(part.any()?),
            }
            part.finish()?;
        }
        let missing = || DerError::Value("SGX extension");
        let (components, pce_svn) = tcb.ok_or_else(missing)?;
        Ok(PckExtension {
            ppid: ppid.ok_or_else(missing)?,
            components,
            pce_svn,
            pce_id: pce_id.ok_or_else(missing)?,
            fmspc: fmspc.ok_or_else(missing)?,
            platform_instance_id,
            smt_enabled,
        })
    }
}

/// The arcs seen so far, so that none counts twice.
#[derive(Default)]
struct Once<'a> {
    seen: Vec<&'a [u8]>,
}

impl<'a> Once<'a> {
    /// The part of `oid` after `prefix`.
    fn arc(&mut self, oid: &'a [u8], prefix: &[u8]) -> Result<&'a [u8], DerError> {
        let arc = oid.strip_prefix(prefix).ok_or(DerError::Value("SGX extension"))?;
        if self.seen.contains(&arc) || self.seen.len() >= 32 {
            return Err(DerError::Value("SGX extension"));
        }
        self.seen.push(arc);
        Ok(arc)
    }
}

/// `.2.1` to `.2.16` are the component SVNs, `.2.17` is PCESVN, `.2.18` CPUSVN (which repeats the
/// components in an order of its own).
fn read_tcb(part: &mut Reader<'_>) -> Result<([u8; 16], u16), DerError> {
    let mut fields = part.sequence()?;
    let mut seen = Once::default();
    let (mut components, mut pce_svn) = ([None; 16], None);
    while !fields.is_empty() {
        let mut field = fields.sequence()?;
        let arc = seen.arc(field.oid()?, &[SGX.as_slice(), &[2]].concat())?;
        match arc {
            [number @ 1..=16] => {
                let svn = field.small()?;
                if let Some(component) = components.get_mut(usize::from(*number).saturating_sub(1)) {
                    *component = Some(svn);
                }
            }
            [17] => pce_svn = Some(u16_of(field.unsigned()?)?),
            [18] => drop(octets::<16>(&mut field)?),
            _ => return Err(DerError::Value("SGX extension")),
        }
        field.finish()?;
    }
    let missing = DerError::Value("SGX extension");
    let mut all = [0; 16];
    for (slot, component) in all.iter_mut().zip(components) {
        *slot = component.ok_or(missing)?;
    }
    Ok((all, pce_svn.ok_or(missing)?))
}

/// `.7.1` dynamic platform, `.7.2` cached keys, `.7.3` SMT enabled; gives the last.
fn read_configuration(part: &mut Reader<'_>) -> Result<Option<bool>, DerError> {
    let mut fields = part.sequence()?;
    let mut seen = Once::default();
    let mut smt = None;
    while !fields.is_empty() {
        let mut field = fields.sequence()?;
        let arc = seen.arc(field.oid()?, &[SGX.as_slice(), &[7]].concat())?;
        let value = match field.expect(tag::BOOLEAN)?.value {
            [0] => false,
            [0xFF] => true,
            _ => return Err(DerError::Value("BOOLEAN")),
        };
        field.finish()?;
        if arc == [3] {
            smt = Some(value);
        }
    }
    Ok(smt)
}

fn octets<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], DerError> {
    reader.expect(tag::OCTET_STRING)?.value.try_into().map_err(|_| DerError::Value("SGX extension"))
}

fn u16_of(bytes: &[u8]) -> Result<u16, DerError> {
    match bytes {
        [low] => Ok(u16::from(*low)),
        [high, low] => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err(DerError::Value("INTEGER")),
    }
}
