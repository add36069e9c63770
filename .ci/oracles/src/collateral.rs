//! Intel's collateral: complete as files have it, or put together from pieces whose dates overlap.

use std::collections::BTreeMap;

use dcap_qvl::QuoteCollateralV3;
use serde_json::Value;
use serde_json::value::RawValue;
use strongroom_attestation::{UnixTime, describe};

use crate::ours;

const ANCHORS: [(&str, &[u8]); 5] = [
    ("root", include_bytes!("../../../attestation/anchors/intel/root.der")),
    ("platform", include_bytes!("../../../attestation/anchors/intel/pck-platform.der")),
    ("processor", include_bytes!("../../../attestation/anchors/intel/pck-processor.der")),
    ("signer-2018", include_bytes!("../../../attestation/anchors/intel/tcb-signing-2018.der")),
    ("signer-2025", include_bytes!("../../../attestation/anchors/intel/tcb-signing-2025.der")),
];

/// Whatever collateral a folder has.
#[derive(Default)]
pub(crate) struct Pieces {
    complete: Vec<QuoteCollateralV3>,
    /// TCB information, of one platform each.
    infos: Vec<Signed>,
    /// Identities of a quoting enclave.
    identities: Vec<Signed>,
    lists: Vec<List>,
}

/// An object that Intel signed.
#[derive(PartialEq)]
struct Signed {
    /// Byte for byte.
    inner: String,
    signature: Vec<u8>,
    fmspc: Option<String>,
    issued: String,
    valid: Window,
}

/// A revocation list.
#[derive(PartialEq)]
struct List {
    der: Vec<u8>,
    issuer: String,
    valid: Window,
}

/// From one moment to another.
#[derive(Clone, Copy, PartialEq)]
struct Window {
    from: u64,
    to: u64,
}

impl Pieces {
    /// Keeps `file` where it is collateral, and new.
    pub(crate) fn add(&mut self, file: &[u8]) {
        if let Ok(collateral) = serde_json::from_slice::<QuoteCollateralV3>(file) {
            if !self.complete.iter().any(|known| same(known, &collateral)) {
                self.complete.push(collateral);
            }
        } else if let Some(signed) = Signed::read(file) {
            let kind = if signed.fmspc.is_some() { &mut self.infos } else { &mut self.identities };
            if !kind.contains(&signed) {
                kind.push(signed);
            }
        } else if let Some(list) = List::read(file)
            && !self.lists.contains(&list)
        {
            self.lists.push(list);
        }
    }

    /// Every collateral for a platform whose certificate `ca` ("Platform", "Processor") signed.
    pub(crate) fn for_platform(&self, fmspc: &str, ca: &str) -> Vec<QuoteCollateralV3> {
        let mut found: Vec<_> = self.complete.iter().filter(|collateral| is_for(collateral, fmspc)).cloned().collect();
        for info in self.infos.iter().filter(|info| info.fmspc.as_deref() == Some(fmspc)) {
            for identity in &self.identities {
                let Some(valid) = info.valid.and(identity.valid) else { continue };
                for root_list in self.lists_of("Root CA") {
                    let Some(valid) = valid.and(root_list.valid) else { continue };
                    let fitting = self.lists_of(ca).filter(|list| valid.and(list.valid).is_some());
                    found.extend(fitting.map(|list| assembled(info, identity, root_list, list, ca)));
                }
            }
        }
        found
    }

    fn lists_of(&self, issuer: &str) -> impl Iterator<Item = &List> {
        self.lists.iter().filter(move |list| list.issuer.contains(issuer))
    }
}

impl Signed {
    fn read(file: &[u8]) -> Option<Signed> {
        let file: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(file).ok()?;
        let inner = file.get("tcbInfo").or(file.get("enclaveIdentity"))?.get().to_owned();
        let signature: String = serde_json::from_str(file.get("signature")?.get()).ok()?;
        let object: Value = serde_json::from_str(&inner).ok()?;
        let fmspc = object.get("fmspc").and_then(Value::as_str).map(str::to_lowercase);
        Some(Signed {
            signature: hex::decode(signature).ok()?,
            fmspc,
            issued: object.get("issueDate")?.as_str()?.to_owned(),
            valid: Window::of_object(&object)?,
            inner,
        })
    }

    /// Intel certified the signer's key again on 2025-05-06.
    fn issuer_chain(&self) -> String {
        let signer = if self.issued.as_str() < "2025-05-07" { "signer-2018" } else { "signer-2025" };
        chain(&[signer, "root"])
    }
}

impl List {
    fn read(file: &[u8]) -> Option<List> {
        let account = describe(file).ok().filter(|_| file.starts_with(&[0x30]))?;
        let list = first(&account, "revocation_lists")?;
        let text = |field: &str| list.get(field)?.as_str();
        let issuer = text("issuer")?.to_owned();
        let valid = Window::parse(text("this_update")?, text("next_update")?)?;
        issuer.contains("SGX").then(|| List { der: file.to_vec(), issuer, valid })
    }
}

impl Window {
    fn parse(from: &str, to: &str) -> Option<Window> {
        let seconds = |text| Some(UnixTime::parse_rfc3339(text)?.as_secs());
        Some(Window { from: seconds(from)?, to: seconds(to)? })
    }

    fn of_object(object: &Value) -> Option<Window> {
        Window::parse(object.get("issueDate")?.as_str()?, object.get("nextUpdate")?.as_str()?)
    }

    /// What both have in common, if it is more than the hour after which [`moment`] is.
    fn and(self, other: Window) -> Option<Window> {
        let window = Window { from: self.from.max(other.from), to: self.to.min(other.to) };
        (window.from + 3600 < window.to).then_some(window)
    }
}

/// An hour into the time in which all of it is valid.
pub(crate) fn moment(collateral: &QuoteCollateralV3) -> Option<UnixTime> {
    let objects = [&collateral.tcb_info, &collateral.qe_identity]
        .map(|inner| Window::of_object(&serde_json::from_str(inner).ok()?));
    let lists = [&collateral.root_ca_crl, &collateral.pck_crl].map(|list| Some(List::read(list)?.valid));
    let mut valid = Window { from: 0, to: u64::MAX };
    for window in objects.into_iter().chain(lists) {
        valid = valid.and(window?)?;
    }
    Some(UnixTime::from_secs(valid.from + 3600))
}

/// The first entry of one of the lists in `describe`'s account of endorsements.
pub(crate) fn first<'a>(account: &'a Value, list: &str) -> Option<&'a Value> {
    account.get("endorsements")?.get(list)?.as_array()?.first()
}

fn assembled(info: &Signed, identity: &Signed, root_list: &List, list: &List, ca: &str) -> QuoteCollateralV3 {
    QuoteCollateralV3 {
        pck_crl_issuer_chain: chain(&[&ca.to_lowercase(), "root"]),
        root_ca_crl: root_list.der.clone(),
        pck_crl: list.der.clone(),
        tcb_info_issuer_chain: info.issuer_chain(),
        tcb_info: info.inner.clone(),
        tcb_info_signature: info.signature.clone(),
        qe_identity_issuer_chain: identity.issuer_chain(),
        qe_identity: identity.inner.clone(),
        qe_identity_signature: identity.signature.clone(),
        pck_certificate_chain: None,
    }
}

fn is_for(collateral: &QuoteCollateralV3, fmspc: &str) -> bool {
    let info: Value = serde_json::from_str(&collateral.tcb_info).unwrap_or_default();
    info.get("fmspc").and_then(Value::as_str).is_some_and(|found| found.to_lowercase() == fmspc)
}

fn same(left: &QuoteCollateralV3, right: &QuoteCollateralV3) -> bool {
    ours::collateral_json(left) == ours::collateral_json(right)
}

fn chain(names: &[&str]) -> String {
    let der = |name: &&str| ANCHORS.iter().find(|(known, _)| known == name).map_or(&[][..], |(_, der)| der);
    names.iter().map(|name| ours::pem(der(name))).collect()
}
