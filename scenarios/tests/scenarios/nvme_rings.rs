use super::support::{faulty, live, parameters, simulate};
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{CallError, ConnectionExt, System};
use dextape::driverkit::Lint;
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use dextape_scenarios::nvme_rings::SCENARIO;
use dextape_scenarios::nvme_rings::abi::{
    QueueRequest, USER_CLASS, memory_type, selector as method,
};
use dextape_scenarios::{Scenario, Time, open};
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "nvme-rings";

/// What comes before the rings are used. A ring of 4 entries has 32 + 4 * 144 bytes.
const BEFORE: &str = r#"buffer before init: call selector 4: kIOReturnNotReady (0xe00002d8)
init: ok
identify the controller: ok, "Example ring disk" "DT0001"
identify the namespace: ok, 128 blocks
identify something else: invalid field
another command: invalid opcode
free a buffer twice: call selector 5: kIOReturnNotFound (0xe00002f0)
queue pair 1: 4 entries in 608 bytes; 4 entries in 608 bytes
"#;

/// One entry of four stays empty, so three commands go at once. The fourth index is 0 again: the
/// ring has gone round.
const TRANSFERS: &str = "\
-- queue 1
write 6 blocks
  3 submitted, no room for more; ended 1 2 3
  3 submitted; ended 4 5 6
read 6 blocks
  3 submitted, no room for more; ended 7 8 9
  3 submitted; ended 10 11 12
  6 of 6 blocks as written
";

const FAILURES: &str = "\
read past the end; ended 13 (block out of range)
no such opcode; ended 14 (invalid opcode)
no such buffer; ended 15 (data transfer error)
data past its buffer; ended 16 (data transfer error)
";

/// The last of them, whatever its number.
const FAILURES_WORDS: &str = " (data transfer error)\nunmap the submission ring: ok\n";

const END: &str = "\
unmap the submission ring: ok
unmap the completion ring: ok
delete the queue pair: ok
";

const AFTER: &str = "\
-- after all
poke a queue that is gone: kIOReturnNotFound (0xe00002f0)
poke rings of two queues: kIOReturnBadArgument (0xe00002c2)
close: ok
";

#[test]
fn commands_go_round_the_rings() {
    for client in ["right", "phase"] {
        let run = simulate(NAME, &[("client", client)], 1);
        assert_eq!(run.output, [BEFORE, TRANSFERS, FAILURES, END, AFTER].concat(), "{client}");
        assert!(run.findings.is_empty(), "{:?}", run.findings);
        assert!(run.leaks.is_empty(), "{:?}", run.leaks);
        assert!(run.log.is_empty(), "{:?}", run.log);
        assert_eq!(live(NAME, &[("client", client)], Time::Free).output, run.output);
    }
}

/// Whatever the depth and the number of commands: with one entry to use, with the last batch full, with
/// more room than there are commands.
#[test]
fn rings_of_every_depth_go_round() {
    for depth in ["2", "3", "5", "8", "64"] {
        for blocks in ["1", "2", "7", "16"] {
            for client in ["right", "phase"] {
                let run =
                    simulate(NAME, &[("depth", depth), ("blocks", blocks), ("client", client)], 1);
                let all = format!("  {blocks} of {blocks} blocks as written\n");
                assert!(run.output.contains(&all), "{depth} {blocks} {client}: {}", run.output);
                assert!(run.output.contains(FAILURES_WORDS), "{depth} {blocks}: {}", run.output);
            }
        }
    }
}

/// What a wrong client prints from the use of the rings on.
fn wrong(client: &str) -> (String, Vec<String>) {
    let run = simulate(NAME, &[("client", client)], 1);
    assert!(run.findings.is_empty() && run.leaks.is_empty(), "the dext is right: {run:?}");
    let output = run.output.strip_prefix(BEFORE).unwrap();
    (output.replace(AFTER, ""), run.log)
}

const FIRST_BATCH: &str = "\
-- queue 1
write 6 blocks
  3 submitted, no room for more; ended 1 2 3
";

/// Four entries: the fifth and sixth command take the places of the first two, the third and fourth
/// lie before the head. What the dext finds is two commands.
#[test]
fn an_overfilled_ring_loses_a_whole_round() {
    let (output, _) = wrong("overfill");
    let lost = "-- queue 1\nwrite 6 blocks\n  6 submitted; ended 5 6; no word of 1 2 3 4\n";
    assert_eq!(output, [lost, END].concat());
}

/// The fourth completion is at index 3 and new; after it comes index 0, where the first pass has left
/// a completion of the same phase.
#[test]
fn a_client_that_does_not_turn_the_phase_takes_an_old_completion_for_a_new_one() {
    let (output, _) = wrong("stuck-phase");
    let old = "  3 submitted; ended 4; then 1, which is not under way\n";
    assert_eq!(output, [FIRST_BATCH, old, END].concat());
}

#[test]
fn a_client_with_a_stale_head_finds_the_ring_full_for_ever() {
    let (output, _) = wrong("stale-head");
    let full = "  0 submitted, no room for more, and nothing is under way\n";
    assert_eq!(output, [FIRST_BATCH, full, END].concat());
}

/// The dext keeps completions for which there is no room, one line a command that ends.
#[test]
fn a_dext_that_is_never_told_waits_for_room() {
    let (output, log) = wrong("silent-head");
    let none = "  3 submitted; ended; no word of 4 5 6\n";
    assert_eq!(output, [FIRST_BATCH, none, END].concat());
    assert_eq!(log, ["a completion ring is full"; 3]);
}

/// An unmap asks the dext, which knows the ring no more, and its code comes back verbatim (F18). The
/// mapping stays (F22).
#[test]
fn rings_of_a_deleted_queue_pair_cannot_be_unmapped() {
    let (output, _) = wrong("delete-first");
    let end = "\
delete the queue pair: ok
unmap the submission ring: kIOReturnNotFound (0xe00002f0)
unmap the completion ring: kIOReturnNotFound (0xe00002f0)
a ring that nobody can unmap is left
";
    assert_eq!(output, [TRANSFERS, FAILURES, end].concat());
}

/// A structure input is read-only to the device, and a snapshot (B5): the client asks for 4096 bytes
/// and reads its own request as the number of blocks.
#[test]
fn a_device_cannot_write_to_a_structure_input() {
    let run = simulate(NAME, &[("buffers", "client")], 1);
    let before = BEFORE
        .replace(r#""Example ring disk" "DT0001""#, r#""" """#)
        .replace("128 blocks", "4096 blocks");
    let transfers = TRANSFERS
        .replace("6 of 6 blocks as", "0 of 6 blocks as")
        .replace("as written\n", "as written, 6 never arrived\n");
    assert_eq!(run.output, [&before, &transfers, FAILURES, END, AFTER].concat());
    let lints: Vec<_> = run.findings.iter().map(|found| (found.lint(), found.count())).collect();
    assert_eq!(lints, [(Lint::InputWritten, 2), (Lint::InputWritten, 6)], "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
}

#[test]
fn each_queue_pair_has_a_thread_of_its_own() {
    let set = [("queues", "3"), ("blocks", "5"), ("depth", "3"), ("client", "phase")];
    let expected = simulate(NAME, &set, 0).output;
    assert_eq!(expected.matches("  5 of 5 blocks as written\n").count(), 3, "{expected}");
    assert!(expected.contains("queue pair 3: 3 entries in 464 bytes"), "{expected}");
    for seed in 1..10 {
        assert_eq!(simulate(NAME, &set, seed).output, expected, "seed {seed}");
    }
    assert_eq!(live(NAME, &set, Time::Free).output, expected);
}

/// Runs `test` on a mock that has the scenario's dext.
fn with_dext(test: impl FnOnce(&Arc<dyn System>)) {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        SCENARIO.publish(&parameters(&SCENARIO, &[]), &mock).unwrap();
        test(&(Arc::clone(&mock) as Arc<dyn System>));
        mock.settle();
        assert!(mock.findings().is_empty() && mock.leaks().is_empty());
    });
}

#[test]
fn a_second_client_is_refused_until_the_first_has_closed() {
    with_dext(|system| {
        let first = open(system, USER_CLASS).unwrap();
        let refused = open(system, USER_CLASS).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "open NvmeRings: kIOReturnExclusiveAccess (0xe00002c5)",
            "the dext's own code (G2)"
        );
        let _ = first.close();
        // The user client is stopped after the close has returned (G14).
        system.schedule().sleep(Duration::from_millis(1));
        assert!(open(system, USER_CLASS).is_ok());
    });
}

/// A client can write anything to the rings.
#[test]
fn a_tail_beyond_the_ring_is_refused() {
    with_dext(|system| {
        let connection = open(system, USER_CLASS).unwrap();
        connection.call(method::INIT).send().unwrap();
        let create = |depth| {
            let request = QueueRequest { depth, vector: -1, ..QueueRequest::default() };
            connection.call(method::CREATE_QUEUE_PAIR).input(&request).output::<QueueRequest>()
        };
        let code = |result: Result<QueueRequest, CallError>| result.map_err(|e| e.io_return());
        for depth in [0, 1, 1025, u64::MAX] {
            assert_eq!(code(create(depth)), Err(Some(IoReturn::BAD_ARGUMENT)), "{depth}");
        }
        for id in 1..=16 {
            assert_eq!(create(4).map(|made| made.id), Ok(id));
        }
        assert_eq!(code(create(4)), Err(Some(IoReturn::NO_RESOURCES)));

        let map = |memory_type| connection.map_memory(memory_type, MapOptions::ANYWHERE, 0);
        let ring = map(memory_type::submissions(7)).unwrap();
        let poke = || connection.call(method::POKE).scalars(&[7, 7]).send().map(drop);
        assert_eq!(poke(), Ok(()));
        for tail in [4, u64::MAX] {
            ring.store::<u64>(8, tail).unwrap();
            let refused = poke().unwrap_err().io_return();
            assert_eq!(refused, Some(IoReturn::BAD_ARGUMENT), "{tail}");
        }
        // What the ring says of its depth is not believed either.
        ring.store::<u64>(0, 1 << 40).unwrap();
        ring.store::<u64>(8, 3).unwrap();
        assert_eq!(poke(), Ok(()));
        assert_eq!(ring.load::<u64>(16), Ok(3));
        for memory_type in [17, 1 << 16, 1 << 17 | 1, 1 << 18 | 7] {
            assert_eq!(map(memory_type).err(), Some(IoReturn::BAD_ARGUMENT), "{memory_type:#x}");
        }
        let _ = connection.close();
    });
}

/// Completions for which there was no room come with the next bell after there is some.
#[test]
fn completions_wait_for_room() {
    with_dext(|system| {
        let connection = open(system, USER_CLASS).unwrap();
        connection.call(method::INIT).send().unwrap();
        let request = QueueRequest { depth: 3, vector: -1, ..QueueRequest::default() };
        let made: QueueRequest =
            connection.call(method::CREATE_QUEUE_PAIR).input(&request).output().unwrap();
        let map =
            |memory_type| connection.map_memory(memory_type, MapOptions::ANYWHERE, 0).unwrap();
        let submissions = map(memory_type::submissions(made.id as u16));
        let completions = map(memory_type::completions(made.id as u16));
        let poke = || connection.call(method::POKE).scalars(&[made.id, made.id]).send().unwrap();
        // Two commands at a time, which are flushes where nothing is written; twice.
        for tail in [2, 1] {
            submissions.store::<u64>(8, tail).unwrap();
            poke();
            system.schedule().sleep(Duration::from_millis(10));
        }
        assert_eq!(completions.load::<u64>(8), Ok(2), "a ring of three holds two");
        completions.store::<u64>(16, 2).unwrap();
        system.schedule().sleep(Duration::from_millis(10));
        assert_eq!(completions.load::<u64>(8), Ok(2), "the dext does not look by itself");
        poke();
        assert_eq!(completions.load::<u64>(8), Ok(1), "two more, and the ring has gone round");
        let _ = connection.close();
    });
}

/// In the middle of a command that runs inside its call, which takes 2 ms: removed, the call still ends
/// as it would have (H3), and the next is refused, with `kIOReturnBadArgument` because the connection
/// mapped a buffer (H1); when the dext dies, the call is told so (H4).
#[test]
fn a_device_that_goes_away_in_mid_call() {
    let early = BEFORE.split_inclusive('\n').take(2).collect::<String>();
    let removed = faulty(NAME, &[], "at 1ms: device removed", 1).unwrap();
    let rest = "\
stopped: call selector 1: kIOReturnBadArgument (0xe00002c2)
close: ok
";
    let identified = BEFORE.split_inclusive('\n').nth(2).unwrap();
    assert_eq!(removed.output, [&early, identified, rest].concat());
    assert!(removed.leaks.is_empty(), "{:?}", removed.leaks);
    let died = faulty(NAME, &[], "at 1ms: dext dies", 1).unwrap();
    let rest = "stopped: call selector 1: MIG_SERVER_DIED (0xfffffecc)\nclose: ok\n";
    assert_eq!(died.output, [&early, rest].concat());
}

/// With commands under way: their completions never come (D20), the rings stay mapped (F25).
#[test]
fn a_device_that_goes_away_with_commands_under_way() {
    for how in ["device removed", "dext dies"] {
        // Four commands of 2 ms each to find out what disk it is; the batch begins then.
        let run = faulty(NAME, &[], &format!("at 11ms: {how}"), 1).unwrap();
        let end = "\
-- queue 1
write 6 blocks
  3 submitted, no room for more; ended 1; no word of 2 3
unmap the submission ring: kIOReturnBadArgument (0xe00002c2)
unmap the completion ring: kIOReturnBadArgument (0xe00002c2)
delete the queue pair: kIOReturnBadArgument (0xe00002c2)
a ring that nobody can unmap is left
stopped: call selector 5: kIOReturnBadArgument (0xe00002c2)
close: ok
";
        assert_eq!(run.output, [BEFORE, end].concat(), "{how}");
    }
}

#[test]
fn faults_of_the_dext_are_told() {
    let stopped = |plan| faulty(NAME, &[], plan, 1).map(|run| run.output);
    let refused = stopped("open: error NoResources").unwrap_err();
    assert_eq!(refused.to_string(), "open NvmeRings: kIOReturnNoResources (0xe00002be)");
    // The second ring of the first queue; of a map the client learns only that it failed (F5).
    let output = stopped("map 1: error NoMemory").unwrap();
    assert!(
        output.ends_with(
            "stopped: map a completion ring: kIOReturnBadArgument (0xe00002c2)\nclose: ok\n"
        ),
        "{output}"
    );
    // The bell has rung all the same: the commands end, but the client does not look.
    let output = stopped("call 6 #2: error Timeout afterwards").unwrap();
    let end = "  3 submittedstopped: call selector 6: kIOReturnTimeout (0xe00002d6)\nclose: ok\n";
    assert!(output.ends_with(end), "{output}");
}
