//! Key configurations and lists of them (RFC 9458, section 3), and the key pair behind one.

use std::sync::Arc;

use hpke::kem::XWing;
use hpke::{Deserializable, Kem, Serializable};

use super::OhttpError;
use super::suite::{KEM_X_WING, PUBLIC_KEY_LEN, PublicKey, SecretKey, Suite};

/// The longest list that is read. One X-Wing configuration is about 1.2 KiB; an instance has one or two.
const LIST_MOST: usize = 16 * 1024;

/// An instance's encapsulation key pair of one epoch.
///
/// The secret half is wiped when this and every [`super::RequestOpener`] that still waits for its header are gone. It
/// can be neither printed, nor copied, nor written out.
pub struct KeyPair {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) key_id: u8,
    pub(super) secret: SecretKey,
    config: KeyConfig,
}

impl KeyPair {
    /// A fresh key pair under this key id.
    ///
    /// # Panics
    /// When the operating system has no randomness: there is no safe way on from there.
    #[must_use]
    pub fn generate(key_id: u8) -> Self {
        let (secret, public) = XWing::gen_keypair();
        let config = KeyConfig::new(key_id, public, Suite::ALL.to_vec());
        KeyPair { shared: Arc::new(Shared { key_id, secret, config }) }
    }

    /// The key id that requests name.
    #[must_use]
    pub fn key_id(&self) -> u8 {
        self.shared.key_id
    }

    /// The key configuration, encoded.
    #[must_use]
    pub fn key_config(&self) -> Vec<u8> {
        self.shared.config.as_bytes().to_vec()
    }

    /// A list with this one configuration, as `application/ohttp-keys` (RFC 9458, section 3.2).
    #[must_use]
    pub fn config_list(&self) -> Vec<u8> {
        self.shared.config.to_list()
    }
}

/// A key configuration: a public key, its id, and the suites that may be used with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConfig {
    key_id: u8,
    public: PublicKey,
    suites: Vec<Suite>,
    encoded: Vec<u8>,
}

impl KeyConfig {
    fn new(key_id: u8, public: PublicKey, suites: Vec<Suite>) -> Self {
        let mut encoded = Vec::with_capacity(PUBLIC_KEY_LEN.saturating_add(16));
        encoded.push(key_id);
        encoded.extend_from_slice(&KEM_X_WING.to_be_bytes());
        encoded.extend_from_slice(&public.to_bytes());
        let symmetric: Vec<u8> = suites
            .iter()
            .flat_map(|suite| {
                let (_, kdf, aead) = suite.ids();
                [kdf.to_be_bytes(), aead.to_be_bytes()].concat()
            })
            .collect();
        push_u16_prefixed(&symmetric, &mut encoded);
        KeyConfig { key_id, public, suites, encoded }
    }

    /// Reads a list (`application/ohttp-keys`). Configurations with another KEM, or with no suite of ours, are left
    /// out, as RFC 9458 asks; the result can be empty.
    ///
    /// # Errors
    /// [`OhttpError::KeyConfig`] for a list over 16 KiB, one that does not parse to its last byte, an invalid X-Wing
    /// key, or two usable configurations with one id.
    pub fn parse_list(list: &[u8]) -> Result<Vec<KeyConfig>, OhttpError> {
        if list.len() > LIST_MOST {
            return Err(OhttpError::KeyConfig);
        }
        let mut rest = list;
        let mut configs: Vec<KeyConfig> = Vec::new();
        while !rest.is_empty() {
            let len = usize::from(u16::from_be_bytes(take(&mut rest)?));
            let encoded = take_slice(&mut rest, len)?;
            if let Some(config) = Self::parse(encoded)? {
                if configs.iter().any(|other| other.key_id == config.key_id) {
                    return Err(OhttpError::KeyConfig);
                }
                configs.push(config);
            }
        }
        Ok(configs)
    }

    /// The key id.
    #[must_use]
    pub fn key_id(&self) -> u8 {
        self.key_id
    }

    /// The suites of ours that it offers, in its order; never empty.
    #[must_use]
    pub fn suites(&self) -> &[Suite] {
        &self.suites
    }

    /// The encoded configuration, as it was received.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.encoded
    }

    /// A list with this one configuration.
    #[must_use]
    pub fn to_list(&self) -> Vec<u8> {
        let mut list = Vec::with_capacity(self.encoded.len().saturating_add(2));
        push_u16_prefixed(&self.encoded, &mut list);
        list
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// One configuration; `None` for one that we cannot use.
    fn parse(encoded: &[u8]) -> Result<Option<KeyConfig>, OhttpError> {
        let mut rest = encoded;
        let [key_id] = take(&mut rest)?;
        if u16::from_be_bytes(take(&mut rest)?) != KEM_X_WING {
            return Ok(None);
        }
        let public =
            PublicKey::from_bytes(take_slice(&mut rest, PUBLIC_KEY_LEN)?).map_err(|_| OhttpError::KeyConfig)?;
        let len = usize::from(u16::from_be_bytes(take(&mut rest)?));
        let mut symmetric = take_slice(&mut rest, len)?;
        if !rest.is_empty() || symmetric.is_empty() {
            return Err(OhttpError::KeyConfig);
        }
        let mut suites = Vec::new();
        while !symmetric.is_empty() {
            let kdf = u16::from_be_bytes(take(&mut symmetric)?);
            let aead = u16::from_be_bytes(take(&mut symmetric)?);
            suites.extend(Suite::from_ids(KEM_X_WING, kdf, aead));
        }
        Ok((!suites.is_empty()).then(|| KeyConfig { key_id, public, suites, encoded: encoded.to_vec() }))
    }
}

fn push_u16_prefixed(bytes: &[u8], out: &mut Vec<u8>) {
    // Only our own configurations come here, of about 1.2 KiB.
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], OhttpError> {
    let (array, after) = rest.split_first_chunk().ok_or(OhttpError::KeyConfig)?;
    *rest = after;
    Ok(*array)
}

fn take_slice<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], OhttpError> {
    let (slice, after) = rest.split_at_checked(len).ok_or(OhttpError::KeyConfig)?;
    *rest = after;
    Ok(slice)
}
