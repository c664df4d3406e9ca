//! The assertion.

use crate::tape::{Tape, TranscriptOptions};

/// The transcript that a snapshot holds: without times, without the header, which names the
/// recorder's version, and without the indentation that all lines have in common.
#[must_use]
pub fn transcript(tape: &Tape) -> String {
    let text = tape.transcript(TranscriptOptions::default());
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let common = text.lines().map(indent).min().unwrap_or(0);
    text.lines().map(|line| &line[common..]).collect::<Vec<_>>().join("\n")
}

/// Asserts that the transcript of a [`Tape`](crate::tape::Tape) is that of its snapshot.
///
/// With `@"..."` the snapshot stands in the test itself; with a name it is a file beside the test.
/// Handles are the tape's numbers and times are left out, so that a snapshot changes only where the
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
    use crate::tape::{Body, Event, Header, Tape};

    fn tape(timed_out: bool) -> Tape {
        let wait = Event::new(1, 1, 1, Body::Wait { queue: 1, timeout: Some(5) });
        let woke = Event::new(2, 1, 2, Body::Woke { timed_out });
        Tape::new(Header::mock(), vec![wait, Event { cause: Some(1), ..woke }])
    }

    #[test]
    fn a_transcript_is_asserted_line_by_line() {
        assert_transcript!(tape(true), @"1  L1     wait on queue 1 up to 5 ns -> timed out");
    }

    #[test]
    fn other_traffic_has_another_transcript() {
        assert_ne!(super::transcript(&tape(true)), super::transcript(&tape(false)));
    }
}
