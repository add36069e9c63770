//! What NVIDIA's devices need, from the command line: fetched from a folder of manifests and from a responder on this machine,
//! shown, and carried to another site.

use std::fs;
use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::scene::Scene;

const DRIVER: &str = "NV_GPU_DRIVER_GH100_550.90.07";
const FIRMWARE: &str = "NV_GPU_VBIOS_1010_0200_882_96009F0001";

/// NVIDIA's services, of which only that of manifests has something: the captured OCSP answers ended long ago.
fn service(runtime: &Runtime) -> String {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = |uri: Uri| async move {
        match uri.path() {
            path if path.starts_with("/v1/") || path.starts_with("/crl") => Err(StatusCode::NOT_FOUND),
            _ => Ok(Bytes::from(file("tests/vectors/nvidia-ocsp/unauthorized.ocsp.der"))),
        }
    };
    runtime.spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn manifests_come_from_a_folder_and_are_carried_on() {
    let (runtime, scene) = (Runtime::new().unwrap(), Scene::new());
    let url = service(&runtime);
    for name in ["report.bin", "chain.pem"] {
        scene.write(name, file(&format!("tests/vectors/nvidia/001-h100/{name}")));
    }
    fs::create_dir(scene.path("rims")).unwrap();
    for id in [DRIVER, FIRMWARE] {
        scene.write(&format!("rims/{id}.xml"), file(&format!("tests/vectors/nvidia-manifests/{id}.xml")));
    }
    let services = ["--nvidia-rim-url", &url, "--nvidia-ocsp-url", &url, "--nvidia-crl-url", &url, "--cache", "here"];
    let fetch = ["collateral", "fetch", "--evidence", "report.bin", "chain.pem", "--nvidia-rim-store", "rims"];
    let said = scene.run(&[&fetch[..], &services].concat());
    // Nobody there knows its certificates.
    assert_eq!(said.exit, 3, "{}", said.stderr);
    assert!(said.stderr.contains("error[NOT_FOUND]") && said.stderr.contains("nvidia/crl/l1-root"), "{}", said.stderr);
    assert_eq!(said.stdout.matches("from the folder of manifests").count(), 2, "{}", said.stdout);
    assert!(said.stdout.contains("GH100 GPU 550.90.07, signer valid since 2024-06-01T"), "{}", said.stdout);

    let named = scene.done(
        &[&["collateral", "fetch", "--nvidia-manifest", DRIVER, "--nvidia-rim-store", "rims"][..], &services].concat(),
    );
    assert_eq!(named["items"][0]["sha256"].as_str().map(str::len), Some(64), "{named}");
    scene.done(&["collateral", "export", "bundle.json", "--cache", "here"]);
    let merged = scene.done(&["collateral", "import", "bundle.json", "--cache", "there"]);
    assert_eq!(merged["added"], 2, "{merged}");
    let shown = scene.done(&["collateral", "show", "--cache", "there"]);
    assert_eq!(shown["items"][0]["want"], format!("nvidia/rim/{DRIVER}"));
    assert_eq!(shown["items"][0]["url"], format!("file:///{DRIVER}.xml"));
    assert_eq!(shown["items"][1]["subject"], "GH100 GPU 96.00.9F.00.01");
}

#[test]
fn a_wrong_folder_or_name_is_told_before_anybody_is_asked() {
    let scene = Scene::new();
    for arguments in [
        &["collateral", "fetch", "--nvidia-manifest", "../etc/passwd", "--cache", "c"][..],
        &["collateral", "fetch", "--nvidia-manifest", DRIVER, "--nvidia-rim-store", "none", "--cache", "c"],
        &["collateral", "fetch", "--nvidia-manifest", DRIVER, "--nvidia-ocsp-url", "ftp://a", "--cache", "c"],
    ] {
        let said = scene.run(arguments);
        assert_eq!(said.exit, 2, "{arguments:?}: {}", said.stderr);
    }
}
