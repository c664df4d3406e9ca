//! The protocol of a seat: where a connection waits to be called, without a lock.
//!
//! A seat is one word and what sits there. The word has the name of who sits there in its upper half,
//! and in its lower one how many hold it just now. Who has the name holds it and lets go again; once the
//! name is taken away nobody holds it any more, and whoever lets go last takes away what sits there. It
//! is written over any atomics, so that loom can run through its interleavings.

use std::sync::atomic::Ordering;

/// The word of a seat.
pub(crate) trait Word {
    /// As of an atomic.
    fn load(&self, order: Ordering) -> u64;
    /// As of an atomic.
    fn store(&self, value: u64, order: Ordering);
    /// As of an atomic; relaxed where it fails.
    fn compare_exchange(&self, old: u64, new: u64, order: Ordering) -> Result<u64, u64>;
    /// As of an atomic.
    fn fetch_sub(&self, value: u64, order: Ordering) -> u64;
    /// As of an atomic.
    fn fetch_and(&self, value: u64, order: Ordering) -> u64;
}

/// The lower half: holders.
const HOLDERS: u64 = u32::MAX as u64;

/// Holds who has that name, which is not 0; false where nobody here has it.
#[inline(always)]
pub(crate) fn hold(word: &impl Word, name: u32) -> bool {
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        // Nothing is written where the name is another's: a count belongs to one name.
        if (seen >> 32) as u32 != name {
            return false;
        }
        match word.compare_exchange(seen, seen + 1, Ordering::Acquire) {
            Ok(_) => return true,
            Err(now) => seen = now,
        }
    }
}

/// Lets go; true where the name is gone and this was the last holder, who takes away what sits there.
#[inline(always)]
pub(crate) fn let_go(word: &impl Word) -> bool {
    word.fetch_sub(1, Ordering::AcqRel) == 1
}

/// True where nobody sits here. What sat here may not have been taken away yet.
pub(crate) fn is_free(word: &impl Word) -> bool {
    word.load(Ordering::Acquire) == 0
}

/// Gives a free seat a name. What sits there is there already, and only one at a time may do this.
pub(crate) fn sit(word: &impl Word, name: u32) {
    word.store(u64::from(name) << 32, Ordering::Release);
}

/// Takes the name away; true where nobody holds it, so that what sits there is to be taken away.
pub(crate) fn rise(word: &impl Word) -> bool {
    word.fetch_and(HOLDERS, Ordering::AcqRel) & HOLDERS == 0
}

/// Every order in which two calls, the end of a connection and a new one in its place can meet.
#[cfg(all(test, loom))]
mod tests {
    use super::{Word, hold, is_free, let_go, rise, sit};
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU64, AtomicUsize};
    use loom::thread;
    use std::sync::atomic::Ordering;

    struct LoomWord(AtomicU64);

    impl Word for LoomWord {
        fn load(&self, order: Ordering) -> u64 {
            self.0.load(order)
        }

        fn store(&self, value: u64, order: Ordering) {
            self.0.store(value, order);
        }

        fn compare_exchange(&self, old: u64, new: u64, order: Ordering) -> Result<u64, u64> {
            self.0.compare_exchange(old, new, order, Ordering::Relaxed)
        }

        fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_sub(value, order)
        }

        fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_and(value, order)
        }
    }

    /// A seat, in whose cell a connection is its own name, and 0 once it was taken away.
    struct Seat {
        word: LoomWord,
        sitting: UnsafeCell<u32>,
        /// As the pointer of the real one: not 0 while somebody sits there.
        taken: AtomicUsize,
        dropped: AtomicUsize,
    }

    const FIRST: u32 = 0x103;
    const SECOND: u32 = 0x107;

    impl Seat {
        fn new() -> Arc<Self> {
            let seat = Self {
                word: LoomWord(AtomicU64::new(0)),
                sitting: UnsafeCell::new(0),
                taken: AtomicUsize::new(0),
                dropped: AtomicUsize::new(0),
            };
            assert!(seat.try_sit(FIRST));
            Arc::new(seat)
        }

        fn try_sit(&self, name: u32) -> bool {
            if !is_free(&self.word) || self.taken.load(Ordering::Acquire) != 0 {
                return false;
            }
            // Loom says so where anybody else is here.
            self.sitting.with_mut(|sitting| unsafe { *sitting = name });
            self.taken.store(1, Ordering::Relaxed);
            sit(&self.word, name);
            true
        }

        /// A call: true where it reached who has the name.
        fn call(&self, name: u32) -> bool {
            if !hold(&self.word, name) {
                return false;
            }
            self.sitting.with(|sitting| assert_eq!(unsafe { *sitting }, name, "another's call"));
            if let_go(&self.word) {
                self.take();
            }
            true
        }

        fn close(&self) {
            if rise(&self.word) {
                self.take();
            }
        }

        fn take(&self) {
            self.sitting.with_mut(|sitting| unsafe { *sitting = 0 });
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.taken.store(0, Ordering::Release);
        }
    }

    #[test]
    fn a_close_among_calls_drops_the_connection_once_and_after_them() {
        loom::model(|| {
            let seat = Seat::new();
            let calls: Vec<_> = (0..2)
                .map(|_| {
                    let seat = Arc::clone(&seat);
                    thread::spawn(move || seat.call(FIRST))
                })
                .collect();
            seat.close();
            calls.into_iter().for_each(|call| drop(call.join().unwrap()));
            assert_eq!(seat.dropped.load(Ordering::Relaxed), 1);
            assert!(!seat.call(FIRST), "a name that is gone reaches nobody");
        });
    }

    #[test]
    fn a_new_connection_in_an_old_place_is_never_reached_by_the_old_name() {
        loom::model(|| {
            let seat = Seat::new();
            let other = Arc::clone(&seat);
            let late = thread::spawn(move || drop(other.call(FIRST)));
            seat.close();
            // The place may be used again at once, unless the call still holds it.
            let sat = seat.try_sit(SECOND);
            assert_eq!(seat.call(SECOND), sat);
            late.join().unwrap();
            assert_eq!(seat.call(SECOND), sat, "a late call takes nothing of the new one");
            assert_eq!(seat.dropped.load(Ordering::Relaxed), 1);
        });
    }
}
