//! The policy that accepts one trust domain and nothing else.

use super::{tcb_info::EVALUATION_NUMBER, td::SimulatedTd};

impl SimulatedTd {
    /// A policy, as TOML text of `strongroom_attestation::Policy`, that accepts this TD in
    /// this state and nothing else: its measurements, registers, configuration, owner, kind of
    /// platform and platform are pinned; collateral of the current evaluation and revocation
    /// lists are required, and nothing but "UpToDate" is allowed. The catalogue's codes hold
    /// under it.
    #[must_use]
    pub fn strict_policy(&self) -> String {
        format!("name = \"simulated TDX\"\n{}", self.requirements())
    }

    /// All of it but the name: first what every platform has, then the part of TDX.
    pub(crate) fn requirements(&self) -> String {
        let body = &self.body;
        let mut text = format!(
            "measurements = [\"{}\"]\n\
             platform_identities = [\"{}\"]\n\
             require_revocation = true\n\
             \n[tdx]\n\
             minimum_evaluation_number = {EVALUATION_NUMBER}\n\
             fmspcs = [\"{}\"]\n",
            hex::encode(body.mr_td),
            hex::encode(self.platform.ppid),
            hex::encode(self.platform.fmspc),
        );
        let [rtmr0, rtmr1, rtmr2, rtmr3] = &body.rtmrs;
        for (name, register) in [
            ("rtmr0", rtmr0),
            ("rtmr1", rtmr1),
            ("rtmr2", rtmr2),
            ("rtmr3", rtmr3),
            ("mr_config_id", &body.mr_config_id),
            ("mr_owner", &body.mr_owner),
            ("mr_owner_config", &body.mr_owner_config),
        ] {
            text += &format!("{name} = [\"{}\"]\n", hex::encode(register));
        }
        text
    }
}
