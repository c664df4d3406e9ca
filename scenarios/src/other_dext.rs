//! A scenario with another dext than its own.

use crate::{Parameter, Parameters, Scenario, ScenarioError, TapeSettings};
use dextape::connection::System;
use dextape::kernel::MockSystem;
use std::fmt;
use std::io::Write;
use std::sync::Arc;

/// Publishes a dext.
type Publish<'a> = dyn Fn(&Arc<MockSystem>) -> Result<(), ScenarioError> + Send + Sync + 'a;

/// A scenario whose client meets another dext, such as one of a plug-in. In all else it is the scenario:
/// its tapes name that, and replay to its client.
pub struct OtherDext<'a> {
    scenario: &'a dyn Scenario,
    publish: Box<Publish<'a>>,
}

impl<'a> OtherDext<'a> {
    /// `scenario` with the dext that `publish` publishes.
    pub fn new(
        scenario: &'a dyn Scenario,
        publish: impl Fn(&Arc<MockSystem>) -> Result<(), ScenarioError> + Send + Sync + 'a,
    ) -> Self {
        Self { scenario, publish: Box::new(publish) }
    }
}

impl Scenario for OtherDext<'_> {
    fn name(&self) -> &str {
        self.scenario.name()
    }

    fn about(&self) -> &str {
        self.scenario.about()
    }

    fn parameters(&self) -> &[Parameter] {
        self.scenario.parameters()
    }

    fn tapes(&self) -> &[TapeSettings] {
        self.scenario.tapes()
    }

    fn prepare(&self, parameters: &mut Parameters) -> Result<(), ScenarioError> {
        self.scenario.prepare(parameters)
    }

    fn publish(
        &self,
        _parameters: &Parameters,
        system: &Arc<MockSystem>,
    ) -> Result<(), ScenarioError> {
        (self.publish)(system)
    }

    fn client(
        &self,
        parameters: &Parameters,
        system: &Arc<dyn System>,
        out: &mut dyn Write,
    ) -> Result<(), ScenarioError> {
        self.scenario.client(parameters, system, out)
    }
}

impl fmt::Debug for OtherDext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtherDext").field("scenario", &self.name()).finish_non_exhaustive()
    }
}
