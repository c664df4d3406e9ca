//! Both modes on a large tape: of 2,000 events in the test run, of 100,000 in the proof.

use super::planted::{CURSED, client, mock, record, rounds};
use dextape::connection::System;
use dextape::schedule::Schedule;
use dextape::tape::Tape;
use dextape_lab::{
    Attempt, DriveOptions, Driven, Failure, Lenient, MinimizeOptions, Minimized, Mode, drive,
    minimize,
};
use std::sync::Arc;
use std::time::Instant;

/// Events of the tapes.
fn events() -> u64 {
    let asked = std::env::var("DEXTAPE_MINIMIZE").ok().and_then(|count| count.parse().ok());
    asked.unwrap_or(2_000)
}

fn driven(tape: &Arc<Tape>, has_bug: bool) -> Driven {
    let report = Schedule::simulate(1, |schedule| {
        let system: Arc<dyn System> = mock(schedule, has_bug);
        drive(tape, &system, DriveOptions::default()).unwrap()
    });
    Driven { report, ..Driven::default() }
}

/// How the client ends that is answered from a tape.
fn ended(tape: &Arc<Tape>) -> Result<(), String> {
    let lenient = Lenient::new(Arc::clone(tape)).unwrap();
    Schedule::simulate(1, |schedule| client(&*lenient.system(schedule), rounds(events())))
}

fn told(what: &str, found: &Minimized, began: Instant) {
    let Minimized { tape, events_before, trials, remembered, .. } = found;
    eprintln!(
        "{what}: {events_before} events to {} in {:.1} s, {trials} runs, {remembered} remembered",
        tape.events().len(),
        began.elapsed().as_secs_f64(),
    );
}

#[test]
fn calls_of_a_dext_shrink_to_those_that_its_failure_needs() {
    let (whole, ended) = record(events(), false);
    assert_eq!(ended, Ok(()));
    assert!(whole.events().len() as u64 >= events(), "{}", whole.events().len());
    let whole = Arc::new(whole);
    let failure = Failure::first_of(&driven(&whole, true)).unwrap();
    let began = Instant::now();
    let options = MinimizeOptions { jobs: 2, ..MinimizeOptions::of(Mode::Dext) };
    let fails = |attempt: &Attempt| failure.is_seen(attempt, &driven(attempt.tape(), true));
    let found = minimize(&whole, &failure.to_string(), &options, &fails).unwrap();
    told("dext mode", &found, began);
    assert!(found.is_minimal);
    // The service, the open, the slot that is set, the slot that is asked.
    let text = found.tape.to_text().unwrap();
    assert_eq!(found.tape.events().len(), 7, "{text}");
    assert!(found.tape.validate().is_valid());
    assert!(text.contains(&format!("{CURSED:#x}")), "{text}");
}

#[test]
fn answers_to_a_client_shrink_to_those_that_its_failure_needs() {
    let (whole, ended_first) = record(events(), true);
    let what = ended_first.unwrap_err();
    let failure = Failure::client("check", &what);
    let began = Instant::now();
    let options = MinimizeOptions { jobs: 2, ..MinimizeOptions::of(Mode::Client) };
    let fails = |attempt: &Attempt| {
        ended(attempt.tape()).is_err_and(|what| Failure::client("check", &what) == failure)
    };
    let found = minimize(&whole, &failure.to_string(), &options, &fails).unwrap();
    told("client mode", &found, began);
    assert!(found.is_minimal);
    let text = found.tape.to_text().unwrap();
    assert_eq!(found.tape.events().len(), 6, "{text}");
    assert!(found.tape.validate().is_valid());
    assert_eq!(ended(&Arc::new(found.tape)), Err(what));
}
