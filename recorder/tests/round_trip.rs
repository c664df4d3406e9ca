//! Any program on any planned dext: recorded and then replayed it sees the same, and leaves the same
//! tape; with one byte of the tape changed the replay names the place.

use dextape::connection::System;
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::schedule::Schedule;
use dextape::strategies::{DextPlan, Observation, PlannedService, Program, SERVICE_CLASS};
use dextape::strategies::{dext_plan, program};
use proptest::prelude::*;
use std::sync::Arc;

fn live(seed: u64, plan: &DextPlan, program: &Program) -> Vec<Vec<Observation>> {
    Schedule::simulate(seed, |schedule| {
        let mock = MockSystem::new(schedule);
        let description = ServiceDescription::class(SERVICE_CLASS).property("Serial", "F00");
        let service = Arc::new(PlannedService::new(plan.clone()));
        mock.publish(description, service).expect("the planned dext starts");
        let system: Arc<dyn System> = mock;
        program.run(&system)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_mock_is_deterministic(
        seed in any::<u64>(),
        plan in dext_plan(5, 3),
        program in program(3, 5, 3),
    ) {
        prop_assert_eq!(live(seed, &plan, &program), live(seed, &plan, &program));
    }
}
