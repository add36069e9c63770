//! A sealed model behind HTTP: read in ranges, gone on with after a broken line, and as untrusted as on
//! a disk.

mod server;

use std::fs;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use strongroom_enclave_loader::{LoadError, SealedModel, open_manifest};

use crate::fixture::{CHUNK, Tenant, Workshop, bytes, read_all};
use server::{Fault, Server};

/// Longer than a span, so that several requests are needed for each blob.
const CHUNKS: usize = 200;

struct Scene {
    tenant: Tenant,
    workshop: Workshop,
    content: Vec<u8>,
    server: Server,
}

impl Scene {
    fn new(fault: Fault) -> Self {
        let tenant = Tenant::new(1);
        let content = bytes(3, CHUNKS * CHUNK as usize - 17);
        let workshop = Workshop::new(&[("model.gguf", &content), ("config.json", b"{}")]);
        workshop.seal(&tenant.options(90));
        let server = Server::new(workshop.sealed(), fault);
        Self { tenant, workshop, content, server }
    }

    fn open(&self) -> Result<SealedModel, LoadError> {
        let manifest = open_manifest(Path::new(&self.server.url), &self.tenant.verifying_key())?;
        manifest.unlock(&self.tenant.keys(&self.workshop.sealed())?)
    }

    /// What reading everything gives, and the bytes that came before it failed.
    fn read(&self) -> Result<(), LoadError> {
        let model = self.open()?;
        let mut content = Vec::new();
        let read = model.reader("model.gguf")?.read_to_end(&mut content);
        assert!(self.content.starts_with(&content), "only the publisher's bytes come out");
        if read.is_err() {
            return Err(model.take_failure().unwrap());
        }
        assert!(content == self.content);
        Ok(())
    }
}

#[test]
fn a_model_is_read_whole_at_random_and_by_many_at_once() {
    let scene = Scene::new(Fault::None);
    let model = scene.open().unwrap();
    assert!(read_all(&model, "model.gguf") == scene.content);
    assert_eq!(read_all(&model, "config.json"), b"{}");
    model.verify_all(&|_| ()).unwrap();
    std::thread::scope(|scope| {
        for start in [0, 7 << 20, 1, 11 << 20] {
            let (model, content) = (&model, &scene.content);
            scope.spawn(move || {
                let mut reader = model.reader("model.gguf").unwrap();
                let mut buffer = vec![0; 1 << 20];
                reader.seek(SeekFrom::Start(start)).unwrap();
                reader.read_exact(&mut buffer).unwrap();
                assert!(buffer == content[start as usize..][..1 << 20]);
            });
        }
    });
}

#[test]
fn reading_straight_on_fetches_each_byte_once() {
    let scene = Scene::new(Fault::None);
    let model = scene.open().unwrap();
    let before = scene.server.sent();
    assert!(read_all(&model, "model.gguf") == scene.content);
    let sent = scene.server.sent() - before;
    let sealed: u64 =
        (0..3).map(|n| fs::metadata(scene.workshop.sealed().join(format!("blobs/000{n}.bin"))).unwrap().len()).sum();
    assert!(sent <= sealed + (1 << 20), "{sent} of {sealed} bytes");
}

#[test]
fn a_line_that_breaks_is_gone_on_with_where_it_broke() {
    let scene = Scene::new(Fault::BreaksEvery(3));
    let before = scene.server.sent();
    scene.read().unwrap();
    let sent = scene.server.sent() - before;
    assert!(sent < 2 * scene.content.len() as u64, "{sent}: nothing was begun anew");
}

#[test]
fn a_server_that_is_busy_for_a_moment_is_asked_again() {
    Scene::new(Fault::Busy(2)).read().unwrap();
}

#[test]
fn an_object_store_that_hands_on_is_followed() {
    Scene::new(Fault::Redirects).read().unwrap();
}

/// Each is refused by its own name, and nothing but the publisher's bytes came out before.
#[test]
fn what_a_server_does_wrong_is_refused_by_name() {
    for (fault, code, words) in [
        (Fault::IgnoresRanges, "SEALED_IO", "does not serve byte ranges"),
        (Fault::WrongRange, "SEALED_IO", "changed while it was read"),
        (Fault::ChangesAfter(6), "SEALED_IO", "changed while it was read"),
        (Fault::Forbids, "SEALED_IO", "HTTP 403"),
        (Fault::Lacks("manifest.cbor"), "SEALED_IO", "HTTP 404"),
        (Fault::Lacks("blobs/0001.bin"), "SEALED_TRUNCATED", "blob 1 has 0 bytes"),
    ] {
        let error = Scene::new(fault).read().unwrap_err();
        assert_eq!(error.code(), code, "{fault:?}: {error}");
        assert!(error.to_string().contains(words), "{fault:?}: {error}");
    }
}

#[test]
fn damage_is_named_as_on_a_disk() {
    let scene = Scene::new(Fault::None);
    let path = scene.workshop.sealed().join("blobs/0001.bin");
    let sound = fs::read(&path).unwrap();
    let mut blob = sound.clone();
    blob[70 * (CHUNK as usize + 16) + 9] ^= 1;
    fs::write(&path, &blob).unwrap();
    assert_eq!(scene.read(), Err(LoadError::Tampered { blob: 1, chunk: 70 }));

    let scene = Scene::new(Fault::None);
    let path = scene.workshop.sealed().join("blobs/0001.bin");
    fs::write(&path, &sound[..sound.len() - 1]).unwrap();
    assert!(matches!(scene.read(), Err(LoadError::Truncated { blob: 1, .. })));
}

#[test]
fn nobody_at_the_address_is_told_at_once() {
    let scene = Scene::new(Fault::None);
    // Bound and dropped: the port is free, and nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (address, wanted) in [
        (format!("http://127.0.0.1:{port}/m"), ErrorKind::ConnectionRefused),
        ("http://[::1/m".to_owned(), ErrorKind::InvalidInput),
    ] {
        let error = open_manifest(Path::new(&address), &scene.tenant.verifying_key()).unwrap_err();
        let LoadError::Io { kind, path, .. } = &error else { panic!("{error}") };
        assert_eq!((*kind, path.starts_with(&address)), (wanted, true), "{error}");
    }
}
