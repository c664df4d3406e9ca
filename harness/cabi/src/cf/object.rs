//! One object: its type, its references, what it holds.

use crate::fault::fault;
use crate::raw::Plain;
use crate::say::say;
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

/// `CFIndex`.
pub(crate) type Index = isize;

/// `CFTypeID`.
pub(crate) type TypeId = usize;

/// `CFRange`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Range {
    pub(crate) location: Index,
    pub(crate) length: Index,
}

/// What a client's pointer to an object points to, as far as it knows.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Opaque([u8; 0]);

/// A client's reference of an object; not counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct CfRef(*const Opaque);

impl Plain for CfRef {}

// SAFETY: it is a number until it is followed, and what it points to is shared between threads by
// atomic counts and locks only.
unsafe impl Send for CfRef {}
// SAFETY: as for `Send`.
unsafe impl Sync for CfRef {}

const ALIVE: u32 = 0x4346_6f62;
const FREED: u32 = 0x6465_6164;

/// References of an object that lives for ever.
const IMMORTAL: i64 = i64::MAX / 2;

/// The object itself. The first word is where a real one has its class.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Object {
    class: usize,
    state: AtomicU32,
    references: AtomicI64,
    pub(crate) body: Body,
}

/// What an object is.
#[derive(Debug)]
pub(crate) enum Body {
    /// `CFNull`.
    Null,
    /// `CFBoolean`.
    Boolean(bool),
    /// `CFNumber`.
    Number(super::number::Number),
    /// `CFString`: UTF-8 with a zero byte at its end.
    String(RwLock<Vec<u8>>),
    /// `CFData`.
    Data(RwLock<Vec<u8>>),
    /// `CFData` without bytes of its own: the client's address, and so many bytes there.
    Borrowed(u64, usize),
    /// `CFArray`.
    Array(RwLock<Vec<Item>>),
    /// `CFSet`.
    Set(RwLock<Vec<Item>>),
    /// `CFDictionary`, in the order of insertion.
    Dictionary(RwLock<Vec<(Item, Item)>>),
    /// Anything that another module makes: its type and itself.
    Other(TypeId, Box<dyn std::any::Any + Send + Sync>),
    /// Nothing any more.
    Gone,
}

/// What a collection holds: an object that it retains, or a word of the client's that it does not.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// An object.
    Object(Owned),
    /// A word.
    Word(usize),
}

impl Item {
    /// As the client sees it.
    pub(crate) fn word(&self) -> CfRef {
        match self {
            Self::Object(object) => object.get(),
            Self::Word(word) => CfRef(std::ptr::without_provenance(*word)),
        }
    }

    /// What the client puts into a collection that retains, or does not.
    pub(crate) fn new(value: CfRef, retains: bool) -> Self {
        if retains && !value.is_null() {
            Self::Object(Owned::retained(value))
        } else {
            Self::Word(value.0.addr())
        }
    }
}

/// Types, as `CFGetTypeID` gives them.
pub(crate) mod type_id {
    use super::TypeId;

    pub(crate) const NULL: TypeId = 16;
    pub(crate) const ALLOCATOR: TypeId = 2;
    pub(crate) const STRING: TypeId = 7;
    pub(crate) const BOOLEAN: TypeId = 21;
    pub(crate) const NUMBER: TypeId = 22;
    pub(crate) const DATA: TypeId = 20;
    pub(crate) const ARRAY: TypeId = 19;
    pub(crate) const SET: TypeId = 17;
    pub(crate) const DICTIONARY: TypeId = 18;
    pub(crate) const RUN_LOOP: TypeId = 40;
    pub(crate) const SOURCE: TypeId = 41;
    pub(crate) const TIMER: TypeId = 42;
    pub(crate) const MACH_PORT: TypeId = 43;
    pub(crate) const DISPATCH: TypeId = 60;
}

impl Body {
    pub(crate) fn type_id(&self) -> TypeId {
        match self {
            Self::Null => type_id::NULL,
            Self::Boolean(_) => type_id::BOOLEAN,
            Self::Number(_) => type_id::NUMBER,
            Self::String(_) => type_id::STRING,
            Self::Data(_) | Self::Borrowed(..) => type_id::DATA,
            Self::Array(_) => type_id::ARRAY,
            Self::Set(_) => type_id::SET,
            Self::Dictionary(_) => type_id::DICTIONARY,
            Self::Other(type_id, _) => *type_id,
            Self::Gone => 0,
        }
    }

    /// What another module has made, if it is that.
    pub(crate) fn other<T: 'static>(&self) -> Option<&T> {
        match self {
            Self::Other(_, other) => other.downcast_ref(),
            _ => None,
        }
    }

    /// False for what belongs to libdispatch.
    const fn is_value(&self) -> bool {
        !matches!(self, Self::Other(type_id::DISPATCH, _))
    }

    /// A string of this text.
    pub(crate) fn string(text: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text);
        bytes.push(0);
        Self::String(RwLock::new(bytes))
    }
}

/// Values alive that are not immortal. Objects of libdispatch are not among them: runtimes keep some of
/// these for each thread (Rust's does for what parks), which is no client's to release.
pub(super) static ALIVE_COUNT: AtomicI64 = AtomicI64::new(0);

/// Releases of objects that were gone already.
pub(super) static OVER_RELEASED: AtomicU64 = AtomicU64::new(0);

/// Objects that are gone, kept a while so that another release of one is known for what it is.
static QUARANTINE: Mutex<VecDeque<Gone>> = Mutex::new(VecDeque::new());
const QUARANTINE_MAX: usize = 4096;

struct Gone(NonNull<Object>);

// SAFETY: the memory of an object that is gone is nobody's but the quarantine's.
unsafe impl Send for Gone {}

impl Drop for Gone {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw` in `Owned::make`, and in the quarantine once only.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl CfRef {
    pub(crate) const NULL: Self = Self(std::ptr::null());

    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    pub(crate) fn address(self) -> usize {
        self.0.expose_provenance()
    }

    pub(crate) fn from_pointer(object: *const Object) -> Self {
        Self(object.cast())
    }

    fn header<'a>(self) -> &'a Object {
        if self.is_null() {
            fault();
        }
        // SAFETY: a client has object references from this library only, and promises that it holds
        // one; where it does not, the memory is still there for a while, and the state says so.
        unsafe { &*self.0.cast::<Object>() }
    }

    /// What it refers to. It faults where that is nothing: NULL, or an object that is gone.
    pub(crate) fn object<'a>(self) -> &'a Object {
        let object: &Object = self.header();
        if object.state.load(Ordering::Acquire) != ALIVE {
            say(&format!("the client uses the object {:#x}, which is gone", self.address()));
            fault();
        }
        object
    }

    /// What it refers to; `None` for NULL.
    pub(crate) fn get<'a>(self) -> Option<&'a Object> {
        (!self.is_null()).then(|| self.object())
    }

    pub(crate) fn retain(self) {
        self.object().references.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn references(self) -> i64 {
        self.object().references.load(Ordering::Relaxed)
    }

    /// Drops one reference, and the object with the last one.
    pub(crate) fn release(self) {
        let object: &Object = self.header();
        if object.state.load(Ordering::Acquire) != ALIVE {
            OVER_RELEASED.fetch_add(1, Ordering::Relaxed);
            say(&format!("the client releases the object {:#x} once too often", self.address()));
            return;
        }
        if object.references.load(Ordering::Relaxed) >= IMMORTAL / 2 {
            return;
        }
        if object.references.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        object.state.store(FREED, Ordering::Release);
        if object.body.is_value() {
            ALIVE_COUNT.fetch_sub(1, Ordering::Relaxed);
        }
        let Some(pointer) = NonNull::new(self.0.cast_mut().cast::<Object>()) else { return };
        // SAFETY: the last reference is gone, so nobody else may look at the body.
        let place = unsafe { &mut (*pointer.as_ptr()).body };
        let body = std::mem::replace(place, Body::Gone);
        let mut quarantine = QUARANTINE.lock().unwrap_or_else(PoisonError::into_inner);
        quarantine.push_back(Gone(pointer));
        let oldest = if quarantine.len() > QUARANTINE_MAX { quarantine.pop_front() } else { None };
        drop(quarantine);
        drop(oldest);
        // What it holds may be objects, and these go the same way.
        drop(body);
    }
}

/// A counted reference of an object.
#[derive(Debug)]
pub(crate) struct Owned(CfRef);

impl Owned {
    /// A new object.
    pub(crate) fn make(body: Body) -> Self {
        if body.is_value() {
            ALIVE_COUNT.fetch_add(1, Ordering::Relaxed);
        }
        Self(Self::allocate(body, 1))
    }

    /// A new object that lives for ever.
    pub(crate) fn immortal(body: Body) -> CfRef {
        Self::allocate(body, IMMORTAL)
    }

    fn allocate(body: Body, references: i64) -> CfRef {
        let object = Object {
            class: 0,
            state: AtomicU32::new(ALIVE),
            references: AtomicI64::new(references),
            body,
        };
        CfRef(Box::into_raw(Box::new(object)).cast_const().cast())
    }

    /// Another reference of what the client refers to.
    pub(crate) fn retained(of: CfRef) -> Self {
        of.retain();
        Self(of)
    }

    /// The reference that the client gives away.
    pub(crate) fn consumed(of: CfRef) -> Self {
        Self(of)
    }

    pub(crate) fn get(&self) -> CfRef {
        self.0
    }

    /// The reference, for the client to release.
    pub(crate) fn give(self) -> CfRef {
        let given = self.0;
        std::mem::forget(self);
        given
    }
}

impl Clone for Owned {
    fn clone(&self) -> Self {
        Self::retained(self.0)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.release();
    }
}
