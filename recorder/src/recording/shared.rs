//! Buffers that clients lend to calls, and what a session keeps of them.

use super::context::Context;
use super::memory::{RecordingMemory, WatchedMemory};
use crate::journal::Token;
use dextape::limits::INLINE_STRUCTURE_MAX;
use dextape::memory::{Backing, Memory, SharedBuffer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The shared buffers of a session. They are told apart by the address of their store's shared
/// counter, which cannot be used again while the weak handle here exists.
#[derive(Debug, Default)]
pub(crate) struct SharedBuffers {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_store: HashMap<usize, Entry>,
    /// Look for buffers that are gone when there are so many.
    sweep_at: usize,
}

#[derive(Debug)]
struct Entry {
    store: Weak<Backing>,
    number: u32,
    /// What stands in front of the buffer, where it is watched.
    front: Option<Front>,
}

#[derive(Clone, Debug)]
struct Front {
    watched: Arc<WatchedMemory>,
    /// Weak, since it holds the store.
    memory: Weak<RecordingMemory>,
}

/// A shared buffer as one call names it.
#[derive(Debug)]
pub(crate) struct Lent {
    /// Number on the tape.
    pub(crate) number: u32,
    /// Its bytes as the client knows them, at the time of the call.
    pub(crate) bytes: Vec<u8>,
    front: Option<Front>,
}

impl SharedBuffers {
    /// The client names `buffer` in a call of `connection`. From the first time on, accesses to a
    /// buffer that the dext gets as a descriptor are recorded: the dext may write to it as long as
    /// it keeps the descriptor, and nobody says when it lets go.
    pub(crate) fn lend(context: &Arc<Context>, connection: u32, buffer: &SharedBuffer) -> Lent {
        let session = &context.session;
        let mut known = session.buffers.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.sweep();
        let key = Arc::as_ptr(buffer.store()).addr();
        let entry = known.by_store.entry(key).or_insert_with(|| Entry {
            store: Arc::downgrade(buffer.store()),
            number: session.numbers.memories.next(),
            front: None,
        });
        let number = entry.number;
        let mut bytes = vec![0; usize::try_from(buffer.length()).unwrap_or(0)];
        if buffer.length() <= INLINE_STRUCTURE_MAX {
            // Copied by the call itself: what becomes of it later is nobody's business.
            drop(known);
            copy_store(buffer, &mut bytes);
            return Lent { number, bytes, front: None };
        }
        if let Some(front) = entry.front.clone() {
            drop(known);
            front.watched.state.lock().read(0, &mut bytes);
            return Lent { number, bytes, front: Some(front) };
        }
        let watched = Arc::new(WatchedMemory::new(&context.schedule, number));
        let mut memory = Weak::new();
        // Whoever is about to access the buffer waits here until its bytes are in the shadow.
        let mut shadow = watched.state.lock();
        buffer.watch(|inner| {
            let recording = Arc::new(RecordingMemory::new(
                Arc::clone(context),
                Arc::clone(&watched),
                inner,
                connection,
                None,
            ));
            memory = Arc::downgrade(&recording);
            recording
        });
        let front = Front { watched: Arc::clone(&watched), memory };
        entry.front = Some(front.clone());
        drop(known);
        copy_store(buffer, &mut bytes);
        shadow.set(0, &bytes);
        drop(shadow);
        Lent { number, bytes, front: Some(front) }
    }
}

impl Lent {
    /// The call that names the buffer is on the tape as `enter`.
    pub(crate) fn called(&self, enter: Option<Token>) {
        if let Some(memory) = self.front.as_ref().and_then(|front| front.memory.upgrade()) {
            memory.came_from(enter);
        }
    }

    /// The tape holds these bytes of the buffer's beginning with the call's leave `after`: the client
    /// knows them.
    pub(crate) fn told(&self, bytes: &[u8], after: Option<Token>) {
        if let (Some(front), Some(after)) = (&self.front, after) {
            let mut shadow = front.watched.state.lock();
            shadow.set(0, bytes);
            shadow.known(0, bytes.len() as u64, after);
        }
    }
}

impl Known {
    fn sweep(&mut self) {
        if self.by_store.len() >= self.sweep_at.max(64) {
            self.by_store.retain(|_, entry| entry.store.strong_count() > 0);
            self.sweep_at = self.by_store.len() * 2;
        }
    }
}

/// Copies the beginning of what the device sees.
pub(crate) fn copy_store(buffer: &SharedBuffer, into: &mut [u8]) {
    // The store is at least as long as the buffer, and nobody takes it away.
    let copied = buffer.store().copy_out(0, into);
    debug_assert!(copied.is_ok());
}
