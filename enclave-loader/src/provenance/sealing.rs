//! Provenance of sealing: who made a sealed model, when, with what, and from which sources, as SLSA
//! provenance 1.0 for whoever has the sealed model and none of its plaintext.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strongroom_attestation::{HexBytes, UnixTime, crypto};
use strongroom_channel::trust_file::Environment;
use zeroize::Zeroizing;

use super::dsse::{Envelope, EnvelopeText, Statement, Subject, digest, read_statement};
use super::files::{root, sort};
use super::limits::{MAX_NAME_BYTES, MAX_PROVENANCE_BYTES};
use super::{EcPublicKey, EcSigningKey, FileDigest, ProvenanceError, json};
use crate::format::core::Suite;
use crate::secret::fill_random;

/// Where the provenance lies beside a sealed model.
pub const PROVENANCE_FILE: &str = "provenance.intoto.jsonl";

const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// What kind of build sealing is: docs/specs/provenance.md says what its parameters mean.
const BUILD_TYPE: &str = "strongroom:sealing/v1";
/// Who builds: the sealer, on a machine of the tenant's choice. SLSA asks for a URI.
const BUILDER: &str = "strongroom:sealer";
/// What the salted digest of the sources is called. It is no `sha256`: nothing has that SHA-256.
const SALTED: &str = "strongroomSaltedSha256";
const SOURCE: &str = "source";

/// One sealing, as the sealer knows it.
#[derive(Clone, Debug)]
pub struct Sealing<'a> {
    /// Name of the sealed model.
    pub name: &'a str,
    /// Its version.
    pub version: u64,
    /// Its suite.
    pub suite: Suite,
    /// Its environment.
    pub environment: Environment,
    /// Its model id.
    pub model_id: [u8; 32],
    /// The files that were sealed, in any order.
    pub sources: &'a [FileDigest],
    /// Version of the sealer.
    pub sealer_version: &'a str,
    /// When sealing began.
    pub started: UnixTime,
    /// When it was done.
    pub finished: UnixTime,
}

/// What opens the salted digest of the sources. Whoever has it can confirm a guess at the
/// plaintext, so it is for the tenant alone, as the keys are.
#[derive(Clone)]
pub struct SourceSalt(Zeroizing<[u8; 32]>);

impl SourceSalt {
    /// The salt as one line of text, for a private file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_slice()))
    }

    /// Reads [`SourceSalt::to_text`].
    ///
    /// # Errors
    /// `Malformed`.
    pub fn from_text(text: &str) -> Result<Self, ProvenanceError> {
        let mut salt = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), salt.as_mut_slice())
            .map_err(|_| ProvenanceError::Malformed("a salt is 64 hexadecimal digits"))?;
        Ok(Self(salt))
    }

    /// The salted digest over the digests of all files. One digest for all: their number is secret.
    fn salted(&self, files: &[FileDigest]) -> [u8; 32] {
        let mut files = files.to_vec();
        sort(&mut files);
        let root = root(files.iter().map(|file| &file.sha256.0));
        crypto::sha256(&Zeroizing::new([self.0.as_slice(), &root].concat()))
    }
}

/// Signs the provenance of a sealing: the bytes of [`PROVENANCE_FILE`], and the salt, which is drawn
/// here and goes elsewhere.
///
/// # Errors
/// `Options` for texts that are too long, for no sources, and for an end before the beginning;
/// `Crypto`.
pub fn sign_sealing(sealing: &Sealing<'_>, key: &EcSigningKey) -> Result<(Vec<u8>, SourceSalt), ProvenanceError> {
    let wrong = |option, problem| Err(ProvenanceError::Options { option, problem });
    let unfit = |text: &str| text.is_empty() || text.len() > MAX_NAME_BYTES || text.chars().any(char::is_control);
    if unfit(sealing.name) || unfit(sealing.sealer_version) {
        return wrong("name and version of the sealer", "have 1 to 1,024 bytes, without control characters");
    }
    if sealing.sources.is_empty() {
        return wrong("sources", "are none");
    }
    if sealing.finished < sealing.started {
        return wrong("finished", "is before the beginning");
    }
    let mut salt = SourceSalt(Zeroizing::new([0; 32]));
    fill_random(salt.0.as_mut_slice()).map_err(|_| ProvenanceError::Crypto { what: "drawing a salt" })?;

    let subject = Subject { name: sealing.name.to_owned(), sha256: sealing.model_id };
    let statement = Statement::about(&subject, PREDICATE_TYPE, Predicate::of(sealing, &salt));
    let envelope = Envelope::sign(&statement, key, &key.public().fingerprint().to_string())?;
    let mut line =
        serde_json::to_vec(&envelope).map_err(|_| ProvenanceError::Crypto { what: "writing a provenance" })?;
    line.push(b'\n');
    Ok((line, salt))
}

/// A sealing that the owner of a trusted key vouches for. Only [`verify_sealing`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSealing {
    /// SHA-256 of the signer's SubjectPublicKeyInfo.
    pub signer: HexBytes<32>,
    /// Model id of the sealed model.
    pub model_id: HexBytes<32>,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// Number of its suite.
    pub suite: u8,
    /// Its environment.
    pub environment: Environment,
    /// Version of the sealer.
    pub sealer_version: String,
    /// When sealing began.
    pub started: UnixTime,
    /// When it was done.
    pub finished: UnixTime,
    source: [u8; 32],
}

impl VerifiedSealing {
    /// Whether the model was sealed from `files`, given in any order.
    ///
    /// # Errors
    /// `Sources` where it was not, or `salt` is another sealing's.
    pub fn check_sources(&self, salt: &SourceSalt, files: &[FileDigest]) -> Result<(), ProvenanceError> {
        if salt.salted(files) == self.source { Ok(()) } else { Err(ProvenanceError::Sources) }
    }
}

/// Verifies the bytes of [`PROVENANCE_FILE`], in this order:
///
/// 1. It is one line with an envelope, whose signature verifies with `key`.
/// 2. It is SLSA provenance 1.0 of a sealing.
/// 3. Its subject is the sealed model `model_id`.
///
/// # Errors
/// `Malformed`, `TooLarge`, `Signature`, `Unsupported`, `Subject`.
pub fn verify_sealing(
    bytes: &[u8],
    key: &EcPublicKey,
    model_id: &[u8; 32],
) -> Result<VerifiedSealing, ProvenanceError> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if line.contains(&b'\n') {
        return Err(ProvenanceError::Malformed("a provenance is one line"));
    }
    let text: EnvelopeText = json::read(line, MAX_PROVENANCE_BYTES, "the provenance")?;
    let envelope = Envelope::read(&text)?;
    let payload = envelope.verified(key)?; // 1
    let (subject, predicate) = read_statement(payload, PREDICATE_TYPE)?;
    let predicate: Predicate = json::typed(predicate, "the predicate of a provenance")?;
    let source = predicate.check()?; // 2
    if subject.sha256 != *model_id {
        return Err(ProvenanceError::Subject { found: hex::encode(subject.sha256) }); // 3
    }
    let parameters = &predicate.build_definition.external_parameters;
    let environment = Environment::parse(&parameters.environment);
    let environment = environment.ok_or(ProvenanceError::Malformed("an environment is prod or dev"))?;
    if parameters.name != subject.name {
        return Err(ProvenanceError::Malformed("a sealing has one name"));
    }
    let Predicate { build_definition: BuildDefinition { external_parameters: parameters, .. }, run_details } =
        predicate;
    Ok(VerifiedSealing {
        signer: key.fingerprint(),
        model_id: HexBytes(subject.sha256),
        name: parameters.name,
        version: parameters.version,
        suite: parameters.suite,
        environment,
        sealer_version: run_details.builder.version.strongroom,
        started: run_details.metadata.started_on,
        finished: run_details.metadata.finished_on,
        source,
    })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Predicate {
    build_definition: BuildDefinition,
    run_details: RunDetails,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BuildDefinition {
    build_type: String,
    external_parameters: Parameters,
    resolved_dependencies: Vec<Dependency>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    name: String,
    version: u64,
    suite: u8,
    environment: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunDetails {
    builder: Builder,
    metadata: Metadata,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Builder {
    id: String,
    version: BuilderVersion,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BuilderVersion {
    strongroom: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Metadata {
    started_on: UnixTime,
    finished_on: UnixTime,
}

impl Predicate {
    fn of(sealing: &Sealing<'_>, salt: &SourceSalt) -> Self {
        let salted = hex::encode(salt.salted(sealing.sources));
        let environment = sealing.environment.as_str();
        Self {
            build_definition: BuildDefinition {
                build_type: BUILD_TYPE.to_owned(),
                external_parameters: Parameters {
                    name: sealing.name.to_owned(),
                    version: sealing.version,
                    suite: sealing.suite.number(),
                    environment: environment.to_owned(),
                },
                resolved_dependencies: vec![Dependency {
                    name: SOURCE.to_owned(),
                    digest: BTreeMap::from([(SALTED.to_owned(), salted)]),
                }],
            },
            run_details: RunDetails {
                builder: Builder {
                    id: BUILDER.to_owned(),
                    version: BuilderVersion { strongroom: sealing.sealer_version.to_owned() },
                },
                metadata: Metadata { started_on: sealing.started, finished_on: sealing.finished },
            },
        }
    }

    /// The salted digest of the sources, where this is a sealing by our sealer.
    fn check(&self) -> Result<[u8; 32], ProvenanceError> {
        let build = &self.build_definition;
        if build.build_type != BUILD_TYPE {
            return Err(ProvenanceError::unsupported("build type", &build.build_type));
        }
        if self.run_details.builder.id != BUILDER {
            return Err(ProvenanceError::unsupported("builder", &self.run_details.builder.id));
        }
        let [Dependency { name, digest: digests }] = build.resolved_dependencies.as_slice() else {
            return Err(ProvenanceError::Malformed("a sealing has one source"));
        };
        let sealer = &self.run_details.builder.version.strongroom;
        if sealer.len() > MAX_NAME_BYTES || sealer.chars().any(char::is_control) {
            return Err(ProvenanceError::Malformed("the sealer's version"));
        }
        match (name.as_str(), digests.len(), digests.get(SALTED)) {
            (SOURCE, 1, Some(text)) => digest(text),
            _ => Err(ProvenanceError::Malformed("a sealing's source has one salted digest")),
        }
    }
}
