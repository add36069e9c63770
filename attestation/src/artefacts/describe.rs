//! A readable account of an artefact, of which nothing is believed: for looking, not for deciding.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{ArtefactKind, Artefacts};
use crate::azure::{HclReport, TpmQuote};
use crate::endorsements::Endorsements;
use crate::error::Refusal;
use crate::event_log::EventLog;
use crate::hex_bytes::HexBytes;
use crate::nvidia::{Device, Manifest};
use crate::snp::{Cpuid, EndorsementKey, Product, SigningKey, SnpClaims, SnpReport};
use crate::tdx::{PckCa, PckExtension, QeIdentity, TcbInfo, TdxClaims, TdxQuote};
use crate::x509::{Certificate, OcspResponse, PublicKey, RevocationList};

/// Every field of one artefact, as JSON: `kind`, and what it holds, by its parts' names. Refused with
/// `PARSE` when its kind is not known or its structure is not that of its kind. **Nothing is
/// verified**: what it says is what a stranger wrote.
pub fn describe(bytes: &[u8]) -> Result<Value, Refusal> {
    let mut artefacts = Artefacts::default();
    let kind = artefacts.add(bytes)?;
    let mut account = Map::new();
    account.insert("kind".to_owned(), json!(kind.to_string()));
    account.insert("verified".to_owned(), json!(false));
    let mut part = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            account.insert(name.to_owned(), value);
        }
    };
    part("snp_report", artefacts.snp_report.as_ref().map(snp_report));
    part("tdx_quote", artefacts.td_quote.as_ref().map(tdx_quote));
    part("hcl_report", artefacts.hcl_report.as_ref().map(hcl_report));
    part("tpm_quote", tpm_quote(&artefacts)?);
    part("tpm_signature", artefacts.tpm_signature.as_ref().map(|bytes| json!(hex::encode(bytes))));
    part("pcrs", artefacts.pcrs.as_ref().map(|pcrs| json!(pcrs.map(HexBytes))));
    let devices: Vec<Value> = artefacts.devices.devices().iter().map(device).collect();
    part("devices", (!devices.is_empty()).then_some(Value::Array(devices)));
    let logs: Vec<Value> = artefacts.event_logs.iter().map(event_log).collect();
    part("event_logs", (!logs.is_empty()).then_some(Value::Array(logs)));
    if kind == ArtefactKind::Endorsements || !artefacts.endorsements.is_empty() {
        account.insert("endorsements".to_owned(), endorsements(&artefacts.endorsements));
    }
    Ok(Value::Object(account))
}

/// The message needs no signature to be read.
fn tpm_quote(artefacts: &Artefacts) -> Result<Option<Value>, Refusal> {
    let Some(message) = &artefacts.tpm_message else { return Ok(None) };
    let unsigned = vec![0; 256];
    let quote = TpmQuote::parse(message, artefacts.tpm_signature.as_ref().unwrap_or(&unsigned))?;
    let clock = quote.clock();
    let selection: Vec<String> =
        quote.selection().iter().map(|bank| format!("{:#06x}:{}", bank.algorithm, hex::encode(&bank.bitmap))).collect();
    Ok(Some(json!({
        "extra_data": hex::encode(quote.extra_data()),
        "selection": selection,
        "pcr_digest": hex::encode(quote.pcr_digest()),
        "clock_milliseconds": clock.milliseconds,
        "reset_count": clock.reset_count,
        "restart_count": clock.restart_count,
        "clock_is_safe": clock.is_safe,
        "firmware_version": format!("{:#018x}", quote.firmware_version()),
    })))
}

/// Version 2 names no processor, and then the order of TCB bytes is a guess: Turin's chip ids have
/// eight bytes.
fn snp_report(report: &SnpReport) -> Value {
    let chip_id = report.chip_id();
    let looks_like_turin = chip_id.iter().any(|byte| *byte != 0) && chip_id.iter().skip(8).all(|byte| *byte == 0);
    let guess = if looks_like_turin { Product::Turin } else { Product::Milan };
    let named = report.cpuid().and_then(Cpuid::product);
    let claims = SnpClaims::new(report, named.unwrap_or(guess), EndorsementKey::Vcek);
    let mut fields = value(&claims);
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("product".to_owned(), json!(named.map(Product::name)));
        let key = match report.signing_key() {
            SigningKey::Vcek => "vcek".to_owned(),
            SigningKey::Vlek => "vlek".to_owned(),
            SigningKey::Other(other) => format!("none ({other})"),
        };
        fields.remove("endorsement_key");
        fields.insert("signing_key".to_owned(), json!(key));
    }
    fields
}

fn tdx_quote(quote: &TdxQuote) -> Value {
    let leaf = quote.chain().iter().find(|certificate| PckExtension::is_in(certificate));
    let platform = leaf.and_then(|leaf| PckExtension::read(leaf).ok());
    let unknown = PckExtension::default();
    let claims = TdxClaims::new(quote, platform.as_ref().unwrap_or(&unknown), PckCa::Platform, None);
    let mut fields = value(&claims);
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("tcb");
        let mut pck = fields.remove("pck").unwrap_or_default();
        if let Some(pck) = pck.as_object_mut() {
            pck.remove("ca");
        }
        fields.insert("pck".to_owned(), if platform.is_some() { pck } else { Value::Null });
        let chain: Vec<Value> = quote.chain().iter().map(certificate).collect();
        fields.insert("certificates".to_owned(), Value::Array(chain));
    }
    fields
}

fn hcl_report(report: &HclReport) -> Value {
    let runtime: Value = serde_json::from_slice(report.runtime_data()).unwrap_or_default();
    json!({ "version": report.version(), "hardware": report.hardware_name(), "runtime_data": runtime })
}

fn event_log(log: &EventLog) -> Value {
    let events = log.described().map(|(register, kind, digest, description)| {
        json!({ "register": register, "type": format!("{kind:#010x}"), "digest": digest, "text": description })
    });
    Value::Array(events.collect())
}

/// One GPU or switch, as its report and the certificates beside it have it.
fn device(device: &Device) -> Value {
    let report = device.report();
    let opaque = &report.opaque;
    let measurements =
        report.measurements().iter().map(|(index, digest)| (index.to_string(), json!(HexBytes(*digest))));
    json!({
        "kind": if opaque.is_switch { "switch" } else { "gpu" },
        "architecture": device.architecture,
        "nonce": HexBytes(*report.nonce()),
        "driver_version": opaque.driver_version,
        "vbios_version": opaque.vbios_version,
        "project": opaque.project,
        "project_sku": opaque.project_sku,
        "chip_sku": opaque.chip_sku,
        "chip_info": opaque.chip_info,
        "fwid": opaque.fwid.map(HexBytes),
        "mode": opaque.mode,
        "protected_pcie": opaque.protected_pcie,
        "nvdec0": opaque.nvdec0,
        "switches": opaque.switches,
        "pdi": opaque.pdi,
        "gpus": opaque.gpus,
        "measurements": measurements.collect::<Map<String, Value>>(),
        "certificates": device.chain.as_ref().map(|chain| chain.iter().map(certificate).collect::<Vec<_>>()),
    })
}

fn endorsements(bag: &Endorsements) -> Value {
    let tcb_infos: Vec<String> = bag.tcb_infos().iter().map(TcbInfo::shown).collect();
    let identities: Vec<String> = bag.qe_identities().iter().map(QeIdentity::shown).collect();
    json!({
        "certificates": bag.certificates().iter().map(certificate).collect::<Vec<_>>(),
        "revocation_lists": bag.revocation_lists().iter().map(revocation_list).collect::<Vec<_>>(),
        "ocsp_responses": bag.ocsp_responses().iter().map(ocsp_response).collect::<Vec<_>>(),
        "tcb_infos": tcb_infos,
        "qe_identities": identities,
        "device_chains": bag.device_chains().iter().map(|chain| chain.iter().map(certificate).collect()).collect::<Vec<Value>>(),
        "manifests": bag.manifests().iter().map(manifest).collect::<Vec<_>>(),
    })
}

fn manifest(manifest: &Manifest) -> Value {
    let golden = manifest.golden().iter().filter(|golden| golden.active).map(|golden| {
        let values: Vec<_> = golden.alternatives.iter().copied().map(HexBytes).collect();
        (golden.index.to_string(), json!(values))
    });
    json!({
        "of": manifest.shown(),
        "sha256": HexBytes(manifest.sha256()),
        "name": manifest.name(),
        "tag_id": manifest.tag_id(),
        "tag_version": manifest.version(),
        "product": manifest.product(),
        "version": manifest.colloquial_version(),
        "firmware_manufacturer_id": manifest.firmware_manufacturer_id(),
        "active": golden.collect::<Map<String, Value>>(),
        "certificates": manifest.certificates().iter().map(certificate).collect::<Vec<_>>(),
    })
}

fn certificate(certificate: &Certificate) -> Value {
    let key = match &certificate.public_key {
        PublicKey::Rsa { modulus_bits, .. } => format!("RSA-{modulus_bits}"),
        PublicKey::P384(_) => "P-384".to_owned(),
        PublicKey::P256(_) => "P-256".to_owned(),
        PublicKey::Other => "other".to_owned(),
    };
    json!({
        "subject": certificate.subject.shown(),
        "issuer": certificate.issuer.shown(),
        "serial": hex::encode(&certificate.serial),
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "key": key,
    })
}

fn revocation_list(list: &RevocationList) -> Value {
    json!({
        "issuer": list.issuer.shown(),
        "this_update": list.this_update,
        "next_update": list.next_update,
        "revoked": list.len(),
    })
}

fn ocsp_response(response: &OcspResponse) -> Value {
    let statuses = response.statuses.iter().map(|single| {
        json!({
            "serial": hex::encode(single.serial()),
            "status": single.status.shown(),
            "this_update": single.this_update,
            "next_update": single.next_update,
        })
    });
    json!({
        "responder": response.responder.shown(),
        "produced_at": response.produced_at,
        "statuses": statuses.collect::<Vec<_>>(),
        "certificates": response.certificates.iter().map(certificate).collect::<Vec<_>>(),
    })
}

fn value(fields: &impl Serialize) -> Value {
    serde_json::to_value(fields).unwrap_or_default()
}
