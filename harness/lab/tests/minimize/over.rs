//! Tapes over a mock: what is left of them, and what it is imposed as.

use dextape::IoReturn;
use dextape::connection::{ConnectionExt, Matching, System};
use dextape::kernel::MockSystem;
use dextape::perturb::{Check, Deviations};
use dextape::replay::{LoadError, ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Header, Payload, Structure, Tape};
use dextape_lab::{
    Attempt, Baseline, Failure, MinimizeError, MinimizeOptions, Minimized, Mode, Regression,
    RegressionError, answered_over, minimize_over, places_over,
};
use dextape_recorder::recording::RecordOptions;
use dextape_recorder::suite::RunRecording;
use dextape_scenarios::null_driver::abi::{self, Data, selector};
use dextape_scenarios::{Parameters, Scenario, null_driver};
use std::sync::Arc;
use std::time::Duration;

const CALLS: u64 = 8;

/// What a device in the field once said in place of what the mock does.
const ODD: u64 = 0x7777;

fn mock(schedule: &Schedule, faults: dextape::fault::FaultPlan) -> Arc<MockSystem> {
    let mock = MockSystem::builder(schedule).faults(faults).build();
    let scenario = &null_driver::SCENARIO;
    scenario.publish(&Parameters::of(scenario), &mock).unwrap();
    mock
}

fn make(schedule: &Schedule, faults: dextape::fault::FaultPlan) -> Arc<dyn System> {
    mock(schedule, faults)
}

/// Adds up what it is answered; the mended one passes over what is odd.
fn sum(system: &Arc<dyn System>, is_mended: bool) -> Result<u64, String> {
    let told = |result: IoReturn| result.to_string();
    let service = system.first_service(&Matching::user_class(abi::USER_CLASS)).map_err(told)?;
    let connection = system.open(service, 0).map_err(told)?;
    let mut sum = 0;
    for number in 0..CALLS {
        let data = Data { foo: number, bar: 0 };
        let call = connection.call(selector::CHECKED_STRUCT).input(&data);
        let answer: Data = call.output().map_err(|error| error.to_string())?;
        if answer.foo == number + 1 {
            sum += answer.foo;
        } else if !is_mended {
            return Err(format!("{} is answered to {number}", answer.foo));
        }
    }
    Ok(sum)
}

/// The tape of a run with these deviations.
fn recorded(list: &str, client: impl Fn(&Arc<dyn System>) -> Result<u64, String>) -> Tape {
    let folder = tempfile::tempdir().unwrap();
    let check = Check::mock(1, mock).recorder(|| RunRecording::start(RecordOptions::default()));
    let list: Deviations = list.parse().unwrap();
    let tape = check.record(&list, client).unwrap();
    // As it is read from a file.
    let path = folder.path().join("a.tape.jsonl");
    tape.write(&path).unwrap();
    let mut tape = Tape::read(&path).unwrap();
    tape.inline_blobs().unwrap();
    assert!(tape.validate().is_valid());
    tape
}

/// Has the answer to the call of that number be odd.
fn with_odd(mut tape: Tape, number: u64) -> Tape {
    let mut calls = 0;
    for event in tape.events_mut() {
        if let Body::Return(returned) = &mut event.body {
            if calls == number {
                returned.structure = Some(Payload::bytes(&[ODD.to_le_bytes(), [0; 8]].concat()));
            }
            calls += 1;
        }
    }
    tape
}

fn ended(
    tape: &Arc<Tape>,
    client: impl FnOnce(&Arc<dyn System>) -> Result<u64, String>,
) -> Option<Failure> {
    answered_over(tape, &make, client).unwrap()
}

/// How the client with the bug fails.
fn odd() -> Failure {
    Failure::client("error", "1 is answered to 2")
}

fn shrunk(tape: &Tape, deviations: &str) -> Result<Minimized, MinimizeError> {
    let ended = |attempt: &Attempt, is_mended| {
        ended(attempt.tape(), |system| sum(system, is_mended)) == Some(odd())
    };
    let baseline = Baseline {
        mock: "null-driver".to_owned(),
        deviations: deviations.parse().unwrap(),
        places: Vec::new(),
    };
    let options = MinimizeOptions::of(Mode::Client);
    let (fails, is_alike) = (|it: &Attempt| ended(it, false), |it: &Attempt| ended(it, true));
    let mut found = minimize_over(tape, &baseline, "the sum", &options, &fails, &is_alike)?;
    odd().enter(found.tape.header_mut());
    Ok(found)
}

/// Alone the tape would have to hold every answer, or the mended client would fail, too.
#[test]
fn of_a_device_that_answered_one_call_otherwise_that_call_is_left() {
    let tape = with_odd(recorded("", |system| sum(system, true)), 5);
    let found = shrunk(&tape, "").unwrap();
    assert!(found.is_minimal && found.tape.validate().is_valid());
    assert_eq!(found.events_before, tape.events().len());
    let left = &found.tape;
    let names: Vec<&str> = left.events().iter().map(|event| event.body.name()).collect();
    assert_eq!(names, ["open", "opened", "call", "return"]);
    let Body::Call(call) = &left.events()[2].body else { panic!("a call") };
    let Structure::Bytes(data) = &call.input else { panic!("bytes") };
    assert_eq!(data.as_bytes().unwrap()[0], 5);
    let note = "trimmed: 4 of 19 events, over the mock of null-driver";
    assert_eq!(left.header().provenance.last().unwrap(), note);
    let tape = Arc::new(found.tape);
    assert_eq!(ended(&tape, |system| sum(system, false)), Some(odd()));
    // All others are the mock's: the sum is right but for the odd answer.
    let mut total = 0;
    let client = |system: &Arc<dyn System>| sum(system, true).inspect(|sum| total = *sum);
    assert_eq!(ended(&tape, client), None);
    assert_eq!(total, (1..=CALLS).sum::<u64>() - 6);
}

/// A recorded call that failed is not made of the mock, one that worked is; and it takes as long as it did.
#[test]
fn what_is_imposed_is_the_answer_and_its_time() {
    let mut tape = recorded("", |system| sum(system, true));
    let mut calls = 0;
    for event in tape.events_mut() {
        if let Body::Return(returned) = &mut event.body {
            calls += 1;
            if calls == 2 {
                returned.result = IoReturn::BUSY;
                (returned.structure, returned.structure_size) = (None, None);
            }
        }
        if calls >= 2 {
            event.time += 3_000_000;
        }
    }
    let tape = Arc::new(tape);
    let client = |system: &Arc<dyn System>| {
        let before = system.schedule().now();
        let said = sum(system, true).unwrap_err();
        assert!(said.ends_with(&IoReturn::BUSY.to_string()), "{said}");
        assert_eq!(system.schedule().now() - before, Duration::from_millis(3));
        Err::<u64, _>(said)
    };
    assert!(ended(&tape, client).is_some());
    // With faults of its own the mock has the first call fail, which is not the one that it sees first.
    let baseline = Baseline {
        mock: "null-driver".to_owned(),
        deviations: "fault call 3 #1: error NoMemory".parse().unwrap(),
        places: Vec::new(),
    };
    let mut tape = Arc::into_inner(tape).unwrap();
    tape.events_mut().truncate(2);
    baseline.enter(tape.header_mut());
    let client = |system: &Arc<dyn System>| sum(system, true);
    let failure = ended(&Arc::new(tape), client).unwrap().to_string();
    assert!(failure.contains("kIOReturnNoMemory"), "{failure}");
}

/// Asks for an answer that comes in a completion, and waits for it.
fn answer(system: &Arc<dyn System>) -> Result<u64, String> {
    let told = |result: IoReturn| result.to_string();
    let service = system.first_service(&Matching::user_class(abi::USER_CLASS)).map_err(told)?;
    let connection = system.open(service, 0).map_err(told)?;
    let queue = system.completion_queue();
    let reference = [0, 1, 2];
    let data = Data { foo: 1, bar: 2 };
    let call = connection.call(selector::REGISTER_ASYNC).input(&data);
    let said = call.completing_on(&*queue, &reference).output::<Data>();
    said.map_err(|error| error.to_string())?;
    let came = queue.wait(Some(Duration::from_secs(1)));
    let came = came.ok_or("nobody answers")?;
    Ok(came.reference[1] << 32 | came.arguments[0])
}

/// The completion that the tape no longer holds is lost, the one that it holds comes when it came, and
/// those of the mock are heard by nobody.
#[test]
fn completions_of_a_held_call_are_those_of_the_tape() {
    let whole = recorded("", answer);
    assert_eq!(ended(&Arc::new(copy(&whole)), answer), None);
    let mut lost = copy(&whole);
    lost.events_mut()
        .retain(|event| !matches!(event.body, Body::Posted { .. } | Body::Delivered { .. }));
    let failure = ended(&Arc::new(lost), answer);
    assert_eq!(failure, Some(Failure::client("error", "nobody answers")));
    let mut other = copy(&whole);
    for event in other.events_mut() {
        if let Body::Posted { arguments, .. } = &mut event.body {
            *arguments = dextape::call::Scalars::clamped(&[ODD]);
            event.time += 700_000_000;
        }
    }
    let mut heard = (0, Duration::ZERO);
    let client = |system: &Arc<dyn System>| {
        let came = answer(system);
        heard = (came.clone().unwrap(), system.schedule().now());
        came
    };
    assert_eq!(ended(&Arc::new(other), client), None);
    assert_eq!(heard.0, 1 << 32 | ODD);
    assert!(heard.1 >= Duration::from_millis(700), "{heard:?}");
}

fn copy(tape: &Tape) -> Tape {
    Tape::new(tape.header().clone(), tape.events().to_vec())
}

#[test]
fn of_deviations_those_are_left_that_the_failure_needs_in_their_plainest_form() {
    let list =
        "lane 1 before #3: stall 7ms; fault call 3 #6: delay 1234ms; lane 1 after #5: stall 1ms";
    let late = |system: &Arc<dyn System>| {
        sum(system, false)?;
        let now = system.schedule().now();
        if now < Duration::from_millis(900) { Ok(0) } else { Err("it is late".to_owned()) }
    };
    let tape = recorded(list, late);
    assert_eq!(Deviations::of_header(tape.header()).unwrap().unwrap().to_string(), list);
    let baseline = Baseline {
        mock: "null-driver".to_owned(),
        deviations: list.parse().unwrap(),
        places: Vec::new(),
    };
    let fails = |attempt: &Attempt| ended(attempt.tape(), late).is_some();
    let options = MinimizeOptions::of(Mode::Client);
    let never = |_: &Attempt| false;
    let found = minimize_over(&tape, &baseline, "it", &options, &fails, &never).unwrap();
    let left = Baseline::of_header(found.tape.header()).unwrap().unwrap();
    assert_eq!(left.deviations.to_string(), "fault call 3 #6: delay 1s");
    assert!(found.tape.events().is_empty() && found.is_minimal);
    assert_eq!(Deviations::of_header(found.tape.header()), Ok(None));
    // What the mock does by itself is no matter of the tape.
    let always = |_: &Attempt| true;
    let bare = minimize_over(&tape, &baseline, "it", &options, &always, &never).unwrap_err();
    assert!(matches!(bare, MinimizeError::Bare(_)), "{bare}");
    insta::assert_snapshot!(format!("failed to {bare}"), @"failed to minimise the tape: the mock brings about it with nothing of the tape and no deviation; a run of the client on the mock shows it");
}

#[test]
fn places_are_told_for_people() {
    let mut tape = recorded("", |system| sum(system, true));
    tape.events_mut().clear();
    let baseline = Baseline {
        mock: "null-driver".to_owned(),
        deviations: "lane 1 after #4: stall 2ms; lane 1 before #400: stall 2ms".parse().unwrap(),
        places: Vec::new(),
    };
    baseline.enter(tape.header_mut());
    let places = places_over(&Arc::new(tape), &make, |system| sum(system, true)).unwrap();
    assert_eq!(places, ["call 3, at 0ns", ""]);
}

#[test]
fn a_regression_over_a_mock_is_run_over_it_and_no_other_way() {
    let tape = with_odd(recorded("", |system| sum(system, true)), 2);
    let found = shrunk(&tape, "").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.tape.jsonl");
    found.tape.write(&path).unwrap();
    let regression = Regression::read(&path).unwrap();
    assert_eq!(regression.baseline().unwrap().mock, "null-driver");
    let there = regression.client_over(&make, |system| sum(system, false));
    assert!(matches!(there, Err(RegressionError::StillThere(..))), "{there:?}");
    regression.client_over(&make, |system| sum(system, true)).unwrap();
    let alone = regression.client(|system| sum(system, true)).unwrap_err();
    let told = alone.to_string().replace(path.to_str().unwrap(), "PATH");
    insta::assert_snapshot!(told, @"run a client by PATH alone: it holds only in what a run on the mock of null-driver differs; give that mock to `Regression::client_over`");
    let program = regression.program(Some(1), None, "");
    assert!(matches!(program, Ok(())), "{program:?}");
    let replayed = Replayer::new(Arc::clone(regression.tape()), ReplayOptions::default());
    let Err(error @ LoadError::OverMock { .. }) = replayed else { panic!("it is replayed") };
    insta::assert_snapshot!(error, @r#"replay the tape alone: it holds only in what a run on a mock differs, which its header names as {"mock":"null-driver"}; `cargo xtask minimize` and `dextape_lab::Regression` run clients over that mock"#);
    let mut plain = copy(&tape);
    regression.failure().enter(plain.header_mut());
    plain.write(&path).unwrap();
    let plain = Regression::read(&path).unwrap();
    let over = plain.client_over(&make, |system| sum(system, true)).unwrap_err();
    assert!(matches!(over, RegressionError::NoBaseline(_)), "{over}");
}

#[test]
fn what_is_no_baseline_is_told() {
    let mut header = Header::mock();
    let told = |header: &Header| Baseline::of_header(header).unwrap_err();
    header.extra.insert(Header::BASELINE.to_owned(), serde_json::json!({ "mock": 7 }));
    assert!(told(&header).starts_with("read `baseline` in the tape's header: "));
    let wrong = serde_json::json!({ "mock": "a", "deviations": ["lane 1"] });
    header.extra.insert(Header::BASELINE.to_owned(), wrong);
    assert!(told(&header).contains("expected a place, a colon"), "{}", told(&header));
}

/// The same run leaves the same bytes, in a file of its own name.
#[test]
fn a_failed_run_on_a_mock_leaves_its_tape() {
    let list: Deviations = "fault call 3 #3: error NoMemory".parse().unwrap();
    let kept = || {
        let check = Check::mock(1, mock).deviations(list.clone());
        let check = check.recorder(|| RunRecording::start(RecordOptions::default()));
        let failure = check.run(|system| sum(system, true)).unwrap_err();
        let path = failure.tape.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        (path, text)
    };
    let (path, text) = kept();
    assert_eq!(kept(), (path, text.clone()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tape.jsonl");
    std::fs::write(&path, text).unwrap();
    let tape = Tape::read(&path).unwrap();
    assert!(tape.validate().is_valid());
    assert_eq!(Deviations::of_header(tape.header()), Ok(Some(list.clone())));
    assert_eq!(tape.header().provenance, [format!("perturbed: {list}")]);
    // It replays as any other, without the mock.
    let replayer = Replayer::new(Arc::new(tape), ReplayOptions::default()).unwrap();
    let ended = Schedule::simulate(1, |on| {
        let system: Arc<dyn System> = replayer.system(on);
        sum(&system, true)
    });
    assert!(ended.unwrap_err().contains("kIOReturnNoMemory"));
    assert!(replayer.finish().unwrap().is_complete());
    // Without a recorder there is none, and it is said how to have one.
    let check = Check::mock(1, mock).deviations(list);
    let failure = check.run(|system| sum(system, true)).unwrap_err();
    let why = failure.tape.unwrap_err();
    assert_eq!(why, "the mock's runs are not recorded; `Check::recorder` has them so");
}

#[test]
fn a_check_of_a_tape_over_a_mock_is_refused() {
    let mut tape = recorded("", |system| sum(system, true));
    Baseline { mock: "null-driver".to_owned(), ..Baseline::default() }.enter(tape.header_mut());
    let error = Check::new(&tape).unwrap_err();
    insta::assert_snapshot!(format!("failed to {error}"), @"failed to make other runs of the tape: it holds only in what a run on a mock differs; check the client on that mock");
}
