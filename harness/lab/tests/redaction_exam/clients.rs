//! Clients that read private values, compare them with earlier ones and hand them back: their tapes still
//! replay when the values are others.

use super::search::{Search, of_the_format, search_tape};
use super::secret::{Secret, between, pick};
use dextape::IoReturn;
use dextape::call::MapOptions;
use dextape::connection::{ConnectionExt, Matching, System};
use dextape::driverkit::{
    BufferMemoryDescriptor, Direction, ExternalMethodArguments, MemoryDescriptor, OsData, OsObject,
    Provider, Service, UserClient,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::redaction::{Pseudonym, RedactionPolicy};
use dextape::registry::Value;
use dextape::replay::{ReplayOptions, Replayer};
use dextape::schedule::{Generator, Schedule};
use dextape::tape::Tape;
use dextape_lab::{PrivateValue, redact};
use dextape_recorder::recording::{RecordOptions, RecordingSession};
use dextape_recorder::seal::{SealOptions, seal};
use std::path::Path;
use std::sync::{Arc, OnceLock};

const CLASS: &str = "Safe";

/// Gives what is kept under the number that a scalar says.
const GET: u32 = 0;
/// Takes bytes, and says whether they are kept.
const PUT: u32 = 1;
/// What is kept, in scalars.
const GET_SCALARS: u32 = 2;
const PUT_SCALARS: u32 = 3;
/// Called where two values differ that should not, and where they are equal.
const DIFFER: u32 = 4;
const EQUAL: u32 = 5;

/// Bytes of the memory for each thing that is kept.
const SLOT: u64 = 1024;

/// A dext that keeps values in some forms.
#[derive(Debug, Clone)]
struct Safe {
    kept: Arc<Vec<Vec<u8>>>,
}

impl Service for Safe {
    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(SafeClient { kept: Arc::clone(&self.kept), buffer: OnceLock::new() })))
    }
}

struct SafeClient {
    kept: Arc<Vec<Vec<u8>>>,
    buffer: OnceLock<BufferMemoryDescriptor>,
}

fn in_words(bytes: &[u8]) -> Vec<u64> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    };
    bytes.chunks(8).map(word).collect()
}

impl UserClient for SafeClient {
    fn start(&self, _provider: &Provider) -> IoReturn {
        let capacity = SLOT * 2 * self.kept.len() as u64;
        let Ok(buffer) = BufferMemoryDescriptor::create(Direction::IN_OUT, capacity, 0) else {
            return IoReturn::NO_MEMORY;
        };
        for (index, bytes) in self.kept.iter().enumerate() {
            if buffer.address_range().copy_in(SLOT * index as u64, bytes).is_err() {
                return IoReturn::NO_SPACE;
            }
        }
        // Start is called once.
        let _ = self.buffer.set(buffer);
        IoReturn::SUCCESS
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        if let Some(buffer) = self.buffer.get() {
            buffer.release();
        }
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let index = arguments.scalar_input.first().copied().unwrap_or(0) as usize;
        match selector as u32 {
            GET => {
                let Some(kept) = self.kept.get(index) else { return IoReturn::BAD_ARGUMENT };
                arguments.structure_output = Some(OsData::with_bytes(kept));
            }
            GET_SCALARS => {
                let Some(kept) = self.kept.get(index) else { return IoReturn::BAD_ARGUMENT };
                for (into, word) in arguments.scalar_output.iter_mut().zip(in_words(kept)) {
                    *into = word;
                }
            }
            PUT | PUT_SCALARS | DIFFER | EQUAL => {}
            _ => return IoReturn::UNSUPPORTED,
        }
        IoReturn::SUCCESS
    }

    fn copy_client_memory_for_type(
        &self,
        _memory_type: u64,
        _options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let Some(buffer) = self.buffer.get() else { return IoReturn::NOT_READY };
        buffer.retain();
        *memory = Some(buffer.descriptor());
        IoReturn::SUCCESS
    }
}

/// What the client may know: how long everything is. Gives what it did, without any value.
fn client(system: &Arc<dyn System>, lengths: &[usize], seed: u64) -> Vec<String> {
    let random = &mut Generator::new(seed);
    let mut done = Vec::new();
    let service = system.first_service(&Matching::service(CLASS)).expect("it is there");
    let connection = system.open(service, 0).expect("it opens");
    let mapping = connection.map_memory(0, MapOptions::ANYWHERE, 0).expect("it maps");
    let mut seen: Vec<Option<Vec<u8>>> = vec![None; lengths.len()];
    if let Ok(Some(Value::String(text))) = system.property(service, "Serial") {
        done.push(format!("a serial number of {} bytes", text.len()));
        connection.call(PUT).input_bytes(text.as_bytes()).send().expect("it takes that");
    }
    for _ in 0..between(random, 8, 20) {
        let index = random.below(lengths.len() as u64) as usize;
        let length = lengths[index];
        let mut value = vec![0; length];
        let scalars = [index as u64];
        match random.below(4) {
            0 => {
                value = mapping.read_vec(SLOT * index as u64, length as u64).expect("it is mapped")
            }
            1 if length <= 128 => {
                let words = length.div_ceil(8);
                let call = connection.call(GET_SCALARS).scalars(&scalars);
                let reply = call.want_scalars(words).send().expect("it answers");
                let bytes = reply.scalars.iter().flat_map(|word| word.to_le_bytes());
                value = bytes.take(length).collect();
            }
            _ => {
                let call = connection.call(GET).scalars(&scalars);
                call.output_bytes(&mut value).expect("it answers");
            }
        }
        // Compares with what it has seen there, and looks it up among all that it has seen.
        if let Some(before) = &seen[index] {
            let verdict = if *before == value { EQUAL } else { DIFFER };
            connection.call(verdict).send().expect("it answers");
            done.push(format!("value {index} is {verdict}"));
        }
        let found = seen.iter().position(|seen| seen.as_ref() == Some(&value));
        let found = found.map_or(u64::MAX, |found| found as u64);
        connection.call(EQUAL).scalars(&[found]).send().expect("it answers");
        // And hands it back.
        match random.below(4) {
            0 => {
                let framed = [&[0xff][..], &value, &[0xff]].concat();
                connection.call(PUT).input_bytes(&framed).send().expect("it takes that");
            }
            1 => {
                let piece = *pick(random, &[3, 5, 8]);
                for piece in value.chunks(piece) {
                    connection.call(PUT).input_bytes(piece).send().expect("it takes that");
                }
            }
            2 => {
                let at = SLOT * (lengths.len() + index) as u64;
                mapping.copy_in(at, &value).expect("it is mapped");
            }
            _ => {
                let words = in_words(&value);
                let words = &words[..words.len().min(16)];
                connection.call(PUT_SCALARS).scalars(words).send().expect("it takes that");
            }
        }
        seen[index] = Some(value);
    }
    done.push(format!("close: {}", connection.close()));
    done
}

/// Records a client of some values, redacts the tape and plays it to the client. Gives what went wrong.
pub(crate) fn copy_and_compare(directory: &Path, number: u64) -> Result<(), String> {
    let random = &mut Generator::new(number.wrapping_mul(77).wrapping_add(5));
    let secrets: Vec<Secret> = (0..between(random, 1, 3)).map(|_| Secret::random(random)).collect();
    let mut kept = Vec::new();
    for secret in &secrets {
        kept.push(secret.plain().bytes);
        for _ in 0..between(random, 0, 3) {
            kept.push(secret.form(random).bytes);
        }
    }
    let serial = String::from_utf8_lossy(&kept[0]).into_owned();
    let lengths: Vec<usize> = kept.iter().map(Vec::len).collect();
    let safe = Safe { kept: Arc::new(kept) };
    let known: Vec<PrivateValue> = secrets.iter().map(|secret| secret.value(random)).collect();

    let (journal, path) = (directory.join("journal"), directory.join("tape.jsonl"));
    let live = Schedule::simulate(number, |schedule| {
        let mock = MockSystem::new(schedule);
        let description = ServiceDescription::class(CLASS).property("Serial", serial.as_str());
        mock.publish(description, Arc::new(safe.clone())).expect("it starts");
        let session = RecordingSession::start(&journal, RecordOptions::default())
            .expect("the journal can be made");
        let done = client(&session.wrap(mock), &lengths, number);
        session.finish();
        done
    });
    seal(&journal, &path, SealOptions::default()).expect("the journal seals");
    std::fs::remove_file(&journal).expect("the journal is there");
    let mut tape = Tape::read(&path).expect("the tape reads");
    let report = redact(&mut tape, &RedactionPolicy::new(), &known, &Pseudonym::new([7; 32]))
        .map_err(|error| format!("failed to {error}"))?;
    let search = Search::new(&secrets);
    let mut left = search_tape(&tape, &search);
    if !left.is_empty() {
        let format = of_the_format(&tape, &search);
        left.retain(|secret| !format.contains(secret));
    }
    if !left.is_empty() {
        return Err(format!("values {left:?} are left"));
    }
    let replayer = Replayer::new(Arc::new(tape), ReplayOptions::default()).expect("it loads");
    let replayed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Schedule::simulate(number, |schedule| client(&replayer.system(schedule), &lengths, number))
    }));
    let complete = replayer.finish();
    match (replayed, complete) {
        (Ok(again), Ok(report)) if again == live && report.is_complete() => Ok(()),
        (Ok(again), Ok(_)) => Err(format!("the client did {again:?} instead of {live:?}")),
        (_, Err(divergence)) => {
            Err(format!("{divergence}; said to be computed: {:?}", report.computed))
        }
        (Err(_), Ok(_)) => Err("the client failed without a divergence".to_owned()),
    }
}
