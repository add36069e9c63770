//! One row for each way in which what Intel publishes about a platform, or a policy, refuses a TDX quote.

use strongroom_attestation::{HexBytes, Platform, PlatformIdentity, Policy, TcbStatus, UnixTime};

use crate::derived::{Changed, Row, file_of, wrong_rows};
use crate::quote_parts::position;

const V5: &str = "tdx/003-v5-td15";
const QUOTE: &str = "quote.bin";
const TCB_INFO: &str = "tcb_TDX_90C06F000000_2026-03-16_2026-04-15_eval18.json";
const QE_IDENTITY: &str = "qe_TD_QE_2026-03-16_2026-04-15_eval18.json";
const ROOT_LIST: &str = "root_ca_crl_2026-02-26_2027-02-26.der";
const PCK_LIST: &str = "pck_platform_crl_2026-03-16_2026-04-15.der";

const COLLATERAL: &[Row] = &[
    ("no TCB info", |c| c.remove(TCB_INFO), "TCB"),
    ("no QE identity", |c| c.remove(QE_IDENTITY), "TCB"),
    ("no list of the root", |c| c.remove(ROOT_LIST), "REVOKED"),
    ("no list of the PCK authority", |c| c.remove(PCK_LIST), "REVOKED"),
    ("TCB info, evaluation number", |c| c.replace(TCB_INFO, "DataNumber\":18", "DataNumber\":19"), "SIGNATURE"),
    ("TCB info, status", |c| c.replace(TCB_INFO, "\"OutOfDate\"", "\"UpToDate\""), "SIGNATURE"),
    ("TCB info, a component's version", |c| c.replace(TCB_INFO, "\"svn\":5", "\"svn\":0"), "SIGNATURE"),
    ("TCB info, a later end", |c| c.replace(TCB_INFO, "2026-04-15", "2027-04-15"), "SIGNATURE"),
    (
        "TCB info, an earlier issue",
        |c| c.replace(TCB_INFO, "\"issueDate\":\"2026-03", "\"issueDate\":\"2026-02"),
        "SIGNATURE",
    ),
    ("TCB info, of SGX", |c| c.replace(TCB_INFO, "\"id\":\"TDX\"", "\"id\":\"SGX\""), "CHAIN"),
    ("TCB info, version 2", |c| c.replace(TCB_INFO, "\"version\":3", "\"version\":2"), "CHAIN"),
    ("TCB info, another FMSPC", |c| c.replace(TCB_INFO, "90c06f000000", "90c06f000001"), "CHAIN"),
    ("TCB info, another PCE", |c| c.replace(TCB_INFO, "\"pceId\":\"0000\"", "\"pceId\":\"0001\""), "CHAIN"),
    ("TCB info, spaces added", |c| c.replace(TCB_INFO, "\"version\":3", "\"version\": 3"), "SIGNATURE"),
    ("TCB info, a date that is none", |c| c.replace(TCB_INFO, "2026-04-15", "2026-04-35"), "PARSE"),
    ("TCB info, a status that Intel does not have", |c| c.replace(TCB_INFO, "\"UpToDate\"", "\"Fine\""), "PARSE"),
    (
        "TCB info, signature changed",
        |c| signature(c, TCB_INFO, |hex| hex.replace_range(0..1, if hex.starts_with('0') { "1" } else { "0" })),
        "SIGNATURE",
    ),
    ("TCB info, signature cut", |c| signature(c, TCB_INFO, |hex| hex.truncate(126)), "PARSE"),
    ("TCB info, signature zero", |c| signature(c, TCB_INFO, |hex| *hex = "0".repeat(128)), "SIGNATURE"),
    ("TCB info, signature not hexadecimal", |c| signature(c, TCB_INFO, |hex| *hex = "g".repeat(128)), "PARSE"),
    ("TCB info without signature", |c| c.replace(TCB_INFO, "\"signature\"", "\"sign\""), "PARSE"),
    (
        "TCB info of another platform",
        |c| {
            c.substitute(
                TCB_INFO,
                "tdx/202-v4-no-level-matches-later",
                "tcb_TDX_50806F000000_2026-03-16_2026-04-15_eval18.json",
            );
        },
        "CHAIN",
    ),
    (
        "TCB info that has ended",
        |c| c.substitute(TCB_INFO, "tdx/004-v5-td15-tcb-info-only", "tcbinfo.json"),
        "COLLATERAL_EXPIRED",
    ),
    (
        "a forged TCB info beside the genuine one",
        |c| {
            let forged = changed_tcb_info(c);
            c.artefacts.push(forged);
        },
        "SIGNATURE",
    ),
    (
        "an older TCB info beside the current one",
        |c| c.artefacts.push(file_of("tdx/004-v5-td15-tcb-info-only", "tcbinfo.json")),
        "accepted",
    ),
    ("QE identity, evaluation number", |c| c.replace(QE_IDENTITY, "DataNumber\":18", "DataNumber\":19"), "SIGNATURE"),
    ("QE identity, of an SGX enclave", |c| c.replace(QE_IDENTITY, "\"TD_QE\"", "\"QE\""), "CHAIN"),
    ("QE identity, version 1", |c| c.replace(QE_IDENTITY, "\"version\":2", "\"version\":1"), "CHAIN"),
    ("QE identity, signer", |c| c.replace(QE_IDENTITY, "\"mrsigner\":\"DC9E", "\"mrsigner\":\"DC9F"), "SIGNATURE"),
    (
        "QE identity, mask",
        |c| c.replace(QE_IDENTITY, "\"miscselectMask\":\"FFFFFFFF\"", "\"miscselectMask\":\"00000000\""),
        "SIGNATURE",
    ),
    ("QE identity, signature cut", |c| signature(c, QE_IDENTITY, |hex| hex.truncate(2)), "PARSE"),
    (
        "QE identity that has ended",
        |c| c.substitute(QE_IDENTITY, "tdx/206-v4-component-too-low", "qe_TD_QE_2025-06-04_2025-07-04_eval17.json"),
        "COLLATERAL_EXPIRED",
    ),
    ("QE identity's signature under TCB info", |c| c.replace(QE_IDENTITY, "enclaveIdentity", "tcbInfo"), "PARSE"),
    (
        "collateral of SGX alone",
        |c| {
            c.remove(TCB_INFO);
            c.substitute(QE_IDENTITY, "sgx/001-v3-collateral", "collateral.json");
        },
        "CHAIN",
    ),
    (
        "PCK list, of the other authority",
        |c| c.substitute(PCK_LIST, "sgx/001-v3-collateral", "collateral.json"),
        "REVOKED",
    ),
    (
        "PCK list, a serial number",
        |c| {
            let at = position(c.file(PCK_LIST), b"\x02\x14");
            c.flip(PCK_LIST, at + 10);
        },
        "REVOKED",
    ),
    ("PCK list, signature", |c| *c.file(PCK_LIST).last_mut().unwrap() ^= 1, "REVOKED"),
    ("PCK list, an end that is later", |c| date(c, PCK_LIST, "260415", "270415"), "REVOKED"),
    ("PCK list cut", |c| c.cut(PCK_LIST, 1), "PARSE"),
    (
        "PCK list that has ended",
        |c| c.substitute(PCK_LIST, "tdx/201-v4-no-level-matches", "pck_crl.der"),
        "COLLATERAL_EXPIRED",
    ),
    ("root's list, signature", |c| *c.file(ROOT_LIST).last_mut().unwrap() ^= 1, "REVOKED"),
    ("root's list, an end that is later", |c| date(c, ROOT_LIST, "270226", "280226"), "REVOKED"),
    (
        "root's list that has ended",
        |c| c.substitute(ROOT_LIST, "tdx/201-v4-no-level-matches", "root_crl.der"),
        "COLLATERAL_EXPIRED",
    ),
    (
        "root's list of before, still in its dates",
        |c| c.substitute(ROOT_LIST, "tdx/206-v4-component-too-low", "root_ca_crl_2025-03-20_2026-04-03.der"),
        "accepted",
    ),
    ("clock before the lists", |c| c.question.now = at("2026-03-10T00:00:00Z"), "COLLATERAL_EXPIRED"),
    ("clock after the TCB info", |c| c.question.now = at("2026-04-15T23:59:59Z"), "COLLATERAL_EXPIRED"),
    ("clock after everything", |c| c.question.now = at("2060-01-01T00:00:00Z"), "COLLATERAL_EXPIRED"),
    ("clock before everything", |c| c.question.now = UnixTime::from_secs(0), "COLLATERAL_EXPIRED"),
];

const POLICY: &[Row] = &[
    ("another MRTD", |c| c.question.policy.measurements = Some(vec![HexBytes([1; 48])]), "MEASUREMENT"),
    ("no MRTD allowed", |c| c.question.policy.measurements = Some(vec![]), "MEASUREMENT"),
    ("another MRSEAM", |c| c.question.policy.tdx.mr_seam = Some(vec![HexBytes([1; 48])]), "MEASUREMENT"),
    ("another RTMR 0", |c| c.question.policy.tdx.rtmr0 = Some(vec![HexBytes([1; 48])]), "MEASUREMENT"),
    ("another RTMR 1", |c| c.question.policy.tdx.rtmr1 = Some(vec![HexBytes([1; 48])]), "MEASUREMENT"),
    ("another RTMR 2", |c| c.question.policy.tdx.rtmr2 = Some(vec![HexBytes([1; 48])]), "MEASUREMENT"),
    ("another RTMR 3", |c| c.question.policy.tdx.rtmr3 = Some(vec![HexBytes([1; 48])]), "MEASUREMENT"),
    ("another MRCONFIGID", |c| c.question.policy.tdx.mr_config_id = Some(vec![HexBytes([1; 48])]), "HOST_DATA"),
    ("another MROWNER", |c| c.question.policy.tdx.mr_owner = Some(vec![HexBytes([1; 48])]), "HOST_DATA"),
    ("another MROWNERCONFIG", |c| c.question.policy.tdx.mr_owner_config = Some(vec![HexBytes([1; 48])]), "HOST_DATA"),
    ("other host data", |c| c.question.policy.host_data = Some(vec![HexBytes([1; 32])]), "HOST_DATA"),
    ("another FMSPC", |c| c.question.policy.tdx.fmspcs = Some(vec![HexBytes([1; 6])]), "PLATFORM_NOT_ALLOWED"),
    (
        "another platform",
        |c| c.question.policy.platform_identities = Some(vec![PlatformIdentity(vec![1; 16])]),
        "PLATFORM_NOT_ALLOWED",
    ),
    (
        "a kind of platform that is not allowed",
        |c| c.question.policy.platforms = vec![Platform::Snp],
        "PLATFORM_NOT_ALLOWED",
    ),
    ("no status allowed", |c| c.question.policy.tdx.tcb_statuses = vec![], "TCB"),
    ("another status", |c| c.question.policy.tdx.tcb_statuses = vec![TcbStatus::OutOfDate], "TCB"),
    ("a later evaluation", |c| c.question.policy.tdx.minimum_evaluation_number = Some(19), "TCB"),
    ("a later TCB date", |c| c.question.policy.tdx.minimum_tcb_date = Some(at("2027-01-01T00:00:00Z")), "TCB"),
    ("a higher TEE_TCB_SVN", |c| c.question.policy.tdx.minimum_tee_tcb_svn = Some(HexBytes([0xFF; 16])), "TCB"),
    ("other report data", |c| c.question.report_data = Some([1; 64]), "REPORT_DATA"),
    (
        "report data that share a prefix",
        |c| {
            let mut data = report_data(c);
            data[63] ^= 1;
            c.question.report_data = Some(data);
        },
        "REPORT_DATA",
    ),
    ("its report data", |c| c.question.report_data = Some(report_data(c)), "accepted"),
    ("another nonce", |c| c.question.nonce = Some(vec![1; 32]), "REPORT_DATA"),
    ("the nonce's front", |c| c.question.nonce = Some(report_data(c)[..32].to_vec()), "REPORT_DATA"),
    ("its nonce", |c| c.question.nonce = Some(report_data(c).to_vec()), "accepted"),
    ("a nonce of 65 bytes", |c| c.question.nonce = Some(vec![0; 65]), "NONCE"),
];

#[test]
fn every_derived_defect_is_refused_with_its_code() {
    let wrong = [COLLATERAL, POLICY].map(|rows| wrong_rows(V5, Policy::strict, rows)).concat();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn at(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

fn signature(changed: &mut Changed, name: &str, edit: impl FnOnce(&mut String)) {
    let text = String::from_utf8(changed.file(name).clone()).unwrap();
    let (front, after) = text.split_once("\"signature\":\"").unwrap();
    let (digits, back) = after.split_once('"').unwrap();
    let mut digits = digits.to_owned();
    edit(&mut digits);
    *changed.file(name) = format!("{front}\"signature\":\"{digits}\"{back}").into_bytes();
}

fn changed_tcb_info(changed: &mut Changed) -> Vec<u8> {
    String::from_utf8(changed.file(TCB_INFO).clone()).unwrap().replace("\"OutOfDate\"", "\"UpToDate\"").into_bytes()
}

/// Replaces the first part of a UTCTime in a list.
fn date(changed: &mut Changed, name: &str, from: &str, to: &str) {
    let at = position(changed.file(name), from.as_bytes());
    changed.set(name, at, to.as_bytes());
}

fn report_data(changed: &mut Changed) -> [u8; 64] {
    changed.file(QUOTE)[54 + 520..54 + 584].try_into().unwrap()
}
