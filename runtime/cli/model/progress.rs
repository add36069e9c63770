//! How far a long piece of work has come, for people who wait.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use strongroom_enclave_loader::Progress;

use crate::output::Output;

/// A bar on standard error; none for programs.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(output: Output) -> Self {
        let target = if output.interactive() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    pub(super) fn show(&self, progress: Progress) {
        self.0.set_length(progress.total);
        self.0.set_position(progress.done);
    }

    pub(super) fn done(self) {
        self.0.finish_and_clear();
    }
}
