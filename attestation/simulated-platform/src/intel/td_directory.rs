//! A trust domain's folder: its platform's two private keys, its certificates and collateral,
//! and what the TD is. No key of the vendor is in it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    collateral::IntelCollateral,
    event_log::{Event, EventLog},
    pck::PckCa,
    platform::Platform,
    quote::QuoteFormat,
    td::SimulatedTd,
    td_body::TdBody,
};
use crate::{
    directory::{
        Access, FORMAT, create, problem, read, read_toml, require_certificate_of, require_format, write, write_toml,
    },
    error::SimulationError,
    keys::elliptic::{Curve, EllipticKey},
};

const DESCRIPTION: &str = "td.toml";
const PCK_KEY: &str = "pck-key.der";
const ATTESTATION_KEY: &str = "attestation-key.der";
const PCK_CHAIN: &str = "pck-chain.pem";
const TCB_INFO: &str = "tcb-info.json";
const TCB_INFO_CHAIN: &str = "tcb-info-chain.pem";
const QE_IDENTITY: &str = "qe-identity.json";
const QE_IDENTITY_CHAIN: &str = "qe-identity-chain.pem";
const ROOT_CRL: &str = "root-crl.der";
const PCK_CRL: &str = "pck-crl.der";
const PCK_CRL_CHAIN: &str = "pck-crl-chain.pem";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u32,
    /// "platform" or "processor".
    pck_ca: String,
    /// "v4", "v5-td10" or "v5-td15".
    quote: String,
    padding: usize,
    platform: PlatformDescription,
    body: BodyDescription,
    #[serde(default)]
    event: Vec<EventDescription>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlatformDescription {
    #[serde(with = "hex::serde")]
    ppid: [u8; 16],
    #[serde(with = "hex::serde")]
    cpusvn: [u8; 16],
    pcesvn: u16,
    #[serde(with = "hex::serde")]
    pceid: [u8; 2],
    #[serde(with = "hex::serde")]
    fmspc: [u8; 6],
    #[serde(with = "hex::serde")]
    instance: [u8; 16],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyDescription {
    #[serde(with = "hex::serde")]
    tee_tcb_svn: [u8; 16],
    #[serde(with = "hex::serde")]
    mr_seam: [u8; 48],
    #[serde(with = "hex::serde")]
    mr_signer_seam: [u8; 48],
    /// Little-endian, as in a quote; a number of TOML has a sign.
    #[serde(with = "hex::serde")]
    seam_attributes: [u8; 8],
    #[serde(with = "hex::serde")]
    td_attributes: [u8; 8],
    #[serde(with = "hex::serde")]
    xfam: [u8; 8],
    #[serde(with = "hex::serde")]
    mr_td: [u8; 48],
    #[serde(with = "hex::serde")]
    mr_config_id: [u8; 48],
    #[serde(with = "hex::serde")]
    mr_owner: [u8; 48],
    #[serde(with = "hex::serde")]
    mr_owner_config: [u8; 48],
    #[serde(with = "hex::serde")]
    rtmr0: [u8; 48],
    #[serde(with = "hex::serde")]
    rtmr1: [u8; 48],
    #[serde(with = "hex::serde")]
    rtmr2: [u8; 48],
    #[serde(with = "hex::serde")]
    rtmr3: [u8; 48],
    #[serde(with = "hex::serde")]
    tee_tcb_svn2: [u8; 16],
    #[serde(with = "hex::serde")]
    mr_service_td: [u8; 48],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventDescription {
    register: u8,
    event_type: u32,
    #[serde(with = "hex::serde")]
    digest: [u8; 48],
    name: String,
    #[serde(with = "hex::serde")]
    payload: Vec<u8>,
}

impl SimulatedTd {
    /// Writes the TD to a folder, which is made where there is none: `td.toml`, `pck-key.der`
    /// and `attestation-key.der` (PKCS#8, mode 0600 on Unix), `pck-chain.pem`, and the
    /// collateral, a file each.
    ///
    /// # Errors
    /// [`SimulationError::Io`], also where one of the files exists already;
    /// [`SimulationError::Incomplete`] where a part of the collateral is absent.
    pub fn to_directory(&self, directory: &Path) -> Result<(), SimulationError> {
        create(directory)?;
        write(directory, PCK_KEY, &self.pck_key.to_pkcs8()?, Access::OwnerOnly)?;
        write(directory, ATTESTATION_KEY, &self.attestation_key.to_pkcs8()?, Access::OwnerOnly)?;
        write(directory, PCK_CHAIN, self.pck_chain(), Access::Public)?;
        let collateral = self.collateral();
        for (name, part) in [
            (TCB_INFO, collateral.tcb_info.as_deref().map(str::as_bytes)),
            (TCB_INFO_CHAIN, collateral.tcb_info_issuer_chain.as_deref().map(str::as_bytes)),
            (QE_IDENTITY, collateral.qe_identity.as_deref().map(str::as_bytes)),
            (QE_IDENTITY_CHAIN, collateral.qe_identity_issuer_chain.as_deref().map(str::as_bytes)),
            (ROOT_CRL, collateral.root_ca_crl.as_deref()),
            (PCK_CRL, collateral.pck_crl.as_deref()),
            (PCK_CRL_CHAIN, collateral.pck_crl_issuer_chain.as_deref().map(str::as_bytes)),
        ] {
            let part = part.ok_or(SimulationError::Incomplete { what: name })?;
            write(directory, name, part, Access::Public)?;
        }
        write_toml(directory, DESCRIPTION, &self.description())
    }

    /// Reads a TD that [`to_directory`](Self::to_directory) wrote.
    ///
    /// # Errors
    /// [`SimulationError::Io`], [`SimulationError::Key`] or [`SimulationError::Directory`],
    /// the last also where the PCK certificate is not for the key beside it.
    pub fn from_directory(directory: &Path) -> Result<Self, SimulationError> {
        let description: Description = read_toml(directory, DESCRIPTION)?;
        require_format(directory, DESCRIPTION, description.format)?;
        let ca = ca_from_name(&description.pck_ca)
            .ok_or_else(|| problem(directory, DESCRIPTION, "names no known PCK authority"))?;
        let format = format_from_name(&description.quote)
            .ok_or_else(|| problem(directory, DESCRIPTION, "names no known form of quotes"))?;
        let key = |name, what| EllipticKey::from_pkcs8(Curve::P256, &read(directory, name)?, what);
        let pck_key = key(PCK_KEY, "the platform's PCK key")?;
        let pck_chain = read(directory, PCK_CHAIN)?.to_vec();
        let leaf = first_certificate(&pck_chain).ok_or_else(|| problem(directory, PCK_CHAIN, "is no PEM"))?;
        require_certificate_of(directory, PCK_CHAIN, &leaf, &pck_key.public_key_info()?)?;
        let bytes = |name| read(directory, name).map(|content| Some(content.to_vec()));
        let text = |name| {
            let content = read(directory, name)?;
            let text = str::from_utf8(&content).map_err(|error| problem(directory, name, error))?;
            Ok::<_, SimulationError>(Some(text.to_owned()))
        };
        let collateral = IntelCollateral {
            tcb_info: text(TCB_INFO)?,
            tcb_info_issuer_chain: text(TCB_INFO_CHAIN)?,
            qe_identity: text(QE_IDENTITY)?,
            qe_identity_issuer_chain: text(QE_IDENTITY_CHAIN)?,
            root_ca_crl: bytes(ROOT_CRL)?,
            pck_crl: bytes(PCK_CRL)?,
            pck_crl_issuer_chain: text(PCK_CRL_CHAIN)?,
        };
        Ok(Self {
            platform: description.platform.of(ca),
            pck_key,
            attestation_key: key(ATTESTATION_KEY, "the platform's attestation key")?,
            body: description.body.into(),
            format,
            padding: description.padding,
            event_log: EventLog { events: description.event.into_iter().map(Event::from).collect() },
            pck_chain,
            collateral,
        })
    }

    fn description(&self) -> Description {
        let Platform { ca, ppid, cpusvn, pcesvn, pceid, fmspc, instance } = self.platform.clone();
        Description {
            format: FORMAT,
            pck_ca: ca_name(ca).to_owned(),
            quote: format_name(self.format).to_owned(),
            padding: self.padding,
            platform: PlatformDescription { ppid, cpusvn, pcesvn, pceid, fmspc, instance },
            body: self.body.clone().into(),
            event: self.event_log.events.iter().cloned().map(EventDescription::from).collect(),
        }
    }
}

fn ca_name(ca: PckCa) -> &'static str {
    match ca {
        PckCa::Platform => "platform",
        PckCa::Processor => "processor",
    }
}

fn ca_from_name(name: &str) -> Option<PckCa> {
    PckCa::ALL.into_iter().find(|ca| ca_name(*ca) == name)
}

fn format_name(format: QuoteFormat) -> &'static str {
    match format {
        QuoteFormat::V4 => "v4",
        QuoteFormat::V5Td10 => "v5-td10",
        QuoteFormat::V5Td15 => "v5-td15",
    }
}

fn format_from_name(name: &str) -> Option<QuoteFormat> {
    QuoteFormat::ALL.into_iter().find(|format| format_name(*format) == name)
}

/// DER of the first certificate in a chain of PEM.
fn first_certificate(chain: &[u8]) -> Option<Vec<u8>> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = str::from_utf8(chain).ok()?;
    let first = text.get(..text.find(END)? + END.len())?;
    let (label, der) = x509_cert::der::pem::decode_vec(first.as_bytes()).ok()?;
    (label == "CERTIFICATE").then_some(der)
}

impl PlatformDescription {
    fn of(self, ca: PckCa) -> Platform {
        let Self { ppid, cpusvn, pcesvn, pceid, fmspc, instance } = self;
        Platform { ca, ppid, cpusvn, pcesvn, pceid, fmspc, instance }
    }
}

impl From<TdBody> for BodyDescription {
    fn from(body: TdBody) -> Self {
        let [rtmr0, rtmr1, rtmr2, rtmr3] = body.rtmrs;
        Self {
            tee_tcb_svn: body.tee_tcb_svn,
            mr_seam: body.mr_seam,
            mr_signer_seam: body.mr_signer_seam,
            seam_attributes: body.seam_attributes.to_le_bytes(),
            td_attributes: body.td_attributes.to_le_bytes(),
            xfam: body.xfam.to_le_bytes(),
            mr_td: body.mr_td,
            mr_config_id: body.mr_config_id,
            mr_owner: body.mr_owner,
            mr_owner_config: body.mr_owner_config,
            rtmr0,
            rtmr1,
            rtmr2,
            rtmr3,
            tee_tcb_svn2: body.tee_tcb_svn2,
            mr_service_td: body.mr_service_td,
        }
    }
}

impl From<BodyDescription> for TdBody {
    fn from(body: BodyDescription) -> Self {
        Self {
            tee_tcb_svn: body.tee_tcb_svn,
            mr_seam: body.mr_seam,
            mr_signer_seam: body.mr_signer_seam,
            seam_attributes: u64::from_le_bytes(body.seam_attributes),
            td_attributes: u64::from_le_bytes(body.td_attributes),
            xfam: u64::from_le_bytes(body.xfam),
            mr_td: body.mr_td,
            mr_config_id: body.mr_config_id,
            mr_owner: body.mr_owner,
            mr_owner_config: body.mr_owner_config,
            rtmrs: [body.rtmr0, body.rtmr1, body.rtmr2, body.rtmr3],
            tee_tcb_svn2: body.tee_tcb_svn2,
            mr_service_td: body.mr_service_td,
        }
    }
}

impl From<Event> for EventDescription {
    fn from(event: Event) -> Self {
        let Event { register, event_type, digest, name, payload } = event;
        Self { register, event_type, digest, name, payload }
    }
}

impl From<EventDescription> for Event {
    fn from(event: EventDescription) -> Self {
        let EventDescription { register, event_type, digest, name, payload } = event;
        Self { register, event_type, digest, name, payload }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::intel::vendor::SimulatedIntel;

    const NOW: u64 = 1_800_000_000;

    fn td(ca: PckCa, secret: u8) -> SimulatedTd {
        let vendor = SimulatedIntel::published(NOW).unwrap();
        let td = vendor.td([secret; 32], ca, TdBody { mr_td: [1; 48], ..TdBody::healthy() }, NOW).unwrap();
        td.with_event_log(EventLog::of_boot(b"kernel", "quiet"))
    }

    #[test]
    fn a_td_survives_its_folder() {
        for (ca, format) in PckCa::ALL.into_iter().flat_map(|ca| QuoteFormat::ALL.map(|format| (ca, format))) {
            let folder = tempfile::tempdir().unwrap();
            let td = td(ca, 7).with_format(format).with_padding(3);
            td.to_directory(folder.path()).unwrap();
            let read = SimulatedTd::from_directory(folder.path()).unwrap();
            let (before, after) = (td.evidence(&[9; 64]).unwrap(), read.evidence(&[9; 64]).unwrap());
            assert_eq!((before.collateral, before.event_log), (after.collateral, after.event_log));
            // Header and body; what follows are signatures, which are randomised.
            assert_eq!(before.quote[..600], after.quote[..600]);
            assert_eq!(td.strict_policy(), read.strict_policy());
        }
    }

    #[cfg(unix)]
    #[test]
    fn private_keys_are_for_their_owner_only_and_none_is_the_vendor_s() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        td(PckCa::Platform, 7).to_directory(folder.path()).unwrap();
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut keys: Vec<String> = names.filter(|name| name.ends_with("-key.der")).collect();
        keys.sort();
        assert_eq!(keys, [ATTESTATION_KEY, PCK_KEY]);
        for key in keys {
            let mode = fs::metadata(folder.path().join(&key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn another_platform_s_key_is_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        td(PckCa::Platform, 7).to_directory(one.path()).unwrap();
        td(PckCa::Platform, 8).to_directory(two.path()).unwrap();
        fs::copy(one.path().join(PCK_KEY), two.path().join(PCK_KEY)).unwrap();
        assert!(matches!(
            SimulatedTd::from_directory(two.path()),
            Err(SimulationError::Directory { path, .. }) if path.ends_with(PCK_CHAIN)
        ));
    }
}
