//! Two tapes beside each other: what was done to one is what is found.

use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::schedule::TimeMode;
use dextape::tape::sample::{Script, call, every_kind, success};
use dextape::tape::{
    Body, Call, Capture, Comparison, Field, FieldRule, Header, MappedMemory, Payload, Return,
    Structure, Tape,
};
use dextape_lab::{Change, Diff, DiffCounts, DiffOptions, Hex, NamedField, Names, Part, diff};

fn compared(a: &Tape, b: &Tape) -> Diff {
    diff(a, b, DiffOptions::default(), &Hex).unwrap()
}

/// Numbers of changed, moved, removed and inserted items.
fn counts(diff: &Diff) -> [u64; 4] {
    let DiffCounts { changed, moved, removed, inserted, .. } = diff.counts;
    [changed, moved, removed, inserted]
}

fn tape(script: Script) -> Tape {
    Tape::new(Header::mock(), script.into_events())
}

/// A call of selector 1 with these bytes, that returns a scalar.
fn exchange(script: &mut Script, bytes: &[u8], returned: u64) {
    let enter = Call { input: Structure::Bytes(Payload::bytes(bytes)), ..call(1, &[]) };
    let leave = Return { scalars: Scalars::clamped(&[returned]), ..success() };
    script.operation(1, 1, Body::Call(enter), Body::Return(leave));
}

/// The text of what differs in the only entry that is not the same.
fn only_change(diff: &Diff) -> Vec<String> {
    let mut told = diff.entries.iter().filter(|entry| entry.change != Change::Same);
    let entry = told.next().unwrap();
    assert_eq!(told.next(), None);
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let field = |field: &dextape_lab::FieldChange| {
        format!("{}: {} -> {}", field.place(), value(&field.a), value(&field.b))
    };
    entry.fields.iter().map(field).collect()
}

#[test]
fn a_tape_is_the_same_as_itself_whatever_it_holds() {
    let tape = every_kind();
    let read = Tape::from_bytes(tape.to_text().unwrap().into_bytes()).unwrap();
    let diff = compared(&tape, &read);
    assert!(diff.is_same(), "{:?}", diff.entries);
    assert!(diff.counts.same > 50);
}

#[test]
fn what_came_and_went_is_found_among_calls_that_look_alike() {
    let run = |leave_out: Option<u64>, put_in: Option<u64>| {
        let mut script = Script::new();
        for number in 0..200 {
            if leave_out != Some(number) {
                exchange(&mut script, &number.to_le_bytes(), number);
            }
            if put_in == Some(number) {
                exchange(&mut script, &[0xff; 8], 7);
            }
        }
        tape(script)
    };
    let diff = compared(&run(None, Some(17)), &run(Some(120), None));
    assert_eq!(counts(&diff), [0, 0, 2, 0]);
    let places: Vec<_> = diff
        .entries
        .iter()
        .filter(|entry| entry.change == Change::Removed)
        .map(|entry| entry.a.unwrap().event)
        .collect();
    assert_eq!(places, [18 * 2, 121 * 2], "the calls themselves, not others that look alike");
}

#[test]
fn a_change_is_told_by_field_and_byte() {
    let run = |byte: u8, result| {
        let mut script = Script::new();
        exchange(&mut script, &[1; 16], 1);
        let mut bytes = [0; 32];
        bytes[21] = byte;
        exchange(&mut script, &bytes, result);
        exchange(&mut script, &[2; 16], 2);
        tape(script)
    };
    let diff = compared(&run(0, 5), &run(9, 6));
    assert_eq!(
        only_change(&diff),
        ["input 0x14: 00 00 00 00 -> 00 09 00 00", "returned scalar 0: 0x5 -> 0x6"]
    );
}

#[test]
fn names_of_a_protocol_are_used() {
    struct Protocol;
    impl Names for Protocol {
        fn structure(&self, part: Part, offset: u64, bytes: &[u8]) -> Vec<NamedField> {
            assert_eq!((part, offset), (Part::Input { selector: 1 }, 0));
            let value = format!("{:?}", bytes.get(4..6).unwrap());
            vec![NamedField { name: "speed".to_owned(), offset: 4, length: 4, value }]
        }
        fn scalar(&self, part: Part, index: usize) -> Option<String> {
            (part == Part::Output { selector: 1 } && index == 0).then(|| "frames".to_owned())
        }
    }
    let run = |bytes: &[u8], returned| {
        let mut script = Script::new();
        exchange(&mut script, bytes, returned);
        tape(script)
    };
    let (a, b) = (run(&[0; 12], 1), run(&[0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0], 2));
    let diff = diff(&a, &b, DiffOptions::default(), &Protocol).unwrap();
    assert_eq!(
        only_change(&diff),
        [
            "input speed: [0, 0] -> [7, 0]",
            "input 0x8: 00 00 00 00 -> 01 00 00 00",
            "frames: 0x1 -> 0x2"
        ]
    );
}

/// A call with a completion that comes `after` so many further calls.
fn completing(after: usize, time: TimeMode) -> Tape {
    let mut script = Script::new();
    let enter = Body::AsyncCall { call: call(4, &[]), queue: Some(1), reference: Some(vec![0, 1]) };
    let asked = script.event(1, Some(1), None, enter);
    let posted = |script: &mut Script| {
        let posted = Body::Posted {
            ordinal: 1,
            status: IoReturn::SUCCESS,
            arguments: Scalars::clamped(&[3]),
            reference: [0, 1, 0, 0, 0, 0, 0, 0],
        };
        let posted = script.event(0, Some(1), Some(asked), posted);
        script.event(1, Some(1), Some(posted), Body::Delivered { queue: 1, polls: 0 });
    };
    script.event(1, Some(1), Some(asked), Body::Return(success()));
    for number in 0..10 {
        if number == after {
            posted(&mut script);
        }
        exchange(&mut script, &[number as u8; 4], 0);
    }
    Tape::new(Header { time, ..Header::mock() }, script.into_events())
}

#[test]
fn a_completion_that_came_later_is_one_that_moved() {
    let simulated = |after| completing(after, TimeMode::Simulated);
    let diff = compared(&simulated(2), &simulated(6));
    assert_eq!(counts(&diff), [0, 2, 0, 0], "posted and delivered");
    // In free time the device posts when it will; that it was taken elsewhere is the client's doing.
    let free = |after| completing(after, TimeMode::Free);
    assert_eq!(counts(&compared(&free(2), &free(6))), [0, 1, 0, 0]);
}

#[test]
fn numbers_of_memories_stand_for_each_other() {
    let run = |memories: [u32; 3]| {
        let mut script = Script::new();
        for (memory_type, memory) in (0..).zip(&memories[..2]) {
            let map = Body::Map { memory_type, options: 1, address: 0 };
            let outcome = Ok(MappedMemory {
                memory: *memory,
                length: 64,
                size: 64,
                capture: Capture::Accessor,
                read_only: false,
            });
            script.operation(1, 1, map, Body::Mapped { outcome });
        }
        let data = Payload::bytes(&[1]);
        let write = Body::Write { memory: memories[2], offset: 0, width: None, data };
        script.event(1, Some(1), None, write);
        tape(script)
    };
    assert!(compared(&run([1, 2, 1]), &run([5, 3, 5])).is_same());
    let diff = compared(&run([1, 2, 1]), &run([5, 3, 3]));
    assert_eq!(counts(&diff), [0, 0, 1, 1], "a write to memory of another type is another write");
}

#[test]
fn rules_of_a_header_mask_and_bind() {
    let run = |values: [u8; 3], comparison: Option<Comparison>| {
        let mut script = Script::new();
        values.iter().for_each(|value| {
            let value = u64::from(*value);
            script.operation(1, 1, Body::Call(call(1, &[value])), Body::Return(success()));
        });
        let rules = comparison
            .map(|comparison| FieldRule {
                selector: Some(1),
                on: None,
                field: Field::ScalarInput(0),
                comparison,
            })
            .into_iter()
            .collect();
        Tape::new(Header { rules, ..Header::mock() }, script.into_events())
    };
    assert_eq!(counts(&compared(&run([1, 2, 1], None), &run([7, 8, 8], None)))[0], 3);
    assert!(compared(&run([1, 2, 1], Some(Comparison::Masked)), &run([7, 8, 8], None)).is_same());
    let symbol = || Some(Comparison::Symbol("token".to_owned()));
    assert!(compared(&run([1, 2, 1], symbol()), &run([7, 8, 7], None)).is_same());
    let diff = compared(&run([1, 2, 1], symbol()), &run([7, 8, 8], None));
    assert_eq!(only_change(&diff), ["scalar 0: 0x1 -> 0x8"]);
}

#[test]
fn what_counts_up_in_each_run_is_folded_away_and_what_changed_for_good_is_not() {
    let run = |start: u64, status: u64| {
        let mut script = Script::new();
        for number in 0..20 {
            let leave =
                Return { scalars: Scalars::clamped(&[start + number, status]), ..success() };
            script.operation(1, 1, Body::Call(call(1, &[])), Body::Return(leave));
        }
        tape(script)
    };
    let diff = compared(&run(1000, 1), &run(5000, 1));
    assert!(diff.is_same(), "{:?}", diff.counts);
    assert_eq!(diff.volatile[0].field, "returned scalar 0");
    let all = diff_all(&run(1000, 1), &run(5000, 1));
    assert_eq!(counts(&all), [20, 0, 0, 0]);
    // Another status in every call is no counter.
    let diff = compared(&run(1000, 1), &run(5000, 2));
    assert_eq!(counts(&diff), [20, 0, 0, 0]);
    let told = diff.entries.iter().filter(|entry| !entry.repeats).count();
    assert_eq!(told, 3, "and the rest is counted");
    assert_eq!(diff.repeated["selector 1: returned scalar 1"], 17);
}

fn diff_all(a: &Tape, b: &Tape) -> Diff {
    diff(a, b, DiffOptions::default().all(true), &Hex).unwrap()
}

/// Random edits of a tape whose calls are all different are found as what they are.
#[test]
fn random_edits_are_found() {
    let mut state = 0x1234_5678_u64;
    let mut random = move |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..60 {
        let (mut ours, mut theirs) = (Script::new(), Script::new());
        let [mut changed, mut removed, mut inserted] = [0; 3];
        // An edit stands apart from the next, so that which it was is beyond doubt.
        let mut edited = 0;
        for number in 0..120_u64 {
            let bytes = number.to_le_bytes();
            let edit = if number >= edited + 3 { random(12) } else { 12 };
            if edit < 3 {
                edited = number;
            }
            match edit {
                0 => {
                    exchange(&mut ours, &bytes, number);
                    exchange(&mut theirs, &bytes, number + 1000);
                    changed += 1;
                }
                1 => {
                    exchange(&mut ours, &bytes, number);
                    removed += 1;
                }
                2 => {
                    exchange(&mut theirs, &(number + 5000).to_le_bytes(), number);
                    exchange(&mut ours, &bytes, number);
                    exchange(&mut theirs, &bytes, number);
                    inserted += 1;
                }
                _ => {
                    exchange(&mut ours, &bytes, number);
                    exchange(&mut theirs, &bytes, number);
                }
            }
        }
        let diff = diff_all(&tape(ours), &tape(theirs));
        assert_eq!(counts(&diff), [changed, 0, removed, inserted]);
    }
}
