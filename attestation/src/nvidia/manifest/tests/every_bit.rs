//! Every bit of a manifest counts.

use super::*;

/// Bits that are tried in the default run: every so many, coprime to a byte's.
const STRIDE: usize = 97;

#[test]
fn bits_of_a_manifest() {
    every_bit(STRIDE);
}

#[test]
#[ignore = "half a minute: every bit of one manifest, about 170,000 of them"]
fn every_single_bit_of_a_manifest() {
    every_bit(1);
}

fn every_bit(stride: usize) {
    let bytes = vector(DRIVER);
    let remembered = Remembered::new(16);
    let anchors = HardwareAnchors::compiled_in();
    let anchored = Hardware::anchored(&anchors, &remembered);
    let now = time(DRIVER_NOW);
    assert!(outcome(&bytes, anchored, now).is_ok());
    for bit in (0..bytes.len() * 8).step_by(stride) {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let found = outcome(&changed, anchored, now);
        let near =
            String::from_utf8_lossy(&bytes[(bit / 8).saturating_sub(20)..bytes.len().min(bit / 8 + 20)]).into_owned();
        assert!(found.is_err(), "bit {} of byte {} changes nothing: …{near}…", bit % 8, bit / 8);
    }
}
