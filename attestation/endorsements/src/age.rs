//! How old an item may be: when it is fetched again, and until when it may be served where that fails.

use std::time::Duration;

use strongroom_attestation::UnixTime;

use crate::item::Item;
use crate::source::Settings;
use crate::want::Want;

/// How long an item is kept that was old already when the vendor gave it: a vendor that is late is not asked by each call.
const LATE_FOR: Duration = Duration::from_secs(10 * 60);
/// A fetch this far ahead of the clock tells that the clock was set back: the item's age is then unknown.
const CLOCK_TOLERANCE_SECS: u64 = 5 * 60;

/// Whether `item` should be fetched again.
pub(crate) fn is_due(settings: &Settings, item: &Item, now: UnixTime) -> bool {
    let refresh = match item.want {
        Want::AmdVcek(_) | Want::AmdChain { .. } => settings.refresh_certificates,
        // One name can be given to another document later.
        Want::NvidiaManifest { .. } => settings.refresh_manifests.min(settings.refresh_certificates),
        _ => settings.refresh_lists,
    };
    let age = now.saturating_secs_since(item.fetched_at);
    let from_the_future = item.fetched_at > now.saturating_add_secs(CLOCK_TOLERANCE_SECS);
    let past = due_at(item).is_some_and(|due| {
        let was_late = due <= item.fetched_at;
        due <= now && !(was_late && age < LATE_FOR.as_secs())
    });
    from_the_future || past || age >= refresh.as_secs()
}

/// Whether `item` may be served when it cannot be fetched again.
pub(crate) fn may_be_served(settings: &Settings, item: &Item, now: UnixTime) -> bool {
    match (&item.want, item.description.expires) {
        (Want::NvidiaStatus { .. }, _) => has_not_ended(settings, item, now),
        (_, Some(expires)) => now < expires.saturating_add_secs(settings.past_expiry.as_secs()),
        (_, None) => now.saturating_secs_since(item.fetched_at) <= settings.longest_age.as_secs(),
    }
}

/// Whether `item`, which a service has just given, may be taken. Other items are the vendor's word, ended or not; what was
/// the status of a certificate once is no word about now, and whoever replays it may know why.
pub(crate) fn may_be_taken(settings: &Settings, item: &Item, now: UnixTime) -> bool {
    !matches!(item.want, Want::NvidiaStatus { .. }) || has_not_ended(settings, item, now)
}

fn has_not_ended(settings: &Settings, item: &Item, now: UnixTime) -> bool {
    item.description.expires.is_some_and(|expires| settings.as_of.unwrap_or(now) < expires)
}

/// When an item is due by its own dates: when it ends, and a status at half of its time, so that there is one for as
/// long again when the responder is down.
fn due_at(item: &Item) -> Option<UnixTime> {
    let (issued, expires) = (item.description.issued, item.description.expires?);
    match item.want {
        Want::NvidiaStatus { .. } => Some(issued.saturating_add_secs(expires.saturating_secs_since(issued) / 2)),
        _ => Some(expires),
    }
}
