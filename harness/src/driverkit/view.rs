//! A window on shared memory that belongs to an object and ends with it.

use super::finding::{Lint, Place};
use super::object::Managed;
use super::process::Context;
use crate::memory::{AccessError, Memory, RawReach, Update, Width};
use std::sync::Arc;

/// Bytes of a store, as long as `owner` has references.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) owner: Arc<dyn Managed>,
    pub(crate) store: Arc<dyn Memory>,
    /// First byte in the store.
    pub(crate) start: u64,
    /// Bytes accessible.
    pub(crate) size: u64,
    pub(crate) access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    /// The dext asked for that itself.
    ReadOnly,
    /// It is an input: whoever writes there has misunderstood.
    Input,
}

impl View {
    /// Offset in the store of `length` bytes at `offset`.
    fn locate(&self, offset: u64, length: u64) -> Result<u64, AccessError> {
        if !self.owner.header().alive() {
            return Err(AccessError::Unmapped { offset });
        }
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(self.start + offset),
            _ => Err(AccessError::OutOfRange { offset, length, size: self.size }),
        }
    }

    fn locate_for_write(&self, offset: u64, length: u64) -> Result<u64, AccessError> {
        let located = self.locate(offset, length)?;
        match self.access {
            Access::ReadWrite => Ok(located),
            Access::ReadOnly => Err(AccessError::ReadOnly { offset }),
            Access::Input => {
                let place = Context::place();
                self.report_write(place, offset, length);
                Err(AccessError::ReadOnly { offset })
            }
        }
    }

    fn report_write(&self, place: Place, offset: u64, length: u64) {
        let message = format!(
            "{length} bytes at offset {offset} of the structure input were to be written, which is \
             a fault in the dext"
        );
        self.owner.header().report_as(Lint::InputWritten, place, message);
    }

    /// An error of the store, in terms of the view.
    fn translate(offset: u64) -> impl Fn(AccessError) -> AccessError {
        move |error| match error {
            AccessError::Unaligned { width, .. } => AccessError::Unaligned { offset, width },
            other => other,
        }
    }
}

impl Memory for View {
    fn is_read_only(&self) -> bool {
        self.access != Access::ReadWrite
    }

    fn is_registers(&self) -> bool {
        self.store.is_registers()
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn raw_reach(&self) -> RawReach {
        self.store.raw_reach().part(self.start, self.size)
    }

    fn written_unseen(&self) {
        self.store.written_unseen();
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        let at = self.locate(offset, width.bytes())?;
        self.store.load_word(at, width).map_err(Self::translate(offset))
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        let at = self.locate_for_write(offset, width.bytes())?;
        self.store.store_word(at, width, value).map_err(Self::translate(offset))
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        let at = self.locate_for_write(offset, width.bytes())?;
        self.store.update_word(at, width, update).map_err(Self::translate(offset))
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        let at = self.locate(offset, into.len() as u64)?;
        self.store.copy_out(at, into)
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        let at = self.locate_for_write(offset, bytes.len() as u64)?;
        self.store.copy_in(at, bytes)
    }
}
