//! Every model of the measured configuration, and where it stands. No other can be named.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::config::{Load, ModelConfig};

/// Where a model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// It is not in memory.
    Unloaded,
    /// It is asked for, decrypted, warmed up.
    Loading,
    /// It answers, as long as there is a right to.
    Loaded,
    /// It takes no new request, and goes.
    Unloading,
}

/// The models, in the order of the configuration.
pub(crate) struct Roster(Mutex<Vec<(String, Phase)>>);

impl Roster {
    /// Those of the configuration; those that load at start are loading.
    pub(crate) fn new(models: &[ModelConfig]) -> Self {
        let phase = |model: &ModelConfig| match model.load {
            Load::AtStart => Phase::Loading,
            Load::OnDemand => Phase::Unloaded,
        };
        Self(Mutex::new(models.iter().map(|model| (model.name.clone(), phase(model))).collect()))
    }

    /// Where the model of this name stands; `None` when none is configured.
    pub(crate) fn phase(&self, name: &str) -> Option<Phase> {
        let models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        models.iter().find(|(known, _)| known == name).map(|(_, phase)| *phase)
    }

    /// Says where it stands from now on.
    pub(crate) fn set(&self, name: &str, phase: Phase) {
        let mut models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, known) in models.iter_mut().filter(|(known, _)| known == name) {
            *known = phase;
        }
    }

    /// How many models are loaded.
    pub(crate) fn loaded(&self) -> usize {
        let models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        models.iter().filter(|(_, phase)| *phase == Phase::Loaded).count()
    }
}
