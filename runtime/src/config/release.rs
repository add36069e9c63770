//! Who releases the keys, and to whose requests the server answers: a broker says both, a KBS
//! neither.

use serde::{Deserialize, Serialize};
use strongroom_channel::cose::VerifyingKey;
use strongroom_enclave_loader::kbs::ResourcePath;
use strongroom_enclave_loader::release::{Credential, MAX_CREDENTIALS};

use super::{Config, ConfigError, ModelConfig, SealedPart, bytes32, is_name, key, want};

/// Who releases the keys, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseProtocol {
    /// A Strongroom broker with this key.
    Strongroom(VerifyingKey),
    /// A KBS; the keys of each model, and of each of its updates after it, lie at these places, where one is
    /// configured.
    Kbs(Vec<Option<ResourcePath>>),
}

/// A client's credential: the SHA-256 of its API key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// A name for people, of its own.
    pub id: String,
    /// SHA-256 of the API key, hex.
    pub key_sha256: String,
    /// Whose requests it stands for.
    pub tenant: String,
}

impl Config {
    /// Who releases the keys.
    ///
    /// # Errors
    /// When the protocol is unknown, the broker's key is none, or a field of the other protocol is there.
    pub fn protocol(&self) -> Result<ReleaseProtocol, ConfigError> {
        match self.release.as_str() {
            "strongroom" => {
                let placed = |model: &ModelConfig| model.parts().any(|part| part.resource.is_some());
                let resource = self.models.iter().position(placed);
                let field = format!("model[{}].resource", resource.unwrap_or_default());
                want(&field, "a path", "none: it is for release = \"kbs\"", resource.is_none())?;
                let clients = self.clients.len();
                want("client", &clients.to_string(), "none: the broker knows the clients", clients == 0)?;
                let pinned = self.broker.key.as_deref().unwrap_or_default();
                Ok(ReleaseProtocol::Strongroom(key("broker.key", pinned)?))
            }
            "kbs" => {
                want("broker.key", "a key", "none: a KBS signs nothing", self.broker.key.is_none())?;
                want("client", "none", "at least one: a KBS names no clients", !self.clients.is_empty())?;
                let path = |(i, part): (usize, SealedPart<'_>)| {
                    let Some(text) = part.resource else { return Ok(None) };
                    text.parse().map(Some).map_err(|_| no_resource(i, text))
                };
                let numbered = self.models.iter().enumerate();
                let parts = numbered.flat_map(|(i, model)| model.parts().map(move |part| (i, part)));
                Ok(ReleaseProtocol::Kbs(parts.map(path).collect::<Result<_, _>>()?))
            }
            other => Err(ConfigError::Value {
                field: "release".into(),
                wanted: "\"strongroom\" or \"kbs\"".into(),
                found: format!("{other:?}"),
            }),
        }
    }

    /// The clients' credentials of the configuration; none where the broker knows them.
    ///
    /// # Errors
    /// When a hash is none, or two clients have one name or key.
    pub fn credentials(&self) -> Result<Vec<Credential>, ConfigError> {
        let credential = |(i, client): (usize, &ClientConfig)| {
            let same = |other: &&ClientConfig| other.id == client.id || other.key_sha256 == client.key_sha256;
            let distinct = self.clients.iter().filter(same).count() == 1;
            want(&format!("client[{i}]"), &client.id, "an id and a key of its own", distinct)?;
            for (field, text) in [("id", &client.id), ("tenant", &client.tenant)] {
                want(&format!("client[{i}].{field}"), text, "1 to 128 visible ASCII characters", is_name(text))?;
            }
            let hash = bytes32(&format!("client[{i}].key_sha256"), &client.key_sha256)?;
            Ok(Credential { id: client.id.clone(), hash, tenant: client.tenant.clone() })
        };
        let count = self.clients.len();
        want("client", &count.to_string(), "at most 4096", count <= MAX_CREDENTIALS)?;
        self.clients.iter().enumerate().map(credential).collect()
    }
}

/// The refusal of a model's place at a KBS.
pub(crate) fn no_resource(index: usize, text: &str) -> ConfigError {
    ConfigError::Value {
        field: format!("model[{index}].resource"),
        wanted: "repository/type/tag, each of letters, digits, '.', '-' and '_'".into(),
        found: format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn text() -> String {
        format!(
            "deployment = \"bank-prod\"\nlisten = \"127.0.0.1:0\"\nrelease = \"kbs\"\n\
             [broker]\nurl = \"http://127.0.0.1:1\"\n\
             [[model]]\nname = \"m\"\npath = \"m.sealed\"\npublisher = \"{KEY}\"\n\
             [[client]]\nid = \"a\"\nkey_sha256 = \"{}\"\ntenant = \"bank\"\n",
            "ab".repeat(32),
        )
    }

    #[test]
    fn a_kbs_has_no_key_and_clients_are_named_here() {
        let config = Config::from_toml(&text()).unwrap();
        assert_eq!(config.protocol(), Ok(ReleaseProtocol::Kbs(vec![None])));
        let credential = Credential { id: "a".into(), hash: [0xab; 32], tenant: "bank".into() };
        assert_eq!(config.credentials(), Ok(vec![credential]));
        let placed = text().replace("[[client]]", "resource = \"default/key/7\"\n[[client]]");
        let path = "default/key/7".parse().unwrap();
        assert_eq!(Config::from_toml(&placed).unwrap().protocol(), Ok(ReleaseProtocol::Kbs(vec![Some(path)])));
    }

    #[test]
    fn fields_of_the_other_protocol_are_refused_by_name() {
        let two = text() + "[[client]]\nid = \"b\"\nkey_sha256 = \"" + &"ab".repeat(32) + "\"\ntenant = \"bank\"\n";
        let broker = text().replace("release = \"kbs\"\n", "");
        let pinned = broker.replace("127.0.0.1:1\"\n", &format!("127.0.0.1:1\"\nkey = \"{KEY}\"\n"));
        for (text, reason) in [
            (text().replace("\"kbs\"", "\"other\""), "`release`: \"other\" given, \"strongroom\" or \"kbs\" wanted"),
            (text().replace("127.0.0.1:1\"\n", &format!("127.0.0.1:1\"\nkey = \"{KEY}\"\n")), "`broker.key`"),
            (text().split("[[client]]").next().unwrap().to_owned(), "`client`: none given, at least one"),
            (text().replace("[[client]]", "resource = \"a/../b\"\n[[client]]"), "`model[0].resource`"),
            (text().replace("id = \"a\"", "id = \"a b\""), "`client[0].id`"),
            (text().replace(&"ab".repeat(32), "ab"), "`client[0].key_sha256`"),
            (two, "`client[0]`: a given, an id and a key of its own wanted"),
            (pinned.clone(), "`client`: 1 given, none"),
            (broker, "`client`: 1 given, none"),
            (pinned.replace("[[client]]", "resource = \"a/b/c\"\n[[client]]"), "`model[0].resource`: a path given"),
        ] {
            let error = Config::from_toml(&text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error} for {reason}");
        }
    }

    #[test]
    fn a_broker_without_a_pinned_key_is_refused() {
        let text = text().replace("release = \"kbs\"\n", "");
        let text = text.split("[[client]]").next().unwrap();
        let error = Config::from_toml(text).unwrap_err().to_string();
        assert!(error.contains("`broker.key`: \"\" given, 64 hexadecimal digits wanted"), "{error}");
    }
}
