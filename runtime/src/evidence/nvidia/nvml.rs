//! The calls of NVIDIA's management library, made safe: the only file of this crate that
//! holds `unsafe`. It asks and judges nothing.
//!
//! The raw bindings, and not `nvml-wrapper` over them: that cuts its buffers at whatever
//! size the driver names, which panics when it is too large, reads text without looking
//! for its end, and cannot ask for the environment alone.
//!
//! The library is code of the measured image and runs in this process, so it is trusted
//! to keep to its interface: to write no more than a structure, or a stated length, has
//! room for. What it writes there is checked.

#![expect(unsafe_code, reason = "NVML is a C library; what it is given here it can only fill")]

use std::ffi::CStr;
use std::path::Path;
use std::ptr;

use nvml_wrapper_sys::bindings::{
    NvmlLib, nvmlConfComputeGpuAttestationReport_t, nvmlConfComputeGpuCertificate_t, nvmlConfComputeSystemState_t,
    nvmlDevice_t, nvmlPciInfo_t, nvmlSystemConfComputeSettings_t,
};

use super::error::{CallFailure, GpuError};
use super::pci::Address;

/// The driver has no such thing for this device in its present mode.
pub(super) const NOT_SUPPORTED: u32 = 3;
/// The driver is older than the library.
const FUNCTION_NOT_FOUND: u32 = 13;
/// The driver does not know this version of a structure.
const VERSION_MISMATCH: u32 = 25;
/// What product names and UUIDs have room for.
const TEXT_MAX: u32 = 96;

/// The library, loaded and initialised. NVIDIA lets every call be made from any thread.
pub(super) struct Nvml {
    lib: NvmlLib,
}

/// A device, while the library is loaded.
pub(super) struct Device<'a> {
    lib: &'a NvmlLib,
    handle: nvmlDevice_t,
}

/// What the driver says of confidential mode, in NVML's numbers.
pub(super) struct State {
    pub(super) environment: u32,
    pub(super) feature: u32,
    pub(super) developer_tools: u32,
}

impl Nvml {
    /// Loads the library: by path, or, for a bare name, as the dynamic linker finds it.
    pub(super) fn load(path: &Path) -> Result<Self, GpuError> {
        // SAFETY: loading runs the library's own start-up code, which is the driver's, of the measured image.
        let lib = unsafe { NvmlLib::new(path) };
        let lib = lib.map_err(|error| GpuError::Library { path: path.to_owned(), reason: error.to_string() })?;
        let init = symbol("nvmlInit_v2", &lib.nvmlInit_v2)?;
        // SAFETY: it takes nothing and may be called first.
        done("nvmlInit_v2", unsafe { init() })?;
        Ok(Self { lib })
    }

    /// How many GPUs the driver has, those included that it would not let this process use.
    pub(super) fn count(&self) -> Result<u32, CallFailure> {
        let call = symbol("nvmlDeviceGetCount_v2", &self.lib.nvmlDeviceGetCount_v2)?;
        let mut count = 0;
        // SAFETY: it fills one number, which outlives the call.
        done("nvmlDeviceGetCount_v2", unsafe { call(&mut count) })?;
        Ok(count)
    }

    /// The device with this number, below [`count`](Self::count).
    pub(super) fn device(&self, index: u32) -> Result<Device<'_>, CallFailure> {
        let call = symbol("nvmlDeviceGetHandleByIndex_v2", &self.lib.nvmlDeviceGetHandleByIndex_v2)?;
        let mut handle = ptr::null_mut();
        // SAFETY: it fills one pointer, which outlives the call and is not followed on this side.
        done("nvmlDeviceGetHandleByIndex_v2", unsafe { call(index, &mut handle) })?;
        Ok(Device { lib: &self.lib, handle })
    }

    /// Confidential mode, of the machine as a whole.
    pub(super) fn state(&self) -> Result<State, CallFailure> {
        let call = symbol("nvmlSystemGetConfComputeState", &self.lib.nvmlSystemGetConfComputeState)?;
        let mut state = nvmlConfComputeSystemState_t { environment: 0, ccFeature: 0, devToolsMode: 0 };
        // SAFETY: it fills the structure, which outlives the call.
        done("nvmlSystemGetConfComputeState", unsafe { call(&mut state) })?;
        Ok(State { environment: state.environment, feature: state.ccFeature, developer_tools: state.devToolsMode })
    }

    /// How several GPUs protect what goes between them; `None` where the driver is too old to know.
    pub(super) fn multi_gpu_mode(&self) -> Result<Option<u32>, CallFailure> {
        let Ok(call) = &self.lib.nvmlSystemGetConfComputeSettings else { return Ok(None) };
        let mut settings = nvmlSystemConfComputeSettings_t {
            // NVML's mark of a structure: its size, and its version in the highest byte.
            version: u32::try_from(size_of::<nvmlSystemConfComputeSettings_t>()).unwrap_or(0) | 1 << 24,
            environment: 0,
            ccFeature: 0,
            devToolsMode: 0,
            multiGpuMode: 0,
        };
        // SAFETY: it fills the structure, whose size it is told and which outlives the call.
        match unsafe { call(&mut settings) } {
            NOT_SUPPORTED | FUNCTION_NOT_FOUND | VERSION_MISMATCH => Ok(None),
            code => done("nvmlSystemGetConfComputeSettings", code).map(|()| Some(settings.multiGpuMode)),
        }
    }

    /// Whether the GPUs are open for work. Anything but a plain yes is no.
    pub(super) fn ready(&self) -> Result<bool, CallFailure> {
        const CALL: &str = "nvmlSystemGetConfComputeGpusReadyState";
        let call = symbol(CALL, &self.lib.nvmlSystemGetConfComputeGpusReadyState)?;
        let mut accepting = 0;
        // SAFETY: it fills one number, which outlives the call.
        done(CALL, unsafe { call(&mut accepting) })?;
        Ok(accepting == 1)
    }

    /// Opens the GPUs for work, or closes them.
    pub(super) fn set_ready(&self, ready: bool) -> Result<(), CallFailure> {
        const CALL: &str = "nvmlSystemSetConfComputeGpusReadyState";
        let call = symbol(CALL, &self.lib.nvmlSystemSetConfComputeGpusReadyState)?;
        // SAFETY: it takes a number.
        done(CALL, unsafe { call(u32::from(ready)) })
    }
}

impl Drop for Nvml {
    fn drop(&mut self) {
        if let Ok(shutdown) = &self.lib.nvmlShutdown {
            // SAFETY: it ends what `load` began, once; devices borrow the library and are gone.
            let _ = unsafe { shutdown() };
        }
    }
}

impl Device<'_> {
    /// The product's name.
    pub(super) fn name(&self) -> Result<String, CallFailure> {
        let call = symbol("nvmlDeviceGetName", &self.lib.nvmlDeviceGetName)?;
        let mut buffer = [0_u8; TEXT_MAX as usize];
        // SAFETY: the handle is the library's, and it fills at most the length it is told.
        done("nvmlDeviceGetName", unsafe { call(self.handle, buffer.as_mut_ptr().cast(), TEXT_MAX) })?;
        text("product name", &buffer)
    }

    /// The driver's lasting name for it.
    pub(super) fn uuid(&self) -> Result<String, CallFailure> {
        let call = symbol("nvmlDeviceGetUUID", &self.lib.nvmlDeviceGetUUID)?;
        let mut buffer = [0_u8; TEXT_MAX as usize];
        // SAFETY: the handle is the library's, and it fills at most the length it is told.
        done("nvmlDeviceGetUUID", unsafe { call(self.handle, buffer.as_mut_ptr().cast(), TEXT_MAX) })?;
        text("UUID", &buffer)
    }

    /// Where it is on the PCI bus; the driver does not count functions.
    pub(super) fn address(&self) -> Result<Address, CallFailure> {
        let call = symbol("nvmlDeviceGetPciInfo_v3", &self.lib.nvmlDeviceGetPciInfo_v3)?;
        let mut info = nvmlPciInfo_t {
            busIdLegacy: [0; 16],
            domain: 0,
            bus: 0,
            device: 0,
            pciDeviceId: 0,
            pciSubSystemId: 0,
            busId: [0; 32],
        };
        // SAFETY: the handle is the library's, and it fills the structure, which outlives the call.
        done("nvmlDeviceGetPciInfo_v3", unsafe { call(self.handle, &mut info) })?;
        Ok(Address { domain: info.domain, bus: info.bus, device: info.device, function: 0 })
    }

    /// The family, in NVML's numbers.
    pub(super) fn architecture(&self) -> Result<u32, CallFailure> {
        let call = symbol("nvmlDeviceGetArchitecture", &self.lib.nvmlDeviceGetArchitecture)?;
        let mut architecture = 0;
        // SAFETY: the handle is the library's, and it fills one number, which outlives the call.
        done("nvmlDeviceGetArchitecture", unsafe { call(self.handle, &mut architecture) })?;
        Ok(architecture)
    }

    /// Its certificates as text, up to the first NUL.
    pub(super) fn certificate_chain(&self) -> Result<Vec<u8>, CallFailure> {
        const CALL: &str = "nvmlDeviceGetConfComputeGpuCertificate";
        const WHAT: &str = "certificate chain";
        let call = symbol(CALL, &self.lib.nvmlDeviceGetConfComputeGpuCertificate)?;
        let mut answer = nvmlConfComputeGpuCertificate_t {
            certChainSize: 0,
            attestationCertChainSize: 0,
            certChain: [0; 4096],
            attestationCertChain: [0; 5120],
        };
        // SAFETY: the handle is the library's, and it fills the structure, which outlives the call.
        done(CALL, unsafe { call(self.handle, &mut answer) })?;
        let chain = sized(WHAT, &answer.attestationCertChain, answer.attestationCertChainSize)?;
        // The size may count a NUL at the end, or the whole buffer.
        let chain = chain.split(|byte| *byte == 0).next().unwrap_or_default();
        let most = answer.attestationCertChain.len();
        if chain.is_empty() { Err(CallFailure::Size { what: WHAT, size: 0, most }) } else { Ok(chain.to_vec()) }
    }

    /// Its report for `nonce`.
    pub(super) fn report(&self, nonce: &[u8; 32]) -> Result<Vec<u8>, CallFailure> {
        const CALL: &str = "nvmlDeviceGetConfComputeGpuAttestationReport";
        let call = symbol(CALL, &self.lib.nvmlDeviceGetConfComputeGpuAttestationReport)?;
        let mut answer = nvmlConfComputeGpuAttestationReport_t {
            isCecAttestationReportPresent: 0,
            attestationReportSize: 0,
            cecAttestationReportSize: 0,
            nonce: *nonce,
            attestationReport: [0; 8192],
            cecAttestationReport: [0; 4096],
        };
        // SAFETY: the handle is the library's, and it fills the structure, which outlives the call.
        done(CALL, unsafe { call(self.handle, &mut answer) })?;
        sized("report", &answer.attestationReport, answer.attestationReportSize).map(<[u8]>::to_vec)
    }
}

/// A function that the library has, or its name.
fn symbol<F: Copy, E>(call: &'static str, found: &Result<F, E>) -> Result<F, CallFailure> {
    found.as_ref().copied().map_err(|_| CallFailure::Missing { call })
}

fn done(call: &'static str, code: u32) -> Result<(), CallFailure> {
    if code == 0 { Ok(()) } else { Err(CallFailure::Code { call, code }) }
}

/// The filled part of a buffer, by the driver's word, which is checked.
fn sized<'a>(what: &'static str, buffer: &'a [u8], size: u32) -> Result<&'a [u8], CallFailure> {
    let filled = usize::try_from(size).ok().and_then(|size| buffer.get(..size)).filter(|filled| !filled.is_empty());
    filled.ok_or(CallFailure::Size { what, size, most: buffer.len() })
}

/// Text that ends inside its buffer and can be shown to a person.
fn text(what: &'static str, buffer: &[u8]) -> Result<String, CallFailure> {
    let text = CStr::from_bytes_until_nul(buffer).ok().and_then(|text| text.to_str().ok());
    let shown = text.filter(|text| !text.is_empty() && !text.contains(char::is_control));
    shown.map(str::to_owned).ok_or(CallFailure::Text { what })
}
