use super::recorded::{both, both_faulty};
use super::support::{faulty, simulate};
use dextape::driverkit::Lint;
use dextape_scenarios::Live;
use dextape_scenarios::Time;
use dextape_scenarios::sbp2_commands::SCENARIO;

/// 16 blocks are more than fit a message, both ways (B4, B8).
const USED: &str = "\
status: Running, generation 1, 2 nodes, root 1; 0 pending, 0 timeouts
log in: ok
session: logged in, generation 1
inquiry: EXAMPLE Small Disk
write block 3: ok
read block 3: ok, 512 bytes, the same
an unknown command: refused, sense 0x05 0x20
read block 99: refused, sense 0x05 0x21
write 16 blocks: ok
read 16 blocks: ok, 8192 bytes, the same
";

/// The disk needs 100 ms. Its late answer is nobody's.
const LATE: &str = "\
stop, 40 ms: failed with kIOReturnTimeout (0xe00002d6)
ready? ok
status: Running, generation 1, 2 nodes, root 1; 0 pending, 1 timeouts
";

/// A node more is there after the reset.
const RESET: &str = "\
reset the bus: ok
status: Running, generation 2, 3 nodes, root 2; 0 pending, 1 timeouts
ready? not submitted: kIOReturnNotReady (0xe00002d8)
start: failed with kIOReturnAborted (0xe00002eb)
session: logged in, generation 2
";

const EJECTED: &str = "\
ready? ok
eject: ok
session: logged in, generation 2
ready? ok
";

const END: &str = "\
status: Running, generation 2, 3 nodes, root 2; 0 pending, 1 timeouts
release the session: ok
close: ok
";

fn expect(set: &[(&str, &str)], parts: &[&str]) -> Live {
    let run = simulate("sbp2-commands", set, 1);
    assert_eq!(run.output, parts.concat(), "{set:?}");
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
    run
}

fn expect_clean(set: &[(&str, &str)], parts: &[&str]) {
    let run = expect(set, parts);
    assert!(run.findings.is_empty(), "{:?}", run.findings);
}

#[test]
fn commands_survive_timeouts_and_resets() {
    expect_clean(&[], &[USED, LATE, RESET, EJECTED, END]);
}

#[test]
fn a_lost_command_may_never_have_a_result() {
    let failed = "failed with kIOReturnAborted (0xe00002eb)";
    let silent = RESET.replace(failed, "no result, long after its time");
    expect_clean(&[("lost", "silent")], &[USED, LATE, &silent, EJECTED, END]);
}

/// The last reset takes a node away again.
#[test]
fn a_disk_that_leaves_takes_its_session_with_it() {
    let left = "\
ready? ok
eject: failed with kIOReturnAborted (0xe00002eb)
session: failed with kIOReturnNoDevice (0xe00002c0)
ready? not submitted: kIOReturnNoDevice (0xe00002c0)
status: Running, generation 3, 2 nodes, root 1; 0 pending, 1 timeouts
release the session: ok
close: ok
";
    expect_clean(&[("target", "leaves")], &[USED, LATE, RESET, left]);
}

/// Inline output where the client has asked for a descriptor (C5), and the result is gone.
#[test]
fn a_long_result_is_no_data() {
    let used = USED.replace(
        "read 16 blocks: ok, 8192 bytes, the same",
        "read 16 blocks: kIOReturnBadArgument (0xe00002c2), asked again kIOReturnNotFound \
         (0xe00002f0), something else",
    );
    let run = expect(&[("results", "inline")], &[&used, LATE, RESET, EJECTED, END]);
    let lints: Vec<_> = run.findings.iter().map(|finding| finding.lint()).collect();
    assert_eq!(lints, [Lint::OutputTooLong], "{:?}", run.findings);
}

/// New generation, old nodes.
#[test]
fn a_status_that_is_read_while_it_changes_is_torn() {
    let torn = RESET.replace(
        "status: Running, generation 2, 3 nodes, root 2; 0 pending",
        "status: WaitingSelfID, generation 2, 2 nodes, root 1; 1 pending",
    );
    expect_clean(&[("client", "torn")], &[USED, LATE, &torn, EJECTED, END]);
}

#[test]
fn a_stale_generation_is_refused() {
    let stale = EJECTED
        .replace("ready? ok", "ready? not submitted: kIOReturnAborted (0xe00002eb)")
        .replace("eject: ok", "eject: not submitted: kIOReturnAborted (0xe00002eb)");
    expect_clean(&[("client", "stale")], &[USED, LATE, RESET, &stale, END]);
}

/// The service goes away in the middle of a command, at 80 ms: the disk has been told to stop, and the
/// client asks for the result. Calls give the code of a connection that has mapped (H1); the status
/// stays as it was (F25).
#[test]
fn removal_ends_the_polling_and_keeps_the_status() {
    for (plan, code) in [
        ("at 80ms: device removed", "kIOReturnBadArgument (0xe00002c2)"),
        ("at 80ms: dext dies", "kIOReturnBadArgument (0xe00002c2)"),
        ("call 57 #8: dext dies", "MIG_SERVER_DIED (0xfffffecc)"),
    ] {
        let run = faulty("sbp2-commands", &[], plan, 1).unwrap();
        let rest = run.output.strip_prefix(USED).unwrap_or_else(|| panic!("{}", run.output));
        let stop = rest.lines().next().unwrap();
        assert!(stop.starts_with("stop, 40 ms: ") && stop.contains(code), "{plan}: {rest}");
        let status = "status: Running, generation 1, 2 nodes, root 1;";
        assert_eq!(rest.matches(status).count(), 3, "{plan}: {rest}");
        let end = "release the session: kIOReturnBadArgument (0xe00002c2)\nclose: ok\n";
        assert!(rest.ends_with(end), "{plan}: {rest}");
        assert!(run.leaks.is_empty(), "{:?}", run.leaks);
    }
}

#[test]
fn faults_replay_as_they_were() {
    for (plan, sign) in [
        ("at 80ms: device removed", "stop, 40 ms: kIOReturnBadArgument"),
        ("at 80ms: dext dies", "stop, 40 ms: kIOReturnBadArgument"),
        ("call 58 #2: error NoMemory", "kIOReturnNoMemory"),
        ("call 57 #3: error Timeout afterwards", "not submitted: kIOReturnTimeout"),
        ("call 61: delay 30ms", "reset the bus: ok"),
    ] {
        let (live, replayed) = both_faulty(&SCENARIO, &[], Time::Simulated { seed: 2 }, plan);
        assert!(live.contains(sign), "{plan}:\n{live}");
        assert_eq!(live, replayed, "{plan}");
    }
}

#[test]
fn a_client_without_a_session_gives_up() {
    for (plan, message) in [
        ("open: refuse Unsupported", "open FireWireBus: kIOReturnUnsupported (0xe00002c7)"),
        ("map 0: refuse", "map the status: kIOReturnBadArgument (0xe00002c2)"),
        ("call 52: error NoDevice", "call selector 52: kIOReturnNoDevice (0xe00002c0)"),
    ] {
        let error = faulty("sbp2-commands", &[], plan, 1).unwrap_err();
        assert_eq!(error.to_string(), message, "{plan}");
    }
}

#[test]
fn real_threads_replay_on_real_threads() {
    let (live, replayed) = both(&SCENARIO, &[("target", "leaves")], Time::Free);
    assert_eq!(live, replayed);
}
