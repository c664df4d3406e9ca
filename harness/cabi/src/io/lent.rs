//! Structures over 4096 bytes that the dext may use after the call has returned: those of asynchronous
//! calls, and those of others where the client says so.
//!
//! The client's memory and the dext's buffer are kept alike at sync points: when a call is made and
//! when it returns, and when a completion is taken. A connection keeps its outputs as long as it
//! lives, since nobody says when the dext lets go of one; an input, only while somebody else has it,
//! too. The dext cannot write to an input (B5), but a device can where the machine's IOMMU lets it.

use super::call::put_changed;
use crate::port::Connect;
use crate::raw::try_copy_from;
use dextape::memory::SharedBuffer;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Buffers that are kept at once; the oldest go first.
const LENT_MAX: usize = 1024;

/// Bytes of them that are kept at once, beside one buffer of any size.
const BYTES_MAX: u64 = 256 << 20;

/// A client's memory, lent to a call.
#[derive(Clone, Debug)]
pub(super) struct Lent {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connect: Weak<Connect>,
    address: u64,
    buffer: SharedBuffer,
    /// Room for the dext to write to; else the dext reads it.
    is_output: bool,
    /// The bytes of the buffer as the client was shown them last.
    view: Mutex<Vec<u8>>,
}

static LENT: Mutex<Vec<Lent>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<Lent>> {
    LENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ranges of the client's memory that are used after synchronous calls, too: begin and length, in bytes.
static SHARED: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

fn shared() -> MutexGuard<'static, Vec<(u64, u64)>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The client says that these bytes are used after a synchronous call has returned.
pub(super) fn share(address: u64, length: u64) {
    let mut shared = shared();
    shared.retain(|(known, _)| *known != address);
    // Whoever says so without end forgets what it said first.
    if shared.len() >= LENT_MAX {
        shared.remove(0);
    }
    shared.push((address, length));
}

/// True where the client has said so of these.
pub(super) fn is_shared(address: u64, length: u64) -> bool {
    shared().iter().any(|(known, most)| *known == address && length <= *most)
}

/// The client's structure at `address`, with these bytes.
pub(super) fn input(connect: &Arc<Connect>, address: u64, bytes: &[u8]) -> Lent {
    lend(connect, address, bytes, false)
}

/// The client's room at `address`, with these bytes in it.
pub(super) fn output(connect: &Arc<Connect>, address: u64, bytes: &[u8]) -> Lent {
    lend(connect, address, bytes, true)
}

fn lend(connect: &Arc<Connect>, address: u64, bytes: &[u8], is_output: bool) -> Lent {
    let mut all = all();
    let ended: Vec<_> = all.extract_if(.., |lent| !lent.is_used()).collect();
    let same = |lent: &&Lent| {
        let inner = &lent.inner;
        inner.connect.as_ptr() == Arc::as_ptr(connect)
            && (inner.address, inner.is_output) == (address, is_output)
            && inner.buffer.length() == bytes.len() as u64
    };
    if let Some(known) = all.iter().find(same).cloned() {
        drop(all);
        ended.iter().for_each(Lent::show);
        known.take_over(bytes);
        return known;
    }
    let lent = Lent {
        inner: Arc::new(Inner {
            connect: Arc::downgrade(connect),
            address,
            buffer: SharedBuffer::from_bytes(bytes),
            is_output,
            view: Mutex::new(bytes.to_vec()),
        }),
    };
    let mut kept: u64 = all.iter().map(|lent| lent.inner.buffer.length()).sum();
    while all.len() >= LENT_MAX || (kept > BYTES_MAX && !all.is_empty()) {
        kept -= all.remove(0).inner.buffer.length();
    }
    all.push(lent.clone());
    drop(all);
    ended.iter().for_each(Lent::show);
    lent
}

impl Lent {
    pub(super) fn buffer(&self) -> &SharedBuffer {
        &self.inner.buffer
    }

    /// The client has written to its memory since: so has it to the buffer.
    fn take_over(&self, bytes: &[u8]) {
        let mut view = self.inner.view.lock().unwrap_or_else(PoisonError::into_inner);
        if *view == bytes {
            return;
        }
        let first = view.iter().zip(bytes).position(|(a, b)| a != b).unwrap_or(0);
        let last = view.iter().zip(bytes).rposition(|(a, b)| a != b).unwrap_or(0);
        // The buffer is as long as the bytes.
        let _ = self.inner.buffer.memory().copy_in(first as u64, &bytes[first..=last]);
        view.copy_from_slice(bytes);
    }

    /// Something may still be written to it.
    fn is_used(&self) -> bool {
        let inner = &self.inner;
        // The buffer itself holds its store twice: as what it is, and as what the client accesses.
        let is_held = || Arc::strong_count(inner.buffer.store()) > 2;
        inner.connect.strong_count() > 0 && (inner.is_output || is_held())
    }

    /// What the dext or its device has written meanwhile comes to the client's memory.
    pub(super) fn show(&self) {
        if self.inner.connect.strong_count() == 0 {
            return;
        }
        let mut view = self.inner.view.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = vec![0; view.len()];
        if self.inner.buffer.memory().copy_out(0, &mut now).is_err() || now == *view {
            return;
        }
        put_changed(self.inner.address, &view, &now);
        // What the client wrote beside it is known at the next call.
        *view = now;
    }

    /// What the client has written meanwhile comes to the dext, without what the dext has changed itself.
    fn take(&self) {
        self.show();
        let mut bytes = vec![0; usize::try_from(self.inner.buffer.length()).unwrap_or(0)];
        if try_copy_from(self.inner.address, &mut bytes).is_some() {
            self.take_over(&bytes);
        }
    }
}

/// Takes what the client has written to its memory meanwhile, before it tells a device of it.
pub(super) fn take_all() {
    let all: Vec<_> = all().clone();
    all.iter().for_each(Lent::take);
}

/// Shows what the dexts have written meanwhile, before a client looks at a completion.
pub(crate) fn show_all() {
    let all: Vec<_> = all().clone();
    all.iter().for_each(Lent::show);
}
