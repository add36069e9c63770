//! Why a launch has no measurement.

use thiserror::Error;

/// Why no measurement was computed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The firmware image contradicts its own format.
    #[error(
        "the firmware image is malformed: {part} is {found}, wanted {wanted}. \
         Give the image byte for byte as the VMM loads it"
    )]
    Malformed {
        /// The part of the image.
        part: &'static str,
        /// What is there.
        found: String,
        /// What should be there.
        wanted: String,
    },
    /// The image is sound, and cannot be launched, or not be measured, as was asked.
    #[error("the firmware image does not fit this launch: {what}. {to_do}")]
    Unsupported {
        /// What is missing, or not known here.
        what: String,
        /// What to do.
        to_do: &'static str,
    },
    /// A parameter is outside its range.
    #[error("{name} is {found}, wanted {wanted}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        found: String,
        /// Its range.
        wanted: String,
    },
}

impl MeasureError {
    /// The stable code of this error; programs decide on it.
    pub fn code(&self) -> &'static str {
        match self {
            MeasureError::Malformed { .. } => "FIRMWARE_MALFORMED",
            MeasureError::Unsupported { .. } => "FIRMWARE_UNSUPPORTED",
            MeasureError::Parameter { .. } => "LAUNCH_PARAMETER",
        }
    }
}

/// A part of the image that is not as its format demands.
pub(super) fn malformed(part: &'static str, found: impl Into<String>, wanted: impl Into<String>) -> MeasureError {
    MeasureError::Malformed { part, found: found.into(), wanted: wanted.into() }
}
