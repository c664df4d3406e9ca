//! Two recordings of a run become a tape that serves a third one, and nothing but that.

use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::replay::Policy;
use dextape::tape::{Body, Return, Tape};
use dextape_lab::{FieldClass, LearnError, Trial, import_imf, learn, trial};
use std::sync::Arc;

const LOG: &str = include_str!("data/small.imf.log");

/// The tape of the small log with the bytes of its one structure handed in, and as many further calls.
fn run(structure: &str, further: usize) -> Tape {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.log"), folder.path().join("a.tape.jsonl"));
    let log = LOG.replace("[0x1,0x2,0x3,0x4,]", structure);
    let lines: Vec<&str> = log.lines().collect();
    let at = lines.iter().position(|line| line.contains("IOConnectCallScalarMethod")).unwrap();
    let more = lines[at..at + 2].repeat(further);
    let lines = [&lines[..at], &more, &lines[at..]].concat();
    std::fs::write(&from, lines.join("\n")).unwrap();
    import_imf(&from, &to).unwrap();
    let mut tape = Tape::read(&to).unwrap();
    tape.inline_blobs().unwrap();
    tape
}

#[test]
fn what_differs_in_two_runs_may_differ_in_a_third_and_nothing_else() {
    let (one, other) = (run("[0x1,0x2,0x3,0x4,]", 0), run("[0x5,0x6,0x7,0x8,]", 0));
    let learned = learn(&[&one, &other]).unwrap();
    assert_eq!(learned.report.fields.len(), 1, "{}", learned.report);
    let field = &learned.report.fields[0];
    assert_eq!((field.class, field.place.as_str()), (FieldClass::Pointer, "input 0x0"));
    assert_eq!(learned.tape.header().policy.as_deref(), Some(Policy::Nearest.name()));
    assert_eq!(learned.tape.validate().found, 0);

    let tape = Arc::new(learned.tape);
    let all = Trial {
        calls: 2,
        counterparts: 2,
        exact: 1,
        masked: 2,
        served: 2,
        others: 9,
        others_served: 9,
        ..Trial::default()
    };
    let third = run("[0x9,0x9,0x9,0x9,]", 0);
    assert_eq!(trial(&tape, &[&one, &other], &third).unwrap(), all);
    // A call more than any run had has no counterpart, and diverges.
    let longer = run("[0x9,0x9,0x9,0x9,]", 1);
    let told = trial(&tape, &[&one, &other], &longer).unwrap();
    assert_eq!((told.calls, told.counterparts, told.served), (3, 2, 2));
    assert_eq!((told.diverged, told.failed.len(), told.meets_the_aim()), (1, 1, true));
}

#[test]
fn what_only_one_run_does_is_put_in_where_it_did_it() {
    let (short, long) = (run("[0x1,0x2,0x3,0x4,]", 0), run("[0x1,0x2,0x3,0x4,]", 2));
    let learned = learn(&[&short, &long]).unwrap();
    assert_eq!(learned.report.inserted, 2, "{}", learned.report);
    assert_eq!(learned.tape.validate().found, 0, "{}", learned.tape.validate());
    assert_eq!(learned.tape.events().len(), long.events().len());
    let served = trial(&Arc::new(learned.tape), &[&short, &long], &long).unwrap();
    assert_eq!((served.served, served.counterparts), (served.calls, served.calls));
    assert!(served.meets_the_aim());
}

#[test]
fn an_answer_that_the_run_contradicts_is_counted() {
    let (one, other) = (run("[0x1,0x2,0x3,0x4,]", 0), run("[0x5,0x6,0x7,0x8,]", 0));
    let learned = Arc::new(learn(&[&one, &other]).unwrap().tape);
    let answered = |change: fn(&mut Return)| {
        let mut third = run("[0x9,0x9,0x9,0x9,]", 0);
        let returned = third.events_mut().iter_mut().find_map(|event| match &mut event.body {
            Body::Return(returned) => Some(returned),
            _ => None,
        });
        change(returned.unwrap());
        trial(&learned, &[&one, &other], &third).unwrap()
    };
    let failed = answered(|returned| {
        *returned = Return {
            result: IoReturn::BUSY,
            scalars: Scalars::clamped(&[]),
            structure_size: None,
            structure: None,
        };
    });
    assert_eq!((failed.contradicted, failed.meets_the_aim()), (1, false), "{failed:?}");
    // What no run has there is counted for itself.
    let new = answered(|returned| returned.scalars = Scalars::clamped(&[10]));
    assert_eq!((new.contradicted, new.unforeseen), (0, 1), "{new:?}");
}

#[test]
fn one_run_says_nothing_of_what_differs() {
    let one = run("[0x1,0x2,0x3,0x4,]", 0);
    assert!(matches!(learn(&[&one]), Err(LearnError::TooFew(1))));
}
