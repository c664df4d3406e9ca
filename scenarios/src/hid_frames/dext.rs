//! The dext: a virtual HID device whose frames come from and go to a client.

use super::abi::{BUNDLE_ID, FRAME, Frame, USER_CLASS, selector, to_scalars};
use super::host::Host;
use crate::dext::lock;
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::driverkit::{
    self, DispatchQueue, ExternalMethodArguments, OsAction, OsData, OsObject, OsSharedPtr,
    Provider, Service, TimerDispatchSource, UserClient, UserClientMethodDispatch, async_completion,
    super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How frames get to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As eight scalars of a completion.
    Scalars,
    /// Fetched by the client, which is told of each frame by an empty completion.
    NoticeOfEach,
    /// Fetched by the client, which is told when there is a frame after there was none.
    NoticeOfFirst,
}

/// What the dext is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// It gives completions back and stops when it is told to.
    Right,
    /// It retains each completion and releases none, and its Stop stops nothing.
    Naive,
}

/// What is to be published.
#[derive(Clone, Copy, Debug)]
pub struct HidFramesDriver {
    /// How frames get to the client.
    pub delivery: Delivery,
    /// What the dext is like.
    pub manners: Manners,
    /// Bytes that the host pings with.
    pub ping: usize,
    /// Reports that the host sends in one go.
    pub burst: u32,
}

impl HidFramesDriver {
    /// Publishes it; each connection has a device and a host of its own.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(self, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        system.publish(ServiceDescription::dext(USER_CLASS, BUNDLE_ID), Arc::new(self))
    }
}

impl Service for HidFramesDriver {
    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let state = Mutex::default();
        Ok(Some(Arc::new(HidUserClient { shared: Arc::new(Shared { driver: *self, state }) })))
    }
}

/// The user client.
#[derive(Debug)]
struct HidUserClient {
    shared: Arc<Shared>,
}

/// What the user client and its timer share.
#[derive(Debug)]
struct Shared {
    driver: HidFramesDriver,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    timer: Option<(OsSharedPtr<TimerDispatchSource>, OsSharedPtr<DispatchQueue>)>,
    /// The completion of the last registration, retained.
    registered: Option<OsSharedPtr<OsAction>>,
    /// The host, while the device is plugged in.
    host: Option<Host>,
    /// Frames that wait to be fetched.
    frames: VecDeque<Frame>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The host's time has come.
    fn timer_fired(&self, time: Duration) {
        let frames = self.state().host.as_mut().map(Host::speak).unwrap_or_default();
        self.deliver(&frames);
        self.wake(time);
    }

    /// Arms the timer for when the host wants to speak.
    fn wake(&self, now: Duration) {
        let state = self.state();
        let thinks = state.host.as_ref().and_then(Host::thinks);
        let timer = state.timer.clone();
        drop(state);
        if let (Some(thinks), Some((timer, _))) = (thinks, timer) {
            timer.wake_at_time(now.saturating_add(thinks));
        }
    }

    /// Frames of the host go to the client.
    fn deliver(&self, frames: &[Frame]) {
        let mut state = self.state();
        let were_there = !state.frames.is_empty();
        if self.driver.delivery != Delivery::Scalars {
            state.frames.extend(frames);
        }
        let registered = state.registered.clone();
        // Completing may let another task go on, which may need the state.
        drop(state);
        // Nobody who could be told: the frames are lost, or wait to be fetched.
        let Some(action) = registered else { return };
        for (number, frame) in frames.iter().enumerate() {
            match self.driver.delivery {
                Delivery::Scalars => {
                    async_completion(&action, IoReturn::SUCCESS, &to_scalars(frame));
                }
                Delivery::NoticeOfFirst if were_there || number > 0 => {}
                Delivery::NoticeOfEach | Delivery::NoticeOfFirst => {
                    async_completion(&action, IoReturn::SUCCESS, &[]);
                }
            }
        }
    }
}

type Dispatch = UserClientMethodDispatch<HidUserClient>;

const METHODS: [Dispatch; 5] = {
    let mut methods = [Dispatch::PLAIN; 5];
    methods[selector::SEND_FRAME as usize] = Dispatch {
        function: Some(HidUserClient::send_frame),
        check_structure_input_size: u32::MAX,
        ..Dispatch::PLAIN
    };
    methods[selector::NOTIFY_FRAME as usize] = Dispatch {
        function: Some(HidUserClient::notify_frame),
        check_completion_exists: 1,
        ..Dispatch::PLAIN
    };
    methods[selector::START as usize].function = Some(HidUserClient::start_device);
    methods[selector::STOP as usize].function = Some(HidUserClient::stop_device);
    methods[selector::GET_FRAME as usize] = Dispatch {
        function: Some(HidUserClient::get_frame),
        check_structure_output_size: FRAME as u32,
        ..Dispatch::PLAIN
    };
    methods
};

impl UserClient for HidUserClient {
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
}

impl HidUserClient {
    fn make_timer(&self) -> Result<(), IoReturn> {
        let queue = OsSharedPtr::adopt(DispatchQueue::create("HidFramesUserClient")?);
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

    fn send_frame(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let Some(input) = &arguments.structure_input else { return IoReturn::BAD_ARGUMENT };
        let bytes = input.bytes();
        let frame: Option<&Frame> = match &bytes[..] {
            [0, frame @ ..] if bytes.len() == FRAME + 1 => frame.try_into().ok(),
            frame => frame.try_into().ok(),
        };
        let Some(frame) = frame else { return IoReturn::BAD_ARGUMENT };
        let mut state = self.shared.state();
        let Some(host) = &mut state.host else { return IoReturn::NOT_READY };
        let wants_to_speak = host.hear(frame);
        drop(state);
        if wants_to_speak {
            self.shared.wake(driverkit::uptime());
        }
        IoReturn::SUCCESS
    }

    fn notify_frame(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        // The dispatch entry has seen to it that it is there.
        let Some(action) = &arguments.completion else { return IoReturn::BAD_ARGUMENT };
        if self.shared.driver.manners == Manners::Naive {
            action.retain();
        }
        let before = self.shared.state().registered.replace(OsSharedPtr::retaining(action));
        drop(before);
        IoReturn::SUCCESS
    }

    fn start_device(&self, _arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let HidFramesDriver { ping, burst, .. } = self.shared.driver;
        let mut state = self.shared.state();
        if state.host.is_some() {
            return IoReturn::BUSY;
        }
        state.host = Some(Host::new(ping, burst));
        drop(state);
        self.shared.wake(driverkit::uptime());
        IoReturn::SUCCESS
    }

    fn stop_device(&self, _arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        if self.shared.driver.manners == Manners::Right {
            let mut state = self.shared.state();
            let (host, registered) = (state.host.take(), state.registered.take());
            state.frames.clear();
            drop(state);
            drop(registered);
            if host.is_none() {
                return IoReturn::NOT_READY;
            }
        }
        IoReturn::SUCCESS
    }

    fn get_frame(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let Some(frame) = self.shared.state().frames.pop_front() else {
            return IoReturn::NO_FRAMES;
        };
        arguments.structure_output = Some(OsData::with_bytes(&frame));
        IoReturn::SUCCESS
    }
}
