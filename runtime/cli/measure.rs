//! `strongroom measure`: what a guest's evidence will say was launched, computed before it is.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use strongroom_attestation::HexBytes;
use strongroom_attestation::measure::{
    KernelHashes, MeasureError, SnpLaunch, TdVmm, Vmm, firmware_digest, mrtd, vcpu_signature,
};

use crate::exit_code::Exit;
use crate::output::{Failure, Output};

#[derive(Subcommand)]
pub(crate) enum Measure {
    /// The launch digest of an AMD SEV-SNP guest: MEASUREMENT of its reports.
    Snp(Snp),
    /// The build measurement of an Intel TDX guest: MRTD of its quotes.
    Tdx(Tdx),
}

#[derive(Args)]
pub(crate) struct Snp {
    /// The firmware as the VMM loads it; with --ovmf-hash its last pages are enough.
    #[arg(long, value_name = "FILE")]
    ovmf: PathBuf,
    /// Believe this digest of the firmware's pages (`firmware_digest` of --json) and do not hash them.
    #[arg(long, value_name = "HEX", value_parser = digest)]
    ovmf_hash: Option<HexBytes<48>>,
    /// vCPUs that the VMM starts; 1 where the guest starts the others itself, as on GCE.
    #[arg(long, value_name = "N", default_value_t = 1)]
    vcpus: u32,
    /// QEMU's model of the vCPUs: EPYC-v4, EPYC-Rome, EPYC-Milan, EPYC-Genoa, EPYC-Turin, …
    #[arg(long, value_name = "MODEL", conflicts_with = "vcpu_sig")]
    vcpu_type: Option<String>,
    /// Their CPUID signature instead (Fn0000_0001 EAX), for example 0x800f12.
    #[arg(long, value_name = "HEX", value_parser = hex_u32)]
    vcpu_sig: Option<u32>,
    /// Who launches the guest.
    #[arg(long, value_enum, default_value = "qemu")]
    vmm: SnpVmm,
    /// SEV_FEATURES of the vCPUs; 0x21 on hosts that swap debug registers.
    #[arg(long, value_name = "HEX", value_parser = hex_u64, default_value = "0x1")]
    guest_features: u64,
    /// The kernel that the VMM loads (measured direct boot).
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Its initial file system.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,
    /// Its command line.
    #[arg(long, value_name = "TEXT", requires = "kernel")]
    append: Option<String>,
}

#[derive(Args)]
pub(crate) struct Tdx {
    /// The whole firmware (TDVF) as the VMM loads it.
    #[arg(long, value_name = "FILE")]
    firmware: PathBuf,
    /// Who builds the trust domain.
    #[arg(long, value_enum, default_value = "qemu")]
    vmm: TdxVmm,
}

#[derive(Clone, Copy, ValueEnum)]
enum SnpVmm {
    /// QEMU on Linux KVM.
    Qemu,
    /// Amazon EC2.
    Ec2,
    /// Google Compute Engine.
    Gce,
}

#[derive(Clone, Copy, ValueEnum)]
enum TdxVmm {
    /// QEMU from version 9 on, on KVM as in Linux 6.16: page by page.
    Qemu,
    /// QEMU 8 on the KVM that Intel distributed before: sections are added, then measured.
    QemuTwoPass,
    /// Google Compute Engine as its own verifier has it: without temporary memory.
    Gce,
}

pub(crate) fn run(command: Measure, output: Output) -> Result<Exit, Failure> {
    match command {
        Measure::Snp(arguments) => snp(&arguments, output),
        Measure::Tdx(arguments) => tdx(&arguments, output),
    }
}

fn snp(arguments: &Snp, output: Output) -> Result<Exit, Failure> {
    let vmm = vmm(arguments)?;
    let firmware = read(&arguments.ovmf)?;
    let kernel = arguments.kernel.as_deref().map(|kernel| hashes(kernel, arguments)).transpose()?;
    let pages = match arguments.ovmf_hash {
        Some(digest) => digest,
        None => firmware_digest(&firmware).map_err(|error| failure(&arguments.ovmf, &error))?,
    };
    let Snp { vcpus, guest_features, .. } = *arguments;
    let launch = SnpLaunch { firmware: &firmware, firmware_digest: Some(pages), vcpus, guest_features, kernel, vmm };
    let measurement = launch.digest().map_err(|error| failure(&arguments.ovmf, &error))?;

    let (guest_features, signature) = (format!("{guest_features:#x}"), signature(vmm));
    let value = json!({
        "platform": "snp", "measurement": measurement, "vmm": name(&arguments.vmm), "vcpus": vcpus,
        "vcpu_signature": signature, "guest_features": guest_features, "firmware_digest": pages,
        "kernel": kernel.map(|hashes| json!({
            "kernel_sha256": hex::encode(hashes.kernel), "initrd_sha256": hex::encode(hashes.initrd),
            "append": arguments.append.as_deref().unwrap_or_default(),
        })),
    });
    let of_signature = signature.map(|signature| format!(" with signature {signature}")).unwrap_or_default();
    output.note(format!(
        "launched by {}, vCPUs: {vcpus}{of_signature}, guest features {guest_features}",
        name(&arguments.vmm)
    ));
    output.note(if kernel.is_some() {
        "measured: the firmware; kernel, initial file system and command line by their hashes; the vCPUs"
    } else {
        "measured: the firmware and the vCPUs. Not measured: what the firmware loads; give --kernel if the VMM loads it"
    });
    output.result(&value, pasteable(measurement));
    Ok(Exit::Done)
}

fn tdx(arguments: &Tdx, output: Output) -> Result<Exit, Failure> {
    let vmm = match arguments.vmm {
        TdxVmm::Qemu => TdVmm::Qemu,
        TdxVmm::QemuTwoPass => TdVmm::QemuTwoPass,
        TdxVmm::Gce => TdVmm::Gce,
    };
    let firmware = read(&arguments.firmware)?;
    let measurement = mrtd(&firmware, vmm).map_err(|error| failure(&arguments.firmware, &error))?;
    let value = json!({
        "platform": "tdx", "measurement": measurement, "vmm": name(&arguments.vmm),
        "not_computed": ["RTMR0", "RTMR1", "RTMR2", "RTMR3"],
    });
    output.note(format!("built by {}. Computed: MRTD, which covers the firmware alone", name(&arguments.vmm)));
    output.note(
        "not computed: RTMR0 to RTMR3. They need the VMM's ACPI tables, the boot order and all that is booted: \
         replay the event log of a running guest with `strongroom verify` instead",
    );
    output.result(&value, pasteable(measurement));
    Ok(Exit::Done)
}

/// The VMM with what it measures of the vCPUs' model, which has to be said where it counts, and
/// must not be where it does not: no digest may rest on a guess.
fn vmm(arguments: &Snp) -> Result<Vmm, Failure> {
    let signature = match (&arguments.vcpu_type, arguments.vcpu_sig) {
        (Some(name), _) => Some(vcpu_signature(name).ok_or_else(|| {
            Failure::usage(format!(
                "`{name}` is none of QEMU's models with SEV-SNP; say EPYC-v4, EPYC-Rome, EPYC-Milan, EPYC-Genoa or \
                 EPYC-Turin, or the signature with --vcpu-sig (for `-cpu host` the host's own)"
            ))
        })?),
        (None, signature) => signature,
    };
    match (arguments.vmm, signature) {
        (SnpVmm::Qemu, Some(vcpu_signature)) => Ok(Vmm::Qemu { vcpu_signature }),
        (SnpVmm::Qemu, None) => {
            Err(Failure::usage("QEMU has the vCPUs' model measured: say --vcpu-type or --vcpu-sig"))
        }
        (SnpVmm::Ec2, None) => Ok(Vmm::Ec2),
        (SnpVmm::Gce, None) => Ok(Vmm::Gce),
        (SnpVmm::Ec2 | SnpVmm::Gce, Some(_)) => {
            let vmm = name(&arguments.vmm);
            Err(Failure::usage(format!(
                "{vmm} does not have the vCPUs' model measured: leave --vcpu-type and --vcpu-sig out"
            )))
        }
    }
}

fn signature(vmm: Vmm) -> Option<String> {
    match vmm {
        Vmm::Qemu { vcpu_signature } => Some(format!("{vcpu_signature:#x}")),
        _ => None,
    }
}

fn hashes(kernel: &Path, arguments: &Snp) -> Result<KernelHashes, Failure> {
    let kernel = read(kernel)?;
    let initrd = arguments.initrd.as_deref().map(read).transpose()?;
    Ok(KernelHashes::new(&kernel, initrd.as_deref(), arguments.append.as_deref().unwrap_or_default()))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::file(path, &error))
}

fn failure(firmware: &Path, error: &MeasureError) -> Failure {
    match error {
        MeasureError::Parameter { .. } => Failure::usage(error),
        _ => Failure::new(Exit::Malformed, error.code(), format!("{}: {error}", firmware.display())),
    }
}

/// The digest, and the line that a policy has it in.
fn pasteable(measurement: HexBytes<48>) -> String {
    format!("{measurement}\nmeasurements = [\"{measurement}\"]")
}

/// The VMM as it is typed.
fn name(vmm: &impl ValueEnum) -> String {
    vmm.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn digest(text: &str) -> Result<HexBytes<48>, String> {
    HexBytes::from_hex(text).ok_or_else(|| "96 hexadecimal digits are wanted".to_owned())
}

fn hex_u32(text: &str) -> Result<u32, String> {
    u32::try_from(hex_u64(text)?).map_err(|_| "at most 0xffffffff is wanted".to_owned())
}

fn hex_u64(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let hexadecimal = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_hexdigit());
    let number = hexadecimal.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    number.ok_or_else(|| "a hexadecimal number of at most 16 digits is wanted, such as 0x1".to_owned())
}
