//! The dext: sessions with a disk on the bus, for each connection its own.

use super::abi::{
    BUNDLE_ID, CommandRequest, CommandResult, USER_CLASS, direction, login, memory_type, selector,
};
use super::bus::{Bus, Lost, Outcome, Submission, Target};
use crate::dext::{lock, scalar};
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::driverkit::{
    ExternalMethodArguments, MappingOptions, MemoryDescriptor, OsData, OsObject, OsSharedPtr,
    Provider, Service, USER_CLIENT_MEMORY_READ_ONLY, UserClient, UserClientMethodDispatch,
    super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a result goes back for which the client has asked with more than 4096 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    /// Through the descriptor of the client's memory.
    Descriptor,
    /// As `OSData`, like a short one, naively.
    Inline,
}

/// How the dext and its disk behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// Commands that were under way at a reset.
    pub lost: Lost,
    /// A disk that was told to eject.
    pub target: Target,
    /// Long results.
    pub results: Results,
}

/// The driver of the bus.
#[derive(Debug)]
pub struct FireWireDriver {
    manners: Manners,
    bus: Mutex<Option<Arc<Bus>>>,
    owners: AtomicU64,
}

impl FireWireDriver {
    /// Publishes it.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(manners: Manners, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        let driver = Self { manners, bus: Mutex::default(), owners: AtomicU64::new(0) };
        system.publish(ServiceDescription::dext(USER_CLASS, BUNDLE_ID), Arc::new(driver))
    }
}

impl Service for FireWireDriver {
    fn start(&self, _provider: &Provider) -> IoReturn {
        let made = Bus::new(self.manners.lost, self.manners.target);
        IoReturn::from(made.map(|bus| *lock(&self.bus) = Some(bus)))
    }

    fn stop(&self, _provider: &Provider) -> IoReturn {
        drop(lock(&self.bus).take());
        IoReturn::SUCCESS
    }

    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        let bus = lock(&self.bus).clone().ok_or(IoReturn::NOT_READY)?;
        let owner = self.owners.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Some(Arc::new(FireWireUserClient { bus, owner, results: self.manners.results })))
    }
}

/// A user client; what it has on the bus is known by its number.
#[derive(Debug)]
struct FireWireUserClient {
    bus: Arc<Bus>,
    owner: u64,
    results: Results,
}

type Dispatch = UserClientMethodDispatch<FireWireUserClient>;

const CREATE_SESSION: Dispatch = Dispatch {
    function: Some(FireWireUserClient::create_session),
    check_scalar_input_count: 1,
    check_scalar_output_count: 1,
    ..Dispatch::PLAIN
};

const START_LOGIN: Dispatch = Dispatch {
    function: Some(FireWireUserClient::start_login),
    check_scalar_input_count: 1,
    ..Dispatch::PLAIN
};

const SESSION_STATE: Dispatch = Dispatch {
    function: Some(FireWireUserClient::session_state),
    check_scalar_input_count: 1,
    check_scalar_output_count: 5,
    ..Dispatch::PLAIN
};

const SUBMIT_COMMAND: Dispatch = Dispatch {
    function: Some(FireWireUserClient::submit_command),
    check_scalar_input_count: 2,
    check_structure_input_size: u32::MAX,
    check_scalar_output_count: 1,
    ..Dispatch::PLAIN
};

const COMMAND_RESULT: Dispatch = Dispatch {
    function: Some(FireWireUserClient::command_result),
    check_scalar_input_count: 1,
    check_structure_output_size: u32::MAX,
    ..Dispatch::PLAIN
};

const RELEASE_SESSION: Dispatch = Dispatch {
    function: Some(FireWireUserClient::release_session),
    check_scalar_input_count: 1,
    ..Dispatch::PLAIN
};

const BUS_RESET: Dispatch =
    Dispatch { function: Some(FireWireUserClient::bus_reset), ..Dispatch::PLAIN };

impl UserClient for FireWireUserClient {
    fn stop(&self, _provider: &Provider) -> IoReturn {
        self.bus.release_owner(self.owner);
        IoReturn::SUCCESS
    }

    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        let dispatch = match u32::try_from(selector) {
            Ok(selector::CREATE_SESSION) => &CREATE_SESSION,
            Ok(selector::START_LOGIN) => &START_LOGIN,
            Ok(selector::SESSION_STATE) => &SESSION_STATE,
            Ok(selector::SUBMIT_COMMAND) => &SUBMIT_COMMAND,
            Ok(selector::COMMAND_RESULT) => &COMMAND_RESULT,
            Ok(selector::RELEASE_SESSION) => &RELEASE_SESSION,
            Ok(selector::BUS_RESET) => &BUS_RESET,
            _ => return super_external_method::<Self>(selector, arguments, None, None),
        };
        super_external_method(selector, arguments, Some(dispatch), Some(self))
    }

    fn copy_client_memory_for_type(
        &self,
        memory_type: u64,
        options: &mut u64,
        memory: &mut Option<MemoryDescriptor>,
    ) -> IoReturn {
        if memory_type != u64::from(memory_type::STATUS) {
            return IoReturn::UNSUPPORTED;
        }
        let status = self.bus.status();
        status.retain();
        *options |= USER_CLIENT_MEMORY_READ_ONLY;
        *memory = Some(status.descriptor());
        IoReturn::SUCCESS
    }
}

impl FireWireUserClient {
    fn create_session(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let made = self.bus.create_session(self.owner, scalar(arguments, 0));
        IoReturn::from(made.map(|handle| arguments.scalar_output[0] = handle))
    }

    fn start_login(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        IoReturn::from(self.bus.start_login(self.owner, scalar(arguments, 0)))
    }

    fn session_state(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let session = scalar(arguments, 0);
        let known = self.bus.session_state(self.owner, session);
        IoReturn::from(known.map(|known| {
            let out = [
                known.state,
                session,
                u64::from(known.generation),
                u64::from(known.last_error.0),
                u64::from(known.state == login::RECONNECTING),
            ];
            arguments.scalar_output.copy_from_slice(&out);
        }))
    }

    fn submit_command(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        IoReturn::from(self.submit(arguments))
    }

    fn submit(&self, arguments: &mut ExternalMethodArguments<'_>) -> Result<(), IoReturn> {
        let bytes = input(arguments)?;
        let bad = || IoReturn::BAD_ARGUMENT;
        let (header, rest) = bytes.split_at_checked(size_of::<CommandRequest>()).ok_or_else(bad)?;
        let header: CommandRequest = bytemuck::pod_read_unaligned(header);
        let (cdb, outgoing) = rest.split_at_checked(header.cdb_length as usize).ok_or_else(bad)?;
        let known = header.direction <= direction::TO_TARGET;
        if !(1..=16).contains(&cdb.len())
            || outgoing.len() != header.outgoing_length as usize
            || !known
        {
            return Err(bad());
        }
        let submission = Submission {
            session: scalar(arguments, 0),
            generation: scalar(arguments, 1),
            cdb,
            outgoing,
            transfer_length: header.transfer_length,
            timeout: Duration::from_millis(u64::from(header.timeout_ms)),
            sense: header.capture_sense != 0,
        };
        arguments.scalar_output[0] = self.bus.submit(self.owner, &submission)?;
        Ok(())
    }

    fn command_result(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        IoReturn::from(self.result(arguments))
    }

    fn result(&self, arguments: &mut ExternalMethodArguments<'_>) -> Result<(), IoReturn> {
        let handle = scalar(arguments, 0);
        let outcome = self.bus.outcome(self.owner, handle)?;
        let bytes = result_bytes(&outcome);
        if bytes.len() as u64 > arguments.structure_output_maximum_size {
            // It can be asked for again with more room.
            return Err(IoReturn::NO_SPACE);
        }
        match (&arguments.structure_output_descriptor, self.results) {
            (Some(descriptor), Results::Descriptor) => {
                let map = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0)?;
                let map = OsSharedPtr::adopt(map);
                map.copy_in(0, &bytes).map_err(|_| IoReturn::VM_ERROR)?;
            }
            _ => arguments.structure_output = Some(OsData::with_bytes(&bytes)),
        }
        self.bus.forget(handle);
        Ok(())
    }

    fn release_session(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        IoReturn::from(self.bus.release_session(self.owner, scalar(arguments, 0)))
    }

    fn bus_reset(&self, _arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        self.bus.reset();
        IoReturn::SUCCESS
    }
}

/// The structure, whichever way it came.
fn input(arguments: &ExternalMethodArguments<'_>) -> Result<Vec<u8>, IoReturn> {
    match (&arguments.structure_input, &arguments.structure_input_descriptor) {
        (Some(data), _) => Ok(data.bytes().to_vec()),
        (None, Some(descriptor)) => {
            let map = descriptor.create_mapping(MappingOptions::NONE, 0, 0, 0, 0)?;
            let map = OsSharedPtr::adopt(map);
            map.read_vec(0, descriptor.length()).map_err(|_| IoReturn::VM_ERROR)
        }
        (None, None) => Err(IoReturn::BAD_ARGUMENT),
    }
}

fn result_bytes(outcome: &Outcome) -> Vec<u8> {
    let header = CommandResult {
        transport_status: outcome.transport.0,
        payload_length: outcome.data.len() as u32,
        sense_length: outcome.sense.len() as u32,
        ..CommandResult::default()
    };
    [bytemuck::bytes_of(&header), &outcome.data, &outcome.sense].concat()
}
