//! How far a client has come.

use super::held::{Held, Operation, Post};
use super::key::Key;
use super::memory::Store;
use super::ordinary::Ordinary;
use super::queue::LenientQueue;
use dextape::memory::ClientAddresses;
use dextape::schedule::{Schedule, TimeMode};
use dextape::tape::{Body, Sequence, Tape};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Operations that a client may make beyond eight times those of the whole tape.
const SPARE_OPERATIONS: u64 = 100_000;

/// What everything that is served from one tape shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tape: Arc<Tape>,
    pub(super) held: Arc<Held>,
    pub(super) ordinary: Arc<Ordinary>,
    pub(super) schedule: Schedule,
    state: Mutex<State>,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(super) struct State {
    counts: HashMap<Key, u64>,
    made: u64,
    pub(super) used: u64,
    pub(super) connections: u32,
    pub(super) queues: u32,
    pub(super) memories: u32,
    /// The last operation of each lane of the tape that is over.
    left: HashMap<u32, usize>,
    /// What time it was on the tape, and here, when each lane of the tape was last heard of.
    clocks: HashMap<u32, (u64, Duration)>,
    /// Queue and reference of each held asynchronous call that was made.
    calls: HashMap<Sequence, (Arc<LenientQueue>, Vec<u64>)>,
    /// Completions whose call was not made yet.
    early: Vec<Post>,
    /// Memories by their numbers.
    pub(super) stores: HashMap<u32, Arc<Store>>,
    pub(super) own: ClientAddresses,
}

impl Shared {
    pub(super) fn new(
        tape: &Arc<Tape>,
        held: &Arc<Held>,
        ordinary: &Arc<Ordinary>,
        schedule: &Schedule,
    ) -> Self {
        let state = State { memories: held.free_memory, ..State::default() };
        Self {
            tape: Arc::clone(tape),
            held: Arc::clone(held),
            ordinary: Arc::clone(ordinary),
            schedule: schedule.clone(),
            state: Mutex::new(state),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One operation more.
    ///
    /// # Panics
    ///
    /// Where there have been far more than on the whole tape: the client waits for something that will not
    /// come.
    pub(super) fn count(&self) {
        let limit = self.ordinary.operations.saturating_mul(8).saturating_add(SPARE_OPERATIONS);
        let mut state = self.state();
        state.made += 1;
        if state.made > limit {
            drop(state);
            panic!("failed to come to an end: the client has made {limit} operations");
        }
    }

    /// Numbers of operations made, and of those that the tape held.
    pub(super) fn counted(&self) -> (u64, u64) {
        let state = self.state();
        (state.made, state.used)
    }

    /// Enters an operation: what the tape holds of it, if anything. Completions that came after it are on
    /// their way then.
    pub(super) fn enter(&self, keys: &[Key]) -> Option<Operation> {
        self.count();
        let mut found = None;
        let mut state = self.state();
        for key in keys {
            let count = state.counts.entry(*key).or_default();
            *count += 1;
            let count = *count;
            found = found.or_else(|| self.held.operation(*key, count));
        }
        state.used += u64::from(found.is_some());
        drop(state);
        found.iter().for_each(|operation| self.pace(operation.enter));
        found
    }

    /// Sends the completions on their way that came after an operation.
    pub(super) fn after(&self, operation: Operation) {
        let sequence = self.tape.events()[operation.enter].sequence;
        let Some(posts) = self.held.posts.get(&sequence) else { return };
        posts.iter().for_each(|post| self.post(*post));
    }

    /// A held asynchronous call is made, on this queue.
    pub(super) fn called(
        &self,
        operation: Operation,
        queue: &Arc<LenientQueue>,
        reference: &[u64],
    ) {
        let sequence = self.tape.events()[operation.enter].sequence;
        let mut state = self.state();
        state.calls.insert(sequence, (Arc::clone(queue), reference.to_vec()));
        let (ready, early): (Vec<_>, _) =
            std::mem::take(&mut state.early).into_iter().partition(|post| post.call == sequence);
        state.early = early;
        drop(state);
        ready.into_iter().for_each(|post| self.post(post));
    }

    fn post(&self, post: Post) {
        let mut state = self.state();
        let Some((queue, reference)) = state.calls.get(&post.call).cloned() else {
            state.early.push(post);
            return;
        };
        drop(state);
        if let Body::Posted { status, arguments, .. } = &self.tape.events()[post.place].body {
            queue.post(*status, arguments, &reference, self.delay(post.after));
        }
    }

    /// How long something takes here that took so many nanoseconds on the tape: nothing in free time.
    pub(super) fn delay(&self, nanoseconds: u64) -> Duration {
        match self.schedule.mode() {
            TimeMode::Simulated => Duration::from_nanos(nanoseconds),
            TimeMode::Free => Duration::ZERO,
        }
    }

    /// Has a client thread come no earlier than on the tape, counted from what it did last that the tape
    /// holds: so is the schedule of the threads on it.
    pub(super) fn pace(&self, place: usize) {
        let event = &self.tape.events()[place];
        let now = self.schedule.now();
        let last = self.state().clocks.get(&event.lane).copied();
        // What came first has its time from the beginning.
        let (time, began) = last.unwrap_or_default();
        let due = began.saturating_add(self.delay(event.time.saturating_sub(time)));
        let left = due.saturating_sub(now);
        if !left.is_zero() {
            self.schedule.sleep(left);
        }
        let here = (event.time, self.schedule.now());
        self.state().clocks.insert(event.lane, here);
    }

    /// Leaves a held operation, once it has taken as long as on the tape.
    pub(super) fn leave(&self, operation: Operation) {
        operation.leave.into_iter().for_each(|leave| self.pace(leave));
        self.over(operation);
    }

    /// A held operation is over.
    pub(super) fn over(&self, operation: Operation) {
        let lane = self.tape.events()[operation.enter].lane;
        let mut state = self.state();
        let last = state.left.entry(lane).or_default();
        *last = (*last).max(operation.enter);
    }

    /// Whether an operation of a lane is over: it, or one that came later.
    pub(super) fn is_over(&self, (lane, place): (u32, usize)) -> bool {
        self.state().left.get(&lane).is_some_and(|last| *last >= place)
    }
}
