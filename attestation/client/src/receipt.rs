//! A receipt with its proof, to be kept and checked later, offline.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use strongroom_attestation::{Check, UnixTime};
use strongroom_channel::attest::AttestResponse;
use strongroom_channel::ohttp::Suite;
use strongroom_channel::receipt::{Receipt, salted_hash};
use strongroom_channel::session::{CLOCK_SKEW, MAX_AGE, SessionWanted, verify_session};
use strongroom_channel::statement::EpochStatement;
use strongroom_channel::trust_file::TrustFile;

use crate::connect::SessionProof;
use crate::error::{ClientError, ReceiptFault};
use crate::exchange::verify_receipt;

/// The most that is read of a bundle: an attest response, and what base64 adds.
const BUNDLE_MOST: usize = 8 * 1024 * 1024;

/// The longest that an answer may take, in seconds: far longer than any that an instance gives.
const LONGEST_ANSWER: u64 = 3600;

/// The version and kind of a bundle file.
const FORMAT: &str = "strongroom-receipt-bundle-v1";

/// A receipt, and the attest exchange that proves whose it is: statement, proof, evidence, certificate and
/// endorsements. It holds neither prompt nor answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptBundle {
    message: Vec<u8>,
    proof: Arc<SessionProof>,
}

/// What an offline check found.
#[derive(Debug)]
pub struct CheckedReceipt {
    /// The receipt's content, which holds.
    pub receipt: Receipt,
    /// The verification of the instance, as at [`ReceiptBundle::time`].
    pub checks: Vec<Check>,
    /// Whether the instance was simulated.
    pub simulated: bool,
    /// Whether the request was given and compared.
    pub request_compared: bool,
    /// Whether the response was given and compared.
    pub response_compared: bool,
}

/// The file: JSON, values base64url.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    receipt: String,
    attest_request: String,
    attest_response: String,
    /// For people; not read back.
    #[serde(default)]
    decoded: serde_json::Value,
}

impl ReceiptBundle {
    pub(crate) fn new(message: Vec<u8>, proof: Arc<SessionProof>) -> Self {
        ReceiptBundle { message, proof }
    }

    /// The receipt's COSE_Sign1 message.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The bundle as JSON, self-contained. The receipt's fields are there in readable form too; a check does not
    /// read these.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let file = File {
            format: FORMAT.to_owned(),
            receipt: URL_SAFE_NO_PAD.encode(&self.message),
            attest_request: URL_SAFE_NO_PAD.encode(&self.proof.request),
            attest_response: URL_SAFE_NO_PAD.encode(&self.proof.response),
            decoded: self.claimed().map_or(serde_json::Value::Null, |receipt| describe(&receipt)),
        };
        serde_json::to_value(file).unwrap_or_default()
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// [`ClientError::Malformed`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ClientError> {
        let malformed = |what: &str| ClientError::Malformed(format!("not a receipt bundle: {what}"));
        if bytes.len() > BUNDLE_MOST {
            return Err(malformed("longer than 8 MiB"));
        }
        let file: File = serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string()))?;
        if file.format != FORMAT {
            return Err(malformed("another format or version"));
        }
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed("not base64url"));
        Ok(ReceiptBundle {
            message: decode(&file.receipt)?,
            proof: Arc::new(SessionProof {
                request: decode(&file.attest_request)?,
                response: decode(&file.attest_response)?,
            }),
        })
    }

    /// When the instance gave its evidence, by its own clock: the time as at which [`ReceiptBundle::check`] verifies
    /// the evidence, and as at which the trust file must have been valid. Nobody signed it; whoever changes it can
    /// only choose another time at which everything was valid.
    ///
    /// # Errors
    /// [`ClientError::Malformed`].
    pub fn time(&self) -> Result<UnixTime, ClientError> {
        let response = AttestResponse::from_bytes(&self.proof.response)
            .map_err(|error| ClientError::Malformed(format!("not a receipt bundle: attest_response: {error}")))?;
        Ok(UnixTime::from_secs(response.time))
    }

    /// Checks everything again, offline: the evidence as at the time it was given ([`ReceiptBundle::time`]), then the
    /// receipt against the statement that the evidence proves, then the bytes that are given.
    ///
    /// The receipt's own time is the end of the answer, by when a statement or certificate that was good when the
    /// request left may have ended; it must only lie within the life of a verdict and of an answer.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the evidence is refused, [`ClientError::Receipt`] when the receipt does not
    /// hold, [`ClientError::Malformed`].
    pub fn check(
        &self,
        trust: &TrustFile,
        accept_simulated: bool,
        request: Option<&[u8]>,
        response: Option<&[u8]>,
    ) -> Result<CheckedReceipt, ClientError> {
        // 1. When: by the instance's answer.
        let attested = self.time()?;
        // 2. Whose: the same verification as when it was fresh.
        let appraisal = verify_session(
            SessionWanted {
                trust,
                request_body: &self.proof.request,
                accept_simulated,
                now: attested,
                seen: None,
                suites: &Suite::ALL,
            },
            &self.proof.response,
        );
        let session = appraisal.result?;
        // 3. The receipt, by the verified key.
        let models = &session.statement().workload.models;
        let receipt = verify_receipt(&self.message, session.instance_key(), session.statement_hash(), models)?;
        // 4. Its time, which the instance signed: within what an answer under this evidence can take.
        let earliest = attested.as_secs().saturating_sub(CLOCK_SKEW);
        let latest = attested.saturating_add_secs(MAX_AGE).saturating_add_secs(LONGEST_ANSWER).as_secs();
        if !(earliest..=latest).contains(&receipt.time) {
            return Err(ClientError::Receipt(ReceiptFault::Time));
        }
        // 5. The bytes, where they are given.
        let differs = |bytes: Option<&[u8]>, hash: &[u8; 32]| {
            bytes.is_some_and(|bytes| salted_hash(&receipt.salt, bytes) != *hash)
        };
        if differs(request, &receipt.request_hash) || differs(response, &receipt.response_hash) {
            return Err(ClientError::Receipt(ReceiptFault::Bytes));
        }
        Ok(CheckedReceipt {
            receipt,
            checks: appraisal.checks,
            simulated: session.is_simulated(),
            request_compared: request.is_some(),
            response_compared: response.is_some(),
        })
    }

    /// The receipt's content by the key that the unverified statement names.
    fn claimed(&self) -> Option<Receipt> {
        let response = AttestResponse::from_bytes(&self.proof.response).ok()?;
        let statement = EpochStatement::decode(&response.statement).ok()?;
        Receipt::verify(&self.message, &statement.signing_key).ok()
    }
}

/// A receipt's fields for people and programs: hashes and ids in hex.
pub(crate) fn describe(receipt: &Receipt) -> serde_json::Value {
    serde_json::json!({
        "request_id": hex::encode(receipt.request_id),
        "salt": hex::encode(receipt.salt),
        "request_hash": hex::encode(receipt.request_hash),
        "response_hash": hex::encode(receipt.response_hash),
        "statement_hash": hex::encode(receipt.statement_hash),
        "model_id": hex::encode(receipt.model_id),
        "model": receipt.model_name,
        "plugins": receipt.plugins.iter().map(hex::encode).collect::<Vec<_>>(),
        "prompt_tokens": receipt.prompt_tokens,
        "completion_tokens": receipt.completion_tokens,
        "time": receipt.time,
        "finish": receipt.finish.as_str(),
    })
}

#[cfg(test)]
mod tests;
