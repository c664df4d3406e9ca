//! Memory that a client lends to an asynchronous call.

use super::{AccessError, Backing, Memory, Update, Width};
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

    /// The memory as the client sees it: each access goes through whoever watches the buffer at that
    /// time, also where this was asked for before the watch began.
    #[must_use]
    pub fn memory(&self) -> FrontMemory {
        FrontMemory(Arc::clone(&self.inner))
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
        fmt::Debug::fmt(&self.inner, f)
    }
}

impl Inner {
    /// Who is in front now. The lock is not held while the access is made: an access may wait.
    fn front(&self) -> Arc<dyn Memory> {
        Arc::clone(&self.front.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Memory for Inner {
    fn size(&self) -> u64 {
        self.front().size()
    }

    fn is_read_only(&self) -> bool {
        self.front().is_read_only()
    }

    fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
        self.front().load_word(offset, width)
    }

    fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        self.front().store_word(offset, width, value)
    }

    fn update_word(&self, offset: u64, width: Width, update: Update) -> Result<u64, AccessError> {
        self.front().update_word(offset, width, update)
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
        self.front().copy_out(offset, into)
    }

    fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.front().copy_in(offset, bytes)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBuffer").field("length", &self.length).finish_non_exhaustive()
    }
}

/// A shared buffer's memory as the client sees it.
#[derive(Clone, Debug)]
pub struct FrontMemory(Arc<Inner>);

impl Deref for FrontMemory {
    type Target = dyn Memory;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Counts loads on their way to the memory behind.
    #[derive(Debug)]
    struct Counting(Arc<dyn Memory>, Arc<AtomicU64>);

    impl Memory for Counting {
        fn size(&self) -> u64 {
            self.0.size()
        }

        fn load_word(&self, offset: u64, width: Width) -> Result<u64, AccessError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.load_word(offset, width)
        }

        fn store_word(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
            self.0.store_word(offset, width, value)
        }

        fn update_word(&self, offset: u64, width: Width, up: Update) -> Result<u64, AccessError> {
            self.0.update_word(offset, width, up)
        }

        fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result<(), AccessError> {
            self.0.copy_out(offset, into)
        }

        fn copy_in(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
            self.0.copy_in(offset, bytes)
        }
    }

    #[test]
    fn a_watch_sees_accesses_through_a_memory_asked_for_before() {
        let buffer = SharedBuffer::new(8192);
        let before = buffer.memory();
        let loads = Arc::new(AtomicU64::new(0));
        buffer.watch(|front| Arc::new(Counting(front, Arc::clone(&loads))));
        before.store::<u32>(0, 7).unwrap();
        assert_eq!(before.load::<u32>(0), Ok(7));
        assert_eq!(buffer.memory().load::<u32>(0), Ok(7));
        assert_eq!(loads.load(Ordering::Relaxed), 2);
    }
}
