//! Accounts on a simulated clock, and what holds whatever a tenant does.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;

use super::account::Account;
use super::*;
use crate::clock::Clock;

fn limit(most: u64, unit: Unit, period: Period) -> Limit {
    Limit { most, unit, period }
}

fn requests(most: u64) -> Limit {
    limit(most, Unit::Requests, Period::Minute)
}

fn tokens(most: u64) -> Limit {
    limit(most, Unit::Tokens, Period::Minute)
}

fn tokens_a_day(most: u64) -> Limit {
    limit(most, Unit::Tokens, Period::Day)
}

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn left(account: &mut Account, now: Duration) -> Vec<u64> {
    account.standings(now).iter().map(|standing| standing.left).collect()
}

#[test]
fn a_request_is_told_when_to_come_back_and_is_let_in_then_and_not_before() {
    let limit = tokens(100);
    let mut account = Account::new(&[limit]);
    account.reserve(60, at(500)).unwrap();
    account.reserve(30, at(10_000)).unwrap();
    let refused = |wait| Refusal::Reached { limit, left: 10, asked: 11, wait };
    // What was taken at 0.5 s counts to 61 s: its second, and a minute more.
    assert_eq!(account.reserve(11, at(10_001)).unwrap_err(), refused(51));
    assert_eq!(account.reserve(11, at(60_999)).unwrap_err(), refused(1));
    account.reserve(11, at(61_000)).unwrap();
    // All that must leave first is waited for.
    let all = Refusal::Reached { limit, left: 59, asked: 100, wait: 61 };
    assert_eq!(account.reserve(100, at(61_000)).unwrap_err(), all);
    assert_eq!(account.standings(at(61_000)), [Standing { limit, left: 59, whole_in: 61 }]);
    assert!(account.reserve(100, at(122_000)).is_ok());
}

#[test]
fn what_the_limit_could_never_allow_is_not_put_off() {
    let limit = tokens(100);
    let mut account = Account::new(&[requests(1), limit]);
    assert_eq!(account.reserve(101, at(0)).unwrap_err(), Refusal::Never { limit, asked: 101 });
    assert!(account.reserve(100, at(0)).is_ok(), "nothing was taken by the one that was refused");
}

#[test]
fn the_limit_that_is_in_the_way_for_the_longest_is_named_and_others_are_not_touched() {
    let (minute, day) = (requests(2), tokens_a_day(50));
    let mut account = Account::new(&[minute, day]);
    account.reserve(45, at(0)).unwrap();
    let refused = Refusal::Reached { limit: day, left: 5, asked: 6, wait: 87_000 };
    assert_eq!(account.reserve(6, at(0)).unwrap_err(), refused);
    assert_eq!(left(&mut account, at(0)), [1, 5]);
    account.reserve(5, at(1000)).unwrap();
    let refused = Refusal::Reached { limit: day, left: 0, asked: 1, wait: 86_999 };
    assert_eq!(account.reserve(1, at(1000)).unwrap_err(), refused);
}

#[test]
fn what_was_not_used_is_given_back() {
    let mut account = Account::new(&[requests(3), tokens(100)]);
    let first = account.reserve(40, at(0)).unwrap();
    let second = account.reserve(60, at(1)).unwrap();
    assert_eq!(left(&mut account, at(2)), [1, 0]);
    account.settle(first, Some(25));
    assert_eq!(left(&mut account, at(3)), [1, 15]);
    account.settle(second, None);
    assert_eq!(left(&mut account, at(4)), [2, 75], "nor does it count as a request");
    // Long after, there is nothing to give back any more.
    let late = account.reserve(50, at(5)).unwrap();
    account.reserve(20, at(70_000)).unwrap();
    account.settle(late, Some(0));
    assert_eq!(left(&mut account, at(70_001)), [2, 80]);
}

#[test]
fn a_clock_that_was_read_earlier_sets_nothing_back() {
    let mut account = Account::new(&[tokens(100)]);
    account.reserve(100, at(5000)).unwrap();
    assert_eq!(
        account.reserve(1, at(4000)).unwrap_err(),
        Refusal::Reached { limit: tokens(100), left: 0, asked: 1, wait: 61 }
    );
}

struct Simulated(Mutex<Duration>);

impl Clock for Simulated {
    fn guest_time(&self) -> u64 {
        0
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

fn budgets(usual: Vec<Limit>, own: Option<(&str, Vec<Limit>)>) -> (Budgets, Arc<Simulated>) {
    let clock = Arc::new(Simulated(Mutex::default()));
    let of = own.into_iter().map(|(name, limits)| (name.to_owned(), limits)).collect();
    (Budgets::new(Limits { usual, of }, InstanceClock::on(clock.clone())), clock)
}

#[test]
fn a_tenant_neither_pays_for_others_nor_sees_them() {
    let (budgets, _) = budgets(vec![tokens(10)], Some(("batch", vec![tokens(1000)])));
    let (bank, hospital, batch) = ("bank".into(), "hospital".into(), "batch".into());
    let held = budgets.reserve(&bank, 10);
    assert!(held.is_ok() && budgets.reserve(&bank, 1).is_err());
    let all = |limit: Limit| vec![Standing { limit, left: limit.most, whole_in: 0 }];
    assert_eq!(budgets.standings(&hospital), all(tokens(10)));
    assert_eq!(budgets.standings(&batch), all(tokens(1000)));
    assert!(budgets.reserve(&hospital, 10).is_ok() && budgets.reserve(&batch, 1000).is_ok());
}

#[test]
fn a_reservation_that_is_dropped_gives_back_what_it_was_not_told_of() {
    let (budgets, _) = budgets(vec![requests(2), tokens(100)], None);
    let bank = "bank".into();
    let left = || -> Vec<u64> { budgets.standings(&bank).iter().map(|standing| standing.left).collect() };
    drop(budgets.reserve(&bank, 100));
    assert_eq!(left(), [2, 100]);
    let mut reservation = budgets.reserve(&bank, 100).ok().unwrap();
    reservation.used(7);
    assert_eq!(left(), [1, 0], "until its end");
    drop(reservation);
    assert_eq!(left(), [1, 93]);
    let mut reservation = budgets.reserve(&bank, 90).ok().unwrap();
    reservation.used(90);
    reservation.not_used();
    drop(reservation);
    assert_eq!(left(), [1, 93]);
}

#[test]
fn who_asked_for_nothing_in_a_day_is_forgotten() {
    let (budgets, clock) = budgets(vec![tokens_a_day(100)], None);
    let known = || lock(&budgets.0.accounts).len();
    let open = budgets.reserve(&"open".into(), 1).ok();
    for number in 0..100 {
        let mut reservation = budgets.reserve(&format!("tenant-{number}").into(), 1).ok().unwrap();
        reservation.used(1);
    }
    assert_eq!(known(), 101);
    *clock.0.lock().unwrap() = Duration::from_secs(87_000);
    budgets.standings(&"new".into());
    assert_eq!(known(), 2, "but for one whose request is not over");
    drop(open);
}

#[test]
fn without_limits_nothing_is_kept() {
    let (budgets, _) = budgets(Vec::new(), None);
    assert!(budgets.reserve(&"bank".into(), u64::MAX).is_ok() && budgets.standings(&"bank".into()).is_empty());
    assert_eq!(lock(&budgets.0.accounts).len(), 0);
}

/// What a tenant does next: after so many milliseconds it asks for so many tokens, and in the end uses a share
/// of them, or is not taken on.
fn steps() -> impl Strategy<Value = Vec<(u64, u64, Option<u64>)>> {
    let pause = prop_oneof![0..50u64, 0..5_000u64, 0..90_000u64, 0..40_000_000u64];
    prop::collection::vec((pause, 1..60u64, prop::option::of(0..=100u64)), 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Reserved or used, in no span of a minute or a day is more let in than the limit; a refusal's wait is as
    /// long as it must be and no longer; what is settled counts as what was used; and memory stays small.
    #[test]
    fn no_span_holds_more_than_the_limit(steps in steps(), settled_late in 0..4usize) {
        let limits = [requests(5), tokens(100), tokens_a_day(700)];
        let mut account = Account::new(&limits);
        let mut now = Duration::from_secs(12_345);
        // When each was let in, and what of requests and tokens counts at that time.
        let mut let_in: Vec<(Duration, u64, u64)> = Vec::new();
        let mut open = VecDeque::new();
        for (pause, asked, share) in steps {
            now += at(pause);
            match account.reserve(asked, now) {
                Ok(taken) => {
                    open.push_back((let_in.len(), taken, share.map(|share| asked * share / 100)));
                    let_in.push((now, 1, asked));
                }
                Err(Refusal::Never { .. }) => prop_assert!(false, "no limit is below what is asked for"),
                Err(Refusal::Reached { wait, .. }) => {
                    prop_assert!(wait > 0);
                    let mut later = account.clone();
                    prop_assert!(later.reserve(asked, now + Duration::from_secs(wait - 1)).is_err(), "{wait}");
                    prop_assert!(later.reserve(asked, now + Duration::from_secs(wait)).is_ok(), "{wait}");
                }
            }
            for (limit, span) in [(limits[0], 60), (limits[1], 60), (limits[2], 86_400)] {
                let within = let_in.iter().filter(|(at, ..)| now - *at < Duration::from_secs(span));
                let sum: u64 = within.map(|it| if limit.unit == Unit::Requests { it.1 } else { it.2 }).sum();
                prop_assert!(sum <= limit.most, "{sum} of {limit:?} at {now:?}");
            }
            if open.len() > settled_late {
                let (index, taken, used) = open.pop_front().unwrap();
                account.settle(taken, used);
                let_in[index] = (let_in[index].0, u64::from(used.is_some()), used.unwrap_or(0));
            }
            prop_assert!(account.kept() <= 145);
        }
        while let Some((index, taken, used)) = open.pop_front() {
            account.settle(taken, used);
            let_in[index] = (let_in[index].0, u64::from(used.is_some()), used.unwrap_or(0));
        }
        // What is left is what the limit leaves of what was used, to the slot.
        let standings = account.standings(now);
        for (standing, span, slot) in [(standings[0], 60, 1), (standings[1], 60, 1), (standings[2], 86_400, 600)] {
            let counts = |at: Duration| (at.as_secs() / slot + 1) * slot + span > now.as_secs();
            let within = let_in.iter().filter(|(at, ..)| counts(*at));
            let sum: u64 = within.map(|it| if standing.limit.unit == Unit::Requests { it.1 } else { it.2 }).sum();
            prop_assert_eq!(standing.left, standing.limit.most - sum);
        }
    }
}
