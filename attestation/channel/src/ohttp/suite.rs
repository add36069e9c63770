//! The two suites, and HPKE contexts (RFC 9180) for them behind one interface.

use hpke::aead::{AeadCtxR, AeadCtxS, AesGcm128, AesGcm256};
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use zeroize::Zeroizing;

use super::OhttpError;
use super::chunk::{Open, Seal};

/// X-Wing, the hybrid of X25519 and ML-KEM-768 (HPKE KEM registry).
pub const KEM_X_WING: u16 = 0x647a;
/// HKDF-SHA256 (RFC 9180, section 7.2).
const KDF_HKDF_SHA256: u16 = 0x0001;

/// X-Wing's public key, in bytes.
pub(super) const PUBLIC_KEY_LEN: usize = 1216;
/// X-Wing's encapsulated key, in bytes.
pub(super) const ENC_LEN: usize = 1120;
/// AES-GCM's tag, in bytes.
pub(super) const TAG_LEN: usize = 16;
/// AES-GCM's nonce, in bytes.
pub(super) const NONCE_LEN: usize = 12;
/// Key id, KEM, KDF and AEAD: what precedes the encapsulated key in a request (RFC 9458, section 4.1).
pub(super) const HEADER_LEN: usize = 7;

const REQUEST_LABEL: &[u8] = b"message/bhttp chunked request";
const RESPONSE_LABEL: &[u8] = b"message/bhttp chunked response";

pub(super) type PublicKey = <XWing as Kem>::PublicKey;
pub(super) type SecretKey = <XWing as Kem>::PrivateKey;

/// A suite: always X-Wing and HKDF-SHA256; the AEAD differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// (0x647a, 1, 2): what we prefer.
    Aes256Gcm,
    /// (0x647a, 1, 1): for clients that cannot do better.
    Aes128Gcm,
}

impl Suite {
    /// Every suite, best first.
    pub const ALL: [Suite; 2] = [Suite::Aes256Gcm, Suite::Aes128Gcm];

    /// The registered numbers of KEM, KDF and AEAD.
    #[must_use]
    pub fn ids(self) -> (u16, u16, u16) {
        let aead = match self {
            Suite::Aes128Gcm => 0x0001,
            Suite::Aes256Gcm => 0x0002,
        };
        (KEM_X_WING, KDF_HKDF_SHA256, aead)
    }

    /// The suite with these numbers; `None` for any that we do not speak.
    #[must_use]
    pub fn from_ids(kem: u16, kdf: u16, aead: u16) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.ids() == (kem, kdf, aead))
    }

    /// Nk: the AEAD's key length. Never shorter than the nonce, so it is also the length of the response nonce and
    /// of the exported secret, max(Nn, Nk).
    pub(super) fn key_len(self) -> usize {
        match self {
            Suite::Aes128Gcm => 16,
            Suite::Aes256Gcm => 32,
        }
    }

    /// The header of a request to the key with this id.
    pub(super) fn header(self, key_id: u8) -> [u8; HEADER_LEN] {
        let (kem, kdf, aead) = self.ids();
        let ([k0, k1], [d0, d1], [a0, a1]) = (kem.to_be_bytes(), kdf.to_be_bytes(), aead.to_be_bytes());
        [key_id, k0, k1, d0, d1, a0, a1]
    }

    /// Key id and suite of a request's header; no suite when it is not one of ours.
    pub(super) fn of_header(header: [u8; HEADER_LEN]) -> (u8, Option<Suite>) {
        let [key_id, k0, k1, d0, d1, a0, a1] = header;
        let number = |high, low| u16::from_be_bytes([high, low]);
        (key_id, Suite::from_ids(number(k0, k1), number(d0, d1), number(a0, a1)))
    }
}

/// The sending end of HPKE.
pub(super) enum Sender {
    Aes256Gcm(Box<AeadCtxS<AesGcm256, HkdfSha256, XWing>>),
    Aes128Gcm(Box<AeadCtxS<AesGcm128, HkdfSha256, XWing>>),
}

impl Sender {
    /// Encapsulates to `key`; also gives the encapsulated key.
    pub(super) fn new(suite: Suite, key: &PublicKey, header: [u8; HEADER_LEN]) -> Result<(Self, Vec<u8>), OhttpError> {
        let info = info(header);
        match suite {
            Suite::Aes256Gcm => hpke::setup_sender(&OpModeS::Base, key, &info)
                .map(|(enc, context)| (Sender::Aes256Gcm(Box::new(context)), enc)),
            Suite::Aes128Gcm => hpke::setup_sender(&OpModeS::Base, key, &info)
                .map(|(enc, context)| (Sender::Aes128Gcm(Box::new(context)), enc)),
        }
        .map(|(sender, enc)| (sender, enc.to_bytes().to_vec()))
        .map_err(|_| OhttpError::Invalid)
    }

    pub(super) fn response_secret(&self, suite: Suite) -> Result<Zeroizing<Vec<u8>>, OhttpError> {
        let mut secret = Zeroizing::new(vec![0; suite.key_len()]);
        match self {
            Sender::Aes256Gcm(context) => context.export(RESPONSE_LABEL, &mut secret),
            Sender::Aes128Gcm(context) => context.export(RESPONSE_LABEL, &mut secret),
        }
        .map_err(|_| OhttpError::Invalid)?;
        Ok(secret)
    }
}

impl Seal for Sender {
    fn seal(&mut self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, OhttpError> {
        match self {
            Sender::Aes256Gcm(context) => context.seal(plain, aad),
            Sender::Aes128Gcm(context) => context.seal(plain, aad),
        }
        .map_err(|_| OhttpError::Invalid)
    }
}

/// The receiving end of HPKE.
pub(super) enum Receiver {
    Aes256Gcm(Box<AeadCtxR<AesGcm256, HkdfSha256, XWing>>),
    Aes128Gcm(Box<AeadCtxR<AesGcm128, HkdfSha256, XWing>>),
}

impl Receiver {
    pub(super) fn new(suite: Suite, key: &SecretKey, enc: &[u8], header: [u8; HEADER_LEN]) -> Result<Self, OhttpError> {
        let info = info(header);
        let enc = <XWing as Kem>::EncappedKey::from_bytes(enc).map_err(|_| OhttpError::Invalid)?;
        match suite {
            Suite::Aes256Gcm => hpke::setup_receiver(&OpModeR::Base, key, &enc, &info)
                .map(|context| Receiver::Aes256Gcm(Box::new(context))),
            Suite::Aes128Gcm => hpke::setup_receiver(&OpModeR::Base, key, &enc, &info)
                .map(|context| Receiver::Aes128Gcm(Box::new(context))),
        }
        .map_err(|_| OhttpError::Invalid)
    }

    pub(super) fn response_secret(&self, suite: Suite) -> Result<Zeroizing<Vec<u8>>, OhttpError> {
        let mut secret = Zeroizing::new(vec![0; suite.key_len()]);
        match self {
            Receiver::Aes256Gcm(context) => context.export(RESPONSE_LABEL, &mut secret),
            Receiver::Aes128Gcm(context) => context.export(RESPONSE_LABEL, &mut secret),
        }
        .map_err(|_| OhttpError::Invalid)?;
        Ok(secret)
    }
}

impl Open for Receiver {
    fn open(&mut self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OhttpError> {
        match self {
            Receiver::Aes256Gcm(context) => context.open(sealed, aad),
            Receiver::Aes128Gcm(context) => context.open(sealed, aad),
        }
        .map_err(|_| OhttpError::Invalid)
    }
}

/// HPKE's info: label, a zero byte, the header (RFC 9458, section 4.3, with the draft's label).
fn info(header: [u8; HEADER_LEN]) -> Vec<u8> {
    [REQUEST_LABEL, &[0], &header].concat()
}
