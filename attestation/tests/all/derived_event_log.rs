//! One row for each way in which an event log does not replay to the registers that the hardware signed, or
//! is no log.

use serde_json::{Value, json};
use strongroom_attestation::Policy;

use crate::derived::{Changed, Row, file_of, wrong_rows};
use crate::quote_parts::{position, word};

const CCEL: &str = "tdx/005-v4-ccel";
const LOG: &str = "ccel_data.dat";
const DSTACK: &str = "tdx/006-v4-dstack-event-log";
const REPORT: &str = "quote-report.json";

const TCG_ROWS: &[Row] = &[
    ("no log", |c| c.remove(LOG), "accepted"),
    ("the log twice", |c| c.artefacts.push(file_of(CCEL, LOG)), "accepted"),
    ("no table", |c| c.remove("ccel_table.dat"), "accepted"),
    ("the log alone", |c| c.remove("quote.bin"), "PARSE"),
    (
        "a digest of the first event",
        |c| {
            let at = records(c)[0];
            c.flip(LOG, at + 14);
        },
        "EVENT_LOG",
    ),
    (
        "a digest of the last event",
        |c| {
            let at = *records(c).last().unwrap();
            c.flip(LOG, at + 14);
        },
        "EVENT_LOG",
    ),
    (
        "the last event away",
        |c| {
            let at = *records(c).last().unwrap();
            c.file(LOG).truncate(at);
        },
        "EVENT_LOG",
    ),
    (
        "the first event away",
        |c| {
            let at = records(c);
            drop(c.file(LOG).drain(at[0]..at[1]));
        },
        "EVENT_LOG",
    ),
    (
        "an event twice",
        |c| {
            let at = records(c);
            let event = c.file(LOG)[at[0]..at[1]].to_vec();
            drop(c.file(LOG).splice(at[1]..at[1], event));
        },
        "EVENT_LOG",
    ),
    (
        "two events swapped",
        |c| {
            let at = records(c);
            c.file(LOG)[at[0]..at[2]].rotate_left(at[1] - at[0]);
        },
        "EVENT_LOG",
    ),
    (
        "an event of another register",
        |c| {
            let at = records(c)[0];
            c.set(LOG, at, &[2]);
        },
        "EVENT_LOG",
    ),
    (
        "an event that measures nothing",
        |c| {
            let at = records(c)[0];
            c.set(LOG, at + 4, &[3, 0, 0, 0]);
        },
        "EVENT_LOG",
    ),
    (
        "an event of another type",
        |c| {
            let at = records(c)[0];
            c.set(LOG, at + 4, &[1]);
        },
        "accepted",
    ),
    // What an event says of itself is for people; its digest is what was measured.
    (
        "an event that says something else",
        |c| {
            let at = position(c.file(LOG), b"grub_cmd");
            c.flip(LOG, at);
        },
        "accepted",
    ),
    (
        "a kind of digest that is not announced",
        |c| {
            let at = records(c)[0];
            c.set(LOG, at + 12, &[4]);
        },
        "PARSE",
    ),
    (
        "no digest",
        |c| {
            let at = records(c)[0];
            c.set(LOG, at + 8, &[0]);
        },
        "PARSE",
    ),
    (
        "more digests than there are kinds",
        |c| {
            let at = records(c)[0];
            c.set(LOG, at + 8, &[17]);
        },
        "PARSE",
    ),
    (
        "cut in an event",
        |c| {
            let at = records(c)[3];
            c.file(LOG).truncate(at + 20);
        },
        "PARSE",
    ),
    ("cut in the first record", |c| c.file(LOG).truncate(50), "PARSE"),
    (
        "an event past the end",
        |c| {
            let at = *records(c).last().unwrap();
            c.set(LOG, at + 62, &[0xFF; 4]);
        },
        "PARSE",
    ),
    (
        "no events",
        |c| {
            let at = records(c)[0];
            c.file(LOG).truncate(at);
        },
        "EVENT_LOG",
    ),
    (
        "no kinds of digest",
        |c| {
            let at = position(c.file(LOG), b"Spec ID");
            c.set(LOG, at + 24, &[0]);
        },
        "PARSE",
    ),
    ("larger than two megabytes", |c| c.file(LOG).resize((2 << 20) + 1, 0xFF), "PARSE"),
    (
        "the log of another machine besides",
        |c| {
            let log = dstack_log();
            c.artefacts.push(log);
        },
        "EVENT_LOG",
    ),
    ("the log of another machine", |c| *c.file(LOG) = dstack_log(), "EVENT_LOG"),
    (
        "the log with the quote of another machine",
        |c| c.substitute("quote.bin", "tdx/009-v4-cloud-padded", "quote.bin"),
        "REPORT_DATA",
    ),
];

const DSTACK_ROWS: &[Row] = &[
    ("no log", |c| c.json(REPORT, |json| drop(json.as_object_mut().unwrap().remove("event_log"))), "accepted"),
    ("a digest", |c| events(c, |list| list[0]["digest"] = json!("11".repeat(48))), "EVENT_LOG"),
    ("a digest of a runtime event", |c| runtime(c, |event| event["digest"] = json!("11".repeat(48))), "PARSE"),
    ("a runtime event's name", |c| runtime(c, |event| event["event"] = json!("app-ie")), "PARSE"),
    ("a runtime event's payload", |c| runtime(c, |event| event["event_payload"] = json!("00")), "PARSE"),
    (
        "a runtime event's name, without a digest",
        |c| {
            runtime(c, |event| {
                event["event"] = json!("app-ie");
                event["digest"] = json!("");
            });
        },
        "EVENT_LOG",
    ),
    ("a runtime event without a digest", |c| runtime(c, |event| event["digest"] = json!("")), "accepted"),
    ("a payload that is not hexadecimal", |c| runtime(c, |event| event["event_payload"] = json!("zz")), "PARSE"),
    ("a boot event without a digest", |c| events(c, |list| list[0]["digest"] = json!("")), "PARSE"),
    ("a digest of SHA-256", |c| events(c, |list| list[0]["digest"] = json!("11".repeat(32))), "PARSE"),
    ("the last event away", |c| events(c, |list| drop(list.pop())), "EVENT_LOG"),
    ("the first event away", |c| events(c, |list| drop(list.remove(0))), "EVENT_LOG"),
    ("two events swapped", |c| events(c, |list| list.swap(0, 1)), "EVENT_LOG"),
    ("an event twice", |c| events(c, |list| list.insert(0, list[0].clone())), "EVENT_LOG"),
    ("an event of another register", |c| events(c, |list| list[0]["imr"] = json!(1)), "EVENT_LOG"),
    (
        "events of no register that there is",
        |c| events(c, |list| list.iter_mut().for_each(|event| event["imr"] = json!(9))),
        "EVENT_LOG",
    ),
    (
        "an event without a type",
        |c| events(c, |list| drop(list[0].as_object_mut().unwrap().remove("event_type"))),
        "PARSE",
    ),
    ("a register that is text", |c| events(c, |list| list[0]["imr"] = json!("0")), "PARSE"),
    (
        "the quote of another machine",
        |c| c.json(REPORT, |json| json["quote"] = json!(hex::encode(file_of("tdx/003-v5-td15", "quote.bin")))),
        "EVENT_LOG",
    ),
];

#[test]
fn every_derived_log_is_refused_with_its_code() {
    let wrong =
        [wrong_rows(CCEL, Policy::authentic, TCG_ROWS), wrong_rows(DSTACK, Policy::strict, DSTACK_ROWS)].concat();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Where each record of a TCG log with digests of SHA-384 begins, after the first.
fn records(changed: &mut Changed) -> Vec<usize> {
    let log = changed.file(LOG);
    let mut at = 32 + word(log, 28);
    let mut records = Vec::new();
    while log.get(at..at + 4).is_some_and(|index| index != [0xFF; 4]) {
        records.push(at);
        let data = at + 12 + 2 + 48;
        at = data + 4 + word(log, data);
    }
    records
}

fn events(changed: &mut Changed, edit: impl FnOnce(&mut Vec<Value>)) {
    changed.json(REPORT, |json| {
        let text = json["event_log"].as_str().unwrap().to_owned();
        let mut list: Vec<Value> = serde_json::from_str(&text).unwrap();
        edit(&mut list);
        json["event_log"] = json!(serde_json::to_string(&list).unwrap());
    });
}

/// Edits the event that names the application.
fn runtime(changed: &mut Changed, edit: impl FnOnce(&mut Value)) {
    events(changed, |list| edit(list.iter_mut().find(|event| event["event"] == "app-id").unwrap()));
}

fn dstack_log() -> Vec<u8> {
    let report: Value = serde_json::from_slice(&file_of(DSTACK, REPORT)).unwrap();
    report["event_log"].as_str().unwrap().as_bytes().to_vec()
}
