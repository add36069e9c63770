//! What a simulated machine measures: the image and the configuration that a real one would
//! have been launched with, in the place that each platform has for them.

use std::path::Path;

use strongroom_attestation::crypto::sha256;
use strongroom_runtime::SimulatedMachine;
use strongroom_simulated_platform::{SimulatedAzureVm, SimulatedDevice, SimulatedTd, SimulationError, TdBody};

/// The virtual TPM's registers for a unified kernel image and for its command line.
const IMAGE_REGISTER: usize = 11;
const CONFIGURATION_REGISTER: usize = 12;

/// What was launched.
pub(crate) struct Launched {
    /// The launch measurement of the image.
    pub(crate) image: [u8; 48],
    /// SHA-256 of the configuration.
    pub(crate) configuration: [u8; 32],
}

impl Launched {
    /// This, on the machine of that folder. `platform` is "snp", "tdx" or "azure".
    pub(crate) fn on(&self, platform: &str, directory: &Path) -> Result<SimulatedMachine, SimulationError> {
        Ok(match platform {
            "tdx" => self.on_td(SimulatedTd::from_directory(directory)?).into(),
            "azure" => self.on_azure(SimulatedAzureVm::from_directory(directory)?).into(),
            _ => self.on_snp(SimulatedDevice::from_directory(directory)?).into(),
        })
    }

    /// MEASUREMENT and HOST_DATA.
    pub(crate) fn on_snp(&self, device: SimulatedDevice) -> SimulatedDevice {
        device.with_measurement(self.image).with_host_data(self.configuration)
    }

    /// MRTD and MRCONFIGID, which is the digest and then zeros.
    pub(crate) fn on_td(&self, td: SimulatedTd) -> SimulatedTd {
        let mut mr_config_id = [0; 48];
        mr_config_id[..32].copy_from_slice(&self.configuration);
        let body = TdBody { mr_td: self.image, mr_config_id, ..td.body().clone() };
        td.with_body(body)
    }

    /// PCR 11 and 12: the hardware below measures the paravisor, not the guest.
    pub(crate) fn on_azure(&self, vm: SimulatedAzureVm) -> SimulatedAzureVm {
        vm.with_measured(IMAGE_REGISTER, sha256(&self.image)).with_measured(CONFIGURATION_REGISTER, self.configuration)
    }
}

#[cfg(test)]
mod tests {
    use strongroom_attestation::{Code, Examination, Policy, UnixTime, examine};
    use strongroom_channel::binding;
    use strongroom_runtime::{EvidenceSource as _, SimulatedSource};
    use strongroom_simulated_platform::{PckCa, Product, SimulatedAmd, SimulatedAzure, SimulatedIntel, VtpmKeys};

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const PREIMAGE: &[u8] = b"what the evidence is over";

    /// The code with which evidence of the machine in that folder, launched like this, is refused.
    fn code(launched: &Launched, platform: &str, directory: &Path, policy: &str, roots: &[Vec<u8>]) -> Option<Code> {
        let source = SimulatedSource::new(launched.on(platform, directory).unwrap());
        let collected = source.collect(PREIMAGE).unwrap();
        let (report_data, nonce) = (binding::report_data(PREIMAGE), binding::nonce(PREIMAGE));
        let direct = platform != "azure";
        let result = examine(&Examination {
            artefacts: &[vec![collected.report], collected.endorsements].concat(),
            report_data: direct.then_some(report_data),
            nonce: (!direct).then_some(nonce.as_slice()),
            policy: &Policy::from_toml(policy).unwrap(),
            now: UnixTime::from_secs(NOW),
            development_roots: roots,
            warn_within: 0,
        });
        assert!(result.simulated && result.bound, "{platform}");
        result.code
    }

    #[test]
    fn image_and_configuration_are_measured_on_every_platform() {
        let approved = Launched { image: [1; 48], configuration: [2; 32] };
        let (image, configuration) =
            (Launched { image: [9; 48], ..approved }, Launched { configuration: [9; 32], ..approved });
        let amd = SimulatedAmd::published(Product::Genoa, NOW).unwrap();
        let intel = SimulatedIntel::published(NOW).unwrap();
        let azure = SimulatedAzure::published(NOW).unwrap();
        let roots = [amd.root_certificate_der(), intel.root_certificate_der(), azure.root_certificate_der()];
        let roots = roots.map(<[u8]>::to_vec);
        let device = || amd.device([3; 32], [0; 48], [0; 32], NOW).unwrap();
        let td = || intel.td([3; 32], PckCa::Platform, TdBody::healthy(), NOW).unwrap();
        let vm = || azure.vm(td(), VtpmKeys::published().unwrap(), NOW).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let [of_device, of_td, of_vm] = ["snp", "tdx", "azure"].map(|name| folder.path().join(name));
        device().to_directory(&of_device).unwrap();
        td().to_directory(&of_td).unwrap();
        vm().to_directory(&of_vm).unwrap();
        for (platform, directory, policy, of_configuration) in [
            ("snp", &of_device, approved.on_snp(device()).strict_policy(), Code::HostData),
            ("tdx", &of_td, approved.on_td(td()).strict_policy(), Code::HostData),
            ("azure", &of_vm, approved.on_azure(vm()).strict_policy(), Code::Measurement),
        ] {
            let code = |launched| code(launched, platform, directory, &policy, &roots);
            assert_eq!(code(&approved), None, "{platform}");
            assert_eq!(code(&image), Some(Code::Measurement), "{platform}");
            assert_eq!(code(&configuration), Some(of_configuration), "{platform}");
        }
    }
}
