use super::support::{Removed, parameters};
use super::tapes;
use dextape::tape::Tape;
use dextape_scenarios::{Scenario, Time, null_driver, registry, shared_buffer, smc, usb_bulk};
use std::sync::Arc;
use std::time::Duration;

/// What the client prints while it is recorded and when it is replayed.
fn both(scenario: &dyn Scenario, set: &[(&str, &str)], time: Time) -> (String, String) {
    let parameters = parameters(scenario, set);
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("run.tape.jsonl");
    let live = tapes::record(scenario, &parameters, time, &tape).unwrap();
    let replayed = if registry().find(scenario.name()).is_ok() {
        tapes::replay(&tape)
    } else {
        let tape = Arc::new(Tape::read(&tape).unwrap());
        tapes::replay_client(scenario, &parameters, &tape)
    };
    (live.output, replayed.unwrap())
}

#[test]
fn a_service_that_goes_away_goes_away_in_the_replay() {
    let after = Duration::from_millis;
    let cases: [(Box<dyn Scenario>, &str); 3] = [
        (
            Box::new(Removed { scenario: null_driver::SCENARIO, after: after(8000) }),
            "request: MACH",
        ),
        (
            Box::new(Removed { scenario: shared_buffer::SCENARIO, after: after(15) }),
            "not set after",
        ),
        (Box::new(Removed { scenario: usb_bulk::SCENARIO, after: after(500) }), "abort it: MACH"),
    ];
    for (scenario, sign) in cases {
        let (live, replayed) = both(&*scenario, &[], Time::Simulated { seed: 3 });
        assert!(live.contains(sign), "the service went away too late:\n{live}");
        assert_eq!(live, replayed);
    }
}

#[test]
fn a_run_on_real_threads_replays_on_real_threads() {
    let sync = ("part", "sync");
    for connections in ["one", "each"] {
        let set = [sync, ("threads", "4"), ("rounds", "5"), ("connections", connections)];
        let (live, replayed) = both(&null_driver::SCENARIO, &set, Time::Free);
        assert_eq!(live, replayed);
    }
    for scenario in [&shared_buffer::SCENARIO as &dyn Scenario, &smc::SCENARIO, &usb_bulk::SCENARIO]
    {
        let (live, replayed) = both(scenario, &[], Time::Free);
        assert_eq!(live, replayed, "{}", scenario.name());
    }
}
