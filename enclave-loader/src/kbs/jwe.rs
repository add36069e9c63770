//! Resources travel as a JSON Web Encryption (RFC 7516): ECDH-ES+A256KW on P-256, A256GCM.
//!
//! The trap: stock clients do not authenticate the `protected` string that they received, but
//! one that they write anew from the parsed header. So it is written in exactly the form that
//! they would write: compact, `alg`, `enc`, then `epk` with `crv`, `kty`, `x`, `y`. Our own reader
//! authenticates what it received, as the standard says.
//!
//! Nobody signs it: whoever knows the key's public half can encrypt to it. What is inside must be
//! checked against something else, as a model's keys are against its signed manifest.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, EphemeralPrivateKey, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use strongroom_attestation::crypto;
use zeroize::Zeroizing;

use super::messages::{KEY_WRAPPING, TeeKey, point};

const ENCRYPTION: &str = "A256GCM";
const CURVE: &str = "P-256";

/// An AES-256 key wrapped by RFC 3394 is eight bytes longer.
const WRAPPED_BYTES: usize = 40;
const TAG_BYTES: usize = 16;

/// The flattened serialisation. Other members (`aad`, `header`) would change what is authenticated
/// or how it is read, and are refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened {
    protected: String,
    encrypted_key: String,
    iv: String,
    ciphertext: String,
    tag: String,
}

/// The protected header. The order of the members is that of stock clients.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    epk: EphemeralKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EphemeralKey {
    crv: String,
    kty: String,
    x: String,
    y: String,
}

/// A one-use key to which resources are encrypted; evidence covers its public half. The secret half
/// cannot be read out.
pub struct TeeKeyPair {
    secret: PrivateKey,
    public: TeeKey,
}

impl TeeKeyPair {
    /// A new key; `None` when the system gives no randomness.
    #[must_use]
    pub fn generate() -> Option<Self> {
        let secret = PrivateKey::generate(&ECDH_P256).ok()?;
        let public = TeeKey::p256(secret.compute_public_key().ok()?.as_ref())?;
        Some(Self { secret, public })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &TeeKey {
        &self.public
    }

    /// The plaintext of a JWE to this key; `None` for whatever is none, with no word on which step
    /// failed.
    #[must_use]
    pub fn open(&self, jwe: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let jwe: Flattened = serde_json::from_slice(jwe).ok()?;
        let header: Header = serde_json::from_slice(&decode(&jwe.protected)?).ok()?;
        let wanted = (KEY_WRAPPING, ENCRYPTION, "EC", CURVE);
        let epk = &header.epk;
        if (header.alg.as_str(), header.enc.as_str(), epk.kty.as_str(), epk.crv.as_str()) != wanted {
            return None;
        }
        let theirs = UnparsedPublicKey::new(&ECDH_P256, point(&epk.x, &epk.y)?);
        let wrapping = agreement::agree(&self.secret, theirs, (), |secret| Ok(concat_kdf(secret))).ok()?;
        let wrapped: [u8; WRAPPED_BYTES] = decode(&jwe.encrypted_key)?.try_into().ok()?;
        let mut content_key = Zeroizing::new([0; 32]);
        let kek = AesKek::new(&AES_256, wrapping.as_slice()).ok()?;
        kek.unwrap(&wrapped, content_key.as_mut_slice()).ok()?;

        let iv: [u8; 12] = decode(&jwe.iv)?.try_into().ok()?;
        let tag: [u8; TAG_BYTES] = decode(&jwe.tag)?.try_into().ok()?;
        let mut plaintext = Zeroizing::new(decode(&jwe.ciphertext)?);
        let length = plaintext.len();
        plaintext.extend(tag);
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, content_key.as_slice()).ok()?);
        let nonce = Nonce::assume_unique_for_key(iv);
        cipher.open_in_place(nonce, Aad::from(jwe.protected.as_bytes()), plaintext.as_mut_slice()).ok()?;
        plaintext.truncate(length);
        Some(plaintext)
    }
}

/// Encrypts `plaintext` to the client's key, as the text of a JWE; `None` when it is no key that we
/// wrap to, or the system gives no randomness.
#[must_use]
pub fn encrypt(key: &TeeKey, plaintext: &[u8]) -> Option<String> {
    let ephemeral = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).ok()?;
    let TeeKey { crv, kty, x, y, .. } = TeeKey::p256(ephemeral.compute_public_key().ok()?.as_ref())?;
    let epk = EphemeralKey { crv, kty, x, y };
    let header = Header { alg: KEY_WRAPPING.to_owned(), enc: ENCRYPTION.to_owned(), epk };
    let protected = URL_SAFE_NO_PAD.encode(serde_json::to_string(&header).ok()?);

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
    let jwe = Flattened {
        protected,
        encrypted_key: URL_SAFE_NO_PAD.encode(wrapped),
        iv: URL_SAFE_NO_PAD.encode(iv),
        ciphertext: URL_SAFE_NO_PAD.encode(ciphertext),
        tag: URL_SAFE_NO_PAD.encode(tag.as_ref()),
    };
    serde_json::to_string(&jwe).ok()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The Concat KDF of RFC 7518 section 4.6.2 for one block of 256 bits, no party information.
fn concat_kdf(secret: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut input = Zeroizing::new(1u32.to_be_bytes().to_vec());
    input.extend_from_slice(secret);
    input.extend((KEY_WRAPPING.len() as u32).to_be_bytes());
    input.extend(KEY_WRAPPING.as_bytes());
    input.extend(0u32.to_be_bytes());
    input.extend(0u32.to_be_bytes());
    input.extend(256u32.to_be_bytes());
    Zeroizing::new(crypto::sha256(&input))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

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
        let key = TeeKey::p256(&[vec![4], vec![1; 64]].concat()).unwrap();
        assert_eq!(encrypt(&key, b"secret"), None);
    }

    #[test]
    fn what_was_encrypted_to_a_key_opens_with_it_and_with_no_other() {
        let (ours, theirs) = (TeeKeyPair::generate().unwrap(), TeeKeyPair::generate().unwrap());
        let jwe = encrypt(ours.public(), b"secret").unwrap();
        assert_eq!(ours.open(jwe.as_bytes()).unwrap().as_slice(), b"secret");
        assert_eq!(theirs.open(jwe.as_bytes()), None);
    }

    #[test]
    fn each_member_counts_to_the_last_character_and_none_may_be_added() {
        let ours = TeeKeyPair::generate().unwrap();
        let jwe: Value = serde_json::from_str(&encrypt(ours.public(), b"secret").unwrap()).unwrap();
        for member in ["protected", "encrypted_key", "iv", "ciphertext", "tag"] {
            for position in 0..jwe[member].as_str().unwrap().len() {
                let mut changed = jwe.clone();
                let mut text = jwe[member].as_str().unwrap().to_owned();
                let other = if text.as_bytes()[position] == b'A' { "B" } else { "A" };
                text.replace_range(position..=position, other);
                changed[member] = text.into();
                assert_eq!(ours.open(changed.to_string().as_bytes()), None, "{member} at {position}");
            }
            let mut missing = jwe.clone();
            missing.as_object_mut().unwrap().remove(member);
            assert_eq!(ours.open(missing.to_string().as_bytes()), None, "no {member}");
        }
        let mut with_aad = jwe;
        with_aad["aad"] = "QQ".into();
        assert_eq!(ours.open(with_aad.to_string().as_bytes()), None);
    }

    /// A header in another order than ours is as good: what was received is authenticated.
    #[test]
    fn the_header_counts_as_received() {
        let ours = TeeKeyPair::generate().unwrap();
        let jwe: Value = serde_json::from_str(&encrypt(ours.public(), b"secret").unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&decode(jwe["protected"].as_str().unwrap()).unwrap()).unwrap();
        let mut reordered = jwe.clone();
        let text = format!(r#"{{"enc":"A256GCM","alg":"ECDH-ES+A256KW","epk":{}}}"#, header["epk"]);
        reordered["protected"] = URL_SAFE_NO_PAD.encode(text).into();
        assert_eq!(ours.open(reordered.to_string().as_bytes()), None, "the tag covers the header's bytes");
    }
}
