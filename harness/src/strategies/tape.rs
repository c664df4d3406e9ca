//! Tapes as data.

use crate::IoReturn;
use crate::call::{MapOptions, Scalars};
use crate::connection::{
    AsyncWake, Connection, Mapping, Matching, MethodInput, MethodOutput, StructureInput,
    StructureOutput, System,
};
use crate::limits::PAGE_SIZE;
use crate::tape::sample::{Script, call, failure, success};
use crate::tape::{
    Body, Call, Capture, Header, MappedMemory, OutputKind, Payload, Return, Sequence, Structure,
    Tape,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Class of the service on the tape.
const CLASS: &str = "PlannedTape";

/// Length of every memory.
const LENGTH: u64 = 64;

/// How long a wait is that nothing ends, in nanoseconds.
const WAIT: u64 = 1000;

/// A tape as data: one client, one connection, and what happens on it. Steps that make no sense where they
/// stand, such as the read of a memory that is not mapped, are left out of the tape and of the client.
///
/// # Examples
///
/// ```
/// use dextape::replay::{ReplayOptions, Replayer};
/// use dextape::schedule::Schedule;
/// use dextape::strategies::{TapePlan, TapeStep};
/// use std::sync::Arc;
///
/// let step = TapeStep::Call { selector: 3, scalars: vec![1], input: vec![], answer: Ok((vec![2], vec![])) };
/// let plan = TapePlan { steps: vec![step] };
/// let tape = plan.tape();
/// assert!(tape.validate().is_valid());
/// let replayer = Replayer::new(Arc::new(tape), ReplayOptions::default())?;
/// Schedule::simulate(1, |schedule| plan.run(&*replayer.system(schedule))).unwrap();
/// assert!(replayer.finish()?.is_complete());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapePlan {
    /// What happens, in order.
    pub steps: Vec<TapeStep>,
}

/// What happens on a tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapeStep {
    /// A synchronous call.
    Call {
        /// The selector.
        selector: u32,
        /// Scalars handed in.
        scalars: Vec<u64>,
        /// The structure handed in; empty for none.
        input: Vec<u8>,
        /// Scalars and bytes that come back, or the error.
        answer: Result<(Vec<u64>, Vec<u8>), IoReturn>,
    },
    /// An asynchronous call that is answered with success, and what its completions say. They come after it
    /// has returned.
    AsyncCall {
        /// The selector.
        selector: u32,
        /// The arguments of each completion.
        completions: Vec<Vec<u64>>,
    },
    /// The client waits for a completion; where none is due, in vain.
    Wait,
    /// The client maps memory of a type, if it has none of it.
    Map(u32),
    /// The client reads this at an offset of memory of a type.
    Read(u32, u64, Vec<u8>),
    /// The client writes that.
    Write(u32, u64, Vec<u8>),
    /// The client unmaps what it has of a type.
    Unmap(u32),
}

/// Tapes of at most so many steps. They shrink towards fewer and simpler steps.
pub fn tape_plan(most: usize) -> impl Strategy<Value = TapePlan> + use<> {
    vec(step(), 0..=most).prop_map(|steps| TapePlan { steps })
}

fn step() -> impl Strategy<Value = TapeStep> {
    let word = || prop_oneof![3 => 0_u64..8, 1 => any::<u64>()];
    let words = move |most: usize| vec(word(), 0..=most);
    let bytes = || prop_oneof![4 => vec(any::<u8>(), 0..24), 1 => vec(any::<u8>(), 250..300)];
    let error = select(vec![IoReturn::BUSY, IoReturn::BAD_ARGUMENT, IoReturn(0xe3ff_8001)]);
    let answer = prop_oneof![4 => (words(4), bytes()).prop_map(Ok), 1 => error.prop_map(Err)];
    let part = || (0_u64..LENGTH, vec(any::<u8>(), 1..9));
    let memory_type = || 0_u32..3;
    prop_oneof![
        5 => (0_u32..8, words(4), bytes(), answer).prop_map(|(selector, scalars, input, answer)| {
            TapeStep::Call { selector, scalars, input, answer }
        }),
        3 => (8_u32..12, vec(words(4), 0..3)).prop_map(|(selector, completions)| {
            TapeStep::AsyncCall { selector, completions }
        }),
        3 => Just(TapeStep::Wait),
        3 => memory_type().prop_map(TapeStep::Map),
        3 => (memory_type(), part()).prop_map(|(memory_type, (offset, bytes))| {
            TapeStep::Read(memory_type, offset, within(offset, bytes))
        }),
        2 => (memory_type(), part()).prop_map(|(memory_type, (offset, bytes))| {
            TapeStep::Write(memory_type, offset, within(offset, bytes))
        }),
        1 => memory_type().prop_map(TapeStep::Unmap),
    ]
}

fn within(offset: u64, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate((LENGTH - offset) as usize);
    bytes
}

/// A memory while it is mapped.
struct Mapped {
    memory: u32,
    /// The event that mapped it.
    by: Sequence,
    shadow: Vec<u8>,
}

/// A tape that is being written.
struct Writer {
    script: Script,
    memories: BTreeMap<u32, Mapped>,
    made: u32,
    calls: u64,
    /// Completions that were posted and are not delivered.
    due: VecDeque<Sequence>,
}

impl TapePlan {
    /// The tape: valid, of a mock, in simulated time.
    #[must_use]
    pub fn tape(&self) -> Tape {
        let mut script = Script::new();
        let matching = Matching::service(CLASS);
        script.event(1, None, None, Body::Matched { matching, outcome: Ok(vec![1]) });
        let open = script.event(1, None, None, Body::Open { service: 1, open_type: 0 });
        script.event(1, Some(1), Some(open), Body::Opened);
        script.event(1, None, None, Body::Queue { queue: 1 });
        let mut writer =
            Writer { script, memories: BTreeMap::new(), made: 0, calls: 0, due: VecDeque::new() };
        self.steps.iter().for_each(|step| writer.step(step));
        let close = Body::Closed { result: IoReturn::SUCCESS };
        writer.script.operation(1, 1, Body::Close, close);
        Tape::new(Header::mock(), writer.script.into_events())
    }

    /// The client of the tape: does what is on it, and holds what it is answered against it.
    ///
    /// # Errors
    ///
    /// The first step that gives something else.
    ///
    /// # Panics
    ///
    /// Where a replaying system diverges.
    pub fn run(&self, system: &dyn System) -> Result<(), String> {
        let failed = |result: IoReturn| format!("the open: {result}");
        let service = system.first_service(&Matching::service(CLASS)).map_err(failed)?;
        let connection = system.open(service, 0).map_err(failed)?;
        let queue = system.completion_queue();
        let mut client = Client {
            connection: &*connection,
            queue: &*queue,
            mappings: BTreeMap::new(),
            calls: 0,
            due: VecDeque::new(),
        };
        for (number, step) in self.steps.iter().enumerate() {
            client.step(step).map_err(|what| format!("step {number}, {step:?}: {what}"))?;
        }
        connection.close().ok().map_err(|result| format!("the close: {result}"))
    }
}

impl Writer {
    fn step(&mut self, step: &TapeStep) {
        let script = &mut self.script;
        match step {
            TapeStep::Call { selector, scalars, input, answer } => {
                let (asked, size) = asked(answer);
                let made = Call {
                    input: match input.is_empty() {
                        true => Structure::None,
                        false => Structure::Bytes(Payload::bytes(input)),
                    },
                    scalars_asked: asked as u32,
                    output: match size {
                        0 => OutputKind::None,
                        size => OutputKind::Bytes { size: size as u64 },
                    },
                    ..call(*selector, scalars)
                };
                let returned = match answer {
                    Err(error) => failure(*error),
                    Ok((scalars, bytes)) => Return {
                        scalars: Scalars::clamped(scalars),
                        structure_size: Some(bytes.len() as u64),
                        structure: (!bytes.is_empty()).then(|| Payload::bytes(bytes)),
                        ..success()
                    },
                };
                script.operation(1, 1, Body::Call(made), Body::Return(returned));
            }
            TapeStep::AsyncCall { selector, completions } => {
                self.calls += 1;
                let reference = [0, self.calls, 0, 0, 0, 0, 0, 0];
                let enter = Body::AsyncCall {
                    call: call(*selector, &[]),
                    queue: Some(1),
                    reference: Some(reference[..2].to_vec()),
                };
                let enter = script.operation(1, 1, enter, Body::Return(success()));
                for (ordinal, arguments) in (1..).zip(completions) {
                    let arguments = Scalars::clamped(arguments);
                    let status = IoReturn::SUCCESS;
                    let posted = Body::Posted { ordinal, status, arguments, reference };
                    self.due.push_back(script.event(0, Some(1), Some(enter), posted));
                }
            }
            TapeStep::Wait => {
                let due = self.due.pop_front();
                let timeout = due.is_none().then_some(WAIT);
                let wait = script.event(1, None, None, Body::Wait { queue: 1, timeout });
                if let Some(posted) = due {
                    let delivered = Body::Delivered { queue: 1, polls: 0 };
                    script.event(1, Some(1), Some(posted), delivered);
                }
                script.event(1, None, Some(wait), Body::Woke { timed_out: due.is_none() });
            }
            TapeStep::Map(memory_type) => {
                if self.memories.contains_key(memory_type) {
                    return;
                }
                self.made += 1;
                let options = MapOptions::ANYWHERE.0;
                let enter = Body::Map { memory_type: *memory_type, options, address: 0 };
                let enter = script.event(1, Some(1), None, enter);
                let outcome = Ok(MappedMemory {
                    memory: self.made,
                    length: LENGTH,
                    size: PAGE_SIZE,
                    capture: Capture::Accessor,
                    read_only: false,
                });
                let by = script.event(1, Some(1), Some(enter), Body::Mapped { outcome });
                let shadow = vec![0; LENGTH as usize];
                self.memories.insert(*memory_type, Mapped { memory: self.made, by, shadow });
            }
            TapeStep::Read(memory_type, offset, bytes) => {
                let Some(mapped) = self.memories.get_mut(memory_type) else { return };
                let held = &mut mapped.shadow[*offset as usize..][..bytes.len()];
                if held == bytes {
                    return;
                }
                held.copy_from_slice(bytes);
                let patch = Body::Patch {
                    memory: mapped.memory,
                    offset: *offset,
                    data: Payload::bytes(bytes),
                    read: 1,
                    last_equal: None,
                    unattributed: false,
                };
                script.event(1, Some(1), Some(mapped.by), patch);
            }
            TapeStep::Write(memory_type, offset, bytes) => {
                let Some(mapped) = self.memories.get_mut(memory_type) else { return };
                mapped.shadow[*offset as usize..][..bytes.len()].copy_from_slice(bytes);
                let (memory, data) = (mapped.memory, Payload::bytes(bytes));
                let write = Body::Write { memory, offset: *offset, width: None, data };
                script.event(1, Some(1), Some(mapped.by), write);
            }
            TapeStep::Unmap(memory_type) => {
                let Some(mapped) = self.memories.remove(memory_type) else { return };
                let (memory_type, memory) = (*memory_type, Some(mapped.memory));
                let unmap = Body::Unmap { memory_type, memory };
                let enter = script.event(1, Some(1), Some(mapped.by), unmap);
                let result = IoReturn::SUCCESS;
                script.event(1, Some(1), Some(enter), Body::Unmapped { result });
            }
        }
    }
}

/// Scalars and bytes that the client asks for: as many as come, or some of each where none do.
fn asked(answer: &Result<(Vec<u64>, Vec<u8>), IoReturn>) -> (usize, usize) {
    answer.as_ref().map_or((1, 8), |(scalars, bytes)| (scalars.len(), bytes.len()))
}

struct Client<'a> {
    connection: &'a dyn Connection,
    queue: &'a dyn crate::connection::CompletionQueue,
    mappings: BTreeMap<u32, Mapping>,
    calls: u64,
    /// Arguments of the completions that are due.
    due: VecDeque<Vec<u64>>,
}

impl Client<'_> {
    fn step(&mut self, step: &TapeStep) -> Result<(), String> {
        match step {
            TapeStep::Call { selector, scalars, input, answer } => {
                let (asked, size) = asked(answer);
                let (mut gives, mut bytes) = (vec![0; asked], vec![0; size]);
                let structure = match input.is_empty() {
                    true => StructureInput::None,
                    false => StructureInput::Bytes(input),
                };
                let output = match size {
                    0 => StructureOutput::None,
                    _ => StructureOutput::Bytes(&mut bytes),
                };
                let mut output = MethodOutput::new(&mut gives, output);
                let input = MethodInput { scalars, structure };
                let result = self.connection.call_method(*selector, &input, &mut output);
                same(result.ok().err(), answer.as_ref().err().copied())?;
                match answer {
                    Ok((scalars, expected)) => same((&gives, &bytes), (scalars, expected)),
                    Err(_) => Ok(()),
                }
            }
            TapeStep::AsyncCall { selector, completions } => {
                self.calls += 1;
                let reference = [0, self.calls];
                let wake = AsyncWake { queue: Some(self.queue), reference: Some(&reference) };
                let input = MethodInput { scalars: &[], structure: StructureInput::None };
                let mut output = MethodOutput::new(&mut [], StructureOutput::None);
                let result =
                    self.connection.call_async_method(*selector, &wake, &input, &mut output);
                self.due.extend(completions.iter().cloned());
                same(result, IoReturn::SUCCESS)
            }
            TapeStep::Wait => {
                let due = self.due.pop_front();
                let timeout = due.is_none().then_some(Duration::from_nanos(WAIT));
                let came = self.queue.wait(timeout);
                same(came.map(|came| came.arguments.to_vec()), due)
            }
            TapeStep::Map(memory_type) => {
                if !self.mappings.contains_key(memory_type) {
                    let mapping = self.connection.map_memory(*memory_type, MapOptions::ANYWHERE, 0);
                    let mapping = mapping.map_err(|result| result.to_string())?;
                    self.mappings.insert(*memory_type, mapping);
                }
                Ok(())
            }
            TapeStep::Read(memory_type, offset, bytes) => {
                let Some(mapping) = self.mappings.get(memory_type) else { return Ok(()) };
                let read = mapping.read_vec(*offset, bytes.len() as u64);
                same(read.map_err(|error| error.to_string())?, bytes.clone())
            }
            TapeStep::Write(memory_type, offset, bytes) => {
                let Some(mapping) = self.mappings.get(memory_type) else { return Ok(()) };
                mapping.copy_in(*offset, bytes).map_err(|error| error.to_string())
            }
            TapeStep::Unmap(memory_type) => {
                let Some(mapping) = self.mappings.remove(memory_type) else { return Ok(()) };
                let result = self.connection.unmap_memory(*memory_type, mapping.address());
                same(result, IoReturn::SUCCESS)
            }
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{found:?}, not {expected:?}")),
    }
}
