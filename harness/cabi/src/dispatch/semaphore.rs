//! Semaphores, and what they have in common with groups and sources.

use super::source::Source;
use super::time;
use crate::cf::{Body, CfRef, DISPATCH_TYPE, Owned};
use crate::start;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// What a wait gives that came to nothing.
const TIMED_OUT: isize = 49;

/// An object that is no queue.
#[derive(Debug)]
pub(super) struct Object {
    context: AtomicUsize,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Semaphore(Counter),
    Group(super::group::Group),
    Source(std::sync::Arc<Source>),
}

impl Object {
    pub(super) fn make(kind: Kind) -> CfRef {
        let object = Self { context: AtomicUsize::new(0), kind };
        Owned::make(Body::Other(DISPATCH_TYPE, Box::new(object))).give()
    }

    /// The object of a reference; `None` for a queue.
    pub(super) fn of<'a>(reference: CfRef) -> Option<&'a Self> {
        if super::queue::is_main(reference) {
            return None;
        }
        reference.object().body.other()
    }

    pub(super) fn set_context(&self, context: usize) {
        self.context.store(context, Ordering::Release);
        if let Kind::Source(source) = &self.kind {
            source.set_context(context);
        }
    }

    pub(super) fn context(&self) -> usize {
        self.context.load(Ordering::Acquire)
    }

    pub(super) fn resume(&self) {
        if let Kind::Source(source) = &self.kind {
            source.resume();
        }
    }

    pub(super) fn suspend(&self) {
        if let Kind::Source(source) = &self.kind {
            source.suspend();
        }
    }
}

/// A count that can be waited for.
#[derive(Debug, Default)]
pub(super) struct Counter {
    count: Mutex<i64>,
    changed: Condvar,
}

impl Counter {
    fn new(count: i64) -> Self {
        Self { count: Mutex::new(count), changed: Condvar::new() }
    }

    /// Changes it; gives what it is then.
    pub(super) fn add(&self, change: i64) -> i64 {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += change;
        let now = *count;
        drop(count);
        self.changed.notify_all();
        now
    }

    /// Waits until `ready`, and then changes it; false where the time passed first.
    pub(super) fn wait(&self, timeout: u64, ready: impl Fn(i64) -> bool, change: i64) -> bool {
        let deadline = time::instant(timeout);
        let began = Instant::now();
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while !ready(*count) {
            let Some(deadline) = deadline else {
                let waited = self.changed.wait_timeout(count, start::CHECK);
                let (held, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
                count = held;
                if timed_out.timed_out() {
                    drop(count);
                    start::check_wait(began);
                    count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
                }
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(count, left);
            count = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *count += change;
        true
    }
}

fn counter<'a>(reference: CfRef) -> &'a Counter {
    match Object::of(reference).map(|object| &object.kind) {
        Some(Kind::Semaphore(counter)) => counter,
        _ => crate::fault::fault(),
    }
}

/// What a wait gives.
pub(super) fn waited(came: bool) -> isize {
    if came { 0 } else { TIMED_OUT }
}

export! {
    fn dispatch_semaphore_create(value: isize) -> CfRef {
        if value < 0 {
            return CfRef::NULL;
        }
        Object::make(Kind::Semaphore(Counter::new(value as i64)))
    }

    fn dispatch_semaphore_wait(semaphore: CfRef, timeout: u64) -> isize {
        waited(counter(semaphore).wait(timeout, |count| count > 0, -1))
    }

    fn dispatch_semaphore_signal(semaphore: CfRef) -> isize {
        let _ = counter(semaphore).add(1);
        0
    }
}
