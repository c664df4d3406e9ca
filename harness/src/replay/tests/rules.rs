//! Masks and symbols.

use super::story::{Story, Told, divergence, free, open};
use crate::IoReturn;
use crate::connection::{AsyncWake, Connection, MethodInput, MethodOutput};
use crate::replay::{DivergenceKind, Policy, ReplayOptions, Replayer};
use crate::tape::{Comparison, Field, FieldRule, OpenedAs, ServiceIdentity, Tape};
use std::sync::Arc;

fn masked(field: Field) -> FieldRule {
    FieldRule { selector: Some(3), on: None, field, comparison: Comparison::Masked }
}

fn symbol(field: Field, name: &str) -> FieldRule {
    FieldRule { selector: None, on: None, field, comparison: Comparison::Symbol(name.to_owned()) }
}

/// A call with a scalar and eight bytes.
fn told(scalar: u64, bytes: [u8; 8]) -> Told {
    Told { scalars: vec![scalar], ..Told::bytes(3, &bytes, &[1, 2]) }
}

#[test]
fn masked_fields_are_not_compared_but_counted() {
    for policy in Policy::ALL {
        let mut story = Story::new()
            .rule(masked(Field::ScalarInput(0)))
            .rule(masked(Field::StructureInput(2, 4)));
        let connection = story.open(1);
        story.call(1, connection, &told(5, [1, 2, 3, 4, 5, 6, 7, 8]));
        story.call(1, connection, &told(6, [1, 2, 3, 4, 5, 6, 7, 8]));
        let replayer = story.replayer(ReplayOptions::default().policy(policy));
        let connection = open(&*free(&replayer));
        let other = told(99, [1, 2, 0, 0, 0, 0, 7, 8]);
        assert_eq!(other.make(&*connection), other.got(), "{policy}");
        let report = divergence(&replayer, || {
            let _ = told(6, [1, 2, 3, 4, 5, 6, 0, 8]).make(&*connection);
        });
        assert_eq!(report.kind, DivergenceKind::Differs);
        assert_eq!(report.differences.len(), 1, "{report}");
    }
}

#[test]
fn a_rule_holds_where_the_connection_was_opened_as_it_says() {
    for policy in Policy::ALL {
        let on = |open_type| Some(OpenedAs { service: "Test".to_owned(), open_type });
        let mut story = Story::new()
            .rule(FieldRule { on: on(0), ..masked(Field::ScalarInput(0)) })
            .rule(FieldRule { on: on(1), ..masked(Field::StructureInput(0, 8)) });
        let connection = story.open(1);
        story.call(1, connection, &told(5, [0; 8]));
        story.call(1, connection, &told(6, [0; 8]));
        let (mut header, events) = story.events();
        let identity = ServiceIdentity { class: Some("Test".to_owned()), ..Default::default() };
        header.services.insert(1, identity);
        let tape = Arc::new(Tape::new(header, events));
        let replayer = Replayer::new(tape, ReplayOptions::default().policy(policy)).unwrap();
        let connection = open(&*free(&replayer));
        assert_eq!(told(9, [0; 8]).make(&*connection), told(9, [0; 8]).got(), "{policy}");
        let report = divergence(&replayer, || drop(told(6, [1; 8]).make(&*connection)));
        assert_eq!(report.kind, DivergenceKind::Differs, "{policy}");
    }
}

#[test]
fn masks_that_were_needed_are_in_the_report() {
    let mut story = Story::new();
    let connection = story.open(1);
    story.call(1, connection, &told(5, [0; 8]));
    story.call(1, connection, &told(5, [0; 8]));
    let options = ReplayOptions::default()
        .rule(masked(Field::ScalarInput(0)))
        .rule(masked(Field::StructureInput(0, u64::MAX)));
    let replayer = story.replayer(options);
    let connection = open(&*free(&replayer));
    let _ = told(5, [0; 8]).make(&*connection);
    let _ = told(6, [1; 8]).make(&*connection);
    assert_eq!(replayer.finish().unwrap().masked, 2);
}

#[test]
fn a_symbol_binds_at_first_use_and_comes_back_as_the_client_made_it() {
    for policy in Policy::ALL {
        let mut story = Story::new()
            .rule(symbol(Field::ScalarInput(0), "token"))
            .rule(symbol(Field::StructureInput(0, 4), "token"))
            .rule(symbol(Field::ScalarOutput(0), "token"))
            .rule(symbol(Field::StructureOutput(0, 4), "token"));
        let connection = story.open(1);
        story.call(1, connection, &Told::scalar(1, 0x1111, 0x1111));
        let word = 0x1111_u32.to_le_bytes();
        story.call(1, connection, &Told::bytes(2, &word, &word));
        story.call(1, connection, &Told::scalar(1, 0x2222, 0x1111));
        let replayer = story.replayer(ReplayOptions::default().policy(policy));
        let connection = open(&*free(&replayer));
        let own = Told::scalar(1, 0xabcd, 0xabcd);
        assert_eq!(own.make(&*connection), own.got(), "{policy}");
        let word = 0xabcd_u32.to_le_bytes();
        let own = Told::bytes(2, &word, &word);
        assert_eq!(own.make(&*connection), own.got(), "{policy}");
        let report = divergence(&replayer, || {
            let _ = Told::scalar(1, 0xabcd, 0).make(&*connection);
        });
        // 0x2222 was another token.
        let expected = match policy {
            Policy::AnyOrder | Policy::Nearest => DivergenceKind::UsedUp,
            _ => DivergenceKind::Differs,
        };
        assert_eq!(report.kind, expected, "{report}");
    }
}

#[test]
fn symbols_of_a_reference_come_back_with_its_completions() {
    // A reference entry is a pointer of the client's (D9): another one in each run.
    let mut story = Story::new()
        .rule(symbol(Field::Reference(2), "refcon"))
        .rule(FieldRule { selector: Some(1), ..masked(Field::Reference(1)) });
    let connection = story.open(1);
    story.queue(1, 1);
    let start = Told { reply_scalars: vec![], ..Told::scalar(1, 1, 0) };
    for _ in 0..2 {
        let call = story.call_async(1, connection, &start, 1, &[0, 0x10, 0x20]);
        let posted = story.posted(call, &[0, 0x10, 0x20], 1);
        story.take(1, 1, posted);
    }
    let replayer = story.replayer(ReplayOptions::default());
    let system = free(&replayer);
    let connection = open(&*system);
    let queue = system.completion_queue();
    let make = |reference: &[u64]| {
        let wake = AsyncWake { queue: Some(&*queue), reference: Some(reference) };
        let input = MethodInput { scalars: &[1], ..MethodInput::default() };
        connection.call_async_method(1, &wake, &input, &mut MethodOutput::default())
    };
    assert_eq!(make(&[5, 0x77, 0x99]), IoReturn::SUCCESS);
    let reference = queue.poll().unwrap().reference;
    assert_eq!(reference, [0, 0x77, 0x99, 0, 0, 0, 0, 0]);
    let report = divergence(&replayer, || {
        let _ = make(&[5, 0x78, 0x98]);
    });
    assert_eq!(report.differences.len(), 1, "{report}");
    assert_eq!(report.differences[0].field, "reference 2 (a symbol)");
}

#[test]
fn writes_can_be_masked_by_memory_type() {
    let mut story = Story::new().rule(FieldRule {
        on: None,
        selector: None,
        field: Field::Write { memory_type: 0, offset: 4, length: 4 },
        comparison: Comparison::Masked,
    });
    story.open(1);
    story.map(1, 1);
    story.write(1, 1, 0, &[1, 2, 3, 4, 5, 6, 7, 8]);
    story.write(1, 1, 4, &[5, 6, 7, 8, 9]);
    let replayer = story.replayer(ReplayOptions::default());
    let connection = open(&*free(&replayer));
    let mapping = connection.map_memory(0, crate::call::MapOptions::ANYWHERE, 0).unwrap();
    mapping.copy_in(0, &[1, 2, 3, 4, 0, 0, 0, 0]).unwrap();
    assert_eq!(mapping.load::<u64>(0), Ok(0x0403_0201), "the client's own bytes");
    let report = divergence(&replayer, || {
        let _ = mapping.copy_in(4, &[0, 0, 0, 0, 0]);
    });
    assert_eq!(report.kind, DivergenceKind::Differs);
}

#[test]
fn rules_with_absurd_ranges_do_no_harm() {
    let mut story = Story::new()
        .rule(masked(Field::ScalarInput(usize::MAX)))
        .rule(masked(Field::Reference(99)))
        .rule(symbol(Field::StructureInput(u64::MAX, u64::MAX), "a"))
        .rule(symbol(Field::StructureOutput(1, u64::MAX), "b"))
        .rule(masked(Field::StructureInput(7, u64::MAX)));
    let connection = story.open(1);
    let call = told(1, [1; 8]);
    story.call(1, connection, &call);
    let replayer = story.replayer(ReplayOptions::default());
    let connection: Box<dyn Connection> = open(&*free(&replayer));
    let other = told(1, [1, 1, 1, 1, 1, 1, 1, 2]);
    assert_eq!(other.make(&*connection), call.got());
}
