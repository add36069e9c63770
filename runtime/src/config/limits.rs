//! How much each tenant may take, as configured: of everybody, and of some by name.

use serde::{Deserialize, Serialize};
use strongroom_enclave_loader::release::MAX_CREDENTIALS;

use super::{Config, ConfigError, is_name, want};
use crate::budgets::{Limit, Limits, Period, Unit};

/// The highest limit. It is above what any server computes in a day.
const LIMIT_MAX: u64 = 1_000_000_000_000;

/// Limits of a tenant, or of every tenant. What is absent has no limit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Whose, by the name that credentials have. Absent: of every tenant, for what its own limits do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Requests that are let in within 60 seconds, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Requests that are let in within 24 hours, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_day: Option<u64>,
    /// Tokens of prompts and answers of requests that are let in within 60 seconds, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// The same within 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
}

impl LimitsConfig {
    /// Field, value, and what is counted; the minute's before the day's.
    fn fields(&self) -> [(&'static str, Option<u64>, Unit, Period); 4] {
        [
            ("requests_per_minute", self.requests_per_minute, Unit::Requests, Period::Minute),
            ("requests_per_day", self.requests_per_day, Unit::Requests, Period::Day),
            ("tokens_per_minute", self.tokens_per_minute, Unit::Tokens, Period::Minute),
            ("tokens_per_day", self.tokens_per_day, Unit::Tokens, Period::Day),
        ]
    }

    /// With `usual` where these say nothing.
    fn or(&self, usual: Option<&Self>) -> Vec<Limit> {
        let usual = usual.map(Self::fields).into_iter().flatten().map(|(_, most, ..)| most);
        let both = self.fields().into_iter().zip(usual.chain(std::iter::repeat(None)));
        both.filter_map(|((_, own, unit, period), usual)| own.or(usual).map(|most| Limit { most, unit, period }))
            .collect()
    }
}

impl Config {
    /// What each tenant may take.
    ///
    /// # Errors
    /// When a limit is out of range, a tenant is named twice, or is one that nobody's credential has.
    pub(crate) fn budget_limits(&self) -> Result<Limits, ConfigError> {
        let count = self.limits.len();
        want("limits", &count.to_string(), "at most 4096", count <= MAX_CREDENTIALS)?;
        for (i, limits) in self.limits.iter().enumerate() {
            let field = |name: &str| format!("limits[{i}].{name}");
            let name = limits.tenant.as_deref();
            let shown = name.unwrap_or("none");
            let distinct = self.limits.iter().filter(|other| other.tenant == limits.tenant).count() == 1;
            want(&field("tenant"), shown, "a tenant of its own; one at most without", distinct)?;
            if let Some(name) = name {
                want(&field("tenant"), name, "1 to 128 visible ASCII characters", is_name(name))?;
                // A broker names its tenants later; a configuration with clients knows them all.
                let known = self.clients.is_empty() || self.clients.iter().any(|client| client.tenant == name);
                want(&field("tenant"), name, "the tenant of a client", known)?;
            }
            for (name, most, ..) in limits.fields() {
                let most = most.unwrap_or(1);
                want(&field(name), &most.to_string(), "1 to 1000000000000", (1..=LIMIT_MAX).contains(&most))?;
            }
        }
        let usual = self.limits.iter().find(|limits| limits.tenant.is_none());
        let own = self.limits.iter().filter_map(|limits| Some((limits.tenant.clone()?, limits.or(usual))));
        Ok(Limits { usual: usual.map(|limits| limits.or(None)).unwrap_or_default(), of: own.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn config(limits: &str) -> Result<Config, ConfigError> {
        Config::from_toml(&format!(
            "deployment = \"bank-prod\"\nlisten = \"127.0.0.1:0\"\n\
             [broker]\nurl = \"http://127.0.0.1:1\"\nkey = \"{KEY}\"\n\
             [[model]]\nname = \"m\"\npath = \"m.sealed\"\npublisher = \"{KEY}\"\n{limits}"
        ))
    }

    #[test]
    fn a_tenants_own_limits_stand_beside_the_usual_ones() {
        let text = "[[limits]]\nrequests_per_minute = 60\ntokens_per_day = 9\n\
                    [[limits]]\ntenant = \"batch\"\nrequests_per_minute = 600\ntokens_per_minute = 7\n";
        let limits = config(text).unwrap().budget_limits().unwrap();
        let limit = |most, unit, period| Limit { most, unit, period };
        let requests = |most| limit(most, Unit::Requests, Period::Minute);
        let day = limit(9, Unit::Tokens, Period::Day);
        assert_eq!(limits.usual, [requests(60), day]);
        assert_eq!(limits.of["batch"], [requests(600), limit(7, Unit::Tokens, Period::Minute), day]);
        assert_eq!((limits.largest(Unit::Requests), limits.largest(Unit::Tokens)), (600, 9));
    }

    #[test]
    fn without_limits_the_digest_is_what_it_was_and_with_them_another() {
        let plain = config("").unwrap();
        assert!(!serde_json::to_string(&plain).unwrap().contains("limits"));
        let limits = plain.budget_limits().unwrap();
        assert!(limits.usual.is_empty() && limits.of.is_empty());
        let limited = config("[[limits]]\ntokens_per_day = 9\n").unwrap();
        assert_ne!(plain.digest(), limited.digest());
    }

    #[test]
    fn limits_that_mean_nothing_are_refused_by_field() {
        for (limits, reason) in [
            ("[[limits]]\ntokens_per_day = 0\n", "`limits[0].tokens_per_day`: 0 given, 1 to 1000000000000 wanted"),
            ("[[limits]]\nrequests_per_day = 1000000000001\n", "`limits[0].requests_per_day`"),
            ("[[limits]]\n[[limits]]\n", "`limits[0].tenant`: none given, a tenant of its own"),
            ("[[limits]]\ntenant = \"a\"\n[[limits]]\ntenant = \"a\"\n", "`limits[0].tenant`: a given, a tenant"),
            ("[[limits]]\ntenant = \"a b\"\n", "`limits[0].tenant`: a b given, 1 to 128 visible"),
            ("[[limits]]\ntokens_per_hour = 1\n", "tokens_per_hour"),
        ] {
            let error = config(limits).unwrap_err().to_string();
            assert!(error.contains(reason), "{error} for {reason}");
        }
    }

    #[test]
    fn where_clients_are_configured_a_tenant_that_none_of_them_has_is_refused() {
        let text = |tenant: &str| {
            format!(
                "deployment = \"bank-prod\"\nlisten = \"127.0.0.1:0\"\nrelease = \"kbs\"\n\
                 [broker]\nurl = \"http://127.0.0.1:1\"\n\
                 [[model]]\nname = \"m\"\npath = \"m.sealed\"\npublisher = \"{KEY}\"\n\
                 [[client]]\nid = \"a\"\nkey_sha256 = \"{}\"\ntenant = \"bank\"\n\
                 [[limits]]\ntenant = \"{tenant}\"\ntokens_per_day = 9\n",
                "ab".repeat(32),
            )
        };
        assert!(Config::from_toml(&text("bank")).is_ok());
        let error = Config::from_toml(&text("bnak")).unwrap_err().to_string();
        assert!(error.contains("`limits[0].tenant`: bnak given, the tenant of a client wanted"), "{error}");
    }
}
