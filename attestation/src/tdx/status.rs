//! Intel's verdicts on a platform's firmware, and how those on its parts come together (Intel SGX and
//! TDX DCAP Quote Verification Library, "TCB status").

use std::fmt;

use serde::{Deserialize, Serialize};

/// What Intel says of a TCB level. The order is from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TcbStatus {
    /// Nothing is known to be wrong.
    UpToDate,
    /// Software must mitigate something.
    SWHardeningNeeded,
    /// The platform's configuration may expose it.
    ConfigurationNeeded,
    /// Both of these.
    ConfigurationAndSWHardeningNeeded,
    /// TD 1.5: the TDX module is good now and was out of date when it launched the TD.
    TDRelaunchAdvised,
    /// The same, and the configuration may expose the platform.
    TDRelaunchAdvisedConfigurationNeeded,
    /// Firmware is out of date.
    OutOfDate,
    /// The same, and the configuration may expose the platform.
    OutOfDateConfigurationNeeded,
    /// No level that Intel publishes is as low as this platform.
    NotSupported,
    /// The platform's keys are compromised.
    Revoked,
}

impl TcbStatus {
    /// The statuses that are neither Intel's refusal nor the lack of an answer.
    pub const NOT_REFUSED_BY_INTEL: [TcbStatus; 6] = [
        TcbStatus::UpToDate,
        TcbStatus::SWHardeningNeeded,
        TcbStatus::ConfigurationNeeded,
        TcbStatus::ConfigurationAndSWHardeningNeeded,
        TcbStatus::TDRelaunchAdvised,
        TcbStatus::TDRelaunchAdvisedConfigurationNeeded,
    ];

    /// The platform's status with that of its quoting enclave or TDX module. Intel's library lets a
    /// part that is out of date or revoked change it; here one that needs configuration does too.
    #[must_use]
    pub(crate) fn with_part(self, part: TcbStatus) -> TcbStatus {
        use TcbStatus::{
            ConfigurationAndSWHardeningNeeded, ConfigurationNeeded, NotSupported, OutOfDate,
            OutOfDateConfigurationNeeded, Revoked, SWHardeningNeeded, UpToDate,
        };
        let either = |wanted: &[TcbStatus]| wanted.contains(&self) || wanted.contains(&part);
        let configuration =
            either(&[ConfigurationNeeded, ConfigurationAndSWHardeningNeeded, OutOfDateConfigurationNeeded]);
        match (self, part) {
            _ if either(&[Revoked]) => Revoked,
            _ if either(&[NotSupported]) => NotSupported,
            _ if either(&[OutOfDate, OutOfDateConfigurationNeeded]) && configuration => OutOfDateConfigurationNeeded,
            _ if either(&[OutOfDate]) => OutOfDate,
            (UpToDate, ConfigurationNeeded) => ConfigurationNeeded,
            (SWHardeningNeeded, ConfigurationNeeded) => ConfigurationAndSWHardeningNeeded,
            (platform, _) => platform,
        }
    }

    /// A TD 1.5's status at launch (`self`) with the status that its module has now.
    #[must_use]
    pub(crate) fn relaunch(self, current: TcbStatus) -> TcbStatus {
        use TcbStatus::{
            ConfigurationAndSWHardeningNeeded, ConfigurationNeeded, OutOfDate, OutOfDateConfigurationNeeded,
            SWHardeningNeeded, TDRelaunchAdvised, TDRelaunchAdvisedConfigurationNeeded, UpToDate,
        };
        match (self, current) {
            (OutOfDate, UpToDate | SWHardeningNeeded) => TDRelaunchAdvised,
            (OutOfDate, ConfigurationNeeded | ConfigurationAndSWHardeningNeeded)
            | (
                OutOfDateConfigurationNeeded,
                UpToDate | SWHardeningNeeded | ConfigurationNeeded | ConfigurationAndSWHardeningNeeded,
            ) => TDRelaunchAdvisedConfigurationNeeded,
            // A module that got worse counts as it is now.
            _ => self.max(current),
        }
    }
}

impl fmt::Display for TcbStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::TcbStatus::{self, *};

    #[test]
    fn an_outdated_part_makes_the_platform_outdated() {
        for (platform, part, merged) in [
            (UpToDate, UpToDate, UpToDate),
            (UpToDate, OutOfDate, OutOfDate),
            (SWHardeningNeeded, OutOfDate, OutOfDate),
            (ConfigurationNeeded, OutOfDate, OutOfDateConfigurationNeeded),
            (ConfigurationAndSWHardeningNeeded, OutOfDate, OutOfDateConfigurationNeeded),
            (OutOfDate, OutOfDate, OutOfDate),
            (OutOfDateConfigurationNeeded, OutOfDate, OutOfDateConfigurationNeeded),
            (OutOfDateConfigurationNeeded, UpToDate, OutOfDateConfigurationNeeded),
            (UpToDate, OutOfDateConfigurationNeeded, OutOfDateConfigurationNeeded),
            (SWHardeningNeeded, UpToDate, SWHardeningNeeded),
            (UpToDate, ConfigurationNeeded, ConfigurationNeeded),
            (SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded),
            (OutOfDate, ConfigurationNeeded, OutOfDateConfigurationNeeded),
            (UpToDate, NotSupported, NotSupported),
            (NotSupported, UpToDate, NotSupported),
            (NotSupported, Revoked, Revoked),
            (Revoked, UpToDate, Revoked),
        ] {
            assert_eq!(platform.with_part(part), merged, "{platform} with {part}");
        }
    }

    #[test]
    fn a_relaunch_helps_only_where_the_module_is_good_now() {
        for (launch, current, merged) in [
            (OutOfDate, UpToDate, TDRelaunchAdvised),
            (OutOfDate, SWHardeningNeeded, TDRelaunchAdvised),
            (OutOfDate, ConfigurationNeeded, TDRelaunchAdvisedConfigurationNeeded),
            (OutOfDateConfigurationNeeded, UpToDate, TDRelaunchAdvisedConfigurationNeeded),
            (OutOfDateConfigurationNeeded, ConfigurationNeeded, TDRelaunchAdvisedConfigurationNeeded),
            (OutOfDate, OutOfDate, OutOfDate),
            (OutOfDate, NotSupported, NotSupported),
            (UpToDate, UpToDate, UpToDate),
            (UpToDate, OutOfDate, OutOfDate),
            (UpToDate, Revoked, Revoked),
            (Revoked, UpToDate, Revoked),
        ] {
            assert_eq!(launch.relaunch(current), merged, "{launch} then {current}");
        }
    }

    #[test]
    fn no_part_ever_makes_a_platform_better() {
        let all = [
            UpToDate,
            SWHardeningNeeded,
            ConfigurationNeeded,
            ConfigurationAndSWHardeningNeeded,
            OutOfDate,
            OutOfDateConfigurationNeeded,
            NotSupported,
            Revoked,
        ];
        for platform in all {
            for part in all {
                assert!(platform.with_part(part) >= platform, "{platform} with {part}");
            }
        }
        assert!(!TcbStatus::NOT_REFUSED_BY_INTEL.iter().any(|status| *status >= OutOfDate));
    }
}
