//! `CFRunLoopTimer`.

use super::object::{Body, CfRef, Owned, TypeId, type_id};
use super::run_loop::seconds;
use crate::raw::In;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from 1970 to 2001, where CoreFoundation's time begins.
const TO_2001: f64 = 978_307_200.0;

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64() - TO_2001
}

/// A timer.
#[derive(Debug)]
pub(super) struct Timer {
    callout: Option<extern "C-unwind" fn(CfRef, usize)>,
    info: usize,
    interval: f64,
    /// When it fires next; `None` where it does no more.
    next: Mutex<Option<f64>>,
}

impl Timer {
    pub(super) fn of<'a>(reference: CfRef) -> &'a Self {
        reference.object().body.other().unwrap_or_else(|| crate::fault::fault())
    }

    fn next(&self) -> MutexGuard<'_, Option<f64>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_valid(&self) -> bool {
        self.next().is_some()
    }

    /// How long until it fires.
    pub(super) fn left(&self) -> Duration {
        self.next().map_or(Duration::MAX / 4, |next| seconds(next - now()))
    }

    /// Calls the client if it is time; true where it was.
    pub(super) fn fire(&self, itself: CfRef) -> bool {
        let mut next = self.next();
        let Some(due) = next.filter(|due| *due <= now()) else { return false };
        // What was missed is left out.
        let missed = ((now() - due) / self.interval).floor().max(0.0);
        let repeats = self.interval > 0.0;
        *next = if repeats { Some(due + self.interval * (missed + 1.0)) } else { None };
        drop(next);
        if let Some(callout) = self.callout {
            callout(itself, self.info);
        }
        true
    }
}

export! {
    fn CFAbsoluteTimeGetCurrent() -> f64 {
        now()
    }

    fn CFRunLoopTimerGetTypeID() -> TypeId {
        type_id::TIMER
    }

    fn CFRunLoopTimerCreate(
        _allocator: CfRef,
        date: f64,
        interval: f64,
        _flags: usize,
        _order: isize,
        callout: Option<extern "C-unwind" fn(CfRef, usize)>,
        context: In<usize>,
    ) -> CfRef {
        let info = if context.is_null() { 0 } else { context.read_at(1) };
        let timer = Timer { callout, info, interval, next: Mutex::new(Some(date)) };
        Owned::make(Body::Other(type_id::TIMER, Box::new(timer))).give()
    }

    fn CFRunLoopTimerInvalidate(timer: CfRef) {
        *Timer::of(timer).next() = None;
    }

    fn CFRunLoopTimerIsValid(timer: CfRef) -> u8 {
        u8::from(Timer::of(timer).is_valid())
    }

    fn CFRunLoopTimerSetNextFireDate(timer: CfRef, date: f64) {
        let mut next = Timer::of(timer).next();
        if next.is_some() {
            *next = Some(date);
        }
    }
}
