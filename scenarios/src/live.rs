//! Running a scenario on the mock.

use crate::{Parameters, Scenario, ScenarioError};
use dextape::connection::System;
use dextape::driverkit::{Finding, Leak};
use dextape::fault::FaultPlan;
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use std::sync::Arc;

/// In which mode of time a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Virtual time and an order of tasks drawn from the seed: the same seed gives the same run.
    Simulated {
        /// The seed.
        seed: u64,
    },
    /// Real threads and real time.
    Free,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Live {
    /// What the client printed.
    pub output: String,
    /// What the mock found wrong with the dext.
    pub findings: Vec<Finding>,
    /// What the dext did not release, with the connections closed.
    pub leaks: Vec<Leak>,
    /// What the dext logged.
    pub log: Vec<String>,
}

/// Runs `scenario` on a mock of its own. `wrap` stands between client and mock: a recorder, or
/// nothing (`|system| system`).
///
/// # Errors
///
/// [`ScenarioError`] where the dext cannot be published or the client cannot go on.
///
/// # Panics
///
/// Where a task panics or all tasks wait for ever, as
/// [`Schedule::simulate`](dextape::schedule::Schedule::simulate) does.
///
/// # Examples
///
/// ```
/// use dextape_scenarios::{Parameters, Time, registry, run_on_mock};
///
/// let registry = registry();
/// let scenario = registry.find("smc")?;
/// let mut parameters = Parameters::of(scenario);
/// scenario.prepare(&mut parameters)?;
/// let live = run_on_mock(scenario, &parameters, Time::Simulated { seed: 1 }, |system| system)?;
/// assert!(live.output.contains("[#KEY] type [ui32] 75693332 len [ 4] attr [80] -> 00000018"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run_on_mock(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    time: Time,
    wrap: impl FnOnce(Arc<dyn System>) -> Arc<dyn System>,
) -> Result<Live, ScenarioError> {
    run_on_faulty_mock(scenario, parameters, time, FaultPlan::default(), wrap)
}

/// As [`run_on_mock`], where everything goes wrong that is planned.
///
/// # Errors
///
/// As [`run_on_mock`]; a client that cannot go on because of a fault counts, too.
///
/// # Panics
///
/// As [`run_on_mock`]; a client that hangs in a call that never returns counts, too.
pub fn run_on_faulty_mock(
    scenario: &dyn Scenario,
    parameters: &Parameters,
    time: Time,
    faults: FaultPlan,
    wrap: impl FnOnce(Arc<dyn System>) -> Arc<dyn System>,
) -> Result<Live, ScenarioError> {
    let run = |schedule: &Schedule| -> Result<Live, ScenarioError> {
        let mock = MockSystem::builder(schedule).faults(faults).build();
        scenario.publish(parameters, &mock)?;
        let mut output = Vec::new();
        let system = wrap(Arc::clone(&mock) as Arc<dyn System>);
        scenario.client(parameters, &system, &mut output)?;
        // The dext is stopped after its connections are closed, not before the close returns (G14).
        mock.settle();
        Ok(Live {
            output: String::from_utf8_lossy(&output).into_owned(),
            findings: mock.findings(),
            leaks: mock.leaks(),
            log: mock.log(),
        })
    };
    match time {
        Time::Simulated { seed } => Schedule::simulate(seed, run),
        Time::Free => run(&Schedule::free()),
    }
}
