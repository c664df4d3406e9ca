//! Objects and structures that have names of their own.

use super::object::{Body, CfRef, Object, Owned};
use crate::raw::In;
use std::collections::HashMap;
use std::ffi::c_char;
use std::sync::atomic::AtomicPtr;
use std::sync::{Mutex, PoisonError};

/// `CFDictionaryKeyCallBacks` and its like: nobody looks inside, that one is given is what counts.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct CallBacks {
    version: isize,
    functions: [usize; 6],
}

const CALL_BACKS: CallBacks = CallBacks { version: 0, functions: [0; 6] };

export_static! {
    static kCFTypeArrayCallBacks: CallBacks = CALL_BACKS;
    static kCFTypeSetCallBacks: CallBacks = CALL_BACKS;
    static kCFTypeDictionaryKeyCallBacks: CallBacks = CALL_BACKS;
    static kCFTypeDictionaryValueCallBacks: CallBacks = CALL_BACKS;
    static kCFCopyStringDictionaryKeyCallBacks: CallBacks = CALL_BACKS;
    // NULL is the default allocator, too.
    static kCFAllocatorDefault: usize = 0;
    static kCFAllocatorSystemDefault: usize = 0;
    static kCFAllocatorMalloc: usize = 0;
    static kCFAllocatorNull: usize = 0;
    static kCFCoreFoundationVersionNumber: f64 = 3000.0;
}

/// A variable that holds an object from before `main` on.
pub(crate) type Constant = AtomicPtr<u8>;

macro_rules! constants {
    ($($name:ident = $body:expr;)*) => {
        $(
            // SAFETY: the name is Apple's, and no other variable of this process has it.
            #[unsafe(no_mangle)]
            pub(crate) static $name: Constant = AtomicPtr::new(std::ptr::null_mut());
        )*

        /// Makes them. Clients read the variables themselves, so it has to be before `main`.
        pub(crate) fn make() {
            $(set(&$name, $body);)*
        }
    };
}

constants! {
    kCFBooleanTrue = Body::Boolean(true);
    kCFBooleanFalse = Body::Boolean(false);
    kCFNull = Body::Null;
    kCFRunLoopDefaultMode = Body::string(b"kCFRunLoopDefaultMode");
    kCFRunLoopCommonModes = Body::string(b"kCFRunLoopCommonModes");
}

fn set(place: &Constant, body: Body) {
    if !place.load(std::sync::atomic::Ordering::Acquire).is_null() {
        return;
    }
    let object = Owned::immortal(body);
    place.store(
        std::ptr::with_exposed_provenance_mut(object.address()),
        std::sync::atomic::Ordering::Release,
    );
}

/// The object of a constant.
pub(crate) fn constant(place: &Constant) -> CfRef {
    let pointer = place.load(std::sync::atomic::Ordering::Acquire);
    CfRef::from_pointer(pointer.cast_const().cast::<Object>())
}

/// Constant strings by their text: the same text is the same object.
static STRINGS: Mutex<Option<HashMap<Vec<u8>, CfRef>>> = Mutex::new(None);

/// The constant string of that text.
pub(crate) fn constant_string(text: &[u8]) -> CfRef {
    let mut strings = STRINGS.lock().unwrap_or_else(PoisonError::into_inner);
    let strings = strings.get_or_insert_with(HashMap::new);
    if let Some(known) = strings.get(text) {
        return *known;
    }
    let made = Owned::immortal(Body::string(text));
    strings.insert(text.to_vec(), made);
    made
}

export! {
    /// What `CFSTR` calls.
    fn __CFStringMakeConstantString(text: In<c_char>) -> CfRef {
        constant_string(&text.text().unwrap_or_default())
    }
}
