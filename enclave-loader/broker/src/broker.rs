//! The broker: made once, opened often.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use strongroom_attestation::{DevelopmentAnchors, HardwareAnchors, UnixTime, crypto};
use strongroom_channel::cose::{VerifyingKey, media};
use strongroom_channel::deployment::DeploymentId;
use strongroom_channel::instance_certificate::{self, CertificateError};
use strongroom_channel::trust_file::Environment;
use strongroom_enclave_loader::DepositPublicKey;
use zeroize::Zeroizing;

use crate::budget::Budget;
use crate::challenge::Challenges;
use crate::clock::{Clock, SteadyClock, SystemClock};
use crate::desk::{Bench, Desk};
use crate::error::BrokerError;
use crate::identity::{Identity, Keys};
use crate::kbs::KbsSessions;
use crate::kek::{Kek, KekError, write_private};
use crate::ledger::Ledger;
use crate::log::{DecisionLog, Event, LOG_FILE, LogHead, LogReport, verify_log};
use crate::staging;
use crate::store::{Store, StoreError};

/// Where the key-encryption key is; not secret, and nothing rests on it.
const SETTINGS_FILE: &str = "broker.toml";
/// The default key-encryption key.
const KEK_FILE: &str = "kek.key";
/// The bearer token of the admin interface.
const ADMIN_TOKEN_FILE: &str = "admin.token";
/// The key that models are sealed to.
const DEPOSIT_KEY_FILE: &str = "deposit.pub";
/// The key that instances pin, 64 hexadecimal digits.
const BROKER_KEY_FILE: &str = "broker-key.pub";
/// What clients pin with `--trust-root`.
const TRUST_ROOT_FILE: &str = "trust-root.txt";

/// The instance CA's life. Its certificates live for minutes; changing the CA is a new trust file.
const CA_SECONDS: u64 = 10 * 365 * 24 * 60 * 60;

/// A clock may show this much less than the last record of the log: time servers correct by
/// less, and the broker waits until the time is reached again.
const MOST_SECONDS_BACK: u64 = 5 * 60;

/// How a new broker is to be.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// Whose it is: 1 to 63 of `a-z`, `0-9`, `.`, `-` and `_`; it stands in every certificate.
    pub tenant: String,
    /// The one deployment that it releases to.
    pub deployment: DeploymentId,
    /// Production or development, for ever.
    pub environment: Environment,
    /// Where to put the key-encryption key; `kek.key` in the broker's directory by default.
    /// Better on another volume, or one that is unlocked by hand.
    pub kek_file: Option<PathBuf>,
    /// The development vendors' root certificates, DER, which are trusted together: for a
    /// development broker, and only there.
    pub development_anchors: Vec<Vec<u8>>,
}

/// The tenant's key broker.
pub struct Broker {
    pub(crate) dir: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) keys: Keys,
    pub(crate) ledger: Ledger,
    pub(crate) bench: Bench,
    clock: SteadyClock<Arc<dyn Clock>>,
    challenges: Mutex<Challenges>,
    unproven: Mutex<Budget>,
    kbs_sessions: Mutex<KbsSessions>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    kek_file: PathBuf,
}

impl Broker {
    /// Makes a new broker in `dir`, which must be absent or empty, and opens it. It is made in
    /// `dir` with `.new` at the end and named when all of it is on disk, so an interruption
    /// leaves no half of a broker. Writes beside the store:
    /// the deposit key (`deposit.pub`), the broker key that instances pin (`broker-key.pub`),
    /// the trust root that clients pin (`trust-root.txt`) and the admin token (`admin.token`).
    ///
    /// # Errors
    /// [`BrokerError`]; whatever was there before is never overwritten.
    pub fn init(dir: &Path, options: InitOptions) -> Result<Self, BrokerError> {
        Self::init_with_clock(dir, options, Arc::new(SystemClock))
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// As [`Broker::init`].
    pub fn init_with_clock(dir: &Path, options: InitOptions, clock: Arc<dyn Clock>) -> Result<Self, BrokerError> {
        if Store::exists(dir) {
            return Err(StoreError::Exists { path: dir.to_owned() }.into());
        }
        let new = staging::begin(dir)?;
        Self::make(&new, options, clock.now()).inspect_err(|_| staging::give_up(&new))?;
        staging::finish(&new, dir)?;
        Self::open_with_clock(dir, clock)
    }

    /// Everything that a new broker has, in the directory `dir`.
    fn make(dir: &Path, options: InitOptions, now: UnixTime) -> Result<(), BrokerError> {
        bench_for(options.environment, &options.development_anchors)?;
        let keys = Keys::generate()?;
        let instance_ca = instance_certificate::make_ca(
            &keys.instance_ca,
            &options.tenant,
            options.environment,
            now,
            now.saturating_add_secs(CA_SECONDS),
        )
        .map_err(|error| match error {
            // The options are at fault, not a certificate that somebody showed.
            CertificateError::Issue { wanted } => {
                BrokerError::Value { what: "the broker's certificate authority", wanted }
            }
            other => other.into(),
        })?;
        let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(random::<32>()?));
        let identity = Identity {
            tenant: options.tenant,
            deployment: options.deployment,
            environment: options.environment,
            development_anchors: options.development_anchors,
            instance_ca,
            admin_token: crypto::sha256(token.as_bytes()),
        };
        let kek_file = options.kek_file.unwrap_or_else(|| PathBuf::from(KEK_FILE));
        let kek = Kek::create(&dir.join(&kek_file))?;
        write_settings(dir, &Settings { kek_file })?;
        write_public(&dir.join(DEPOSIT_KEY_FILE), &keys.deposit.public().to_string())?;
        write_public(&dir.join(BROKER_KEY_FILE), &hex::encode(keys.broker.verifying_key().to_bytes()))?;
        let root = hex::encode(keys.root.verifying_key().thumbprint());
        write_public(&dir.join(TRUST_ROOT_FILE), &format!("sha256:{root}"))?;
        let token_path = dir.join(ADMIN_TOKEN_FILE);
        write_private(&token_path, token.as_bytes())
            .map_err(|source| BrokerError::File { path: token_path, source })?;

        let log = DecisionLog::create(dir)?;
        let ledger = Ledger::new(Store::create(dir, kek)?, log);
        ledger.transact(now, |transaction| {
            identity.save(transaction, now)?;
            keys.save(transaction)?;
            let event = Event::Initialised {
                tenant: identity.tenant.clone(),
                deployment: identity.deployment.to_string(),
                environment: identity.environment.as_str().to_owned(),
            };
            Ok(((), vec![event]))
        })
    }

    /// Opens the broker in `dir`; makes nothing that is missing.
    ///
    /// # Errors
    /// [`BrokerError`]; the decision log is verified as a whole first.
    pub fn open(dir: &Path) -> Result<Self, BrokerError> {
        Self::open_with_clock(dir, Arc::new(SystemClock))
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// As [`Broker::open`].
    pub fn open_with_clock(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, BrokerError> {
        if !Store::exists(dir) {
            return Err(StoreError::Missing { path: dir.to_owned() }.into());
        }
        let kek = Kek::read(&dir.join(read_settings(dir)?.kek_file))?;
        let store = Store::open(dir, kek)?;
        let view = store.view()?;
        let identity = Identity::load(&view)?;
        let keys = Keys::load(&view)?;
        drop(view);
        let bench = bench_for(identity.environment, &identity.development_anchors)?;
        let log = DecisionLog::open(dir, Ledger::remembered_head(&store)?)?;
        let clock = not_set_back(clock, log.last_time())?;
        Self::assemble(dir, identity, keys, Ledger::new(store, log), bench, clock)
    }

    fn assemble(
        dir: &Path,
        identity: Identity,
        keys: Keys,
        ledger: Ledger,
        bench: Bench,
        clock: SteadyClock<Arc<dyn Clock>>,
    ) -> Result<Self, BrokerError> {
        let challenge_key = Zeroizing::new(random()?);
        Ok(Self {
            dir: dir.to_owned(),
            identity,
            keys,
            ledger,
            bench,
            clock,
            challenges: Mutex::new(Challenges::new(&challenge_key)),
            unproven: Mutex::default(),
            kbs_sessions: Mutex::default(),
        })
    }

    /// Whose broker this is.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.identity.tenant
    }

    /// The deployment that it releases to.
    #[must_use]
    pub fn deployment(&self) -> &DeploymentId {
        &self.identity.deployment
    }

    /// Production or development.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.identity.environment
    }

    /// The key that instances pin in their measured configuration.
    #[must_use]
    pub fn broker_key(&self) -> VerifyingKey {
        self.keys.broker.verifying_key()
    }

    /// What clients pin with `--trust-root`: SHA-256 of the root key.
    #[must_use]
    pub fn trust_root(&self) -> [u8; 32] {
        self.keys.root.verifying_key().thumbprint()
    }

    /// The key that models are sealed to.
    #[must_use]
    pub fn deposit_key(&self) -> &DepositPublicKey {
        self.keys.deposit.public()
    }

    /// Where the admin token lies.
    #[must_use]
    pub fn admin_token_file(dir: &Path) -> PathBuf {
        dir.join(ADMIN_TOKEN_FILE)
    }

    /// The log's head signed by the broker key (media type `LOG_HEAD`), to be kept elsewhere:
    /// det-CBOR `{1: number of records, 2: hash of the last, 3: time}`.
    #[must_use]
    pub fn signed_log_head(&self) -> Vec<u8> {
        use strongroom_channel::cbor::Value;
        let head = self.ledger.log_head();
        let payload = Value::map([
            (1, Value::Uint(head.seq)),
            (2, Value::Bytes(&head.hash)),
            (3, Value::Uint(self.now().as_secs())),
        ]);
        self.keys.broker.sign1(media::LOG_HEAD, &payload.encode())
    }

    /// Where the log ends.
    #[must_use]
    pub fn log_head(&self) -> LogHead {
        self.ledger.log_head()
    }

    /// Verifies the log file against the head in memory.
    ///
    /// # Errors
    /// [`BrokerError::Log`], naming the first record that does not fit.
    pub fn verify_log(&self) -> Result<LogReport, BrokerError> {
        Ok(verify_log(&self.dir.join(LOG_FILE), Some(self.ledger.log_head()))?)
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    pub(crate) fn challenges(&self) -> MutexGuard<'_, Challenges> {
        // Each operation on the table is complete or not begun; a panic elsewhere breaks nothing.
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The budget of the log for whoever proved nothing.
    pub(crate) fn unproven(&self) -> MutexGuard<'_, Budget> {
        self.unproven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn kbs_sessions(&self) -> MutexGuard<'_, KbsSessions> {
        self.kbs_sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], BrokerError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| BrokerError::Randomness)?;
    Ok(bytes)
}

/// The one place that decides which class of evidence a broker takes.
fn bench_for(environment: Environment, anchors: &[Vec<u8>]) -> Result<Bench, BrokerError> {
    match (environment, anchors) {
        (Environment::Production, []) => Ok(Bench::Production(Desk::hardware(HardwareAnchors::compiled_in()))),
        (Environment::Development, [first, others @ ..]) => {
            let first = DevelopmentAnchors::new(first)?;
            let anchors = others.iter().try_fold(first, |anchors, root| anchors.and(root))?;
            Ok(Bench::Development(Desk::simulated(anchors)))
        }
        (Environment::Production, [_, ..]) => Err(BrokerError::Value {
            what: "development anchor",
            wanted: "none in a production broker; make a development broker for simulated platforms",
        }),
        (Environment::Development, []) => Err(BrokerError::Value {
            what: "development anchor",
            wanted: "the root certificate of the development vendor whose evidence this broker takes",
        }),
    }
}

/// Refuses a clock that was set back while the broker was stopped: every lease, certificate and
/// policy that is over would be good again.
fn not_set_back(clock: Arc<dyn Clock>, last: UnixTime) -> Result<SteadyClock<Arc<dyn Clock>>, BrokerError> {
    let now = clock.now();
    if last.saturating_secs_since(now) > MOST_SECONDS_BACK {
        return Err(BrokerError::ClockSetBack { last, now });
    }
    Ok(SteadyClock::from(clock, last))
}

fn write_public(path: &Path, line: &str) -> Result<(), BrokerError> {
    staging::write_new(path, format!("{line}\n").as_bytes())
}

fn write_settings(dir: &Path, settings: &Settings) -> Result<(), BrokerError> {
    let text = toml::to_string(settings)
        .map_err(|_| BrokerError::Value { what: "kek_file", wanted: "a path that is text" })?;
    let path = dir.join(SETTINGS_FILE);
    staging::write_new(&path, text.as_bytes())
}

fn read_settings(dir: &Path) -> Result<Settings, BrokerError> {
    let path = dir.join(SETTINGS_FILE);
    let text = fs::read_to_string(&path).map_err(|source| BrokerError::File { path: path.clone(), source })?;
    toml::from_str(&text).map_err(|_| KekError::Format { path }.into())
}
