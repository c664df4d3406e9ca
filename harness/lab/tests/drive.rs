//! Driving dexts that answer otherwise than the recorded one.

use dextape::IoReturn;
use dextape::connection::{ConnectionExt, Matching, System};
use dextape::driverkit::{
    ExternalMethodArguments, OsData, OsSharedPtr, Service, UserClient, async_completion,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Comparison, Field, FieldRule, Tape};
use dextape_lab::{DriveError, DriveOptions, DriveReport, drive};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a dext differs from the recorded one.
#[derive(Clone, Copy, Default)]
struct Bent {
    scalar: u64,
    byte: u8,
    result: u32,
    argument: u64,
    completions: u64,
    /// First session that it gives.
    session: u64,
    /// It never comes back from selector 1.
    hangs: bool,
}

/// Gives a session and takes it back; sums, inverts, completes.
struct Driver(Bent);

struct Client(Bent, Mutex<u64>);

impl Service for Driver {
    fn new_user_client(&self, _: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(Client(self.0, Mutex::new(7 + self.0.session)))))
    }
}

impl UserClient for Client {
    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let bent = self.0;
        match selector {
            0 => {
                let [one, two] = *arguments.scalar_input else { return IoReturn::BAD_ARGUMENT };
                arguments.scalar_output[0] = one + two + bent.scalar;
                IoReturn::SUCCESS
            }
            1 => {
                let Some(input) = &arguments.structure_input else { return IoReturn::BAD_ARGUMENT };
                let mut bytes: Vec<u8> = input.bytes().iter().map(|byte| !byte).collect();
                bytes[1] ^= bent.byte;
                arguments.structure_output = Some(OsData::with_bytes(&bytes));
                IoReturn::SUCCESS
            }
            2 => IoReturn(0xe3ff_8001 + bent.result),
            3 => {
                let Some(completion) = &arguments.completion else { return IoReturn::BAD_ARGUMENT };
                let completion = OsSharedPtr::retaining(completion);
                for _ in 0..1 + bent.completions {
                    async_completion(&completion, IoReturn::SUCCESS, &[5 + bent.argument]);
                }
                IoReturn::SUCCESS
            }
            4 => {
                arguments.scalar_output[0] = *self.1.lock().unwrap();
                IoReturn::SUCCESS
            }
            _ => {
                let known = arguments.scalar_input.first() == Some(&*self.1.lock().unwrap());
                if known { IoReturn::SUCCESS } else { IoReturn::NOT_FOUND }
            }
        }
    }
}

fn mock(schedule: &Schedule, bent: Bent) -> Arc<dyn System> {
    let faults = if bent.hangs { "call 1: never returns" } else { "" };
    let mock = MockSystem::builder(schedule).faults(faults.parse().unwrap()).build();
    mock.publish(ServiceDescription::class("Bent"), Arc::new(Driver(bent))).unwrap();
    mock
}

fn client(system: &dyn System) {
    let service = system.first_service(&Matching::service("Bent")).unwrap();
    let connection = system.open(service, 0).unwrap();
    let queue = system.completion_queue();
    connection.call(0).scalars(&[2, 3]).want_scalars(1).send().unwrap();
    let mut bytes = [0; 4];
    connection.call(1).input(&[1_u8, 2, 3, 4]).output_bytes(&mut bytes).unwrap();
    connection.call(2).send().unwrap_err();
    connection.call(3).completing_on(&*queue, &[0, 9]).send().unwrap();
    queue.wait(Some(Duration::from_secs(1))).unwrap();
    let session = connection.call(4).want_scalars(1).send().unwrap().scalars[0];
    connection.call(5).scalars(&[session]).send().unwrap();
    assert_eq!(connection.close(), IoReturn::SUCCESS);
}

fn recorded() -> Tape {
    let folder = tempfile::tempdir().unwrap();
    let (journal, path) = (folder.path().join("a.journal"), folder.path().join("a.tape.jsonl"));
    Schedule::simulate(1, |schedule| {
        let session = RecordingSession::start(&journal, RecordOptions::default()).unwrap();
        client(&*session.wrap(mock(schedule, Bent::default())));
        session.finish();
    });
    seal(&journal, &path, SealOptions::default()).unwrap();
    Tape::read(&path).unwrap()
}

fn driven(tape: Tape, bent: Bent) -> DriveReport {
    let tape = Arc::new(tape);
    Schedule::simulate(1, |schedule| {
        drive(&tape, &mock(schedule, bent), DriveOptions::default()).unwrap()
    })
}

#[test]
fn what_a_dext_answers_otherwise_is_said_and_nothing_else() {
    let said = |bent| driven(recorded(), bent).to_string();
    insta::assert_snapshot!([
        Bent::default(),
        Bent { scalar: 1, ..Bent::default() },
        Bent { byte: 0xff, ..Bent::default() },
        Bent { result: 1, ..Bent::default() },
        Bent { argument: 1, ..Bent::default() },
        Bent { completions: 1, ..Bent::default() },
        Bent { hangs: true, ..Bent::default() },
    ].map(said).join("\n\n"), @r"
    drove 11 operations, 0 differences

    5  L1 c1  call 0(0x2, 0x3) asks 1 scalar -> ok (0x5)
      scalar 0: the tape says 0x5, the dext 0x6
    drove 11 operations, 1 difference

    7  L1 c1  call 1() input 01020304 asks 4 bytes -> ok output fefdfcfb
      the structure from byte 0x1 on: the tape says fdfcfb, the dext 02fcfb
    drove 11 operations, 1 difference

    9  L1 c1  call 2() -> sub_iokit_vendor_specific+0x1 (0xe3ff8001)
      the result: the tape says sub_iokit_vendor_specific+0x1 (0xe3ff8001), the dext sub_iokit_vendor_specific+0x2 (0xe3ff8002)
    drove 11 operations, 1 difference

    15  L1 c1  completion of 12 delivered from queue 1
      the completion: the tape says success, arguments [5], reference [0, 9, 0, 0, 0, 0, 0, 0], the dext success, arguments [6], reference [0, 9, 0, 0, 0, 0, 0, 0]
    drove 11 operations, 1 difference

    12  L0 c1  completion 1 of 11 posted: ok (0x5)
      completions on queue 1 that nobody took: the tape says 0, the dext 1
    drove 11 operations, 1 difference

    7  L1 c1  call 1() input 01020304 asks 4 bytes -> ok output fefdfcfb
      the operation: the tape says that it ends, the dext waits, and does not come back
    drove 5 operations, 1 difference
    ");
}

#[test]
fn a_handle_of_the_dext_stands_for_the_recorded_one_where_a_rule_says_so() {
    let others = Bent { session: 10, ..Bent::default() };
    let kinds = |report: DriveReport| -> Vec<_> {
        report.differences.iter().map(|difference| difference.part.clone()).collect()
    };
    assert_eq!(kinds(driven(recorded(), others)), ["scalar 0", "the result"]);
    let mut tape = recorded();
    let symbol = || Comparison::Symbol("session".to_owned());
    let rule = |selector, field| FieldRule {
        selector: Some(selector),
        on: None,
        field,
        comparison: symbol(),
    };
    tape.header_mut().rules = vec![rule(4, Field::ScalarOutput(0)), rule(5, Field::ScalarInput(0))];
    let report = driven(tape, others);
    assert!(report.is_same(), "{report}");
    assert_eq!(report.symbols, 1);
    let mut tape = recorded();
    let masked = FieldRule {
        selector: None,
        on: None,
        field: Field::ScalarOutput(0),
        comparison: Comparison::Masked,
    };
    tape.header_mut().rules = vec![masked];
    assert_eq!(kinds(driven(tape, others)), ["the result"], "the handle itself is not compared");
}

#[test]
fn what_follows_from_an_open_that_fails_is_told_once_for_each_operation() {
    let mut tape = recorded();
    let open = |body: &mut Body| {
        if let Body::Open { service, .. } = body {
            *service = 9;
        }
    };
    tape.events_mut().iter_mut().for_each(|event| open(&mut event.body));
    let report = driven(tape, Bent::default());
    assert!(report.differences.iter().all(|it| it.part != "the result"), "{report}");
    assert_eq!(report.differences[0].part, "what is opened");
}

#[test]
fn a_tape_that_begins_in_the_middle_cannot_be_driven() {
    let mut tape = recorded();
    tape.events_mut()[3].body = Body::Gap { events: None, reason: "full".to_owned() };
    let tape = Arc::new(tape);
    let error = Schedule::simulate(1, |schedule| {
        drive(&tape, &mock(schedule, Bent::default()), DriveOptions::default()).unwrap_err()
    });
    assert_eq!(error, DriveError::Incomplete(4, "gap"));
    insta::assert_snapshot!(
        format!("failed to {error}"),
        @"failed to drive the tape: event 4 is a gap, and what the dext did before it is not known; drive a tape that was recorded without a ring"
    );
}
