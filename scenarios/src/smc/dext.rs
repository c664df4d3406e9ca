//! The service: answers what a dump says.

use super::HOST_SYSTEM;
use super::abi::{
    CLASS, DATA_MAX, FourCharacters, KeyInfo, ParamStruct, SELECTOR, attribute, command, result,
};
use super::dump::{Dump, DumpedKey};
use super::line::Reading;
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::driverkit::{
    ExternalMethodArguments, OsData, Service, UserClient, UserClientMethodDispatch,
    super_external_method,
};
use dextape::kernel::{MockSystem, ServiceDescription};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The service, with the keys of one machine. All its user clients share them.
#[derive(Debug)]
pub struct SmcService {
    keys: Arc<Keys>,
}

impl SmcService {
    /// Publishes the machine of a dump.
    ///
    /// # Errors
    ///
    /// Those of [`MockSystem::publish`].
    pub fn publish(dump: &Dump, system: &MockSystem) -> Result<ServiceId, IoReturn> {
        let mut description = ServiceDescription::class(CLASS);
        if let Some(host) = &dump.system {
            description = description.property(HOST_SYSTEM, host.as_str());
        }
        let keys = Arc::new(Keys::of(dump));
        system.publish(description, Arc::new(Self { keys }))
    }
}

impl Service for SmcService {
    fn new_user_client(&self, _type: u32) -> Result<Option<Arc<dyn UserClient>>, IoReturn> {
        Ok(Some(Arc::new(SmcUserClient { keys: Arc::clone(&self.keys) })))
    }
}

/// One user client.
#[derive(Debug)]
struct SmcUserClient {
    keys: Arc<Keys>,
}

const CALL: UserClientMethodDispatch<SmcUserClient> = UserClientMethodDispatch {
    function: Some(SmcUserClient::call),
    check_completion_exists: 0,
    check_scalar_input_count: 0,
    check_structure_input_size: size_of::<ParamStruct>() as u32,
    check_scalar_output_count: 0,
    check_structure_output_size: size_of::<ParamStruct>() as u32,
};

impl UserClient for SmcUserClient {
    fn external_method(
        &self,
        selector: u64,
        arguments: &mut ExternalMethodArguments<'_>,
    ) -> IoReturn {
        if selector == u64::from(SELECTOR) {
            super_external_method(selector, arguments, Some(&CALL), Some(self))
        } else {
            super_external_method::<Self>(selector, arguments, None, None)
        }
    }
}

impl SmcUserClient {
    fn call(&self, arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
        let input = arguments.structure_input.as_ref().map(OsData::bytes);
        let request = input.and_then(|bytes| bytemuck::try_pod_read_unaligned(&bytes).ok());
        let Some(request) = request else { return IoReturn::BAD_ARGUMENT };
        match self.keys.answer(&request) {
            Ok(reply) => {
                arguments.structure_output = Some(OsData::with_bytes(bytemuck::bytes_of(&reply)));
                IoReturn::SUCCESS
            }
            Err(failure) => failure,
        }
    }
}

/// The keys of one machine.
#[derive(Debug)]
struct Keys {
    public: Vec<FourCharacters>,
    keys: Mutex<BTreeMap<FourCharacters, Key>>,
}

/// One key.
#[derive(Debug)]
struct Key {
    info: KeyInfo,
    value: Answer,
}

/// What reading a key gives.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// The value, as far as a reply carries it.
    Value([u8; DATA_MAX]),
    /// A result byte.
    Refused(u8),
    /// A failure of the call.
    Failed(IoReturn),
}

impl Keys {
    fn of(dump: &Dump) -> Self {
        let public = dump.public().iter().map(|key| key.line.key).collect();
        let keys = dump.keys.iter().map(|key| (key.line.key, Key::of(key))).collect();
        Self { public, keys: Mutex::new(keys) }
    }

    /// What a request is answered; a failure of the call where the machine's was one.
    fn answer(&self, request: &ParamStruct) -> Result<ParamStruct, IoReturn> {
        let mut reply = ParamStruct::default();
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = keys.get_mut(&request.key);
        reply.result = match (request.data8, &mut key) {
            (command::KEY_FROM_INDEX, _) => match self.public.get(request.data32 as usize) {
                Some(key) => {
                    reply.key = *key;
                    result::SUCCESS
                }
                None => result::KEY_INDEX_RANGE,
            },
            (command::KEY_INFO | command::READ_KEY | command::WRITE_KEY, None) => result::NOT_FOUND,
            (command::KEY_INFO, Some(key)) => {
                reply.key_info = key.info;
                result::SUCCESS
            }
            (command::READ_KEY, Some(key)) if request.key_info.data_size != key.info.data_size => {
                result::KEY_SIZE_MISMATCH
            }
            (command::READ_KEY, Some(key)) => match key.value {
                Answer::Value(bytes) => {
                    reply.bytes = bytes;
                    result::SUCCESS
                }
                Answer::Refused(code) => code,
                Answer::Failed(failure) => return Err(failure),
            },
            (command::WRITE_KEY, Some(key)) => key.write(request),
            _ => result::BAD_COMMAND,
        };
        Ok(reply)
    }
}

impl Key {
    fn of(dumped: &DumpedKey) -> Self {
        let value = match (&dumped.line.reading, dumped.failure) {
            (_, Some(failure)) => Answer::Failed(failure),
            (Reading::Value(bytes), None) => {
                let mut data = [0; DATA_MAX];
                data.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                Answer::Value(data)
            }
            (Reading::NotReadable { code }, None) => Answer::Refused(code.unwrap_or(result::ERROR)),
        };
        Self { info: dumped.line.info, value }
    }

    fn write(&mut self, request: &ParamStruct) -> u8 {
        if self.info.data_attributes & attribute::WRITE == 0 {
            return result::NOT_WRITABLE;
        }
        let size = self.info.data_size;
        if request.key_info.data_size != size || size as usize > DATA_MAX {
            return result::KEY_SIZE_MISMATCH;
        }
        // A key that can be written but not read stays unreadable.
        if let Answer::Value(bytes) = &mut self.value {
            *bytes = [0; DATA_MAX];
            let size = size as usize;
            bytes[..size].copy_from_slice(&request.bytes[..size]);
        }
        result::SUCCESS
    }
}
