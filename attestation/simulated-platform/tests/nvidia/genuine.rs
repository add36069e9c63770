//! Captured evidence, beside the topology whose simulated evidence is like it.

use strongroom_simulated_platform::GpuTopology;

/// One device.
pub(crate) struct Genuine {
    pub(crate) topology: GpuTopology,
    /// Which device of a set is like it.
    pub(crate) device: usize,
    pub(crate) report: &'static [u8],
    /// PEM.
    pub(crate) chain: &'static str,
}

macro_rules! device {
    ($topology:expr, $device:literal, $name:literal) => {
        Genuine {
            topology: $topology,
            device: $device,
            report: include_bytes!(concat!($name, "report.bin")),
            chain: include_str!(concat!($name, "chain.pem")),
        }
    };
}

pub(crate) const DEVICES: [Genuine; 4] = [
    device!(GpuTopology::Hopper(1), 0, "../../../../tests/vectors/nvidia/005-h100-single-pass-through/"),
    device!(GpuTopology::MultiGpu, 0, "../genuine-nvidia/multi-gpu."),
    device!(GpuTopology::ProtectedPcie, 0, "../genuine-nvidia/protected-pcie."),
    device!(GpuTopology::ProtectedPcie, 8, "../genuine-nvidia/switch."),
];

/// Of a driver, a VBIOS and a switch.
pub(crate) const MANIFESTS: [(GpuTopology, usize, &str); 3] = [
    (
        GpuTopology::ProtectedPcie,
        0,
        include_str!("../../../../tests/vectors/nvidia-manifests/NV_GPU_DRIVER_GH100_550.90.07.xml"),
    ),
    (
        GpuTopology::ProtectedPcie,
        1,
        include_str!("../../../../tests/vectors/nvidia-manifests/NV_GPU_VBIOS_1010_0200_882_96009F0001.xml"),
    ),
    (
        GpuTopology::ProtectedPcie,
        2,
        include_str!(
            "../../../../tests/vectors/nvidia-manifests/NV_SWITCH_BIOS_5612_0002_890_9610550001.signed2026.xml"
        ),
    ),
];

/// About a boot ROM's certificate, and about that of a manifest's signer.
pub(crate) const OCSP_OF_BROM: &[u8] = include_bytes!("../../../../tests/vectors/nvidia-ocsp/device_l4_brom.ocsp.der");
pub(crate) const OCSP_OF_SIGNER: &[u8] =
    include_bytes!("../../../../tests/vectors/nvidia-ocsp/driver_rim_l4_signer.ocsp.der");
