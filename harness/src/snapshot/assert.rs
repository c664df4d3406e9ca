//! The assertion.

use super::mask::masked;
use crate::tape::{Tape, TranscriptOptions};

/// The transcript that a snapshot holds: without times, without the header, which names the
/// recorder's version, and without the indentation that all lines have in common. What rules mask is 0, and
/// symbols are numbered.
#[must_use]
pub fn transcript(tape: &Tape) -> String {
    let text = masked(tape).transcript(TranscriptOptions::default());
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let common = text.lines().map(indent).min().unwrap_or(0);
    text.lines().map(|line| &line[common..]).collect::<Vec<_>>().join("\n")
}

/// Asserts that the transcript of a [`Tape`](crate::tape::Tape) is that of its snapshot.
///
/// With `@"..."` the snapshot stands in the test itself; with a name it is a file beside the test.
/// Handles are the tape's numbers, what the rules of the tape's header mask is shown as 0, the values of its
/// symbols are numbered as they come, and times are left out, so that a snapshot changes only where the
/// traffic does.
///
/// # Panics
///
/// Where the two differ, with the lines that do.
///
/// # Examples
///
/// ```
/// use dextape::assert_transcript;
/// use dextape::tape::{Body, Event, Header, Tape};
///
/// let tape = Tape::new(Header::mock(), vec![Event::new(1, 1, 1, Body::Queue { queue: 1 })]);
/// assert_transcript!(tape, @"1  L1     queue 1 made");
/// ```
#[macro_export]
macro_rules! assert_transcript {
    ($tape:expr, @$expected:literal) => {
        $crate::snapshot::insta::with_settings!({ omit_expression => true }, {
            $crate::snapshot::insta::assert_snapshot!(
                $crate::snapshot::transcript(&$tape),
                @$expected
            );
        })
    };
    ($name:expr, $tape:expr) => {
        $crate::snapshot::insta::with_settings!({ omit_expression => true }, {
            $crate::snapshot::insta::assert_snapshot!(
                $name,
                $crate::snapshot::transcript(&$tape)
            );
        })
    };
}

#[cfg(test)]
mod tests {
    use crate::call::Scalars;
    use crate::tape::{
        Body, Call, Comparison, Event, Field, FieldRule, Header, OutputKind, Payload, Return,
        Structure, Tape,
    };

    fn tape(timed_out: bool) -> Tape {
        let wait = Event::new(1, 1, 1, Body::Wait { queue: 1, timeout: Some(5) });
        let woke = Event::new(2, 1, 2, Body::Woke { timed_out });
        Tape::new(Header::mock(), vec![wait, Event { cause: Some(1), ..woke }])
    }

    #[test]
    fn a_transcript_is_asserted_line_by_line() {
        assert_transcript!(tape(true), @"1  L1     wait on queue 1 up to 5 ns -> timed out");
    }

    /// A call that hands in a pointer and gets a time back, and one with the same pointer.
    fn volatile(pointer: u64, time: u64) -> Tape {
        let rule = |field, comparison| FieldRule { selector: Some(3), on: None, field, comparison };
        let mut header = Header::mock();
        header.rules = vec![
            rule(Field::ScalarInput(0), Comparison::Symbol("pointer".to_owned())),
            rule(Field::StructureOutput(4, 8), Comparison::Masked),
        ];
        let mut events = Vec::new();
        for (number, pointer) in [pointer, pointer + 8, pointer].into_iter().enumerate() {
            let enter = number as u64 * 2 + 1;
            let call = Call {
                selector: 3,
                scalars: Scalars::clamped(&[pointer]),
                scalar_count: 1,
                input: Structure::None,
                scalars_asked: 0,
                output: OutputKind::Bytes { size: 12 },
            };
            let bytes = [&[1, 2, 3, 4][..], &(time + enter).to_le_bytes()].concat();
            let returned = Return {
                result: crate::IoReturn::SUCCESS,
                scalars: Scalars::clamped(&[]),
                structure_size: Some(12),
                structure: Some(Payload::bytes(&bytes)),
            };
            let connection = Some(1);
            let call = Event::new(enter, 1, enter, Body::Call(call));
            let leave = Event::new(enter + 1, 1, enter + 1, Body::Return(returned));
            events.push(Event { connection, ..call });
            events.push(Event { connection, cause: Some(enter), ..leave });
        }
        Tape::new(header, events)
    }

    #[test]
    fn what_is_not_the_same_each_time_is_masked_or_numbered() {
        let one = super::transcript(&volatile(0x7f00_1000, 77));
        assert_eq!(one, super::transcript(&volatile(0x7ffe_2000, 999)));
        insta::assert_snapshot!(one);
    }

    #[test]
    fn other_traffic_has_another_transcript() {
        assert_ne!(super::transcript(&tape(true)), super::transcript(&tape(false)));
    }
}
