use super::support::{faulty, live, parameters, simulate};
use dextape_scenarios::null_driver::SCENARIO;
use dextape_scenarios::{Time, run_on_mock};

const BAD_ARGUMENT: &str = "kIOReturnBadArgument (0xe00002c2)";

/// What the synchronous part prints where the first scalar is `base`.
fn synchronous(base: u64) -> String {
    let scalars: Vec<_> = (base + 1..=base + 16).map(|scalar| scalar.to_string()).collect();
    let scalars = scalars.join(" ");
    let data = format!("foo {} bar {}", base + 301, base + 410);
    format!(
        "\
scalar: ok, scalars {scalars}
struct: ok, {data}
oversized struct: ok, 4104 bytes
  ok, {data}, the rest the same
oversized struct in, small out: ok, {data}
struct, nothing in: {BAD_ARGUMENT}
checked scalar: ok, scalars {scalars}
checked scalar, 15 in: {BAD_ARGUMENT}
checked scalar, 15 out: {BAD_ARGUMENT}
checked scalar and a structure: {BAD_ARGUMENT}
checked struct: ok, {data}
checked struct, 15 bytes in: {BAD_ARGUMENT}
checked struct, 17 bytes out: {BAD_ARGUMENT}
checked struct, oversized in: {BAD_ARGUMENT}
no such selector: kIOReturnUnsupported (0xe00002c7)
"
    )
}

/// The request before the registration fails as Apple's dext has it. Completions carry the reference
/// of the registration with entry 0 blanked (D7) and missing entries 0 (D8). Requests take 5 s.
const ASYNCHRONOUS: &str = "\
request before registration: kIOReturnError (0xe00002bc)
register without a wake port: kIOReturnBadArgument (0xe00002c2)
register with an empty reference: kIOReturnBadArgument (0xe00002c2)
register: ok, foo 301 bar 410
  completion at once: ok, arguments 1 301 410, reference 0 1 2 0
request: ok
  no completion within 1 s
  completion some seconds later: ok, arguments 2 301 401, reference 0 1 2 0
request: ok
  no completion within 1 s
  completion some seconds later: ok, arguments 2 302 402, reference 0 1 2 0
request: ok
request: ok
  completion some seconds later: ok, arguments 2 303 403, reference 0 1 2 0
  completion at once: ok, arguments 2 304 404, reference 0 1 2 0
left over: no
";

/// A connection that never mapped memory is dead after its close (H1).
const CLOSE: &str = "close: ok\nafter it: MACH_SEND_INVALID_DEST (0x10000003)\n";

#[test]
fn apples_sample_answers_as_it_should() {
    let live = simulate("null-driver", &[], 1);
    assert_eq!(live.output, format!("{}{ASYNCHRONOUS}{CLOSE}", synchronous(0)));
    assert!(live.findings.is_empty(), "{:?}", live.findings);
    assert!(live.leaks.is_empty(), "{:?}", live.leaks);
}

#[test]
fn parts_and_rounds_can_be_chosen() {
    let live = simulate("null-driver", &[("part", "sync"), ("rounds", "2")], 1);
    assert_eq!(live.output, format!("{}{}{CLOSE}", synchronous(0), synchronous(100)));
    let live = simulate("null-driver", &[("part", "async")], 1);
    assert_eq!(live.output, format!("{ASYNCHRONOUS}{CLOSE}"));
}

fn threads(close: &str) -> String {
    let others: Vec<_> = (1..4)
        .map(|thread| format!("-- thread {thread}\n{}{close}", synchronous(1000 * thread)))
        .collect();
    format!("{}{}{CLOSE}", synchronous(0), others.concat())
}

#[test]
fn threads_do_not_disturb_each_other() {
    let set = [("part", "sync"), ("threads", "4")];
    for seed in 0..20 {
        assert_eq!(simulate("null-driver", &set, seed).output, threads(""), "seed {seed}");
    }
    assert_eq!(live("null-driver", &set, Time::Free).output, threads(""));
    let set = [set[0], set[1], ("connections", "each")];
    assert_eq!(simulate("null-driver", &set, 1).output, threads("close: ok\n"));
    assert_eq!(live("null-driver", &set, Time::Free).output, threads("close: ok\n"));
}

/// Removal aborts nothing that the client could see: no completion is made up (D20), calls give
/// `MACH_SEND_INVALID_DEST` from then on, and so does the close (H1, H2).
#[test]
fn a_driver_that_is_removed_leaves_the_client_waiting() {
    let removed = "at 8s: device removed";
    let run = |seed| faulty("null-driver", &[("part", "async")], removed, seed).unwrap();
    let expected = "\
request before registration: kIOReturnError (0xe00002bc)
register without a wake port: kIOReturnBadArgument (0xe00002c2)
register with an empty reference: kIOReturnBadArgument (0xe00002c2)
register: ok, foo 301 bar 410
  completion at once: ok, arguments 1 301 410, reference 0 1 2 0
request: ok
  no completion within 1 s
  completion some seconds later: ok, arguments 2 301 401, reference 0 1 2 0
request: ok
  no completion within 1 s
  no completion within 10 s
request: MACH_SEND_INVALID_DEST (0x10000003)
request: MACH_SEND_INVALID_DEST (0x10000003)
  no completion within 10 s
  no completion within 10 s
left over: no
close: MACH_SEND_INVALID_DEST (0x10000003)
after it: MACH_SEND_INVALID_DEST (0x10000003)
";
    let live = run(1);
    assert_eq!(live.output, expected);
    assert!(live.leaks.is_empty(), "{:?}", live.leaks);
    assert_eq!(run(2).output, expected);
}

#[test]
fn wrong_parameters_are_told() {
    let scenario = SCENARIO;
    let message = |set| {
        let parameters = parameters(&scenario, &[set]);
        let time = Time::Simulated { seed: 1 };
        run_on_mock(&scenario, &parameters, time, |system| system).unwrap_err().to_string()
    };
    assert_eq!(
        message(("part", "some")),
        "read parameter part = \"some\": expected one of all, sync, async"
    );
    assert_eq!(
        message(("threads", "17")),
        "read parameter threads = \"17\": expected a number from 1 to 16"
    );
}
