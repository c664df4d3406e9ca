use super::recorded::both_faulty;
use super::support::{faulty, live, simulate};
use dextape::driverkit::{Lint, Place};
use dextape_scenarios::Time;
use dextape_scenarios::input_descriptor::SCENARIO;

const NAME: &str = "input-descriptor";

/// The size of an output by descriptor comes back as asked (C4); up to 4096 bytes there is no
/// descriptor (B3, B8).
const RIGHT: &str = "\
capture 8192: ok, 8192 bytes
  completion: ok, 8192 bytes
  in the buffer: 8192 samples, 0 bytes as before
capture 5000: ok, 5000 bytes
  completion: ok, 5000 bytes
  in the buffer: 5000 samples, 0 bytes as before
capture 4096: kIOReturnBadArgument (0xe00002c2)
close: ok
";

/// Every answer is the same, and nothing has arrived (B5).
const EMPTY: &str = "\
capture 8192: ok
  completion: ok, 8192 bytes
  in the buffer: 0 samples, 8192 bytes as before
capture 5000: ok
  completion: ok, 5000 bytes
  in the buffer: 0 samples, 5000 bytes as before
capture 4096: kIOReturnBadArgument (0xe00002c2)
close: ok
";

#[test]
fn a_buffer_that_is_the_output_is_filled() {
    let run = simulate(NAME, &[], 1);
    assert_eq!(run.output, RIGHT);
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
    assert_eq!(live(NAME, &[], Time::Free).output, RIGHT);
}

/// The lint says what the client cannot see: 16 bursts and 10, in the method that prepared them.
#[test]
fn a_buffer_that_is_the_input_stays_empty_and_the_lint_says_why() {
    let run = simulate(NAME, &[("buffer", "input")], 1);
    assert_eq!(run.output, EMPTY);
    let [finding] = &run.findings[..] else { panic!("{:?}", run.findings) };
    assert_eq!(finding.lint(), Lint::InputWritten);
    assert_eq!(finding.place(), &Place::ExternalMethod { selector: 0 });
    assert_eq!(finding.count(), 16 + 10);
    assert!(finding.message().ends_with("the write vanishes"), "{finding}");
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
}

/// DART does not enforce the direction: the client is right by luck, and the lint knows.
#[test]
fn on_apple_silicon_it_works_by_luck() {
    let run = simulate(NAME, &[("buffer", "input"), ("iommu", "apple")], 1);
    // An input has no size that could come back.
    let lucky = RIGHT.replace("ok, 8192 bytes\n  comp", "ok\n  comp");
    let lucky = lucky.replace("ok, 5000 bytes\n  comp", "ok\n  comp");
    assert_eq!(run.output, lucky);
    let lints: Vec<_> = run.findings.iter().map(|finding| finding.lint()).collect();
    assert_eq!(lints, [Lint::InputWritten]);
    assert!(run.findings[0].message().contains("vanishes on an Intel Mac"));
}

#[test]
fn a_dext_that_looks_at_the_flags_refuses_it() {
    let checked = ("flags", "checked");
    let run = simulate(NAME, &[("buffer", "input"), checked], 1);
    let refused = "\
capture 8192: kIOReturnNotWritable (0xe00002cf)
capture 5000: kIOReturnNotWritable (0xe00002cf)
capture 4096: kIOReturnBadArgument (0xe00002c2)
close: ok
";
    assert_eq!(run.output, refused);
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
    assert_eq!(run.log, ["refused a buffer that the device cannot write"; 2]);
    assert_eq!(simulate(NAME, &[checked], 1).output, RIGHT);
}

/// The service ends in mid-capture: the dext completes it with `kIOReturnAborted` as it stops, which
/// still reaches the client (D21), and the device reaches nothing any more.
#[test]
fn removal_in_mid_capture_aborts_it() {
    let run = faulty(NAME, &[], "at 150us: device removed", 1).unwrap();
    let expected = "\
capture 8192: ok, 8192 bytes
  completion: kIOReturnAborted (0xe00002eb), 0 bytes
  in the buffer: 0 samples, 8192 bytes as before
capture 5000: MACH_SEND_INVALID_DEST (0x10000003)
capture 4096: MACH_SEND_INVALID_DEST (0x10000003)
close: MACH_SEND_INVALID_DEST (0x10000003)
";
    assert_eq!(run.output, expected);
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
}

/// A dead dext completes nothing (D20).
#[test]
fn a_dext_that_dies_in_mid_capture_leaves_its_client_waiting() {
    let run = faulty(NAME, &[], "at 150us: dext dies", 1).unwrap();
    assert!(run.output.starts_with("capture 8192: ok, 8192 bytes\n  no completion\n"));
    assert!(run.output.contains("capture 5000: MACH_SEND_INVALID_DEST"), "{}", run.output);
}

#[test]
fn faults_replay_as_they_were() {
    let simulated = Time::Simulated { seed: 2 };
    for (plan, sign) in [
        ("at 150us: device removed", "kIOReturnAborted"),
        ("at 150us: dext dies", "no completion"),
        ("completion 0 #1: lost", "no completion"),
    ] {
        for set in [&[][..], &[("buffer", "input")]] {
            let (live, replayed) = both_faulty(&SCENARIO, set, simulated, plan);
            assert!(live.contains(sign), "{plan}:\n{live}");
            assert_eq!(live, replayed, "{plan}");
        }
    }
    let error = faulty(NAME, &[], "open: refuse NotPermitted", 1).unwrap_err();
    assert_eq!(error.to_string(), "open InputDescriptor: kIOReturnNotPermitted (0xe00002e2)");
}
