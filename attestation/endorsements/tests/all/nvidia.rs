//! Each kind of NVIDIA's items from a service that behaves, from a folder, and what is not taken from one that does not.

use std::time::Duration;

use strongroom_attestation::HexBytes;
use strongroom_endorsements::{Bundle, Cache, FetchError, Freshness};

use crate::nvidia_vendor::{
    AUGUST, DRIVER, FIRMWARE, answer, answer_with, list, manifest, ocsp, status_of_chip, statuses,
};
use crate::vendor::{Behaviour, Vendor};
use crate::{Stage, settings, source, want};

const DRIVER_ID: &str = "NV_GPU_DRIVER_GH100_550.90.07";

fn impatient(settings: &mut strongroom_endorsements::Settings) {
    settings.patience = Duration::ZERO;
}

#[tokio::test]
async fn every_item_says_what_it_is_and_when_it_ends() {
    let stage = Stage::at(AUGUST, impatient).await;
    let [chip, provisioner, family] = &statuses()[..] else { panic!("three certificates") };
    for (text, subject, issued, expires) in [
        (DRIVER.to_owned(), "GH100 GPU 550.90.07", "2024-06-01", "2026-06-01"),
        (FIRMWARE.to_owned(), "GH100 GPU 96.00.9F.00.01", "2024-02-23", "2026-02-22"),
        (
            chip.to_string(),
            "certificate 41431d480fe5e87274 of NVIDIA GH100 Provisioner ICA 1",
            "2025-08-21",
            "2025-08-22",
        ),
        (
            provisioner.to_string(),
            "certificate 6afe7184f92232c8df7b242261776e56 of NVIDIA GH100 Identity",
            "2025-08-21",
            "2025-08-22",
        ),
        (
            family.to_string(),
            "certificate 4c255ede3bd001bf3f4a3b605fca898a of NVIDIA Device Identity CA",
            "2025-08-21",
            "2025-08-22",
        ),
        ("nvidia/crl/l1-root".to_owned(), "NVIDIA Device Identity CA", "2025-01-01", "2026-12-31"),
        ("nvidia/crl/l2-gh100".to_owned(), "NVIDIA GH100 Identity", "2025-01-01", "2026-12-31"),
        ("nvidia/crl/l2-gb100".to_owned(), "NVIDIA GB100 Identity", "2025-01-01", "2026-12-31"),
        ("nvidia/crl/corim-l1".to_owned(), "NVIDIA CoRIM signing Root CA", "2025-01-01", "2026-12-31"),
        ("nvidia/crl/corim-l2-gb100".to_owned(), "NVIDIA Reference Value GB1XX CA 001", "2025-01-01", "2026-12-31"),
    ] {
        let answer = stage.source.get(&want(&text)).await.unwrap();
        assert_eq!((&answer.freshness, &answer.not_kept), (&Freshness::Fresh, &None), "{text}");
        let description = answer.item.description();
        assert_eq!(description.subject, subject, "{text}");
        assert_eq!(&description.issued.to_string()[..10], issued, "{text}");
        assert_eq!(&description.expires.unwrap().to_string()[..10], expires, "{text}");
        assert_eq!(description.sha256.is_some(), text.contains("/rim/"), "{text}");
        assert_eq!(description.status.as_deref(), text.contains("/ocsp/").then_some("good"), "{text}");
        assert_eq!(stage.source.cache().load(&want(&text)), Some(answer.item), "{text}");
    }
    let item = stage.source.get(&want(DRIVER)).await.unwrap().item;
    assert_eq!(item.artefacts()[0].bytes, manifest(DRIVER_ID), "out of the JSON, byte for byte");
    let digest = <sha2::Sha256 as sha2::Digest>::digest(manifest(DRIVER_ID));
    assert_eq!(item.description().sha256, Some(HexBytes(digest.into())));
    assert_eq!(stage.vendor.requests()[0], "/v1/rim/NV_GPU_DRIVER_GH100_550.90.07");
}

#[tokio::test]
async fn what_is_something_else_is_neither_served_nor_kept() {
    let html = Behaviour::Body(b"<!DOCTYPE html>\n<html><SoftwareIdentity></SoftwareIdentity></html>".to_vec());
    let document = manifest(DRIVER_ID);
    let truncated = answer(DRIVER_ID, &document[..document.len() - 40]);
    let text = String::from_utf8(document.clone()).unwrap();
    let changed = |from: &str, to: &str| Behaviour::Body(answer(DRIVER_ID, text.replace(from, to).as_bytes()));
    let status = status_of_chip();
    let chip = ocsp("device_l4_brom");
    for (text, behaviour, wanted) in [
        (DRIVER, html.clone(), "not an answer with a manifest"),
        (DRIVER, Behaviour::Body(document.clone()), "not an answer with a manifest"),
        (DRIVER, Behaviour::Body(answer("NV_GPU_DRIVER_GH100_550.90.08", &document)), "550.90.08"),
        (DRIVER, Behaviour::Body(answer_with(DRIVER_ID, &document, &"00".repeat(32))), "digest"),
        (DRIVER, Behaviour::Body(answer_with(DRIVER_ID, &document, "unused")), "hexadecimal"),
        (DRIVER, Behaviour::Body(truncated), "NVIDIA manifest: it is not well-formed XML"),
        (DRIVER, Behaviour::Body(answer(DRIVER_ID, b"<html>Sign in to the hotel</html>")), "neither a certificate"),
        (DRIVER, Behaviour::Body(answer(DRIVER_ID, b"\xD9\x01\xF5")), "neither a certificate"),
        (
            DRIVER,
            Behaviour::Body(answer(DRIVER_ID, &manifest("NV_GPU_VBIOS_1010_0200_882_96009F0001"))),
            "a manifest of GH100 96.00.9F.00.01",
        ),
        (DRIVER, changed("product=\"GH100\"", "product=\"GB100\""), "a manifest of GB100"),
        (DRIVER, changed("colloquialVersion", "version"), "attributes of Meta"),
        (DRIVER, changed("ds:X509Certificate>", "ds:X509Other>"), "X509Data"),
        (DRIVER, changed("<ds:X509Certificate>MII", "<ds:X509Certificate>MIJ"), "a certificate cannot be read"),
        (FIRMWARE, Behaviour::Other("/v1/rim/NV_GPU_DRIVER_GH100_550.90.07"), "wanted \"NV_GPU_VBIOS"),
        (&status, html.clone(), "not an OCSP answer"),
        (&status, Behaviour::Body(ocsp("device_l2_identity")), "another certificate"),
        (&status, Behaviour::Body(chip[..chip.len() - 1].to_vec()), "not an OCSP answer"),
        (&status, Behaviour::Body(vec![0x30, 3, 0x0A, 1, 3]), "tryLater"),
        (&status, Behaviour::Body(vec![0x30, 3, 0x0A, 1, 2]), "internalError"),
        (&status, Behaviour::Body(vec![0x30, 3, 0x0A, 1, 0]), "not an OCSP answer"),
        (&status, Behaviour::Status(503), "503"),
        ("nvidia/crl/l1-root", Behaviour::Other("/crl/l2-gh100.crl"), "NVIDIA GH100 Identity"),
        ("nvidia/crl/l2-gb100", Behaviour::Other("/crl-corim/l2-gb100.crl"), "GB1XX"),
        ("nvidia/crl/l1-root", html, "neither"),
    ] {
        let stage = Stage::at(AUGUST, impatient).await;
        stage.vendor.always(behaviour.clone());
        let Err(error) = stage.source.get(&want(text)).await else { panic!("{text} {wanted}") };
        let FetchError::Unavailable { causes, .. } = &error else { panic!("{error}") };
        assert!(causes.iter().any(|cause| cause.contains(wanted)), "{text} wanted {wanted}: {causes:?}");
        assert_eq!(std::fs::read_dir(stage.directory.path()).unwrap().count(), 0, "{text} {wanted}");
        assert_eq!(stage.vendor.count(), 1, "{text} {wanted}");
    }
}

#[tokio::test]
async fn a_responder_that_does_not_know_a_certificate_is_not_out_of_order() {
    let stage = Stage::at(AUGUST, impatient).await;
    let unknown = want(&status_of_chip().replace("41431d48", "51431d48"));
    for _ in 0..3 {
        let error = stage.source.get(&unknown).await.unwrap_err();
        assert!(matches!(error, FetchError::NotFound { .. }), "{error}");
    }
    assert_eq!(stage.vendor.count(), 1, "that is remembered");
    // And it is asked about others at once.
    stage.source.get(&want(&status_of_chip())).await.unwrap();
}

#[tokio::test]
async fn a_status_that_has_ended_is_not_taken_from_a_service() {
    let stage = Stage::at("2025-08-22T06:47:07Z", impatient).await;
    let error = stage.source.get(&want(&status_of_chip())).await.unwrap_err();
    assert!(error.to_string().contains("a status that has ended"), "{error}");
    assert_eq!(std::fs::read_dir(stage.directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_of_manifests_comes_before_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::at(AUGUST, |settings| {
        settings.patience = Duration::ZERO;
        settings.mirrors.nvidia_rim_stores = vec![folder.path().join("none"), folder.path().to_owned()];
    })
    .await;
    // Not there: the service has it, and it is kept.
    let answer = stage.source.get(&want(DRIVER)).await.unwrap();
    assert!(answer.item.url().starts_with("http:"), "{}", answer.item.url());
    std::fs::write(folder.path().join(format!("{DRIVER_ID}.swidtag")), manifest(DRIVER_ID)).unwrap();
    let answer = stage.source.get(&want(DRIVER)).await.unwrap();
    assert_eq!(
        (answer.item.url(), answer.freshness),
        ("file:///NV_GPU_DRIVER_GH100_550.90.07.swidtag", Freshness::Fresh)
    );
    assert_eq!(stage.vendor.count(), 1);
    // It is carried like any other, without the folder's name.
    let now = strongroom_endorsements::Clock::now(stage.clock.as_ref());
    let bundle = Bundle::of(stage.source.cache().items().unwrap().items).to_json();
    let bundle = Bundle::from_json(&bundle, now).unwrap();
    assert!(bundle.items()[0].url().starts_with("file:///NV_"));
    let site = tempfile::tempdir().unwrap();
    bundle.merge_into(&Cache::open(site.path(), now).unwrap()).unwrap();

    // What is in the way is passed over while somebody else has it, and named when nobody has.
    std::fs::write(folder.path().join(format!("{DRIVER_ID}.xml")), &manifest(DRIVER_ID)[..9000]).unwrap();
    let answer = stage.source.get(&want(DRIVER)).await.unwrap();
    assert!(answer.item.url().ends_with(".swidtag"));
    let name = "NV_GPU_DRIVER_GH100_545.00";
    std::fs::write(folder.path().join(format!("{name}.xml")), manifest(DRIVER_ID)).unwrap();
    let error = stage.source.get(&want(&format!("nvidia/rim/{name}"))).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("545.00.xml: a manifest of GH100 550.90.07") && said.contains("not known at"), "{said}");
    assert_eq!(error.code(), "UNAVAILABLE");
}

#[tokio::test]
async fn offline_a_folder_still_counts() {
    let (vendor, folder, cache) = (Vendor::start().await, tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut settings = settings(&[&vendor]);
    settings.offline = true;
    settings.mirrors.nvidia_rim_stores = vec![folder.path().to_owned()];
    std::fs::write(folder.path().join(format!("{DRIVER_ID}.xml")), manifest(DRIVER_ID)).unwrap();
    let source = source(settings, cache.path(), &crate::SimulatedClock::at(AUGUST));
    assert_eq!(source.get(&want(DRIVER)).await.unwrap().freshness, Freshness::Fresh);
    assert_eq!(source.get(&want(FIRMWARE)).await.unwrap_err().code(), "NOT_CACHED");
    assert_eq!(vendor.count(), 0);
    let other = list("NVIDIA Device Identity CA");
    std::fs::write(folder.path().join("NV_GPU_VBIOS_1010_0200_882_96009F0001.xml"), other).unwrap();
    let error = source.get(&want(FIRMWARE)).await.unwrap_err();
    assert!(error.to_string().contains("96009F0001.xml: not a manifest"), "{error}");
}

#[tokio::test]
async fn a_responder_that_counts_requests_or_is_slow_is_left_alone() {
    let stage = Stage::at(AUGUST, impatient).await;
    stage.vendor.next(Behaviour::TooMany("40"));
    let all = statuses();
    for want in &all {
        let error = stage.source.get(want).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(40)), "{error}");
    }
    assert_eq!(stage.vendor.count(), 1, "until then nobody asks");
    stage.clock.advance(Duration::from_secs(40));
    stage.vendor.next(Behaviour::HalfThenGated);
    let (source, chip) = (stage.source.clone(), all[0].clone());
    let call = tokio::spawn(async move { source.get(&chip).await });
    stage.vendor.asked(2).await;
    stage.clock.asleep_for_at_most(Duration::from_secs(10)).await;
    stage.clock.advance(Duration::from_secs(10));
    let error = call.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("no whole answer within 10 s"), "{error}");
    stage.clock.advance(Duration::from_secs(300));
    for want in &all {
        assert_eq!(stage.source.get(want).await.unwrap().freshness, Freshness::Fresh);
    }
}
