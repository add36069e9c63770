//! The GPUs of a simulated machine: the tenant's policy names these and no others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom_runtime::{Config, DeviceReport, Devices, GpuError, GpuSource, SimulatedGpus};
use strongroom_simulated_platform::{GpuTopology, SimulatedGpuSet, SimulatedNvidia};

/// The secret of the devices that the tenant's policy names.
const OURS: [u8; 32] = [2; 32];
/// That of devices that are somebody else's.
const THEIRS: [u8; 32] = [3; 32];

/// GPUs and switches of one vendor.
pub(crate) struct Gpus {
    vendor: SimulatedNvidia,
    topology: GpuTopology,
    now: u64,
}

impl Gpus {
    /// So many; eight are a board with four switches.
    pub(crate) fn of(count: u8, now: u64) -> Self {
        let topology = if count == 8 { GpuTopology::ProtectedPcie } else { GpuTopology::Hopper(count) };
        Self { vendor: SimulatedNvidia::published(now).unwrap(), topology, now }
    }

    /// What a verifier must trust.
    pub(crate) fn roots(&self) -> [&[u8]; 2] {
        [self.vendor.device_root_certificate_der(), self.vendor.manifest_root_certificate_der()]
    }

    /// What the tenant's policy says of them.
    pub(crate) fn policy(&self) -> String {
        self.set(OURS, self.topology).requirements()
    }

    /// What the server's configuration says of them.
    pub(crate) fn configuration(&self) -> String {
        let set = self.set(OURS, self.topology);
        let (gpus, switches) = (set.gpus().len(), set.switches().len());
        format!("[gpus]\ncount = {gpus}\nswitches = {switches}\nrequire_manifests = true\n")
    }

    /// What their vendor says about the devices that the policy names, and about somebody else's.
    pub(crate) fn endorsements(&self) -> Vec<Vec<u8>> {
        let of = |secret| SimulatedGpus::new(self.set(secret, self.topology)).endorsements().unwrap();
        let (ours, theirs) = (of(OURS), of(THEIRS));
        [ours, theirs].concat()
    }

    /// The devices that the policy names.
    pub(crate) fn devices(&self, config: &Config) -> Devices {
        self.behind(config, OURS, self.topology)
    }

    /// As many of the same vendor's, which are somebody else's.
    pub(crate) fn foreign(&self, config: &Config) -> Devices {
        self.behind(config, THEIRS, self.topology)
    }

    /// The same, but one of them is missing.
    pub(crate) fn one_missing(&self, config: &Config) -> Devices {
        let count = u8::try_from(self.set(OURS, self.topology).gpus().len()).unwrap();
        self.behind(config, OURS, GpuTopology::Hopper(count - 1))
    }

    /// The devices that the policy names, which answer once and are then gone.
    pub(crate) fn gone_after_boot(&self, config: &Config) -> Devices {
        let gpus = SimulatedGpus::new(self.set(OURS, self.topology));
        let endorsements = gpus.endorsements().unwrap();
        self.speaking(config, Arc::new(Once { gpus, gone: AtomicBool::new(false) }), endorsements)
    }

    fn behind(&self, config: &Config, secret: [u8; 32], topology: GpuTopology) -> Devices {
        let gpus = SimulatedGpus::new(self.set(secret, topology));
        let endorsements = gpus.endorsements().unwrap();
        self.speaking(config, Arc::new(gpus), endorsements)
    }

    fn speaking(&self, config: &Config, source: Arc<dyn GpuSource>, endorsements: Vec<Vec<u8>>) -> Devices {
        let roots = SimulatedGpus::roots(&self.vendor).unwrap();
        Devices::simulated(source, config.gpus.as_ref().unwrap(), endorsements, roots)
    }

    fn set(&self, secret: [u8; 32], topology: GpuTopology) -> SimulatedGpuSet {
        self.vendor.gpu_set(secret, topology, self.now).unwrap()
    }
}

/// Devices that answer once.
struct Once {
    gpus: SimulatedGpus,
    gone: AtomicBool,
}

impl GpuSource for Once {
    fn collect(&self, nonce: &[u8; 32]) -> Result<Vec<DeviceReport>, GpuError> {
        match self.gone.swap(true, Ordering::SeqCst) {
            false => self.gpus.collect(nonce),
            true => Err(GpuError::NoGpu { devices: 0 }),
        }
    }

    fn set_ready(&self, ready: bool) -> Result<(), GpuError> {
        self.gpus.set_ready(ready)
    }
}
