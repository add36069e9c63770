//! What each fuzz target does with its bytes, and how much memory it may take for them.
//!
//! A panic is a finding, and so is an allocation beyond a target's bound: a constant (what reading
//! takes whatever the input, the compiled-in certificates for example) and a factor of the input's
//! length. `fuzz_targets/` are the fuzzer's entry points; `examples/seeds.rs` makes their corpora from
//! `tests/vectors`; `examples/replay.rs` runs a corpus once and tells the largest peaks.

pub mod encoder;
mod memory;
pub mod provenance;
pub mod sealed;
pub mod targets;
pub mod weights;

pub use encoder::ENCODER;
pub use provenance::{MODEL_SIGNATURE, MODEL_STATEMENT};
pub use sealed::{SEALED_CHUNKS, SEALED_MANIFEST, SEALED_PRIVATE};
pub use targets::{
    ALL, ARTEFACTS, ENDORSEMENTS, EVENT_LOG, HCL_REPORT, MANIFEST, OCSP, OVMF, POLICY, SIGNED_JSON, SNP_REPORT,
    SPDM_REPORT, TDX_QUOTE, TPM_QUOTE,
};
pub use weights::{GGUF_HEADER, ONNX, SAFETENSORS_HEADER};

/// One target: what is done, and the bound on what it may have allocated at one time.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name of its entry point, and of its corpus' folder.
    pub name: &'static str,
    /// What is done with the input.
    pub body: fn(&[u8]),
    /// Bytes that may be allocated whatever the input.
    pub constant: usize,
    /// Bytes that may be allocated for each byte of input besides.
    pub factor: usize,
}

impl Target {
    /// Does it, and panics where the bound does not hold.
    pub fn run(&self, input: &[u8]) {
        let peak = self.peak(input);
        let bound = self.constant + self.factor * input.len();
        assert!(peak <= bound, "{}: {peak} bytes allocated for {} of input, bound {bound}", self.name, input.len());
    }

    /// Does it, and gives the most bytes that were allocated at one time.
    pub fn peak(&self, input: &[u8]) -> usize {
        memory::peak_of(|| (self.body)(input))
    }
}
