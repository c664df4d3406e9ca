//! The memory behind a BAR, as long as the device is there to answer.

use super::mock::DeviceCore;
use crate::memory::{AccessError, Memory, Update, Width, check_range, check_word};
use std::fmt;
use std::sync::{Arc, Weak};

/// Memory of a BAR. Where nobody answers (the device is gone, or its memory space is off) a read gives
/// all ones and a write does nothing, as on a bus.
pub(super) struct BarMemory {
    device: Weak<DeviceCore>,
    memory: Arc<dyn Memory>,
}

impl BarMemory {
    pub(super) fn new(device: &Weak<DeviceCore>, memory: &Arc<dyn Memory>) -> Arc<Self> {
        Arc::new(Self { device: Weak::clone(device), memory: Arc::clone(memory) })
    }

    fn answers(&self) -> bool {
        self.device.upgrade().is_some_and(|device| device.decodes_memory())
    }
}

impl Memory for BarMemory {
    fn size(&self) -> u64 {
        self.memory.size()
    }

    fn is_registers(&self) -> bool {
        self.memory.is_registers()
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        check_word(offset, width, self.size())?;
        if self.answers() { self.memory.load_word(offset, width) } else { Ok(width.mask()) }
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        check_word(offset, width, self.size())?;
        if self.answers() { self.memory.store_word(offset, width, value) } else { Ok(()) }
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        check_word(offset, width, self.size())?;
        if self.answers() {
            self.memory.update_word(offset, width, update)
        } else {
            Ok(width.mask())
        }
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        check_range(offset, into.len() as u64, self.size())?;
        if self.answers() {
            self.memory.copy_out(offset, into)
        } else {
            into.fill(0xff);
            Ok(())
        }
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        check_range(offset, bytes.len() as u64, self.size())?;
        if self.answers() { self.memory.copy_in(offset, bytes) } else { Ok(()) }
    }
}

impl fmt::Debug for BarMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarMemory").field("memory", &self.memory).finish_non_exhaustive()
    }
}
