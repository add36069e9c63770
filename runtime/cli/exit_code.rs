//! What the process says to the shell. Stable: scripts depend on it.

use std::process::ExitCode;

/// Exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Accepted, or done.
    Done,
    /// A bug, or the system's fault: disk, network of this machine, a port in use.
    Failed,
    /// The command line or a configuration is wrong.
    Usage,
    /// A check refused, simulated evidence without the flag included.
    Refused,
    /// Input that is not what it should be.
    Malformed,
    /// A service did not answer; worth trying again.
    Unavailable,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Malformed => 4,
            Self::Unavailable => 5,
        }
    }

    /// The exit of a number that a library chose.
    pub(crate) fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::Refused,
            4 => Self::Malformed,
            5 => Self::Unavailable,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
