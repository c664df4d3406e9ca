//! Pointers that the client hands in.
//!
//! A C caller promises by the declaration in the header that a pointer which is not NULL points to what
//! it says; where it does not, the access faults, as in the real library. These types are how that
//! promise comes in: only an exported function gets one from outside, and all reading and writing
//! through them is here. Accesses are bytewise, so that an unaligned pointer does.

use crate::fault::fault;
use dextape::limits::SCALARS_MAX;
use std::ffi::c_char;
use std::mem::MaybeUninit;

/// A pointer to one or more `T` that the client lets us read.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct In<T>(*const T);

/// A pointer to one or more `T` that the client lets us read and write.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Out<T>(*mut T);

impl<T> Clone for In<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for In<T> {}

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<T> {}

/// What may be read from and written to a client as bytes.
pub(crate) trait Plain: Copy {}

impl Plain for u8 {}
impl Plain for i8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for i32 {}
impl Plain for u64 {}
impl Plain for i64 {}
impl Plain for usize {}
impl Plain for isize {}
impl Plain for f32 {}
impl Plain for f64 {}
impl<T> Plain for *const T {}
impl<T> Plain for *mut T {}

impl<T> In<T> {
    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    pub(crate) fn address(self) -> u64 {
        self.0.expose_provenance() as u64
    }

    pub(crate) fn cast<U>(self) -> In<U> {
        In(self.0.cast())
    }

    /// The pointer at an address that the client gave as a number.
    pub(crate) fn at(address: u64) -> Self {
        Self(std::ptr::with_exposed_provenance(address as usize))
    }
}

impl<T: Plain> In<T> {
    /// What is there; `None` for NULL.
    pub(crate) fn read(self) -> Option<T> {
        (!self.is_null()).then(|| self.read_at(0))
    }

    /// The item at `index`. It faults at NULL.
    pub(crate) fn read_at(self, index: usize) -> T {
        if self.is_null() {
            fault();
        }
        // SAFETY: the client promises that so many items are there, and `Plain` that any bytes are
        // one; the read needs no alignment.
        unsafe { self.0.wrapping_add(index).read_unaligned() }
    }

    /// Copies so many items out. It faults at NULL where there are any.
    pub(crate) fn copy_to(self, into: &mut [T]) {
        if into.is_empty() {
            return;
        }
        if self.is_null() {
            fault();
        }
        let (from, to) = (self.0.cast::<u8>(), into.as_mut_ptr().cast::<u8>());
        // SAFETY: the client promises that so many items are there; the slice is ours alone, so they
        // do not overlap, and bytes need no alignment.
        unsafe { std::ptr::copy_nonoverlapping(from, to, size_of_val(into)) }
    }

    /// So many items as a vector.
    pub(crate) fn to_vec(self, count: usize) -> Vec<T>
    where
        T: Default,
    {
        let mut items = vec![T::default(); count];
        self.copy_to(&mut items);
        items
    }
}

impl In<c_char> {
    /// The bytes of a C string, without its end; `None` for NULL.
    pub(crate) fn text(self) -> Option<Vec<u8>> {
        if self.is_null() {
            return None;
        }
        // SAFETY: the client promises that the string has an end.
        let text = unsafe { std::ffi::CStr::from_ptr(self.0) };
        Some(text.to_bytes().to_vec())
    }

    /// A C string as text; what is no Unicode is replaced.
    pub(crate) fn string(self) -> Option<String> {
        Some(String::from_utf8_lossy(&self.text()?).into_owned())
    }
}

impl<T> Out<T> {
    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    pub(crate) fn address(self) -> u64 {
        self.0.expose_provenance() as u64
    }

    pub(crate) fn cast<U>(self) -> Out<U> {
        Out(self.0.cast())
    }

    pub(crate) fn at(address: u64) -> Self {
        Self(std::ptr::with_exposed_provenance_mut(address as usize))
    }

    pub(crate) fn as_in(self) -> In<T> {
        In(self.0)
    }

    pub(crate) fn pointer(self) -> *mut T {
        self.0
    }
}

impl<T: Plain> Out<T> {
    /// What is there; `None` for NULL.
    pub(crate) fn read(self) -> Option<T> {
        self.as_in().read()
    }

    /// Writes one item, and nothing to NULL.
    pub(crate) fn write(self, value: T) {
        if !self.is_null() {
            self.write_at(0, value);
        }
    }

    /// Writes one item, and faults at NULL.
    pub(crate) fn put(self, value: T) {
        self.write_at(0, value);
    }

    /// Writes the item at `index`, and faults at NULL.
    pub(crate) fn write_at(self, index: usize, value: T) {
        if self.is_null() {
            fault();
        }
        // SAFETY: the client promises room for so many items; the write needs no alignment.
        unsafe { self.0.wrapping_add(index).write_unaligned(value) }
    }

    /// Writes these items. It faults at NULL where there are any.
    #[inline(always)]
    pub(crate) fn copy_from(self, items: &[T]) {
        if items.is_empty() {
            return;
        }
        if self.is_null() {
            fault();
        }
        let (from, to) = (items.as_ptr().cast::<u8>(), self.0.cast::<u8>());
        // SAFETY: the client promises room for so many items; ours are no memory of the client's.
        unsafe { copy_bytes(from, to, size_of_val(items)) }
    }
}

impl Out<c_char> {
    /// Writes text with an end into so many bytes, cut off where it is longer.
    pub(crate) fn put_text(self, text: &[u8], room: usize) {
        let Some(most) = room.checked_sub(1) else { return };
        let text = &text[..text.len().min(most)];
        self.cast::<u8>().copy_from(text);
        self.cast::<u8>().write_at(text.len(), 0);
    }
}

/// Room for the bytes of an in-line structure, on the stack.
pub(crate) struct Room([MaybeUninit<u8>; ROOM]);

/// As long as a structure in a message can be (A8, A11).
const ROOM: usize = dextape::limits::INLINE_STRUCTURE_MAX as usize;

impl Room {
    pub(crate) const fn new() -> Self {
        Self([MaybeUninit::uninit(); ROOM])
    }

    /// The first `length` bytes, filled from the client's.
    #[inline(always)]
    pub(crate) fn filled(&mut self, from: In<u8>, length: usize) -> &mut [u8] {
        let room = &mut self.0[..length.min(ROOM)];
        if from.is_null() && !room.is_empty() {
            fault();
        }
        let to = room.as_mut_ptr().cast::<u8>();
        // SAFETY: the client promises that so many bytes are there, the room is ours alone, and it has
        // that length.
        unsafe { copy_bytes(from.0, to, room.len()) };
        // SAFETY: all of it was just written.
        unsafe { std::slice::from_raw_parts_mut(to, room.len()) }
    }

    /// The first `length` bytes, all zero.
    #[inline(always)]
    pub(crate) fn zeroed(&mut self, length: usize) -> &mut [u8] {
        let zero = MaybeUninit::new(0);
        if length <= SHORT {
            // Of a length that the compiler knows.
            self.0[..SHORT].fill(zero);
        } else {
            self.0[SHORT..length.min(ROOM)].fill(zero);
            self.0[..SHORT].fill(zero);
        }
        let room = &mut self.0[..length.min(ROOM)];
        // SAFETY: all of it was just written.
        unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), room.len()) }
    }
}

/// Room for the scalars of a call, on the stack.
pub(crate) struct Words([MaybeUninit<u64>; SCALARS_MAX]);

impl Words {
    pub(crate) const fn new() -> Self {
        Self([MaybeUninit::uninit(); SCALARS_MAX])
    }

    /// The first `count` words, filled from the client's.
    #[inline(always)]
    pub(crate) fn filled(&mut self, from: In<u64>, count: u32) -> &mut [u64] {
        let room = &mut self.0[..(count as usize).min(SCALARS_MAX)];
        for (index, word) in room.iter_mut().enumerate() {
            word.write(from.read_at(index));
        }
        // SAFETY: all of it was just written.
        unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), room.len()) }
    }

    /// The first `count` words, all zero.
    #[inline(always)]
    pub(crate) fn zeroed(&mut self, count: u32) -> &mut [u64] {
        // All of it: a length that the compiler knows takes no call.
        self.0 = [MaybeUninit::new(0); SCALARS_MAX];
        let room = &mut self.0[..(count as usize).min(SCALARS_MAX)];
        // SAFETY: all of it was just written.
        unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), room.len()) }
    }
}

/// Bytes up to which a copy in words beats the C library's.
const SHORT: usize = 64;

/// Copies bytes, few ones word by word: the client has just written them in words, and a wider load
/// would have to wait until those stores are through.
///
/// # Safety
///
/// As for [`std::ptr::copy_nonoverlapping`].
#[inline(always)]
unsafe fn copy_bytes(from: *const u8, to: *mut u8, length: usize) {
    if length > SHORT {
        // SAFETY: the caller's promise.
        return unsafe { std::ptr::copy_nonoverlapping(from, to, length) };
    }
    let mut at = 0;
    while at + 8 <= length {
        let (from, to) = (from.wrapping_add(at), to.wrapping_add(at));
        // SAFETY: the caller's promise, for a part of it.
        unsafe { std::ptr::copy_nonoverlapping(from, to, 8) };
        at += 8;
    }
    while at < length {
        let (from, to) = (from.wrapping_add(at), to.wrapping_add(at));
        // SAFETY: as above.
        unsafe { std::ptr::copy_nonoverlapping(from, to, 1) };
        at += 1;
    }
}

/// Copies from anywhere in this process; `None` where not all of it can be read.
pub(crate) fn try_copy_from(address: u64, into: &mut [u8]) -> Option<()> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec {
        iov_base: std::ptr::with_exposed_provenance_mut(address as usize),
        iov_len: into.len(),
    };
    // SAFETY: one element each; the kernel checks the remote range and gives an error for a bad one.
    let copied = unsafe { libc::process_vm_readv(process(), &local, 1, &remote, 1, 0) };
    if copied < 0 && refused() {
        In::<u8>::at(address).copy_to(into);
        return Some(());
    }
    (usize::try_from(copied) == Ok(into.len())).then_some(())
}

/// Copies to anywhere in this process; `None` where not all of it can be written.
pub(crate) fn try_copy_to(address: u64, from: &[u8]) -> Option<()> {
    let local = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
    let remote = libc::iovec {
        iov_base: std::ptr::with_exposed_provenance_mut(address as usize),
        iov_len: from.len(),
    };
    // SAFETY: one element each; the kernel only reads the local one, and checks the remote range.
    let copied = unsafe { libc::process_vm_writev(process(), &local, 1, &remote, 1, 0) };
    if copied < 0 && refused() {
        Out::<u8>::at(address).copy_from(from);
        return Some(());
    }
    (usize::try_from(copied) == Ok(from.len())).then_some(())
}

/// This process, as those calls name it.
fn process() -> libc::pid_t {
    std::process::id().cast_signed()
}

/// True where the machine does not let a process do that to itself, as some sandboxes do not.
fn refused() -> bool {
    let error = std::io::Error::last_os_error().raw_os_error();
    matches!(error, Some(libc::ENOSYS | libc::EPERM))
}
