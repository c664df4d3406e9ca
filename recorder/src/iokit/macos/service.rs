//! The services that a client has been shown, by their numbers.

use super::check;
use super::foundation::CfValue;
use super::object::IoObject;
use dextape::IoReturn;
use dextape::call::ServiceId;
use dextape::connection::Value;
use io_kit_sys::{IORegistryEntryCreateCFProperties, IORegistryEntryCreateCFProperty};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Every service shown so far. Each stays here, because a client may ask for it at any time; a
/// terminated one still answers for its properties.
#[derive(Debug, Default)]
pub(super) struct Services {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_entry: BTreeMap<u64, ServiceId>,
    by_number: BTreeMap<ServiceId, Arc<IoObject>>,
}

impl Services {
    /// The number of a service: a new one where it is seen for the first time.
    pub(super) fn number(&self, service: IoObject) -> Result<ServiceId, IoReturn> {
        let entry = service.entry_id()?;
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let next = ServiceId(table.by_number.len() as u64 + 1);
        let number = *table.by_entry.entry(entry).or_insert(next);
        table.by_number.entry(number).or_insert_with(|| Arc::new(service));
        Ok(number)
    }

    /// The service of a number: `kIOReturnNoDevice` where none was ever shown under it.
    pub(super) fn get(&self, number: ServiceId) -> Result<Arc<IoObject>, IoReturn> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.by_number.get(&number).cloned().ok_or(IoReturn::NO_DEVICE)
    }
}

/// One property of a service.
pub(super) fn property(service: &IoObject, key: &str) -> Result<Option<Value>, IoReturn> {
    let key = CfValue::string(key).ok_or(IoReturn::NO_MEMORY)?;
    // SAFETY: service and key live during the call.
    let value = unsafe {
        IORegistryEntryCreateCFProperty(service.raw(), key.raw().cast(), std::ptr::null(), 0)
    };
    // SAFETY: the function hands over a reference to what it returns.
    let value = unsafe { CfValue::owned(value) };
    Ok(value.and_then(|value| value.value()))
}

/// All properties of a service.
pub(super) fn properties(service: &IoObject) -> Result<BTreeMap<String, Value>, IoReturn> {
    let mut table = std::ptr::null_mut();
    // SAFETY: the service lives, and the library writes one pointer.
    let result = unsafe {
        IORegistryEntryCreateCFProperties(service.raw(), &raw mut table, std::ptr::null(), 0)
    };
    check(result)?;
    // SAFETY: on success the function hands over a reference.
    let table = unsafe { CfValue::owned(table.cast_const().cast()) };
    match table.and_then(|table| table.value()) {
        Some(Value::Dictionary(properties)) => Ok(properties),
        _ => Err(IoReturn::NO_MEMORY),
    }
}
