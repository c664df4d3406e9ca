//! The test device: its registry, its connections, its memory.

use super::queue::{Fifo, Port, TestNotices, TestQueue};
use dextape::IoReturn;
use dextape::call::{
    AsyncReference, Completion, ConnectionId, MapOptions, MemoryId, QueueId, Scalars, ServiceId,
};
use dextape::connection::{
    AsyncWake, CompletionQueue, Connection, Mapping, Matching, MethodInput, MethodOutput, Notice,
    NoticeKind, NoticeQueue, OtherCall, OtherReply, StructureInput, StructureOutput, System, Value,
};
use dextape::limits::{ASYNC_REFERENCE_MAX, INLINE_STRUCTURE_MAX, SCALARS_MAX};
use dextape::memory::{AccessError, Backing, Memory, SharedBuffer, Update, Width};
use dextape::schedule::Schedule;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Selectors of the test device.
pub(crate) mod selector {
    /// Gives back scalars and structure.
    pub(crate) const ECHO: u32 = 0;
    /// Writes 0xee to an out-of-line output, then fails with the first scalar as its code.
    pub(crate) const FAIL: u32 = 1;
    /// Keeps the action; completes it at once as often as the first scalar says.
    pub(crate) const START: u32 = 2;
    /// Completes every kept action once, with the first scalar as argument.
    pub(crate) const FIRE: u32 = 3;
    /// Writes the byte of the second scalar to the memory at the first.
    pub(crate) const POKE: u32 = 4;
    /// As `POKE`, but into every shared buffer that an asynchronous call has lent.
    pub(crate) const POKE_LENT: u32 = 5;
}

/// A device with two services and a memory of 128 bytes.
#[derive(Debug)]
pub(crate) struct Device {
    schedule: Schedule,
    shows_posts: bool,
    pub(crate) memory: Arc<Backing>,
    actions: Mutex<Vec<(Arc<Port>, AsyncReference)>>,
    lent: Mutex<Vec<SharedBuffer>>,
    notices: Arc<Fifo<Notice>>,
    numbers: AtomicU64,
}

impl Device {
    pub(crate) fn new(schedule: &Schedule, shows_posts: bool) -> Arc<Self> {
        Arc::new(Self {
            schedule: schedule.clone(),
            shows_posts,
            memory: Backing::new(128),
            actions: Mutex::default(),
            lent: Mutex::default(),
            notices: Arc::new(Fifo::new(schedule)),
            // Far from the numbers of a tape, so that one cannot pass for the other.
            numbers: AtomicU64::new(5000),
        })
    }

    /// The device as clients see it.
    pub(crate) fn system(self: &Arc<Self>) -> Arc<dyn System> {
        Arc::new(TestSystem(Arc::clone(self)))
    }

    /// Lets go of every shared buffer.
    pub(crate) fn forget_lent(&self) {
        self.lent.lock().unwrap().clear();
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn act(&self, selector: u32, scalars: &[u64], output: &MethodOutput<'_>) -> IoReturn {
        let scalar = |index: usize| scalars.get(index).copied().unwrap_or(0);
        match selector {
            selector::FAIL => {
                if let StructureOutput::Shared(buffer) = &output.structure
                    && buffer.length() > INLINE_STRUCTURE_MAX
                {
                    buffer.store().copy_in(0, &[0xee; 100]).unwrap();
                }
                return IoReturn(scalar(0) as u32);
            }
            selector::FIRE => {
                for (queue, reference) in &*self.actions.lock().unwrap() {
                    post(queue, *reference, scalar(0));
                }
            }
            selector::POKE => {
                let _ = self.memory.copy_in(scalar(0), &[scalar(1) as u8]);
            }
            selector::POKE_LENT => {
                for buffer in &*self.lent.lock().unwrap() {
                    let _ = buffer.store().copy_in(scalar(0), &[scalar(1) as u8]);
                }
            }
            _ => {}
        }
        IoReturn::SUCCESS
    }
}

fn post(queue: &Port, reference: AsyncReference, argument: u64) {
    let arguments = Scalars::clamped(&[argument]);
    queue.post(Completion { reference, status: IoReturn::SUCCESS, arguments });
}

#[derive(Debug)]
struct TestSystem(Arc<Device>);

const SERVICES: [(u64, &str); 2] = [(4711, "Echo"), (4712, "Other")];

impl System for TestSystem {
    fn matching_services(&self, matching: &Matching) -> Result<Vec<ServiceId>, IoReturn> {
        let wanted = matching.conditions().find(|(key, _)| *key == Matching::CLASS);
        let of_class = |class: &str| wanted.is_none_or(|(_, it)| *it == Value::from(class));
        let found = SERVICES.iter().filter(|(_, class)| of_class(class));
        Ok(found.map(|(id, _)| ServiceId(*id)).collect())
    }

    fn property(&self, service: ServiceId, key: &str) -> Result<Option<Value>, IoReturn> {
        Ok(self.properties(service)?.remove(key))
    }

    fn properties(&self, service: ServiceId) -> Result<BTreeMap<String, Value>, IoReturn> {
        let known = SERVICES.iter().find(|(id, _)| *id == service.0).ok_or(IoReturn::NO_DEVICE)?;
        Ok([
            ("IOClass".to_owned(), Value::from(known.1)),
            ("Serial".to_owned(), Value::from("SECRET-SERIAL")),
        ]
        .into())
    }

    fn open(&self, service: ServiceId, open_type: u32) -> Result<Box<dyn Connection>, IoReturn> {
        if service.0 != SERVICES[0].0 || open_type != 0 {
            return Err(IoReturn(0xe000_0001 + open_type));
        }
        let id = ConnectionId(self.0.number());
        let alive = Arc::new(AtomicBool::new(true));
        Ok(Box::new(TestConnection { id, device: Arc::clone(&self.0), alive }))
    }

    fn watch(&self, matching: &Matching) -> Result<Arc<dyn NoticeQueue>, IoReturn> {
        if matching.conditions().count() == 0 {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let fifo = Arc::clone(&self.0.notices);
        for kind in [NoticeKind::Arrived, NoticeKind::Terminated] {
            fifo.push(Notice { kind, service: ServiceId(SERVICES[1].0) });
        }
        Ok(Arc::new(TestNotices { id: QueueId(self.0.number()), fifo }))
    }

    fn completion_queue(&self) -> Arc<dyn CompletionQueue> {
        Arc::new(TestQueue(Arc::new(Port {
            id: QueueId(self.0.number()),
            device: Arc::as_ptr(&self.0).addr(),
            fifo: Fifo::new(&self.0.schedule),
            observers: Mutex::default(),
            wakers: Mutex::default(),
            shows_posts: self.0.shows_posts,
        })))
    }

    fn schedule(&self) -> &Schedule {
        &self.0.schedule
    }
}

#[derive(Debug)]
struct TestConnection {
    id: ConnectionId,
    device: Arc<Device>,
    alive: Arc<AtomicBool>,
}

impl Connection for TestConnection {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn call_method(
        &self,
        selector: u32,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        if input.scalars.len() > SCALARS_MAX {
            return IoReturn(0xffff_fecd);
        }
        if !self.alive.load(Ordering::Relaxed) {
            return IoReturn(0x1000_0003);
        }
        let result = self.device.act(selector, input.scalars, output);
        if result.ok().is_err() {
            return result;
        }
        if selector != selector::ECHO {
            output.scalar_count = 0;
            return result;
        }
        let count = output.scalars.len().min(input.scalars.len());
        output.scalars[..count].copy_from_slice(&input.scalars[..count]);
        output.scalar_count = count as u32;
        let bytes = match input.structure {
            StructureInput::Bytes(bytes) => bytes.to_vec(),
            StructureInput::Shared(buffer) => {
                let whole: &dyn Memory = &**buffer.store();
                whole.read_vec(0, buffer.length()).unwrap()
            }
            _ => Vec::new(),
        };
        let room = output.structure.size();
        match &mut output.structure {
            StructureOutput::Bytes(into) => {
                let count = bytes.len().min(into.len());
                into[..count].copy_from_slice(&bytes[..count]);
                output.structure_size =
                    if room > INLINE_STRUCTURE_MAX { room } else { count as u64 };
            }
            StructureOutput::Shared(buffer) => {
                let count = bytes.len().min(buffer.length() as usize);
                buffer.store().copy_in(0, &bytes[..count]).unwrap();
                output.structure_size =
                    if room > INLINE_STRUCTURE_MAX { room } else { count as u64 };
            }
            StructureOutput::Variable(into) => {
                **into = bytes;
                output.structure_size = into.len() as u64;
            }
            _ => {}
        }
        result
    }

    fn call_async_method(
        &self,
        selector: u32,
        wake: &AsyncWake<'_>,
        input: &MethodInput<'_>,
        output: &mut MethodOutput<'_>,
    ) -> IoReturn {
        if wake.reference.is_some_and(|reference| reference.len() > ASYNC_REFERENCE_MAX) {
            return IoReturn(0xffff_fecd);
        }
        if wake.reference.is_some_and(<[u64]>::is_empty) {
            return IoReturn::BAD_ARGUMENT;
        }
        let mut reference = [0; ASYNC_REFERENCE_MAX];
        if let Some(given) = wake.reference {
            reference[..given.len()].copy_from_slice(given);
            reference[0] = 0;
        }
        let mut lent = self.device.lent.lock().unwrap();
        if let StructureInput::Shared(buffer) = input.structure {
            lent.push(buffer.clone());
        }
        if let StructureOutput::Shared(buffer) = &output.structure {
            lent.push((*buffer).clone());
        }
        drop(lent);
        let queue = wake.queue.map(|queue| {
            let queue = queue.as_any().downcast_ref::<TestQueue>();
            queue.filter(|queue| queue.0.device == std::ptr::from_ref(&*self.device).addr())
        });
        match queue {
            // Not a port of this system (D5).
            Some(None) => return IoReturn(0x1000_000a),
            Some(Some(queue)) if selector == selector::START => {
                for ordinal in 0..input.scalars.first().copied().unwrap_or(0).min(10) {
                    post(&queue.0, reference, ordinal);
                }
                self.device.actions.lock().unwrap().push((Arc::clone(&queue.0), reference));
            }
            _ => {}
        }
        self.call_method(selector, input, output)
    }

    fn map_memory(
        &self,
        memory_type: u32,
        options: MapOptions,
        address: u64,
    ) -> Result<Mapping, IoReturn> {
        if memory_type > 1 || !self.alive.load(Ordering::Relaxed) {
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let address = if options.contains(MapOptions::ANYWHERE) { 0x10_0000 } else { address };
        let memory = TestMemory(Arc::clone(&self.device), Arc::clone(&self.alive));
        Ok(Mapping::new(MemoryId(9000), memory_type, address, 128, Arc::new(memory)))
    }

    fn unmap_memory(&self, memory_type: u32, _address: u64) -> IoReturn {
        if memory_type > 1 { IoReturn::UNSUPPORTED } else { IoReturn::SUCCESS }
    }

    fn close(&self) -> IoReturn {
        self.alive.store(false, Ordering::Relaxed);
        IoReturn::SUCCESS
    }

    /// Each kind of call has an answer by which it can be told.
    fn other_call(&self, call: &OtherCall<'_>) -> OtherReply {
        match *call {
            OtherCall::SetNotificationPort { queue: None, .. } => Err(IoReturn::UNSUPPORTED),
            OtherCall::SetNotificationPort { queue: Some(queue), .. } => {
                let queue = queue.as_any().downcast_ref::<TestQueue>();
                let device = std::ptr::from_ref(&*self.device).addr();
                match queue.filter(|queue| queue.0.device == device) {
                    Some(_) => Err(IoReturn::UNSUPPORTED),
                    None => Err(IoReturn::MACH_SEND_INVALID_RIGHT),
                }
            }
            OtherCall::AddClient { client } => match client {
                Some(client) => Err(IoReturn(0x1000 + client.0 as u32)),
                None => Err(IoReturn::BAD_ARGUMENT),
            },
            OtherCall::GetService => Ok(Some(ServiceId(SERVICES[1].0))),
            OtherCall::SetProperties { properties: Some(Value::Dictionary(entries)) } => {
                Err(IoReturn(0x2000 + entries.len() as u32))
            }
            OtherCall::SetProperties { .. } => Err(IoReturn::UNSUPPORTED),
            OtherCall::Trap { index, arguments } => {
                Err(IoReturn(index + arguments.iter().sum::<u64>() as u32))
            }
            OtherCall::AddRef | OtherCall::Release => Ok(None),
        }
    }
}

/// The device's memory as one connection has it mapped.
#[derive(Debug)]
struct TestMemory(Arc<Device>, Arc<AtomicBool>);

impl TestMemory {
    fn at(&self, offset: u64) -> Result<&Backing, AccessError> {
        let mapped = self.1.load(Ordering::Relaxed);
        if mapped { Ok(&self.0.memory) } else { Err(AccessError::Unmapped { offset }) }
    }
}

impl Memory for TestMemory {
    fn size(&self) -> u64 {
        self.0.memory.size()
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        self.at(offset)?.load_word(offset, width)
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        self.at(offset)?.store_word(offset, width, value)
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        self.at(offset)?.update_word(offset, width, update)
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.at(offset)?.copy_out(offset, into)
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.at(offset)?.copy_in(offset, bytes)
    }
}
