//! The dext: a user client that shares a buffer, in the right way or in the naive one.

use super::abi::{
    BUFFER_ALIGNMENT, BUFFER_LENGTH, BUNDLE_ID, STATUS_LENGTH, USER_CLASS, buffer, memory_type,
    selector, status,
};
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::driverkit::{
    self, BufferMemoryDescriptor, Direction, DispatchQueue, ExternalMethodArguments,
    MappingOptions, MemoryDescriptor, MemoryMap, OsObject, OsSharedPtr, Provider, Service,
    TimerDispatchSource, USER_CLIENT_MEMORY_READ_ONLY, UserClient, UserClientMethodDispatch,
    super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::{AccessError, Memory};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whether the dext makes the buffer once, or anew each time it is asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffers {
    /// One buffer, made at start and retained for each caller: what the kernel needs to find a
    /// mapping again.
    Kept,
    /// A fresh buffer each time, as the best known public answer has it: an unmap asks for the
    /// memory, too, gets yet another buffer, and finds no mapping of that.
    Fresh,
}

/// The service: every open makes a user client with buffers of its own.
#[derive(Clone, Copy, Debug)]
pub struct SharedBufferDriver {
    buffers: Buffers,
}

impl SharedBufferDriver {
    /// Publishes it.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(buffers: Buffers, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        let description = ServiceDescription::dext(USER_CLASS, BUNDLE_ID);
        system.publish(description, Arc::new(Self { buffers }))
    }
}

impl Service for SharedBufferDriver {
    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(BufferUserClient { buffers: self.buffers, state: Arc::default() })))
    }
}

/// One user client.
#[derive(Debug)]
struct BufferUserClient {
    buffers: Buffers,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The buffer; of fresh ones the last that was made.
    buffer: Option<Shared>,
    status: Option<Shared>,
    /// The timer, and the queue that it fires on.
    timer: Option<(OsSharedPtr<TimerDispatchSource>, OsSharedPtr<DispatchQueue>)>,
}

/// A buffer and the dext's own mapping of it.
#[derive(Clone, Debug)]
struct Shared {
    descriptor: OsSharedPtr<BufferMemoryDescriptor>,
    map: OsSharedPtr<MemoryMap>,
}

impl Shared {
    fn new(length: u64) -> Result<Self, IoReturn> {
        let made = BufferMemoryDescriptor::create(Direction::IN_OUT, length, BUFFER_ALIGNMENT)?;
        let descriptor = OsSharedPtr::adopt(made);
        let map =
            OsSharedPtr::adopt(descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0)?);
        Ok(Self { descriptor, map })
    }

    /// The descriptor with a reference for whoever asked: returning it gives one away.
    fn hand_out(&self) -> MemoryDescriptor {
        self.descriptor.retain();
        (**self.descriptor).clone()
    }
}

type Dispatch = UserClientMethodDispatch<BufferUserClient>;

const CAPITALS: Dispatch = Dispatch {
    function: Some(BufferUserClient::capitals),
    check_scalar_output_count: 1,
    ..Dispatch::PLAIN
};

const SET_FLAG_LATER: Dispatch = Dispatch {
    function: Some(BufferUserClient::set_flag_later),
    check_scalar_input_count: 1,
    ..Dispatch::PLAIN
};

const COUNT: Dispatch = Dispatch {
    function: Some(BufferUserClient::count),
    check_scalar_input_count: 1,
    check_scalar_output_count: 1,
    ..Dispatch::PLAIN
};

impl UserClient for BufferUserClient {
    fn start(&self, _provider: &Provider) -> IoReturn {
        self.make().into()
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        let state = std::mem::take(&mut *self.state());
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
        let dispatch = match u32::try_from(selector) {
            Ok(selector::CAPITALS) => &CAPITALS,
            Ok(selector::SET_FLAG_LATER) => &SET_FLAG_LATER,
            Ok(selector::COUNT) => &COUNT,
            _ => return super_external_method::<Self>(selector, arguments, None, None),
        };
        let result = super_external_method(selector, arguments, Some(dispatch), Some(self));
        if result.is_success()
            && let Some(shared) = self.state().status.clone()
        {
            let memory: &dyn Memory = &**shared.map;
            // The status is the dext's own and long enough for both words.
            let told = memory
                .fetch_add::<u32>(status::SERVED, 1)
                .and_then(|_| memory.store::<u32>(status::LAST, selector as u32));
            debug_assert!(told.is_ok());
        }
        result
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        match u32::try_from(memory_type) {
            Ok(memory_type::BUFFER) => {
                if self.buffers == Buffers::Fresh {
                    match Shared::new(BUFFER_LENGTH) {
                        Ok(fresh) => drop(self.state().buffer.replace(fresh)),
                        Err(result) => return result,
                    }
                }
                *memory = self.state().buffer.as_ref().map(Shared::hand_out);
            }
            Ok(memory_type::STATUS) => {
                *options |= USER_CLIENT_MEMORY_READ_ONLY;
                *memory = self.state().status.as_ref().map(Shared::hand_out);
            }
            // What super answers.
            _ => return IoReturn::UNSUPPORTED,
        }
        if memory.is_some() { IoReturn::SUCCESS } else { IoReturn::NOT_READY }
    }
}

impl BufferUserClient {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self) -> Result<(), IoReturn> {
        let queue = OsSharedPtr::adopt(DispatchQueue::create("SharedBufferUserClient")?);
        let timer = OsSharedPtr::adopt(TimerDispatchSource::create(&queue)?);
        let state = Arc::downgrade(&self.state);
        timer.set_handler(move |_| {
            let Some(state) = state.upgrade() else { return };
            let shared = state.lock().unwrap_or_else(PoisonError::into_inner).buffer.clone();
            if let Some(shared) = shared {
                let memory: &dyn Memory = &**shared.map;
                let set = memory.store::<u32>(buffer::FLAG, 1);
                debug_assert!(set.is_ok());
            }
        });
        let kept = match self.buffers {
            Buffers::Kept => Some(Shared::new(BUFFER_LENGTH)?),
            Buffers::Fresh => None,
        };
        let status = Shared::new(STATUS_LENGTH)?;
        let mut state = self.state();
        *state = State { buffer: kept, status: Some(status), timer: Some((timer, queue)) };
        Ok(())
    }

    /// Runs `work` on the buffer, if there is one by now.
    fn with_buffer(&self, work: impl FnOnce(&dyn Memory) -> Result<(), AccessError>) -> IoReturn {
        let Some(shared) = self.state().buffer.clone() else { return IoReturn::NOT_READY };
        match work(&**shared.map) {
            Ok(()) => IoReturn::SUCCESS,
            Err(_) => IoReturn::VM_ERROR,
        }
    }

    fn capitals(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        self.with_buffer(|memory| {
            let mut changed = 0;
            for offset in buffer::TEXT..BUFFER_LENGTH {
                let letter = memory.load::<u8>(offset)?;
                if letter == 0 {
                    break;
                }
                if letter.is_ascii_lowercase() {
                    memory.store::<u8>(offset, letter.to_ascii_uppercase())?;
                    changed += 1;
                }
            }
            if let Some(first) = arguments.scalar_output.first_mut() {
                *first = changed;
            }
            Ok(())
        })
    }

    fn set_flag_later(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let timer = self.state().timer.clone();
        let (Some((timer, _)), [milliseconds, ..]) = (timer, arguments.scalar_input) else {
            return IoReturn::NOT_READY;
        };
        let delay = Duration::from_millis(*milliseconds);
        timer.wake_at_time(driverkit::uptime().saturating_add(delay));
        IoReturn::SUCCESS
    }

    fn count(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let [step, ..] = *arguments.scalar_input else { return IoReturn::BAD_ARGUMENT };
        self.with_buffer(|memory| {
            let before = memory.fetch_add::<u64>(buffer::COUNTER, step)?;
            if let Some(first) = arguments.scalar_output.first_mut() {
                *first = before;
            }
            Ok(())
        })
    }
}
