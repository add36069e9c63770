//! `docs/faults.md` is the catalogue, and nothing but the catalogue.
//!
//! `UPDATE_GOLDEN=1` writes the page anew; what changed is then read in the diff.

use std::{fs, path::Path};

use strongroom_simulated_platform::{AzureFault, AzureHardware, Fault, GpuTopology, NvidiaFault, TdxFault};

/// The variable that makes the test write the page instead of comparing it.
const UPDATE: &str = "UPDATE_GOLDEN";

#[test]
fn the_page_of_faults_is_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/faults.md");
    let wanted = page();
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, wanted).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let first = wanted.lines().zip(found.lines()).position(|(wanted, found)| wanted != found);
    assert!(
        wanted == found,
        "docs/faults.md is not the catalogue (from line {} on); write it anew with {UPDATE}=1 cargo test \
         -p strongroom-simulated-platform --test documentation, and read the diff",
        first.unwrap_or_else(|| wanted.lines().count().min(found.lines().count())) + 1
    );
}

struct Row {
    name: &'static str,
    code: &'static str,
    needs_vendor: bool,
    description: String,
}

fn page() -> String {
    let snp = Fault::ALL.iter().map(|fault| Row {
        name: fault.name(),
        code: fault.expected_code(),
        needs_vendor: fault.needs_vendor(),
        description: fault.description().to_owned(),
    });
    let tdx = TdxFault::ALL.iter().map(|fault| Row {
        name: fault.name(),
        code: fault.expected_code(),
        needs_vendor: fault.needs_vendor(),
        description: fault.description().to_owned(),
    });
    let azure = AzureFault::ALL.iter().map(|fault| Row {
        name: fault.name(),
        code: fault.expected_code(),
        needs_vendor: fault.needs_vendor(),
        description: format!("{}{}", fault.description(), only_on(*fault)),
    });
    let nvidia = NvidiaFault::ALL.iter().map(|fault| Row {
        name: fault.name(),
        code: fault.expected_code(),
        needs_vendor: fault.needs_vendor(),
        description: format!("{}{}", fault.description(), only_in(*fault)),
    });
    let tables = [
        table("AMD SEV-SNP", "snp", snp.collect()),
        table("Intel TDX", "tdx", tdx.collect()),
        table("Azure's virtual TPM", "azure", azure.collect()),
        table("NVIDIA GPUs and switches", "nvidia", nvidia.collect()),
    ];
    format!("{INTRODUCTION}{}", tables.concat())
}

const INTRODUCTION: &str = "# Faults

Every way in which the simulated platforms can be told to be wrong. Each breaks sound evidence in one way, and a
verifier must refuse it with the code beside it, which is the first failure in the order of the checks
([specs/evidence.md](specs/evidence.md)). The policy is the strict one of the unbroken machine; the development vendor's
roots are the only anchors. Some are a device's own doing; the others take the keys of the vendor, who signs certificates,
revocation lists and collateral.

This page is written from the catalogue in `attestation/simulated-platform`. Each fault has a vector of
its name in `tests/vectors/simulated-snp`, `simulated-tdx`, `simulated-azure` or `simulated-nvidia`.
";

fn table(title: &str, set: &str, rows: Vec<Row>) -> String {
    let mut text = format!(
        "\n## {title}\n\n{} faults; vectors in `tests/vectors/simulated-{set}`.\n\n\
         | fault | code | made by | what is wrong |\n|---|---|---|---|\n",
        rows.len()
    );
    for Row { name, code, needs_vendor, description } in rows {
        let maker = if needs_vendor { "vendor" } else { "device" };
        text += &format!("| `{name}` | `{code}` | {maker} | {description} |\n");
    }
    text
}

fn only_on(fault: AzureFault) -> &'static str {
    match [AzureHardware::Snp, AzureHardware::Tdx].map(|hardware| fault.is_possible_on(hardware)) {
        [true, false] => " Only over SEV-SNP.",
        [false, true] => " Only over TDX.",
        _ => "",
    }
}

fn only_in(fault: NvidiaFault) -> &'static str {
    let possible = [GpuTopology::Hopper(1), GpuTopology::MultiGpu, GpuTopology::ProtectedPcie];
    match possible.map(|topology| fault.is_possible_on(topology)) {
        [false, false, true] => " Only in protected PCIe.",
        [false, true, true] => " Only of several GPUs.",
        [false, true, false] => " Only of Blackwell.",
        _ => "",
    }
}
