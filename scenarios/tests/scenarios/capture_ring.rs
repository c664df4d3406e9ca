use super::support::{faulty, live, simulate};
use dextape_scenarios::Time;

const NAME: &str = "capture-ring";

const BEFORE: &str = "\
ring: 8 records of 480 bytes from 192 on
listen: ok
start: ok
start again: kIOReturnBusy (0xe00002d5)
";

const END: &str = "\
stop: ok
unmap the ring: ok
close: ok
";

/// A packet a millisecond from 1 ms on; the first zero timestamp is read after packet 3, the last after
/// packet 27.
const CLOCK: &str = "clock: 24 packets at 1000 a second\n";

fn captured(set: &[(&str, &str)]) -> String {
    let run = simulate(NAME, set, 1);
    assert!(run.findings.is_empty() && run.leaks.is_empty(), "{run:?}");
    let output = run.output.strip_prefix(BEFORE).and_then(|output| output.strip_suffix(END));
    output.unwrap_or(&run.output).to_owned()
}

/// Batches of four from a ring of eight.
fn batches(first: u32, last: u32) -> String {
    let batches = (first..last).step_by(4);
    batches.map(|first| format!("records {first} to {}\n", first + 3)).collect()
}

fn sum(captured: u32, overruns: u32) -> String {
    format!("captured {captured} of 28 packets; the driver counts {overruns} overruns\n{CLOCK}")
}

#[test]
fn a_client_that_keeps_up_gets_every_record() {
    let whole = [batches(0, 28), sum(28, 0)].concat();
    assert_eq!(captured(&[]), whole);
    assert_eq!(captured(&[("full", "overwrite")]), whole);
    // A ring that is no multiple of a batch.
    let output = simulate(NAME, &[("capacity", "5")], 1).output;
    assert_eq!(output, [&BEFORE.replace("8 records", "5 records"), &whole, END].concat());
}

/// The ring goes round and so does the index: nothing changes at 8, 16 and so on.
#[test]
fn a_long_capture_goes_round_many_times() {
    let output = captured(&[("packets", "4000")]);
    assert!(output.starts_with(&batches(0, 4000)), "{output}");
    let end = "captured 4000 of 4000 packets; the driver counts 0 overruns\n\
               clock: 3996 packets at 1000 a second\n";
    assert!(output.ends_with(end), "{output}");
}

/// Busy from 8 ms to 20.5 ms: packets 8 to 19 come, of which the ring has room for eight.
#[test]
fn a_slow_client_loses_records_and_knows_which() {
    let expected = [
        &batches(0, 8),
        "records 8 to 15\nexpected record 16, found 20\n",
        &batches(20, 28),
        &sum(24, 4),
    ];
    assert_eq!(captured(&[("client", "slow")]), expected.concat());
}

/// A ring that a batch does not fit into loses the last packet of each.
#[test]
fn a_ring_smaller_than_a_batch_always_overruns() {
    let output = simulate(NAME, &[("capacity", "3")], 1).output;
    assert!(output.contains("records 0 to 2\nexpected record 3, found 4\nrecords 4 to 6\n"));
    assert!(output.contains("captured 21 of 28 packets; the driver counts 7 overruns"), "{output}");
}

/// The same hole, and nobody says so but the driver's count.
#[test]
fn a_trusting_client_does_not_notice() {
    let expected = [&batches(0, 8), "records 8 to 15\n", &batches(20, 28), &sum(24, 4)];
    assert_eq!(captured(&[("client", "trusting")]), expected.concat());
}

/// Twelve records in a ring of eight: four are overwritten, and the oldest left may just be.
#[test]
fn a_slow_client_of_a_driver_that_overwrites_keeps_the_newest() {
    let expected = [
        &batches(0, 8),
        "overrun: 5 records are gone\nexpected record 8, found 13\nrecords 13 to 19\n",
        &batches(20, 28),
        &sum(23, 4),
    ];
    assert_eq!(captured(&[("client", "slow"), ("full", "overwrite")]), expected.concat());
}

/// A ring that is just full when the client looks has lost nothing, but its oldest record is the next to
/// be overwritten: a careful client leaves it.
#[test]
fn the_oldest_record_of_a_full_ring_is_not_safe() {
    let output = simulate(NAME, &[("capacity", "4"), ("full", "overwrite")], 1).output;
    let first = "overrun: 1 records are gone\nexpected record 0, found 1\nrecords 1 to 3\n";
    let second = "overrun: 1 records are gone\nexpected record 4, found 5\nrecords 5 to 7\n";
    assert!(output.contains(&[first, second].concat()), "{output}");
    assert!(output.contains("captured 21 of 28 packets; the driver counts 0 overruns"), "{output}");
}

#[test]
fn a_client_that_gives_nothing_back_gets_one_ring() {
    let expected = [batches(0, 8), sum(8, 20)].concat();
    assert_eq!(captured(&[("client", "no-release")]), expected);
}

/// Busy until the ring is just full: write index 16 and read index 8 are both place 0.
#[test]
fn a_client_that_takes_the_index_for_a_place_finds_a_full_ring_empty() {
    let expected = [batches(0, 8), sum(8, 12)].concat();
    assert_eq!(captured(&[("client", "wrapped-index")]), expected);
}

/// Given back before they are read: when it looks, the next round is in their places.
#[test]
fn records_given_back_too_early_are_others_when_they_are_read() {
    let output = captured(&[("client", "early-release")]);
    assert!(output.starts_with("expected record 0, found 8\nrecords 8 to 11\n"), "{output}");
}

#[test]
fn a_ring_of_another_version_is_left_alone() {
    let run = simulate(NAME, &[("version", "2")], 1);
    let expected = "\
ring: 8 records of 480 bytes from 192 on
this is no ring of version 1
close: ok
";
    assert_eq!(run.output, expected);
}

#[test]
fn a_bus_reset_ends_the_capture_with_what_came_before() {
    let output = captured(&[("reset", "10")]);
    let expected = [
        &batches(0, 8),
        "records 8 to 9\nthe bus was reset\n\
         captured 10 of 10 packets; the driver counts 0 overruns\n\
         clock: 6 packets at 1000 a second\n",
    ];
    assert_eq!(output, expected.concat());
}

/// Of the clients that can lose nothing: how fast the machine is does not show.
#[test]
fn a_capture_in_real_time_is_whole() {
    let output = live(NAME, &[("capacity", "1024")], Time::Free).output;
    assert!(output.contains("captured 28 of 28 packets; the driver counts 0 overruns"), "{output}");
    assert!(!output.contains("expected record"), "{output}");
}

/// The client waits in vain (D20), the ring stays mapped and as it was (F25), calls are refused with
/// what a connection gives that mapped memory (H1), and the close works (H2).
#[test]
fn a_device_that_goes_away_leaves_what_it_captured() {
    for how in ["device removed", "dext dies"] {
        let run = faulty(NAME, &[], &format!("at 10500us: {how}"), 1).unwrap();
        let expected = [
            BEFORE,
            &batches(0, 8),
            "nothing for 1 s\n\
             captured 8 of 10 packets; the driver counts 0 overruns\n\
             clock: 6 packets at 1000 a second\n\
             stop: kIOReturnBadArgument (0xe00002c2)\n\
             unmap the ring: kIOReturnBadArgument (0xe00002c2)\n\
             close: ok\n",
        ];
        assert_eq!(run.output, expected.concat(), "{how}");
        assert!(run.leaks.is_empty(), "{how}: {:?}", run.leaks);
    }
}

/// The index in the ring says what there is: a listener that is told too seldom, too often or too late
/// loses nothing, as long as the ring lasts.
#[test]
fn a_lost_notice_is_no_lost_record() {
    let plan = |plan| {
        let output = faulty(NAME, &[], plan, 1).unwrap().output;
        output.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(END)).unwrap().to_owned()
    };
    let lost = [&batches(0, 4), "records 4 to 11\n", &batches(12, 28), &sum(28, 0)].concat();
    assert_eq!(plan("completion 2 #2: lost"), lost);
    assert_eq!(plan("completion 2 #1: doubled"), [batches(0, 28), sum(28, 0)].concat());
    let late =
        [&batches(0, 4), "records 4 to 9\nrecords 10 to 11\n", &batches(12, 28), &sum(28, 0)];
    assert_eq!(plan("completion 2 #2: late 2500us"), late.concat());
    // The end is told by nobody else.
    let output = faulty(NAME, &[], "completion 2 #8: lost", 1).unwrap().output;
    assert!(output.contains(&[&batches(24, 28), "nothing for 1 s\n"].concat()), "{output}");
}

#[test]
fn a_ring_that_cannot_be_mapped_ends_the_client() {
    let refused = faulty(NAME, &[], "map 1: error NoMemory", 1).unwrap_err();
    assert_eq!(refused.to_string(), "map the ring: kIOReturnBadArgument (0xe00002c2)");
}
