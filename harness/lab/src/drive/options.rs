//! How a tape is driven.

use super::DriveError;
use dextape::fault::FaultPlan;
use dextape::tape::Tape;
use std::time::Duration;

/// How a tape is driven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveOptions {
    /// How long what is on the tape may take longer than there before it counts as missing.
    pub patience: Duration,
    /// Differences that are kept; of further ones only the number.
    pub differences_max: usize,
}

impl Default for DriveOptions {
    fn default() -> Self {
        Self { patience: Duration::from_secs(10), differences_max: 1000 }
    }
}

/// The faults that a tape was recorded with, as its provenance tells them: a mock that is to answer as the
/// recorded one did needs the same.
///
/// # Errors
///
/// [`DriveError::Faults`] where they cannot be read.
pub fn planned_faults(tape: &Tape) -> Result<FaultPlan, DriveError> {
    let told = tape.header().provenance.iter().find_map(|note| note.strip_prefix("faults: "));
    told.map_or_else(
        || Ok(FaultPlan::default()),
        |plan| plan.parse().map_err(|error| DriveError::Faults(format!("{error}"))),
    )
}
