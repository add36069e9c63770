//! The development vendors that a system's tenant believes in, and the one machine of their
//! make that the tenant's policy names.

use strongroom_attestation::crypto::sha256;
use strongroom_runtime::{Config, SimulatedMachine};
use strongroom_simulated_platform::{
    AzurePlatform, PckCa, Product, SimulatedAmd, SimulatedAzure, SimulatedAzureVm, SimulatedDevice, SimulatedIntel,
    SimulatedTd, TdBody, VtpmKeys, launch_measurement,
};

use super::gpus::Gpus;

/// The image that the tenant approved.
const IMAGE: &[u8] = b"the approved image";
/// The secret of the one machine that the tenant's policy names.
const MACHINE: [u8; 32] = [1; 32];

/// Which kind of machine a system has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Platform {
    Snp,
    Tdx,
    AzureSnp,
    AzureTdx,
}

/// The vendors, as of one moment.
pub(crate) struct Vendors {
    platform: Platform,
    amd: Option<SimulatedAmd>,
    intel: Option<SimulatedIntel>,
    azure: Option<SimulatedAzure>,
    gpus: Option<Gpus>,
    now: u64,
}

impl Vendors {
    pub(crate) fn of(platform: Platform, now: u64) -> Self {
        let (amd, intel, azure) = match platform {
            Platform::Snp => (true, false, false),
            Platform::Tdx => (false, true, false),
            Platform::AzureSnp => (true, false, true),
            Platform::AzureTdx => (false, true, true),
        };
        Self {
            platform,
            amd: amd.then(|| SimulatedAmd::published(Product::Genoa, now).unwrap()),
            intel: intel.then(|| SimulatedIntel::published(now).unwrap()),
            azure: azure.then(|| SimulatedAzure::published(now).unwrap()),
            gpus: None,
            now,
        }
    }

    /// And GPUs beside the machine.
    pub(crate) fn with_gpus(mut self, count: u8) -> Self {
        self.gpus = (count > 0).then(|| Gpus::of(count, self.now));
        self
    }

    /// Those of the machine, if it has any.
    pub(crate) fn gpus(&self) -> Option<&Gpus> {
        self.gpus.as_ref()
    }

    /// What a verifier must trust, all of it together.
    pub(crate) fn roots(&self) -> Vec<Vec<u8>> {
        let amd = self.amd.iter().map(SimulatedAmd::root_certificate_der);
        let intel = self.intel.iter().map(SimulatedIntel::root_certificate_der);
        let azure = self.azure.iter().map(SimulatedAzure::root_certificate_der);
        let gpus = self.gpus.iter().flat_map(Gpus::roots);
        amd.chain(intel).chain(azure).chain(gpus).map(<[u8]>::to_vec).collect()
    }

    /// The machine, running the approved image with that configuration.
    pub(crate) fn machine(&self, config: &Config) -> SimulatedMachine {
        match self.platform {
            Platform::Snp => self.chip(config).into(),
            Platform::Tdx => self.td(config.digest()).into(),
            Platform::AzureSnp | Platform::AzureTdx => self.azure_vm(config).into(),
        }
    }

    /// The machine of an SNP system.
    pub(crate) fn chip(&self, config: &Config) -> SimulatedDevice {
        let amd = self.amd.as_ref().expect("a system on SNP");
        amd.device(MACHINE, launch_measurement(IMAGE), config.digest(), self.now).unwrap()
    }

    /// What the tenant's policy says of the machine, the table `attestation`.
    pub(crate) fn policy(&self, config: &Config) -> toml::Table {
        let text = match self.platform {
            Platform::Snp => {
                let machine = self.chip(config);
                format!(
                    "name = \"bank\"\nmeasurements = [\"{}\"]\nhost_data = [\"{}\"]\nplatform_identities = [\"{}\"]\n\
                     require_platform_identity = true\nrequire_revocation = true\n[snp]\nproducts = [\"Genoa\"]\n\
                     vmpl = [0]\n",
                    hex::encode(machine.measurement()),
                    hex::encode(machine.host_data()),
                    hex::encode(machine.chip_id()),
                )
            }
            Platform::Tdx => self.td(config.digest()).strict_policy(),
            Platform::AzureSnp | Platform::AzureTdx => self.azure_vm(config).strict_policy(),
        };
        toml::from_str(&(text + &self.gpus.as_ref().map(Gpus::policy).unwrap_or_default())).unwrap()
    }

    fn td(&self, configuration: [u8; 32]) -> SimulatedTd {
        let mut mr_config_id = [0; 48];
        mr_config_id[..32].copy_from_slice(&configuration);
        let body = TdBody { mr_td: launch_measurement(IMAGE), mr_config_id, ..TdBody::healthy() };
        let intel = self.intel.as_ref().expect("a system on TDX");
        intel.td(MACHINE, PckCa::Platform, body, self.now).unwrap()
    }

    /// Its hardware measures the paravisor; image and configuration are in the virtual TPM.
    fn azure_vm(&self, config: &Config) -> SimulatedAzureVm {
        let hardware: AzurePlatform = match &self.amd {
            Some(amd) => amd.device(MACHINE, launch_measurement(b"paravisor"), [0; 32], self.now).unwrap().into(),
            None => self.td([0; 32]).into(),
        };
        let azure = self.azure.as_ref().expect("a system under a paravisor");
        let vm = azure.vm(hardware, VtpmKeys::published().unwrap(), self.now).unwrap();
        vm.with_measured(11, sha256(&launch_measurement(IMAGE))).with_measured(12, config.digest())
    }
}
