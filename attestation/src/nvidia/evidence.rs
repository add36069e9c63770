//! What devices say about themselves, as bytes with limits. Nothing in here is believed yet.

use crate::error::{Code, Refusal};
use crate::nvidia::chip::Architecture;
use crate::nvidia::report::SpdmReport;
use crate::x509::Certificate;

/// Devices of one machine: eight GPUs and four switches, and as many again.
const MAX_DEVICES: usize = 24;

/// One device's report, and what came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub(crate) report: SpdmReport,
    /// From the report's key up; where it is absent, one among the endorsements is looked for.
    pub(crate) chain: Option<Vec<Certificate>>,
    /// What the sender says that it is.
    pub(crate) architecture: Option<Architecture>,
    /// The challenge that the sender says it is for.
    pub(crate) nonce: Option<[u8; 32]>,
}

impl Device {
    /// A report without its certificates.
    pub(crate) fn of_report(report: SpdmReport) -> Device {
        Device { report, chain: None, architecture: None, nonce: None }
    }

    /// The report.
    pub fn report(&self) -> &SpdmReport {
        &self.report
    }
}

/// Reports of the GPUs and switches of one machine: first the GPUs, each kind in the order given. One
/// report twice is kept twice, and refused later: a machine has each device once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceEvidence {
    devices: Vec<Device>,
}

impl DeviceEvidence {
    /// Adds one device. Refused with `PARSE` when there are more than a machine can have.
    pub(crate) fn push(&mut self, device: Device) -> Result<(), Refusal> {
        if self.devices.len() >= MAX_DEVICES {
            return Err(Refusal::new(Code::Parse, format!("more than {MAX_DEVICES} devices")));
        }
        // However the kinds were mixed, the numbers of devices are the same.
        let place =
            self.devices.partition_point(|known| known.report.opaque.is_switch <= device.report.opaque.is_switch);
        self.devices.insert(place, device);
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// The devices: first the GPUs.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }
}
