//! Messages that the kernel sends to a notification port, and what is called for them.

use super::Name;
use crate::fault::fault;
use crate::port::{Watch, service_name};
use crate::raw::In;
use dextape::boundary::message::{CallbackForm, Dispatched, decode, encode, offset};
use dextape::boundary::message::{NOTIFICATION_MESSAGE_ID, dispatch as dispatched};
use dextape::call::{Completion, ServiceId};
use dextape::connection::NoticeKind;
use dextape::coverage::rules;

/// `kIOServicePublishNotificationType`; what matched comes with it, too.
const PUBLISHED: u32 = 100;

/// `kIOServiceTerminatedNotificationType`.
const TERMINATED: u32 = 102;

/// `kIOServiceMessageNotificationType`.
const MESSAGE: u32 = 160;

/// `kIOMessageServiceIsTerminated`.
const SERVICE_IS_TERMINATED: u32 = 0xe000_0010;

/// Entry of a notice's reference, behind the callback and its context, where it says what it is about:
/// the iterator's name, or the service. A real one has words of the kernel's own.
pub(crate) const SUBJECT_INDEX: usize = 3;

/// The message of a completion (D15).
pub(crate) fn completion(port: u32, completion: &Completion) -> Vec<u8> {
    encode(rules(), completion, port)
}

/// The message of a notice: a matching notification has no content, an interest its message.
pub(crate) fn notice(port: u32, watch: &Watch) -> Vec<u8> {
    let (kind, content) = match (&watch.iterator, watch.kind) {
        (Some(_), NoticeKind::Arrived) => (PUBLISHED, 0),
        (Some(_), NoticeKind::Terminated) => (TERMINATED, 0),
        (None, _) => (MESSAGE, 16_usize),
    };
    let mut message = vec![0; offset::STATUS + content];
    let size = message.len() as u32;
    let mut put = |at: usize, word: u32| message[at..at + 4].copy_from_slice(&word.to_le_bytes());
    put(offset::SIZE, size);
    put(offset::LOCAL_PORT, port);
    put(offset::ID, NOTIFICATION_MESSAGE_ID);
    put(offset::CONTENT_SIZE, content as u32);
    put(offset::TYPE, kind);
    if kind == MESSAGE {
        put(offset::STATUS, SERVICE_IS_TERMINATED);
    }
    let reference = message[offset::REFERENCE..offset::STATUS].chunks_exact_mut(8);
    for (place, word) in reference.zip(watch.reference()) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    message
}

type Callback0 = extern "C-unwind" fn(usize, i32);
type Callback1 = extern "C-unwind" fn(usize, i32, u64);
type Callback2 = extern "C-unwind" fn(usize, i32, u64, u64);
type Callback = extern "C-unwind" fn(usize, i32, *const u64, u32);
type MatchingCallback = extern "C-unwind" fn(usize, Name);
type InterestCallback = extern "C-unwind" fn(usize, Name, u32, usize);

/// A callback of the client by the number that it gave; a fault where that is 0 (D16).
macro_rules! callback {
    ($type:ty, $number:expr) => {{
        let number: u64 = $number;
        if number == 0 {
            fault();
        }
        let pointer = std::ptr::with_exposed_provenance::<()>(number as usize);
        // SAFETY: the client gave the address of its function with the call or the notification, and
        // promises that it has this type, which the kind of message decides (D16).
        unsafe { std::mem::transmute::<*const (), $type>(pointer) }
    }};
}

/// Calls what a message is for (D16). A message of another kind is left alone.
pub(crate) fn dispatch(message: &[u8]) {
    match dispatched(rules(), message) {
        Dispatched::Ignored => {}
        Dispatched::Fault => fault(),
        Dispatched::Other => notified(message),
        Dispatched::Call { callout, form } => {
            let Ok(completion) = decode(rules(), message) else { return };
            let (refcon, result) = (callout.refcon as usize, completion.status.as_kern_return());
            let arguments = &completion.arguments[..];
            match (form, arguments) {
                (CallbackForm::Callback1, [first]) => {
                    callback!(Callback1, callout.function)(refcon, result, *first);
                }
                (CallbackForm::Callback2, [first, second]) => {
                    callback!(Callback2, callout.function)(refcon, result, *first, *second);
                }
                (CallbackForm::Callback0, _) => {
                    callback!(Callback0, callout.function)(refcon, result)
                }
                _ => {
                    let callback = callback!(Callback, callout.function);
                    callback(refcon, result, arguments.as_ptr(), arguments.len() as u32);
                }
            }
        }
    }
}

/// The message is a notice, or nothing that is known.
fn notified(message: &[u8]) {
    let word = |at: usize| {
        let bytes = message.get(at..).and_then(<[u8]>::first_chunk).copied();
        u32::from_le_bytes(bytes.unwrap_or_default())
    };
    let long = |index: usize| {
        let place = message.get(offset::REFERENCE + 8 * index..).and_then(<[u8]>::first_chunk);
        u64::from_le_bytes(place.copied().unwrap_or_default())
    };
    let (function, refcon, subject) = (long(1), long(2) as usize, long(SUBJECT_INDEX));
    match word(offset::TYPE) {
        TERMINATED | PUBLISHED => {
            callback!(MatchingCallback, function)(refcon, subject);
        }
        MESSAGE => {
            let service = service_name(ServiceId(subject));
            let callback = callback!(InterestCallback, function);
            callback(refcon, Name::from(service), word(offset::STATUS), 0);
            let _ = crate::port::deallocate(service);
        }
        _ => {}
    }
}

/// The most that a message has which is dispatched from the client's own buffer.
const MESSAGE_MAX: usize = 1 << 16;

export! {
    fn IODispatchCalloutFromMessage(_reference: usize, message: In<u8>, _port: usize) {
        let size = message.cast::<u32>().read_at(1) as usize;
        dispatch(&message.to_vec(size.clamp(24, MESSAGE_MAX)));
    }
}
