//! Where stores get their pages from.

use std::ptr::NonNull;
use std::sync::OnceLock;

/// Where a [`Backing`](super::Backing) gets its pages from, in place of the program's allocator. A
/// library whose clients reach memory by raw pointers needs pages that it can map a second time.
///
/// # Safety
///
/// [`take`](Self::take) gives memory of at least that size, zero-filled, readable and writable, that
/// nobody else uses and that stays where it is until it is given back.
pub unsafe trait Pages: Sync {
    /// Pages of `size` bytes, a multiple of [`PAGE_SIZE`](crate::limits::PAGE_SIZE), at a multiple of
    /// it; `None` where there are none.
    fn take(&self, size: usize) -> Option<NonNull<u8>>;

    /// Takes pages back.
    ///
    /// # Safety
    ///
    /// `start` and `size` are those of a [`take`](Self::take), and nobody uses the memory any more.
    unsafe fn give_back(&self, start: NonNull<u8>, size: usize);
}

static PAGES: OnceLock<&'static dyn Pages> = OnceLock::new();

/// Has every store that is made from now on get its pages from `pages`. It can be said once in a
/// process; false where it was said before.
pub fn set_pages(pages: &'static dyn Pages) -> bool {
    PAGES.set(pages).is_ok()
}

/// Where a new store gets its pages from; `None` for the program's allocator.
pub(super) fn pages() -> Option<&'static dyn Pages> {
    PAGES.get().copied()
}
