//! The lines of devices, and how each is spelled in its places.

/// A line of NVIDIA devices that attest in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NvidiaArchitecture {
    /// GPUs with GH100, as H100 and H200.
    Hopper,
    /// GPUs with GB100, as B200.
    Blackwell,
    /// The NVSwitch of Hopper boards.
    Ls10,
}

impl NvidiaArchitecture {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Hopper, Self::Blackwell, Self::Ls10];

    /// As lists of evidence spell it: `HOPPER`, `BLACKWELL` or `LS10`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hopper => "HOPPER",
            Self::Blackwell => "BLACKWELL",
            Self::Ls10 => "LS10",
        }
    }

    /// As manifests spell it: `GH100`, `GB100` or `LS10`.
    #[must_use]
    pub fn product(self) -> &'static str {
        match self {
            Self::Hopper => "GH100",
            Self::Blackwell => "GB100",
            Self::Ls10 => "LS10",
        }
    }

    /// As certificates of devices spell it.
    pub(crate) fn chip(self) -> &'static str {
        match self {
            Self::Hopper => "GH100",
            Self::Blackwell => "GB100",
            Self::Ls10 => "LS_10",
        }
    }

    /// What begins the names of a device's own certificates: chip, stepping and processor.
    pub(crate) fn device_name(self) -> String {
        let processor = if self.is_switch() { "FSP" } else { "GSP" };
        format!("{} A01 {processor}", self.chip())
    }

    /// Whose identity authority issues to its provisioning: LS10 has none of its own.
    pub(crate) fn identity(self) -> Self {
        match self {
            Self::Hopper | Self::Ls10 => Self::Hopper,
            Self::Blackwell => Self::Blackwell,
        }
    }

    /// Another line whose identity authority is another, for the fault that mixes two.
    pub(crate) fn of_another_identity(self) -> Self {
        match self {
            Self::Hopper | Self::Ls10 => Self::Blackwell,
            Self::Blackwell => Self::Hopper,
        }
    }

    pub(crate) fn is_switch(self) -> bool {
        self == Self::Ls10
    }

    /// What stands before the device's PDI in the serial number of its BROM certificate.
    pub(crate) fn serial_prefix(self) -> u8 {
        if self.is_switch() { 0x50 } else { 0x41 }
    }
}
