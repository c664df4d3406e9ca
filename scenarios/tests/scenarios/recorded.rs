use super::support::{Removed, parameters};
use super::tapes;
use dextape::tape::Tape;
use dextape_scenarios::null_driver::NullDriverScenario;
use dextape_scenarios::shared_buffer::SharedBufferScenario;
use dextape_scenarios::smc::Smc;
use dextape_scenarios::usb_bulk::UsbBulkScenario;
use dextape_scenarios::{Scenario, Time, registry};
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
        (Box::new(Removed { scenario: NullDriverScenario, after: after(8000) }), "request: MACH"),
        (Box::new(Removed { scenario: SharedBufferScenario, after: after(15) }), "not set after"),
        (Box::new(Removed { scenario: UsbBulkScenario, after: after(500) }), "abort it: MACH"),
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
        let (live, replayed) = both(&NullDriverScenario, &set, Time::Free);
        assert_eq!(live, replayed);
    }
    for scenario in [&SharedBufferScenario as &dyn Scenario, &Smc, &UsbBulkScenario] {
        let (live, replayed) = both(scenario, &[], Time::Free);
        assert_eq!(live, replayed, "{}", scenario.name());
    }
}
