//! From reports of devices to what verifies them: what is asked for, in which order, and which items a check blames.

use std::time::Duration;

use strongroom_attestation::{Check, Code, Policy, Submission};
use strongroom_endorsements::{Clock as _, Collateral, Purpose, Want, device_wants};

use crate::nvidia_vendor::{AUGUST, DRIVER, FIRMWARE, device, list, status_of_chip, statuses, submission};
use crate::vendor::{Behaviour, Vendor, vector};
use crate::{Stage, failed, settings, source, want};

fn impatient(settings: &mut strongroom_endorsements::Settings) {
    settings.patience = Duration::ZERO;
}

async fn got(stage: &Stage, files: &[Vec<u8>], purpose: Purpose) -> Collateral {
    let Submission { devices, endorsements, .. } = submission(files);
    stage.source.for_devices(&devices, &endorsements, stage.clock.now(), purpose).await
}

fn texts(collateral: &Collateral) -> Vec<String> {
    collateral.answers.iter().map(|answer| answer.item.want().to_string()).collect()
}

#[test]
fn a_device_needs_its_manifests_and_the_status_of_its_certificates() {
    let Submission { devices, endorsements, .. } = submission(&device());
    let wants = device_wants(&devices, &endorsements);
    assert_eq!(wants.manifests, [want(DRIVER), want(FIRMWARE)]);
    let about: Vec<_> = wants
        .statuses
        .iter()
        .map(|status| (status.subject.as_str(), status.list.as_ref().map(ToString::to_string)))
        .collect();
    assert_eq!(
        about,
        [
            ("GH100 A01 GSP BROM", None),
            ("NVIDIA GH100 Provisioner ICA 1", Some("nvidia/crl/l2-gh100".to_owned())),
            ("NVIDIA GH100 Identity", Some("nvidia/crl/l1-root".to_owned())),
        ]
    );
    // Four GPUs of one machine share manifests and authorities, a machine with switches more so.
    let four = submission(&[vector("nvidia/008-four-of-eight-gpus/evidence.json")]);
    let wants = device_wants(&four.devices, &four.endorsements);
    assert_eq!(wants.manifests.len(), 2, "{:?}", wants.manifests);
    assert!((4 + 2..=4 + 3).contains(&wants.statuses.len()), "{:?}", wants.statuses.len());
    // Without certificates nothing is known.
    let bare = submission(&device()[..1]);
    assert_eq!(device_wants(&bare.devices, &bare.endorsements), Default::default());
}

#[tokio::test]
async fn what_a_device_needs_is_fetched_once() {
    let stage = Stage::at(AUGUST, impatient).await;
    let collateral = got(&stage, &device(), Purpose::Verify).await;
    let wanted: Vec<String> =
        [DRIVER, FIRMWARE].map(str::to_owned).into_iter().chain(statuses().iter().map(Want::to_string)).collect();
    assert_eq!(texts(&collateral)[..5], wanted);
    assert!(stage.vendor.requests()[..5].iter().all(|path| !path.contains("crl")), "an answer is enough");
    let asked = stage.vendor.count();
    got(&stage, &device(), Purpose::Verify).await;
    assert_eq!(stage.vendor.count(), asked);
    // What is carried lasts longer than a day.
    let carried = got(&stage, &device(), Purpose::Carry).await;
    for list in ["nvidia/crl/l2-gh100", "nvidia/crl/l1-root"] {
        assert_eq!(texts(&carried).iter().filter(|text| *text == list).count(), 1, "{list}");
    }
}

#[tokio::test]
async fn lists_stand_in_for_a_responder_that_is_down() {
    let (responder, clock) = (Vendor::start().await, crate::SimulatedClock::at(AUGUST));
    responder.always(Behaviour::Status(503));
    let (vendor, directory) = (Vendor::start().await, tempfile::tempdir().unwrap());
    let mut settings = settings(&[&vendor]);
    settings.patience = Duration::ZERO;
    settings.mirrors.nvidia_ocsp = vec![responder.mirror()];
    let source = source(settings, directory.path(), &clock);
    let Submission { devices, endorsements, .. } = submission(&device());
    let collateral = source.for_devices(&devices, &endorsements, clock.now(), Purpose::Verify).await;
    assert_eq!(texts(&collateral)[..4], [DRIVER, FIRMWARE, "nvidia/crl/l2-gh100", "nvidia/crl/l1-root"]);
    // Nothing else speaks of the chip itself.
    assert_eq!(collateral.missing[0].want().to_string(), status_of_chip());
    assert_eq!((collateral.missing[0].code(), responder.count()), ("UNAVAILABLE", 1));
}

#[tokio::test]
async fn what_is_given_is_not_asked_for() {
    let stage = Stage::at(AUGUST, impatient).await;
    let [report, chain] = device();
    let files = [report, chain, list("NVIDIA Device Identity CA"), list("NVIDIA GH100 Identity")];
    let collateral = got(&stage, &files, Purpose::Verify).await;
    assert_eq!(texts(&collateral)[..3], [DRIVER.to_owned(), FIRMWARE.to_owned(), status_of_chip()]);
    assert!(!texts(&collateral).contains(&statuses()[1].to_string()));
    let carried = got(&stage, &files, Purpose::Carry).await;
    assert!(texts(&carried).contains(&statuses()[1].to_string()), "it may not be given the next time");
}

#[test]
fn a_check_lacks_or_blames_the_items_that_it_is_about() {
    let chip = status_of_chip();
    let wants = [DRIVER, FIRMWARE, chip.as_str(), "nvidia/crl/l2-gh100", "nvidia/crl/corim-l1", "amd/crl/Milan"];
    let of = |check: &Check, asks: fn(&Want, &Check) -> bool| -> Vec<usize> {
        (0..wants.len()).filter(|at| asks(&want(wants[*at]), check)).collect()
    };
    for (title, lacked) in [
        ("GPU 0: driver's measurements", &[0][..]),
        ("GPU 7: firmware's measurements", &[1]),
        ("switch 2: firmware's measurements", &[1]),
        ("GPU 0: revocation of the certificates", &[2, 3]),
        ("manifest of GH100 GPU 550.90.07: revocation of the certificates", &[2, 4]),
        ("GPU 0: certificate chain", &[]),
        ("revocation", &[5]),
    ] {
        let check = Check::fail(Code::NoEndorsement, title, "something", Check::NONE_SUPPLIED);
        assert_eq!(of(&check, Want::is_lacked_by), lacked, "{title}");
    }
    for (code, title, found, refused) in [
        (Code::Signature, "manifest of GH100 GPU 550.90.07 signature", "another", &[0][..]),
        (Code::Chain, "manifest of GH100 GPU 550.90.07 signer's chain", "another", &[0]),
        (Code::Signature, "manifest of GH100 GPU 96.00.9F.00.01 digest", "another", &[1]),
        (Code::Signature, "manifest of GH100 GPU 550.90.0 signature", "another", &[]),
        (Code::Signature, "manifest of GB100 GPU 550.90.07 signature", "another", &[]),
        (Code::Signature, "GPU 0: signature of the report", "it does not verify", &[]),
        (Code::Chain, "GPU 0: certificate chain", "another", &[]),
        // An answer or a list that its authority did not sign is forgotten; one that revokes is kept.
        (Code::Revoked, "GPU 0: revocation of the certificates", "about X: one that Y did not sign", &[2, 3]),
        (Code::Revoked, "GPU 0: revocation of the certificates", Check::FOREIGN_LIST, &[2, 3]),
        (Code::Revoked, "GPU 0: revocation of the certificates", "X (serial 01) is revoked since then", &[]),
        (Code::Measurement, "GPU 0: driver's measurements", "others at 9", &[]),
    ] {
        let check = Check::fail(code, title, "something", found);
        assert_eq!(of(&check, Want::is_refused_by), refused, "{title}: {found}");
    }
}

#[tokio::test]
async fn the_verifier_accepts_a_device_with_what_was_fetched_for_it() {
    let stage = Stage::at(AUGUST, impatient).await;
    let collateral = got(&stage, &device(), Purpose::Verify).await;
    // The second round: two signers, their authority and the one above it. Nothing that was captured is about them.
    let codes: Vec<_> = collateral.missing.iter().map(strongroom_endorsements::FetchError::code).collect();
    assert_eq!((collateral.answers.len(), codes), (6, vec!["NOT_FOUND"; 3]), "{:?}", collateral.missing);
    assert_eq!(texts(&collateral)[5], "nvidia/crl/corim-l1", "in the place of an answer");
    let mut policy = Policy::authentic();
    policy.nvidia.require_manifests = true;
    // The list was made here, and has the common name of NVIDIA's root only: it is about none of these certificates.
    assert_eq!(failed(&device(), &collateral, &policy, &stage.clock), None);
}
