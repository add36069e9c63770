//! Each kind of item from a service that behaves, and what is not taken from one that does not.

use strongroom_endorsements::{FetchError, Freshness, Role};

use crate::vendor::{Behaviour, Vendor, intel, snp};
use crate::{Stage, settings, source, tcb_info, want};

fn genoa_vcek() -> String {
    let report = snp("012-genoa-v5/report.bin");
    format!("amd/vcek/Genoa/{}/{}", hex::encode(&report[0x1A0..0x1E0]), hex::encode(&report[0x180..0x188]))
}

#[tokio::test]
async fn every_item_comes_with_its_chain_and_its_dates() {
    let stage = Stage::new().await;
    for (text, subject, parts, expires, evaluation) in [
        (genoa_vcek().as_str(), "SEV-VCEK", 1, "2032-08-07", None),
        ("amd/chain/Milan/vcek", "SEV-Milan", 1, "2045-10-22", None),
        ("amd/chain/Milan/vlek", "SEV-VLEK-Milan", 1, "2045-10-22", None),
        ("amd/crl/Milan", "ARK-Milan", 1, "2026-05-12", None),
        ("intel/tdx-tcb-info/90c06f000000/standard", "TDX", 2, "2026-04-15", Some(18)),
        ("intel/tdx-tcb-info/90c06f000000/17", "TDX", 2, "2025-07-05", Some(17)),
        ("intel/tdx-tcb-info/50806f000000/early", "TDX", 2, "2026-04-15", Some(18)),
        ("intel/td-qe-identity/standard", "TD_QE", 2, "2026-04-15", Some(18)),
        ("intel/pck-crl/platform", "Intel SGX PCK Platform CA", 2, "2026-04-15", None),
        ("intel/pck-crl/processor", "Intel SGX PCK Processor CA", 2, "2025-07-19", None),
        ("intel/root-crl", "Intel SGX Root CA", 1, "2027-02-26", None),
    ] {
        let answer = stage.source.get(&want(text)).await.unwrap();
        assert_eq!((&answer.freshness, &answer.not_kept), (&Freshness::Fresh, &None), "{text}");
        let description = answer.item.description();
        assert_eq!(description.subject, subject, "{text}");
        assert_eq!(description.evaluation, evaluation, "{text}");
        assert_eq!(&description.expires.unwrap().to_string()[..10], expires, "{text}");
        assert_eq!(answer.item.artefacts().len(), parts, "{text}");
        let mut bag = strongroom_attestation::Endorsements::default();
        answer.item.add_to(&mut bag).unwrap();
        assert!(stage.source.cache().load(&want(text)).is_some(), "{text}");
    }
    let answer = stage.source.get(&tcb_info()).await.unwrap();
    let [object, chain] = answer.item.artefacts() else { panic!("object and chain") };
    let captured = intel("tcb_TDX_90C06F000000_2026-03-16_2026-04-15_eval18.json");
    assert_eq!((object.role, &object.bytes), (Role::Object, &captured), "byte for byte: Intel signs the text");
    assert!(chain.role == Role::IssuerChain && chain.bytes.starts_with(b"-----BEGIN CERTIFICATE-----\n"));
}

#[tokio::test]
async fn what_is_something_else_is_neither_served_nor_kept() {
    let other_chip = snp("011-genoa-v3/vcek.der");
    let vcek = snp("012-genoa-v5/vcek.der");
    let tcb = intel("tcb_TDX_90C06F000000_2026-03-16_2026-04-15_eval18.json");
    let text = String::from_utf8(tcb.clone()).unwrap();
    let body = |text: String| Behaviour::Body(text.into_bytes());
    let (tcb_info, vcek_want) = ("intel/tdx-tcb-info/90c06f000000/standard", genoa_vcek());
    for (text, behaviour, wanted) in [
        (tcb_info, Behaviour::Other("/tdx/certification/v4/tcb?fmspc=50806f000000&update=early"), "50806f000000"),
        (tcb_info, body(text.replace("\"id\":\"TDX\"", "\"id\":\"SGX\"")), "wanted TDX"),
        (tcb_info, body(text.replace("\"signature\":\"bf", "\"signature\":\"")), "hexadecimal"),
        (tcb_info, Behaviour::Body(tcb[..tcb.len() - 9].to_vec()), "not TCB info"),
        (tcb_info, Behaviour::Body(b"<html>Sign in to the hotel</html>".to_vec()), "not TCB info"),
        (tcb_info, Behaviour::Body(Vec::new()), "not TCB info"),
        (tcb_info, Behaviour::NoChain, "no header TCB-Info-Issuer-Chain"),
        (
            tcb_info,
            Behaviour::Chain("pck_platform_ca.der"),
            "issuer chain: a certificate of \"Intel SGX PCK Platform CA\"",
        ),
        (tcb_info, Behaviour::Chain("root_ca_crl_2026-02-26_2027-02-26.der"), "issuer chain"),
        (tcb_info, Behaviour::Cut, "error"),
        (tcb_info, Behaviour::Body(vec![b' '; (1 << 20) + 1]), "more than 1048576 bytes"),
        ("intel/tdx-tcb-info/90c06f000000/17", body(text.clone()), "wanted 17"),
        ("intel/td-qe-identity/standard", body(text), "not an identity"),
        (&vcek_want, Behaviour::Body(other_chip), "another chip"),
        (&vcek_want, Behaviour::Body(vcek[..vcek.len() - 1].to_vec()), "neither a certificate"),
        (&vcek_want, Behaviour::Other("/vcek/v1/Genoa/crl"), "certificate"),
        (&vcek_want, Behaviour::Other("/vcek/v1/Genoa/cert_chain"), "2 certificates where one"),
        ("amd/chain/Genoa/vcek", Behaviour::Other("/vcek/v1/Milan/cert_chain"), "SEV-Milan"),
        ("amd/chain/Milan/vlek", Behaviour::Other("/vcek/v1/Milan/cert_chain"), "SEV-VLEK-Milan"),
        ("amd/crl/Genoa", Behaviour::Other("/vcek/v1/Milan/crl"), "ARK-Milan"),
        (
            "intel/pck-crl/platform",
            Behaviour::Other("/sgx/certification/v4/pckcrl?ca=processor&encoding=der"),
            "Processor",
        ),
    ] {
        let stage = Stage::with(|settings| settings.patience = std::time::Duration::ZERO).await;
        stage.vendor.always(behaviour.clone());
        let error = stage.source.get(&want(text)).await.unwrap_err();
        let FetchError::Unavailable { causes, .. } = &error else { panic!("{error}") };
        assert!(causes.iter().any(|cause| cause.contains(wanted)), "{text} {behaviour:?}: {causes:?}");
        assert_eq!(std::fs::read_dir(stage.directory.path()).unwrap().count(), 0, "{text} {behaviour:?}");
        assert_eq!(stage.vendor.count(), 1, "{text} {behaviour:?}");
    }
}

#[tokio::test]
async fn the_certificate_must_be_for_the_firmware_that_was_asked_for() {
    // The service answers with the right chip's certificate of another firmware.
    let stage = Stage::with(|settings| settings.patience = std::time::Duration::ZERO).await;
    let text = genoa_vcek();
    let vcek = snp("012-genoa-v5/vcek.der");
    let microcode = [0x06, 0x0A, 0x2B, 6, 1, 4, 1, 0x9C, 0x78, 1, 3, 8];
    let place = vcek.windows(microcode.len()).position(|window| window == microcode).unwrap() + microcode.len();
    let mut changed = vcek;
    assert_eq!(changed[place..place + 5], [4, 3, 2, 1, 84]);
    changed[place + 4] = 83;
    stage.vendor.always(Behaviour::Body(changed));
    let error = stage.source.get(&want(&text)).await.unwrap_err();
    assert!(error.to_string().contains("another firmware"), "{error}");
}

#[tokio::test]
async fn redirects_stay_within_the_host() {
    let (stage, other) = (Stage::new().await, Vendor::start().await);
    let there = |vendor: &Vendor| vendor.mirror().name();
    let own = format!("http://{}/tdx/certification/v4/tcb?fmspc=90c06f000000", there(&stage.vendor));
    stage.vendor.next(Behaviour::Redirect(own.clone()));
    assert_eq!(stage.source.get(&tcb_info()).await.unwrap().freshness, Freshness::Fresh);
    assert_eq!(stage.vendor.count(), 2);

    let elsewhere = own.replace(&there(&stage.vendor), &there(&other));
    let own_path = "/tdx/certification/v4/tcb?fmspc=90c06f000000".to_owned();
    for (to, wanted) in
        [(elsewhere, "another host"), ("https://localhost/".to_owned(), "another host"), (own_path, "too often")]
    {
        let stage = Stage::with(|settings| settings.patience = std::time::Duration::ZERO).await;
        stage.vendor.always(Behaviour::Redirect(to));
        let error = stage.source.get(&tcb_info()).await.unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
    assert_eq!(other.count(), 0, "nobody was led there");
}

#[tokio::test]
async fn mirrors_are_asked_in_order() {
    let (mut first, second, stage) = (Vendor::start().await, Vendor::start().await, Stage::new().await);
    let directory = tempfile::tempdir().unwrap();
    let both = source(settings(&[&first, &second]), directory.path(), &stage.clock);
    both.get(&want("amd/crl/Milan")).await.unwrap();
    assert_eq!((first.count(), second.count()), (1, 0));
    first.next(Behaviour::Status(503));
    both.get(&want("amd/chain/Milan/vcek")).await.unwrap();
    assert_eq!((first.count(), second.count()), (2, 1));
    // The first rests, and is not asked at all.
    both.get(&want("amd/chain/Milan/vlek")).await.unwrap();
    assert_eq!((first.count(), second.count()), (2, 2));
    stage.clock.advance(std::time::Duration::from_secs(2));
    // A mirror that lacks something does not speak for the others.
    first.next(Behaviour::Status(404));
    both.get(&want("amd/chain/Genoa/vcek")).await.unwrap();
    assert_eq!((first.count(), second.count()), (3, 3));
    first.stop().await;
    let from = both.get(&want("intel/root-crl")).await.unwrap();
    assert!(from.item.url().contains(&second.mirror().name()), "{}", from.item.url());
}

#[tokio::test]
async fn a_caching_service_gives_lists_as_text() {
    let stage = Stage::new().await;
    stage.vendor.always(Behaviour::Hexadecimal);
    let answer = stage.source.get(&want("intel/root-crl")).await.unwrap();
    assert_eq!(answer.item.artefacts()[0].bytes, intel("root_ca_crl_2026-02-26_2027-02-26.der"));
    stage.source.get(&want("intel/pck-crl/platform")).await.unwrap();
}

#[tokio::test]
async fn what_no_vendor_has_is_its_own_outcome_and_is_remembered_for_a_while() {
    let stage = Stage::new().await;
    let unknown = want("intel/tdx-tcb-info/000000000000/standard");
    for _ in 0..5 {
        let error = stage.source.get(&unknown).await.unwrap_err();
        assert!(matches!(error, FetchError::NotFound { .. }), "{error}");
        assert_eq!((error.code(), error.retry_after()), ("NOT_FOUND", None));
    }
    assert_eq!(stage.vendor.count(), 1);
    assert_eq!(stage.source.get(&tcb_info()).await.unwrap().freshness, Freshness::Fresh, "others are not affected");
    stage.clock.advance(std::time::Duration::from_secs(601));
    stage.source.get(&unknown).await.unwrap_err();
    assert_eq!(stage.vendor.count(), 3);
    for status in [400, 410] {
        let stage = Stage::new().await;
        stage.vendor.always(Behaviour::Status(status));
        assert!(matches!(stage.source.get(&tcb_info()).await, Err(FetchError::NotFound { .. })), "{status}");
    }
}
