//! Which lane the calling thread is, per session, without lock or allocation.

use super::reads::ReadLog;
use crate::journal::Token;
use dextape::schedule::Schedule;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

/// Sessions that one thread serves without forgetting one of them.
const SLOTS: usize = 4;

thread_local! {
    /// Free of destructors, so that it is there as long as the thread runs client code at all.
    static SLOTS_OF_THREAD: RefCell<[Lane; SLOTS]> = const { RefCell::new([Lane::FREE; SLOTS]) };
}

/// What a session keeps of one client thread.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Number of the session; 0 where the slot is free.
    session: u64,
    /// Number of the lane on the tape, from 1 on.
    pub(crate) number: u32,
    /// The lane's last event.
    pub(crate) last: Option<Token>,
    /// Reads since then that were no events.
    pub(crate) reads: ReadLog,
    /// Polls since the last operation that found nothing, by queue.
    pub(crate) polls: ReadLog,
    /// Time of the last event.
    time: u64,
}

impl Lane {
    const FREE: Self = Self {
        session: 0,
        number: 0,
        last: None,
        reads: ReadLog::new(),
        polls: ReadLog::new(),
        time: 0,
    };

    /// The time of the next event, where a clock shows `time`: the clocks of two systems can be a
    /// little apart, and time never goes back within a lane.
    pub(crate) fn time(&mut self, time: u64) -> u64 {
        self.time = self.time.max(time);
        self.time
    }

    /// The lane has a new event.
    pub(crate) fn event(&mut self, token: Token) {
        self.last = Some(token);
        self.reads.clear();
    }
}

/// The lanes of one session.
///
/// A task of a simulated schedule has the lane that its schedule gives it, so that a replay knows the
/// task again whatever order tasks come in. Any other thread gets its number at its first event in the
/// session. A free thread that serves more than four
/// sessions in turn is a new lane in the one that it had left longest.
#[derive(Debug)]
pub(crate) struct Lanes {
    session: u64,
    next: AtomicU32,
}

impl Lanes {
    /// No lanes yet. `session` is not 0 and unique in the process.
    pub(crate) fn new(session: u64) -> Self {
        Self { session, next: AtomicU32::new(1) }
    }

    /// Calls `body` with the calling thread's lane. It must not come back here.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut Lane) -> R) -> R {
        SLOTS_OF_THREAD.with(|slots| {
            let mut slots = slots.borrow_mut();
            if slots[0].session != self.session {
                self.bring_to_front(&mut slots);
            }
            body(&mut slots[0])
        })
    }

    /// Most recently used first, so that the usual single session is found at once.
    #[cold]
    fn bring_to_front(&self, slots: &mut [Lane; SLOTS]) {
        let found = slots.iter().position(|lane| lane.session == self.session);
        if found.is_none() {
            let number = Schedule::lane_of_thread()
                .unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed));
            slots[SLOTS - 1] = Lane { session: self.session, number, ..Lane::FREE };
        }
        slots[..=found.unwrap_or(SLOTS - 1)].rotate_right(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(lanes: &Lanes) -> u32 {
        lanes.with(|lane| lane.number)
    }

    #[test]
    fn threads_are_numbered_by_first_use_in_each_session() {
        let (one, two) = (Lanes::new(u64::MAX - 1), Lanes::new(u64::MAX - 2));
        assert_eq!((number(&one), number(&two)), (1, 1));
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!((number(&two), number(&two)), (2, 2))).join().unwrap();
            scope.spawn(|| assert_eq!((number(&one), number(&two)), (2, 3))).join().unwrap();
        });
        assert_eq!((number(&one), number(&two)), (1, 1));
    }

    #[test]
    fn a_lane_keeps_its_reads_while_another_session_is_served() {
        let (one, two) = (Lanes::new(u64::MAX - 3), Lanes::new(u64::MAX - 4));
        one.with(|lane| lane.reads.count(1, 0, 4));
        two.with(|lane| lane.reads.count(1, 0, 4));
        one.with(|lane| {
            lane.reads.count(1, 0, 4);
            assert_eq!(lane.reads.overlapping(1, &(0..4)), 2);
            lane.event(Token::new(9).unwrap());
            assert_eq!((lane.reads.overlapping(1, &(0..4)), lane.last), (0, Token::new(9)));
        });
    }

    #[test]
    fn only_the_session_left_longest_is_forgotten() {
        let lanes: Vec<Lanes> = (5..10).map(|number| Lanes::new(u64::MAX - number)).collect();
        assert!(lanes.iter().all(|lanes| number(lanes) == 1));
        assert_eq!(number(&lanes[4]), 1);
        assert_eq!(number(&lanes[1]), 1);
        assert_eq!(number(&lanes[0]), 2);
    }
}
