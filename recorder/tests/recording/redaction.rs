//! What is not written: secrets.

use super::device::selector;
use super::tape::Recorded;
use dextape::call::{MapOptions, ServiceId};
use dextape::connection::{AsyncWake, MethodInput, MethodOutput, StructureInput, StructureOutput};
use dextape::memory::{Memory as _, SharedBuffer};
use dextape::schedule::Schedule;
use dextape::tape::{Body, Payload, Structure};
use dextape_recorder::journal::Content;
use dextape_recorder::recording::{FieldPlace, RecordOptions, Redaction, Redactor};
use std::sync::{Arc, Mutex};

const SECRET: [u8; 8] = *b"SECRET-S";

/// Wipes the secret wherever it stands whole, and notes where it was asked.
#[derive(Debug, Default)]
struct Wipe {
    asked: Mutex<Vec<String>>,
    remove: bool,
}

impl Redactor for Wipe {
    fn name(&self) -> &str {
        "wipe"
    }

    fn redact(&self, place: &FieldPlace<'_>, bytes: &mut [u8]) -> Redaction {
        let found = bytes.windows(SECRET.len()).position(|window| *window == SECRET);
        let Some(at) = found else { return Redaction::Keep };
        self.asked.lock().unwrap().push(format!("{place:?}"));
        if self.remove {
            return Redaction::Remove;
        }
        bytes[at..at + SECRET.len()].fill(b'#');
        Redaction::Keep
    }
}

fn places(remove: bool) -> Vec<String> {
    let wipe = Arc::new(Wipe { remove, ..Wipe::default() });
    let redactor: Arc<dyn Redactor> = Arc::clone(&wipe) as _;
    let options = RecordOptions { redactor: Some(redactor), ..RecordOptions::default() };
    Schedule::simulate(1, |schedule| {
        let it = Recorded::start(schedule, true, options);
        let word = u64::from_le_bytes(SECRET);
        it.system.property(ServiceId(4711), "Serial").unwrap();
        it.system.properties(ServiceId(4711)).unwrap();
        let connection = it.open();
        let mut room = [0; 8];
        let mut scalars = [0; 1];
        let input = MethodInput { scalars: &[word], structure: StructureInput::Bytes(&SECRET) };
        let structure = StructureOutput::Bytes(&mut room);
        let mut output = MethodOutput::new(&mut scalars, structure);
        connection.call_method(selector::ECHO, &input, &mut output).ok().unwrap();
        assert_eq!((room, scalars), (SECRET, [word]), "the client's data stays");

        let queue = it.system.completion_queue();
        let buffer = SharedBuffer::new(5000);
        buffer.memory().copy_in(100, &SECRET).unwrap();
        let input = MethodInput { scalars: &[0], structure: StructureInput::Shared(&buffer) };
        let wake = AsyncWake { queue: Some(&*queue), reference: None };
        let mut output = MethodOutput::default();
        connection.call_async_method(selector::START, &wake, &input, &mut output).ok().unwrap();
        let input = MethodInput { scalars: &[word], structure: StructureInput::None };
        let mut output = MethodOutput::default();
        connection.call_method(selector::FIRE, &input, &mut output).ok().unwrap();
        assert_eq!(queue.poll().unwrap().arguments[..], [word]);

        let mapping = connection.map_memory(1, MapOptions::ANYWHERE, 0).unwrap();
        mapping.copy_in(8, &SECRET).unwrap();
        assert_eq!(mapping.load::<u64>(8), Ok(word), "the shadow has what the client wrote");
        it.device.memory.copy_in(16, &SECRET).unwrap();
        assert_eq!(mapping.load::<u64>(16), Ok(word));
        mapping.swap::<u64>(24, word).unwrap();
        mapping.compare_exchange::<u64>(24, word, word).unwrap();

        it.session.finish();
        let journal = std::fs::read(it.session.path()).unwrap();
        assert!(!journal.windows(6).any(|window| *window == SECRET[..6]), "it is on the disk");
        for (_, _, content) in it.contents() {
            match content {
                Content::Header(header) => assert_eq!(header.redactions, ["wipe"]),
                Content::Event(Body::Call(call)) if matches!(call.input, Structure::Bytes(_)) => {
                    let bytes = if remove {
                        Payload::Redacted { length: 8 }
                    } else {
                        Payload::bytes(b"########")
                    };
                    assert_eq!(call.input, Structure::Bytes(bytes));
                }
                _ => {}
            }
        }
    });
    wipe.asked.lock().unwrap().clone()
}

#[test]
fn a_secret_never_reaches_the_disk() {
    let (replaced, removed) = (places(false), places(true));
    assert_eq!(replaced, removed);
    let property = "Property { key: \"Serial\" }";
    assert_eq!(
        replaced,
        [
            // The property that the client read, and the recorder's own look at the service.
            property,
            property,
            property,
            "StructureInput { selector: 0 }",
            "ScalarInput { selector: 0 }",
            "StructureOutput { selector: 0 }",
            "ScalarOutput { selector: 0 }",
            "StructureInput { selector: 2 }",
            "ScalarInput { selector: 3 }",
            "CompletionArguments { selector: Some(2) }",
            "Memory { memory_type: Some(1), offset: 8 }",
            "Memory { memory_type: Some(1), offset: 16 }",
            "Memory { memory_type: Some(1), offset: 24 }",
            "Memory { memory_type: Some(1), offset: 24 }",
            "Memory { memory_type: Some(1), offset: 24 }",
        ]
    );
}
