//! What each tenant may take of the server: requests and tokens, in any minute and any day (architecture.md,
//! decision 17; protocol.md, threat 15). A tenant is the one that the API key stands for, never one that a
//! request names. No tenant's account is looked at for another's request.
//!
//! ```text
//! request ─► reserve: prompt and all that the answers may have ─► engine ─► settle: what it was
//!               └─► refused, and nothing is taken
//! ```

mod account;
#[cfg(test)]
mod tests;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use account::{Limit, Refusal, Standing, Unit};
pub(crate) use window::Period;

use self::account::{Account, Taken};
use crate::clock::InstanceClock;

/// The limits of everybody, by tenant.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Of a tenant that has none of its own.
    pub(crate) usual: Vec<Limit>,
    /// Of the others. The limits of a minute come before those of a day.
    pub(crate) of: HashMap<String, Vec<Limit>>,
}

impl Limits {
    fn of(&self, tenant: &str) -> &[Limit] {
        self.of.get(tenant).unwrap_or(&self.usual)
    }

    /// The largest limit of a unit that any tenant has.
    pub(crate) fn largest(&self, unit: Unit) -> u64 {
        let all = self.of.values().chain([&self.usual]).flatten();
        all.filter(|limit| limit.unit == unit).map(|limit| limit.most).max().unwrap_or(0)
    }
}

/// The accounts of all tenants. Clones share them.
#[derive(Clone)]
pub(crate) struct Budgets(Arc<Shared>);

struct Shared {
    limits: Limits,
    clock: InstanceClock,
    accounts: Mutex<HashMap<Arc<str>, SharedAccount>>,
}

type SharedAccount = Arc<Mutex<Account>>;

impl Budgets {
    /// Nothing was taken yet.
    pub(crate) fn new(limits: Limits, clock: InstanceClock) -> Self {
        Self(Arc::new(Shared { limits, clock, accounts: Mutex::default() }))
    }

    /// The limits.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Lets in a request of `tenant` that may take so many tokens.
    pub(crate) fn reserve(&self, tenant: &Arc<str>, tokens: u64) -> Result<Reservation, Refusal> {
        let Some(account) = self.account(tenant) else { return Ok(Reservation(None)) };
        let taken = lock(&account).reserve(tokens, self.0.clock.monotonic())?;
        Ok(Reservation(Some(Open { account, taken, used: None })))
    }

    /// How each limit of `tenant` stands.
    pub(crate) fn standings(&self, tenant: &Arc<str>) -> Vec<Standing> {
        let Some(account) = self.account(tenant) else { return Vec::new() };
        lock(&account).standings(self.0.clock.monotonic())
    }

    /// The account of a tenant; a tenant without limits has none. A new one makes room for itself, so that
    /// there are no more than tenants that asked for something within a day.
    fn account(&self, tenant: &Arc<str>) -> Option<SharedAccount> {
        let limits = self.0.limits.of(tenant);
        if limits.is_empty() {
            return None;
        }
        let mut accounts = lock(&self.0.accounts);
        if let Some(account) = accounts.get(tenant) {
            return Some(account.clone());
        }
        let now = self.0.clock.monotonic();
        accounts.retain(|_, account| Arc::strong_count(account) > 1 || !lock(account).is_idle(now));
        let account = SharedAccount::new(Mutex::new(Account::new(limits)));
        accounts.insert(tenant.clone(), account.clone());
        Some(account)
    }
}

/// What a request was let in for. When it is dropped, what was not used is given back.
#[must_use = "what is not held is given back"]
pub(crate) struct Reservation(Option<Open>);

struct Open {
    account: SharedAccount,
    taken: Taken,
    used: Option<u64>,
}

impl Reservation {
    /// The request is under way, and has used so many tokens. Without a call of this it used nothing.
    pub(crate) fn used(&mut self, tokens: u64) {
        if let Some(open) = &mut self.0 {
            open.used = Some(tokens);
        }
    }

    /// It was not taken on after all.
    pub(crate) fn not_used(&mut self) {
        if let Some(open) = &mut self.0 {
            open.used = None;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.account).settle(self.taken, self.used);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
