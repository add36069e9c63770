//! Whether bytes are of the kind that was asked for, and what they say of themselves. This keeps error pages, other
//! chips' certificates and other platforms' levels out of the cache; it proves nothing.

use reqwest::header::HeaderMap;
use serde::{Deserialize, Serialize};
use strongroom_attestation::{HexBytes, Product, UnixTime};

use crate::exchange::{NoReply, Reply};
use crate::item::{Artefact, Role};
use crate::nvidia::{self, StatusRefusal};
use crate::want::{Evaluation, KeyKind, PckCa, Vcek, Want};
use crate::x509::{self, Certificate};

/// Arc of AMD's extensions (57230, "VCEK Certificate Definitions").
const AMD_ARC: &str = "1.3.6.1.4.1.3704.1";
/// A chain in a header is about 4 KiB when its percent signs are resolved.
const MAX_CHAIN: usize = 32 * 1024;

/// What an item says of itself; unproved until the verifier has checked it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The subject of the certificate, the issuer of the list, the id of Intel's object; of NVIDIA's manifest what it
    /// is about, of an OCSP answer the certificate.
    pub subject: String,
    /// thisUpdate, issueDate or notBefore; of a manifest its signer's notBefore.
    pub issued: UnixTime,
    /// nextUpdate or notAfter, the earliest of the object and its chain; `None` where none is said.
    pub expires: Option<UnixTime>,
    /// tcbEvaluationDataNumber of Intel's objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<u32>,
    /// SHA-256 of a manifest, which is what a policy pins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<HexBytes<32>>,
    /// What an OCSP answer says of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl Description {
    /// Of an item without more than a name and dates.
    pub(crate) fn of(subject: String, issued: UnixTime, expires: Option<UnixTime>) -> Description {
        Description { subject, issued, expires, evaluation: None, sha256: None, status: None }
    }
}

/// The artefacts in a service's reply for `want`: what the body holds, and for most of Intel's items the issuer chain
/// from its header.
///
/// # Errors
/// The service says in its own way that it has none, or a sentence that says what is wrong with the reply.
pub(crate) fn artefacts(want: &Want, Reply { body, headers }: Reply) -> Result<Vec<Artefact>, NoReply> {
    if matches!(want, Want::NvidiaStatus { .. })
        && let Some(refusal) = nvidia::status_refusal(&body)
    {
        return Err(match refusal {
            StatusRefusal::Never => NoReply::Absent,
            StatusRefusal::Later(word) => NoReply::Failed { why: format!("answered {word}"), retry_after: None },
        });
    }
    parts(want, body, &headers).map_err(|why| NoReply::of_content(&why))
}

fn parts(want: &Want, body: Vec<u8>, headers: &HeaderMap) -> Result<Vec<Artefact>, String> {
    let body = match want {
        Want::IntelPckCrl { .. } | Want::IntelRootCrl => without_hex(body),
        Want::NvidiaManifest { id } => nvidia::manifest_from_answer(id, &body)?,
        _ => body,
    };
    let mut artefacts = vec![Artefact { role: Role::Object, bytes: body }];
    if let Some(names) = chain_headers(want) {
        let value = names.iter().find_map(|name| headers.get(*name)).ok_or(format!("no header {}", names[0]))?;
        artefacts.push(Artefact { role: Role::IssuerChain, bytes: percent_decoded(value.as_bytes())? });
    }
    Ok(artefacts)
}

/// What `artefacts` say of themselves, if they are what `want` asks for.
///
/// # Errors
/// A sentence that says what was wanted and found.
pub(crate) fn describe(want: &Want, artefacts: &[Artefact]) -> Result<Description, String> {
    let (object, chain) = match (artefacts, chain_headers(want)) {
        ([object], None) if object.role == Role::Object => (object, None),
        ([object, chain], Some(_)) if object.role == Role::Object && chain.role == Role::IssuerChain => {
            (object, Some(chain))
        }
        _ => return Err("wanted the object, and of Intel's the issuer chain; found other parts".to_owned()),
    };
    let mut description = describe_object(want, &object.bytes)?;
    if let Some(chain) = chain {
        let wanted = match want {
            Want::IntelPckCrl { ca } => pck_ca_name(*ca),
            _ => "Intel SGX TCB Signing",
        };
        let certificates = x509::certificates(&chain.bytes).map_err(|why| format!("issuer chain: {why}"))?;
        named(certificates.first(), wanted).map_err(|why| format!("issuer chain: {why}"))?;
        let ends = certificates.iter().map(|certificate| certificate.not_after).min();
        description.expires = description.expires.into_iter().chain(ends).min();
    }
    Ok(description)
}

/// What the object alone says of itself, if it is what `want` asks for.
///
/// # Errors
/// A sentence that says what was wanted and found.
pub(crate) fn describe_object(want: &Want, bytes: &[u8]) -> Result<Description, String> {
    match want {
        Want::AmdVcek(vcek) => describe_vcek(vcek, bytes),
        Want::AmdChain { product, kind } => describe_chain(*product, *kind, bytes),
        Want::AmdCrl { product } => describe_list(&format!("ARK-{product}"), bytes),
        Want::IntelTcbInfo { fmspc, evaluation } => describe_tcb_info(*fmspc, *evaluation, bytes),
        Want::IntelQeIdentity { evaluation } => describe_identity(*evaluation, bytes),
        Want::IntelPckCrl { ca } => describe_list(pck_ca_name(*ca), bytes),
        Want::IntelRootCrl => describe_list("Intel SGX Root CA", bytes),
        Want::NvidiaManifest { id } => nvidia::describe_manifest(id, bytes),
        Want::NvidiaStatus { request } => nvidia::describe_status(request, bytes),
        Want::NvidiaCrl { list } => nvidia::describe_list(*list, bytes),
    }
}

fn describe_vcek(vcek: &Vcek, bytes: &[u8]) -> Result<Description, String> {
    let certificates = x509::certificates(bytes)?;
    let [certificate] = certificates.as_slice() else {
        return Err(format!("{} certificates where one was wanted", certificates.len()));
    };
    named(Some(certificate), "SEV-VCEK")?;
    // Some wrap the id in an OCTET STRING; AMD does not.
    let hwid = certificate.extension(&format!("{AMD_ARC}.4")).unwrap_or_default();
    if !hwid.ends_with(vcek.hwid()) || hwid.len() > vcek.hwid().len() + 2 {
        return Err("the certificate is of another chip".to_owned());
    }
    let tcb = vcek.tcb();
    let levels = [("1", tcb.bootloader), ("2", tcb.tee), ("3", tcb.snp), ("8", tcb.microcode)];
    for (arc, wanted) in levels.into_iter().chain(tcb.fmc.map(|fmc| ("9", fmc))) {
        let value = certificate.extension(&format!("{AMD_ARC}.3.{arc}"));
        if value.and_then(small) != Some(wanted) {
            return Err(format!("the certificate is for another firmware, wanted {tcb}"));
        }
    }
    Ok(Description::of(certificate.common_name.clone(), certificate.not_before, Some(certificate.not_after)))
}

fn describe_chain(product: Product, kind: KeyKind, bytes: &[u8]) -> Result<Description, String> {
    let intermediate = intermediate_name(product, kind);
    let certificates = x509::certificates(bytes)?;
    let [first, root] = certificates.as_slice() else {
        return Err(format!("{} certificates where two were wanted", certificates.len()));
    };
    named(Some(first), &intermediate)?;
    named(Some(root), &format!("ARK-{product}"))?;
    Ok(Description::of(intermediate, first.not_before, Some(first.not_after.min(root.not_after))))
}

fn describe_list(issuer: &str, bytes: &[u8]) -> Result<Description, String> {
    let list = x509::revocation_list(bytes)?;
    if list.issuer != issuer {
        return Err(format!("a revocation list of \"{}\", wanted one of \"{issuer}\"", list.issuer));
    }
    Ok(Description::of(list.issuer, list.this_update, list.next_update))
}

/// The envelope of TCB info, version 3. Intel signs the text of `tcbInfo`, so the artefact stays as it came.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TcbInfoAnswer {
    tcb_info: TcbInfo,
    #[serde(rename = "signature")]
    _signature: HexBytes<64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TcbInfo {
    #[serde(flatten)]
    common: Common,
    fmspc: HexBytes<6>,
}

/// The envelope of an enclave's identity, version 2.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityAnswer {
    enclave_identity: Common,
    #[serde(rename = "signature")]
    _signature: HexBytes<64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Common {
    id: String,
    version: u32,
    issue_date: UnixTime,
    next_update: UnixTime,
    tcb_evaluation_data_number: u32,
}

fn describe_tcb_info(fmspc: HexBytes<6>, evaluation: Evaluation, bytes: &[u8]) -> Result<Description, String> {
    let answer: TcbInfoAnswer = serde_json::from_slice(bytes).map_err(|error| format!("not TCB info: {error}"))?;
    x509::readable_by_the_verifier(bytes)?;
    let TcbInfo { common, fmspc: found } = answer.tcb_info;
    if found != fmspc {
        return Err(format!("TCB info of FMSPC {found}, wanted {fmspc}"));
    }
    common.describe("TDX", 3, evaluation)
}

fn describe_identity(evaluation: Evaluation, bytes: &[u8]) -> Result<Description, String> {
    let answer: IdentityAnswer = serde_json::from_slice(bytes).map_err(|error| format!("not an identity: {error}"))?;
    x509::readable_by_the_verifier(bytes)?;
    answer.enclave_identity.describe("TD_QE", 2, evaluation)
}

impl Common {
    fn describe(self, id: &str, version: u32, evaluation: Evaluation) -> Result<Description, String> {
        if self.id != id || self.version != version {
            let found: String = self.id.chars().take(32).filter(|c| !c.is_control()).collect();
            return Err(format!("an object {found} of version {}, wanted {id} of version {version}", self.version));
        }
        let number = self.tcb_evaluation_data_number;
        match evaluation {
            Evaluation::Number(wanted) if wanted != number => {
                return Err(format!("tcbEvaluationDataNumber {number}, wanted {wanted}"));
            }
            _ => {}
        }
        let mut description = Description::of(id.to_owned(), self.issue_date, Some(self.next_update));
        description.evaluation = Some(number);
        Ok(description)
    }
}

fn named(certificate: Option<&Certificate>, wanted: &str) -> Result<(), String> {
    match certificate.map(|certificate| certificate.common_name.as_str()) {
        Some(name) if name == wanted => Ok(()),
        Some(name) => Err(format!("a certificate of \"{name}\", wanted one of \"{wanted}\"")),
        None => Err(format!("no certificate, wanted one of \"{wanted}\"")),
    }
}

/// The common name of the certificate that signs these keys of a product line.
pub(crate) fn intermediate_name(product: Product, kind: KeyKind) -> String {
    match kind {
        KeyKind::Vcek => format!("SEV-{product}"),
        KeyKind::Vlek => format!("SEV-VLEK-{product}"),
    }
}

fn pck_ca_name(ca: PckCa) -> &'static str {
    match ca {
        PckCa::Platform => "Intel SGX PCK Platform CA",
        PckCa::Processor => "Intel SGX PCK Processor CA",
    }
}

/// The headers that carry an item's issuer chain, the usual one first; `None` where the item has none.
fn chain_headers(want: &Want) -> Option<&'static [&'static str]> {
    match want {
        // The second is what version 3 of the service and some caches say.
        Want::IntelTcbInfo { .. } => Some(&["TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain"]),
        Want::IntelQeIdentity { .. } => Some(&["SGX-Enclave-Identity-Issuer-Chain"]),
        Want::IntelPckCrl { .. } => Some(&["SGX-PCK-CRL-Issuer-Chain"]),
        Want::AmdVcek(_)
        | Want::AmdChain { .. }
        | Want::AmdCrl { .. }
        | Want::IntelRootCrl
        | Want::NvidiaManifest { .. }
        | Want::NvidiaStatus { .. }
        | Want::NvidiaCrl { .. } => None,
    }
}

/// A DER INTEGER of one byte.
fn small(der: &[u8]) -> Option<u8> {
    match der {
        [2, 1, value @ 0..=0x7F] | [2, 2, 0, value @ 0x80..=0xFF] => Some(*value),
        _ => None,
    }
}

/// Caching services give lists as hexadecimal text; everybody else as DER or PEM.
fn without_hex(body: Vec<u8>) -> Vec<u8> {
    // The digits of a SEQUENCE; DER itself begins with 30h, which is the digit "0".
    let text = body.trim_ascii();
    if text.starts_with(b"30")
        && let Ok(der) = hex::decode(text)
    {
        return der;
    }
    body
}

fn percent_decoded(value: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::new();
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let byte = match (byte, rest.split_first_chunk::<2>()) {
            (b'%', Some((digits, after))) => {
                let mut one = [0];
                hex::decode_to_slice(digits, &mut one).map_err(|_| "an issuer chain with a broken % code")?;
                rest = after;
                one[0]
            }
            (b'%', None) => return Err("an issuer chain with a broken % code".to_owned()),
            (byte, _) => *byte,
        };
        decoded.push(byte);
        if decoded.len() > MAX_CHAIN {
            return Err(format!("an issuer chain of more than {MAX_CHAIN} bytes"));
        }
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_codes_are_resolved_and_plus_stays_plus() {
        assert_eq!(percent_decoded(b"a%2Bb+c%20d%0A").unwrap(), b"a+b+c d\n");
        for broken in [&b"%"[..], b"%4", b"%zz", b"ab%2"] {
            assert!(percent_decoded(broken).is_err(), "{broken:?}");
        }
        assert!(percent_decoded(&vec![b'a'; MAX_CHAIN + 1]).is_err());
    }

    #[test]
    fn hexadecimal_lists_become_der() {
        assert_eq!(without_hex(b"30820120\n".to_vec()), [0x30, 0x82, 1, 0x20]);
        assert_eq!(without_hex(vec![0x30, 0x82, 1]), [0x30, 0x82, 1]);
        assert_eq!(without_hex(b"308201 not hex".to_vec()), b"308201 not hex");
        assert_eq!(without_hex(Vec::new()), b"");
    }

    #[test]
    fn levels_are_integers_of_one_byte() {
        assert_eq!(small(&[2, 1, 84]), Some(84));
        assert_eq!(small(&[2, 2, 0, 0xD5]), Some(0xD5));
        for wrong in [&[2, 1, 0x80][..], &[2, 2, 0, 1], &[2, 2, 1, 0], &[4, 1, 1], &[]] {
            assert_eq!(small(wrong), None, "{wrong:?}");
        }
    }
}
