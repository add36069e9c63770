//! A bill of materials of a model in CycloneDX 1.6 (ECMA-424): for inventories. It is not signed on
//! its own: a signature over the sealed model covers it where it lies beside.

use serde::Serialize;
use strongroom_attestation::{HexBytes, UnixTime, crypto};

use super::ProvenanceError;
use super::limits::MAX_NAME_BYTES;

/// Where the bill lies beside a sealed model.
pub const BOM_FILE: &str = "bom.cdx.json";

/// Separates the serial number's hash from others.
const SERIAL_DOMAIN: &[u8] = b"strongroom/bom/v1";
/// Licences in one bill.
const MAX_LICENCES: usize = 64;

/// What a bill says of a model.
#[derive(Clone, Debug)]
pub struct ModelBom<'a> {
    /// Name of the model.
    pub name: &'a str,
    /// Its version.
    pub version: u64,
    /// Its model id.
    pub model_id: [u8; 32],
    /// Its licences; none where they are not known.
    pub licences: &'a [Licence],
    /// What it is for, for example `text-generation`.
    pub task: Option<&'a str>,
    /// Family of its architecture, for example `qwen2`.
    pub architecture_family: Option<&'a str>,
    /// Its architecture, for example `Qwen2ForCausalLM`.
    pub architecture: Option<&'a str>,
    /// Version of the tool that writes the bill.
    pub tool_version: &'a str,
    /// When the bill is written.
    pub timestamp: UnixTime,
}

/// A licence of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Licence {
    /// An identifier of the SPDX list, as `Apache-2.0`. Validators refuse one that is not on it.
    Spdx(String),
    /// Any other licence, by its name.
    Named(String),
    /// An SPDX expression, as `Apache-2.0 OR MIT`. It stands alone.
    Expression(String),
}

impl ModelBom<'_> {
    /// The bill as JSON text. The same inputs give the same bytes.
    ///
    /// # Errors
    /// `Options` for an empty or overlong text, an expression beside other licences, or a timestamp
    /// after the year 9999.
    pub fn to_json(&self) -> Result<Vec<u8>, ProvenanceError> {
        self.check()?;
        let mut text = serde_json::to_vec_pretty(&self.document())
            .map_err(|_| ProvenanceError::Crypto { what: "writing a bill of materials" })?;
        text.push(b'\n');
        Ok(text)
    }

    /// The bill's serial number: the same for every bill of this sealed model.
    #[must_use]
    pub fn serial_number(&self) -> String {
        let [a, b, c, d, e, f, version, g, variant, h, i, j, k, l, m, n, ..] =
            crypto::sha256(&[SERIAL_DOMAIN, &self.model_id].concat());
        // RFC 9562 5.8: a UUID of version 8 leaves all but version and variant to whoever makes it.
        let bytes = [a, b, c, d, e, f, version & 0x0F | 0x80, g, variant & 0x3F | 0x80, h, i, j, k, l, m, n];
        let digits = hex::encode(bytes);
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| digits.get(range).unwrap_or_default());
        format!("urn:uuid:{}", parts.join("-"))
    }

    fn check(&self) -> Result<(), ProvenanceError> {
        let wrong = |option, problem| Err(ProvenanceError::Options { option, problem });
        let licences = self.licences.iter().map(|licence| match licence {
            Licence::Spdx(text) | Licence::Named(text) | Licence::Expression(text) => text.as_str(),
        });
        let optional = [self.task, self.architecture_family, self.architecture].into_iter().flatten();
        let mut texts = [self.name, self.tool_version].into_iter().chain(optional).chain(licences);
        if texts.any(|text| text.is_empty() || text.len() > MAX_NAME_BYTES || text.chars().any(char::is_control)) {
            return wrong("texts of a bill of materials", "have 1 to 1,024 bytes, without control characters");
        }
        let expressions = self.licences.iter().filter(|licence| matches!(licence, Licence::Expression(_))).count();
        if self.licences.len() > MAX_LICENCES || (expressions > 0 && self.licences.len() > 1) {
            return wrong("licences", "are at most 64, or one expression");
        }
        if UnixTime::parse_rfc3339(&self.timestamp.to_string()) != Some(self.timestamp) {
            return wrong("timestamp", "is after the year 9999");
        }
        Ok(())
    }

    fn document(&self) -> Document<'_> {
        let parameters = ModelParameters {
            task: self.task,
            architecture_family: self.architecture_family,
            model_architecture: self.architecture,
        };
        let known = self.task.or(self.architecture_family).or(self.architecture).is_some();
        let id = HexBytes(self.model_id).to_string();
        Document {
            schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
            bom_format: "CycloneDX",
            spec_version: "1.6",
            serial_number: self.serial_number(),
            version: 1,
            metadata: Metadata {
                timestamp: self.timestamp,
                tools: Tools {
                    components: [Tool { kind: "application", name: "strongroom", version: self.tool_version }],
                },
                component: Model {
                    kind: "machine-learning-model",
                    bom_ref: format!("sealed-model:{id}"),
                    name: self.name,
                    version: self.version.to_string(),
                    hashes: [Hash { alg: "SHA-256", content: id }],
                    licenses: self.licences.iter().map(LicenceChoice::of).collect(),
                    model_card: known.then_some(ModelCard { model_parameters: parameters }),
                },
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(rename = "$schema")]
    schema: &'a str,
    bom_format: &'a str,
    spec_version: &'a str,
    serial_number: String,
    version: u32,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    timestamp: UnixTime,
    tools: Tools<'a>,
    component: Model<'a>,
}

#[derive(Serialize)]
struct Tools<'a> {
    components: [Tool<'a>; 1],
}

#[derive(Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Model<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(rename = "bom-ref")]
    bom_ref: String,
    name: &'a str,
    version: String,
    hashes: [Hash<'a>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<LicenceChoice<'a>>,
    #[serde(rename = "modelCard", skip_serializing_if = "Option::is_none")]
    model_card: Option<ModelCard<'a>>,
}

#[derive(Serialize)]
struct Hash<'a> {
    alg: &'a str,
    content: String,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum LicenceChoice<'a> {
    License(NamedLicence<'a>),
    Expression(&'a str),
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum NamedLicence<'a> {
    Id(&'a str),
    Name(&'a str),
}

impl<'a> LicenceChoice<'a> {
    fn of(licence: &'a Licence) -> Self {
        match licence {
            Licence::Spdx(id) => Self::License(NamedLicence::Id(id)),
            Licence::Named(name) => Self::License(NamedLicence::Name(name)),
            Licence::Expression(text) => Self::Expression(text),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelCard<'a> {
    model_parameters: ModelParameters<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelParameters<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture_family: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_architecture: Option<&'a str>,
}
