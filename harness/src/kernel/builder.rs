//! How a mock system is set up.

use super::{ClientProcess, MockSystem};
use crate::boundary::{OpenPoints, RuleTrace, Rules};
use crate::coverage::Notes;
use crate::fault::FaultPlan;
use crate::memory::ClientSpace;
use crate::schedule::Schedule;
use std::sync::Arc;

/// A mock system that is being set up.
///
/// # Examples
///
/// ```
/// use dextape::kernel::MockSystem;
/// use dextape::schedule::Schedule;
///
/// Schedule::simulate(1, |schedule| {
///     let faults = "open #1: refuse NotPermitted; call 3: delay 5ms".parse()?;
///     let mock = MockSystem::builder(schedule).faults(faults).build();
///     # drop(mock);
///     Ok::<(), dextape::fault::FaultError>(())
/// }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is made before build"]
pub struct MockBuilder {
    schedule: Schedule,
    rules: Rules,
    client: ClientProcess,
    faults: FaultPlan,
    space: Option<Arc<dyn ClientSpace>>,
}

impl MockBuilder {
    pub(super) fn new(schedule: &Schedule) -> Self {
        Self {
            schedule: schedule.clone(),
            rules: Rules::all(),
            client: ClientProcess::default(),
            faults: FaultPlan::default(),
            space: None,
        }
    }

    /// Whose clients it serves.
    pub fn client(mut self, client: ClientProcess) -> Self {
        self.client = client;
        self
    }

    /// How dexts reach the client's own memory by its addresses (I14), where the client is a process.
    pub fn client_space(mut self, space: Arc<dyn ClientSpace>) -> Self {
        self.space = Some(space);
        self
    }

    /// What goes wrong.
    pub fn faults(mut self, faults: FaultPlan) -> Self {
        self.faults = faults;
        self
    }

    /// How it answers what Apple's source leaves open.
    pub fn open_points(mut self, open: OpenPoints) -> Self {
        self.rules = self.rules.with_open_points(open);
        self
    }

    /// Where it is noted which rules of the boundary are touched.
    pub fn rule_trace(mut self, trace: &'static RuleTrace) -> Self {
        self.rules = self.rules.with_trace(trace);
        self
    }

    /// The rules that are kept; for the tests of the rules.
    #[doc(hidden)]
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// The system, without services yet.
    #[must_use]
    pub fn build(self) -> Arc<MockSystem> {
        let rules = Notes::of_process().map_or(self.rules, |notes| notes.have_traced(self.rules));
        let mock = MockSystem::make(&self.schedule, rules, self.client, self.faults);
        if let Some(space) = self.space {
            mock.reach_client(space);
        }
        mock
    }
}
