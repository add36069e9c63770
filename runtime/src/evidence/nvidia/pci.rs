//! What the PCI bus has of NVIDIA's. The kernel's word, not the driver's: a GPU that the
//! driver leaves out would else go unnoticed.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::error::GpuError;

/// NVIDIA.
const VENDOR: u32 = 0x10de;
/// Base class and subclass of the functions that NVIDIA's driver takes for GPUs: VGA and 3D
/// controllers.
const GPUS: [u32; 2] = [0x0300, 0x0302];
/// Bridges that are no PCI bridge: NVSwitches.
const SWITCHES: u32 = 0x0680;

/// Where a function is: domain, bus, device, function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Root of the tree, which a VM may have more than one of.
    pub domain: u32,
    /// Bus.
    pub bus: u32,
    /// Slot on the bus.
    pub device: u32,
    /// Function in the slot.
    pub function: u32,
}

/// NVIDIA's functions, each list sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Functions {
    pub(super) gpus: Vec<Address>,
    pub(super) switches: Vec<Address>,
    /// Sound, USB and the like.
    pub(super) others: Vec<Address>,
}

/// Reads the kernel's folder of PCI functions.
pub(super) fn scan(devices: &Path) -> Result<Functions, GpuError> {
    let failed =
        |path: &Path, reason: &dyn ToString| GpuError::Pci { path: path.to_owned(), reason: reason.to_string() };
    let mut functions = Functions::default();
    let entries = match fs::read_dir(devices) {
        Ok(entries) => entries,
        // Folders of buses, and none of this one: the kernel found no PCI.
        Err(error) if error.kind() == ErrorKind::NotFound && devices.ancestors().nth(2).is_some_and(Path::is_dir) => {
            return Ok(functions);
        }
        Err(error) => return Err(failed(devices, &error)),
    };
    for entry in entries {
        let folder = entry.map_err(|error| failed(devices, &error))?.path();
        let number = |file: &str| {
            let path = folder.join(file);
            let text = fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
            let digits = text.trim().strip_prefix("0x").and_then(hexadecimal);
            digits.ok_or_else(|| failed(&path, &"no hexadecimal number"))
        };
        if number("vendor")? != VENDOR {
            continue;
        }
        let name = folder.file_name().and_then(|name| name.to_str()).and_then(Address::parse);
        let address = name.ok_or_else(|| failed(&folder, &"no PCI address"))?;
        // The lowest byte is the programming interface.
        let list = match number("class")? >> 8 {
            class if GPUS.contains(&class) => &mut functions.gpus,
            SWITCHES => &mut functions.switches,
            _ => &mut functions.others,
        };
        list.push(address);
    }
    functions.gpus.sort_unstable();
    functions.switches.sort_unstable();
    functions.others.sort_unstable();
    Ok(functions)
}

impl Functions {
    pub(super) fn len(&self) -> usize {
        self.gpus.len() + self.switches.len() + self.others.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        let (place, function) = text.rsplit_once('.')?;
        let mut parts = place.split(':').map(hexadecimal);
        let address = Self {
            domain: parts.next()??,
            bus: parts.next()??,
            device: parts.next()??,
            function: hexadecimal(function)?,
        };
        parts.next().is_none().then_some(address)
    }

    /// Whether both are in one slot, which is as far as the driver's word goes.
    pub(super) fn same_slot(&self, other: &Self) -> bool {
        (self.domain, self.bus, self.device) == (other.domain, other.bus, other.device)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, bus, device, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

fn hexadecimal(digits: &str) -> Option<u32> {
    // The number's own parser takes a sign.
    let only_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    only_digits.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_told_apart_by_vendor_and_class() {
        let bus = tempfile::tempdir().unwrap();
        let function = |address: &str, vendor: &str, class: &str| {
            let folder = bus.path().join(address);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("vendor"), vendor).unwrap();
            fs::write(folder.join("class"), class).unwrap();
        };
        function("0001:41:00.0", "0x10de\n", "0x030200\n");
        function("0000:01:00.0", "0x10de\n", "0x030000\n");
        function("0000:01:00.1", "0x10de\n", "0x040300\n");
        function("10000:05:1f.0", "0x10de\n", "0x068000\n");
        function("0000:02:00.0", "0x1002\n", "0x030000\n");
        let found = scan(bus.path()).unwrap();
        let names = |list: &[Address]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&found.gpus), ["0000:01:00.0", "0001:41:00.0"]);
        assert_eq!(names(&found.switches), ["10000:05:1f.0"]);
        assert_eq!(names(&found.others), ["0000:01:00.1"]);
        assert_eq!((found.len(), found.is_empty()), (4, false));
    }

    #[test]
    fn what_cannot_be_read_is_not_nothing() {
        let bus = tempfile::tempdir().unwrap();
        assert!(scan(bus.path()).unwrap().is_empty());
        let folder = bus.path().join("0000:01:00.0");
        fs::create_dir(&folder).unwrap();
        assert!(matches!(scan(bus.path()), Err(GpuError::Pci { .. })), "no vendor");
        fs::write(folder.join("vendor"), "0x10de\n").unwrap();
        assert!(matches!(scan(bus.path()), Err(GpuError::Pci { .. })), "no class");
        fs::write(folder.join("class"), "0x+30200\n").unwrap();
        assert!(matches!(scan(bus.path()), Err(GpuError::Pci { .. })), "a class that is no number");
    }

    #[test]
    fn a_kernel_without_pci_has_no_gpus_and_a_missing_sysfs_says_nothing() {
        let sys = tempfile::tempdir().unwrap();
        let devices = sys.path().join("bus/pci/devices");
        assert!(matches!(scan(&devices), Err(GpuError::Pci { .. })));
        fs::create_dir(sys.path().join("bus")).unwrap();
        assert_eq!(scan(&devices).unwrap(), Functions::default());
    }

    #[test]
    fn addresses_are_read_whole() {
        for wrong in ["", "01:00.0", "0000:01:00", "0:0000:01:00.0", "0000:01:00.x", "0000:+1:00.0", "0000:01::.0"] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }
}
