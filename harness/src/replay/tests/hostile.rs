//! Tapes that no recorder wrote: they are refused or replayed, and nothing panics or runs over.

use crate::IoReturn;
use crate::call::{MapOptions, ServiceId};
use crate::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, MethodInput, MethodOutput, NoticeQueue,
    StructureInput, StructureOutput, System,
};
use crate::memory::SharedBuffer;
use crate::replay::{OnDivergence, PatchTiming, Policy, ReplayOptions, Replayer};
use crate::schedule::Schedule;
use crate::tape::sample::every_kind;
use crate::tape::{Body, Call, Event, MappedMemory, OutputKind, Payload, Structure, Tape};
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::Arc;
use std::time::Duration;

/// What is done to one event.
#[derive(Clone, Debug)]
enum Harm {
    Drop,
    Copy(Index),
    Swap(Index),
    Cause(Option<u64>),
    Lane(u32),
    Connection(Option<u32>),
    Time(u64),
    Number(u64),
}

fn harm() -> impl Strategy<Value = Harm> {
    let number = prop_oneof![0..40_u64, Just(u64::MAX), Just(u64::MAX - 7), any::<u64>()];
    prop_oneof![
        Just(Harm::Drop),
        any::<Index>().prop_map(Harm::Copy),
        any::<Index>().prop_map(Harm::Swap),
        proptest::option::of(0..60_u64).prop_map(Harm::Cause),
        (0..4_u32).prop_map(Harm::Lane),
        proptest::option::of(0..4_u32).prop_map(Harm::Connection),
        number.clone().prop_map(Harm::Time),
        number.prop_map(Harm::Number),
    ]
}

fn apply(events: &mut Vec<Event>, place: Index, harm: &Harm) {
    if events.is_empty() {
        return;
    }
    let place = place.index(events.len());
    match harm {
        Harm::Drop => drop(events.remove(place)),
        Harm::Copy(to) => {
            let event = events[place].clone();
            events.insert(to.index(events.len()), event);
        }
        Harm::Swap(with) => {
            let with = with.index(events.len());
            events.swap(place, with);
        }
        Harm::Cause(cause) => events[place].cause = *cause,
        Harm::Lane(lane) => events[place].lane = *lane,
        Harm::Connection(connection) => events[place].connection = *connection,
        Harm::Time(time) => events[place].time = *time,
        Harm::Number(number) => renumber(&mut events[place].body, *number),
    }
}

/// Puts a number where the event has one that others build on.
fn renumber(body: &mut Body, number: u64) {
    let small = number as u32;
    match body {
        Body::Patch { offset, read, .. } => (*offset, *read) = (number, number),
        Body::Write { offset, .. } | Body::Update { offset, .. } => *offset = number,
        Body::Mapped { outcome: Ok(MappedMemory { length, size, .. }) } => {
            (*length, *size) = (number, number);
        }
        Body::Map { address, options, .. } => (*address, *options) = (number, small),
        Body::Queue { queue } | Body::Delivered { queue, .. } | Body::Wait { queue, .. } => {
            *queue = small;
        }
        Body::Return(returned) => {
            returned.structure_size = Some(number);
            returned.structure = Some(Payload::Redacted { length: number });
        }
        Body::Call(call) | Body::AsyncCall { call, .. } => {
            call.output = OutputKind::Bytes { size: number };
            call.input = Structure::Null { size: number };
        }
        Body::Matched { outcome, .. } => *outcome = Ok(vec![small; 3]),
        _ => {}
    }
}

/// What a client holds on to.
#[derive(Default)]
struct Client {
    connections: Vec<Box<dyn Connection>>,
    queues: Vec<Arc<dyn CompletionQueue>>,
    notices: Vec<Arc<dyn NoticeQueue>>,
    mappings: Vec<Mapping>,
    buffers: Vec<SharedBuffer>,
}

impl Client {
    /// Does what an event tells, with what there is.
    fn follow(&mut self, system: &dyn System, event: &Event) {
        let connection = self.connections.last();
        match &event.body {
            Body::Matched { matching, .. } => drop(system.matching_services(matching)),
            Body::Property { service, key: Some(key), .. } => {
                drop(system.property(ServiceId((*service).into()), key));
            }
            Body::Property { service, key: None, .. } => {
                drop(system.properties(ServiceId((*service).into())));
            }
            Body::Watch { matching, .. } => self.notices.extend(system.watch(matching)),
            Body::Queue { .. } => self.queues.push(system.completion_queue()),
            Body::Open { service, open_type } => {
                self.connections.extend(system.open(ServiceId((*service).into()), *open_type));
            }
            Body::Call(call) => self.call(call, None),
            Body::AsyncCall { call, reference, .. } => self.call(call, Some(reference.as_deref())),
            Body::Wait { timeout, .. } => {
                let timeout = timeout.map(Duration::from_nanos);
                let _ = self.queues.last().map(|queue| queue.wait(timeout));
                let _ = self.notices.last().map(|queue| queue.wait(timeout));
            }
            Body::Delivered { .. } | Body::Notice { .. } => {
                let _ = self.queues.last().map(|queue| queue.poll());
                let _ = self.notices.last().map(|queue| queue.poll());
            }
            Body::Map { memory_type, options, address } => {
                if let Some(connection) = connection {
                    let options = MapOptions(*options);
                    self.mappings.extend(connection.map_memory(*memory_type, options, *address));
                }
            }
            Body::Unmap { memory_type, .. } => {
                let address = self.mappings.last().map_or(0, Mapping::address);
                let _ = connection.map(|connection| connection.unmap_memory(*memory_type, address));
            }
            Body::Close => {
                let _ = connection.map(|connection| connection.close());
            }
            Body::Write { offset, data, .. } => {
                let bytes = vec![1; data.length().min(10_000) as usize];
                for mapping in &self.mappings {
                    let _ = mapping.copy_in(*offset, &bytes);
                }
            }
            Body::Update { offset, .. } => {
                for mapping in &self.mappings {
                    let _ = mapping.fetch_add::<u32>(*offset, 1);
                }
            }
            Body::Patch { offset, .. } => {
                let mut room = [0; 100];
                for mapping in &self.mappings {
                    let _ = mapping.copy_out(*offset, &mut room);
                    let _ = mapping.load::<u8>(*offset);
                }
                for buffer in &self.buffers {
                    let _ = buffer.memory().copy_out(*offset, &mut room);
                }
            }
            _ => {}
        }
    }

    fn call(&mut self, call: &Call, wake: Option<Option<&[u64]>>) {
        let Some(connection) = self.connections.last() else { return };
        let room = |size: u64| size.min(5000) as usize;
        let bytes = match &call.input {
            Structure::Bytes(Payload::Bytes(bytes)) => bytes.to_vec(),
            Structure::Bytes(payload) => vec![0; room(payload.length())],
            _ => Vec::new(),
        };
        let lent = SharedBuffer::new(8192);
        let structure = match &call.input {
            Structure::Bytes(_) if bytes.len() <= 4096 || wake.is_none() => {
                StructureInput::Bytes(&bytes)
            }
            Structure::Shared { .. } => StructureInput::Shared(&lent),
            Structure::Null { size } => StructureInput::Null { size: *size },
            Structure::Unmapped { size } => StructureInput::Unmapped { size: *size },
            _ => StructureInput::None,
        };
        let (mut scalars, mut reply, mut variable) = ([0; 16], Vec::new(), vec![1]);
        let output = match &call.output {
            OutputKind::Bytes { size } if *size <= 4096 || wake.is_none() => {
                reply.resize(room(*size), 0);
                StructureOutput::Bytes(&mut reply)
            }
            OutputKind::Shared { .. } => StructureOutput::Shared(&lent),
            OutputKind::Null { size } => StructureOutput::Null { size: *size },
            OutputKind::Unmapped { size } => StructureOutput::Unmapped { size: *size },
            OutputKind::Variable => StructureOutput::Variable(&mut variable),
            _ => StructureOutput::None,
        };
        let asked = (call.scalars_asked as usize).min(16);
        let mut output = MethodOutput::new(&mut scalars[..asked], output);
        let input = MethodInput { scalars: &call.scalars, structure };
        let _ = match wake {
            None => connection.call_method(call.selector, &input, &mut output),
            Some(reference) => {
                let queue = self.queues.last().map(|queue| &**queue);
                let wake = AsyncWake { queue, reference };
                connection.call_async_method(call.selector, &wake, &input, &mut output)
            }
        };
        self.buffers.push(lent);
    }
}

proptest! {
    #[test]
    fn a_tape_that_nobody_recorded_is_refused_or_replayed(
        harms in proptest::collection::vec((any::<Index>(), harm()), 0..5),
        policy in 0..4_usize,
        as_recorded in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let (sample, mut events) = (every_kind(), every_kind().events().to_vec());
        for (place, harm) in &harms {
            apply(&mut events, *place, harm);
        }
        // The client does what the unharmed tape tells.
        let client = sample.events().to_vec();
        let mut header = sample.header().clone();
        header.policy = None;
        let timing = if as_recorded { PatchTiming::AsRecorded } else { PatchTiming::FirstRead };
        let options = ReplayOptions::default()
            .policy(Policy::ALL[policy])
            .patches(timing)
            .on_divergence(OnDivergence::Answer(IoReturn::NOT_RESPONDING))
            .patience(Duration::from_millis(1));
        if let Ok(replayer) = Replayer::new(Arc::new(Tape::new(header, events)), options) {
            let run = |system: &dyn System| {
                let mut held = Client::default();
                client.iter().for_each(|event| held.follow(system, event));
            };
            if seed % 2 == 0 {
                run(&*replayer.system(&Schedule::free()));
            } else {
                // A run that is stuck unwinds with the schedule's own report.
                let run = || Schedule::simulate(seed, |schedule| run(&*replayer.system(schedule)));
                let stuck = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                let text = stuck.err().map(|panic| panic.downcast::<String>().map(|text| *text));
                let text = text.transpose();
                prop_assert!(text.is_ok(), "not the report of a stuck run");
                if let Ok(Some(text)) = text {
                    prop_assert!(text.starts_with("stuck at"), "{}", text);
                }
            }
            match replayer.finish() {
                Ok(report) => prop_assert!(!report.to_string().is_empty()),
                Err(divergence) => prop_assert!(!divergence.to_string().is_empty()),
            }
        }
    }
}
