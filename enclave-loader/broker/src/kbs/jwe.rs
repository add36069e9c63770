//! Resources leave as a JSON Web Encryption (RFC 7516): ECDH-ES+A256KW on P-256, A256GCM.
//!
//! The trap: stock clients do not authenticate the `protected` string that they received, but
//! one that they write anew from the parsed header. So it is emitted in exactly the form that
//! they would write: compact, `alg`, `enc`, then `epk` with `crv`, `kty`, `x`, `y`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use strongroom_attestation::crypto;
use zeroize::Zeroizing;

use super::messages::TeeKey;

const ALG: &str = "ECDH-ES+A256KW";

/// An AES-256 key wrapped by RFC 3394 is eight bytes longer.
const WRAPPED_BYTES: usize = 40;

/// Encrypts `plaintext` to the client's key; `None` when it is no key that we wrap to, or the
/// system gives no randomness.
pub(super) fn encrypt(key: &TeeKey, plaintext: &[u8]) -> Option<String> {
    let ephemeral = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).ok()?;
    let public = ephemeral.compute_public_key().ok()?;
    let (x, y) = coordinates(public.as_ref())?;
    let epk = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let header = format!(r#"{{"alg":"{ALG}","enc":"A256GCM","epk":{epk}}}"#);
    let protected = URL_SAFE_NO_PAD.encode(header);

    let theirs = UnparsedPublicKey::new(&ECDH_P256, key.p256_point()?);
    let wrapping = agreement::agree_ephemeral(ephemeral, theirs, (), |secret| Ok(concat_kdf(secret))).ok()?;
    let mut content_key = Zeroizing::new([0; 32]);
    getrandom::fill(content_key.as_mut_slice()).ok()?;
    let mut wrapped = [0; WRAPPED_BYTES];
    let kek = AesKek::new(&AES_256, wrapping.as_slice()).ok()?;
    kek.wrap(content_key.as_slice(), &mut wrapped).ok()?;

    let mut iv = [0; 12];
    getrandom::fill(&mut iv).ok()?;
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, content_key.as_slice()).ok()?);
    let mut ciphertext = plaintext.to_vec();
    let nonce = Nonce::assume_unique_for_key(iv);
    let tag =
        cipher.seal_in_place_separate_tag(nonce, Aad::from(protected.as_bytes()), ciphertext.as_mut_slice()).ok()?;
    let jwe = json!({
        "protected": protected,
        "encrypted_key": URL_SAFE_NO_PAD.encode(wrapped),
        "iv": URL_SAFE_NO_PAD.encode(iv),
        "ciphertext": URL_SAFE_NO_PAD.encode(ciphertext),
        "tag": URL_SAFE_NO_PAD.encode(tag.as_ref()),
    });
    Some(jwe.to_string())
}

/// The Concat KDF of RFC 7518 section 4.6.2 for one block of 256 bits, no party information.
fn concat_kdf(secret: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut input = Zeroizing::new(1u32.to_be_bytes().to_vec());
    input.extend_from_slice(secret);
    input.extend((ALG.len() as u32).to_be_bytes());
    input.extend(ALG.as_bytes());
    input.extend(0u32.to_be_bytes());
    input.extend(0u32.to_be_bytes());
    input.extend(256u32.to_be_bytes());
    Zeroizing::new(crypto::sha256(&input))
}

fn coordinates(uncompressed: &[u8]) -> Option<(String, String)> {
    let (tag, rest) = uncompressed.split_first()?;
    let (x, y) = rest.split_at_checked(32)?;
    (*tag == 4 && y.len() == 32).then(|| (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7518 appendix C, with its algorithm and parties, through the same formula.
    #[test]
    fn the_key_derivation_is_one_sha256_over_the_documented_input() {
        let mut expected = vec![0, 0, 0, 1];
        expected.extend([7; 32]);
        expected.extend([0, 0, 0, 14]);
        expected.extend(b"ECDH-ES+A256KW");
        expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(*concat_kdf(&[7; 32]), crypto::sha256(&expected));
    }

    #[test]
    fn a_key_that_is_no_point_gets_nothing() {
        let json = serde_json::json!({
            "kty": "EC", "crv": "P-256", "alg": ALG,
            "x": URL_SAFE_NO_PAD.encode([1; 32]), "y": URL_SAFE_NO_PAD.encode([1; 32]),
        });
        let key: TeeKey = serde_json::from_value(json).unwrap();
        assert_eq!(encrypt(&key, b"secret"), None);
    }
}
