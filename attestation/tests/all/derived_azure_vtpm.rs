//! One row for each way in which the quote of an Azure machine's virtual TPM is refused, or a policy refuses
//! what it says.

use serde_json::{Value, json};
use strongroom_attestation::{HexBytes, Platform, Policy};

use crate::derived::{Changed, Row, file_of, wrong_rows};

const SNP: &str = "azure/006-snp-genoa";
/// Another machine.
const OTHER: &str = "azure/004-snp-milan-nonce";

const MESSAGE: &str = "tpm-quote.msg";
const SIGNATURE: &str = "tpm-quote.sig";
const PCRS: &str = "tpm-pcrs.json";
/// The whole quote.
const PARTS: [&str; 3] = [MESSAGE, SIGNATURE, PCRS];

const TPM_ROWS: &[Row] = &[
    (
        "no vTPM quote",
        |c| {
            c.remove(MESSAGE);
            c.remove(SIGNATURE);
            c.remove(PCRS);
        },
        "NO_ENDORSEMENT",
    ),
    ("no message", |c| c.remove(MESSAGE), "PARSE"),
    ("no signature", |c| c.remove(SIGNATURE), "PARSE"),
    ("no registers", |c| c.remove(PCRS), "PARSE"),
    ("message, not the TPM's own", |c| c.flip(MESSAGE, 0), "PARSE"),
    ("message, a certification", |c| c.set(MESSAGE, 4, b"\x80\x17"), "PARSE"),
    ("message, a time", |c| c.set(MESSAGE, 4, b"\x80\x19"), "PARSE"),
    ("message, signer's name", |c| c.flip(MESSAGE, 10), "SIGNATURE"),
    ("message, length of the signer's name", |c| c.flip(MESSAGE, 7), "PARSE"),
    ("message, nonce", |c| c.flip(MESSAGE, 45), "SIGNATURE"),
    ("message, length of the nonce", |c| c.flip(MESSAGE, 43), "PARSE"),
    ("message, clock", |c| c.flip(MESSAGE, 99), "SIGNATURE"),
    ("message, a clock neither safe nor not", |c| c.set(MESSAGE, 108, &[2]), "PARSE"),
    ("message, a clock that is not safe", |c| c.set(MESSAGE, 108, &[0]), "SIGNATURE"),
    ("message, firmware", |c| c.flip(MESSAGE, 116), "SIGNATURE"),
    ("message, two banks", |c| c.set(MESSAGE, 120, &[2]), "PARSE"),
    ("message, the bank of SHA-1", |c| c.set(MESSAGE, 122, &[4]), "SIGNATURE"),
    ("message, a register less", |c| c.flip(MESSAGE, 124), "SIGNATURE"),
    ("message, digest of the registers", |c| c.flip(MESSAGE, 160), "SIGNATURE"),
    ("message cut", |c| c.cut(MESSAGE, 1), "PARSE"),
    ("message and a byte", |c| c.file(MESSAGE).push(0), "PARSE"),
    ("message of another machine", |c| c.substitute(MESSAGE, OTHER, MESSAGE), "SIGNATURE"),
    (
        "message and signature of another machine",
        |c| {
            c.substitute(MESSAGE, OTHER, MESSAGE);
            c.substitute(SIGNATURE, OTHER, SIGNATURE);
        },
        "SIGNATURE",
    ),
    (
        "vTPM quote of another machine",
        |c| PARTS.into_iter().for_each(|name| c.substitute(name, OTHER, name)),
        "SIGNATURE",
    ),
    ("a second message", |c| c.artefacts.push(file_of(OTHER, MESSAGE)), "PARSE"),
    ("a second signature", |c| c.artefacts.push(file_of(OTHER, SIGNATURE)), "PARSE"),
    ("signature, first byte", |c| c.flip(SIGNATURE, 0), "SIGNATURE"),
    ("signature, last byte", |c| c.flip(SIGNATURE, 255), "SIGNATURE"),
    // Zeros are an empty certificate table, and no signature.
    ("signature, zero", |c| c.set(SIGNATURE, 0, &[0; 256]), "PARSE"),
    ("signature, all ones", |c| c.set(SIGNATURE, 0, &[0xFF; 256]), "SIGNATURE"),
    ("signature cut", |c| c.cut(SIGNATURE, 1), "PARSE"),
    ("signature of another size", |c| c.file(SIGNATURE).resize(384, 0), "SIGNATURE"),
    ("a register changed", |c| registers(c, |list| list[7] = json!("00".repeat(32))), "SIGNATURE"),
    ("two registers swapped", |c| registers(c, |list| list.swap(0, 1)), "SIGNATURE"),
    ("the registers in reverse", |c| registers(c, |list| list.reverse()), "SIGNATURE"),
    ("23 registers", |c| registers(c, |list| drop(list.pop())), "PARSE"),
    ("25 registers", |c| registers(c, |list| list.push(json!("00".repeat(32)))), "PARSE"),
    ("no register in the list", |c| registers(c, std::vec::Vec::clear), "PARSE"),
    ("a register of 31 bytes", |c| registers(c, |list| list[0] = json!("00".repeat(31))), "PARSE"),
    ("a register that is a number", |c| registers(c, |list| list[0] = json!(7)), "PARSE"),
    ("registers of another machine", |c| c.substitute(PCRS, OTHER, PCRS), "SIGNATURE"),
    ("two lists of registers", |c| c.artefacts.push(file_of(OTHER, PCRS)), "PARSE"),
    ("another nonce", |c| c.question.nonce = Some(vec![7; 32]), "NONCE"),
    (
        "the nonce's front",
        |c| {
            let nonce = nonce(c);
            c.question.nonce = Some(nonce[..32].to_vec());
        },
        "NONCE",
    ),
    ("the nonce and a zero", |c| c.question.nonce = Some([nonce(c), vec![0]].concat()), "NONCE"),
    ("an empty nonce", |c| c.question.nonce = Some(Vec::new()), "NONCE"),
    ("its nonce", |c| c.question.nonce = Some(nonce(c)), "accepted"),
    (
        "a nonce, and no vTPM quote",
        |c| {
            c.question.nonce = Some(nonce(c));
            c.question.policy = Policy::authentic();
            PARTS.into_iter().for_each(|name| c.remove(name));
        },
        "NONCE",
    ),
    ("other report data", |c| c.question.report_data = Some([1; 64]), "REPORT_DATA"),
];

const POLICY_ROWS: &[Row] = &[
    (
        "another register value",
        |c| drop(c.question.policy.azure.pcrs.insert(4, vec![HexBytes([1; 32])])),
        "MEASUREMENT",
    ),
    ("no register value allowed", |c| drop(c.question.policy.azure.pcrs.insert(4, vec![])), "MEASUREMENT"),
    (
        "its register value",
        |c| {
            let value = register(c, 4);
            drop(c.question.policy.azure.pcrs.insert(4, vec![value]));
        },
        "accepted",
    ),
    (
        "the value of another register",
        |c| {
            let value = register(c, 5);
            drop(c.question.policy.azure.pcrs.insert(4, vec![value]));
        },
        "MEASUREMENT",
    ),
    (
        "a register, and no vTPM quote",
        |c| {
            let value = register(c, 4);
            c.question.policy = Policy::authentic();
            c.question.policy.azure.pcrs.insert(4, vec![value]);
            PARTS.into_iter().for_each(|name| c.remove(name));
        },
        "MEASUREMENT",
    ),
    (
        "a certificate of the attestation key",
        |c| c.question.policy.azure.require_ak_certificate = true,
        "NO_ENDORSEMENT",
    ),
    ("another privilege level", |c| c.question.policy.snp.vmpl = vec![1], "VMPL"),
    ("another measurement", |c| c.question.policy.measurements = Some(vec![HexBytes([1; 48])]), "MEASUREMENT"),
    (
        "SNP without a paravisor",
        |c| c.question.policy.platforms = vec![Platform::Snp, Platform::AzureTdx],
        "PLATFORM_NOT_ALLOWED",
    ),
    ("a list of AMD's root", |c| c.question.policy.require_revocation = true, "REVOKED"),
];

#[test]
fn every_derived_defect_is_refused_with_its_code() {
    let wrong = [TPM_ROWS, POLICY_ROWS].map(|rows| wrong_rows(SNP, Policy::strict, rows)).concat();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn registers(changed: &mut Changed, edit: impl FnOnce(&mut Vec<Value>)) {
    changed.json(PCRS, |json| edit(json.as_array_mut().unwrap()));
}

fn register(changed: &mut Changed, index: usize) -> HexBytes<32> {
    let list: Vec<HexBytes<32>> = serde_json::from_slice(changed.file(PCRS)).unwrap();
    list[index]
}

/// The extra data of the vTPM's message: 48 bytes behind the signer's name and a length.
fn nonce(changed: &mut Changed) -> Vec<u8> {
    let message = changed.file(MESSAGE);
    assert_eq!(message[42..44], [0, 48]);
    message[44..92].to_vec()
}
