//! The dext: a driver of a controller, and a user client with rings.

use super::abi::{BUNDLE_ID, DEPTH, QueueRequest, Submission, USER_CLASS, memory_type, selector};
use super::disk::{Data, Disk};
use super::ring::{Ring, layout, size};
use crate::dext::{lock, scalar, structure};
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::driverkit::{
    self, BufferMemoryDescriptor, Direction, DispatchQueue, ExternalMethodArguments,
    MappingOptions, MemoryDescriptor, MemoryMap, OsData, OsSharedPtr, Provider, Service,
    TimerDispatchSource, UserClient, UserClientMethodDispatch, os_log, super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::AccessError;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

/// How long the controller takes for a command.
const COMMAND_TIME: Duration = Duration::from_millis(2);

/// Queue pairs and buffers that one client can have.
const QUEUES_MAX: u16 = 16;
const BUFFERS_MAX: usize = 16;

/// The largest buffer in bytes.
const BUFFER_MAX: u64 = 1 << 20;

/// Where the data of commands lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataBuffers {
    /// In buffers that the dext makes and the client maps.
    Dext,
    /// Naively in the client's structure input, which the dext keeps: it is read-only to the device,
    /// and a snapshot.
    Client,
}

/// The driver; it serves one client at a time.
#[derive(Debug)]
pub struct NvmeDriver {
    buffers: DataBuffers,
    disk: Arc<Disk>,
    client: Mutex<Weak<Shared>>,
}

impl NvmeDriver {
    /// Publishes it, with an empty disk.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(buffers: DataBuffers, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        let driver = Self { buffers, disk: Arc::new(Disk::new()), client: Mutex::default() };
        system.publish(ServiceDescription::dext(USER_CLASS, BUNDLE_ID), Arc::new(driver))
    }
}

impl Service for NvmeDriver {
    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let mut present = lock(&self.client);
        if present.upgrade().is_some_and(|client| lock(&client.state).is_open) {
            return Err(IoReturn::EXCLUSIVE_ACCESS);
        }
        let shared = Arc::new(Shared {
            buffers: self.buffers,
            disk: Arc::clone(&self.disk),
            state: Mutex::new(State { is_open: true, ..State::default() }),
        });
        *present = Arc::downgrade(&shared);
        Ok(Some(Arc::new(NvmeUserClient { shared })))
    }
}

/// The user client.
#[derive(Debug)]
struct NvmeUserClient {
    shared: Arc<Shared>,
}

/// What the user client and its timer share.
#[derive(Debug)]
struct Shared {
    buffers: DataBuffers,
    disk: Arc<Disk>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_open: bool,
    is_ready: bool,
    timer: Option<(OsSharedPtr<TimerDispatchSource>, OsSharedPtr<DispatchQueue>)>,
    queues: BTreeMap<u16, QueuePair>,
    buffers: BTreeMap<u64, Buffer>,
    last_token: u64,
    /// Commands that the controller has, in order, each with the time when it is done.
    under_way: VecDeque<(Duration, u16, Submission)>,
}

/// A queue pair. Indices of the dext's own are kept here: what the client writes to the rings is
/// looked at with care.
#[derive(Debug)]
struct QueuePair {
    depth: u64,
    submissions: OsSharedPtr<BufferMemoryDescriptor>,
    completions: OsSharedPtr<BufferMemoryDescriptor>,
    /// Next entry of the submission ring to be taken.
    head: u64,
    /// Next entry of the completion ring to be filled, and the phase that it gets.
    tail: u64,
    phase: u16,
    /// Ended commands for which the completion ring has no room.
    ended: VecDeque<Submission>,
}

/// Memory for data. The descriptor is kept for as long as the map.
#[derive(Debug)]
struct Buffer {
    descriptor: OsSharedPtr<MemoryDescriptor>,
    map: OsSharedPtr<MemoryMap>,
    length: u64,
}

impl Buffer {
    fn of(descriptor: OsSharedPtr<MemoryDescriptor>) -> Result<Self, IoReturn> {
        let map = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0)?;
        let length = descriptor.length();
        Ok(Self { descriptor, map: OsSharedPtr::adopt(map), length })
    }
}

impl QueuePair {
    fn new(depth: u64) -> Result<Self, IoReturn> {
        let ring = || -> Result<_, IoReturn> {
            let made = BufferMemoryDescriptor::create(Direction::IN_OUT, size(depth), 8)?;
            let made = OsSharedPtr::adopt(made);
            let range = made.address_range();
            Ring { memory: &*range, depth }.format().map_err(|_| IoReturn::NO_MEMORY)?;
            Ok(made)
        };
        let (submissions, completions) = (ring()?, ring()?);
        let ended = VecDeque::new();
        Ok(Self { depth, submissions, completions, head: 0, tail: 0, phase: 1, ended })
    }

    /// Takes what the client has put into the submission ring.
    fn take(&mut self) -> Result<Vec<Submission>, IoReturn> {
        let range = self.submissions.address_range();
        let ring = Ring { memory: &*range, depth: self.depth };
        let tail = ring.tail().map_err(|_| IoReturn::VM_ERROR)?;
        if tail >= self.depth {
            os_log(format!("the tail of a submission ring of {} is {tail}", self.depth));
            return Err(IoReturn::BAD_ARGUMENT);
        }
        let mut taken = Vec::new();
        while self.head != tail {
            // Copied once: the client could change it while it is looked at.
            taken.push(ring.read(self.head).map_err(|_| IoReturn::VM_ERROR)?);
            ring.advance(layout::HEAD, self.head).map_err(|_| IoReturn::VM_ERROR)?;
            self.head = ring.after(self.head);
        }
        Ok(taken)
    }

    /// Puts ended commands into the completion ring, as many as there is room for.
    fn post(&mut self) -> Result<(), AccessError> {
        let range = self.completions.address_range();
        let ring = Ring { memory: &*range, depth: self.depth };
        while let Some(ended) = self.ended.front_mut() {
            if ring.after(self.tail) == ring.head()? {
                os_log("a completion ring is full");
                return Ok(());
            }
            ended.completion.status |= self.phase;
            ended.completion.submission_head = self.head as u16;
            ring.publish(self.tail, ended)?;
            ring.advance(layout::TAIL, self.tail)?;
            self.tail = ring.after(self.tail);
            self.phase ^= u16::from(self.tail == 0);
            self.ended.pop_front();
        }
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Runs `execute` with the data that a submission names.
    fn with_data<R>(
        state: &State,
        submission: &Submission,
        execute: impl FnOnce(Option<Data<'_>>) -> R,
    ) -> R {
        let buffer = state.buffers.get(&submission.data_token);
        let data = buffer.and_then(|buffer| {
            let (offset, length) = (submission.data_offset, submission.data_bytes);
            let inside = offset.checked_add(length).is_some_and(|end| end <= buffer.length);
            inside.then(|| Data { memory: &**buffer.map, offset, length })
        });
        execute(data)
    }

    /// Ends the commands whose time has come.
    fn timer_fired(&self, time: Duration) {
        let mut state = self.state();
        while state.under_way.front().is_some_and(|(due, ..)| *due <= time) {
            let Some((_, number, submission)) = state.under_way.pop_front() else { break };
            let completion =
                Self::with_data(&state, &submission, |data| self.disk.execute(&submission, data));
            // A queue that is gone meanwhile gets no completions.
            if let Some(queue) = state.queues.get_mut(&number) {
                queue.ended.push_back(Submission { completion, ..submission });
                let posted = queue.post();
                debug_assert!(posted.is_ok(), "the ring is the dext's own memory: {posted:?}");
            }
        }
        let next = state.under_way.front().map(|(due, ..)| *due);
        let timer = state.timer.clone();
        drop(state);
        if let (Some(next), Some((timer, _))) = (next, timer) {
            timer.wake_at_time(next);
        }
    }
}

type Dispatch = UserClientMethodDispatch<NvmeUserClient>;

const SUBMISSION: u32 = size_of::<Submission>() as u32;
const QUEUE_REQUEST: u32 = size_of::<QueueRequest>() as u32;
const TOKEN: u32 = size_of::<u64>() as u32;

const METHODS: [Dispatch; 7] = {
    let mut methods = [Dispatch::PLAIN; 7];
    methods[selector::INIT as usize].function = Some(NvmeUserClient::init);
    methods[selector::ONESHOT as usize] = Dispatch {
        function: Some(NvmeUserClient::oneshot),
        check_structure_input_size: SUBMISSION,
        check_structure_output_size: SUBMISSION,
        ..Dispatch::PLAIN
    };
    methods[selector::CREATE_QUEUE_PAIR as usize] = Dispatch {
        function: Some(NvmeUserClient::create_queue_pair),
        check_structure_input_size: QUEUE_REQUEST,
        check_structure_output_size: QUEUE_REQUEST,
        ..Dispatch::PLAIN
    };
    methods[selector::DELETE_QUEUE_PAIR as usize] = Dispatch {
        function: Some(NvmeUserClient::delete_queue_pair),
        check_structure_input_size: QUEUE_REQUEST,
        ..Dispatch::PLAIN
    };
    methods[selector::ALLOC_BUFFER as usize] = Dispatch {
        function: Some(NvmeUserClient::alloc_buffer),
        check_structure_input_size: u32::MAX,
        check_structure_output_size: TOKEN,
        ..Dispatch::PLAIN
    };
    methods[selector::DEALLOC_BUFFER as usize] = Dispatch {
        function: Some(NvmeUserClient::dealloc_buffer),
        check_structure_input_size: TOKEN,
        ..Dispatch::PLAIN
    };
    methods[selector::POKE as usize] = Dispatch {
        function: Some(NvmeUserClient::poke),
        check_scalar_input_count: 2,
        ..Dispatch::PLAIN
    };
    methods
};

impl UserClient for NvmeUserClient {
    fn start(&self, _provider: &Provider) -> IoReturn {
        self.make_timer().into()
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        let state = std::mem::take(&mut *self.shared.state());
        if let Some((timer, _)) = &state.timer {
            timer.cancel(|| {});
        }
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let method = usize::try_from(selector).ok().and_then(|selector| METHODS.get(selector));
        super_external_method(selector, arguments, method, Some(self))
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        _options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let state = self.shared.state();
        let low = memory_type & 0xffff;
        let wanted = u32::try_from(memory_type).unwrap_or(u32::MAX);
        // What is given away is retained for whoever asked.
        *memory = if wanted == memory_type::data(low) {
            let buffer = state.buffers.get(&low);
            let own = buffer.filter(|_| self.shared.buffers == DataBuffers::Dext);
            own.map(|buffer| buffer.descriptor.clone().detach())
        } else {
            state.queues.get(&(low as u16)).and_then(|queue| match wanted {
                wanted if wanted == memory_type::submissions(low as u16) => {
                    Some(queue.submissions.clone().detach().into())
                }
                wanted if wanted == memory_type::completions(low as u16) => {
                    Some(queue.completions.clone().detach().into())
                }
                _ => None,
            })
        };
        if memory.is_some() { IoReturn::SUCCESS } else { IoReturn::NOT_FOUND }
    }
}

impl NvmeUserClient {
    fn make_timer(&self) -> Result<(), IoReturn> {
        let queue = OsSharedPtr::adopt(DispatchQueue::create("NvmeRingsUserClient")?);
        let timer = OsSharedPtr::adopt(TimerDispatchSource::create(&queue)?);
        // The handler does not keep alive what keeps the timer.
        let shared = Arc::downgrade(&self.shared);
        timer.set_handler(move |time| {
            if let Some(shared) = shared.upgrade() {
                shared.timer_fired(time);
            }
        });
        self.shared.state().timer = Some((timer, queue));
        Ok(())
    }

    fn init(&self, _arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        self.shared.state().is_ready = true;
        IoReturn::SUCCESS
    }

    /// The state of a controller that is ready.
    fn ready(&self) -> Result<MutexGuard<'_, State>, IoReturn> {
        let state = self.shared.state();
        if state.is_ready { Ok(state) } else { Err(IoReturn::NOT_READY) }
    }

    fn oneshot(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let run = || {
            let submission: Submission = structure(arguments)?;
            drop(self.ready()?);
            // The caller waits in here until the controller is done.
            driverkit::sleep(COMMAND_TIME);
            let state = self.shared.state();
            let completion =
                Shared::with_data(&state, &submission, |data| Disk::administer(&submission, data));
            Ok(Submission { completion, ..submission })
        };
        let ended: Result<_, IoReturn> = run();
        let ended = ended.map(|ended| {
            arguments.structure_output = Some(OsData::with_bytes(bytemuck::bytes_of(&ended)));
        });
        ended.into()
    }

    fn create_queue_pair(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let create = || {
            let request: QueueRequest = structure(arguments)?;
            let mut state = self.ready()?;
            if !DEPTH.contains(&request.depth) || request.vector != -1 {
                return Err(IoReturn::BAD_ARGUMENT);
            }
            let id = match u16::try_from(request.id) {
                Ok(0) => (1..=QUEUES_MAX).find(|id| !state.queues.contains_key(id)),
                Ok(id) => Some(id).filter(|id| *id <= QUEUES_MAX && !state.queues.contains_key(id)),
                Err(_) => None,
            };
            let id = id.ok_or(IoReturn::NO_RESOURCES)?;
            state.queues.insert(id, QueuePair::new(request.depth)?);
            Ok(QueueRequest { id: u64::from(id), ..request })
        };
        let made: Result<_, IoReturn> = create();
        let made = made.map(|made| {
            arguments.structure_output = Some(OsData::with_bytes(bytemuck::bytes_of(&made)));
        });
        made.into()
    }

    fn delete_queue_pair(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let delete = || {
            let request: QueueRequest = structure(arguments)?;
            let id = u16::try_from(request.id).map_err(|_| IoReturn::NOT_FOUND)?;
            let deleted = self.shared.state().queues.remove(&id);
            deleted.map(drop).ok_or(IoReturn::NOT_FOUND)
        };
        delete().into()
    }

    fn alloc_buffer(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let made = self.make_buffer(arguments).and_then(|buffer| {
            let mut state = self.ready()?;
            if state.buffers.len() == BUFFERS_MAX {
                return Err(IoReturn::NO_RESOURCES);
            }
            state.last_token += 1;
            let token = state.last_token;
            state.buffers.insert(token, buffer);
            Ok(token)
        });
        let made = made.map(|token| {
            arguments.structure_output = Some(OsData::with_bytes(&token.to_le_bytes()));
        });
        made.into()
    }

    fn make_buffer(&self, arguments: &ExternalMethodArguments<'_>) -> Result<Buffer, IoReturn> {
        if self.shared.buffers == DataBuffers::Client {
            // A structure in the message is no memory that could be kept.
            let input = arguments.structure_input_descriptor.as_ref();
            let input = input.ok_or(IoReturn::INVALID)?;
            let buffer = Buffer::of(OsSharedPtr::retaining(input))?;
            let stated = buffer.map.load::<u64>(0).map_err(|_| IoReturn::VM_ERROR)?;
            return if stated <= buffer.length { Ok(buffer) } else { Err(IoReturn::BAD_ARGUMENT) };
        }
        let length = match (&arguments.structure_input, &arguments.structure_input_descriptor) {
            (Some(data), _) => data.bytes().first_chunk().copied().map(u64::from_le_bytes),
            (None, Some(descriptor)) => {
                let map = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0)?;
                OsSharedPtr::adopt(map).load::<u64>(0).ok()
            }
            (None, None) => None,
        };
        let length = length.filter(|length| *length <= BUFFER_MAX);
        let length = length.ok_or(IoReturn::BAD_ARGUMENT)?;
        let made = BufferMemoryDescriptor::create(Direction::IN_OUT, length, 0)?;
        Buffer::of(OsSharedPtr::adopt(made.into()))
    }

    fn dealloc_buffer(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let free = || {
            let token: u64 = structure(arguments)?;
            let freed = self.shared.state().buffers.remove(&token);
            freed.map(drop).ok_or(IoReturn::NOT_FOUND)
        };
        free().into()
    }

    fn poke(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let (submissions, completions) = (scalar(arguments, 0), scalar(arguments, 1));
        if submissions != completions {
            // The rings of a pair belong together here.
            return IoReturn::BAD_ARGUMENT;
        }
        self.drain(submissions).into()
    }

    /// Hands what is in the submission ring to the controller, and posts what had no room before.
    fn drain(&self, number: u64) -> Result<(), IoReturn> {
        let mut state = self.ready()?;
        let number = u16::try_from(number).map_err(|_| IoReturn::NOT_FOUND)?;
        let queue = state.queues.get_mut(&number).ok_or(IoReturn::NOT_FOUND)?;
        queue.post().map_err(|_| IoReturn::VM_ERROR)?;
        let taken = queue.take()?;
        let was_idle = state.under_way.is_empty();
        let now = driverkit::uptime();
        let mut due = state.under_way.back().map_or(now, |(due, ..)| *due);
        for submission in taken {
            due += COMMAND_TIME;
            state.under_way.push_back((due, number, submission));
        }
        let first = state.under_way.front().map(|(due, ..)| *due).filter(|_| was_idle);
        let timer = state.timer.clone();
        drop(state);
        if let (Some(first), Some((timer, _))) = (first, timer) {
            timer.wake_at_time(first);
        }
        Ok(())
    }
}
