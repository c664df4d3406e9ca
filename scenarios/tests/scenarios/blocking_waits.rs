use super::recorded::both_faulty;
use super::support::{faulty, live, simulate};
use dextape_scenarios::Time;
use dextape_scenarios::blocking_waits::SCENARIO;

/// Every thread has its frames while the others wait, although all wait inside one dext.
const RIGHT: &str = "\
map the registers: the board is known
start the board: ok
set the format: ok
-- player
frame 1 goes out
frame 2 goes out
frame 3 goes out
frame 4 goes out
-- capture
frame 1 came in
frame 2 came in
frame 3 came in
frame 4 came in
-- watcher
the format changed: 2
-- second input
no signal
no signal
-- main
stop the board: ok
close: ok
";

fn clean(set: &[(&str, &str)]) -> String {
    let run = simulate("blocking-waits", set, 1);
    assert!(run.findings.is_empty(), "{:?}", run.findings);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
    run.output
}

/// Lines of one thread.
fn of<'a>(output: &'a str, thread: &str) -> &'a str {
    let (_, rest) = output.split_once(&format!("-- {thread}\n")).unwrap();
    rest.split("-- ").next().unwrap()
}

#[test]
fn threads_wait_beside_each_other_where_methods_sleep() {
    assert_eq!(clean(&[]), RIGHT);
}

/// The first wait returns when its interrupt comes, but the player's next call waits for those of the
/// others: until 31 ms for the capture, then 500 ms for the watcher and 100 ms for the search. 31 frames
/// have begun by then, one of them the player's. So waits the write of the format at 33 ms, which the
/// watcher waits for.
#[test]
fn a_method_that_keeps_its_queue_keeps_the_others_out() {
    let output = clean(&[("parking", "keeps")]);
    assert!(output.contains("set the format: ok, 29 frames later\n"), "{output}");
    assert!(of(&output, "player").starts_with("frame 1 goes out, missed 30\n"), "{output}");
    assert_eq!(of(&output, "watcher"), "no change was told: 2\n");
}

/// Interrupts that are handled on the queue of the wait come when it is over.
#[test]
fn interrupts_on_the_queue_of_the_wait_never_end_it() {
    let output = clean(&[("parking", "deafens")]);
    assert_eq!(of(&output, "player").matches("has no interrupt, missed ").count(), 4, "{output}");
    assert_eq!(of(&output, "capture").matches("without an interrupt, missed ").count(), 4);
    assert_eq!(of(&output, "watcher"), "no change was told: 2\n");
}

/// A map waits for every method inside, the watcher's 500 ms since 2 ms among them, and keeps new ones
/// out meanwhile (K2): from 33 to 502 ms are 23 frames.
#[test]
fn a_map_waits_for_the_longest_wait_and_all_others_for_the_map() {
    let output = clean(&[("client", "late-map")]);
    let late = "map the registers: the board is known, 23 frames later\n";
    assert!(output.contains(late), "{output}");
    assert!(of(&output, "player").starts_with("frame 1 goes out\nframe 2 goes out, missed 23\n"));
    assert_eq!(of(&output, "watcher"), "no change was told: 2\n");
}

/// A close waits, too: from 45 ms to the end of the search for a signal, 100 ms after 3 ms. Then there
/// is no right left to call with (A15).
#[test]
fn a_close_waits_for_what_waits_inside() {
    let output = clean(&[("client", "early-close")]);
    assert!(output.contains("close: ok, 2 frames later\n"), "{output}");
    for thread in ["player", "capture", "second input"] {
        let text = of(&output, thread);
        assert!(text.ends_with("gives up: MACH_SEND_INVALID_DEST (0x10000003)\n"), "{output}");
    }
    assert_eq!(of(&output, "watcher"), "the format changed: 2\n");
}

/// The board goes away at 70 ms: what waits inside ends as it would (H3), what is called then does not
/// reach the dext (H1: it mapped once), and the close works (H2).
#[test]
fn removal_lets_waits_run_to_their_end() {
    let run = faulty("blocking-waits", &[], "at 70ms: device removed", 1).unwrap();
    let gone = "gives up: kIOReturnBadArgument (0xe00002c2)\n";
    assert_eq!(
        of(&run.output, "player"),
        format!("frame 1 goes out\nframe 2 goes out\nframe 3 goes out\n{gone}")
    );
    assert_eq!(of(&run.output, "second input"), format!("no signal\n{gone}"));
    let end = "stop the board: kIOReturnBadArgument (0xe00002c2)\nclose: ok\n";
    assert_eq!(of(&run.output, "main"), end);
    assert!(run.leaks.is_empty(), "{:?}", run.leaks);
}

/// The dext dies at 70 ms: whoever is inside is told so at once (H4).
#[test]
fn death_ends_waits_at_once() {
    let run = faulty("blocking-waits", &[], "at 70ms: dext dies", 1).unwrap();
    let died = "gives up: MIG_SERVER_DIED (0xfffffecc)\n";
    for thread in ["player", "capture", "second input"] {
        assert!(of(&run.output, thread).ends_with(died), "{}", run.output);
    }
    // It was inside since 3 ms for 100 ms, and has found nothing yet.
    assert_eq!(of(&run.output, "second input"), died);
}

#[test]
fn faults_replay_as_they_were() {
    for plan in [
        "at 70ms: device removed",
        "at 70ms: dext dies",
        "call 11 #3: dext dies",
        "call 13: error Aborted",
        "call 12 #2: device removed",
    ] {
        let (live, replayed) = both_faulty(&SCENARIO, &[], Time::Simulated { seed: 2 }, plan);
        assert_eq!(live, replayed, "{plan}");
        assert_ne!(live, RIGHT, "{plan}");
    }
}

#[test]
fn an_open_can_be_refused() {
    let error = faulty("blocking-waits", &[], "open: refuse NotPermitted", 1).unwrap_err();
    assert_eq!(error.to_string(), "open VideoBoard: kIOReturnNotPermitted (0xe00002e2)");
}

/// How many frames a thread misses in real time is the machine's affair.
#[test]
fn real_threads_get_to_the_end() {
    let output = live("blocking-waits", &[], Time::Free).output;
    assert_eq!(of(&output, "player").matches("goes out").count(), 4, "{output}");
    assert_eq!(of(&output, "second input"), "no signal\nno signal\n");
    assert!(output.ends_with("stop the board: ok\nclose: ok\n"), "{output}");
}
