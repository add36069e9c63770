//! Machines with imagined GPUs: a PCI bus in a folder, and beside it a copy of the imitated
//! library, which has its own state and reads its own `control`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::super::{GpuError, Inventory, NvmlSource};

/// What a real H100 said once (tests/vectors/nvidia/SOURCES.md).
pub(super) const REPORT: &[u8] = include_bytes!("../../../../../tests/vectors/nvidia/001-h100/report.bin");
pub(super) const CHAIN: &[u8] = include_bytes!("../../../../../tests/vectors/nvidia/001-h100/chain.pem");

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/evidence/nvidia/fake_nvml.c");

/// One machine; gone with this value.
pub(super) struct Machine {
    folder: TempDir,
}

impl Machine {
    /// A machine with `gpus` on its bus, which the driver has too unless `control` says another
    /// count; `None`, and the reason printed, where there is no C compiler.
    pub(super) fn with(gpus: usize, control: &[&str]) -> Option<Self> {
        let library = library()?;
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(machine.library(), library).unwrap();
        fs::write(machine.path("report.bin"), REPORT).unwrap();
        fs::write(machine.path("chain.pem"), CHAIN).unwrap();
        fs::create_dir(machine.bus()).unwrap();
        for gpu in 0..gpus {
            machine.add(&format!("0000:{:02x}:00.0", 0x41 + gpu), "0x030200");
        }
        let count = format!("count {gpus}");
        machine.control(&[&[count.as_str()], control].concat());
        Some(machine)
    }

    /// Another NVIDIA function on the bus.
    pub(super) fn add(&self, address: &str, class: &str) {
        let folder = self.bus().join(address);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("vendor"), "0x10de\n").unwrap();
        fs::write(folder.join("class"), format!("{class}\n")).unwrap();
    }

    /// From now on the library does this; what is not named is as usual, with one GPU.
    pub(super) fn control(&self, lines: &[&str]) {
        fs::write(self.path("control"), lines.join("\n")).unwrap();
    }

    /// Its GPUs, which are fit.
    pub(super) fn source(&self) -> NvmlSource {
        NvmlSource::detect_at(&self.library(), &self.bus()).unwrap().unwrap()
    }

    /// Why they are not. A look without a change must say the same.
    pub(super) fn refusal(&self) -> GpuError {
        let error = NvmlSource::detect_at(&self.library(), &self.bus()).err().expect("the machine is fit");
        let looked = NvmlSource::inspect_at(&self.library(), &self.bus());
        assert!(matches!(error, GpuError::ReadyState { .. }) || looked == Err(error.clone()), "{looked:?}");
        error
    }

    pub(super) fn inspect(&self) -> Inventory {
        NvmlSource::inspect_at(&self.library(), &self.bus()).unwrap().unwrap()
    }

    pub(super) fn bus(&self) -> PathBuf {
        self.path("devices")
    }

    fn library(&self) -> PathBuf {
        self.path("libnvidia-ml.so.1")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The library's bytes, compiled once.
fn library() -> Option<&'static [u8]> {
    static LIBRARY: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    LIBRARY.get_or_init(compile).as_deref()
}

fn compile() -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("fake.so");
    let flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"];
    let built = Command::new("cc").args(flags).arg(&library).args([Path::new(SOURCE), Path::new("-ldl")]).output();
    match built {
        Ok(out) => assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr)),
        Err(error) => {
            println!("skipped: no C compiler for the imitated NVIDIA library ({error})");
            return None;
        }
    }
    Some(fs::read(library).unwrap())
}
