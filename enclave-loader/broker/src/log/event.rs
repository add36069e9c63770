//! What the log can say: a closed set, so that a reader can know them all.

use serde::{Deserialize, Serialize};

/// Something that was decided or done. Names and hashes only: no key, no token, no content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The broker was made.
    Initialised {
        /// Whose it is.
        tenant: String,
        /// The deployment it releases to.
        deployment: String,
        /// "prod" or "dev", for ever.
        environment: String,
    },
    /// A policy came into force.
    PolicyActivated {
        /// SHA-256 of its text.
        policy: String,
        /// Its name.
        name: String,
    },
    /// A sealed model's keys were taken in.
    ModelDeposited {
        /// The model id.
        model: String,
        /// Its name.
        name: String,
        /// Its version.
        version: u64,
        /// The publisher's key that its signature was checked with.
        publisher: String,
    },
    /// The tenant opened a sealed model with its keys.
    ModelOpened {
        /// The model id.
        model: String,
    },
    /// A sealed model's keys were wrapped to another recipient.
    ModelRewrapped {
        /// The model id.
        model: String,
        /// SHA-256 of the recipient's key.
        recipient: String,
    },
    /// A client credential was made.
    ApiKeyCreated {
        /// Its id.
        id: String,
        /// Whose requests it stands for.
        tenant: String,
    },
    /// A client credential was taken back.
    ApiKeyRevoked {
        /// Its id.
        id: String,
    },
    /// A trust file was signed.
    TrustExported {
        /// Its sequence number.
        sequence: u64,
        /// SHA-256 of the file.
        digest: String,
    },
    /// Keys were asked for.
    Release(Decided),
    /// Requests that proved nothing were refused, more than are logged one by one.
    RefusalsLeftOut {
        /// How many since the last such record.
        count: u64,
    },
    /// More time was asked for.
    Renewal(Decided),
    /// A lease was taken back by its owner.
    LeaseRevoked {
        /// The lease.
        lease: String,
        /// Its instance.
        instance: String,
    },
    /// The same instance was granted a new lease: its last answer had not reached it.
    LeaseSuperseded {
        /// The lease that is over.
        lease: String,
        /// Its instance.
        instance: String,
    },
    /// Two different heartbeats followed one answer: the instance was copied.
    LeaseForked {
        /// The lease, which is over for both.
        lease: String,
        /// The instance.
        instance: String,
    },
    /// An instance certificate was renewed by a heartbeat.
    CertificateRenewed {
        /// The lease.
        lease: String,
        /// The instance.
        instance: String,
    },
    /// A client of the CoCo KBS protocol presented evidence.
    KbsAttestation(Decided),
    /// A client of the CoCo KBS protocol asked for a resource.
    KbsResource(Decided),
    /// A model's keys were handed to another KBS: from here on that decides.
    KeysPublished {
        /// The model id.
        model: String,
        /// Its name.
        name: String,
        /// Its version.
        version: u64,
    },
}

/// One decision on evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Who asked, as it called itself: an instance id.
    pub caller: String,
    /// SHA-256 of the evidence.
    pub evidence: String,
    /// SHA-256 of the policy that decided.
    pub policy: String,
    /// What was asked for: model ids.
    pub models: Vec<String>,
    /// The outcome.
    pub decision: Decision,
    /// The codes of every failed requirement.
    pub codes: Vec<String>,
    /// The lease that was granted or renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Every requirement held.
    Granted,
    /// At least one did not.
    Refused,
}
