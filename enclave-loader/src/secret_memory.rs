//! Keeping the process's memory to itself: no core dumps, no debugger, no swap.
//!
//! Plaintext weights lie in many places of a process that serves them, so the protection
//! is one of the process, not of a buffer (decision 9 of docs/architecture.md).

use serde::Serialize;

/// What the operating system granted. `None` means that it could not be asked or does not
/// have the mechanism, which a strict caller treats as refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProtectionReport {
    /// Whether other processes of the user may read this one's memory or attach to it.
    pub dumpable: Option<bool>,
    /// The largest core file in bytes that may be written.
    pub core_limit: Option<u64>,
    /// Whether the system has swap space in use.
    pub swap: Option<bool>,
}

impl ProtectionReport {
    /// Whether memory stays in memory: not dumpable, no core, no swap.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.dumpable == Some(false) && self.core_limit == Some(0) && self.swap == Some(false)
    }
}

/// Protects this process as far as the system allows, and reports what holds afterwards.
///
/// The process as a whole is not locked: docs/decisions/0004 says why. Swap must be off instead, and the
/// engine locks the weights by themselves.
#[cfg(target_os = "linux")]
#[must_use]
pub fn protect_process() -> ProtectionReport {
    use rustix::process::{DumpableBehavior, Resource, Rlimit};
    use rustix::process::{dumpable_behavior, getrlimit, set_dumpable_behavior, setrlimit};

    // What was refused shows in the report, which asks again.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });

    // Weights are locked where the limit allows it (docs/decisions/0004): as far as this process may raise it.
    let lock = getrlimit(Resource::Memlock);
    let _ = setrlimit(Resource::Memlock, Rlimit { current: lock.maximum, maximum: lock.maximum });

    let swap = std::fs::read_to_string("/proc/swaps").ok().map(|swaps| has_swap(&swaps));
    ProtectionReport {
        dumpable: dumpable_behavior().ok().map(|behavior| behavior != DumpableBehavior::NotDumpable),
        core_limit: Some(getrlimit(Resource::Core).current.unwrap_or(u64::MAX)),
        swap,
    }
}

/// Nothing is known to hold on this system.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn protect_process() -> ProtectionReport {
    ProtectionReport { dumpable: None, core_limit: None, swap: None }
}

/// Whether the text of /proc/swaps names any swap space below its heading.
#[cfg(target_os = "linux")]
fn has_swap(swaps: &str) -> bool {
    swaps.lines().skip(1).any(|line| !line.trim().is_empty())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_made_undumpable_without_core() {
        let report = protect_process();
        assert_eq!((report.dumpable, report.core_limit), (Some(false), Some(0)));
        assert_eq!(protect_process(), report, "asking twice changes nothing");
    }

    #[test]
    fn reads_the_systems_list_of_swap_space() {
        let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(!has_swap(heading));
        assert!(has_swap(&format!("{heading}/dev/dm-1 partition 1048572 0 -2\n")));
    }

    #[test]
    fn what_is_not_known_is_not_complete() {
        let known = ProtectionReport { dumpable: Some(false), core_limit: Some(0), swap: Some(false) };
        assert!(known.is_complete());
        for incomplete in [
            ProtectionReport { swap: None, ..known.clone() },
            ProtectionReport { swap: Some(true), ..known.clone() },
            ProtectionReport { dumpable: None, ..known.clone() },
            ProtectionReport { dumpable: Some(true), ..known.clone() },
            ProtectionReport { core_limit: Some(1), ..known.clone() },
            ProtectionReport { core_limit: None, ..known.clone() },
        ] {
            assert!(!incomplete.is_complete(), "{incomplete:?}");
        }
    }
}
