//! Messages that the kernel sends to a notification port, and what is called for them.

use super::Name;
use crate::port::{Watch, service_name};
use crate::raw::In;
use dextape::call::{Completion, ServiceId};
use dextape::connection::NoticeKind;

/// `kOSNotificationMessageID` (D15).
const ID: u32 = 53;

/// `kIOAsyncCompletionNotificationType` (D15).
const COMPLETION: u32 = 150;

/// `kIOServiceTerminatedNotificationType`.
const TERMINATED: u32 = 102;

/// `kIOServicePublishNotificationType`; what matched comes with it, too.
const PUBLISHED: u32 = 100;

/// `kIOServiceMessageNotificationType`.
const MESSAGE: u32 = 160;

/// `kIOMessageServiceIsTerminated`.
pub(crate) const SERVICE_IS_TERMINATED: u32 = 0xe000_0010;

/// Where things are (D15).
mod at {
    pub(super) const BITS: usize = 0;
    pub(super) const SIZE: usize = 4;
    pub(super) const LOCAL_PORT: usize = 12;
    pub(super) const ID: usize = 20;
    pub(super) const CONTENT_SIZE: usize = 24;
    pub(super) const TYPE: usize = 28;
    pub(super) const REFERENCE: usize = 32;
    pub(super) const CONTENT: usize = 96;
    pub(super) const ARGUMENTS: usize = 100;
}

/// A header for so many bytes of content behind the references.
fn header(port: u32, kind: u32, reference: &[u64; 8], content: usize) -> Vec<u8> {
    let size = at::CONTENT + content.next_multiple_of(8);
    let mut message = vec![0; size];
    let mut put = |at: usize, word: u32| message[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    // The right that the message came by, as the receiver sees it: a send right that was made for it.
    put(at::BITS, 0x1100);
    put(at::SIZE, size as u32);
    put(at::LOCAL_PORT, port);
    put(at::ID, ID);
    put(at::CONTENT_SIZE, content as u32);
    put(at::TYPE, kind);
    for (place, word) in message[at::REFERENCE..at::CONTENT].chunks_exact_mut(8).zip(reference) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    message
}

/// The message of a completion (D15).
pub(crate) fn completion(port: u32, completion: &Completion) -> Vec<u8> {
    let arguments = &completion.arguments[..];
    let content = 4 + 8 * arguments.len();
    let mut message = header(port, COMPLETION, &completion.reference, content);
    message[at::CONTENT..at::ARGUMENTS].copy_from_slice(&completion.status.0.to_ne_bytes());
    for (place, word) in message[at::ARGUMENTS..].chunks_exact_mut(8).zip(arguments) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    message
}

/// The message of a notice: a matching notification has no content, an interest its message.
pub(crate) fn notice(port: u32, watch: &Watch, service: ServiceId) -> Vec<u8> {
    if watch.iterator.is_some() {
        let kind = match watch.kind {
            NoticeKind::Arrived => PUBLISHED,
            NoticeKind::Terminated => TERMINATED,
        };
        return header(port, kind, &watch.reference, 0);
    }
    // The message's type, and its argument, which is none.
    let mut message = header(port, MESSAGE, &watch.reference, 16);
    message[at::CONTENT..at::CONTENT + 4].copy_from_slice(&SERVICE_IS_TERMINATED.to_ne_bytes());
    let _ = service;
    message
}

type Callback0 = extern "C" fn(usize, i32);
type Callback1 = extern "C" fn(usize, i32, u64);
type Callback2 = extern "C" fn(usize, i32, u64, u64);
type Callback = extern "C" fn(usize, i32, *const u64, u32);
type MatchingCallback = extern "C" fn(usize, Name);
type InterestCallback = extern "C" fn(usize, Name, u32, usize);

/// A callback of the client by the number that it gave; a fault where that is 0 (D16).
macro_rules! callback {
    ($type:ty, $number:expr) => {{
        let number: u64 = $number;
        if number == 0 {
            crate::fault::fault();
        }
        let pointer = std::ptr::with_exposed_provenance::<()>(number as usize);
        // SAFETY: the client gave the address of its function with the call or the notification, and
        // promises that it has this type, which the kind of message decides (D16).
        unsafe { std::mem::transmute::<*const (), $type>(pointer) }
    }};
}

/// Calls what a message is for (D16). A message of another kind is left alone.
pub(crate) fn dispatch(message: &[u8]) {
    let word = |at: usize| {
        let bytes = message.get(at..).and_then(<[u8]>::first_chunk).copied();
        u32::from_ne_bytes(bytes.unwrap_or_default())
    };
    let long = |at: usize| {
        let bytes = message.get(at..).and_then(<[u8]>::first_chunk).copied();
        u64::from_ne_bytes(bytes.unwrap_or_default())
    };
    if word(at::ID) != ID {
        return;
    }
    let (function, refcon) = (long(at::REFERENCE + 8), long(at::REFERENCE + 16) as usize);
    match word(at::TYPE) {
        COMPLETION => {
            let result = word(at::CONTENT).cast_signed();
            let size = (word(at::SIZE) as usize).min(message.len());
            let count = size.saturating_sub(at::ARGUMENTS) / 8;
            let arguments: Vec<_> =
                (0..count).map(|index| long(at::ARGUMENTS + 8 * index)).collect();
            match arguments[..] {
                [] => callback!(Callback0, function)(refcon, result),
                [first] => callback!(Callback1, function)(refcon, result, first),
                [first, second] => callback!(Callback2, function)(refcon, result, first, second),
                _ => {
                    let function = callback!(Callback, function);
                    function(refcon, result, arguments.as_ptr(), arguments.len() as u32);
                }
            }
        }
        TERMINATED | PUBLISHED => {
            // The iterator's name is kept in the reference, where a real one has its own words.
            let iterator = Name::from(long(at::REFERENCE + 24) as u32);
            callback!(MatchingCallback, function)(refcon, iterator);
        }
        MESSAGE => {
            let service = service_name(ServiceId(long(at::REFERENCE + 24)));
            let kind = word(at::CONTENT);
            callback!(InterestCallback, function)(refcon, Name::from(service), kind, 0);
            let _ = crate::port::deallocate(service);
        }
        _ => {}
    }
}

export! {
    fn IODispatchCalloutFromMessage(_reference: usize, message: In<u8>, _port: usize) {
        let size = message.cast::<u32>().read_at(1) as usize;
        let bytes = message.to_vec(size.clamp(24, 1 << 16));
        dispatch(&bytes);
    }
}
