//! A tenant, an instance on a simulated platform, and a client: all that one response needs.
//! A test changes what it wants to break and asks for the outcome.

use std::sync::OnceLock;

use strongroom_attestation::{Code, Policy, Refusal, UnixTime};
use strongroom_simulated_platform::{Product, SimulatedAmd, SimulatedDevice, launch_measurement};

use crate::attest::{AttestRequest, AttestResponse, Collection, CollectionKind, Record, indicator};
use crate::binding::{self, Class, Purpose};
use crate::cose::{SigningKey, media};
use crate::deployment::DeploymentId;
use crate::freshness::{self, Tree};
use crate::instance_certificate::{self, InstanceClaims};
use crate::ohttp::{KeyPair, Suite};
use crate::session::{Seen, SessionAppraisal, SessionWanted, verify_session};
use crate::statement::{self, EpochStatement, PluginEntry, Workload};
use crate::trust_file::{Environment, TrustFile, TrustedModel};

pub(super) const NOW: UnixTime = UnixTime::from_secs(1_760_000_000);

pub(super) fn later(seconds: u64) -> UnixTime {
    NOW.saturating_add_secs(seconds)
}

pub(super) fn earlier(seconds: u64) -> UnixTime {
    UnixTime::from_secs(NOW.as_secs() - seconds)
}

/// RSA keys are slow to load and certificates slow to sign: once for all tests.
pub(super) fn vendor() -> &'static SimulatedAmd {
    static VENDOR: OnceLock<SimulatedAmd> = OnceLock::new();
    VENDOR.get_or_init(|| SimulatedAmd::published(Product::Genoa, NOW.as_secs()).unwrap())
}

pub(super) fn device(chip: u8) -> SimulatedDevice {
    vendor().device([chip; 32], launch_measurement(b"image"), [0; 32], NOW.as_secs()).unwrap()
}

pub(super) fn key_configs() -> Vec<u8> {
    static KEYS: OnceLock<Vec<u8>> = OnceLock::new();
    KEYS.get_or_init(|| KeyPair::generate(1).config_list()).clone()
}

pub(super) struct Scene {
    pub(super) trust: TrustFile,
    pub(super) device: SimulatedDevice,
    pub(super) ca_key: SigningKey,
    pub(super) ca: Vec<u8>,
    pub(super) instance_key: SigningKey,
    pub(super) claims: InstanceClaims,
    pub(super) certificate_times: (UnixTime, UnixTime),
    pub(super) statement: EpochStatement,
    pub(super) request_body: Vec<u8>,
    pub(super) class: Class,
    pub(super) purpose: Purpose,
    // The client's side.
    pub(super) accept_simulated: bool,
    pub(super) now: UnixTime,
    pub(super) seen: Option<Seen>,
    pub(super) suites: Vec<Suite>,
}

impl Scene {
    pub(super) fn new() -> Scene {
        let deployment = DeploymentId::parse("bank-prod").unwrap();
        let device = device(1);
        let ca_key = SigningKey::from_seed([1; 32]);
        let ca =
            instance_certificate::make_ca(&ca_key, "bank", Environment::Development, earlier(1000), later(100_000))
                .unwrap();
        let instance_key = SigningKey::from_seed([2; 32]);
        let statement = EpochStatement {
            deployment: deployment.clone(),
            instance_id: [3; 16],
            epoch: 5,
            issued_at: NOW.as_secs() - 10,
            lifetime: 900,
            key_configs: key_configs(),
            tls_spki: None,
            signing_key: instance_key.verifying_key(),
            workload: Workload {
                image_id: None,
                config_digest: [4; 32],
                models: vec![[5; 32]],
                plugins: vec![PluginEntry { id: "redact".to_owned(), digest: [6; 32], grants: [7; 32] }],
                policy_hash: Some([8; 32]),
                sbom: None,
                padding: "bucket".to_owned(),
                logging: "none".to_owned(),
                lease_id: Some([9; 16]),
            },
            device_digest: crate::device_digest::digest([]),
            previous: [10; 32],
        };
        Scene {
            trust: TrustFile {
                sequence: 1,
                deployment: deployment.clone(),
                environment: Environment::Development,
                created: earlier(100),
                not_after: later(50_000),
                instance_ca: Some(ca.clone()),
                broker_key: SigningKey::from_seed([11; 32]).verifying_key(),
                policy: Policy::from_toml(&device.strict_policy()).unwrap(),
                config_digests: vec![[4; 32]],
                logging: vec!["none".to_owned()],
                models: vec![TrustedModel { name: "qwen".to_owned(), model_id: [5; 32], least_version: 2 }],
                plugins: vec![[6; 32]],
                padding: "bucket".to_owned(),
                log_key: None,
                hints: Vec::new(),
                development_anchors: vec![vendor().root_certificate_der().to_vec()],
            },
            claims: InstanceClaims {
                deployment: deployment.clone(),
                instance_id: [3; 16],
                launch_measurement: device.measurement().to_vec(),
                platform_identity: Some(device.chip_id().to_vec()),
                gpu_ueids: Vec::new(),
            },
            device,
            ca_key,
            ca,
            instance_key,
            certificate_times: (earlier(60), later(840)),
            statement,
            request_body: AttestRequest::new([12; 32], deployment).to_bytes(),
            class: Class::Simulated,
            purpose: Purpose::Session,
            accept_simulated: true,
            now: NOW,
            seen: None,
            suites: Suite::ALL.to_vec(),
        }
    }

    /// What the instance answers: the client's leaf is the second of three.
    pub(super) fn response(&self) -> AttestResponse {
        let leaves =
            vec![freshness::leaf(b"another client"), freshness::leaf(&self.request_body), freshness::leaf(b"a third")];
        let tree = Tree::new(leaves);
        let statement = self.statement.encode();
        let preimage =
            binding::preimage(self.class, self.purpose, &statement::hash(&statement), &tree.root(), tree.size());
        let quoted = self.device.report(&binding::report_data(&preimage)).unwrap();
        let mut evidence = Collection::new(CollectionKind::Evidence);
        evidence
            .insert("cpu0", record("application/vnd.strongroom.snp-report", quoted.report, indicator::EVIDENCE))
            .unwrap();
        let mut endorsements = Collection::new(CollectionKind::Endorsements);
        for (n, endorsement) in quoted.endorsements.into_iter().enumerate() {
            endorsements
                .insert(&format!("e{n}"), record("application/pkix-cert", endorsement, indicator::ENDORSEMENTS))
                .unwrap();
        }
        AttestResponse {
            statement,
            leaf_index: 1,
            proof: tree.proof(1),
            tree_size: tree.size(),
            time: NOW.as_secs(),
            instance_signature: self.instance_key.sign1(media::PROOF, &preimage),
            evidence,
            endorsements,
            instance_certificate: vec![self.certificate(), self.ca.clone()],
        }
    }

    pub(super) fn certificate(&self) -> Vec<u8> {
        let (from, to) = self.certificate_times;
        let key = self.statement.signing_key.clone();
        instance_certificate::issue(&self.ca_key, &self.ca, &self.claims, &key, from, to, "bank").unwrap()
    }

    pub(super) fn appraise(&self, response: &AttestResponse) -> SessionAppraisal {
        self.appraise_bytes(&response.to_bytes())
    }

    pub(super) fn appraise_bytes(&self, response: &[u8]) -> SessionAppraisal {
        let wanted = SessionWanted {
            trust: &self.trust,
            request_body: &self.request_body,
            accept_simulated: self.accept_simulated,
            now: self.now,
            seen: self.seen,
            suites: &self.suites,
        };
        verify_session(wanted, response)
    }

    /// The refusal of `response`, whose code must be `code`.
    #[track_caller]
    pub(super) fn refuses(&self, response: &AttestResponse, code: Code) -> Refusal {
        let refusal = self.appraise(response).result.expect_err("must be refused");
        assert_eq!(refusal.code, code, "{refusal}");
        refusal
    }

    /// The refusal of the instance's own answer.
    #[track_caller]
    pub(super) fn refused(&self, code: Code) -> Refusal {
        self.refuses(&self.response(), code)
    }
}

pub(super) fn record(media_type: &str, value: Vec<u8>, indicator: u8) -> Record {
    Record { media_type: media_type.to_owned(), value, indicator }
}
