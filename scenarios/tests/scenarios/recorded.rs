use super::support::parameters;
use super::tapes;
use dextape_scenarios::{
    Scenario, Time, capture_ring, hid_frames, null_driver, nvme_rings, shared_buffer, smc, usb_bulk,
};

/// What the client prints while it is recorded and when it is replayed.
pub(crate) fn both(scenario: &dyn Scenario, set: &[(&str, &str)], time: Time) -> (String, String) {
    both_faulty(scenario, set, time, "")
}

/// As [`both`], where everything goes wrong that is planned.
pub(crate) fn both_faulty(
    scenario: &dyn Scenario,
    set: &[(&str, &str)],
    time: Time,
    plan: &str,
) -> (String, String) {
    let parameters = parameters(scenario, set);
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("run.tape.jsonl");
    let faults = plan.parse().unwrap();
    let live = tapes::record_faulty(scenario, &parameters, time, faults, &tape).unwrap();
    (live.output, tapes::replay(&tape).unwrap())
}

/// What went wrong on the dext's side goes wrong in the replay, where there is no dext.
#[test]
fn planned_faults_come_back_in_the_replay() {
    let cases: [(&dyn Scenario, &str, &str); 12] = [
        (&null_driver::SCENARIO, "at 8s: device removed", "request: MACH"),
        (&shared_buffer::SCENARIO, "at 15ms: device removed", "not set after"),
        (&usb_bulk::SCENARIO, "at 500ms: device removed", "abort it: MACH"),
        (&nvme_rings::SCENARIO, "at 1ms: device removed", "stopped: call selector 1: kIOReturnBad"),
        (&nvme_rings::SCENARIO, "at 1ms: dext dies", "stopped: call selector 1: MIG_SERVER_DIED"),
        (&nvme_rings::SCENARIO, "at 11ms: device removed", "ended 1; no word of 2 3"),
        (&nvme_rings::SCENARIO, "call 6 #2: error Timeout afterwards", "stopped: call selector 6"),
        (&hid_frames::SCENARIO, "at 20ms: dext dies", "stop: MACH_SEND_INVALID_DEST"),
        (&hid_frames::SCENARIO, "completion 1 #2: lost", "no frame within 1 s"),
        (&hid_frames::SCENARIO, "completion 1 #6: doubled", "12 of 12, not in order"),
        (&capture_ring::SCENARIO, "at 10500us: device removed", "captured 8 of 10 packets"),
        (&capture_ring::SCENARIO, "completion 2 #2: late 2500us", "records 4 to 9\n"),
    ];
    for (scenario, plan, sign) in cases {
        let (live, replayed) = both_faulty(scenario, &[], Time::Simulated { seed: 2 }, plan);
        assert!(live.contains(sign), "{plan}:\n{live}");
        assert_eq!(live, replayed, "{plan}");
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
    let set = [("queues", "3"), ("client", "phase")];
    let (live, replayed) = both(&nvme_rings::SCENARIO, &set, Time::Free);
    assert_eq!(live, replayed, "rings of three threads");
    let set = [("delivery", "notice-of-first")];
    let (live, replayed) = both(&hid_frames::SCENARIO, &set, Time::Free);
    assert_eq!(live, replayed, "frames that are fetched");
    for scenario in [
        &shared_buffer::SCENARIO as &dyn Scenario,
        &smc::SCENARIO,
        &usb_bulk::SCENARIO,
        &nvme_rings::SCENARIO,
        &hid_frames::SCENARIO,
        &capture_ring::SCENARIO,
    ] {
        let (live, replayed) = both(scenario, &[], Time::Free);
        assert_eq!(live, replayed, "{}", scenario.name());
    }
}
