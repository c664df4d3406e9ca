//! The dext: a driver that counts interrupts, and user clients whose methods wait for them.

use super::abi::{
    BOARD_ID, BUNDLE_ID, REGISTERS_LENGTH, USER_CLASS, interrupt, memory_type, register, selector,
};
use super::device::Board;
use crate::dext::{lock, scalar};
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::System;
use dextape::driverkit::{
    self, BufferMemoryDescriptor, DextProcess, Direction, DispatchQueue, ExternalMethodArguments,
    InterruptDispatchSource, MemoryDescriptor, OsAction, OsObject, OsSharedPtr, Provider,
    QUEUE_EXTERNAL_METHOD, QueueOptions, Service, UserClient, UserClientMethodDispatch,
    super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::AccessError;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What a method does that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parking {
    /// It sleeps on a reentrant queue, which others have meanwhile.
    Sleeps,
    /// It keeps its serial queue, and looks every millisecond.
    Keeps,
    /// The same, and interrupts are handled on that queue, too: they come when the wait is over.
    Deafens,
}

/// How often a method looks that keeps its queue.
const LOOK: Duration = Duration::from_millis(1);

/// The event of a change of the format; those of interrupts are their numbers.
const CHANGE: usize = interrupt::COUNT;

/// The driver of the board.
#[derive(Debug)]
pub struct VideoBoardDriver {
    board: Arc<Board>,
    parking: Parking,
    shared: Mutex<Option<Arc<Shared>>>,
}

/// What the driver and its user clients share, from start to stop.
#[derive(Debug)]
struct Shared {
    board: Arc<Board>,
    /// Where methods and interrupts are handled, where the dext has made a queue for that.
    queue: Option<OsSharedPtr<DispatchQueue>>,
    registers: OsSharedPtr<BufferMemoryDescriptor>,
    /// How often each event happened.
    counts: Mutex<[u64; interrupt::COUNT + 1]>,
    sources: Mutex<Vec<(OsSharedPtr<InterruptDispatchSource>, OsSharedPtr<OsAction>)>>,
}

impl VideoBoardDriver {
    /// Publishes it on a board of its own.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(parking: Parking, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        let board = Board::new(system.schedule());
        let provider = Provider::new("IOPCIDevice").with_interrupts(board.lines());
        let description = ServiceDescription::dext(USER_CLASS, BUNDLE_ID);
        let driver = Self { board, parking, shared: Mutex::default() };
        system.publish_on(description, provider, Arc::new(driver))
    }

    fn shared(&self) -> MutexGuard<'_, Option<Arc<Shared>>> {
        lock(&self.shared)
    }
}

impl Service for VideoBoardDriver {
    fn start(&self, provider: &Provider) -> IoReturn {
        let made = Shared::new(&self.board, self.parking, provider);
        IoReturn::from(made.map(|shared| *self.shared() = Some(shared)))
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        if let Some(shared) = self.shared().take() {
            shared.board.control(false);
            let sources = std::mem::take(&mut *shared.sources());
            for (source, _) in &sources {
                let cancelled = source.cancel(|| {});
                debug_assert!(cancelled.is_success());
            }
        }
        IoReturn::SUCCESS
    }

    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let shared = self.shared().clone().ok_or(IoReturn::NOT_READY)?;
        Ok(Some(Arc::new(VideoUserClient { shared })))
    }
}

impl Shared {
    fn new(
        board: &Arc<Board>,
        parking: Parking,
        provider: &Provider,
    ) -> Result<Arc<Self>, IoReturn> {
        let own = || {
            DispatchQueue::create_with_options("VideoWaits", QueueOptions::REENTRANT)
                .map(OsSharedPtr::adopt)
        };
        let queue = if parking == Parking::Sleeps { Some(own()?) } else { None };
        let interrupts = match (&queue, parking) {
            (Some(queue), _) => queue.clone(),
            (None, Parking::Deafens) => OsSharedPtr::adopt(DispatchQueue::copy_default()?),
            (None, _) => OsSharedPtr::adopt(DispatchQueue::create("VideoInterrupts")?),
        };
        let registers = BufferMemoryDescriptor::create(Direction::IN_OUT, REGISTERS_LENGTH, 0)?;
        let registers = OsSharedPtr::adopt(registers);
        let set = registers.address_range().store(4 * register::ID, BOARD_ID);
        debug_assert!(set.is_ok());
        let shared = Arc::new(Self {
            board: Arc::clone(board),
            queue,
            registers,
            counts: Mutex::default(),
            sources: Mutex::default(),
        });
        for line in 0..interrupt::COUNT {
            let source = InterruptDispatchSource::create(provider, line as u32, &interrupts)?;
            let source = OsSharedPtr::adopt(source);
            // The source is kept by what its handler needs.
            let weak = Arc::downgrade(&shared);
            let action = OsAction::interrupt_occurred(move |_, count, _| {
                if let Some(shared) = weak.upgrade() {
                    shared.interrupted(line, count);
                }
            });
            let action = OsSharedPtr::adopt(action);
            source.set_handler(&action).ok()?;
            source.set_enable(true).ok()?;
            shared.sources().push((source, action));
        }
        Ok(shared)
    }

    fn counts(&self) -> MutexGuard<'_, [u64; interrupt::COUNT + 1]> {
        lock(&self.counts)
    }

    fn sources(
        &self,
    ) -> MutexGuard<'_, Vec<(OsSharedPtr<InterruptDispatchSource>, OsSharedPtr<OsAction>)>> {
        lock(&self.sources)
    }

    fn interrupted(&self, line: usize, count: u64) {
        if line as u64 == interrupt::INPUT_1 {
            let frame = self.registers.address_range().fetch_add(
                4 * register::INPUT_FRAME,
                // As wide as the register.
                count as u32,
            );
            debug_assert!(frame.is_ok());
        }
        self.happened(line, count);
    }

    /// Counts an event, and wakes whoever waits for it.
    fn happened(&self, event: usize, count: u64) {
        self.counts()[event] += count;
        if let Some(queue) = &self.queue {
            let woken = queue.wakeup_all(event as u64);
            debug_assert!(woken.is_success());
        }
    }

    /// Waits for the next event of that kind; false where `timeout` passed first.
    fn wait(&self, event: usize, timeout: Option<Duration>) -> Result<bool, IoReturn> {
        let before = self.counts()[event];
        let deadline = timeout.map(|timeout| driverkit::uptime().saturating_add(timeout));
        while self.counts()[event] == before {
            if deadline.is_some_and(|deadline| deadline <= driverkit::uptime()) {
                return Ok(false);
            }
            match &self.queue {
                Some(queue) => match queue.sleep(event as u64, deadline) {
                    IoReturn::SUCCESS | IoReturn::TIMEOUT => {}
                    result => return Err(result),
                },
                None => {
                    // The thread sleeps, and its queue with it.
                    driverkit::sleep(LOOK);
                    if DextProcess::current().is_none_or(|process| process.is_dead()) {
                        return Err(IoReturn::ABORTED);
                    }
                }
            }
        }
        Ok(true)
    }
}

/// A user client; what it works on is the driver's.
#[derive(Debug)]
struct VideoUserClient {
    shared: Arc<Shared>,
}

type Dispatch = UserClientMethodDispatch<VideoUserClient>;

const READ_REGISTER: Dispatch = Dispatch {
    function: Some(VideoUserClient::read_register),
    check_scalar_input_count: 1,
    check_scalar_output_count: 1,
    ..Dispatch::PLAIN
};

const WRITE_REGISTER: Dispatch = Dispatch {
    function: Some(VideoUserClient::write_register),
    check_scalar_input_count: 2,
    ..Dispatch::PLAIN
};

const WAIT_FOR_INTERRUPT: Dispatch = Dispatch {
    function: Some(VideoUserClient::wait_for_interrupt),
    check_scalar_input_count: 2,
    check_scalar_output_count: 1,
    ..Dispatch::PLAIN
};

const INTERRUPT_COUNT: Dispatch = Dispatch {
    function: Some(VideoUserClient::interrupt_count),
    check_scalar_input_count: 1,
    check_scalar_output_count: 1,
    ..Dispatch::PLAIN
};

const WAIT_FOR_CHANGE: Dispatch = Dispatch {
    function: Some(VideoUserClient::wait_for_change),
    check_scalar_input_count: 1,
    check_scalar_output_count: 1,
    ..Dispatch::PLAIN
};

impl UserClient for VideoUserClient {
    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let dispatch = match u32::try_from(selector) {
            Ok(selector::READ_REGISTER) => &READ_REGISTER,
            Ok(selector::WRITE_REGISTER) => &WRITE_REGISTER,
            Ok(selector::WAIT_FOR_INTERRUPT) => &WAIT_FOR_INTERRUPT,
            Ok(selector::INTERRUPT_COUNT) => &INTERRUPT_COUNT,
            Ok(selector::WAIT_FOR_CHANGE) => &WAIT_FOR_CHANGE,
            _ => return super_external_method::<Self>(selector, arguments, None, None),
        };
        super_external_method(selector, arguments, Some(dispatch), Some(self))
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        _options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        if memory_type != u64::from(memory_type::REGISTERS) {
            return IoReturn::UNSUPPORTED;
        }
        self.shared.registers.retain();
        *memory = Some(self.shared.registers.descriptor());
        IoReturn::SUCCESS
    }

    fn dispatch_queue(&self, name: &str) -> Option<DispatchQueue> {
        let own = self.shared.queue.as_ref().filter(|_| name == QUEUE_EXTERNAL_METHOD);
        own.map(OsSharedPtr::get)
    }
}

impl VideoUserClient {
    fn read_register(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let number = scalar(arguments, 0);
        if number >= register::COUNT {
            return IoReturn::BAD_ARGUMENT;
        }
        let read = self.shared.registers.address_range().load::<u32>(4 * number);
        answer(arguments, read.map(u64::from).map_err(fault))
    }

    fn write_register(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let (number, value) = (scalar(arguments, 0), scalar(arguments, 1));
        let Ok(value) = u32::try_from(value) else { return IoReturn::BAD_ARGUMENT };
        match number {
            register::CONTROL | register::OUTPUT_FRAME | register::FORMAT => {}
            register::ID | register::INPUT_FRAME => return IoReturn::NOT_WRITABLE,
            _ => return IoReturn::BAD_ARGUMENT,
        }
        if let Err(error) = self.shared.registers.address_range().store(4 * number, value) {
            return fault(error);
        }
        match number {
            register::CONTROL => self.shared.board.control(value & 1 == 1),
            register::FORMAT => self.shared.happened(CHANGE, 1),
            _ => {}
        }
        IoReturn::SUCCESS
    }

    fn wait_for_interrupt(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let (line, milliseconds) = (scalar(arguments, 0), scalar(arguments, 1));
        if line >= interrupt::COUNT as u64 {
            return IoReturn::BAD_ARGUMENT;
        }
        let came = self.shared.wait(line as usize, timeout(milliseconds));
        answer(arguments, came.map(u64::from))
    }

    fn interrupt_count(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let line = scalar(arguments, 0);
        if line >= interrupt::COUNT as u64 {
            return IoReturn::BAD_ARGUMENT;
        }
        let count = self.shared.counts()[line as usize];
        answer(arguments, Ok(count))
    }

    fn wait_for_change(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let came = self.shared.wait(CHANGE, timeout(scalar(arguments, 0)));
        answer(arguments, came.map(u64::from))
    }
}

/// A timeout as clients give it: 0 is none.
fn timeout(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

/// Returns one scalar.
fn answer(arguments: &mut ExternalMethodArguments<'_>, value: Result<u64, IoReturn>) -> IoReturn {
    IoReturn::from(value.map(|value| {
        // The dispatch entry has seen to it that there is one.
        if let Some(first) = arguments.scalar_output.first_mut() {
            *first = value;
        }
    }))
}

fn fault(_: AccessError) -> IoReturn {
    IoReturn::VM_ERROR
}
