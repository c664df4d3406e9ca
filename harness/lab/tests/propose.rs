//! Descriptions that are proposed from tapes: every one loads and names what passed, and those of
//! scenarios are compared with what is known of their structures.

use dextape::protocol::{Element, Protocol, Structure};
use dextape::tape::{Body, Tape, TranscriptOptions};
use dextape_lab::propose;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn tapes(folder: &str) -> Vec<Tape> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(fixtures().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".tape.jsonl"))
        .collect();
    paths.sort();
    paths.iter().map(|path| Tape::read(path).unwrap()).collect()
}

fn folders() -> Vec<String> {
    let entries = std::fs::read_dir(fixtures()).unwrap().map(Result::unwrap);
    let mut folders: Vec<String> = entries
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    folders
}

#[test]
fn what_is_proposed_of_each_tape_loads_and_names_what_passed() {
    let mut count = 0;
    for folder in folders() {
        for (index, tape) in tapes(&folder).into_iter().enumerate() {
            let proposal = propose(&[&tape], None).unwrap();
            let protocol = Protocol::from_toml(&proposal.text)
                .unwrap_or_else(|error| panic!("{folder}: failed to {error}\n{}", proposal.text));
            if index == 0 {
                assert_eq!(proposal, propose(&[&tape], None).unwrap(), "{folder}: twice the same");
            }
            let called: BTreeSet<u32> = tape
                .events()
                .iter()
                .filter_map(|event| match &event.body {
                    Body::Call(call) | Body::AsyncCall { call, .. } => Some(call.selector),
                    _ => None,
                })
                .collect();
            let described: BTreeSet<u32> = protocol.selectors.keys().copied().collect();
            // A tape with several services has a description of each.
            if proposal.others.values().all(|calls| *calls == 0) {
                assert_eq!(described, called, "{folder}");
            }
            let mut options = TranscriptOptions::default();
            options.protocol = Some(Arc::new(protocol));
            let shown = tape.transcript(options);
            for selector in described {
                assert!(shown.contains(&format!("selector_{selector}")), "{folder}: {shown}");
            }
            count += 1;
        }
    }
    assert!(count >= 40, "only {count} tapes");
}

/// The fields of a structure as places: what holds others is taken apart, arrays of bytes are one.
fn places(structure: &Structure, from: usize, into: &mut BTreeSet<(usize, usize)>) {
    for field in &structure.fields {
        for index in 0..field.count.unwrap_or(1) {
            let at = from + field.at + index * field.element.size();
            match &field.element {
                Element::Structure(inner) => places(inner, at, into),
                Element::Unsigned(1) if field.count.is_some() => {
                    into.insert((from + field.at, field.size()));
                }
                element => {
                    into.insert((at, element.size()));
                }
            }
        }
    }
}

/// What is known of structures of the scenarios, from the pages of `docs/scenarios` and the types of their
/// clients.
const KNOWN: &[(&str, &str)] = &[
    (
        "null-driver",
        r#"
        format = 1
        [selectors.1]
        name = "add"
        input = "Data"
        output = "Data"
        [structures.Data]
        fields = [{ name = "foo", type = "u64" }, { name = "bar", type = "u64" }]
        "#,
    ),
    (
        "sbp2-commands",
        r#"
        format = 1
        [selectors.57]
        name = "submit"
        input = "Request"
        [selectors.58]
        name = "result"
        output = "Result"
        [memory.0]
        name = "status"
        layout = "Status"
        [structures.Request]
        size = 26
        fields = [
            { name = "cdb_length", type = "u32" }, { name = "transfer_length", type = "u32" },
            { name = "outgoing_length", type = "u32" }, { name = "timeout_ms", type = "u32" },
            { name = "direction", type = "u8" }, { name = "capture_sense", type = "u8" },
            { name = "reserved", type = "u8", count = 2 },
            { name = "command", type = "u8", count = 6 },
        ]
        [structures.Result]
        fields = [
            { name = "transport_status", type = "u32" }, { name = "sbp_status", type = "u8" },
            { name = "payload_length", type = "u32" }, { name = "sense_length", type = "u32" },
        ]
        [structures.Status]
        size = 256
        fields = [
            { name = "version", type = "u32" }, { name = "length", type = "u32" },
            { name = "sequence", type = "u64" }, { name = "timestamp", type = "u64" },
            { name = "reason", type = "u32" }, { name = "detail", type = "u32" },
            { name = "state_name", type = "text", count = 32 },
            { name = "state", type = "u32" }, { name = "flags", type = "u32" },
            { name = "generation", type = "u32" }, { name = "nodes", type = "u32", count = 3 },
            { name = "resets", type = "u64", at = 96 },
            { name = "under_way", type = "u32" }, { name = "timed_out", type = "u32" },
        ]
        "#,
    ),
    (
        "nvme-rings",
        r#"
        format = 1
        [selectors.1]
        name = "oneshot"
        input = "Submission"
        output = "Submission"
        [selectors.2]
        name = "make_queue"
        input = "Queue"
        output = "Queue"
        [selectors.3]
        name = "delete_queue"
        input = "Queue"
        [structures.Queue]
        fields = [
            { name = "id", type = "u64" }, { name = "depth", type = "u64" },
            { name = "vector", type = "i64" }, { name = "flags", type = "u64" },
        ]
        [structures.Submission]
        fields = [
            { name = "opcode", type = "u8" }, { name = "flags", type = "u8" },
            { name = "command_id", type = "u16" }, { name = "namespace", type = "u32" },
            { name = "reserved", type = "u64" }, { name = "pointers", type = "u64", count = 3 },
            { name = "first_block", type = "u64" }, { name = "last_block", type = "u32" },
            { name = "unused", type = "u32", count = 3 },
            { name = "result", type = "u32" }, { name = "reserved_2", type = "u32" },
            { name = "submission_head", type = "u16" }, { name = "ring", type = "u16" },
            { name = "ended", type = "u16" }, { name = "status", type = "u16" },
            { name = "opaque", type = "u64" }, { name = "queue", type = "u64" },
            { name = "data_bytes", type = "u64" }, { name = "data_offset", type = "u64" },
            { name = "data_token", type = "u64" }, { name = "metadata", type = "u64", count = 3 },
        ]
        "#,
    ),
];

/// How many of the fields that were ever used were found: whole, and at least where they begin.
#[derive(Debug, Default)]
struct Score {
    fields: usize,
    whole: usize,
    begins: usize,
    /// Fields that were proposed where none begins.
    made_up: usize,
}

fn compare(known: &Structure, proposed: &Structure, used: &[bool]) -> Score {
    let (mut real, mut guessed) = (BTreeSet::new(), BTreeSet::new());
    places(known, 0, &mut real);
    places(proposed, 0, &mut guessed);
    let is_used = |(at, size): &(usize, usize)| used.iter().skip(*at).take(*size).any(|used| *used);
    let begins: BTreeSet<usize> = guessed.iter().map(|(at, _)| *at).collect();
    let real_begins: BTreeSet<usize> = real.iter().map(|(at, _)| *at).collect();
    let seen: Vec<_> = real.iter().filter(|place| is_used(place)).collect();
    Score {
        fields: seen.len(),
        whole: seen.iter().filter(|place| guessed.contains(place)).count(),
        begins: seen.iter().filter(|(at, _)| begins.contains(at)).count(),
        made_up: begins.difference(&real_begins).count(),
    }
}

/// Which bytes of the structures of a selector, or of a memory type, ever were anything but 0.
fn used(tapes: &[Tape], wanted: Wanted) -> Vec<bool> {
    let mut used = vec![false; 4096];
    let mut types = std::collections::BTreeMap::new();
    for tape in tapes {
        let mut note = |offset: u64, payload: &dextape::tape::Payload| {
            let bytes = tape.bytes(payload).unwrap().unwrap_or_default();
            for (at, byte) in bytes.iter().enumerate().filter(|(_, byte)| **byte != 0) {
                debug_assert_ne!(*byte, 0);
                if let Some(used) = used.get_mut(offset as usize + at) {
                    *used = true;
                }
            }
        };
        let events = tape.events();
        let find = |sequence| events.iter().find(|event| event.sequence == sequence).unwrap();
        for event in events {
            match (&event.body, wanted) {
                (Body::Mapped { outcome: Ok(mapped) }, _) => {
                    let Body::Map { memory_type, .. } = find(event.cause.unwrap()).body else {
                        unreachable!()
                    };
                    types.insert(mapped.memory, memory_type);
                }
                (Body::Call(call), Wanted::Input(selector)) if call.selector == selector => {
                    event.for_each_payload(|payload| note(0, payload));
                }
                (Body::Return(_), Wanted::Output(selector)) => {
                    let Body::Call(call) = &find(event.cause.unwrap()).body else { continue };
                    if call.selector == selector {
                        event.for_each_payload(|payload| note(0, payload));
                    }
                }
                (
                    Body::Write { memory, offset, data, .. }
                    | Body::Patch { memory, offset, data, .. },
                    Wanted::Memory(wanted),
                ) if types.get(memory) == Some(&wanted) => note(*offset, data),
                _ => {}
            }
        }
    }
    used
}

#[derive(Clone, Copy)]
enum Wanted {
    Input(u32),
    Output(u32),
    Memory(u32),
}

/// What somebody proposes who looks at nothing but which words were ever used: each four bytes a number.
fn words(used: &[bool], size: usize) -> Structure {
    let fields: Vec<String> = (0..size.min(used.len()) / 4)
        .filter(|word| used[word * 4..word * 4 + 4].contains(&true))
        .map(|word| format!("{{ name = \"w{word}\", at = {}, type = \"u32\" }}", word * 4))
        .collect();
    let text = format!("format = 1\n[structures.S]\nfields = [{}]", fields.join(", "));
    Structure::clone(&Protocol::from_toml(&text).unwrap().structures["S"])
}

impl std::ops::AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.fields += other.fields;
        self.whole += other.whole;
        self.begins += other.begins;
        self.made_up += other.made_up;
    }
}

/// The share of fields that was guessed right is printed for each scenario. The floor is what the simplest
/// method gives on the same tapes: a proposal must find clearly more fields whole, no fewer beginnings, and
/// make up less.
#[test]
fn fields_of_known_structures_are_found_mostly() {
    let mut known: Vec<(String, Protocol)> = KNOWN
        .iter()
        .map(|(folder, text)| ((*folder).to_owned(), Protocol::from_toml(text).unwrap()))
        .collect();
    let smc = Protocol::read(&fixtures().join("smc/protocol.toml")).unwrap();
    known.push(("smc".to_owned(), smc));
    let (mut all, mut simple) = (Score::default(), Score::default());
    for (folder, known) in known {
        let tapes = tapes(&folder);
        let proposal = propose(&tapes.iter().collect::<Vec<_>>(), None).unwrap();
        let proposed = Protocol::from_toml(&proposal.text).unwrap();
        let mut pairs: Vec<(String, &Structure, Option<&Arc<Structure>>, Wanted)> = Vec::new();
        for (number, selector) in &known.selectors {
            let ours = proposed.selectors.get(number);
            for (way, real, guess, wanted) in [
                (
                    "in",
                    &selector.input,
                    ours.and_then(|it| it.input.as_ref()),
                    Wanted::Input(*number),
                ),
                (
                    "out",
                    &selector.output,
                    ours.and_then(|it| it.output.as_ref()),
                    Wanted::Output(*number),
                ),
            ] {
                if let Some(real) = real {
                    pairs.push((format!("selector {number} {way}"), real, guess, wanted));
                }
            }
        }
        for (number, memory) in &known.memory {
            let ours = proposed.memory.get(number).and_then(|it| it.layout.as_ref());
            let real = memory.layout.as_ref().unwrap();
            pairs.push((format!("memory {number}"), real, ours, Wanted::Memory(*number)));
        }
        for (place, real, guess, wanted) in pairs {
            let nothing = Structure::default();
            let used = used(&tapes, wanted);
            let score = compare(real, guess.map_or(&nothing, |it| it), &used);
            simple += compare(real, &words(&used, real.size), &used);
            println!(
                "{folder}, {place}: of {} fields {} whole, {} begin right; {} made up",
                score.fields, score.whole, score.begins, score.made_up
            );
            all += score;
        }
    }
    for (who, score) in [("all", &all), ("each word a number", &simple)] {
        let Score { fields, whole, begins, made_up } = score;
        println!(
            "{who}: of {fields} fields {whole} whole, {begins} begin right; {made_up} made up"
        );
    }
    assert!(all.fields > 40, "{all:?}");
    assert!(all.whole * 10 >= simple.whole * 13, "{all:?} {simple:?}");
    assert!(all.begins >= simple.begins && all.made_up < simple.made_up, "{all:?} {simple:?}");
}
