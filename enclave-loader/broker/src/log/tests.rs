use std::fs;

use super::*;

fn event(n: u64) -> Event {
    Event::TrustExported { sequence: n, digest: "00".into() }
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

/// A log of five records, its lines and its head.
fn log_of_five() -> (tempfile::TempDir, Vec<String>, LogHead) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = DecisionLog::create(dir.path()).unwrap();
    for n in 1..=5 {
        log.append(at(n), vec![event(n)]).unwrap();
    }
    let text = fs::read_to_string(dir.path().join(LOG_FILE)).unwrap();
    let lines = text.lines().map(str::to_owned).collect();
    (dir, lines, log.head())
}

fn write(dir: &tempfile::TempDir, lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(dir.path().join(LOG_FILE), text).unwrap();
}

#[test]
fn a_log_is_reopened_and_goes_on_where_it_ended() {
    let (dir, _, head) = log_of_five();
    let mut log = DecisionLog::open(dir.path(), head).unwrap();
    assert_eq!(log.head(), head);
    let head = log.append(at(6), vec![event(6), event(7)]).unwrap();
    assert_eq!(head.seq, 7);
    let report = verify_log(&dir.path().join(LOG_FILE), Some(head)).unwrap();
    assert_eq!(report, LogReport { head, last_time: at(6), torn_bytes: 0 });
}

#[test]
fn a_changed_record_is_found_wherever_it_is() {
    for changed in 0..5 {
        let (dir, mut lines, head) = log_of_five();
        lines[changed] = lines[changed].replace(r#""digest":"00""#, r#""digest":"01""#);
        write(&dir, &lines);
        assert!(DecisionLog::open(dir.path(), head).is_err(), "record {}", changed + 1);
    }
}

#[test]
fn a_removed_a_doubled_and_a_moved_record_are_found() {
    let (dir, lines, head) = log_of_five();
    let mut removed = lines.clone();
    removed.remove(2);
    write(&dir, &removed);
    assert!(matches!(DecisionLog::open(dir.path(), head), Err(LogError::Broken { seq: 3 })));

    let mut doubled = lines.clone();
    doubled.insert(2, lines[1].clone());
    write(&dir, &doubled);
    assert!(matches!(DecisionLog::open(dir.path(), head), Err(LogError::Broken { seq: 3 })));

    let mut moved = lines.clone();
    moved.swap(1, 3);
    write(&dir, &moved);
    assert!(matches!(DecisionLog::open(dir.path(), head), Err(LogError::Broken { seq: 2 })));
}

#[test]
fn a_cut_off_end_is_found_by_the_remembered_head() {
    let (dir, lines, head) = log_of_five();
    write(&dir, &lines[..3]);
    assert!(matches!(DecisionLog::open(dir.path(), head), Err(LogError::Cut { wanted: 5, found: 3 })));
    assert!(verify_log(&dir.path().join(LOG_FILE), None).is_ok(), "without the head it cannot be seen");
}

#[test]
fn a_consistent_log_of_other_events_is_found_by_the_remembered_head() {
    let (dir, _, head) = log_of_five();
    fs::remove_file(dir.path().join(LOG_FILE)).unwrap();
    let mut other = DecisionLog::create(dir.path()).unwrap();
    for n in 1..=6 {
        other.append(at(n), vec![event(100 + n)]).unwrap();
    }
    assert!(matches!(DecisionLog::open(dir.path(), head), Err(LogError::Replaced { seq: 5 })));
}

#[test]
fn a_torn_last_line_is_taken_away_and_acknowledged_records_stay() {
    let (dir, lines, head) = log_of_five();
    let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    text.push_str(r#"{"seq":6,"time":"#);
    fs::write(dir.path().join(LOG_FILE), text).unwrap();
    let mut log = DecisionLog::open(dir.path(), head).unwrap();
    assert_eq!(log.head(), head);
    let head = log.append(at(6), vec![event(6)]).unwrap();
    assert!(DecisionLog::open(dir.path(), head).is_ok());
}

#[test]
fn a_log_ahead_of_the_remembered_head_is_a_crash_between_two_writes_and_is_kept() {
    let (dir, lines, _) = log_of_five();
    let remembered = LogHead { seq: 4, hash: crypto::sha256(lines[3].as_bytes()) };
    assert_eq!(DecisionLog::open(dir.path(), remembered).unwrap().head().seq, 5);
}

#[test]
fn a_missing_log_is_an_error_and_never_made_in_passing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(DecisionLog::open(dir.path(), LogHead::EMPTY), Err(LogError::File { .. })));
    assert!(!dir.path().join(LOG_FILE).exists());
}

#[test]
fn every_event_is_read_back_from_its_line() {
    let decided = Decided {
        caller: "ab".into(),
        evidence: "cd".into(),
        policy: "ef".into(),
        models: vec!["01".into()],
        decision: Decision::Refused,
        codes: vec!["MEASUREMENT".into()],
        lease: None,
    };
    let events = [
        Event::Release(decided.clone()),
        Event::Renewal(Decided { lease: Some("02".into()), decision: Decision::Granted, ..decided.clone() }),
        Event::KbsResource(decided),
        Event::LeaseForked { lease: "03".into(), instance: "04".into() },
        Event::ApiKeyRevoked { id: "ak-1".into() },
        Event::KeysPublished { model: "05".into(), name: "llama".into(), version: 3 },
    ];
    for event in events {
        let record = Record { seq: 1, time: at(1), event, prev: [0; 32] };
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record, "{line}");
    }
}

#[test]
fn a_record_that_could_not_be_read_again_is_not_written() {
    let (dir, _, head) = log_of_five();
    let mut log = DecisionLog::open(dir.path(), head).unwrap();
    assert_eq!(log.last_time(), at(5));
    let long = Event::ApiKeyRevoked { id: "x".repeat(MAX_LINE_BYTES) };
    assert!(matches!(log.append(at(6), vec![event(6), long]), Err(LogError::TooLong { .. })));
    let head = log.append(at(6), vec![event(6)]).unwrap();
    assert_eq!((head.seq, log.last_time()), (6, at(6)));
    assert!(DecisionLog::open(dir.path(), head).is_ok());
}
