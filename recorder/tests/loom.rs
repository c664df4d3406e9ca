//! The journal's commit protocol in all interleavings of a few threads:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p dextape-recorder --release --test loom --target-dir target/loom
//! ```
//!
//! The memory of the map is modelled by relaxed atomics, for which loom gives every value that the
//! memory model allows; a missing release or acquire shows as a committed record with old bytes.
#![cfg(loom)]

use dextape_recorder::journal::protocol::{
    Frontier, Place, Reservation, Word, commit, committed, publish,
};
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
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

    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }

    fn replace(&self, current: u64, new: u64, order: Ordering) -> bool {
        self.0.compare_exchange(current, new, order, Ordering::Relaxed).is_ok()
    }
}

fn word(value: u64) -> LoomWord {
    LoomWord(AtomicU64::new(value))
}

/// A journal of segments of 64 bytes with headers of 8: a record of 24 bytes is word 0, word 1 and
/// one word of body, and two of them fit a segment.
struct Model {
    frontier: Frontier<LoomWord>,
    memory: Vec<LoomWord>,
}

const SEGMENT: u64 = 64;
const HEADER: u64 = 8;
const RECORD: u64 = 24;

/// Marks a word 1, as the tag of the real one does.
const TAG: u64 = 0xc0 << 56;

/// Word 1 of a record with this body.
fn sum(body: u64) -> u64 {
    TAG | body.wrapping_mul(31)
}

impl Model {
    fn new(segments: u64, ready: u64) -> Arc<Self> {
        let memory = (0..segments * SEGMENT / 8).map(|_| word(0)).collect();
        let frontier = Frontier::new(word(HEADER), word(ready * SEGMENT), SEGMENT, HEADER);
        Arc::new(Self { frontier, memory })
    }

    fn at(&self, position: u64) -> &LoomWord {
        &self.memory[(position / 8) as usize]
    }

    /// Appends a record; `None` where its memory is not ready.
    fn append(&self, body: u64) -> Option<u64> {
        let position = loop {
            match self.frontier.reserve(RECORD) {
                Reservation::At(position) => break position,
                Reservation::Across => {}
            }
        };
        if !self.frontier.is_ready(position + RECORD) {
            return None;
        }
        publish(self.at(position), RECORD);
        self.at(position + 16).store(body, Ordering::Relaxed);
        commit(self.at(position + 8), sum(body));
        Some(position)
    }

    /// What a reader sees: the bodies of committed records, each checked.
    fn read(&self) -> Vec<u64> {
        let mut bodies = Vec::new();
        for segment in 0..self.memory.len() as u64 * 8 / SEGMENT {
            let mut at = HEADER;
            while at + RECORD <= SEGMENT {
                let position = segment * SEGMENT + at;
                let found = committed(self.at(position + 8));
                if found & TAG != 0 {
                    let body = self.at(position + 16).load(Ordering::Relaxed);
                    assert_eq!(found, sum(body), "committed before it was filled");
                    let length = self.at(position).load(Ordering::Relaxed);
                    assert_eq!(length, RECORD, "committed before its length was published");
                    bodies.push(body);
                }
                at += 8;
            }
        }
        bodies
    }
}

#[test]
fn a_reader_sees_whole_records_only() {
    loom::model(|| {
        let model = Model::new(1, 1);
        let writers: Vec<_> = (1..=2)
            .map(|body| {
                let model = Arc::clone(&model);
                thread::spawn(move || model.append(body).unwrap())
            })
            .collect();
        let early = model.read();
        assert!(early.len() <= 2);
        let mut positions: Vec<_> =
            writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        positions.sort_unstable();
        assert_eq!(positions, [HEADER, HEADER + RECORD]);
        let mut bodies = model.read();
        bodies.sort_unstable();
        assert_eq!(bodies, [1, 2]);
    });
}

#[test]
fn a_record_stands_behind_what_happened_before_it() {
    loom::model(|| {
        let model = Model::new(1, 1);
        let told = Arc::new(word(0));
        let first = {
            let (model, told) = (Arc::clone(&model), Arc::clone(&told));
            thread::spawn(move || {
                let position = model.append(1).unwrap();
                told.store(position, Ordering::Release);
            })
        };
        let cause = told.load(Ordering::Acquire);
        let position = model.append(2).unwrap();
        assert!(position > cause, "an effect stands before its cause");
        first.join().unwrap();
    });
}

#[test]
fn segments_are_left_whole_and_nothing_is_stored_above_the_mark() {
    loom::model(|| {
        // One record is there; of two more, one goes across and to the next segment, which is ready
        // or not yet.
        let model = Model::new(2, 1);
        model.append(1).unwrap();
        let helper = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                // Before it is raised, nobody but the helper has stored anything there.
                for index in SEGMENT / 8..2 * SEGMENT / 8 {
                    assert_eq!(model.memory[index as usize].load(Ordering::Relaxed), 0);
                }
                model.at(SEGMENT).store(7, Ordering::Relaxed);
                model.frontier.raise(2 * SEGMENT);
            })
        };
        let writer = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.append(2))
        };
        let third = model.append(3);
        if third.is_some_and(|position| position > SEGMENT) {
            let header = model.at(SEGMENT).load(Ordering::Relaxed);
            assert_eq!(header, 7, "the helper's work is seen where its mark is");
        }
        let second = writer.join().unwrap();
        helper.join().unwrap();
        let kept = 1 + usize::from(second.is_some()) + usize::from(third.is_some());
        assert_eq!(model.read().len(), kept);
        for position in [second, third].into_iter().flatten() {
            let offset = position % SEGMENT;
            assert!(offset >= HEADER && offset + RECORD <= SEGMENT);
        }
    });
}

#[test]
fn a_writer_that_stops_holds_up_nobody() {
    loom::model(|| {
        let model = Model::new(1, 1);
        let stopped = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                // Reserves, publishes, and is killed.
                if let Reservation::At(position) = model.frontier.reserve(RECORD) {
                    publish(model.at(position), RECORD);
                }
            })
        };
        assert!(model.append(2).is_some());
        stopped.join().unwrap();
        assert_eq!(model.read(), [2]);
    });
}

/// A place of a ring, with room for one record.
struct Shared {
    place: Place<LoomWord>,
    word_1: LoomWord,
    body: LoomWord,
}

impl Shared {
    /// The place belongs to segment 1.
    fn new() -> Arc<Self> {
        let place = Place::new(word(Place::<LoomWord>::NEW));
        place.open(1);
        Arc::new(Self { place, word_1: word(0), body: word(0) })
    }

    /// Stores a record of a segment, unless the place is another one's; true where it did.
    fn store(&self, segment: u64, body: u64) -> bool {
        if !self.place.enter(segment) {
            return false;
        }
        // What was there before was cleared before the segment got the place.
        assert_eq!(committed(&self.word_1), 0, "bytes of an older segment are left");
        assert_eq!(self.body.load(Ordering::Relaxed), 0, "bytes of an older segment are left");
        self.body.store(body, Ordering::Relaxed);
        commit(&self.word_1, sum(body));
        self.place.leave();
        true
    }

    /// The body of the record; 0 where there is none.
    fn record(&self) -> u64 {
        let (found, body) = (committed(&self.word_1), self.body.load(Ordering::Relaxed));
        assert_eq!(found, if body == 0 { 0 } else { sum(body) }, "a record that is not whole");
        body
    }

    /// What the helper does: takes the place, looks at what is in it, and gives it to segment 2.
    fn recycle(&self) -> Option<u64> {
        if !self.place.close(1) {
            return None;
        }
        let found = self.record();
        self.word_1.store(0, Ordering::Relaxed);
        self.body.store(0, Ordering::Relaxed);
        self.place.open(2);
        Some(found)
    }
}

#[test]
fn a_place_goes_to_another_segment_with_all_that_was_stored_and_nothing_comes_after() {
    loom::model(|| {
        let shared = Shared::new();
        let writer = |segment, body| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.store(segment, body))
        };
        let (late, early) = (writer(1, 7), writer(2, 9));
        let found = shared.recycle();
        let (late, early) = (late.join().unwrap(), early.join().unwrap());
        match found {
            // Somebody was in it, or was just looking; the record of segment 1 stays where it is.
            None => {
                assert!(!early);
                assert_eq!(shared.record(), if late { 7 } else { 0 });
            }
            Some(found) => {
                assert_eq!(found, if late { 7 } else { 0 }, "what was stored is seen");
                assert_eq!(shared.record(), if early { 9 } else { 0 });
            }
        }
    });
}

#[test]
fn a_place_that_a_writer_is_stuck_in_stays_and_comes_back_when_the_writer_does() {
    loom::model(|| {
        let shared = Shared::new();
        assert!(shared.place.enter(1));
        let helper = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.recycle())
        };
        // It is in there as long as it likes, and others go by.
        let stranger = shared.place.enter(2);
        if stranger {
            shared.place.leave();
        }
        assert_eq!(helper.join().unwrap(), None);
        assert!(!stranger);
        shared.body.store(7, Ordering::Relaxed);
        commit(&shared.word_1, sum(7));
        shared.place.leave();
        assert_eq!(shared.recycle(), Some(7));
    });
}
