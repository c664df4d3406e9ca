use super::recorded::{both, both_faulty};
use super::support::{faulty, simulate};
use dextape_scenarios::Time;
use dextape_scenarios::irq_page::SCENARIO;

/// The map's code is the kernel's (F5), the unmap's the dext's (F18).
const BEFORE: &str = "\
wait before the setup: kIOReturnNotReady (0xe00002d8)
pending before the setup: kIOReturnNotReady (0xe00002d8)
mask before the setup: kIOReturnNotReady (0xe00002d8)
map before the setup: kIOReturnBadArgument (0xe00002c2)
unmap before the setup: kIOReturnNotReady (0xe00002d8)
set up: ok, scalars 8
map the page: 16384 bytes
nobody waits, pending: 0x04
wait 1: ok
";

const FOUND_AT_ONCE: &str = "  wait 1 completes with 0x04\n  found 0x04\n";

const REPLACED: &str = "\
wait 2: ok
wait 3: ok
  wait 3 completes with 0x08
  no completion
  found 0x08
-- thread
";

/// Vectors 0, 1 and 6 by themselves, 2 and 5 together: they came while 1 was handled. Then 4, which was
/// disabled for a while.
const HANDLED: &str = "\
wait 4 completes with 0x01, found 0x01
wait 5 completes with 0x02, found 0x02
wait 6 completes with 0x24, found 0x24
wait 7 completes with 0x40, found 0x40
wait 8 completes with 0x10, found 0x10
";

const ABORTED: &str = "wait 9 completes: kIOReturnAborted (0xe00002eb)\n";

/// The interrupt that came before the close is told after it (D21), and then there is nothing to abort.
const AFTER: &str = "\
-- main
disable vector 4: ok
interrupt 4: ok
pending: 0x10
enable it: ok
close: ok
set up again: ok, scalars 8
wait 1: ok
interrupt and close: ok
  wait 1 completes with 0x80
  no completion
";

fn expect(set: &[(&str, &str)], parts: &[&str]) {
    let run = simulate("irq-page", set, 1);
    assert_eq!(run.output, parts.concat(), "{set:?}");
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
}

#[test]
fn no_interrupt_is_lost() {
    expect(&[], &[BEFORE, FOUND_AT_ONCE, REPLACED, HANDLED, ABORTED, AFTER]);
}

#[test]
fn a_second_wait_can_be_busy() {
    let busy = REPLACED
        .replace("wait 3: ok", "wait 3: kIOReturnBusy (0xe00002d5)")
        .replace("wait 3 completes", "wait 2 completes");
    let set = [("second-wait", "busy")];
    expect(&set, &[BEFORE, FOUND_AT_ONCE, &busy, HANDLED, ABORTED, AFTER]);
}

/// What came while nobody waited is told with the next interrupt: 2 and 5 with 6.
#[test]
fn a_dext_that_does_not_look_tells_late() {
    let late = "  no completion\n  found 0x04\n";
    let handled = "\
wait 4 completes with 0x01, found 0x01
wait 5 completes with 0x02, found 0x02
wait 6 completes with 0x64, found 0x64
wait 7 completes with 0x10, found 0x10
wait 8 completes: kIOReturnAborted (0xe00002eb)
";
    expect(&[("arm", "blind")], &[BEFORE, late, REPLACED, handled, AFTER]);
}

/// No completion is made up for the wait that was outstanding (D20).
#[test]
fn a_silent_end_leaves_the_thread_waiting() {
    let set = [("end", "silent")];
    expect(&set, &[BEFORE, FOUND_AT_ONCE, REPLACED, HANDLED, "no completion\n", AFTER]);
}

/// 2 and 5 are cleared with 1, which was handled when they came.
#[test]
fn a_client_that_clears_late_loses_interrupts() {
    let lost = "\
wait 4 completes with 0x01, found 0x01
wait 5 completes with 0x02, found 0x02
wait 6 completes with 0x40, found 0x40
wait 7 completes with 0x10, found 0x10
wait 8 completes: kIOReturnAborted (0xe00002eb)
";
    let set = [("client", "late-clear")];
    expect(&set, &[BEFORE, FOUND_AT_ONCE, REPLACED, lost, AFTER]);
}

const GONE: &str = "kIOReturnBadArgument (0xe00002c2)";

/// At 40 ms, when the thread waits for its fourth interrupt. What is called then
/// gets the code of a connection that has mapped (H1).
fn gone(plan: &str, thread: &str) {
    let run = faulty("irq-page", &[], plan, 1).unwrap();
    let main = format!(
        "-- main\ninterrupt 6: {GONE}\ndisable vector 4: {GONE}\ninterrupt 4: {GONE}\n\
         pending: {GONE}\nenable it: {GONE}\nclose: ok\n\
         find PassThrough: kIOReturnNotFound (0xe00002f0)\n"
    );
    // Three waits as ever.
    let handled = HANDLED.split_inclusive('\n').take(3).collect::<String>();
    let before = [BEFORE, FOUND_AT_ONCE, REPLACED].concat();
    assert_eq!(run.output, [&before, &handled, thread, &main].concat(), "{plan}");
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
}

#[test]
fn removal_aborts_the_wait() {
    let aborted = "wait 7 completes: kIOReturnAborted (0xe00002eb)\n";
    gone("at 40ms: device removed", aborted);
}

#[test]
fn death_tells_nobody() {
    gone("at 40ms: dext dies", "no completion\n");
}

#[test]
fn faults_replay_as_they_were() {
    for (plan, sign) in [
        ("at 40ms: device removed", "wait 7 completes: kIOReturnAborted"),
        ("at 40ms: dext dies", "\nno completion\n-- main"),
        ("completion 15 #4: lost", "found 0x01\nno completion\n"),
        ("completion 15 #3: doubled", "wait 4 completes with 0x01, found 0x01\nwait 4 completes"),
        ("call 15 #6: dext dies", "MIG_SERVER_DIED"),
    ] {
        let (live, replayed) = both_faulty(&SCENARIO, &[], Time::Simulated { seed: 2 }, plan);
        assert!(live.contains(sign), "{plan}:\n{live}");
        assert_eq!(live, replayed, "{plan}");
    }
}

#[test]
fn a_client_without_a_page_gives_up() {
    let error = faulty("irq-page", &[], "map 7: refuse", 1).unwrap_err();
    let message = "map the interrupt page: kIOReturnBadArgument (0xe00002c2)";
    assert_eq!(error.to_string(), message);
    let error = faulty("irq-page", &[], "open: error ExclusiveAccess", 1).unwrap_err();
    assert_eq!(error.to_string(), "open PassThrough: kIOReturnExclusiveAccess (0xe00002c5)");
}

#[test]
fn real_threads_replay_on_real_threads() {
    for set in [&[][..], &[("arm", "blind")]] {
        let (live, replayed) = both(&SCENARIO, set, Time::Free);
        assert_eq!(live, replayed, "{set:?}");
    }
}
