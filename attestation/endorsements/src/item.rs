//! One item as it is kept: what was wanted, where it came from and when, and its bytes with their digests.
//! The form is that of docs/specs/collateral-bundle.md, in the cache and in a bundle alike.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strongroom_attestation::{Endorsements, HexBytes, Refusal, UnixTime};

use crate::content::{self, Description};
use crate::want::Want;

/// Bytes that one answer may have; the largest today, a revocation list, has a few KiB.
pub(crate) const MAX_BODY: usize = 1 << 20;
/// Bytes of an item in JSON: base64 makes four of three.
pub(crate) const MAX_ITEM_JSON: usize = 2 << 20;
const MAX_URL: usize = 2048;

/// Bytes that a vendor published, believed in nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// What they are to the item.
    pub role: Role,
    /// As they came: DER, PEM, JSON or XML. Lists that a cache gave as hexadecimal text are DER here, and manifests are
    /// out of the JSON around them.
    pub bytes: Vec<u8>,
}

/// What an artefact is to its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// What was wanted.
    Object,
    /// The certificates of who signed it, PEM.
    IssuerChain,
}

/// One want and what was published for it. Its artefacts are of the kind that the want asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub(crate) want: Want,
    pub(crate) url: String,
    pub(crate) fetched_at: UnixTime,
    pub(crate) artefacts: Vec<Artefact>,
    pub(crate) description: Description,
}

impl Item {
    /// An item, if its artefacts are what `want` asks for; else a sentence that says what is wrong.
    pub(crate) fn new(want: Want, url: String, fetched_at: UnixTime, artefacts: Vec<Artefact>) -> Result<Item, String> {
        let description = content::describe(&want, &artefacts)?;
        Ok(Item { want, url, fetched_at, artefacts, description })
    }

    /// What was wanted.
    pub fn want(&self) -> &Want {
        &self.want
    }

    /// Where it came from.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// When it was fetched, by the clock of the machine that fetched it.
    pub fn fetched_at(&self) -> UnixTime {
        self.fetched_at
    }

    /// The object, and of Intel's items the issuer chain.
    pub fn artefacts(&self) -> &[Artefact] {
        &self.artefacts
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Puts the object and its issuer chain into the verifier's bag.
    ///
    /// # Errors
    /// The bag's limits.
    pub fn add_to(&self, endorsements: &mut Endorsements) -> Result<(), Refusal> {
        self.artefacts.iter().try_for_each(|artefact| endorsements.add(&artefact.bytes))
    }

    /// Orders two items of one want: the vendor's date decides, then the time of fetching.
    pub(crate) fn is_newer_than(&self, other: &Item) -> bool {
        (self.description.issued, self.fetched_at) > (other.description.issued, other.fetched_at)
    }

    pub(crate) fn to_json(&self) -> ItemJson {
        let artefact = |artefact: &Artefact| ArtefactJson {
            role: artefact.role,
            sha256: HexBytes(Sha256::digest(&artefact.bytes).into()),
            base64: STANDARD.encode(&artefact.bytes),
        };
        ItemJson {
            want: self.want.to_string(),
            url: self.url.clone(),
            fetched_at: self.fetched_at,
            artefacts: self.artefacts.iter().map(artefact).collect(),
        }
    }
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemJson {
    want: String,
    url: String,
    fetched_at: UnixTime,
    artefacts: Vec<ArtefactJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArtefactJson {
    role: Role,
    sha256: HexBytes<32>,
    base64: String,
}

impl TryFrom<ItemJson> for Item {
    type Error = String;

    fn try_from(json: ItemJson) -> Result<Item, String> {
        let want: Want = json.want.parse().map_err(|error: crate::WantError| error.to_string())?;
        // A manifest can be from a folder, which is not told.
        let may_be_file = matches!(want, Want::NvidiaManifest { .. });
        let is_url = reqwest::Url::parse(&json.url).is_ok_and(|url| match url.scheme() {
            "http" | "https" => true,
            "file" => may_be_file,
            _ => false,
        });
        if !is_url || json.url.len() > MAX_URL {
            return Err(format!("{want}: the url is none"));
        }
        let mut artefacts = Vec::new();
        for artefact in json.artefacts {
            let bytes = STANDARD.decode(&artefact.base64).map_err(|_| format!("{want}: not base64"))?;
            if bytes.len() > MAX_BODY {
                return Err(format!("{want}: more than {MAX_BODY} bytes"));
            }
            if Sha256::digest(&bytes).as_slice() != artefact.sha256.as_slice() {
                return Err(format!("{want}: the bytes do not have the digest beside them"));
            }
            artefacts.push(Artefact { role: artefact.role, bytes });
        }
        let shown = want.to_string();
        Item::new(want, json.url, json.fetched_at, artefacts).map_err(|why| format!("{shown}: {why}"))
    }
}
