//! The dext: a receiver that writes what its source sends into a ring.

use super::abi::{
    BUNDLE_ID, MAGIC, RECORD, USER_CLASS, header, memory_type, reason, record, record_offset,
    ring_length, selector, state,
};
use super::clock;
use crate::dext::lock;
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::driverkit::{
    self, AddressRange, BufferMemoryDescriptor, Direction, DispatchQueue, ExternalMethodArguments,
    MemoryDescriptor, OsAction, OsSharedPtr, Provider, Service, TimerDispatchSource, UserClient,
    UserClientMethodDispatch, async_completion, os_log, super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::AccessError;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// From one packet of the source to the next.
pub(super) const INTERVAL: Duration = Duration::from_millis(1);

/// Packets after which a listener is told.
pub(super) const BATCH: u32 = 4;

/// What becomes of a record when the ring is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// It is lost, and counted.
    DropNew,
    /// It takes the place of the oldest, which the client may be reading.
    Overwrite,
}

/// What is to be published.
#[derive(Clone, Copy, Debug)]
pub struct CaptureRingDriver {
    /// Records that the ring holds.
    pub capacity: u32,
    /// What becomes of a record when the ring is full.
    pub full: Full,
    /// Packets that the source sends.
    pub packets: u32,
    /// The packet before which the bus is reset; 0 for never.
    pub reset: u32,
    /// Version of the layout that the ring states.
    pub version: u16,
}

impl CaptureRingDriver {
    /// Publishes it; each connection has a ring and a source of its own.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(self, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        system.publish(ServiceDescription::dext(USER_CLASS, BUNDLE_ID), Arc::new(self))
    }
}

impl Service for CaptureRingDriver {
    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let state = Mutex::default();
        Ok(Some(Arc::new(CaptureUserClient { shared: Arc::new(Shared { driver: *self, state }) })))
    }
}

/// The user client.
#[derive(Debug)]
struct CaptureUserClient {
    shared: Arc<Shared>,
}

/// What the user client and its timer share.
#[derive(Debug)]
struct Shared {
    driver: CaptureRingDriver,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ring: Option<OsSharedPtr<BufferMemoryDescriptor>>,
    timer: Option<(OsSharedPtr<TimerDispatchSource>, OsSharedPtr<DispatchQueue>)>,
    listener: Option<OsSharedPtr<OsAction>>,
    capture: Option<Capture>,
}

/// A capture that is running. The write index is kept here and only written to the ring: what the
/// client could have written there does not count.
#[derive(Clone, Copy, Debug)]
struct Capture {
    /// When the next packet comes, and its number.
    next_at: Duration,
    next: u32,
    write_index: u32,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Takes the packets whose time has come.
    fn timer_fired(&self, time: Duration) {
        let mut tell = Vec::new();
        let mut state = self.state();
        let Some(ring) = state.ring.as_ref().map(|ring| ring.address_range()) else { return };
        while let Some(mut capture) = state.capture.filter(|capture| capture.next_at <= time) {
            let received = self.receive(&ring, &mut capture);
            debug_assert!(received.is_ok(), "the ring is the dext's own memory: {received:?}");
            let index = u64::from(capture.write_index);
            state.capture = match received {
                Ok(reason::RECORDS) => {
                    if capture.next.is_multiple_of(BATCH) {
                        tell.push([index, reason::RECORDS]);
                    }
                    Some(capture)
                }
                Ok(why) => {
                    tell.push([index, why]);
                    None
                }
                Err(_) => None,
            };
        }
        let next_at = state.capture.map(|capture| capture.next_at);
        let (timer, listener) = (state.timer.clone(), state.listener.clone());
        // Completing may let another task go on, which may need the state.
        drop(state);
        if let Some(listener) = listener {
            for arguments in tell {
                async_completion(&listener, IoReturn::SUCCESS, &arguments);
            }
        }
        if let (Some(next_at), Some((timer, _))) = (next_at, timer) {
            timer.wake_at_time(next_at);
        }
    }

    /// Takes the next packet of the source, if there is one, and says what there is to tell.
    fn receive(&self, ring: &AddressRange, capture: &mut Capture) -> Result<u64, AccessError> {
        let CaptureRingDriver { capacity, full, packets, reset, .. } = self.driver;
        let number = capture.next;
        if reset != 0 && number == reset {
            ring.store::<u32>(header::STATE, state::BUS_RESET)?;
            return Ok(reason::BUS_RESET);
        }
        if number == packets {
            ring.store::<u32>(header::STATE, state::STOPPED)?;
            return Ok(reason::ENDED);
        }
        ring.fetch_add::<u32>(header::PACKETS, 1)?;
        clock::write(&**ring, number, capture.next_at)?;
        let read_index = ring.load::<u32>(header::READ_INDEX)?;
        fence(Ordering::Acquire);
        if capture.write_index.wrapping_sub(read_index) >= capacity {
            ring.fetch_add::<u32>(header::OVERRUNS, 1)?;
        }
        let room = capture.write_index.wrapping_sub(read_index) < capacity;
        if room || full == Full::Overwrite {
            ring.copy_in(record_offset(capture.write_index, capacity), &record(number))?;
            capture.write_index = capture.write_index.wrapping_add(1);
            // Whoever sees the index sees the record, too.
            ring.swap::<u32>(header::WRITE_INDEX, capture.write_index)?;
        }
        capture.next += 1;
        capture.next_at += INTERVAL;
        Ok(reason::RECORDS)
    }
}

type Dispatch = UserClientMethodDispatch<CaptureUserClient>;

const METHODS: [Dispatch; 3] = {
    let mut methods = [Dispatch::PLAIN; 3];
    methods[selector::START as usize].function = Some(CaptureUserClient::start_capture);
    methods[selector::STOP as usize].function = Some(CaptureUserClient::stop_capture);
    methods[selector::LISTEN as usize] = Dispatch {
        function: Some(CaptureUserClient::listen),
        check_completion_exists: 1,
        ..Dispatch::PLAIN
    };
    methods
};

impl UserClient for CaptureUserClient {
    fn start(&self, _provider: &Provider) -> IoReturn {
        self.make().into()
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
        if memory_type != u64::from(memory_type::RING) {
            return IoReturn::BAD_ARGUMENT;
        }
        // What is given away is retained for whoever asked.
        *memory = self.shared.state().ring.clone().map(|ring| ring.detach().into());
        if memory.is_some() { IoReturn::SUCCESS } else { IoReturn::NOT_READY }
    }
}

impl CaptureUserClient {
    fn make(&self) -> Result<(), IoReturn> {
        let queue = OsSharedPtr::adopt(DispatchQueue::create("CaptureRingUserClient")?);
        let timer = OsSharedPtr::adopt(TimerDispatchSource::create(&queue)?);
        // The handler does not keep alive what keeps the timer.
        let shared = Arc::downgrade(&self.shared);
        timer.set_handler(move |time| {
            if let Some(shared) = shared.upgrade() {
                shared.timer_fired(time);
            }
        });
        let CaptureRingDriver { capacity, version, .. } = self.shared.driver;
        let made = BufferMemoryDescriptor::create(Direction::IN_OUT, ring_length(capacity), 0)?;
        let ring = OsSharedPtr::adopt(made);
        format(&ring.address_range(), capacity, version).map_err(|_| IoReturn::NO_MEMORY)?;
        let mut state = self.shared.state();
        state.ring = Some(ring);
        state.timer = Some((timer, queue));
        Ok(())
    }

    fn start_capture(&self, _arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let mut state = self.shared.state();
        let (None, Some(ring)) = (&state.capture, &state.ring) else { return IoReturn::BUSY };
        let ring = ring.address_range();
        let words = [header::PACKETS, header::OVERRUNS, header::WRITE_INDEX, header::READ_INDEX];
        let cleared = words
            .into_iter()
            .try_for_each(|word| ring.store::<u32>(word, 0))
            .and_then(|()| ring.store::<u32>(header::STATE, state::ACTIVE));
        if cleared.is_err() {
            return IoReturn::VM_ERROR;
        }
        let next_at = driverkit::uptime() + INTERVAL;
        state.capture = Some(Capture { next_at, next: 0, write_index: 0 });
        let timer = state.timer.clone();
        drop(state);
        if let Some((timer, _)) = timer {
            timer.wake_at_time(next_at);
        }
        IoReturn::SUCCESS
    }

    fn stop_capture(&self, _arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let mut state = self.shared.state();
        if let (Some(_), Some(ring)) = (state.capture.take(), &state.ring) {
            let stopped = ring.address_range().store::<u32>(header::STATE, state::STOPPED);
            debug_assert!(stopped.is_ok());
            os_log("stopped before the end");
        }
        let listener = state.listener.take();
        drop(state);
        drop(listener);
        IoReturn::SUCCESS
    }

    fn listen(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        // The dispatch entry has seen to it that it is there.
        let Some(action) = &arguments.completion else { return IoReturn::BAD_ARGUMENT };
        let before = self.shared.state().listener.replace(OsSharedPtr::retaining(action));
        drop(before);
        IoReturn::SUCCESS
    }
}

/// Writes the header of an empty ring.
fn format(ring: &AddressRange, capacity: u32, version: u16) -> Result<(), AccessError> {
    ring.store::<u32>(header::MAGIC, MAGIC)?;
    ring.store::<u16>(header::VERSION, version)?;
    ring.store::<u32>(header::CAPACITY, capacity)?;
    ring.store::<u32>(header::RECORD_BYTES, RECORD as u32)?;
    ring.store::<u32>(header::DATA_OFFSET, header::LENGTH as u32)
}
