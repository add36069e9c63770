//! The broker's challenge: a nonce to answer, and who asks.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use strongroom_channel::cose::VerifyingKey;

use super::error::ReleaseError;

/// A single-use nonce, good for 60 seconds at the broker that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Random.
    pub nonce: [u8; 32],
    /// SHA-256 of the broker's verifying key, as the unauthenticated answer claims it.
    pub broker: [u8; 32],
}

/// `{"nonce":"<base64url of 32 bytes>","broker":"<64 hexadecimal digits>"}`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    nonce: String,
    broker: String,
}

impl Challenge {
    /// The JSON that the broker sends.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!({
            "nonce": URL_SAFE_NO_PAD.encode(self.nonce),
            "broker": hex::encode(self.broker),
        })
        .to_string()
    }

    /// Reads a challenge and refuses one of another broker than `pinned`, before any quote
    /// is made for it.
    ///
    /// # Errors
    /// [`ReleaseError::MalformedJson`] or [`ReleaseError::WrongBroker`].
    pub fn from_json(bytes: &[u8], pinned: &VerifyingKey) -> Result<Self, ReleaseError> {
        let malformed = |detail: &str| ReleaseError::MalformedJson { message: "challenge", detail: detail.to_owned() };
        let json: Json = serde_json::from_slice(bytes).map_err(|_| malformed("not the two known fields"))?;
        let nonce = URL_SAFE_NO_PAD
            .decode(&json.nonce)
            .ok()
            .and_then(|nonce| nonce.try_into().ok())
            .ok_or_else(|| malformed("the nonce is not 32 bytes in base64url"))?;
        let mut broker = [0; 32];
        hex::decode_to_slice(&json.broker, &mut broker)
            .map_err(|_| malformed("the broker id is not 32 bytes in hexadecimal"))?;
        let wanted = pinned.thumbprint();
        if broker != wanted {
            return Err(ReleaseError::WrongBroker { wanted: hex::encode(wanted), found: hex::encode(broker) });
        }
        Ok(Self { nonce, broker })
    }
}

#[cfg(test)]
mod tests {
    use strongroom_channel::cose::SigningKey;

    use super::*;

    #[test]
    fn a_challenge_of_the_pinned_broker_is_read_back() {
        let key = SigningKey::from_seed([1; 32]).verifying_key();
        let challenge = Challenge { nonce: [7; 32], broker: key.thumbprint() };
        let json = challenge.to_json();
        assert_eq!(Challenge::from_json(json.as_bytes(), &key), Ok(challenge));
    }

    #[test]
    fn a_challenge_of_another_broker_is_refused_before_a_quote_is_made() {
        let key = SigningKey::from_seed([1; 32]).verifying_key();
        let json = Challenge { nonce: [7; 32], broker: [0; 32] }.to_json();
        let error = Challenge::from_json(json.as_bytes(), &key).unwrap_err();
        assert_eq!(error.code(), "WRONG_BROKER");
    }

    #[test]
    fn a_short_nonce_is_refused() {
        let key = SigningKey::from_seed([1; 32]).verifying_key();
        let json = format!(r#"{{"nonce":"AAAA","broker":"{}"}}"#, hex::encode(key.thumbprint()));
        let error = Challenge::from_json(json.as_bytes(), &key).unwrap_err();
        assert_eq!(error.code(), "PARSE");
    }
}
