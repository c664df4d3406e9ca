//! `IONotificationPort*`, and the notifications that come there.

use super::matching::Wanted;
use super::object::name;
use crate::cf::run_loop::{PortCallout, Source};
use crate::cf::{CfRef, Owned};
use crate::dispatch::Delivery;
use crate::mach::notification::{SUBJECT_INDEX, dispatch};
use crate::mach::{KERN_SUCCESS, Kern, Name};
use crate::port::{self, Iterator, Kind, Port, Right, Watch};
use crate::raw::{In, Out};
use crate::start::system;
use dextape::IoReturn;
use dextape::connection::{Matching, NoticeKind};
use std::collections::BTreeMap;
use std::ffi::c_char;
use std::sync::{Arc, Mutex, PoisonError};

/// A notification port.
struct Notification {
    name: u32,
    port: Arc<Port>,
    source: Mutex<Option<Owned>>,
    delivery: Mutex<Option<Delivery>>,
}

/// Those that there are, by the number that the client has as a pointer. It never points anywhere.
static NOTIFICATIONS: Mutex<BTreeMap<usize, Arc<Notification>>> = Mutex::new(BTreeMap::new());

/// What the client has as a pointer.
type Reference = usize;

fn find(reference: Reference) -> Arc<Notification> {
    let all = NOTIFICATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = all.get(&reference).cloned();
    drop(all);
    found.unwrap_or_else(|| {
        if reference != 0 {
            crate::say::say("the client uses a notification port that is gone");
        }
        crate::fault::fault()
    })
}

/// The service of a name.
fn service_of(service: u32) -> Result<dextape::call::ServiceId, IoReturn> {
    match port::lookup(service) {
        Some(Kind::Service(service)) => Ok(service),
        _ => Err(IoReturn::BAD_ARGUMENT),
    }
}

/// The kind of news that a type of notification is for.
fn kind_of(notification: &str) -> Option<NoticeKind> {
    match notification {
        "IOServicePublish"
        | "IOServiceFirstPublish"
        | "IOServiceMatched"
        | "IOServiceFirstMatch" => Some(NoticeKind::Arrived),
        "IOServiceTerminate" | "IOServiceWillTerminate" => Some(NoticeKind::Terminated),
        _ => None,
    }
}

fn add_matching(
    reference: Reference,
    notification: &str,
    dictionary: CfRef,
    callback: u64,
    refcon: u64,
    iterator_name: Out<u32>,
) -> Result<(), IoReturn> {
    // The dictionary is given away, whatever comes of it.
    let wanted = Wanted::consume(dictionary).ok_or(IoReturn::BAD_ARGUMENT)?;
    let kind = kind_of(notification).ok_or(IoReturn::UNSUPPORTED)?;
    let notices = system().watch(&wanted.matching)?;
    let iterator = Iterator::of(Vec::new());
    let watch = Watch::new(notices, kind, None, Some(Arc::clone(&iterator)));
    iterator.watch(&watch);
    // Nothing has ended before somebody asks for what ends.
    if kind == NoticeKind::Arrived {
        watch.take_present();
    }
    let made = port::insert(Kind::Iterator(iterator));
    let mut carried = [0; 8];
    (carried[1], carried[2], carried[SUBJECT_INDEX]) = (callback, refcon, u64::from(made));
    watch.carries(carried);
    find(reference).port.watch(&watch);
    iterator_name.put(made);
    Ok(())
}

fn add_interest(
    reference: Reference,
    service: u32,
    callback: u64,
    refcon: u64,
    notification: Out<u32>,
) -> Result<(), IoReturn> {
    let service = service_of(service)?;
    let notices = system().watch(&Matching::service("IOService"))?;
    let watch = Watch::new(notices, NoticeKind::Terminated, Some(service), None);
    let mut carried = [0; 8];
    (carried[1], carried[2], carried[SUBJECT_INDEX]) = (callback, refcon, service.0);
    watch.carries(carried);
    find(reference).port.watch(&watch);
    // The object that the client releases when it wants no more of it; it holds the watch.
    let holder = Iterator::of(Vec::new());
    holder.keep(&watch);
    notification.put(port::insert(Kind::Iterator(holder)));
    Ok(())
}

/// How many bytes of a callback's name are looked at: an `io_name_t` that a client gives.
fn text(name: In<c_char>) -> String {
    name.string().unwrap_or_default()
}

export! {
    fn IONotificationPortCreate(_main: u32) -> Reference {
        let Some((name, port)) = port::allocate_receive() else { return 0 };
        // Made now, as whoever waits for completions without a run loop makes it.
        port.completions();
        let notification =
            Notification { name, port, source: Mutex::default(), delivery: Mutex::default() };
        let mut all = NOTIFICATIONS.lock().unwrap_or_else(PoisonError::into_inner);
        let last = all.keys().next_back().copied().unwrap_or(FIRST);
        all.insert(last + STEP, Arc::new(notification));
        last + STEP
    }

    fn IONotificationPortDestroy(reference: Reference) {
        let mut all = NOTIFICATIONS.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = all.remove(&reference);
        drop(all);
        let Some(gone) = gone else {
            drop(find(reference));
            return;
        };
        let source = gone.source.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(source) = &source {
            Source::of(source.get()).invalidate();
        }
        drop(source);
        drop(gone.delivery.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = port::modify(gone.name, Right::Receive, -1);
    }

    fn IONotificationPortGetMachPort(reference: Reference) -> Name {
        name(find(reference).name)
    }

    fn IONotificationPortGetRunLoopSource(reference: Reference) -> CfRef {
        let notification = find(reference);
        let mut source = notification.source.lock().unwrap_or_else(PoisonError::into_inner);
        let port = &notification.port;
        source.get_or_insert_with(|| Source::of_port(port, PortCallout::Notification)).get()
    }

    fn IONotificationPortSetDispatchQueue(reference: Reference, queue: CfRef) {
        let notification = find(reference);
        let delivery = (!queue.is_null()).then(|| {
            Delivery::start(&notification.port, queue, |port| {
                while let Some(message) = port.take() {
                    dispatch(&message);
                }
            })
        });
        *notification.delivery.lock().unwrap_or_else(PoisonError::into_inner) = delivery;
    }

    fn IONotificationPortSetImportanceReceiver(_reference: Reference) -> Kern {
        KERN_SUCCESS
    }

    fn IOCreateReceivePort(_kind: u32, made: Out<u32>) -> Kern {
        match port::allocate_receive() {
            Some((name, _)) => {
                made.put(name);
                KERN_SUCCESS
            }
            None => IoReturn::NO_RESOURCES.as_kern_return(),
        }
    }

    fn IOServiceAddMatchingNotification(
        reference: Reference,
        notification: In<c_char>,
        dictionary: CfRef,
        callback: u64,
        refcon: u64,
        iterator: Out<u32>,
    ) -> Kern {
        let added =
            add_matching(reference, &text(notification), dictionary, callback, refcon, iterator);
        added.err().unwrap_or(IoReturn::SUCCESS).as_kern_return()
    }

    fn IOServiceAddInterestNotification(
        reference: Reference,
        service: u32,
        _interest: In<c_char>,
        callback: u64,
        refcon: u64,
        notification: Out<u32>,
    ) -> Kern {
        let added = add_interest(reference, service, callback, refcon, notification);
        added.err().unwrap_or(IoReturn::SUCCESS).as_kern_return()
    }
}

/// Where the numbers of notification ports begin, and how far apart they are. Nothing is mapped there.
const FIRST: usize = 0x10_0000;
const STEP: usize = 0x10;
