//! `tests/vectors/nvidia-ocsp`: what NVIDIA's responders answered for one GPU and one manifest.

use std::path::PathBuf;
use std::thread;

use super::*;
use crate::class::{Class, Hardware};
use crate::endorsements::Endorsements;
use crate::endorsements::pem;
use crate::remembered::Remembered;
use crate::trust_anchors::HardwareAnchors;

/// Each response with the chain and the place in it of the certificate that it is about, and its dates.
const RESPONSES: [(&str, &str, usize, [&str; 2]); 4] = [
    ("device_l4_brom", DEVICE, 1, ["2025-08-21T06:47:07Z", "2025-08-22T06:47:07Z"]),
    ("device_l3_provisioner_ica", DEVICE, 2, ["2025-08-21T06:47:07Z", "2025-08-22T06:47:07Z"]),
    ("device_l2_identity", DEVICE, 3, ["2025-08-21T06:47:08Z", "2025-08-22T06:47:08Z"]),
    ("driver_rim_l4_signer", RIM, 0, ["2025-10-24T11:32:21Z", "2025-10-25T11:32:21Z"]),
];
const DEVICE: &str = "device_chain.pem";
const RIM: &str = "driver_rim_chain.pem";

fn file(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/nvidia-ocsp"));
    std::fs::read(folder.join(name)).unwrap()
}

fn response(name: &str) -> Vec<u8> {
    file(&format!("{name}.ocsp.der"))
}

fn chain(name: &str) -> Vec<Certificate> {
    pem::objects(&file(name)).unwrap().iter().map(|der| Certificate::parse(der).unwrap()).collect()
}

fn time(text: &str) -> UnixTime {
    UnixTime::parse_rfc3339(text).unwrap()
}

/// What the responses of `bag` say, under hardware roots.
fn asked(
    bag: &Endorsements,
    pairs: &[(&Certificate, &Certificate)],
    now: UnixTime,
    remembered: &Remembered,
) -> Result<Option<UnixTime>, Check> {
    let anchors = HardwareAnchors::compiled_in();
    let rules = StatusRules {
        title: "revocation",
        answers: bag.ocsp_responses(),
        lists: bag.revocation_lists(),
        required: true,
        allow_hold: false,
        anchored: Hardware::anchored(&anchors, remembered),
        now,
    };
    outcome(&rules, pairs)
}

fn bag(bytes: &[u8]) -> Endorsements {
    let mut bag = Endorsements::default();
    bag.add(bytes).unwrap();
    bag
}

#[test]
fn each_is_good_inside_its_dates_and_for_its_certificate_alone() {
    let remembered = Remembered::new(64);
    for (name, chain_name, place, [from, to]) in RESPONSES {
        let chain = chain(chain_name);
        let bag = bag(&response(name));
        let pair = (&chain[place], &chain[place + 1]);
        let (from, to) = (time(from), time(to));
        let at = |secs: u64| asked(&bag, &[pair], UnixTime::from_secs(secs), &remembered);
        for secs in [from.as_secs(), from.as_secs() + 3600, to.as_secs()] {
            assert_eq!(at(secs), Ok(Some(to)), "{name}");
        }
        for secs in [from.as_secs() - 1, to.as_secs() + 1] {
            assert_eq!(at(secs).unwrap_err().code, Code::CollateralExpired, "{name}");
        }
        for (other_name, other_place) in
            [(DEVICE, 0), (DEVICE, 1), (DEVICE, 2), (DEVICE, 3), (RIM, 0), (RIM, 1), (RIM, 2)]
        {
            let other = super::captured::chain(other_name);
            let found = asked(&bag, &[(&other[other_place], &other[other_place + 1])], from, &remembered);
            if (other_name, other_place) == (chain_name, place) {
                assert_eq!(found, Ok(Some(to)));
            } else {
                let missing = found.unwrap_err();
                assert_eq!(missing.found, Check::NONE_SUPPLIED, "{name} for {other_name} {other_place}");
            }
        }
    }
}

#[test]
fn a_device_s_three_together_end_with_the_first() {
    let chain = chain(DEVICE);
    let mut bag = Endorsements::default();
    for (name, ..) in RESPONSES.iter().rev() {
        bag.add(&response(name)).unwrap();
        bag.add(&response(name)).unwrap();
    }
    assert_eq!(bag.ocsp_responses().len(), 4, "each counts once");
    let pairs: Vec<_> = (1..4).map(|place| (&chain[place], &chain[place + 1])).collect();
    let now = time("2025-08-21T12:00:00Z");
    assert_eq!(asked(&bag, &pairs, now, &Remembered::new(64)), Ok(Some(time("2025-08-22T06:47:07Z"))));
    let with_leaf: Vec<_> = (0..4).map(|place| (&chain[place], &chain[place + 1])).collect();
    let missing = asked(&bag, &with_leaf, now, &Remembered::new(64)).unwrap_err();
    assert_eq!((missing.code, missing.found.as_str()), (Code::Revoked, Check::NONE_SUPPLIED));
    assert!(missing.wanted.ends_with("about GH100 A01 GSP FMC LF"), "{}", missing.wanted);
}

#[test]
fn an_error_of_the_responder_is_no_status() {
    let refusal = Endorsements::default().add(&file("unauthorized.ocsp.der")).unwrap_err();
    assert_eq!(refusal.code, Code::Parse);
    assert!(refusal.detail.contains("\"unauthorized\""), "{refusal}");
}

#[test]
fn a_response_is_shown() {
    let account = crate::artefacts::describe(&response("device_l2_identity")).unwrap();
    let shown = &account["endorsements"]["ocsp_responses"][0];
    assert_eq!(shown["responder"], "key sha1:2401f7a0bd4a1ecacab50979770441a2c4e12db3");
    assert_eq!(shown["certificates"][0]["subject"], "NVIDIA OCSP Responder L1-A 02");
    assert_eq!(shown["statuses"][0]["serial"], "4c255ede3bd001bf3f4a3b605fca898a");
    assert_eq!(shown["statuses"][0]["status"], "good");
    assert_eq!(shown["statuses"][0]["next_update"], "2025-08-22T06:47:08Z");
}

/// Flips every `step`-th bit of a response from `first` on, and gives those after which the certificate
/// still counts as checked.
fn accepted_bits(name: &str, first: usize, step: usize) -> Vec<usize> {
    let (_, chain_name, place, [from, _]) = RESPONSES.into_iter().find(|row| row.0 == name).unwrap();
    let chain = chain(chain_name);
    let pair = (&chain[place], &chain[place + 1]);
    let remembered = Remembered::new(1 << 16);
    let genuine = response(name);
    assert!(asked(&bag(&genuine), &[pair], time(from), &remembered).is_ok());
    let accepted = |bit: &usize| {
        let mut changed = genuine.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let mut bag = Endorsements::default();
        bag.add(&changed).is_ok() && asked(&bag, &[pair], time(from), &remembered).is_ok()
    };
    (first..genuine.len() * 8).step_by(step).filter(accepted).collect()
}

/// No bit may be another: what is not signed by one of the two signatures has one form in strict DER,
/// and the algorithm beside a signature decides whether it verifies at all.
#[test]
fn a_bit_changed_refuses() {
    for (name, ..) in RESPONSES {
        assert_eq!(accepted_bits(name, 0, 61), [0; 0], "{name}");
    }
}

#[test]
#[ignore = "every bit: seconds for each response"]
fn every_single_bit_of_an_ocsp_response() {
    thread::scope(|scope| {
        for (name, ..) in RESPONSES {
            scope.spawn(move || assert_eq!(accepted_bits(name, 0, 1), [0; 0], "{name}"));
        }
    });
}
