//! What an instance asks for: the release body, whose hash the evidence covers.

use strongroom_channel::cbor::Value;
use strongroom_channel::deployment::DeploymentId;

use super::MAX_MODELS;
use super::lease::LeaseId;
use super::wire::{Defect, Malformed, Message, at_most};

/// The request for keys (or, with [`ReleaseBody::renews`], for more time), deterministic CBOR.
///
/// Its bytes are the freshness leaf of the quote (key-release.md section 3), so a broker that
/// accepts the evidence knows that this very request was made inside the enclave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseBody {
    /// Field 2: SHA-256 of the broker's verifying key, so that no other broker can use the request.
    pub broker: [u8; 32],
    /// Field 3: the broker's single-use nonce.
    pub nonce: [u8; 32],
    /// Field 4: the one-use X-Wing public key that the answer is sealed to.
    pub reply_key: Vec<u8>,
    /// Field 5: the models wanted, each at one version.
    pub models: Vec<WantedModel>,
    /// Field 6: how long a lease is asked for, in seconds; the broker may grant less.
    pub lease_seconds: u64,
    /// Field 7: the deployment that the instance believes to be part of.
    pub deployment: DeploymentId,
    /// Field 8, renewals only: the lease to extend.
    pub renews: Option<LeaseId>,
}

/// One model at one version. The version is said beside the id so that a person reading a
/// refusal sees a number, and so that a rollback is refused by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedModel {
    /// SHA-256 of the sealed manifest's core.
    pub model_id: [u8; 32],
    /// The version in that core.
    pub version: u64,
}

impl ReleaseBody {
    /// The bytes to bind and to send.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode()
    }

    /// Reads a body strictly.
    ///
    /// # Errors
    /// [`Malformed`] for anything but the one deterministic encoding within the limits.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::decode(bytes)
    }
}

impl Message for ReleaseBody {
    const NAME: &'static str = "release body";
    const LIMIT: usize = 8 * 1024;

    fn value(&self) -> Value<'_> {
        let models =
            self.models.iter().map(|model| Value::array([Value::Bytes(&model.model_id), Value::Uint(model.version)]));
        let mut fields = vec![
            (1, Value::Uint(1)),
            (2, Value::Bytes(&self.broker)),
            (3, Value::Bytes(&self.nonce)),
            (4, Value::Bytes(&self.reply_key)),
            (5, Value::array(models)),
            (6, Value::Uint(self.lease_seconds)),
            (7, Value::Text(self.deployment.as_str())),
        ];
        if let Some(lease) = &self.renews {
            fields.push((8, Value::Bytes(lease.as_bytes())));
        }
        Value::map(fields)
    }

    fn read(value: Value<'_>) -> Result<Self, Defect> {
        let mut fields = value.fields()?;
        if fields.require(1)?.uint()? != 1 {
            return Err(Defect::Rule("a version that this software does not know"));
        }
        let body = Self {
            broker: fields.require(2)?.fixed()?,
            nonce: fields.require(3)?.fixed()?,
            reply_key: fields.require(4)?.bytes()?.to_vec(),
            models: read_models(fields.require(5)?)?,
            lease_seconds: fields.require(6)?.uint()?,
            deployment: DeploymentId::parse(fields.require(7)?.text()?)
                .map_err(|_| Defect::Rule("field 7 is not a deployment id"))?,
            renews: match fields.take(8) {
                Some(lease) => Some(LeaseId::from_bytes(lease.fixed()?)),
                None => None,
            },
        };
        fields.finish()?;
        if !super::reply_key::is_public_key(&body.reply_key) {
            return Err(Defect::Rule("the reply key is not an X-Wing public key"));
        }
        Ok(body)
    }
}

fn read_models(value: Value<'_>) -> Result<Vec<WantedModel>, Defect> {
    let mut models: Vec<WantedModel> = Vec::new();
    for item in at_most(value, MAX_MODELS)? {
        let [model_id, version] = item.items_exactly()?;
        let wanted = WantedModel { model_id: model_id.fixed()?, version: version.uint()? };
        if models.iter().any(|model| model.model_id == wanted.model_id) {
            return Err(Defect::Rule("a model is asked for twice"));
        }
        models.push(wanted);
    }
    if models.is_empty() {
        return Err(Defect::Rule("no model is asked for"));
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::ReplyKeyPair;

    fn body() -> ReleaseBody {
        ReleaseBody {
            broker: [1; 32],
            nonce: [2; 32],
            reply_key: ReplyKeyPair::generate().public().to_vec(),
            models: vec![WantedModel { model_id: [4; 32], version: 7 }],
            lease_seconds: 3600,
            deployment: DeploymentId::parse("bank-prod").unwrap(),
            renews: None,
        }
    }

    #[test]
    fn a_body_round_trips_with_and_without_the_renewal_field() {
        let release = body();
        assert_eq!(ReleaseBody::from_bytes(&release.to_bytes()), Ok(release));
        let renewal = ReleaseBody { renews: Some(LeaseId::from_bytes([9; 16])), ..body() };
        assert_eq!(ReleaseBody::from_bytes(&renewal.to_bytes()), Ok(renewal));
    }

    #[test]
    fn a_body_that_asks_for_nothing_or_twice_or_with_a_short_key_is_refused() {
        let defect = |body: ReleaseBody| ReleaseBody::from_bytes(&body.to_bytes()).unwrap_err().defect;
        let mut nothing = body();
        nothing.models.clear();
        assert_eq!(defect(nothing), Defect::Rule("no model is asked for"));
        let mut twice = body();
        twice.models.push(twice.models[0]);
        assert_eq!(defect(twice), Defect::Rule("a model is asked for twice"));
        let mut short = body();
        short.reply_key.pop();
        assert_eq!(defect(short), Defect::Rule("the reply key is not an X-Wing public key"));
        // Coefficients above the modulus: the right length, and no key of ML-KEM.
        let mut no_key = body();
        no_key.reply_key = vec![0xff; no_key.reply_key.len()];
        assert_eq!(defect(no_key), Defect::Rule("the reply key is not an X-Wing public key"));
        let mut many = body();
        many.models =
            (0..=MAX_MODELS).map(|n| WantedModel { model_id: [u8::try_from(n).unwrap(); 32], version: 1 }).collect();
        assert_eq!(defect(many), Defect::Rule("a list is longer than the limit"));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let bytes = body().to_bytes();
        let mut longer = bytes.clone();
        longer[0] += 1; // one more entry in the map's head
        longer.extend([0x09, 0x00]);
        assert_eq!(
            ReleaseBody::from_bytes(&longer).unwrap_err().to_string(),
            "malformed release body: CBOR map has field 9, which this version does not know"
        );
    }

    #[test]
    fn every_cut_is_refused_and_every_flipped_bit_changes_the_meaning() {
        let good = body();
        let bytes = good.to_bytes();
        for cut in 0..bytes.len() {
            assert!(ReleaseBody::from_bytes(&bytes[..cut]).is_err());
        }
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1;
            assert_ne!(ReleaseBody::from_bytes(&flipped), Ok(good.clone()));
        }
    }
}
