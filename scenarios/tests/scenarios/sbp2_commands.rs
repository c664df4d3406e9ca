use super::recorded::{both, both_faulty};
use super::support::{faulty, simulate};
use dextape::IoReturn;
use dextape::connection::{CallError, Connection, ConnectionExt, Matching, System};
use dextape::driverkit::Lint;
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use dextape_scenarios::sbp2_commands::abi::{
    CommandRequest, CommandResult, DISK_NODE, USER_CLASS, selector,
};
use dextape_scenarios::sbp2_commands::{FireWireDriver, Lost, Manners, Results, SCENARIO, Target};
use dextape_scenarios::{Live, Time};
use std::time::Duration;

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

/// The dext dies when the reset has begun: nobody ends the change.
#[test]
fn a_status_that_nobody_completes_is_not_waited_for() {
    let run = faulty("sbp2-commands", &[], "call 61: dext dies afterwards", 1).unwrap();
    let reset = "reset the bus: ok\nstatus: changes all the time\nready? not submitted: ";
    assert!(run.output.contains(reset), "{}", run.output);
}

/// A session with the disk, on a connection that was just opened.
fn session(system: &dyn System, schedule: &Schedule) -> (Box<dyn Connection>, u64) {
    let service = system.first_service(&Matching::user_class(USER_CLASS)).unwrap();
    let connection = system.open(service, 0).unwrap();
    let scalars = [DISK_NODE];
    let call = connection.call(selector::CREATE_SESSION).scalars(&scalars);
    let session = call.want_scalars(1).send().unwrap().scalars[0];
    connection.call(selector::START_LOGIN).scalars(&[session]).send().unwrap();
    schedule.sleep(Duration::from_millis(10));
    (connection, session)
}

/// Has the disk stop its motor, which takes 100 ms, within 40.
fn stop(connection: &dyn Connection, session: u64) -> Result<u64, CallError> {
    let header = CommandRequest { cdb_length: 6, timeout_ms: 40, ..CommandRequest::default() };
    let request = [bytemuck::bytes_of(&header), &[0x1b, 0, 0, 0, 0, 0]].concat();
    let scalars = [session, 1];
    let call = connection.call(selector::SUBMIT_COMMAND).scalars(&scalars);
    call.input_bytes(&request).want_scalars(1).send().map(|reply| reply.scalars[0])
}

#[test]
fn a_late_answer_changes_nothing_and_handles_belong_to_their_connection() {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        let manners =
            Manners { lost: Lost::Told, target: Target::Stays, results: Results::Descriptor };
        FireWireDriver::publish(manners, &mock).unwrap();
        let (first, session_1) = session(&*mock, schedule);
        let (second, session_2) = session(&*mock, schedule);
        assert_ne!(session_1, session_2);
        let command = stop(&*first, session_1).unwrap();
        let foreign = stop(&*second, session_1).unwrap_err();
        assert_eq!(foreign.io_return(), Some(IoReturn::NOT_FOUND));

        // Its time was up after 40 ms, and the disk has answered after 100.
        schedule.sleep(Duration::from_millis(150));
        let result = |connection: &dyn Connection| {
            let scalars = [command];
            let call = connection.call(selector::COMMAND_RESULT).scalars(&scalars);
            call.output::<CommandResult>()
        };
        let foreign = result(&*second).unwrap_err();
        assert_eq!(foreign.io_return(), Some(IoReturn::NOT_FOUND));
        assert_eq!(result(&*first).unwrap().transport_status, IoReturn::TIMEOUT.0);
    });
}

#[test]
fn faults_replay_as_they_were() {
    for (plan, sign) in [
        ("at 80ms: device removed", "stop, 40 ms: kIOReturnBadArgument"),
        ("at 80ms: dext dies", "stop, 40 ms: kIOReturnBadArgument"),
        ("call 58 #2: error NoMemory", "kIOReturnNoMemory"),
        ("call 57 #3: error Timeout afterwards", "not submitted: kIOReturnTimeout"),
        ("call 61: delay 30ms", "reset the bus: ok"),
        ("call 61: dext dies afterwards", "status: changes all the time"),
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
