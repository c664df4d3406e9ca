//! The assertion.

use super::mask::masked;
use crate::protocol::Protocol;
use crate::tape::{Tape, TranscriptOptions};
use std::sync::Arc;

/// The transcript that a snapshot holds: without times, without the header, which names the
/// recorder's version, and without the indentation that all lines have in common. What rules mask is 0, and
/// symbols are numbered.
#[must_use]
pub fn transcript(tape: &Tape) -> String {
    shown(tape, TranscriptOptions::default())
}

/// As [`transcript`], with the names of a protocol description.
#[must_use]
pub fn transcript_by(tape: &Tape, protocol: &Protocol) -> String {
    let protocol = Some(Arc::new(protocol.clone()));
    shown(tape, TranscriptOptions { protocol, ..TranscriptOptions::default() })
}

fn shown(tape: &Tape, options: TranscriptOptions) -> String {
    let text = masked(tape).transcript(options);
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
/// With `protocol:` and a [`Protocol`](crate::protocol::Protocol) behind the tape, selectors, scalars,
/// fields of structures and places in memories have their names.
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
///
/// With names:
///
/// ```
/// use dextape::assert_transcript;
/// use dextape::protocol::Protocol;
/// use dextape::tape::{Body, Event, Header, Tape};
///
/// let protocol = Protocol::from_toml("format = 1\n[memory.3]\nname = \"ring\"")?;
/// let map = Body::Map { memory_type: 3, options: 1, address: 0 };
/// let map = Event { connection: Some(1), ..Event::new(1, 1, 1, map) };
/// let tape = Tape::new(Header::mock(), vec![map]);
/// assert_transcript!(tape, protocol: protocol, @"1  L1 c1  map type 3 ring options 0x1 ..");
/// # Ok::<(), dextape::protocol::ProtocolError>(())
/// ```
#[macro_export]
macro_rules! assert_transcript {
    ($tape:expr, protocol: $protocol:expr, @$expected:literal) => {
        $crate::snapshot::insta::with_settings!({ omit_expression => true }, {
            $crate::snapshot::insta::assert_snapshot!(
                $crate::snapshot::transcript_by(&$tape, &$protocol),
                @$expected
            );
        })
    };
    ($name:expr, $tape:expr, protocol: $protocol:expr) => {
        $crate::snapshot::insta::with_settings!({ omit_expression => true }, {
            $crate::snapshot::insta::assert_snapshot!(
                $name,
                $crate::snapshot::transcript_by(&$tape, &$protocol)
            );
        })
    };
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
    use crate::protocol::Protocol;
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

    /// A request for a key and the reply to it.
    fn read_key(command: u8, status: u8) -> Tape {
        let call = |scalar: u64| Call {
            selector: 2,
            scalars: Scalars::clamped(&[scalar]),
            scalar_count: 1,
            input: Structure::Bytes(Payload::bytes(&[command, 4, 0, 0])),
            scalars_asked: 0,
            output: OutputKind::Bytes { size: 2 },
        };
        let mut events = Vec::new();
        for number in 0..3 {
            let enter = number * 2 + 1;
            let connection = Some(1);
            // Only the second call ever differs.
            let bytes = if number == 1 { [status, 7] } else { [0, 7] };
            let returned = Return {
                result: crate::IoReturn::SUCCESS,
                scalars: Scalars::EMPTY,
                structure_size: Some(2),
                structure: Some(Payload::bytes(&bytes)),
            };
            let asked = Event::new(enter, 1, enter, Body::Call(call(number)));
            let leave = Event::new(enter + 1, 1, enter + 1, Body::Return(returned));
            events.push(Event { connection, ..asked });
            events.push(Event { connection, cause: Some(enter), ..leave });
        }
        Tape::new(Header::mock(), events)
    }

    fn protocol() -> Protocol {
        let text = r#"
            format = 1
            [selectors.2]
            name = "ask"
            inputs = ["index"]
            input = "Request"
            output = "Reply"
            [structures.Request]
            fields = [
                { name = "command", type = "u8", enum = "Command" },
                { name = "size", type = "u16", at = 1 },
            ]
            size = 4
            [structures.Reply]
            fields = [
                { name = "status", type = "u8", enum = "Status" },
                { name = "key", type = "u8" },
            ]
            [enums.Command]
            read = 5
            write = 6
            [enums.Status]
            done = 0
            refused = 0x84
        "#;
        Protocol::from_toml(text).unwrap()
    }

    #[test]
    fn names_are_those_of_the_description() {
        assert_transcript!(read_key(5, 0x84), protocol: protocol(), @"
        1  L1 c1  call 2 ask(index: 0) input Request {command: read (5), size: 4} asks 2 bytes -> ok output Reply {key: 7}
        3  L1 c1  call 2 ask(index: 1) input Request {command: read (5), size: 4} asks 2 bytes -> ok output Reply {status: refused (132), key: 7}
        5  L1 c1  call 2 ask(index: 2) input Request {command: read (5), size: 4} asks 2 bytes -> ok output Reply {key: 7}
        ");
    }

    /// Asked for by the test below, in a process of its own.
    #[test]
    fn a_snapshot_that_fails() {
        if std::env::var_os("DEXTAPE_FAILING_SNAPSHOT").is_none() {
            println!("skipped: it fails, and is asked for by the test of what a failure shows");
            return;
        }
        // What it was before the driver refused the second call.
        assert_transcript!(read_key(5, 0x84), protocol: protocol(), @"
        1  L1 c1  call 2 ask(index: 0) input Request {command: read (5), size: 4} asks 2 bytes -> ok output Reply {key: 7}
        3  L1 c1  call 2 ask(index: 1) input Request {command: read (5), size: 4} asks 2 bytes -> ok output Reply {key: 7}
        5  L1 c1  call 2 ask(index: 2) input Request {command: read (5), size: 4} asks 2 bytes -> ok output Reply {key: 7}
        ");
    }

    /// It shows the call that changed, what it was and what it is, with the names of fields; and of the
    /// calls around it that they did not change.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_failing_snapshot_shows_which_call_changed_and_how() {
        let own = std::env::current_exe().unwrap();
        let test = "snapshot::assert::tests::a_snapshot_that_fails";
        let ran = std::process::Command::new(own)
            .args(["--exact", test, "--nocapture"])
            .env("DEXTAPE_FAILING_SNAPSHOT", "1")
            .env("INSTA_UPDATE", "no")
            .env("INSTA_FORCE_PASS", "0")
            .env_remove("INSTA_SNAPSHOT_REFERENCES_FILE")
            .output()
            .unwrap();
        assert!(!ran.status.success());
        let told = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
        let changed = |sign: char| -> Vec<&str> {
            let lines = told.lines().filter_map(|line| line.split_once('│'));
            lines.filter_map(|(_, line)| line.strip_prefix(sign)).collect()
        };
        insta::assert_snapshot!(changed('-').join("\n"), @"3  L1 c1  call 2 ask(index: 1) input Request {command: read (5), size: 4} asks 2 bytes -> ok output Reply {key: 7}");
        insta::assert_snapshot!(changed('+').join("\n"), @"3  L1 c1  call 2 ask(index: 1) input Request {command: read (5), size: 4} asks 2 bytes -> ok output Reply {status: refused (132), key: 7}");
    }
}
