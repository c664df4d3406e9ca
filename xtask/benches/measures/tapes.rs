//! Reading and showing a tape of events of about 490 bytes.

use super::case::{Case, Unit};
use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::tape::{
    Body, Call, Event, Header, OutputKind, Payload, Return, Structure, Tape, TapeReader,
    TranscriptOptions,
};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Calls of the tape; each is two events.
const CALLS: u64 = 50_000;

pub(crate) fn cases() -> Vec<Case> {
    // The figures that the units need are known once the tape is there.
    let (_, bytes) = file();
    vec![
        Case::new("read", "a tape from a file, checked and decoded", |_| {
            let (path, _) = file();
            move |iterations| (0..iterations).for_each(|_| read(path))
        })
        .unit(Unit::Megabytes(*bytes), 1)
        .at_least(300.0),
        Case::new("read", "floor: serde_json::Value of each line", |_| {
            let text = std::fs::read_to_string(&file().0).expect("the tape is there");
            move |iterations| {
                for _ in 0..iterations {
                    for line in text.lines() {
                        let value: serde_json::Value =
                            serde_json::from_str(line).expect("a line is JSON");
                        black_box(value);
                    }
                }
            }
        })
        .unit(Unit::Megabytes(*bytes), 1),
        Case::new("show", "the transcript of a tape in memory", |_| {
            let tape = Tape::read(&file().0).expect("the tape reads");
            move |iterations| {
                for _ in 0..iterations {
                    black_box(tape.transcript(TranscriptOptions::default()));
                }
            }
        })
        .unit(Unit::Events(CALLS * 2), 1)
        .at_least(500_000.0),
    ]
}

fn read(path: &Path) {
    let mut events = 0;
    for event in TapeReader::open(path).expect("the tape opens") {
        black_box(event.expect("the event reads"));
        events += 1;
    }
    assert_eq!(events, CALLS * 2);
}

/// The file, and its length. The folder stays until the process ends.
fn file() -> &'static (PathBuf, u64) {
    static FILE: OnceLock<(PathBuf, u64)> = OnceLock::new();
    FILE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made").keep();
        let path = folder.join("bench.tape.jsonl");
        tape().write(&path).expect("the tape can be written");
        let length = std::fs::metadata(&path).expect("the tape is there").len();
        (path, length)
    })
}

fn tape() -> Tape {
    tape_of(|call| call)
}

/// The same, where each call has the values that `value` gives for its number.
pub(crate) fn tape_of(value: impl Fn(u64) -> u64) -> Tape {
    let mut events = Vec::new();
    for call in 0..CALLS {
        let number = call;
        let call = value(number);
        let bytes: Vec<u8> = (0..190).map(|index| (call as u8).wrapping_add(index)).collect();
        let sequence = number * 2 + 1;
        let enter = Body::Call(Call {
            selector: 2,
            scalars: Scalars::clamped(&[call, 2]),
            scalar_count: 2,
            input: Structure::Bytes(Payload::bytes(&bytes)),
            scalars_asked: 1,
            output: OutputKind::Bytes { size: 190 },
        });
        let leave = Body::Return(Return {
            result: IoReturn::SUCCESS,
            scalars: Scalars::clamped(&[call]),
            structure_size: Some(190),
            structure: Some(Payload::bytes(&bytes)),
        });
        for (offset, body) in [(0, enter), (1, leave)] {
            let sequence = sequence + offset;
            let cause = (offset == 1).then_some(sequence - 1);
            let time = sequence * 1000;
            events.push(Event {
                connection: Some(1),
                cause,
                time,
                ..Event::new(sequence, 1, sequence, body)
            });
        }
    }
    Tape::new(Header::mock(), events)
}
