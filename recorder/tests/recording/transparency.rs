//! The client sees the same with and without the recorder.

use super::program::{Step, every_kind, program, run};
use dextape::schedule::Schedule;
use dextape_recorder::journal::JournalOptions;
use dextape_recorder::recording::FieldPlace;
use dextape_recorder::recording::{RecordOptions, RecordingSession, Redaction, Redactor};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// Takes everything out.
#[derive(Debug)]
struct Everything;

impl Redactor for Everything {
    fn name(&self) -> &str {
        "everything"
    }

    fn redact(&self, _place: &FieldPlace<'_>, bytes: &mut [u8]) -> Redaction {
        bytes.fill(0x2a);
        Redaction::Remove
    }
}

#[derive(Clone, Copy, Debug)]
enum Recorder {
    Plain,
    Redacting,
    /// One recorder inside another.
    Twice,
    /// Recording was over before the client began.
    Finished,
    /// It is over after half of the program.
    Stopping,
    /// The journal has room for a few events only.
    OutOfRoom,
}

fn recorded(recorder: Recorder, shows_posts: bool, steps: &[Step]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let session = |name: &str, redactor: Option<Arc<dyn Redactor>>| {
        let mut options = RecordOptions { redactor, ..RecordOptions::default() };
        if matches!(recorder, Recorder::OutOfRoom) {
            options.journal = JournalOptions {
                segment_size: 4096,
                size_max: 4096,
                wait: Duration::from_millis(1),
                ..options.journal
            };
        }
        RecordingSession::start(&folder.path().join(name), options).unwrap()
    };
    Schedule::simulate(3, |schedule| {
        let outer = session(
            "outer",
            match recorder {
                Recorder::Redacting => Some(Arc::new(Everything)),
                _ => None,
            },
        );
        match recorder {
            Recorder::Plain | Recorder::Redacting | Recorder::OutOfRoom => {
                run(schedule, shows_posts, steps, |system| outer.wrap(system))
            }
            Recorder::Twice => {
                let inner = session("inner", None);
                run(schedule, shows_posts, steps, |system| outer.wrap(inner.wrap(system)))
            }
            Recorder::Finished => run(schedule, shows_posts, steps, |system| {
                let system = outer.wrap(system);
                outer.finish();
                system
            }),
            Recorder::Stopping => {
                let mut steps = steps.to_vec();
                steps.insert(steps.len() / 2, Step::Finish);
                super::program::run_with(
                    schedule,
                    shows_posts,
                    &steps,
                    |system| outer.wrap(system),
                    || {
                        outer.finish();
                    },
                )
            }
        }
    })
}

fn bare(shows_posts: bool, steps: &[Step]) -> Vec<String> {
    Schedule::simulate(3, |schedule| run(schedule, shows_posts, steps, |system| system))
}

fn check(recorder: Recorder, shows_posts: bool, steps: &[Step]) -> Result<(), TestCaseError> {
    let (bare, recorded) = (bare(shows_posts, steps), recorded(recorder, shows_posts, steps));
    for (line, (bare, recorded)) in bare.iter().zip(&recorded).enumerate() {
        prop_assert_eq!(bare, recorded, "line {}", line);
    }
    prop_assert_eq!(bare.len(), recorded.len());
    Ok(())
}

#[test]
fn a_program_with_every_kind_of_event_sees_the_same() {
    use Recorder::{Finished, OutOfRoom, Plain, Redacting, Stopping, Twice};
    for recorder in [Plain, Redacting, Twice, Finished, Stopping, OutOfRoom] {
        for shows_posts in [true, false] {
            check(recorder, shows_posts, &every_kind()).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_random_program_sees_the_same(
        steps in program(),
        shows_posts in any::<bool>(),
        recorder in prop_oneof![
            Just(Recorder::Plain),
            Just(Recorder::Redacting),
            Just(Recorder::Twice),
            Just(Recorder::Finished),
            Just(Recorder::Stopping),
            Just(Recorder::OutOfRoom),
        ],
    ) {
        check(recorder, shows_posts, &steps)?;
    }
}
