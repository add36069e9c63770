//! One row for each way in which the evidence of an Azure machine is refused: the paravisor's report over SNP
//! and over TDX, and the JSON that guests send.

use serde_json::{Value, json};
use strongroom_attestation::{HexBytes, Platform, Policy};

use crate::derived::{Changed, Row, file_of, wrong_rows};

const SNP: &str = "azure/006-snp-genoa";
const TDX: &str = "azure/008-tdx";
const JSON: &str = "azure/002-snp-milan-json";
/// Other machines.
const OTHER_SNP: &str = "azure/004-snp-milan-nonce";
const OTHER_TDX: &str = "azure/012-tdx-without-vtpm-quote";

const HCL: &str = "hcl-report.bin";
const VCEK: &str = "vcek.der";
const TD_QUOTE: &str = "td-quote.bin";
const MESSAGE: &str = "tpm-quote.msg";
const SIGNATURE: &str = "tpm-quote.sig";
const PCRS: &str = "tpm-pcrs.json";
const EVIDENCE: &str = "evidence.json";

/// The hardware's report in a paravisor's.
const AREA: usize = 32;
const AREA_LEN: usize = 1184;
const DATA_SIZE: usize = 0x4C0;
const DATA_VERSION: usize = 0x4C4;
const KIND: usize = 0x4C8;
const HASH: usize = 0x4CC;
const RUNTIME_SIZE: usize = 0x4D0;
const RUNTIME: usize = 0x4D4;
/// Report data and measurements of a TDREPORT in the area.
const TD_REPORT_DATA: usize = AREA + 0x80;
const TD_ATTRIBUTES: usize = AREA + 0x200;
const TD_MR_TD: usize = AREA + 0x210;
const TD_RTMR_3: usize = AREA + 0x200 + 16 + 7 * 48;

const HCL_ROWS: &[Row] = &[
    ("another signature", |c| c.set(HCL, 0, b"HCLB"), "PARSE"),
    ("version 0", |c| c.set(HCL, 4, &[0]), "PARSE"),
    ("version 3", |c| c.set(HCL, 4, &[3]), "PARSE"),
    ("size one less", |c| add(c, 8, -1), "PARSE"),
    ("size one more", |c| add(c, 8, 1), "PARSE"),
    ("another request", |c| c.set(HCL, 12, &[1]), "PARSE"),
    ("a status", |c| c.set(HCL, 16, &[1]), "PARSE"),
    ("reserved, first", |c| c.flip(HCL, 20), "PARSE"),
    ("reserved, last", |c| c.flip(HCL, 31), "PARSE"),
    ("data size one less", |c| add(c, DATA_SIZE, -1), "PARSE"),
    ("data size one more", |c| add(c, DATA_SIZE, 1), "PARSE"),
    ("data version 2", |c| c.set(HCL, DATA_VERSION, &[2]), "PARSE"),
    ("an SNP report called a TDREPORT", |c| c.set(HCL, KIND, &[4]), "PARSE"),
    ("a report of type 3", |c| c.set(HCL, KIND, &[3]), "PARSE"),
    ("hash type 0", |c| c.set(HCL, HASH, &[0]), "PARSE"),
    ("SHA-384 in place of SHA-256", |c| c.set(HCL, HASH, &[2]), "SIGNATURE"),
    ("SHA-512 in place of SHA-256", |c| c.set(HCL, HASH, &[3]), "SIGNATURE"),
    ("hash type 4", |c| c.set(HCL, HASH, &[4]), "PARSE"),
    ("run-time size one less", |c| add(c, RUNTIME_SIZE, -1), "PARSE"),
    ("run-time size one more", |c| add(c, RUNTIME_SIZE, 1), "PARSE"),
    ("run-time size past the end", |c| c.set(HCL, RUNTIME_SIZE, &[0xFF; 4]), "PARSE"),
    ("all sizes one less", |c| all_sizes(c, -1), "PARSE"),
    ("all sizes one more", |c| all_sizes(c, 1), "SIGNATURE"),
    ("a set byte of padding", |c| *c.file(HCL).last_mut().unwrap() = 1, "PARSE"),
    (
        "no padding",
        |c| {
            let end = runtime(c.file(HCL)).end;
            c.file(HCL).truncate(end);
        },
        "accepted",
    ),
    ("cut in the run-time data", |c| c.file(HCL).truncate(RUNTIME + 100), "PARSE"),
    ("cut in the hardware's report", |c| c.file(HCL).truncate(600), "PARSE"),
    ("longer than 16 KiB", |c| c.file(HCL).resize((16 << 10) + 1, 0), "PARSE"),
    ("run-time data, first byte", |c| c.flip(HCL, RUNTIME), "SIGNATURE"),
    (
        "run-time data, last byte",
        |c| {
            let end = runtime(c.file(HCL)).end;
            c.flip(HCL, end - 1);
        },
        "SIGNATURE",
    ),
    ("run-time data, the attestation key", |c| c.flip(HCL, RUNTIME + 90), "SIGNATURE"),
    ("run-time data of another machine", |c| splice_runtime(c, OTHER_SNP), "SIGNATURE"),
    ("SNP report, measurement", |c| c.flip(HCL, AREA + 0x90), "SIGNATURE"),
    ("SNP report, front of the report data", |c| c.flip(HCL, AREA + 0x50), "SIGNATURE"),
    ("SNP report, zeros in the report data", |c| c.flip(HCL, AREA + 0x50 + 63), "SIGNATURE"),
    ("SNP report, privilege level", |c| c.set(HCL, AREA + 0x30, &[2]), "SIGNATURE"),
    ("SNP report, signature", |c| c.flip(HCL, AREA + 0x2A0), "SIGNATURE"),
    ("SNP report, a reserved byte", |c| c.flip(HCL, AREA + 0x4C), "PARSE"),
    ("SNP report, version", |c| c.set(HCL, AREA, &[9]), "PARSE"),
    ("SNP report of another machine", |c| splice_area(c, OTHER_SNP), "CHAIN"),
    (
        "SNP report and VCEK of another machine",
        |c| {
            splice_area(c, OTHER_SNP);
            c.substitute(VCEK, OTHER_SNP, VCEK);
        },
        "SIGNATURE",
    ),
    (
        "report and VCEK of another machine under this vTPM",
        |c| {
            c.substitute(HCL, OTHER_SNP, HCL);
            c.substitute(VCEK, OTHER_SNP, VCEK);
        },
        "SIGNATURE",
    ),
    ("no VCEK", |c| c.remove(VCEK), "NO_ENDORSEMENT"),
    ("a VCEK of another chip", |c| c.substitute(VCEK, OTHER_SNP, VCEK), "CHAIN"),
    ("VCEK, its signature", |c| *c.file(VCEK).last_mut().unwrap() ^= 1, "CHAIN"),
    ("no paravisor's report", |c| c.remove(HCL), "PARSE"),
    ("two different reports", |c| c.artefacts.push(file_of(OTHER_SNP, HCL)), "PARSE"),
    ("the report twice", |c| c.artefacts.push(file_of(SNP, HCL)), "accepted"),
    (
        "its SNP report beside it",
        |c| {
            let report = c.file(HCL)[AREA..AREA + AREA_LEN].to_vec();
            c.artefacts.push(report);
        },
        "PARSE",
    ),
    ("a TD quote beside an SNP report", |c| c.artefacts.push(file_of(TDX, TD_QUOTE)), "PARSE"),
];

const TDX_ROWS: &[Row] = &[
    ("no TD quote", |c| c.remove(TD_QUOTE), "NO_ENDORSEMENT"),
    ("a TD quote of another machine", |c| c.substitute(TD_QUOTE, OTHER_TDX, TD_QUOTE), "SIGNATURE"),
    ("two TD quotes", |c| c.artefacts.push(file_of(OTHER_TDX, TD_QUOTE)), "PARSE"),
    (
        "a quote of an enclave in its place",
        |c| c.substitute(TD_QUOTE, "sgx/002-v3", "quote.bin"),
        "PLATFORM_NOT_ALLOWED",
    ),
    ("an SNP report's paravisor over a TD quote", |c| c.substitute(HCL, SNP, HCL), "PARSE"),
    (
        "report and TD quote of another machine",
        |c| {
            c.substitute(HCL, OTHER_TDX, HCL);
            c.substitute(TD_QUOTE, OTHER_TDX, TD_QUOTE);
        },
        "SIGNATURE",
    ),
    (
        "vTPM quote of another machine",
        |c| [MESSAGE, SIGNATURE, PCRS].into_iter().for_each(|name| c.substitute(name, SNP, name)),
        "SIGNATURE",
    ),
    ("no paravisor's report", |c| c.remove(HCL), "PARSE"),
    ("TD quote, report data", |c| c.flip(TD_QUOTE, 568), "SIGNATURE"),
    ("TD quote, MRTD", |c| c.flip(TD_QUOTE, 184), "SIGNATURE"),
    ("TD quote, MRSEAM", |c| c.flip(TD_QUOTE, 64), "SIGNATURE"),
    ("TD quote, signature", |c| c.flip(TD_QUOTE, 636), "SIGNATURE"),
    ("TD quote, cut", |c| c.file(TD_QUOTE).truncate(4000), "PARSE"),
    ("TDREPORT, type", |c| c.flip(HCL, AREA), "PARSE"),
    ("TDREPORT, subtype", |c| c.flip(HCL, AREA + 1), "PARSE"),
    ("TDREPORT, report data", |c| c.flip(HCL, TD_REPORT_DATA), "SIGNATURE"),
    ("TDREPORT, attributes", |c| c.flip(HCL, TD_ATTRIBUTES), "SIGNATURE"),
    ("TDREPORT, XFAM", |c| c.flip(HCL, TD_ATTRIBUTES + 8), "SIGNATURE"),
    ("TDREPORT, MRTD", |c| c.flip(HCL, TD_MR_TD), "SIGNATURE"),
    ("TDREPORT, last byte of RTMR 3", |c| c.flip(HCL, TD_RTMR_3 + 47), "SIGNATURE"),
    ("TDREPORT, zeros after it", |c| c.flip(HCL, AREA + 1024), "PARSE"),
    ("a TDREPORT called an SNP report", |c| c.set(HCL, KIND, &[2]), "PARSE"),
    ("run-time data", |c| c.flip(HCL, RUNTIME + 200), "SIGNATURE"),
    ("run-time data of another machine", |c| splice_runtime(c, OTHER_TDX), "SIGNATURE"),
    ("TDREPORT of another machine", |c| splice_area(c, OTHER_TDX), "SIGNATURE"),
    (
        "TDREPORT and TD quote of another machine",
        |c| {
            splice_area(c, OTHER_TDX);
            c.substitute(TD_QUOTE, OTHER_TDX, TD_QUOTE);
        },
        "SIGNATURE",
    ),
    ("another MRTD", |c| c.question.policy.measurements = Some(vec![HexBytes([1; 48])]), "MEASUREMENT"),
    ("another nonce", |c| c.question.nonce = Some(vec![7; 32]), "NONCE"),
    ("Intel's collateral wanted", |c| c.question.policy.tdx.require_collateral = true, "REVOKED"),
    ("TDX without a paravisor", |c| c.question.policy.platforms = vec![Platform::Tdx], "PLATFORM_NOT_ALLOWED"),
];

const JSON_ROWS: &[Row] = &[
    ("no report", |c| c.json(EVIDENCE, |json| drop(json.as_object_mut().unwrap().remove("hcl_report"))), "PARSE"),
    (
        "no certificate",
        |c| c.json(EVIDENCE, |json| drop(json.as_object_mut().unwrap().remove("vcek"))),
        "NO_ENDORSEMENT",
    ),
    ("no quote", |c| c.json(EVIDENCE, |json| drop(json.as_object_mut().unwrap().remove("tpm_quote"))), "accepted"),
    ("a quote that is text", |c| c.json(EVIDENCE, |json| json["tpm_quote"] = json!("00")), "PARSE"),
    (
        "a quote without registers",
        |c| c.json(EVIDENCE, |json| drop(json["tpm_quote"].as_object_mut().unwrap().remove("pcrs"))),
        "PARSE",
    ),
    (
        "a quote without message",
        |c| c.json(EVIDENCE, |json| drop(json["tpm_quote"].as_object_mut().unwrap().remove("message"))),
        "PARSE",
    ),
    ("a signature that is a number", |c| c.json(EVIDENCE, |json| json["tpm_quote"]["signature"] = json!(1)), "PARSE"),
    (
        "a message of numbers over 255",
        |c| c.json(EVIDENCE, |json| json["tpm_quote"]["message"] = json!([255, 256])),
        "PARSE",
    ),
    ("an empty report", |c| c.json(EVIDENCE, |json| json["hcl_report"] = json!("")), "PARSE"),
    (
        "evidence inside evidence",
        |c| c.json(EVIDENCE, |json| json["evidence"] = json!(hex::encode(json.to_string()))),
        "PARSE",
    ),
    ("two different quotes", |c| c.json(EVIDENCE, |json| json["quote"] = quote_of_another()), "PARSE"),
    (
        "the same quote under both names",
        |c| c.json(EVIDENCE, |json| json["quote"] = json["tpm_quote"].clone()),
        "accepted",
    ),
    ("a report of another machine beside it", |c| c.artefacts.push(file_of(OTHER_SNP, HCL)), "PARSE"),
    ("a field of another name", |c| c.json(EVIDENCE, |json| json["note"] = json!("none")), "accepted"),
    ("cut", |c| c.cut(EVIDENCE, 2), "PARSE"),
];

#[test]
fn every_derived_defect_is_refused_with_its_code() {
    let mut wrong = Vec::new();
    wrong.extend(wrong_rows(SNP, Policy::strict, HCL_ROWS));
    wrong.extend(wrong_rows(TDX, Policy::authentic, TDX_ROWS));
    wrong.extend(wrong_rows(JSON, Policy::authentic, JSON_ROWS));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Adds to a word of the paravisor's report.
fn add(changed: &mut Changed, at: usize, by: i32) {
    let hcl = changed.file(HCL);
    let word = i32::from_le_bytes(hcl[at..at + 4].try_into().unwrap()) + by;
    hcl[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

fn all_sizes(changed: &mut Changed, by: i32) {
    for at in [8, DATA_SIZE, RUNTIME_SIZE] {
        add(changed, at, by);
    }
}

fn runtime(hcl: &[u8]) -> std::ops::Range<usize> {
    let length = u32::from_le_bytes(hcl[RUNTIME_SIZE..RUNTIME].try_into().unwrap()) as usize;
    RUNTIME..RUNTIME + length
}

/// Puts the run-time data of another machine in, sizes and all.
fn splice_runtime(changed: &mut Changed, path: &str) {
    let other = file_of(path, HCL);
    let mine = changed.file(HCL);
    mine.truncate(RUNTIME);
    mine.extend_from_slice(&other[runtime(&other)]);
    mine[8..12].copy_from_slice(&other[8..12]);
    mine[DATA_SIZE..DATA_VERSION].copy_from_slice(&other[DATA_SIZE..DATA_VERSION]);
    mine[RUNTIME_SIZE..RUNTIME].copy_from_slice(&other[RUNTIME_SIZE..RUNTIME]);
}

/// Puts the hardware's report of another machine in.
fn splice_area(changed: &mut Changed, path: &str) {
    let other = file_of(path, HCL);
    changed.set(HCL, AREA, &other[AREA..AREA + AREA_LEN]);
}

fn quote_of_another() -> Value {
    json!({
        "message": hex::encode(file_of(OTHER_SNP, MESSAGE)),
        "signature": hex::encode(file_of(OTHER_SNP, SIGNATURE)),
        "pcrs": serde_json::from_slice::<Value>(&file_of(OTHER_SNP, PCRS)).unwrap(),
    })
}
