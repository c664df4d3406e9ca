use super::support::{faulty, live, parameters, simulate};
use dextape::IoReturn;
use dextape::connection::{ConnectionExt, System};
use dextape::kernel::MockSystem;
use dextape::schedule::Schedule;
use dextape_scenarios::hid_frames::SCENARIO;
use dextape_scenarios::hid_frames::abi::{USER_CLASS, command, from_scalars, selector};
use dextape_scenarios::{Scenario, Time, open};
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "hid-frames";

const BEFORE: &str = "\
send before start: kIOReturnNotReady (0xe00002d8)
notify without a port: kIOReturnBadArgument (0xe00002c2)
";

const LISTENING: &str = "\
notify: ok
notify: ok
start: ok
start again: kIOReturnBusy (0xe00002d5)
send 63: kIOReturnBadArgument (0xe00002c2)
send 65 without a report: kIOReturnBadArgument (0xe00002c2)
";

const TALK: &str = "\
init, 8 bytes on 0xffffffff
ping, 100 bytes on 0x101
";

/// After the stop the host, whose next report would come 900 ms after the burst, is gone.
const END: &str = "\
stop: ok
reports after stop: 0
send after stop: kIOReturnNotReady (0xe00002d8)
";

const FETCH: &str = "fetch after stop: kIOReturnNoFrames (0xe00002e0)\n";
const CLOSE: &str = "close: ok\n";
const BURST: &str = "reports while busy: 12 of 12\n";

const HOST: [&str; 2] = ["host: channel 0x101", "host: a ping of 100 bytes came back as it went"];

/// However frames get to the client: all of them, in order, although its loop was stopped (D18).
#[test]
fn no_frame_is_lost_while_the_loop_is_stopped() {
    for (delivery, fetch) in
        [("scalars", ""), ("notice-of-each", FETCH), ("notice-of-first", FETCH)]
    {
        let set = [("delivery", delivery)];
        let run = simulate(NAME, &set, 1);
        let expected = [BEFORE, LISTENING, TALK, BURST, END, fetch, CLOSE].concat();
        assert_eq!(run.output, expected, "{delivery}");
        assert_eq!(run.log, HOST, "{delivery}");
        assert!(run.findings.is_empty(), "{:?}", run.findings);
        assert!(run.leaks.is_empty(), "{:?}", run.leaks);
        if delivery == "notice-of-each" {
            // The others are recorded in real time, elsewhere.
            assert_eq!(live(NAME, &set, Time::Free).output, expected, "in real time");
        }
    }
}

/// From 65534 undelivered completions on, further ones are dropped without a word (D18); the five reports
/// that the host sends later find room again. Frames that are fetched are kept by the dext, so none of
/// those is lost.
#[test]
fn a_port_holds_65534_completions() {
    let burst = |delivery| {
        let set = [("delivery", delivery), ("burst", "65600")];
        let output = simulate(NAME, &set, 1).output;
        let line = output.lines().find(|line| line.starts_with("reports while busy"));
        line.unwrap().to_owned()
    };
    let (held, later) = (65534, 5);
    let lost = format!("reports while busy: {} of 65600, not in order", held + later);
    assert_eq!(burst("scalars"), lost);
    assert_eq!(burst("notice-of-each"), "reports while busy: 65600 of 65600");
}

#[test]
fn messages_of_every_length_come_back() {
    for (ping, frames) in [("0", 1), ("57", 1), ("58", 2), ("7609", 129)] {
        let run = simulate(NAME, &[("ping", ping), ("burst", "0")], 1);
        let line = format!("host: a ping of {ping} bytes came back as it went");
        assert_eq!(run.log.last(), Some(&line), "{frames} frames");
    }
}

/// The host has spoken before there was anybody to tell. Nobody speaks again.
#[test]
fn a_client_that_registers_late_misses_the_first_frame() {
    let late = "\
start: ok
start again: kIOReturnBusy (0xe00002d5)
notify: ok
send 63: kIOReturnBadArgument (0xe00002c2)
send 65 without a report: kIOReturnBadArgument (0xe00002c2)
no frame within 1 s
reports while busy: 0 of 12
";
    let run = simulate(NAME, &[("client", "late")], 1);
    assert_eq!(run.output, [BEFORE, late, END, CLOSE].concat());
    // A frame that waits to be fetched does not help a client that waits for the notice.
    for delivery in ["notice-of-each", "notice-of-first"] {
        let run = simulate(NAME, &[("client", "late"), ("delivery", delivery)], 1);
        assert_eq!(run.output, [BEFORE, late, END, FETCH, CLOSE].concat(), "{delivery}");
    }
}

/// The ping is two frames and one notice.
#[test]
fn one_frame_a_notice_is_too_few_where_notices_are_sparing() {
    let set = [("client", "one-a-notice"), ("delivery", "notice-of-first")];
    let run = simulate(NAME, &set, 1);
    let stuck = "init, 8 bytes on 0xffffffff\nno frame within 1 s\nreports while busy: 0 of 12\n";
    assert_eq!(run.output, [BEFORE, LISTENING, stuck, END, FETCH, CLOSE].concat());
    assert_eq!(run.log, &HOST[..1]);
    let set = [set[0], ("delivery", "notice-of-each")];
    let run = simulate(NAME, &set, 1);
    assert_eq!(run.output, [BEFORE, LISTENING, TALK, BURST, END, FETCH, CLOSE].concat());
}

/// Unplugged and plugged in again: the registration is gone with the first time, the host begins anew.
#[test]
fn a_device_can_be_plugged_in_again() {
    Schedule::simulate(1, |schedule| {
        let mock = MockSystem::new(schedule);
        SCENARIO.publish(&parameters(&SCENARIO, &[]), &mock).unwrap();
        let system = Arc::clone(&mock) as Arc<dyn System>;
        let connection = open(&system, USER_CLASS).unwrap();
        let queue = system.completion_queue();
        let register =
            || connection.call(selector::NOTIFY_FRAME).completing_on(&*queue, &[0]).send();
        let plain = |selector| connection.call(selector).send().map(drop);
        let second = Some(Duration::from_secs(1));
        for _ in 0..2 {
            register().unwrap();
            plain(selector::START).unwrap();
            let first = queue.wait(second).unwrap();
            let frame = from_scalars(&first.arguments).unwrap();
            assert_eq!(frame[..7], [0xff, 0xff, 0xff, 0xff, 0x80 | command::INIT, 0, 8]);
            plain(selector::STOP).unwrap();
        }
        plain(selector::START).unwrap();
        assert_eq!(queue.wait(second), None, "nobody is registered");
        plain(selector::STOP).unwrap();
        let again = plain(selector::STOP).unwrap_err().io_return();
        assert_eq!(again, Some(IoReturn::NOT_READY));
        let _ = connection.close();
        mock.settle();
        assert!(mock.leaks().is_empty(), "{:?}", mock.leaks());
    });
}

/// Two registrations, each retained once too often; and five more reports of a host that was never
/// told to be quiet.
#[test]
fn the_naive_dext_keeps_completions_and_goes_on_after_stop() {
    let run = simulate(NAME, &[("dext", "naive")], 1);
    let end = "stop: ok\nreports after stop: 5\nsend after stop: ok\n";
    assert_eq!(run.output, [BEFORE, LISTENING, TALK, BURST, end, CLOSE].concat());
    let classes: Vec<_> = run.leaks.iter().map(|leak| leak.class).collect();
    assert_eq!(classes, ["OSAction", "OSAction"], "{:?}", run.leaks);
}

/// What the device sends last is a completion that is lost, or comes twice.
#[test]
fn faults_on_the_way_to_the_client() {
    // The first frame of two: the ping never becomes whole.
    let run = faulty(NAME, &[], "completion 1 #2: lost", 1).unwrap();
    let stuck = "init, 8 bytes on 0xffffffff\nno frame within 1 s\nreports while busy: 0 of 12\n";
    assert_eq!(run.output, [BEFORE, LISTENING, stuck, END, CLOSE].concat());
    // A lost notice is made good by the next one, for a client that fetches until there is nothing.
    let set = [("delivery", "notice-of-each")];
    let whole = [BEFORE, LISTENING, TALK, BURST, END, FETCH, CLOSE].concat();
    for plan in ["completion 1 #5: lost", "completion 1 #2+: doubled"] {
        assert_eq!(faulty(NAME, &set, plan, 1).unwrap().output, whole, "{plan}");
    }
    // A frame that comes twice is one report more, with the number of the one before.
    let run = faulty(NAME, &[], "completion 1 #6: doubled", 1).unwrap();
    let twice = "reports while busy: 12 of 12, not in order\nstop: ok\nreports after stop: 1\n";
    assert!(run.output.contains(twice), "{}", run.output);
}

/// Nothing is made up for a client that waits (D20); calls say that the connection is gone, which never
/// mapped memory (H1).
#[test]
fn a_device_that_goes_away_while_the_client_is_busy() {
    for how in ["device removed", "dext dies"] {
        // The burst comes within the first 5 ms; the client is busy for 50. One of the notices is for
        // the ping's second frame, which the first has fetched.
        let run = faulty(NAME, &[("delivery", "notice-of-each")], &format!("at 20ms: {how}"), 1);
        let end = "\
fetch: MACH_SEND_INVALID_DEST (0x10000003)
reports while busy: 0 of 12
stop: MACH_SEND_INVALID_DEST (0x10000003)
reports after stop: 0
send after stop: MACH_SEND_INVALID_DEST (0x10000003)
fetch after stop: MACH_SEND_INVALID_DEST (0x10000003)
close: MACH_SEND_INVALID_DEST (0x10000003)
";
        let fetch = end.lines().next().unwrap();
        let ends = [&[fetch, "\n"].concat().repeat(13), &end[fetch.len() + 1..]].concat();
        assert_eq!(run.unwrap().output, [BEFORE, LISTENING, TALK, &ends].concat(), "{how}");
        // Frames that travel in completions are all there: they wait on the port, not in the dext (D21).
        let run = faulty(NAME, &[], &format!("at 20ms: {how}"), 1).unwrap();
        assert!(run.output.contains(BURST), "{how}: {}", run.output);
    }
}

#[test]
fn a_refused_open_ends_the_client() {
    let refused = faulty(NAME, &[], "open: refuse NotPermitted", 1).unwrap_err();
    assert_eq!(refused.to_string(), "open HidFrames: kIOReturnNotPermitted (0xe00002e2)");
}
