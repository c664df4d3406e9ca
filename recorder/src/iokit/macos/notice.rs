//! Notices of services that come and go.

use super::super::inbox::Inbox;
use super::check;
use super::foundation::CfValue;
use super::object::{IoIterator, next};
use super::port::{Port, Receiver, discard};
use super::service::Services;
use dextape::IoReturn;
use dextape::call::QueueId;
use dextape::connection::{Notice, NoticeKind, NoticeQueue, Value};
use dextape::limits::WAKE_PORT_QUEUE_MAX;
use dextape::schedule::Schedule;
use io_kit_sys::keys::{kIOFirstMatchNotification, kIOTerminatedNotification};
use io_kit_sys::types::io_iterator_t;
use io_kit_sys::{IODispatchCalloutFromMessage, IOServiceAddMatchingNotification};
use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

/// The notices of one watch.
#[derive(Debug)]
pub(super) struct IoKitNotices {
    id: QueueId,
    inbox: Arc<Inbox<Notice>>,
    // In this order: the receiver's end first, because its thread calls with the contexts; then the
    // iterators, which are the notifications; then the contexts.
    receiver: Option<Receiver>,
    iterators: Vec<IoIterator>,
    contexts: Vec<Arc<Context>>,
}

/// What a callback of the library is called with.
#[derive(Debug)]
struct Context {
    kind: NoticeKind,
    services: Arc<Services>,
    inbox: Arc<Inbox<Notice>>,
}

impl Context {
    /// Takes all that the iterator has, which arms the notification again.
    ///
    /// # Safety
    ///
    /// `iterator` is a live iterator.
    unsafe fn drain(&self, iterator: io_iterator_t, report: bool) {
        // SAFETY: the caller's iterator lives.
        while let Some(service) = unsafe { next(iterator) } {
            // A service without an entry id is gone from the registry: nothing can name it.
            if let Ok(service) = self.services.number(service)
                && report
            {
                self.inbox.push(Notice { kind: self.kind, service });
            }
        }
    }
}

impl IoKitNotices {
    /// Watches for services that match `table`.
    pub(super) fn new(
        id: QueueId,
        schedule: &Schedule,
        table: &BTreeMap<String, Value>,
        services: &Arc<Services>,
    ) -> Result<Self, IoReturn> {
        let port = Arc::new(Port::new().ok_or(IoReturn::NO_RESOURCES)?);
        let inbox = Arc::new(Inbox::new(schedule, "notice", WAKE_PORT_QUEUE_MAX));
        let mut notices =
            Self { id, inbox, receiver: None, iterators: Vec::new(), contexts: Vec::new() };
        // Terminations first, so that none is missed of a service that is reported as arrived.
        // What was terminated before the watch began is nobody's news.
        notices.add(&port, kIOTerminatedNotification, NoticeKind::Terminated, table, services)?;
        notices.add(&port, kIOFirstMatchNotification, NoticeKind::Arrived, table, services)?;
        let notify = Arc::clone(&port);
        notices.receiver = Some(Receiver::start(Some(port), move |message| {
            if message.is_notification() {
                // SAFETY: a whole message of this very port. The dispatcher calls `arrived` with a
                // context that outlives this thread, and gives up the rights in the message.
                unsafe {
                    IODispatchCalloutFromMessage(
                        std::ptr::null_mut(),
                        message.header(),
                        notify.raw().cast(),
                    );
                }
            } else {
                discard(message);
            }
        }));
        Ok(notices)
    }

    fn add(
        &mut self,
        port: &Port,
        name: *const c_char,
        kind: NoticeKind,
        table: &BTreeMap<String, Value>,
        services: &Arc<Services>,
    ) -> Result<(), IoReturn> {
        let (services, inbox) = (Arc::clone(services), Arc::clone(&self.inbox));
        let context = Arc::new(Context { kind, services, inbox });
        let matching = CfValue::dictionary(table).ok_or(IoReturn::NO_MEMORY)?;
        let mut iterator = 0;
        // SAFETY: the name is a constant C string. The function consumes the dictionary. The
        // context is kept until the receiver's thread, which alone calls back, has ended.
        let result = unsafe {
            IOServiceAddMatchingNotification(
                port.raw(),
                name,
                matching.into_raw().cast(),
                arrived,
                Arc::as_ptr(&context).cast_mut().cast(),
                &raw mut iterator,
            )
        };
        check(result)?;
        // SAFETY: on success the function hands over the iterator.
        let iterator = unsafe { IoIterator::owned(iterator) }.ok_or(IoReturn::NO_RESOURCES)?;
        // SAFETY: the iterator lives.
        unsafe { context.drain(iterator.raw(), kind == NoticeKind::Arrived) };
        self.iterators.push(iterator);
        self.contexts.push(context);
        Ok(())
    }
}

/// Called by the library on the receiver's thread.
unsafe extern "C" fn arrived(context: *mut c_void, iterator: io_iterator_t) {
    // SAFETY: the pointer that was given with the notification; see `IoKitNotices::add`.
    let context = unsafe { &*context.cast_const().cast::<Context>() };
    // SAFETY: the library's iterator lives during the callback.
    unsafe { context.drain(iterator, true) };
}

impl NoticeQueue for IoKitNotices {
    fn id(&self) -> QueueId {
        self.id
    }

    fn wait(&self, timeout: Option<Duration>) -> Option<Notice> {
        self.inbox.wait(timeout)
    }

    fn poll(&self) -> Option<Notice> {
        self.inbox.poll()
    }
}

impl Drop for IoKitNotices {
    fn drop(&mut self) {
        // The receiver may be waiting for room; it ends before anything that it calls with.
        self.inbox.close();
        drop(self.receiver.take());
        self.iterators.clear();
        self.contexts.clear();
    }
}
