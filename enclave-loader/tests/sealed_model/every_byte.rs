//! Every byte counts: whichever one is altered, the model is refused before any altered
//! plaintext comes out.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use strongroom_enclave_loader::{ArtifactKey, LoadError, open_manifest};
use zeroize::Zeroizing;

use crate::fixture::{Tenant, Workshop, bytes, files_below};

const LEN: usize = 5_000;

/// Opens and reads the whole model; gives what came out before the first refusal. The keys are
/// unwrapped only where the keys file is what is altered: that is the slow part.
fn read_through(tenant: &Tenant, directory: &Path, key: Option<&[u8; 32]>) -> (Vec<u8>, Result<(), LoadError>) {
    let mut content = Vec::new();
    let mut read = || {
        let manifest = open_manifest(directory, &tenant.verifying_key())?;
        let keys = match key {
            Some(key) => vec![ArtifactKey::from_bytes(Zeroizing::new(*key))],
            None => tenant.keys(directory)?,
        };
        let model = manifest.unlock(&keys)?;
        let mut reader = model.reader("model.gguf")?;
        if reader.read_to_end(&mut content).is_err() {
            return Err(model.take_failure().expect("the cause"));
        }
        model.verify_all(&|_| ())
    };
    let result = read();
    (content, result)
}

#[test]
fn any_single_altered_byte_is_refused_before_plaintext() {
    let tenant = Tenant::new(1);
    let original = bytes(8, LEN);
    let workshop = Workshop::new(&[("model.gguf", &original)]);
    workshop.seal(&tenant.options(1));
    let key = *tenant.keys(&workshop.sealed()).expect("keys")[0].expose_secret();
    let (content, result) = read_through(&tenant, &workshop.sealed(), None);
    assert!(content == original && result == Ok(()));

    let mut refused = 0;
    for path in files_below(&workshop.sealed()) {
        let file = OpenOptions::new().read(true).write(true).open(&path).expect("opens");
        let key = (!path.ends_with("keys.cbor")).then_some(&key);
        for at in 0..file.metadata().expect("metadata").len() {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("reads");
            // A different bit from byte to byte; all of them come up.
            file.write_all_at(&[byte[0] ^ (1 << (at % 8))], at).expect("writes");
            let (content, result) = read_through(&tenant, &workshop.sealed(), key);
            file.write_all_at(&byte, at).expect("writes");
            assert!(result.is_err(), "{} at {at} was accepted", path.display());
            assert!(content.is_empty(), "{} at {at}: plaintext came out", path.display());
            refused += 1;
        }
    }
    assert!(refused > 10_000);
    let (content, result) = read_through(&tenant, &workshop.sealed(), None);
    assert!(content == original && result == Ok(()), "all is as before");
}
