//! Writes `tests/vectors/simulated-snp`, `-tdx`, `-azure` and `-nvidia` anew: every accepted variant and
//! every fault of the catalogue, signed with the published development keys at a fixed clock.
//!
//! RSASSA-PSS and ECDSA are randomised, so each run changes the bytes; the expected codes
//! stay. Run it when the catalogue changes, for the platforms that it changed for:
//! `cargo run -p strongroom-simulated-platform --example write_vectors -- tdx azure`

mod azure;
mod nvidia;
mod set;
mod snp;
mod tdx;
#[path = "../../tests/support/vector.rs"]
mod vector;

use std::{env, error::Error};

/// 2027-01-15T08:00:00Z.
const NOW: u64 = 1_800_000_000;
const REPORT_DATA: [u8; 64] = *b"The report data that the verifier asked for, sixty-four bytes...";

fn main() -> Result<(), Box<dyn Error>> {
    let platforms: Vec<String> = env::args().skip(1).collect();
    if platforms.is_empty() {
        return Err("which platforms? snp, tdx, azure, nvidia".into());
    }
    for platform in &platforms {
        let number = match platform.as_str() {
            "snp" => snp::write()?,
            "tdx" => tdx::write()?,
            "azure" => azure::write()?,
            "nvidia" => nvidia::write()?,
            other => return Err(format!("{other} is no platform: snp, tdx, azure, nvidia").into()),
        };
        println!("{number} vectors in {}", vector::folder(platform).display());
    }
    Ok(())
}
