//! Who this instance is: keys and names drawn at boot, never written anywhere.

use std::sync::{Arc, PoisonError, RwLock};

use strongroom_channel::cose::SigningKey;
use strongroom_channel::deployment::DeploymentId;
use strongroom_enclave_loader::release::Credential;
use subtle::ConstantTimeEq;

use sha2::{Digest, Sha256};

/// The instance.
pub(crate) struct Instance {
    /// Random at boot.
    pub(crate) id: [u8; 16],
    /// `K_sig`: signs receipts, heartbeats and what the quote proves.
    pub(crate) key: SigningKey,
    /// The deployment of the measured configuration.
    pub(crate) deployment: DeploymentId,
    identity: RwLock<Identity>,
}

/// What the broker gave this instance to show and to check with.
#[derive(Default, Clone)]
struct Identity {
    certificate: Arc<Vec<Vec<u8>>>,
    credentials: Arc<Vec<Credential>>,
}

impl Instance {
    /// A new instance of `deployment`.
    pub(crate) fn boot(deployment: DeploymentId) -> Result<Self, getrandom::Error> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        Ok(Self { id, key: SigningKey::generate(), deployment, identity: RwLock::default() })
    }

    /// Takes the instance certificate that the broker issued, leaf first.
    pub(crate) fn certify(&self, chain: Vec<Vec<u8>>) {
        self.identity.write().unwrap_or_else(PoisonError::into_inner).certificate = Arc::new(chain);
    }

    /// Takes the clients' hashed credentials (protocol.md A17).
    pub(crate) fn admit(&self, credentials: Vec<Credential>) {
        self.identity.write().unwrap_or_else(PoisonError::into_inner).credentials = Arc::new(credentials);
    }

    /// The instance certificate, leaf first; empty before release.
    pub(crate) fn certificate(&self) -> Arc<Vec<Vec<u8>>> {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).certificate.clone()
    }

    /// The tenant that holds `api_key`, if any. Each credential is compared, in constant
    /// time, whichever matches.
    pub(crate) fn tenant_of(&self, api_key: &str) -> Option<String> {
        let digest: [u8; 32] = Sha256::digest(api_key.as_bytes()).into();
        let credentials = self.identity.read().unwrap_or_else(PoisonError::into_inner).credentials.clone();
        let mut found = None;
        for credential in credentials.iter() {
            if bool::from(credential.hash.ct_eq(&digest)) {
                found = Some(credential.tenant.clone());
            }
        }
        found
    }
}
