use dextape::connection::System;
use dextape::kernel::MockSystem;
use dextape_scenarios::{
    Live, Parameters, Scenario, ScenarioError, Time, registry, run_on_faulty_mock, run_on_mock,
};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// Runs a scenario of ours in simulated mode with these parameters.
pub(crate) fn simulate(name: &str, set: &[(&str, &str)], seed: u64) -> Live {
    live(name, set, Time::Simulated { seed })
}

pub(crate) fn live(name: &str, set: &[(&str, &str)], time: Time) -> Live {
    let registry = registry();
    let scenario = registry.find(name).unwrap();
    run_on_mock(scenario, &parameters(scenario, set), time, |system| system).unwrap()
}

/// As [`simulate`], where everything goes wrong that is planned.
pub(crate) fn faulty(
    name: &str,
    set: &[(&str, &str)],
    plan: &str,
    seed: u64,
) -> Result<Live, ScenarioError> {
    let registry = registry();
    let scenario = registry.find(name).unwrap();
    let (parameters, plan) = (parameters(scenario, set), plan.parse().unwrap());
    let time = Time::Simulated { seed };
    run_on_faulty_mock(scenario, &parameters, time, plan, |system| system)
}

pub(crate) fn parameters(scenario: &dyn Scenario, set: &[(&str, &str)]) -> Parameters {
    let mut parameters = Parameters::of(scenario);
    for (name, value) in set {
        parameters.set(name, *value).unwrap();
    }
    scenario.prepare(&mut parameters).unwrap();
    parameters
}

/// A scenario whose service is terminated after some time.
pub(crate) struct Removed<S> {
    pub(crate) scenario: S,
    pub(crate) after: Duration,
}

impl<S: Scenario> Scenario for Removed<S> {
    fn name(&self) -> &str {
        "removed"
    }

    fn about(&self) -> &str {
        "another scenario whose service goes away"
    }

    fn parameters(&self) -> &[dextape_scenarios::Parameter] {
        self.scenario.parameters()
    }

    fn prepare(&self, parameters: &mut Parameters) -> Result<(), ScenarioError> {
        self.scenario.prepare(parameters)
    }

    fn publish(
        &self,
        parameters: &Parameters,
        system: &Arc<MockSystem>,
    ) -> Result<(), ScenarioError> {
        self.scenario.publish(parameters, system)?;
        let (system, after) = (Arc::clone(system), self.after);
        let services = system.matching_services(&dextape::connection::Matching::default()).unwrap();
        let schedule = system.schedule().clone();
        schedule.clone().spawn_daemon("removal", move || {
            schedule.sleep(after);
            for service in services {
                system.terminate(service);
            }
        });
        Ok(())
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
