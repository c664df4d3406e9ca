//! A redaction policy in front of the journal.

use super::device::selector;
use super::tape::Recorded;
use dextape::call::MapOptions;
use dextape::connection::{
    AsyncWake, Connection, Matching, MethodInput, MethodOutput, StructureInput, StructureOutput,
    System, Value,
};
use dextape::memory::Memory as _;
use dextape::redaction::{Pseudonym, RedactionPolicy};
use dextape::replay::{ReplayOptions, Replayer};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Tape};
use dextape_recorder::journal::{JournalOptions, RingOptions};
use dextape_recorder::recording::{FieldPlace, PolicyRedactor, RecordOptions, Redactor as _};
use dextape_recorder::seal::{SealOptions, seal};
use std::sync::Arc;

const POLICY: &str = r#"
format = 1
properties = ["Serial"]
[[fields]]
selector = 0
place = "output"
at = 4
when = { at = 0, hex = "52504c54" }
[[fields]]
selector = 2
place = "completion"
at = 0
[[fields]]
selector = 3
place = "scalar_input"
[[memory]]
type = 1
at = 8
length = 16
"#;

/// What stands in the registry, in calls, in a completion and in the memory, and may stand nowhere on disk.
const SECRETS: [&[u8]; 4] = [b"SECRET-SERIAL", b"PART-NO-77Q1", b"WORDYNUM", b"MEMORY-SERIAL-1X"];

fn options() -> RecordOptions {
    let policy = RedactionPolicy::from_toml(POLICY).unwrap();
    let redactor = PolicyRedactor::new(policy, Pseudonym::new([5; 32]));
    RecordOptions { redactor: Some(Arc::new(redactor)), ..RecordOptions::default() }
}

/// Calls the selector that gives back what it is handed.
fn echo(connection: &dyn Connection, bytes: &[u8]) -> Vec<u8> {
    let mut room = vec![0; bytes.len()];
    let input = MethodInput { scalars: &[], structure: StructureInput::Bytes(bytes) };
    let mut output = MethodOutput::new(&mut [], StructureOutput::Bytes(&mut room));
    connection.call_method(selector::ECHO, &input, &mut output).ok().unwrap();
    room
}

/// Reads secrets at the places of the policy, compares and copies them elsewhere, as text and in hex.
fn client(system: &dyn System, fill: impl Fn()) {
    let service = system.first_service(&Matching::service("Echo")).unwrap();
    let connection = &*system.open(service, 0).unwrap();
    let Some(Value::String(serial)) = system.property(service, "Serial").unwrap() else {
        panic!("no serial number")
    };
    let echo = |bytes: &[u8]| echo(connection, bytes);
    assert_eq!(echo(format!("<{serial}>").as_bytes()), format!("<{serial}>").as_bytes());
    let hex: String = serial.bytes().map(|byte| format!("{byte:02x}")).collect();
    echo(hex.as_bytes());

    let mapping = connection.map_memory(1, MapOptions::ANYWHERE, 0).unwrap();
    fill();
    // Word by word, so that each is but a part of the value; then the client hands in the whole.
    let words = [mapping.load::<u64>(8).unwrap(), mapping.load::<u64>(16).unwrap()];
    echo(bytes_of(&words).as_slice());
    assert_eq!(mapping.load::<u64>(8).unwrap(), words[0]);
}

fn bytes_of(words: &[u64; 2]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    let hex = |upper: bool| -> Vec<u8> {
        let each =
            secret.iter().map(|it| if upper { format!("{it:02X}") } else { format!("{it:02x}") });
        each.collect::<String>().into_bytes()
    };
    // Halves of it, too.
    let half = secret.len() / 2;
    [&secret[..half], &secret[half..], &hex(false), &hex(true)].iter().any(|part| {
        // Byte by byte to the first one: a ring is long.
        let first = |(at, byte): (usize, &u8)| *byte == part[0] && bytes[at..].starts_with(part);
        bytes.iter().enumerate().any(first)
    })
}

#[test]
fn no_secret_of_a_policy_reaches_the_disk_and_the_tape_replays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.tape.jsonl");
    Schedule::simulate(1, |schedule| {
        let it = Recorded::start(schedule, true, options());
        client(&*it.system, || {
            it.device.memory.copy_in(8, SECRETS[3]).unwrap();
        });
        // Nothing was finished yet, as if the client had been killed here.
        let journal = std::fs::read(it.session.path()).unwrap();
        assert!(!SECRETS.iter().any(|secret| holds(&journal, secret)), "killed: it is on the disk");
        it.session.finish();
        let journal = std::fs::read(it.session.path()).unwrap();
        assert!(!SECRETS.iter().any(|secret| holds(&journal, secret)), "it is on the disk");
        seal(it.session.path(), &path, SealOptions::default()).unwrap();
    });
    let tape = Tape::read(&path).unwrap();
    let text = std::fs::read(&path).unwrap();
    assert!(!SECRETS.iter().any(|secret| holds(&text, secret)), "it is on the tape");
    // Who computes with a value is named: here as hex, which the dext never gave.
    assert_eq!(
        tape.header().redactions[1..],
        [
            // Read by the client, looked at by the recorder, and two words of the memory.
            "2 values at 4 places of a policy, and wherever they passed from then on",
            "the client makes another form of a private value: the structure handed to selector 0, as hex",
        ]
    );
    // The client gets pseudonyms, copies and compares those, and that is what the tape holds.
    Schedule::simulate(1, |schedule| {
        let replayer = Replayer::new(Arc::new(tape), ReplayOptions::default()).unwrap();
        let system = replayer.system(schedule);
        client(&*system, || {});
        assert!(replayer.finish().unwrap().is_complete());
    });
}

#[test]
fn a_key_is_replaced_whatever_its_last_byte_is() {
    let rules = "format = 1\n[[fields]]\nplace = 'output'";
    for last in [0, b' ', b'x', 0xc3] {
        let policy = RedactionPolicy::from_toml(rules).unwrap();
        let redactor = PolicyRedactor::new(policy, Pseudonym::new([5; 32]));
        let key = [0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, last];
        let mut bytes = key;
        let place = FieldPlace::StructureOutput { selector: 1 };
        redactor.redact_of_call(&place, &[], &mut bytes);
        assert!(bytes.iter().zip(&key).take(7).any(|(one, other)| one != other), "{last}");
        let mut copy = key;
        redactor.redact_of_call(&FieldPlace::StructureInput { selector: 2 }, &[], &mut copy);
        assert_eq!(copy, bytes, "{last}");
    }
}

#[test]
fn a_condition_chooses_calls_and_scalars_are_private_as_a_whole() {
    Schedule::simulate(1, |schedule| {
        let it = Recorded::start(schedule, true, options());
        let connection = it.open();
        let echo = |bytes: &[u8]| echo(&*connection, bytes);
        echo(b"OTHRshown-to-all");
        // The echo hands its input back, so it is in the input, too: by the value alone.
        assert_eq!(echo(b"RPLTPART-NO-77Q1"), b"RPLTPART-NO-77Q1");
        echo(b"PART-NO-77Q1");
        let queue = it.system.completion_queue();
        let wake = AsyncWake { queue: Some(&*queue), reference: None };
        let input = MethodInput { scalars: &[0], structure: StructureInput::None };
        let mut output = MethodOutput::default();
        connection.call_async_method(selector::START, &wake, &input, &mut output).ok().unwrap();
        let word = [u64::from_le_bytes(*b"WORDYNUM")];
        let input = MethodInput { scalars: &word, structure: StructureInput::None };
        let mut output = MethodOutput::default();
        connection.call_method(selector::FIRE, &input, &mut output).ok().unwrap();
        assert_eq!(queue.poll().unwrap().arguments[..], [u64::from_le_bytes(*b"WORDYNUM")]);
        it.session.finish();
        let journal = std::fs::read(it.session.path()).unwrap();
        let count = |text: &[u8]| journal.windows(text.len()).filter(|it| *it == text).count();
        assert_eq!(count(b"shown-to-all"), 2, "no place of the policy");
        // The first input came before the value had stood at its place.
        assert_eq!(count(b"PART-NO-77Q1"), 1);
        assert_eq!(count(b"WORDYNUM"), 0);
    });
}

/// A flight recorder that has gone around its ring with a secret in shared memory: what its file and its tape
/// hold, and whether a keyframe speaks of that memory.
fn flown(options: RecordOptions) -> (Vec<u8>, Vec<u8>, bool) {
    let journal = JournalOptions::default().ring(RingOptions::of_size(1 << 20).first_calls(1));
    let options = RecordOptions { journal, ..options };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flight.tape.jsonl");
    let journal = Schedule::simulate(1, |schedule| {
        let it = Recorded::start(schedule, true, options);
        let connection = it.open();
        let mapping = connection.map_memory(1, MapOptions::ANYWHERE, 0).unwrap();
        let mut seen = [0; 16];
        for round in 0..350_u64 {
            // The dext writes it, the client sees it, now and then over something else, and copies it.
            it.device.memory.copy_in(8, SECRETS[3]).unwrap();
            mapping.copy_out(8, &mut seen).unwrap();
            mapping.copy_in(64, &seen).unwrap();
            echo(&*connection, &[round as u8; 1_500]);
            it.device.memory.copy_in(8, &[0; 16]).unwrap();
            mapping.copy_out(8, &mut seen).unwrap();
        }
        it.device.memory.copy_in(8, SECRETS[3]).unwrap();
        mapping.copy_out(8, &mut seen).unwrap();
        // Long behind the boundary, so that the keyframe has it.
        (0..260).for_each(|_| drop(echo(&*connection, &[1; 1_500])));
        it.session.cut(&path).unwrap();
        std::fs::read(it.session.path()).unwrap()
    });
    let text = std::fs::read(&path).unwrap();
    let mut tape = Tape::from_bytes(text.clone()).unwrap();
    tape.inline_blobs().unwrap();
    let told = tape.events().iter().any(|event| match &event.body {
        Body::Keyframe(keyframe) => {
            keyframe.memories.iter().any(|it| it.memory_type == 1 && !it.shadow.is_empty())
        }
        _ => false,
    });
    (journal, text, told)
}

#[test]
fn no_secret_reaches_the_disk_by_a_keyframe_or_a_saved_state() {
    let (journal, tape, told) = flown(options());
    assert!(told, "no keyframe speaks of the memory");
    assert!(!holds(&journal, SECRETS[3]), "it is in the ring's file");
    assert!(!holds(&tape, SECRETS[3]), "it is on the tape");
    // Without a policy it is in both, so that the search would have found it.
    let (journal, tape, told) = flown(RecordOptions::default());
    assert!(told && holds(&journal, SECRETS[3]) && holds(&tape, SECRETS[3]));
    let states = journal.windows(8).rposition(|bytes| bytes == b"dxtstate").unwrap();
    assert!(holds(&journal[states..], SECRETS[3]), "it is in a saved state");
}
