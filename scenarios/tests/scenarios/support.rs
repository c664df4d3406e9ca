use dextape_scenarios::{
    Live, Parameters, Scenario, ScenarioError, Time, registry, run_on_faulty_mock, run_on_mock,
};

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
