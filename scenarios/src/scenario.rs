//! What a scenario is.

use crate::{Parameter, Parameters, ScenarioError};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use std::io::Write;
use std::sync::Arc;

/// Settings of a scenario that have a tape in `fixtures/`: those under which it shows something of its
/// own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapeSettings {
    /// Name of the tape, in kebab case.
    pub name: &'static str,
    /// The parameters that differ from their defaults.
    pub set: &'static [(&'static str, &'static str)],
}

/// A named pair of a mock dext and a client that exercises it. Object-safe: other crates add their own
/// to a [`Registry`](crate::Registry), mostly as a [`Declared`](crate::Declared).
pub trait Scenario: Send + Sync {
    /// Its name, in kebab case; the folder of its tapes has the same.
    fn name(&self) -> &str;

    /// What it is, in half a sentence.
    fn about(&self) -> &str;

    /// What can be set.
    fn parameters(&self) -> &[Parameter];

    /// Settings that have a tape each.
    fn tapes(&self) -> &[TapeSettings] {
        &[]
    }

    /// Fills in parameters that follow from others or from files of this machine, so that those that
    /// are recorded say all that the client needs for a replay elsewhere. Called once before a run on
    /// the mock; filling in twice changes nothing.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] where a parameter or a file does not do.
    fn prepare(&self, parameters: &mut Parameters) -> Result<(), ScenarioError> {
        let _ = parameters;
        Ok(())
    }

    /// Publishes the mock dext's services.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] where a parameter or a file does not do.
    fn publish(
        &self,
        parameters: &Parameters,
        system: &Arc<MockSystem>,
    ) -> Result<(), ScenarioError>;

    /// Runs the client to its end on the calling task. It uses `system` and the system's schedule
    /// only, so that its output is the same on the mock, while recorded, and replayed.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] where the client cannot go on. What a dext answers on purpose is no error:
    /// the client prints it.
    fn client(
        &self,
        parameters: &Parameters,
        system: &Arc<dyn System>,
        out: &mut dyn Write,
    ) -> Result<(), ScenarioError>;
}
