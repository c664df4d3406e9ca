use super::recorded::both_faulty;
use super::support::{faulty, live, simulate};
use dextape_scenarios::Time;
use dextape_scenarios::pcie_bar::SCENARIO;

const NAME: &str = "pcie-bar";

/// A BAR that the device has not is refused by the dext, which reaches the client as
/// `kIOReturnBadArgument` (F5); mapping again gives the same mapping (F11); an in-line output has no
/// memory that could be prepared (B8).
const BEGIN: &str = "\
device 250410de, class 030000, command 0x0006
BAR 0 by its mask: 16384 bytes
three bytes: kIOReturnBadArgument (0xe00002c2)
map BAR 0: 16384 bytes
map BAR 2: 65536 bytes
map BAR 0: 16384 bytes
  at the same address
map BAR 1: kIOReturnBadArgument (0xe00002c2)
map BAR 5: kIOReturnBadArgument (0xe00002c2)
map BAR 6: kIOReturnBadArgument (0xe00002c2)
video memory: kept
identity 172000a1
prepare 64 bytes: kIOReturnBadArgument (0xe00002c2)
prepare 16384 bytes: ok, 16384 bytes
  1 segment of 16384 bytes
fill: done true, events then 0
  16384 bytes arrived
sum of 5000 bytes: right, then nothing
beyond the end: faults 0x1, cleared 0x0, 1024 bytes read
";

const END: &str = "\
hang: timed out
reset: ok
  command 0x0000, registers silent: true
identity 172000a1
unmap the registers: ok
unmap the video: ok
close: ok
";

#[test]
fn the_client_drives_the_device_through_its_bars() {
    let run = simulate(NAME, &[], 1);
    assert_eq!(run.output, [BEGIN, END].concat());
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
    assert_eq!(run.log, ["opened 10de:2504", "no reset of the function: resetting the link"]);
    assert_eq!(live(NAME, &[], Time::Free).output, run.output);
}

/// Pulled out while a command hangs: a poll reads all ones before anybody is told, and the client exits
/// without a close. What was prepared is completed by the dext as it stops.
#[test]
fn a_device_that_is_pulled_out_reads_all_ones_and_the_notice_ends_the_client() {
    let run = simulate(NAME, &[("unplug", "hung")], 1);
    assert_eq!(run.output, [BEGIN, "the device reads all ones\nterminated: exit\n"].concat());
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
}

/// The service ends while the client polls for a command that never ends: its mappings stay (F25), the
/// next call gives `kIOReturnBadArgument` because it has mapped (H1), and the notice is there.
#[test]
fn a_service_that_ends_in_mid_command_ends_the_client_at_its_next_call() {
    for how in ["device removed", "dext dies"] {
        let run = faulty(NAME, &[], &format!("at 100ms: {how}"), 1).unwrap();
        let end = "\
hang: timed out
reset: kIOReturnBadArgument (0xe00002c2)
failed to call selector 0: kIOReturnBadArgument (0xe00002c2)
terminated: exit
";
        assert_eq!(run.output, [BEGIN, end].concat(), "{how}");
    }
}

/// The dext dies inside a call: its caller gets `MIG_SERVER_DIED` (H4).
#[test]
fn a_dext_that_dies_in_a_call_ends_the_client() {
    let run = faulty(NAME, &[], "call 2: dext dies", 1).unwrap();
    assert!(run.output.contains("reset: MIG_SERVER_DIED (0xfffffecc)\n"), "{}", run.output);
    assert!(run.output.ends_with("terminated: exit\n"), "{}", run.output);
}

#[test]
fn a_refused_open_is_the_end() {
    let error = faulty(NAME, &[], "open: refuse NotPermitted", 1).unwrap_err();
    assert_eq!(error.to_string(), "open PcieBar: kIOReturnNotPermitted (0xe00002e2)");
}

#[test]
fn faults_replay_as_they_were() {
    let simulated = Time::Simulated { seed: 2 };
    for (set, plan, sign) in [
        (&[("unplug", "hung")][..], "", "all ones"),
        (&[], "at 100ms: device removed", "terminated: exit"),
        (&[], "call 2: dext dies", "reset: MIG_SERVER_DIED"),
        (&[], "map 2: error NoMemory", ""),
    ] {
        if sign.is_empty() {
            let error = faulty(NAME, set, plan, 2).unwrap_err();
            assert_eq!(error.to_string(), "map BAR 2: kIOReturnBadArgument (0xe00002c2)", "F5");
            continue;
        }
        let (live, replayed) = both_faulty(&SCENARIO, set, simulated, plan);
        assert!(live.contains(sign), "{plan}:\n{live}");
        assert_eq!(live, replayed, "{plan}");
    }
}
