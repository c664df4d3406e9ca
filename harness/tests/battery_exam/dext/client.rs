//! The service, and the user client with all but what takes structures of any length.

use super::Bug;
use super::abi::{
    BUNDLE_ID, Configuration, Info, MODES, OBJECTS_MAX, STATUS_LENGTH, USER_CLASS, VERSION,
    WINDOW_LENGTH, memory_type, selector,
};
use super::watch::{Watch, Watching};
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::driverkit::{
    BufferMemoryDescriptor, DextProcess, Direction, DispatchQueue, ExternalMethodArguments,
    MappingOptions, MemoryDescriptor, MemoryMap, OsData, OsObject, OsSharedPtr, Provider, Service,
    USER_CLIENT_MEMORY_READ_ONLY, UserClient, UserClientMethodDispatch, super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::memory::Memory;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The service: every open makes a user client with a state of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampler {
    bug: Option<Bug>,
}

impl Sampler {
    /// The right one.
    pub(crate) const RIGHT: Self = Self { bug: None };

    /// The one with that bug.
    pub(crate) const fn with(bug: Bug) -> Self {
        Self { bug: Some(bug) }
    }

    /// Its bug, if it has one.
    pub(crate) const fn bug(self) -> Option<Bug> {
        self.bug
    }

    /// Publishes it.
    pub(crate) fn publish(self, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        system.publish(ServiceDescription::dext(USER_CLASS, BUNDLE_ID), Arc::new(self))
    }
}

impl Service for Sampler {
    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let process = DextProcess::current().ok_or(IoReturn::ERROR)?;
        let core = Core {
            bug: self.bug,
            state: Mutex::default(),
            watching: Watching::new(process.schedule()),
        };
        Ok(Some(Arc::new(SamplerClient { core: Arc::new(core) })))
    }
}

/// One user client.
struct SamplerClient {
    core: Arc<Core>,
}

/// What the user client and its queue share.
pub(super) struct Core {
    bug: Option<Bug>,
    state: Mutex<State>,
    pub(super) watching: Watching,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) queue: Option<OsSharedPtr<DispatchQueue>>,
    pub(super) window: Option<Shared>,
    status: Option<Shared>,
    configuration: Configuration,
    pub(super) feeds: u32,
    sessions: u64,
    /// The values that the open session keeps; a handle is the place, counted from 1.
    session: Option<Vec<Option<u64>>>,
    pub(super) watch: Option<Watch>,
    pub(super) stopped: bool,
}

impl Core {
    pub(super) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer and the dext's own mapping of it.
#[derive(Clone)]
pub(super) struct Shared {
    descriptor: OsSharedPtr<BufferMemoryDescriptor>,
    map: OsSharedPtr<MemoryMap>,
}

impl Shared {
    fn new(length: u64) -> Result<Self, IoReturn> {
        let made = BufferMemoryDescriptor::create(Direction::IN_OUT, length, 0)?;
        let descriptor = OsSharedPtr::adopt(made);
        let map = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0)?;
        Ok(Self { descriptor, map: OsSharedPtr::adopt(map) })
    }

    pub(super) fn memory(&self) -> &dyn Memory {
        &**self.map
    }
}

type Dispatch = UserClientMethodDispatch<SamplerClient>;

/// No arguments and no results.
const PLAIN: Dispatch = Dispatch {
    function: None,
    check_completion_exists: 0,
    check_scalar_input_count: 0,
    check_structure_input_size: 0,
    check_scalar_output_count: 0,
    check_structure_output_size: 0,
};

/// The methods whose arguments have fixed sizes, by selector.
const METHODS: [Dispatch; 8] = [
    Dispatch {
        function: Some(SamplerClient::add),
        check_scalar_input_count: 2,
        check_scalar_output_count: 2,
        ..PLAIN
    },
    Dispatch {
        function: Some(SamplerClient::open_session),
        check_scalar_input_count: 1,
        check_scalar_output_count: 1,
        ..PLAIN
    },
    Dispatch { function: Some(SamplerClient::close_session), ..PLAIN },
    Dispatch {
        function: Some(SamplerClient::watch),
        check_completion_exists: 1,
        check_scalar_input_count: 2,
        ..PLAIN
    },
    Dispatch {
        function: Some(SamplerClient::allocate),
        check_scalar_input_count: 1,
        check_scalar_output_count: 1,
        ..PLAIN
    },
    Dispatch {
        function: Some(SamplerClient::free),
        check_scalar_input_count: 1,
        check_scalar_output_count: 1,
        ..PLAIN
    },
    Dispatch {
        function: Some(SamplerClient::info),
        check_structure_output_size: size_of::<Info>() as u32,
        ..PLAIN
    },
    Dispatch {
        function: Some(SamplerClient::configure),
        check_structure_input_size: size_of::<Configuration>() as u32,
        ..PLAIN
    },
];

impl UserClient for SamplerClient {
    fn start(&self, _provider: &Provider) -> IoReturn {
        match self.core.make() {
            Ok(()) => IoReturn::SUCCESS,
            Err(result) => result,
        }
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        let core = &*self.core;
        let left =
            std::mem::replace(&mut *core.state(), State { stopped: true, ..State::default() });
        if left.watch.is_some() && !core.has(Bug::StopWaitsForWatch) {
            core.watching.ended();
        }
        drop(left);
        core.watching.wait_until_none();
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let result = self.method(selector, arguments);
        if result.is_success()
            && let Some(status) = &self.core.state().status
        {
            let told = status
                .memory()
                .fetch_add::<u32>(0, 1)
                .and_then(|_| status.memory().store::<u32>(4, selector as u32));
            debug_assert!(told.is_ok(), "the status is the dext's own and has two words");
        }
        result
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        let core = &*self.core;
        let kept = match u32::try_from(memory_type) {
            Ok(memory_type::WINDOW) => {
                if core.has(Bug::FreshWindow) {
                    match Shared::new(WINDOW_LENGTH) {
                        Ok(fresh) => drop(core.state().window.replace(fresh)),
                        Err(result) => return result,
                    }
                }
                core.state().window.clone()
            }
            Ok(memory_type::STATUS) => {
                *options |= USER_CLIENT_MEMORY_READ_ONLY;
                core.state().status.clone()
            }
            _ => return IoReturn::UNSUPPORTED,
        };
        let Some(kept) = kept else { return IoReturn::NOT_READY };
        let is_status = memory_type == u64::from(memory_type::STATUS);
        if !(is_status && core.has(Bug::StatusNotRetained)) {
            kept.descriptor.retain();
        }
        *memory = Some(kept.descriptor.descriptor());
        IoReturn::SUCCESS
    }
}

impl Core {
    fn make(&self) -> Result<(), IoReturn> {
        let queue = OsSharedPtr::adopt(DispatchQueue::create("SamplerWatch")?);
        let window = Shared::new(WINDOW_LENGTH)?;
        let status = Shared::new(STATUS_LENGTH)?;
        let mut state = self.state();
        state.queue = Some(queue);
        state.window = Some(window);
        state.status = Some(status);
        Ok(())
    }
}

impl SamplerClient {
    fn method(&self, selector: u64, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let end = u64::from(selector::COUNT);
        let beyond =
            if self.core.has(Bug::SelectorOffByOne) { selector > end } else { selector >= end };
        if beyond {
            return IoReturn::BAD_ARGUMENT;
        }
        match selector as u32 {
            selector::INVERT => self.core.invert(arguments),
            selector::FEED => self.core.feed(arguments),
            by_table => {
                let entry = self.entry(by_table);
                super_external_method(selector, arguments, Some(&entry), Some(self))
            }
        }
    }

    fn entry(&self, selector: u32) -> Dispatch {
        let right = METHODS[selector as usize];
        match (self.core.bug, selector) {
            (Some(Bug::EntryUnchecked), selector::ADD) => {
                Dispatch { function: right.function, ..Dispatch::UNCHECKED }
            }
            (Some(Bug::ShortStructureCast), selector::CONFIGURE) => Dispatch {
                check_structure_input_size: Dispatch::UNCHECKED.check_structure_input_size,
                ..right
            },
            (Some(Bug::OutputLongerThanAsked), selector::INFO) => Dispatch {
                check_structure_output_size: Dispatch::UNCHECKED.check_structure_output_size,
                ..right
            },
            _ => right,
        }
    }

    fn add(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let (first, second) = (arguments.scalar_input[0], arguments.scalar_input[1]);
        let (sum, carry) = first.overflowing_add(second);
        arguments.scalar_output[0] = sum;
        arguments.scalar_output[1] = u64::from(carry);
        IoReturn::SUCCESS
    }

    fn open_session(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        if arguments.scalar_input[0] >= MODES {
            return IoReturn::BAD_ARGUMENT;
        }
        let mut state = self.core.state();
        if state.session.is_some() {
            return IoReturn::EXCLUSIVE_ACCESS;
        }
        state.session = Some(Vec::new());
        state.sessions += 1;
        arguments.scalar_output[0] = state.sessions;
        IoReturn::SUCCESS
    }

    fn close_session(&self, _: &mut ExternalMethodArguments<'_>) -> IoReturn {
        match self.core.state().session.take() {
            Some(_) => IoReturn::SUCCESS,
            None => IoReturn::NOT_OPEN,
        }
    }

    fn watch(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        Core::watch(&self.core, arguments)
    }

    fn allocate(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let mut state = self.core.state();
        let Some(objects) = &mut state.session else { return IoReturn::NOT_OPEN };
        let place = objects.iter().position(Option::is_none).unwrap_or(objects.len());
        if place == OBJECTS_MAX {
            return IoReturn::NO_SPACE;
        }
        if place == objects.len() {
            objects.push(None);
        }
        objects[place] = Some(arguments.scalar_input[0]);
        arguments.scalar_output[0] = place as u64 + 1;
        IoReturn::SUCCESS
    }

    fn free(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let mut state = self.core.state();
        let Some(objects) = &mut state.session else { return IoReturn::NOT_OPEN };
        let place = arguments.scalar_input[0].checked_sub(1).map(usize::try_from);
        let object = place.and_then(Result::ok).and_then(|place| objects.get_mut(place));
        let Some(value) = object.and_then(Option::take) else { return IoReturn::NOT_FOUND };
        arguments.scalar_output[0] = value;
        IoReturn::SUCCESS
    }

    fn info(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let state = self.core.state();
        let info =
            Info { version: VERSION, feeds: state.feeds, configuration: state.configuration };
        arguments.structure_output = Some(OsData::with_bytes(bytemuck::bytes_of(&info)));
        IoReturn::SUCCESS
    }

    fn configure(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let Some(input) = &arguments.structure_input else { return IoReturn::BAD_ARGUMENT };
        // What a cast of too short a structure would find behind it.
        let mut bytes = [HEAP; size_of::<Configuration>()];
        for (byte, given) in bytes.iter_mut().zip(input.bytes().iter()) {
            *byte = *given;
        }
        self.core.state().configuration = bytemuck::pod_read_unaligned(&bytes);
        IoReturn::SUCCESS
    }
}

/// What lies on the heap where nobody should look.
const HEAP: u8 = 0xa5;
