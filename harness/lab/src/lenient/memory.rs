//! Shared memory: what the client writes, and the changes that the tape holds.

use super::key::Simple;
use super::state::Shared;
use dextape::memory::{AccessError, Backing, Memory, RawReach, Update, Width};
use dextape::tape::{Body, Payload};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Changes that are looked at for one read.
const LOOKAHEAD: usize = 64;

/// Largest memory that is mapped, in bytes.
pub(super) const SIZE_MAX: u64 = 1 << 32;

/// One memory, whatever mappings of it there are.
pub(super) struct Store {
    pub(super) number: u32,
    pub(super) address: u64,
    pub(super) length: u64,
    size: u64,
    read_only: bool,
    backing: Arc<Backing>,
    /// Whether it is mapped; `None` of a buffer that is the client's own.
    mapped: Option<AtomicBool>,
    changes: Mutex<Changes>,
}

/// How far the changes of the tape have come.
#[derive(Default)]
struct Changes {
    first: usize,
    done: Vec<bool>,
}

impl Store {
    /// Memory of the dext; `None` where the machine has none of that size.
    pub(super) fn mapped(
        number: u32,
        address: u64,
        (length, size): (u64, u64),
        read_only: bool,
    ) -> Option<Self> {
        let size = size.max(length);
        let backing = Some(size).filter(|size| *size <= SIZE_MAX).and_then(Backing::try_new)?;
        let mapped = Some(AtomicBool::new(false));
        let changes = Mutex::default();
        Some(Self { number, address, length, size, read_only, backing, mapped, changes })
    }

    /// A buffer of the client's.
    pub(super) fn shared(number: u32, length: u64, backing: &Arc<Backing>) -> Self {
        let (size, backing) = (backing.size(), Arc::clone(backing));
        let (read_only, mapped, changes) = (false, None, Mutex::default());
        Self { number, address: 0, length, size, read_only, backing, mapped, changes }
    }

    pub(super) fn map(&self) {
        if let Some(mapped) = &self.mapped {
            mapped.store(true, Ordering::Relaxed);
        }
    }

    /// Ends its mapping: aliases are one (F11). Whether there was one.
    pub(super) fn unmap(&self) -> bool {
        self.mapped.as_ref().is_some_and(|mapped| mapped.swap(false, Ordering::Relaxed))
    }
}

/// A client's access to a store.
pub(super) struct LenientMemory {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Arc<Store>,
}

impl LenientMemory {
    /// Counts the access, where the memory is there.
    fn reach(&self, offset: u64, length: u64) -> Result<(), AccessError> {
        self.shared.count();
        let size = self.store.size;
        let gone = self.store.mapped.as_ref().is_some_and(|it| !it.load(Ordering::Relaxed));
        if gone {
            return Err(AccessError::Unmapped { offset });
        }
        match offset.checked_add(length) {
            Some(end) if end <= size => Ok(()),
            _ => Err(AccessError::OutOfRange { offset, length, size }),
        }
    }

    fn writable(&self, offset: u64) -> Result<(), AccessError> {
        if self.store.read_only { Err(AccessError::ReadOnly { offset }) } else { Ok(()) }
    }

    /// The client has written: what came after it on the tape may come now.
    fn written(&self, offset: u64, length: u64) {
        let key = Simple::Write { memory: self.store.number, offset, length }.key();
        if let Some(operation) = self.shared.enter(&[key]) {
            self.shared.after(operation);
            self.shared.over(operation);
        }
    }

    /// The next change of the tape that this read sees, if any: one read saw one.
    fn change(&self, offset: u64, length: u64) {
        let Some(place) = self.next_change(offset, length) else { return };
        self.shared.pace(place);
        if let Body::Patch { offset, data: Payload::Bytes(bytes), .. } =
            &self.shared.tape.events()[place].body
        {
            // Where it goes beyond the memory, there is nothing to be seen.
            let _beyond = self.store.backing.copy_in(*offset, bytes);
        }
    }

    fn next_change(&self, offset: u64, length: u64) -> Option<usize> {
        let shared = &*self.shared;
        let patches = shared.held.patches.get(&self.store.number)?;
        let mut changes = self.store.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.done.resize(patches.len(), false);
        while changes.done.get(changes.first) == Some(&true) {
            changes.first += 1;
        }
        let first = changes.first;
        let index = (first..patches.len()).take(LOOKAHEAD).find(|index| {
            let patch = &patches[*index];
            let is_due = patch.anchor.is_none_or(|anchor| shared.is_over(anchor));
            let Body::Patch { offset: at, data, .. } = &shared.tape.events()[patch.place].body
            else {
                return false;
            };
            let end = at.saturating_add(data.length());
            is_due && !changes.done[*index] && *at < offset.saturating_add(length) && offset < end
        })?;
        changes.done[index] = true;
        Some(patches[index].place)
    }
}

impl Memory for LenientMemory {
    fn size(&self) -> u64 {
        self.store.size
    }

    fn is_read_only(&self) -> bool {
        self.store.read_only
    }

    fn raw_reach(&self) -> RawReach {
        RawReach::Copied
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        self.reach(offset, width.bytes())?;
        self.change(offset, width.bytes());
        self.store.backing.load_word(offset, width)
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        self.reach(offset, width.bytes())?;
        self.writable(offset)?;
        self.store.backing.store_word(offset, width, value)?;
        self.written(offset, width.bytes());
        Ok(())
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        self.reach(offset, width.bytes())?;
        self.writable(offset)?;
        self.change(offset, width.bytes());
        let old = self.store.backing.update_word(offset, width, update)?;
        self.written(offset, width.bytes());
        Ok(old)
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.reach(offset, into.len() as u64)?;
        self.change(offset, into.len() as u64);
        self.store.backing.copy_out(offset, into)
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.reach(offset, bytes.len() as u64)?;
        self.writable(offset)?;
        self.store.backing.copy_in(offset, bytes)?;
        self.written(offset, bytes.len() as u64);
        Ok(())
    }
}

impl fmt::Debug for LenientMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LenientMemory").field("number", &self.store.number).finish_non_exhaustive()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("number", &self.number).finish_non_exhaustive()
    }
}
