//! What the dexts of several scenarios need.

use dextape::IoReturn;
use dextape::driverkit::ExternalMethodArguments;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks the state of a dext, also where a method panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The scalar at `index`; 0 where the dispatch entry has not seen to it that it is there.
pub(crate) fn scalar(arguments: &ExternalMethodArguments<'_>, index: usize) -> u64 {
    arguments.scalar_input.get(index).copied().unwrap_or_default()
}

/// The structure in the message.
///
/// # Errors
///
/// `kIOReturnBadArgument` where there is none of that size.
pub(crate) fn structure<T: bytemuck::Pod>(
    arguments: &ExternalMethodArguments<'_>,
) -> Result<T, IoReturn> {
    let data = arguments.structure_input.as_ref().ok_or(IoReturn::BAD_ARGUMENT)?;
    bytemuck::try_pod_read_unaligned(&data.bytes()).map_err(|_| IoReturn::BAD_ARGUMENT)
}
