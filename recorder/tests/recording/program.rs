//! Random client programs, and what a client that runs one can see.

use super::device::{Device, selector};
use dextape::IoReturn;
use dextape::call::{MapOptions, ServiceId};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, Matching, MethodInput, MethodOutput,
    NoticeQueue, StructureInput, StructureOutput, System,
};
use dextape::memory::{AccessError, Memory, SharedBuffer, Update, Width};
use dextape::schedule::Schedule;
use proptest::prelude::*;
use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

/// What a structure of a call is.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    Nothing,
    Bytes(usize),
    /// The shared buffer of this index.
    Shared(usize),
    Null(u64),
    Variable,
}

#[derive(Clone, Debug)]
pub(crate) struct CallStep {
    selector: u32,
    scalars: Vec<u64>,
    input: Given,
    asked: usize,
    output: Given,
}

/// One access to a memory: a mapping, or a shared buffer.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    Load(u64, Width),
    Store(u64, Width, u64),
    Update(u64, Width, Update),
    CopyOut(u64, usize),
    CopyIn(u64, Vec<u8>),
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Find(bool),
    Property(u64, bool),
    Properties(u64),
    Open(u64, u32),
    Watch(bool),
    TakeNotice(Option<u64>),
    NewQueue,
    Call(CallStep),
    AsyncCall {
        call: CallStep,
        queue: Option<usize>,
        reference: Option<Vec<u64>>,
    },
    Poll(usize),
    Await(usize),
    Wait(usize, u64),
    Map(u32, bool),
    Unmap(u32, bool),
    Mapping(usize, Access),
    Buffer(usize, Access),
    /// The device writes to its memory, behind everybody's back.
    Device(u64, u8),
    Close,
    /// Something happens outside the client; it sees nothing of it.
    Finish,
}

const BUFFER_SIZES: [u64; 3] = [64, 4097, 6000];

/// Programs that begin with a connection, queues and a mapping: where there are none, nothing much
/// happens.
pub(crate) fn program() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..60).prop_map(|steps| {
        let begin = [Step::Open(4711, 0), Step::NewQueue, Step::NewQueue, Step::Map(0, true)];
        [&begin[..], &steps].concat()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let reference = proptest::option::of(proptest::collection::vec(any::<u64>(), 0..10));
    prop_oneof![
        1 => any::<bool>().prop_map(Step::Find),
        1 => (4710..4714_u64, any::<bool>()).prop_map(|(id, known)| Step::Property(id, known)),
        1 => (4710..4714_u64).prop_map(Step::Properties),
        2 => (prop_oneof![4 => Just(4711_u64), 1 => Just(4712)], 0..2_u32)
            .prop_map(|(id, open_type)| Step::Open(id, open_type)),
        1 => any::<bool>().prop_map(Step::Watch),
        1 => proptest::option::of(0..3_u64).prop_map(Step::TakeNotice),
        1 => Just(Step::NewQueue),
        6 => call(true).prop_map(Step::Call),
        6 => (call(false), proptest::option::weighted(0.9, 0..3_usize), reference)
            .prop_map(|(call, queue, reference)| Step::AsyncCall { call, queue, reference }),
        3 => (0..3_usize).prop_map(Step::Poll),
        1 => (0..3_usize).prop_map(Step::Await),
        2 => (0..3_usize, 0..5_u64).prop_map(|(queue, time)| Step::Wait(queue, time)),
        2 => (0..3_u32, any::<bool>()).prop_map(|(kind, anywhere)| Step::Map(kind, anywhere)),
        1 => (0..3_u32, any::<bool>()).prop_map(|(kind, known)| Step::Unmap(kind, known)),
        8 => (0..3_usize, access(128)).prop_map(|(index, access)| Step::Mapping(index, access)),
        6 => (0..3_usize, access(4100)).prop_map(|(index, access)| Step::Buffer(index, access)),
        4 => (0..128_u64, any::<u8>()).prop_map(|(offset, byte)| Step::Device(offset, byte)),
        1 => Just(Step::Close),
    ]
}

fn call(sync: bool) -> impl Strategy<Value = CallStep> {
    let most = if sync { 5000 } else { 4096_usize };
    let given = move |variable: bool| {
        prop_oneof![
            Just(Given::Nothing),
            (0..64_usize).prop_map(Given::Bytes),
            (0..=most).prop_map(Given::Bytes),
            (0..3_usize).prop_map(Given::Shared),
            (4097..10_000_u64).prop_map(Given::Null),
            Just(if variable && sync { Given::Variable } else { Given::Nothing }),
        ]
    };
    let scalar = prop_oneof![0..130_u64, any::<u64>()];
    let scalars = proptest::collection::vec(scalar, 0..18);
    let selector = prop_oneof![0..6_u32, Just(selector::ECHO), Just(selector::START)];
    (selector, scalars, given(false), 0..20_usize, given(true)).prop_map(
        |(selector, scalars, input, asked, output)| CallStep {
            selector,
            scalars,
            input,
            asked,
            output,
        },
    )
}

fn access(size: u64) -> impl Strategy<Value = Access> {
    let width =
        prop_oneof![Just(Width::One), Just(Width::Two), Just(Width::Four), Just(Width::Eight)];
    let update = prop_oneof![
        any::<u64>().prop_map(Update::Swap),
        any::<u64>().prop_map(Update::Add),
        any::<u64>().prop_map(Update::Or),
        any::<u64>().prop_map(Update::And),
        (0..2_u64, any::<u64>())
            .prop_map(|(expected, new)| Update::CompareExchange { expected, new }),
    ];
    // Mostly inside the memory and aligned, sometimes neither.
    let offset = prop_oneof![4 => (0..size / 8).prop_map(|word| word * 8), 1 => 0..size * 8];
    let bytes = proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        3 => (offset.clone(), width.clone()).prop_map(|(offset, width)| Access::Load(offset, width)),
        1 => (offset.clone(), width.clone(), any::<u64>())
            .prop_map(|(offset, width, value)| Access::Store(offset, width, value)),
        1 => (offset.clone(), width, update)
            .prop_map(|(offset, width, update)| Access::Update(offset, width, update)),
        2 => (offset.clone(), 0..60_usize).prop_map(|(offset, length)| Access::CopyOut(offset, length)),
        1 => (offset, bytes).prop_map(|(offset, bytes)| Access::CopyIn(offset, bytes)),
    ]
}

/// Runs `steps` on a fresh device, as a client of what `wrap` makes of its system, and gives all
/// that the client saw, line by line.
pub(crate) fn run(
    schedule: &Schedule,
    shows_posts: bool,
    steps: &[Step],
    wrap: impl FnOnce(Arc<dyn System>) -> Arc<dyn System>,
) -> Vec<String> {
    run_with(schedule, shows_posts, steps, wrap, || {})
}

/// As [`run`], with what happens at [`Step::Finish`].
pub(crate) fn run_with(
    schedule: &Schedule,
    shows_posts: bool,
    steps: &[Step],
    wrap: impl FnOnce(Arc<dyn System>) -> Arc<dyn System>,
    finish: impl Fn(),
) -> Vec<String> {
    let device = Device::new(schedule, shows_posts);
    let system = wrap(device.system());
    let mut client = Client {
        system,
        device,
        seen: Vec::new(),
        connection: None,
        queues: Vec::new(),
        notices: None,
        mappings: Vec::new(),
        buffers: BUFFER_SIZES.map(SharedBuffer::new),
    };
    for step in steps {
        match step {
            Step::Finish => finish(),
            step => client.step(step),
        }
    }
    client.seen
}

struct Client {
    system: Arc<dyn System>,
    device: Arc<Device>,
    seen: Vec<String>,
    connection: Option<Box<dyn Connection>>,
    queues: Vec<Arc<dyn CompletionQueue>>,
    notices: Option<Arc<dyn NoticeQueue>>,
    mappings: Vec<Mapping>,
    buffers: [SharedBuffer; 3],
}

impl Client {
    fn see(&mut self, what: impl std::fmt::Debug) {
        self.seen.push(format!("{what:x?}"));
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Find(one) => {
                let matching = if *one { Matching::service("Echo") } else { Matching::default() };
                self.see(self.system.matching_services(&matching));
            }
            Step::Property(id, known) => {
                let key = if *known { "Serial" } else { "Nothing" };
                self.see(self.system.property(ServiceId(*id), key));
            }
            Step::Properties(id) => self.see(self.system.properties(ServiceId(*id))),
            Step::Open(id, open_type) => match self.system.open(ServiceId(*id), *open_type) {
                Ok(connection) => {
                    self.see(connection.id());
                    self.connection = Some(connection);
                }
                Err(result) => self.see(result),
            },
            Step::Watch(all) => {
                let matching = if *all { Matching::default() } else { Matching::service("Echo") };
                match self.system.watch(&matching) {
                    Ok(notices) => {
                        self.see(notices.id());
                        self.notices = Some(notices);
                    }
                    Err(result) => self.see(result),
                }
            }
            Step::TakeNotice(timeout) => {
                if let Some(notices) = &self.notices {
                    let notice = match timeout {
                        None => notices.poll(),
                        Some(time) => notices.wait(Some(Duration::from_millis(*time))),
                    };
                    self.see(notice);
                }
            }
            Step::NewQueue => {
                let queue = self.system.completion_queue();
                self.see(queue.id());
                self.queues.push(queue);
            }
            Step::Call(call) => self.call(call, None),
            Step::AsyncCall { call, queue, reference } => {
                let queue = queue.and_then(|index| self.queues.get(index)).cloned();
                let wake = AsyncWake { queue: queue.as_deref(), reference: reference.as_deref() };
                self.call(call, Some(&wake));
            }
            Step::Poll(index) => {
                if let Some(queue) = self.queues.get(*index).cloned() {
                    self.see(queue.poll());
                }
            }
            Step::Await(index) => {
                if let Some(queue) = self.queues.get(*index).cloned() {
                    let mut next = std::pin::pin!(queue.next());
                    self.see(next.as_mut().poll(&mut Context::from_waker(Waker::noop())));
                }
            }
            Step::Wait(index, time) => {
                if let Some(queue) = self.queues.get(*index).cloned() {
                    self.see(queue.wait(Some(Duration::from_millis(*time))));
                    self.see(self.system.schedule().now());
                }
            }
            Step::Map(memory_type, anywhere) => {
                let options = if *anywhere { MapOptions::ANYWHERE } else { MapOptions(0) };
                let Some(connection) = &self.connection else { return };
                match connection.map_memory(*memory_type, options, 0x77_0000) {
                    Ok(mapping) => {
                        let size = mapping.size();
                        let shape = (mapping.id(), mapping.memory_type(), mapping.address());
                        self.see((shape, mapping.length(), size));
                        self.mappings.push(mapping);
                    }
                    Err(result) => self.see(result),
                }
            }
            Step::Unmap(memory_type, known) => {
                let address = self.mappings.first().filter(|_| *known).map_or(1, Mapping::address);
                if let Some(connection) = &self.connection {
                    self.see(connection.unmap_memory(*memory_type, address));
                }
            }
            Step::Mapping(index, access) => {
                if let Some(mapping) = self.mappings.get(*index).cloned() {
                    self.see(perform(&*mapping, access));
                }
            }
            Step::Buffer(index, access) => {
                let buffer = self.buffers[*index].clone();
                self.see(perform(&*buffer.memory(), access));
            }
            Step::Device(offset, byte) => self.device.memory.copy_in(*offset, &[*byte]).unwrap(),
            Step::Close => {
                if let Some(connection) = &self.connection {
                    self.see(connection.close());
                }
            }
            Step::Finish => {}
        }
    }

    fn call(&mut self, call: &CallStep, wake: Option<&AsyncWake<'_>>) {
        let Some(connection) = &self.connection else { return };
        let bytes: Vec<u8> = match call.input {
            Given::Bytes(length) => (0..length).map(|index| index as u8 ^ 0x5a).collect(),
            _ => Vec::new(),
        };
        let structure = match call.input {
            Given::Bytes(_) => StructureInput::Bytes(&bytes),
            Given::Shared(index) => StructureInput::Shared(&self.buffers[index]),
            Given::Null(size) => StructureInput::Null { size },
            _ => StructureInput::None,
        };
        let input = MethodInput { scalars: &call.scalars, structure };
        let mut room = match call.output {
            Given::Bytes(length) => vec![0xcc; length],
            _ => vec![0xcc; 3],
        };
        let mut variable = room.clone();
        let structure = match call.output {
            Given::Bytes(_) => StructureOutput::Bytes(&mut room),
            Given::Shared(index) => StructureOutput::Shared(&self.buffers[index]),
            Given::Null(size) => StructureOutput::Null { size },
            Given::Variable => StructureOutput::Variable(&mut variable),
            Given::Nothing => StructureOutput::None,
        };
        let mut scalars = vec![0xdd; call.asked];
        let mut output = MethodOutput::new(&mut scalars, structure);
        let result: IoReturn = match wake {
            None => connection.call_method(call.selector, &input, &mut output),
            Some(wake) => connection.call_async_method(call.selector, wake, &input, &mut output),
        };
        let counts = (output.scalar_count, output.structure_size);
        self.see((result, counts, scalars, room, variable));
    }
}

fn perform(memory: &dyn Memory, access: &Access) -> Result<Vec<u8>, AccessError> {
    match access {
        Access::Load(offset, width) => {
            Ok(memory.load_word(*offset, *width)?.to_le_bytes().to_vec())
        }
        Access::Store(offset, width, value) => {
            memory.store_word(*offset, *width, *value).map(|()| Vec::new())
        }
        Access::Update(offset, width, update) => {
            Ok(memory.update_word(*offset, *width, *update)?.to_le_bytes().to_vec())
        }
        Access::CopyOut(offset, length) => {
            let mut bytes = vec![0xbb; *length];
            memory.copy_out(*offset, &mut bytes)?;
            Ok(bytes)
        }
        Access::CopyIn(offset, bytes) => memory.copy_in(*offset, bytes).map(|()| Vec::new()),
    }
}

/// A program that meets every kind of event, for tests that want one rather than a random one.
pub(crate) fn every_kind() -> Vec<Step> {
    let call = |selector, scalars: &[u64], input, output| CallStep {
        selector,
        scalars: scalars.to_vec(),
        input,
        asked: 2,
        output,
    };
    let start = |reference| Step::AsyncCall {
        call: call(selector::START, &[2], Given::Shared(1), Given::Shared(2)),
        queue: Some(0),
        reference,
    };
    vec![
        Step::Find(true),
        Step::Property(4711, true),
        Step::Properties(4711),
        Step::Watch(false),
        Step::TakeNotice(None),
        Step::TakeNotice(Some(1)),
        Step::TakeNotice(Some(1)),
        Step::Open(4711, 1),
        Step::Open(4711, 0),
        Step::NewQueue,
        Step::Call(call(selector::ECHO, &[1, 2, 3], Given::Bytes(24), Given::Bytes(16))),
        Step::Call(call(selector::FAIL, &[5], Given::Nothing, Given::Shared(1))),
        start(None),
        start(Some(vec![1, 2, 3])),
        start(Some(vec![9; 8])),
        Step::Poll(0),
        Step::Await(0),
        Step::Wait(0, 3),
        Step::Map(0, true),
        Step::Map(2, false),
        Step::Mapping(0, Access::Store(8, Width::Four, 7)),
        Step::Device(9, 1),
        Step::Mapping(0, Access::Load(8, Width::Four)),
        Step::Mapping(0, Access::Update(8, Width::Four, Update::Add(1))),
        Step::Mapping(0, Access::CopyIn(0, vec![1; 20])),
        Step::Call(call(selector::POKE_LENT, &[3, 4], Given::Nothing, Given::Nothing)),
        Step::Buffer(1, Access::CopyOut(0, 8)),
        Step::Unmap(0, true),
        Step::Close,
    ]
}
