//! Sources: messages of a port, and timers.

use super::delivery::Delivery;
use super::function::Function;
use super::queue::{Place, Queue, global};
use super::semaphore::{Kind as ObjectKind, Object};
use super::time;
use crate::cf::{CfRef, Owned};
use crate::port::{self, Port};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a source calls.
#[derive(Clone)]
pub(super) enum Handler {
    /// A function, with the context of the source.
    Function(Function),
    /// Anything else.
    Other(Arc<dyn Fn() + Send + Sync>),
}

/// A source.
pub(super) struct Source {
    kind: Kind,
    queue: CfRef,
    context: AtomicUsize,
    event: Mutex<Option<Handler>>,
    cancel: Mutex<Option<Handler>>,
    suspended: AtomicBool,
    cancelled: AtomicBool,
    delivery: Mutex<Option<Delivery>>,
    /// Counts how often a timer was set: what was planned before does not count.
    planned: AtomicUsize,
    /// The queue is the client's to release, and this holds it, too.
    _held: Option<Owned>,
}

enum Kind {
    Port { name: u32, port: Arc<Port> },
    Timer { interval: Mutex<u64>, start: Mutex<u64> },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Source {
    fn of(reference: CfRef) -> Arc<Self> {
        match Object::of(reference).map(|object| &object.kind) {
            Some(ObjectKind::Source(source)) => Arc::clone(source),
            _ => crate::fault::fault(),
        }
    }

    pub(super) fn set_context(&self, context: usize) {
        self.context.store(context, Ordering::Release);
    }

    fn call(&self, handler: &Mutex<Option<Handler>>) {
        let handler = handler.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match handler {
            Some(Handler::Function(function)) => function(self.context.load(Ordering::Acquire)),
            Some(Handler::Other(other)) => other(),
            None => {}
        }
    }

    fn is_over(&self) -> bool {
        self.cancelled.load(Ordering::Acquire) || self.suspended.load(Ordering::Acquire)
    }

    pub(super) fn suspend(&self) {
        self.suspended.store(true, Ordering::Release);
    }

    pub(super) fn resume(self: &Arc<Self>) {
        self.suspended.store(false, Ordering::Release);
        match &self.kind {
            Kind::Port { port, .. } => {
                let source = Arc::downgrade(self);
                let mut delivery = self.delivery.lock().unwrap_or_else(PoisonError::into_inner);
                *delivery = Some(Delivery::start(port, self.queue, move |port| {
                    // As long as something is there that the handler may take.
                    while let Some(source) = source.upgrade().filter(|source| !source.is_over()) {
                        let Some(message) = port.take() else { return };
                        port.put_back(message);
                        source.call(&source.event);
                    }
                }));
            }
            Kind::Timer { start, .. } => {
                let start = *start.lock().unwrap_or_else(PoisonError::into_inner);
                self.plan(start);
            }
        }
    }

    /// Has the timer fire at that time.
    fn plan(self: &Arc<Self>, when: u64) {
        let number = self.planned.fetch_add(1, Ordering::AcqRel) + 1;
        let source = Arc::clone(self);
        let fire = move || {
            let current = source.planned.load(Ordering::Acquire) == number;
            if source.is_over() || !current {
                return;
            }
            source.call(&source.event);
            if let Kind::Timer { interval, .. } = &source.kind {
                let interval = *interval.lock().unwrap_or_else(PoisonError::into_inner);
                let again = interval != time::FOR_EVER && interval > 0;
                if again && source.planned.load(Ordering::Acquire) == number {
                    source.plan(time::dispatch_time(0, interval as i64));
                }
            }
        };
        time::at(when, Queue::of(self.queue), Box::new(fire));
    }

    fn cancel(self: &Arc<Self>) {
        if self.cancelled.swap(true, Ordering::AcqRel) {
            return;
        }
        drop(self.delivery.lock().unwrap_or_else(PoisonError::into_inner).take());
        let source = Arc::clone(self);
        Queue::of(self.queue).push(Box::new(move || source.call(&source.cancel)));
    }
}

export_static! {
    static _dispatch_source_type_mach_recv: Place = Place::ZERO;
    static _dispatch_source_type_timer: Place = Place::ZERO;
}

pub(super) fn set_event(source: CfRef, handler: Handler) {
    *Source::of(source).event.lock().unwrap_or_else(PoisonError::into_inner) = Some(handler);
}

pub(super) fn set_cancel(source: CfRef, handler: Handler) {
    *Source::of(source).cancel.lock().unwrap_or_else(PoisonError::into_inner) = Some(handler);
}

export! {
    fn dispatch_source_create(kind: CfRef, handle: usize, _mask: usize, queue: CfRef) -> CfRef {
        let kind = if kind.address() == (&raw const _dispatch_source_type_timer).addr() {
            Kind::Timer { interval: Mutex::new(0), start: Mutex::new(time::FOR_EVER) }
        } else {
            let name = handle as u32;
            match port::port_of(name) {
                Some(port) => Kind::Port { name, port },
                None => return CfRef::NULL,
            }
        };
        let queue = if queue.is_null() { global() } else { queue };
        let held = (!super::queue::is_main(queue)).then(|| Owned::retained(queue));
        let source = Source {
            kind,
            queue,
            context: AtomicUsize::new(0),
            event: Mutex::default(),
            cancel: Mutex::default(),
            suspended: AtomicBool::new(true),
            cancelled: AtomicBool::new(false),
            delivery: Mutex::default(),
            planned: AtomicUsize::new(0),
            _held: held,
        };
        Object::make(ObjectKind::Source(Arc::new(source)))
    }

    fn dispatch_source_set_event_handler_f(source: CfRef, handler: Function) {
        set_event(source, Handler::Function(handler));
    }

    fn dispatch_source_set_cancel_handler_f(source: CfRef, handler: Function) {
        set_cancel(source, Handler::Function(handler));
    }

    fn dispatch_source_set_timer(source: CfRef, start: u64, interval: u64, _leeway: u64) {
        let source = Source::of(source);
        if let Kind::Timer { interval: held, start: begins } = &source.kind {
            *held.lock().unwrap_or_else(PoisonError::into_inner) = interval;
            *begins.lock().unwrap_or_else(PoisonError::into_inner) = start;
            if !source.is_over() {
                source.plan(start);
            }
        }
    }

    fn dispatch_source_cancel(source: CfRef) {
        Source::of(source).cancel();
    }

    fn dispatch_source_testcancel(source: CfRef) -> isize {
        isize::from(Source::of(source).cancelled.load(Ordering::Acquire))
    }

    fn dispatch_source_get_handle(source: CfRef) -> usize {
        match &Source::of(source).kind {
            Kind::Port { name, .. } => *name as usize,
            Kind::Timer { .. } => 0,
        }
    }

    fn dispatch_source_get_data(_source: CfRef) -> usize {
        1
    }
}
