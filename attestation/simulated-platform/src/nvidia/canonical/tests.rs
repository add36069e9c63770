//! The writers of documents and of their canonical forms against genuine manifests: rebuilt
//! from what is in it, each document is the same byte for byte, its digest is the one that
//! NVIDIA signed, and the signature verifies.

use std::{ffi::OsStr, fs, path::Path};

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha384};
use x509_cert::{Certificate, der::Decode as _};

use super::super::{
    manifest::{Entry, Manifest},
    manifest_issuance::signature_element,
};
use super::{manifest, signed_info};

/// A folder with more genuine manifests, for the test that is not run by itself.
const SAMPLES: &str = "NVIDIA_SAMPLES";

#[test]
fn genuine_manifests_are_rebuilt_and_verify() {
    check(include_str!("../../../../../tests/vectors/nvidia-manifests/NV_GPU_DRIVER_GH100_550.90.07.xml")).unwrap();
    check(include_str!("../../../../../tests/vectors/nvidia-manifests/NV_GPU_VBIOS_1010_0200_882_96009F0001.xml"))
        .unwrap();
    check(include_str!(
        "../../../../../tests/vectors/nvidia-manifests/NV_SWITCH_BIOS_5612_0002_890_9610550001.signed2026.xml"
    ))
    .unwrap();
}

#[test]
#[ignore = "needs a folder of genuine manifests, named by NVIDIA_SAMPLES"]
fn every_other_genuine_manifest_too() {
    let folder = std::env::var_os(SAMPLES).unwrap();
    let mut wrong = Vec::new();
    for entry in fs::read_dir(Path::new(&folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension() == Some(OsStr::new("xml")) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let result = check(&fs::read_to_string(&path).unwrap());
            if result.is_ok() == name.starts_with("bad_") {
                wrong.push(format!("{name}: {result:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(document: &str) -> Result<(), &'static str> {
    let document = document.trim_end();
    let rebuilt = read(document);
    let (digest, value) = (text(document, "ds:DigestValue"), text(document, "ds:SignatureValue"));
    let certificates: Vec<Vec<u8>> = document
        .split("<ds:X509Certificate>")
        .skip(1)
        .map(|part| part.split_once('<').unwrap().0.replace('\n', ""))
        .map(|encoded| STANDARD.decode(encoded).unwrap())
        .collect();
    assert_eq!(certificates.len(), 4);

    let written = rebuilt.document(&signature_element(digest, value, &certificates).unwrap());
    assert!(written == document, "not the same document");
    if STANDARD.encode(Sha384::digest(manifest(&rebuilt))) != digest {
        return Err("digest");
    }
    let signer = Certificate::from_der(&certificates[0]).unwrap();
    let key = signer.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes().to_vec();
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key)
        .verify(signed_info(digest).as_bytes(), &STANDARD.decode(value).unwrap())
        .map_err(|_| "signature")
}

/// What a genuine document says.
fn read(document: &str) -> Manifest {
    let meta = element(document, "ns0:Meta");
    let resources = document.split("<ns0:Resource ").skip(1).map(|part| part.split_once("/>").unwrap().0);
    let entry = |resource: &str| {
        let hashes = (0..).map_while(|number| attribute(resource, &format!("ns2:Hash{number}")));
        Entry {
            index: attribute(resource, "index").unwrap(),
            active: attribute(resource, "active").unwrap() == "True",
            alternatives: attribute(resource, "alternatives").unwrap(),
            hashes: hashes.collect(),
            name: attribute(resource, "name").unwrap(),
            size: attribute(resource, "size").unwrap(),
        }
    };
    Manifest {
        tag_id: attribute(element(document, "SoftwareIdentity"), "tagId").unwrap(),
        version: attribute(meta, "colloquialVersion").unwrap(),
        edition: attribute(meta, "edition").unwrap(),
        product: attribute(meta, "product").unwrap(),
        entries: resources.map(entry).collect(),
    }
}

/// The attributes of the first element of that name.
fn element<'a>(document: &'a str, name: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("<{name} ")).unwrap();
    rest.split_once('>').unwrap().0
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let attributes = format!(" {attributes}");
    let (_, rest) = attributes.split_once(&format!(" {name}=\""))?;
    Some(rest.split_once('"').unwrap().0.to_owned())
}

/// What is between the tags of the first element of that name.
fn text<'a>(document: &'a str, name: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("<{name}>")).unwrap();
    rest.split_once('<').unwrap().0
}
