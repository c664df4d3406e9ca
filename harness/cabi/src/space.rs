//! The memory of this process, which is the client's.

use crate::raw::{try_copy_from, try_copy_to};
use dextape::memory::ClientSpace;
use std::sync::Arc;

/// Reads and writes by the kernel, which checks each address.
#[derive(Debug)]
struct ThisProcess;

impl ClientSpace for ThisProcess {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        try_copy_from(address, into).is_some()
    }

    fn write(&self, address: u64, bytes: &[u8]) -> bool {
        try_copy_to(address, bytes).is_some()
    }
}

/// The memory of the client that this library is loaded into: for mocks, recorders and replayers that follow
/// its pointers.
#[must_use]
pub fn client_space() -> Arc<dyn ClientSpace> {
    Arc::new(ThisProcess)
}
