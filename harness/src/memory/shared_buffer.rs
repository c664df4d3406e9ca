//! Memory that a client lends to an asynchronous call.

use super::{Backing, Memory};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

/// A buffer that the client owns and a call over 4096 bytes refers to: the kernel keeps a descriptor
/// of the very memory, so it outlives the call (B8). Cheap to clone; clones are the same buffer.
///
/// Whoever stands between client and dext (recorder, replayer) sees the client's accesses: it puts
/// itself in front of the memory with [`SharedBuffer::watch`].
///
/// # Examples
///
/// ```
/// use dextape::memory::SharedBuffer;
///
/// let buffer = SharedBuffer::new(8192);
/// buffer.memory().store::<u32>(0, 7)?;
/// assert_eq!(buffer.memory().load::<u32>(0)?, 7);
/// assert_eq!(buffer.length(), 8192);
/// # Ok::<(), dextape::memory::AccessError>(())
/// ```
#[derive(Clone)]
pub struct SharedBuffer {
    inner: Arc<Inner>,
}

struct Inner {
    length: u64,
    store: Arc<Backing>,
    /// What the client's accesses go through.
    front: RwLock<Arc<dyn Memory>>,
}

impl SharedBuffer {
    /// A zero-filled buffer of `length` bytes.
    ///
    /// # Panics
    ///
    /// Where the machine has no such memory.
    #[must_use]
    pub fn new(length: u64) -> Self {
        let store = Backing::new(length);
        let front: Arc<dyn Memory> = Arc::clone(&store) as Arc<dyn Memory>;
        Self { inner: Arc::new(Inner { length, store, front: RwLock::new(front) }) }
    }

    /// A buffer that holds a copy of `bytes`.
    ///
    /// # Panics
    ///
    /// Where the machine has no such memory.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let buffer = Self::new(bytes.len() as u64);
        // The store is at least as long as the bytes.
        let copied = buffer.inner.store.copy_in(0, bytes);
        debug_assert!(copied.is_ok());
        buffer
    }

    /// Bytes that the client asked for; the store behind has whole pages.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.inner.length
    }

    /// The memory as the client sees it.
    #[must_use]
    pub fn memory(&self) -> FrontMemory {
        FrontMemory(Arc::clone(&self.inner.front.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The memory as the device sees it: nobody in front of it.
    #[must_use]
    pub fn store(&self) -> &Arc<Backing> {
        &self.inner.store
    }

    /// Puts what `wrap` makes of the present front in front of it.
    pub fn watch(&self, wrap: impl FnOnce(Arc<dyn Memory>) -> Arc<dyn Memory>) {
        let mut front = self.inner.front.write().unwrap_or_else(PoisonError::into_inner);
        *front = wrap(Arc::clone(&front));
    }

    /// True where both are the same buffer.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl fmt::Debug for SharedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBuffer").field("length", &self.inner.length).finish_non_exhaustive()
    }
}

/// A shared buffer's memory as the client sees it at the time of asking.
#[derive(Clone, Debug)]
pub struct FrontMemory(Arc<dyn Memory>);

impl Deref for FrontMemory {
    type Target = dyn Memory;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
