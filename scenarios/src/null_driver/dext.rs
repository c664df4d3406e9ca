//! The dext: a user client that answers with what it was given, and two numbers more.

use super::abi::{BUNDLE_ID, Data, OversizedData, USER_CLASS, completion, selector};
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::driverkit::{
    self, DispatchQueue, ExternalMethodArguments, MappingOptions, OsAction, OsData, OsSharedPtr,
    Provider, Service, TimerDispatchSource, UserClient, UserClientMethodDispatch, async_completion,
    super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use dextape::limits::SCALARS_MAX;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a request takes.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// The service: every open makes a user client of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullDriver;

impl NullDriver {
    /// Publishes it.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(system: &MockSystem) -> Result<ServiceId, IoReturn> {
        system.publish(ServiceDescription::dext(USER_CLASS, BUNDLE_ID), Arc::new(Self))
    }
}

impl Service for NullDriver {
    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(NullUserClient::default())))
    }
}

/// One user client.
#[derive(Debug, Default)]
struct NullUserClient {
    shared: Arc<Shared>,
}

/// What the user client and its timer share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: Option<OsSharedPtr<DispatchQueue>>,
    timer: Option<OsSharedPtr<TimerDispatchSource>>,
    /// The completion that selector 4 registered, retained.
    registered: Option<OsSharedPtr<OsAction>>,
    /// Requests that wait for their time, oldest first.
    requests: VecDeque<(Duration, Data)>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fires the registered completion for every request whose time has come.
    fn timer_fired(&self, time: Duration) {
        loop {
            let mut state = self.state();
            let due = state.requests.front().is_some_and(|(when, _)| *when <= time);
            let request = if due { state.requests.pop_front() } else { None };
            let Some((_, data)) = request else {
                let next = state.requests.front().map(|(when, _)| *when);
                if let (Some(next), Some(timer)) = (next, state.timer.clone()) {
                    drop(state);
                    timer.wake_at_time(next);
                }
                return;
            };
            let registered = state.registered.clone();
            // Completing may let another task go on, which may need the state.
            drop(state);
            complete(registered.as_deref(), completion::REQUESTED, data);
        }
    }
}

fn complete(action: Option<&OsAction>, what: u64, data: Data) {
    if let Some(action) = action {
        async_completion(action, IoReturn::SUCCESS, &[what, data.foo, data.bar]);
    }
}

type Dispatch = UserClientMethodDispatch<NullUserClient>;

const CHECKED_SCALAR: Dispatch = Dispatch {
    function: Some(NullUserClient::scalar),
    check_completion_exists: 0,
    check_scalar_input_count: 16,
    check_structure_input_size: 0,
    check_scalar_output_count: 16,
    check_structure_output_size: 0,
};

const CHECKED_STRUCT: Dispatch = Dispatch {
    function: Some(NullUserClient::structure),
    check_completion_exists: 0,
    check_scalar_input_count: 0,
    check_structure_input_size: 16,
    check_scalar_output_count: 0,
    check_structure_output_size: 16,
};

const REGISTER_ASYNC: Dispatch = Dispatch {
    function: Some(NullUserClient::register_async),
    check_completion_exists: 1,
    check_scalar_input_count: 0,
    check_structure_input_size: 16,
    check_scalar_output_count: 0,
    check_structure_output_size: 16,
};

const ASYNC_REQUEST: Dispatch = Dispatch {
    function: Some(NullUserClient::async_request),
    check_scalar_input_count: 0,
    check_structure_input_size: 16,
    check_scalar_output_count: 0,
    check_structure_output_size: 0,
    ..Dispatch::UNCHECKED
};

impl UserClient for NullUserClient {
    fn start(&self, _provider: &Provider) -> IoReturn {
        let made = DispatchQueue::create("NullDriverUserClient").and_then(|queue| {
            let queue = OsSharedPtr::adopt(queue);
            let timer = OsSharedPtr::adopt(TimerDispatchSource::create(&queue)?);
            Ok((queue, timer))
        });
        match made {
            Ok((queue, timer)) => {
                // The handler does not keep the user client alive, which keeps the timer.
                let shared = Arc::downgrade(&self.shared);
                timer.set_handler(move |time| {
                    if let Some(shared) = shared.upgrade() {
                        shared.timer_fired(time);
                    }
                });
                let mut state = self.shared.state();
                state.queue = Some(queue);
                state.timer = Some(timer);
                IoReturn::SUCCESS
            }
            Err(result) => result,
        }
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        let state = std::mem::take(&mut *self.shared.state());
        if let Some(timer) = &state.timer {
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
            Ok(selector::SCALAR) => return self.scalar(arguments),
            Ok(selector::STRUCT) => return self.structure(arguments),
            Ok(selector::CHECKED_SCALAR) => &CHECKED_SCALAR,
            Ok(selector::CHECKED_STRUCT) => &CHECKED_STRUCT,
            Ok(selector::REGISTER_ASYNC) => &REGISTER_ASYNC,
            Ok(selector::ASYNC_REQUEST) => &ASYNC_REQUEST,
            _ => return super_external_method::<Self>(selector, arguments, None, None),
        };
        super_external_method(selector, arguments, Some(dispatch), Some(self))
    }
}

impl NullUserClient {
    fn scalar(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let given = arguments.scalar_input.iter();
        let count = arguments.scalar_output.iter_mut().zip(given).map(|(out, given)| {
            *out = given.wrapping_add(1);
        });
        arguments.scalar_output_count = count.count().min(SCALARS_MAX) as u32;
        IoReturn::SUCCESS
    }

    fn structure(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        Self::answer_structure(arguments).into()
    }

    fn answer_structure(arguments: &mut ExternalMethodArguments<'_>) -> Result<(), IoReturn> {
        let input = match (&arguments.structure_input, &arguments.structure_input_descriptor) {
            (Some(data), _) => {
                let data = small(data)?;
                OversizedData { data, large: [0; 511] }
            }
            (None, Some(descriptor)) => {
                let map = OsSharedPtr::adopt(descriptor.create_mapping(
                    MappingOptions::NONE,
                    0,
                    0,
                    0,
                    0,
                )?);
                map.read_struct(0).map_err(|_| IoReturn::BAD_ARGUMENT)?
            }
            (None, None) => return Err(IoReturn::BAD_ARGUMENT),
        };
        let output = OversizedData { data: input.data.answered(), large: input.large };
        match &arguments.structure_output_descriptor {
            Some(descriptor) => {
                let map = OsSharedPtr::adopt(descriptor.create_mapping(
                    MappingOptions::NONE,
                    0,
                    0,
                    0,
                    0,
                )?);
                map.write_struct(0, &output).map_err(|_| IoReturn::BAD_ARGUMENT)
            }
            None => {
                arguments.structure_output =
                    Some(OsData::with_bytes(bytemuck::bytes_of(&output.data)));
                Ok(())
            }
        }
    }

    fn register_async(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        // The dispatch entry has seen to it that both are there.
        let (Some(action), Some(input)) = (&arguments.completion, &arguments.structure_input)
        else {
            return IoReturn::BAD_ARGUMENT;
        };
        let Ok(data) = small(input) else { return IoReturn::BAD_ARGUMENT };
        let action = OsSharedPtr::retaining(action);
        let (queue, before) = {
            let mut state = self.shared.state();
            (state.queue.clone(), state.registered.replace(action.clone()))
        };
        // One that was registered before is given back.
        drop(before);
        let answer = data.answered();
        arguments.structure_output = Some(OsData::with_bytes(bytemuck::bytes_of(&answer)));
        match queue {
            Some(queue) => {
                queue.dispatch_async(move || {
                    complete(Some(&action), completion::REGISTERED, answer);
                });
                IoReturn::SUCCESS
            }
            None => IoReturn::NOT_READY,
        }
    }

    fn async_request(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let Some(Ok(data)) = arguments.structure_input.as_ref().map(small) else {
            return IoReturn::BAD_ARGUMENT;
        };
        let due = driverkit::uptime() + REQUEST_TIME;
        let mut state = self.shared.state();
        if state.registered.is_none() {
            // Apple's client expects kIOReturnNotReady; this is what Apple's dext returns.
            return IoReturn::ERROR;
        }
        state.requests.push_back((due, data));
        let first = state.requests.len() == 1;
        let timer = state.timer.clone();
        drop(state);
        if let (true, Some(timer)) = (first, timer) {
            timer.wake_at_time(due);
        }
        IoReturn::SUCCESS
    }
}

/// The small structure; anything shorter is refused.
fn small(data: &OsData) -> Result<Data, IoReturn> {
    let bytes = data.bytes();
    let bytes = bytes.get(..size_of::<Data>()).ok_or(IoReturn::BAD_ARGUMENT)?;
    Ok(bytemuck::pod_read_unaligned(bytes))
}
